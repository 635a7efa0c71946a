//! What is told of pools.

use integration_tests::{count, eventually, total};
use otel_sqlx::Pool;
use otel_testing::{metric, point};
use sqlx::pool::PoolOptions;
use sqlx::{Executor as _, SqlSafeStr as _};
use tokio::runtime::Handle;

use super::{ALL, Capture, Live, at_rest, used};
use crate::backend::{DB, SYSTEM};

const WAIT: &str = "db.client.connection.wait_time";
const USE: &str = "db.client.connection.use_time";
const NAME: &str = "db.client.connection.pool.name";
const STATE: &str = "db.client.connection.state";

/// The name by the rule of the conventions.
fn name(live: &Live) -> String {
    let namespace = &live.0.namespace;
    match &live.0.address {
        Some((address, Some(port))) => format!("{address}:{port}/{namespace}"),
        Some((address, None)) => format!("{address}/{namespace}"),
        None => namespace.clone(),
    }
}

#[tokio::test]
async fn every_way_to_a_connection_is_measured() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let pool = live.pool_of(PoolOptions::new().max_connections(1), &capture.telemetry());
    // One connection: none is returned before the next is asked for, or there is nothing to try.
    let mut expected = (0, 0);
    let mut step = async |what: &str, waits: u64, uses: u64| {
        expected = (expected.0 + waits, expected.1 + uses);
        assert_eq!((count(&capture, WAIT), count(&capture, USE)), expected, "after {what}");
        eventually("the connection is back", async || pool.num_idle() == 1).await;
    };
    pool.execute(ALL).await.unwrap();
    step("execute", 1, 1).await;
    pool.fetch_optional(ALL).await.unwrap();
    step("fetch_optional", 1, 1).await;
    drop(pool.acquire().await.unwrap());
    step("acquire", 1, 1).await;
    drop(pool.try_acquire().unwrap());
    step("try_acquire", 0, 1).await;
    pool.begin().await.unwrap().commit().await.unwrap();
    step("begin", 1, 1).await;
    drop(pool.begin().await.unwrap());
    step("a dropped transaction", 1, 1).await;
    pool.try_begin().await.unwrap().unwrap().rollback().await.unwrap();
    step("try_begin", 0, 1).await;
    pool.prepare(ALL.into_sql_str()).await.unwrap();
    step("prepare", 1, 1).await;
    {
        let mut held = pool.try_acquire().unwrap();
        held.execute(ALL).await.unwrap();
        assert!(pool.try_acquire().is_none());
        assert!(pool.try_begin().await.unwrap().is_none());
    }
    step("two queries", 0, 1).await;
    pool.acquire().await.unwrap().close().await.unwrap();
    drop(pool.acquire().await.unwrap());
    step("a closed connection", 2, 2).await;
    let point = || point().attribute(NAME, name(&live));
    capture.assert_metric(metric(WAIT).histogram().unit("s").point(point()));
    capture.assert_metric(metric(USE).histogram().unit("s").point(point()));
}

#[tokio::test]
async fn a_connection_that_leaves_the_pool_is_used_no_more_and_still_traced() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let pool = live.pool(&capture.telemetry());
    let mut detached = pool.acquire().await.unwrap().detach();
    assert_eq!(count(&capture, USE), 1);
    detached.execute(ALL).await.unwrap();
    capture.assert_spans([live.statement("SELECT users", ALL)]);
    assert_eq!((pool.size(), used(&capture)), (0, 0));
    detached.close().await.unwrap();
}

#[tokio::test]
async fn gauges_show_the_pool() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let options = PoolOptions::new().max_connections(5);
    let pool = live.pool_of(options, &capture.telemetry());
    let (one, two) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    let pool_point = || point().attribute(NAME, name(&live));
    let states = |idle: u32, used: u32| {
        let state = |state: &'static str| pool_point().attribute(STATE, state);
        metric("db.client.connection.count")
            .up_down_counter()
            .unit("{connection}")
            .points([state("idle").value(idle), state("used").value(used)])
    };
    capture.assert_metric(states(0, 2));
    drop(one);
    eventually("one is idle", async || pool.num_idle() == 1).await;
    capture.assert_metric(states(1, 1));
    drop(two);
    at_rest(&capture).await;
    capture.assert_metric(states(2, 0));
    for (gauge, value) in [("max", 5), ("idle.max", 5), ("idle.min", 0), ("pending_requests", 0)] {
        let gauge = metric(format!("db.client.connection.{gauge}")).up_down_counter();
        capture.assert_metric(gauge.point(pool_point().value(value)));
    }
    pool.close().await;
    capture.assert_metric(states(0, 0));
}

#[tokio::test]
async fn a_dropped_pool_leaves_neither_a_point_nor_a_task() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let telemetry = capture.telemetry();
    let options = PoolOptions::new().min_connections(1).max_connections(2);
    let pool = live.pool_of(options, &telemetry);
    let other = pool.clone();
    other.execute(ALL).await.unwrap();
    drop(pool);
    assert_eq!(total(&capture, "db.client.connection.idle.min"), 1);
    at_rest(&capture).await;
    drop(other);
    for gauge in ["count", "max", "idle.max", "idle.min", "pending_requests"] {
        capture.assert_no_metric(&format!("db.client.connection.{gauge}"));
    }
    eventually("no task is left", async || Handle::current().metrics().num_alive_tasks() == 0)
        .await;
}

#[tokio::test]
async fn each_pool_has_a_name_of_its_own() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let telemetry = capture.telemetry();
    let names = || {
        let max = capture.assert_metric("db.client.connection.max");
        let name = |point: &otel_testing::Point| point.attribute(NAME).unwrap().to_string();
        let mut names: Vec<String> = max.points.iter().map(name).collect();
        names.sort_unstable();
        names
    };
    let first = name(&live);
    let second = format!("{first}#2");
    let one = live.pool(&telemetry);
    let two = live.pool(&telemetry);
    assert_eq!(names(), [first.clone(), second.clone()]);
    drop(one);
    assert_eq!(names(), [&*second]);
    let again = live.pool(&telemetry);
    assert_eq!(names(), [first, second]);
    drop((two, again));

    let lazy = || PoolOptions::<DB>::new().connect_lazy_with(live.0.options.clone());
    let orders = || {
        let pool = Pool::builder(lazy()).system(SYSTEM).telemetry(&telemetry);
        pool.pool_name("orders").build()
    };
    let _pools = (orders(), orders());
    assert_eq!(names(), ["orders", "orders#2"]);
}
