//! Clients as managers of pools, and what is counted of pools.
#![cfg(all(feature = "bb8", feature = "deadpool", feature = "r2d2"))]
#![allow(clippy::unwrap_used, reason = "a test")]

use otel_redis::Client;
use otel_redis::aio::MultiplexedConnection;
use otel_redis::pool::Pool;
use otel_testing::{Capture, live, metric, point};
use redis::{AsyncCommands as _, Commands as _, RedisError};

fn client(capture: &Capture) -> Option<Client> {
    let client = redis::Client::open(live::address("REDIS")?).unwrap();
    Some(Client::with(client, &capture.telemetry()))
}

/// That many connections in use and idle, and what the pool says beside that.
fn assert_counted(capture: &Capture, name: &'static str, used: i32, idle: i32) {
    let named = || point().attribute("db.client.connection.pool.name", name);
    let is = |state: &'static str| named().attribute("db.client.connection.state", state);
    let counts = metric("db.client.connection.count").up_down_counter();
    capture.assert_metric(counts.point(is("used").value(used)).point(is("idle").value(idle)));
}

/// The names of all spans: none is that of a pool which looks whether a connection is alive.
fn names(capture: &Capture) -> Vec<String> {
    capture.spans().iter().map(|span| span.name.to_string()).collect()
}

#[test]
fn the_connections_of_r2d2_are_ours() {
    let capture = Capture::new();
    let Some(client) = client(&capture) else { return };
    let pool = r2d2::Pool::builder().max_size(2).min_idle(Some(1)).build(client.clone()).unwrap();
    let _gauges = client.pool_gauges("r2d2", &pool);
    let mut connection = pool.get().unwrap();
    assert_eq!(connection.get::<_, Option<i64>>("pools-none").unwrap(), None);
    assert_eq!(names(&capture), ["GET"]);
    assert_eq!((Pool::max(&pool), Pool::idle_min(&pool)), (Some(2), Some(1)));
    let named = point().attribute("db.client.connection.pool.name", "r2d2");
    capture.assert_metric(metric("db.client.connection.max").point(named.value(2)));
    let named = point().attribute("db.client.connection.pool.name", "r2d2");
    capture.assert_metric(metric("db.client.connection.idle.min").point(named.value(1)));
    let counts = capture.metrics();
    let counts = counts.iter().find(|it| it.name == "db.client.connection.count").unwrap();
    assert_eq!(counts.points.len(), 2);
}

#[tokio::test]
async fn the_connections_of_bb8_are_ours() {
    let capture = Capture::new();
    let Some(client) = client(&capture) else { return };
    let pool = bb8::Pool::builder().max_size(1).build(client.clone()).await.unwrap();
    let gauges = client.pool_gauges("bb8", &pool);
    let mut connection = pool.get().await.unwrap();
    assert_eq!(connection.get::<_, Option<i64>>("pools-none").await.unwrap(), None);
    assert_eq!(names(&capture), ["GET"]);
    assert_counted(&capture, "bb8", 1, 0);
    drop(connection);
    assert_counted(&capture, "bb8", 0, 1);
    drop(gauges);
    capture.assert_no_metric("db.client.connection.count");
}

/// As deadpool-redis is one.
struct Manager(Client);

impl deadpool::managed::Manager for Manager {
    type Type = MultiplexedConnection;
    type Error = RedisError;

    async fn create(&self) -> Result<MultiplexedConnection, RedisError> {
        self.0.get_multiplexed_async_connection().await
    }

    async fn recycle(
        &self,
        _: &mut MultiplexedConnection,
        _: &deadpool::managed::Metrics,
    ) -> deadpool::managed::RecycleResult<RedisError> {
        Ok(())
    }
}

#[tokio::test]
async fn a_pool_of_deadpool_is_counted() {
    let capture = Capture::new();
    let Some(client) = client(&capture) else { return };
    let pool: deadpool::managed::Pool<Manager> =
        deadpool::managed::Pool::builder(Manager(client.clone())).max_size(3).build().unwrap();
    let _gauges = client.pool_gauges("deadpool", &pool);
    let mut connection = pool.get().await.unwrap();
    assert_eq!(connection.get::<_, Option<i64>>("pools-none").await.unwrap(), None);
    assert_eq!(names(&capture), ["GET"]);
    assert_counted(&capture, "deadpool", 1, 0);
    drop(connection);
    assert_counted(&capture, "deadpool", 0, 1);
    assert_eq!(Pool::max(&pool), Some(3));
}
