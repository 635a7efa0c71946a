//! Pools without a connection to give, calls that are dropped, a statement of a megabyte.

use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, poll};
use integration_tests::{assert_nowhere, count, eventually, total};
use otel_testing::metric;
use sqlx::pool::PoolOptions;
use sqlx::{AssertSqlSafe, Error, Executor as _};

use super::{ALL, Capture, DURATION, Live, PENDING, ROWS, TIMEOUTS, at_rest};
use crate::backend::{SLOW, SLOW_SHOWN};

const WAIT: &str = "db.client.connection.wait_time";
const SHORT: Duration = Duration::from_millis(60);

#[tokio::test]
async fn a_query_that_gets_no_connection_is_one_span_that_failed() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let options = PoolOptions::new().max_connections(1).acquire_timeout(SHORT);
    let pool = live.pool_of(options, &capture.telemetry());
    // The connection must be open, or opening it could be what takes too long.
    let held = loop {
        if let Ok(held) = pool.acquire().await {
            break held;
        }
    };
    capture.clear();
    let error = pool.execute(ALL).await.unwrap_err();
    assert!(matches!(error, Error::PoolTimedOut), "{error:?}");

    let failure = ("error.type", "PoolTimedOut");
    capture.assert_spans([live.statement("SELECT users", ALL).attributes([failure]).error("")]);
    let point = live.statement_point("SELECT users").attributes([failure]).count(1);
    capture.assert_metric(metric(DURATION).point(point));
    assert_eq!((total(&capture, TIMEOUTS), total(&capture, PENDING)), (1, 0));
    assert_eq!(count(&capture, WAIT), 0, "a wait that led to nothing has no time");

    pool.begin().await.unwrap_err();
    assert!(matches!(pool.acquire().await, Err(Error::PoolTimedOut)));
    assert_eq!((total(&capture, TIMEOUTS), total(&capture, PENDING)), (3, 0));
    assert_eq!(capture.spans().len(), 2, "to acquire is no operation");

    drop(held);
    at_rest(&capture).await;
    // It waits no longer than the others, which is too short for a busy machine.
    eventually("it has a connection", async || pool.execute(ALL).await.is_ok()).await;
}

#[tokio::test]
async fn whoever_waits_is_pending_until_served_or_gone() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let pool = live.pool_of(PoolOptions::new().max_connections(1), &capture.telemetry());
    let held = pool.acquire().await.unwrap();
    capture.clear();
    {
        let (mut query, mut begin) = (pool.execute(ALL), Box::pin(pool.begin()));
        let mut acquire = Box::pin(pool.acquire());
        assert!(poll!(&mut query).is_pending());
        assert!(poll!(&mut begin).is_pending());
        assert!(poll!(&mut acquire).is_pending());
        assert_eq!(total(&capture, PENDING), 3);
    }
    assert_eq!(total(&capture, PENDING), 0);
    tokio::time::timeout(SHORT, pool.acquire()).await.unwrap_err();
    assert_eq!((total(&capture, PENDING), total(&capture, TIMEOUTS)), (0, 0));
    let cancelled = [("error.type", "cancelled")];
    capture.assert_spans_in_any_order([
        live.statement("SELECT users", ALL).attributes(cancelled).error(""),
        live.operation("BEGIN").attributes(cancelled).error(""),
    ]);
    assert_eq!(count(&capture, WAIT), 0);

    let mut waiting = pool.execute(ALL);
    assert!(poll!(&mut waiting).is_pending());
    drop(held);
    waiting.await.unwrap();
    assert_eq!((count(&capture, WAIT), total(&capture, PENDING)), (1, 0));
}

#[tokio::test]
async fn a_call_that_is_dropped_was_cancelled_and_its_connection_goes_on() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let pool = live.pool_of(PoolOptions::new().max_connections(1), &capture.telemetry());
    pool.execute(ALL).await.unwrap();
    capture.clear();
    tokio::time::timeout(SHORT, pool.execute(SLOW)).await.unwrap_err();
    let cancelled = [("error.type", "cancelled")];
    capture
        .assert_spans([live.statement(SLOW_SHOWN.0, SLOW_SHOWN.1).attributes(cancelled).error("")]);
    let point = live.statement_point(SLOW_SHOWN.0).attributes(cancelled).count(1);
    capture.assert_metric(metric(DURATION).point(point));
    assert_eq!(pool.fetch_all(ALL).await.unwrap().len(), 3);
    at_rest(&capture).await;

    let mut connection = live.connection(&capture.telemetry()).await;
    tokio::time::timeout(SHORT, connection.fetch_optional(SLOW)).await.unwrap_err();
    assert_eq!(connection.fetch_all(ALL).await.unwrap().len(), 3);

    let mut transaction = pool.begin().await.unwrap();
    tokio::time::timeout(SHORT, transaction.execute(SLOW)).await.unwrap_err();
    drop(transaction);
    assert_eq!(pool.fetch_all(ALL).await.unwrap().len(), 3);
}

#[tokio::test]
async fn by_option_a_cancelled_call_did_not_fail() {
    let Some(live) = Live::new().await else { return };
    // Not the ledger's: a call that was never sent looks like one that was done.
    let capture = otel_testing::Capture::new();
    let telemetry = capture.telemetry_builder().cancelled_is_error(false).build();
    let pool = live.pool_of(PoolOptions::new().max_connections(1), &telemetry);
    let _held = pool.acquire().await.unwrap();
    let mut query = pool.execute(ALL);
    assert!(poll!(&mut query).is_pending());
    drop(query);
    capture.assert_spans([live.statement("SELECT users", ALL)]);
}

#[tokio::test]
async fn a_stream_that_is_dropped_after_a_row_was_no_failure() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let pool = live.pool_of(PoolOptions::new().max_connections(1), &capture.telemetry());
    let mut rows = pool.fetch(ALL);
    rows.try_next().await.unwrap().unwrap();
    drop(rows);
    assert_eq!(pool.fetch(ALL).count().await, 3);
    let mut connection = live.connection(&capture.telemetry()).await;
    let mut rows = connection.fetch(ALL);
    rows.try_next().await.unwrap().unwrap();
    drop(rows);
    assert_eq!(connection.fetch_all(ALL).await.unwrap().len(), 3);

    capture.assert_spans((0..4).map(|_| live.statement("SELECT users", ALL)));
    let point = live.statement_point("SELECT users").count(4).value(1 + 3 + 1 + 3);
    capture.assert_metric(metric(ROWS).point(point));
    at_rest(&capture).await;
}

#[tokio::test]
async fn a_closed_pool_is_told() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let pool = live.pool(&capture.telemetry());
    pool.close().await;
    assert!(pool.is_closed());
    assert!(matches!(pool.execute(ALL).await, Err(Error::PoolClosed)));
    assert!(matches!(pool.begin().await, Err(Error::PoolClosed)));
    assert!(matches!(pool.acquire().await, Err(Error::PoolClosed)));
    assert!(pool.try_acquire().is_none());
    let failure = [("error.type", "PoolClosed")];
    capture.assert_spans([
        live.statement("SELECT users", ALL).attributes(failure).error(""),
        live.operation("BEGIN").attributes(failure).error(""),
    ]);
    assert_eq!((total(&capture, TIMEOUTS), total(&capture, PENDING)), (0, 0));
}

#[tokio::test]
async fn a_statement_of_a_megabyte_tells_its_summary_and_no_secret() {
    const MEGABYTE: usize = 1 << 20;

    let Some(live) = Live::new().await else { return };
    let one_literal = "secret-".repeat(MEGABYTE / 7);
    let many = "'secret', ".repeat(MEGABYTE / 10);
    for text in [
        format!("SELECT id FROM users WHERE name = '{one_literal}'"),
        format!("SELECT id FROM users WHERE name IN ({many} 'ann')"),
        format!("/* {one_literal} */ SELECT id FROM users WHERE id = 1"),
    ] {
        let capture = Capture::new();
        let pool = live.pool(&capture.telemetry());
        pool.fetch_all(AssertSqlSafe(text)).await.unwrap();
        assert_nowhere(&capture, "secret");
        let [span] = &capture.spans()[..] else { panic!("not one span: {:?}", capture.spans()) };
        assert_eq!(span.name, "SELECT users");
        let point = live.statement_point("SELECT users").count(1);
        capture.assert_metric(metric(DURATION).point(point));
    }
}

#[tokio::test]
async fn a_pool_that_opens_its_connection_for_a_query_is_at_rest_afterwards() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let pool = live.pool(&capture.telemetry());
    futures_util::future::join_all((0..9).map(|_| pool.execute(ALL))).await;
    at_rest(&capture).await;
    assert_eq!((count(&capture, DURATION), count(&capture, WAIT)), (9, 9));
    eventually("connections are idle", async || pool.num_idle() > 0).await;
}
