//! A server that is killed while it works, and comes back.

use std::time::Duration;

use integration_tests::{eventually, total};
use native::Private;
use otel_sqlx::Pool;
use otel_testing::{Capture, live, span};
use sqlx::pool::PoolOptions;
use sqlx::{Connection as _, Error, Executor as _, Row as _};

use crate::backend::{self, DB, RUNNING, SLEEPS};
use crate::sqlx_suite::{PENDING, TIMEOUTS, at_rest};

/// An instance of this test's own, where one can be started; the shared one is not to be killed.
fn private() -> Option<Private> {
    let server = backend::native();
    live::address(&server.key())?;
    match Private::start(server) {
        Ok(private) => Some(private),
        Err(error) if std::env::var_os("OTEL_TEST_REQUIRE").is_none() => {
            eprintln!("skipped: no {} of the test's own: {error:#}", server.title());
            None
        }
        Err(error) => panic!("{error:#}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_in_mid_query_is_an_error_and_its_return_a_recovery() {
    let Some(mut server) = tokio::task::block_in_place(private) else { return };
    let capture = Capture::new();
    let options = PoolOptions::new().max_connections(2).acquire_timeout(Duration::from_secs(1));
    let raw = options.connect(server.url()).await.unwrap();
    let pool = Pool::<DB>::with(raw, &capture.telemetry());
    let mut watcher = <DB as sqlx::Database>::Connection::connect(server.url()).await.unwrap();
    // In a transaction, to see what becomes of that; straight on the pool as well.
    let mut transaction = pool.begin().await.unwrap();
    let running = {
        let pool = pool.clone();
        tokio::spawn(async move { pool.execute(SLEEPS).await })
    };
    eventually("the query runs", async || {
        watcher.fetch_one(RUNNING).await.unwrap().get::<i64, _>(0) == 1
    })
    .await;
    tokio::task::block_in_place(|| server.kill()).unwrap();

    let error = running.await.unwrap().unwrap_err();
    transaction.execute("SELECT 1").await.unwrap_err();
    transaction.commit().await.unwrap_err();
    // While it is away.
    let away = pool.execute("SELECT 1").await.unwrap_err();
    let spans = capture.spans();
    let told: Vec<(&str, String)> = spans
        .iter()
        .map(|span| {
            let find = |key: &str| span.attributes.iter().find(|found| found.key.as_str() == key);
            let error = find("error.type").map(|error| error.value.to_string());
            (&*span.name, error.unwrap_or_default())
        })
        .collect();
    assert!(matches!(error, Error::Io(_) | Error::Database(_)), "{error:?}");
    println!("{told:?} {away:?}");
    assert_eq!(total(&capture, PENDING), 0.0);

    tokio::task::block_in_place(|| server.restart()).unwrap();
    capture.clear();
    eventually("the pool works again", async || pool.execute("SELECT 1").await.is_ok()).await;
    at_rest(&capture).await;
    let _ = (TIMEOUTS, span("x"));
}
