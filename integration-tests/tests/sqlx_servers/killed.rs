//! A server that is killed while it works, and comes back.

use std::time::Duration;

use integration_tests::{eventually, private, total};
use native::Extra;
use otel_sqlx::Pool;
use otel_testing::Capture;
use otel_testing::opentelemetry_sdk::trace::SpanData;
use sqlx::pool::PoolOptions;
use sqlx::{Connection as _, Error, Executor as _, Row as _};

use tokio::task::block_in_place;

use crate::backend::{self, DB, RUNNING, SLEEPS};
use crate::sqlx_suite::{PENDING, TIMEOUTS, at_rest};

/// What the end of a connection may look like. PostgreSQL's processes do not die at one moment: one
/// that is left may still tell why it ends.
const ENDS: [&str; 5] = ["BrokenPipe", "ConnectionReset", "UnexpectedEof", "57P01", "57P02"];

/// The name and the error of each span; `gone` stands for all of [`ENDS`].
fn errors(capture: &Capture) -> Vec<(String, String)> {
    let told = |span: SpanData| {
        let error = span.attributes.iter().find(|found| found.key.as_str() == "error.type");
        let error = error.map_or_else(|| "none".to_owned(), |error| error.value.to_string());
        let error = if ENDS.contains(&&*error) { "gone".to_owned() } else { error };
        (span.name.into_owned(), error)
    };
    capture.spans().into_iter().map(told).collect()
}

fn expected<const N: usize>(spans: [(&str, &str); N]) -> Vec<(String, String)> {
    spans.map(|(name, error)| (name.to_owned(), error.to_owned())).to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_in_mid_query_is_an_error_and_its_return_a_recovery() {
    let Some(mut server) = block_in_place(|| private(backend::native(), Extra::new())) else {
        return;
    };
    let capture = Capture::new();
    let options = PoolOptions::new().max_connections(2).acquire_timeout(Duration::from_secs(5));
    let raw = options.connect(server.url()).await.unwrap();
    let pool = Pool::<DB>::with(raw, &capture.telemetry());
    let mut watcher = <DB as sqlx::Database>::Connection::connect(server.url()).await.unwrap();
    let mut transaction = pool.begin().await.unwrap();
    let sleeping = pool.clone();
    let sleeping = tokio::spawn(async move { sleeping.execute(SLEEPS).await });
    eventually("the query runs", async || {
        watcher.fetch_one(RUNNING).await.unwrap().get::<i64, _>(0) == 1
    })
    .await;

    block_in_place(|| server.kill()).unwrap();
    let error = sleeping.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Io(_) | Error::Database(_)), "{error:?}");
    transaction.execute("SELECT 1").await.unwrap_err();
    transaction.commit().await.unwrap_err();
    // The pool tries to connect for as long as it may.
    assert!(matches!(pool.execute("SELECT 1").await, Err(Error::PoolTimedOut)));
    let (begin, commit, rollback) = ("BEGIN otel", "COMMIT otel", "ROLLBACK otel");
    let before = [
        (begin, "none"),
        ("SELECT", "gone"),
        ("SELECT", "gone"),
        (commit, "gone"),
        // The transaction is dropped, for its commit failed.
        (rollback, "none"),
        ("SELECT", "PoolTimedOut"),
    ];
    assert_eq!(errors(&capture), expected(before));
    assert_eq!((total(&capture, TIMEOUTS), total(&capture, PENDING)), (1, 0));

    block_in_place(|| server.restart()).unwrap();
    capture.clear();
    pool.execute("SELECT 1").await.unwrap();
    let transaction = pool.begin().await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(errors(&capture), expected([("SELECT", "none"), (begin, "none"), (commit, "none")]));
    at_rest(&capture).await;
}
