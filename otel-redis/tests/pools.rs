//! Pools of the driver's connections and of ours: what they hand out is instrumented, and what is
//! measured of them.
#![cfg(all(feature = "bb8", feature = "deadpool", feature = "r2d2"))]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use deadpool::managed::{self, Object};
use otel_redis::Client;
use otel_testing::{Capture, live, metric, point};
use redis::{AsyncCommands as _, Commands as _, RedisError};

/// Too short to wait for anybody.
const SHORT: Duration = Duration::from_millis(20);

fn client(capture: &Capture) -> Option<Client> {
    let client = redis::Client::open(live::address("REDIS")?).unwrap();
    Some(Client::with(client, &capture.telemetry()))
}

/// That many connections in use and idle.
fn assert_counted(capture: &Capture, name: &'static str, used: i32, idle: i32) {
    let named = || point().attribute("db.client.connection.pool.name", name);
    let is = |state: &'static str| named().attribute("db.client.connection.state", state);
    let counts = metric("db.client.connection.count").up_down_counter();
    capture.assert_metric(counts.point(is("used").value(used)).point(is("idle").value(idle)));
}

/// So many waits that got a connection, and so many that did not; so many uses that are over.
fn assert_timed(capture: &Capture, name: &'static str, waits: u64, timeouts: u32, uses: u64) {
    let named = || point().attribute("db.client.connection.pool.name", name);
    capture.assert_metric(metric("db.client.connection.wait_time").point(named().count(waits)));
    capture.assert_metric(metric("db.client.connection.use_time").point(named().count(uses)));
    let counted = metric("db.client.connection.timeouts").counter();
    capture.assert_metric(counted.point(named().value(timeouts)));
    let pending = metric("db.client.connection.pending_requests").up_down_counter();
    capture.assert_metric(pending.point(named().value(0)));
}

/// So many connections of which is known how long it took to make them.
fn assert_created(capture: &Capture, name: &'static str, created: u64) {
    if created == 0 {
        return capture.assert_no_metric("db.client.connection.create_time");
    }
    let named = point().attribute("db.client.connection.pool.name", name);
    capture.assert_metric(metric("db.client.connection.create_time").point(named.count(created)));
}

/// The names of all spans: none is that of a pool which looks whether a connection is alive.
fn names(capture: &Capture) -> Vec<String> {
    capture.spans().iter().map(|span| span.name.to_string()).collect()
}

/// Of a pool of one connection, whose connections have one of the driver's types.
macro_rules! of_r2d2 {
    ($name:literal, $created:literal, $client:expr) => {{
        let capture = Capture::new();
        let Some(client) = client(&capture) else { return };
        let pool = r2d2::Pool::builder().max_size(1).min_idle(Some(1));
        let pool = client.pool($name, pool.build($client(&client)).unwrap());
        let mut connection = pool.get().unwrap();
        assert_eq!(connection.get::<_, Option<i64>>("pools-none").unwrap(), None);
        // As code has it that was written for the pool alone.
        assert_eq!(redis::cmd("GET").arg("pools-none").query(&mut *connection), Ok(None::<i64>));
        capture.assert_no_metric("db.client.connection.use_time");
        assert!(pool.get_timeout(SHORT).is_err());
        assert!(pool.try_get().is_none());
        assert_counted(&capture, $name, 1, 0);
        drop(connection);
        drop(pool.try_get().unwrap());
        assert_eq!(names(&capture), ["GET", "GET"]);
        assert_timed(&capture, $name, 1, 1, 2);
        assert_created(&capture, $name, $created);
        assert_counted(&capture, $name, 0, 1);
        for metric_name in ["db.client.connection.max", "db.client.connection.idle.min"] {
            let named = point().attribute("db.client.connection.pool.name", $name);
            capture.assert_metric(metric(metric_name).up_down_counter().point(named.value(1)));
        }
        assert_eq!(pool.raw().state().connections, 1);
    }};
}

#[test]
fn r2d2_with_connections_of_ours() {
    of_r2d2!("r2d2", 1, Client::clone);
}

#[test]
fn r2d2_with_connections_of_the_driver() {
    of_r2d2!("r2d2-bare", 0, |client: &Client| client.raw().clone());
}

macro_rules! of_bb8 {
    ($name:literal, $created:literal, $client:expr) => {{
        let capture = Capture::new();
        let Some(client) = client(&capture) else { return };
        let pool = bb8::Pool::builder().max_size(1).connection_timeout(SHORT);
        let pool = client.pool($name, pool.build_unchecked($client(&client)));
        // Others are busy too, and the time of the pool is short.
        let mut timeouts = 1_u32;
        let mut connection = loop {
            match pool.get().await {
                Ok(connection) => break connection,
                Err(_) => timeouts += 1,
            }
        };
        assert_eq!(connection.get::<_, Option<i64>>("pools-none").await.unwrap(), None);
        let get = redis::cmd("GET").arg("pools-none").take();
        assert_eq!(get.query_async(&mut *connection).await, Ok(None::<i64>));
        assert_counted(&capture, $name, 1, 0);
        assert!(pool.get_owned().await.is_err());
        drop(connection);
        assert_eq!(names(&capture), ["GET", "GET"]);
        drop(pool.get().await.unwrap());
        assert_timed(&capture, $name, 2, timeouts, 2);
        assert_created(&capture, $name, $created);
        assert_counted(&capture, $name, 0, 1);
        drop(pool);
        capture.assert_no_metric("db.client.connection.count");
    }};
}

#[tokio::test]
async fn bb8_with_connections_of_ours() {
    of_bb8!("bb8", 1, Client::clone);
}

#[tokio::test]
async fn bb8_with_connections_of_the_driver() {
    of_bb8!("bb8-bare", 0, |client: &Client| client.raw().clone());
}

#[tokio::test]
async fn of_bb8_waits_and_uses_are_timed() {
    let capture = Capture::new();
    let Some(client) = client(&capture) else { return };
    let pool = bb8::Pool::builder().max_size(1).build(client.raw().clone()).await.unwrap();
    let pool = client.pool("bb8-timed", pool);
    let connection = pool.get_owned().await.unwrap();
    // As long as it is in use.
    capture.assert_no_metric("db.client.connection.use_time");
    // One that is given up on while it waits is neither got nor timed out.
    tokio::time::timeout(SHORT, pool.get()).await.unwrap_err();
    drop(connection);
    drop(pool.get().await.unwrap());
    let named = || point().attribute("db.client.connection.pool.name", "bb8-timed");
    capture.assert_metric(metric("db.client.connection.wait_time").point(named().count(2)));
    capture.assert_metric(metric("db.client.connection.use_time").point(named().count(2)));
    capture.assert_no_metric("db.client.connection.timeouts");
    let pending = metric("db.client.connection.pending_requests").up_down_counter();
    capture.assert_metric(pending.point(named().value(0)));
}

/// As deadpool-redis has them: a manager, and a type of its own around what the pool gives.
struct Manager(redis::Client);

struct Wrapped(Object<Manager>);

impl From<Object<Manager>> for Wrapped {
    fn from(object: Object<Manager>) -> Self {
        Self(object)
    }
}

impl std::ops::Deref for Wrapped {
    type Target = redis::aio::MultiplexedConnection;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl std::ops::DerefMut for Wrapped {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl managed::Manager for Manager {
    type Type = redis::aio::MultiplexedConnection;
    type Error = RedisError;

    async fn create(&self) -> Result<Self::Type, RedisError> {
        self.0.get_multiplexed_async_connection().await
    }

    async fn recycle(
        &self,
        _: &mut Self::Type,
        _: &managed::Metrics,
    ) -> managed::RecycleResult<RedisError> {
        Ok(())
    }
}

#[tokio::test]
async fn deadpool_with_connections_of_the_driver() {
    let capture = Capture::new();
    let Some(client) = client(&capture) else { return };
    let pool = managed::Pool::<Manager, Wrapped>::builder(Manager(client.raw().clone()));
    let pool = client.pool("deadpool", pool.max_size(1).build().unwrap());
    let mut connection = pool.get().await.unwrap();
    assert_eq!(connection.get::<_, Option<i64>>("pools-none").await.unwrap(), None);
    let get = redis::cmd("GET").arg("pools-none").take();
    assert_eq!(get.query_async(&mut *connection).await, Ok(None::<i64>));
    assert_eq!(names(&capture), ["GET", "GET"]);
    assert_counted(&capture, "deadpool", 1, 0);
    capture.assert_no_metric("db.client.connection.use_time");
    // At once or not at all.
    let timeouts = managed::Timeouts { wait: Some(Duration::ZERO), ..managed::Timeouts::new() };
    assert!(pool.timeout_get(&timeouts).await.is_err());
    drop(connection);
    assert_counted(&capture, "deadpool", 0, 1);
    drop(pool.get().await.unwrap());
    assert_timed(&capture, "deadpool", 2, 1, 2);
    let named = point().attribute("db.client.connection.pool.name", "deadpool");
    let most = metric("db.client.connection.max").up_down_counter();
    capture.assert_metric(most.point(named.value(1)));
    // That is closed, which is no timeout.
    pool.raw().close();
    assert!(pool.get().await.is_err());
    assert_timed(&capture, "deadpool", 2, 1, 2);
}
