//! What needs the raw handle: one documented line each.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as such")]
#![cfg(feature = "sqlite")]

use otel_sqlx::{SqlitePool, SqlitePoolOptions};
use otel_testing::{Capture, metric, point};

async fn pool() -> (SqlitePool, Capture) {
    let capture = Capture::new();
    let options = SqlitePoolOptions::new().max_connections(1).telemetry(&capture.telemetry());
    (options.connect("sqlite::memory:").await.unwrap(), capture)
}

#[tokio::test]
async fn a_migrator_of_sqlx() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("1_users.sql"), "CREATE TABLE users (id INTEGER)").unwrap();
    let (pool, capture) = pool().await;
    let migrator = sqlx::migrate::Migrator::new(folder.path()).await.unwrap();
    migrator.run(pool.raw()).await.unwrap();
    capture.assert_no_spans();
    sqlx::query("SELECT id FROM users").fetch_all(&pool).await.unwrap();
    assert_eq!(capture.spans().len(), 1);

    // Within a transaction of ours.
    let mut transaction = pool.begin().await.unwrap();
    migrator.undo(transaction.raw_mut(), 0).await.unwrap();
    transaction.commit().await.unwrap();
}

/// In each place that it is used in, and with more than one `Telemetry`.
#[tokio::test]
async fn a_pool_that_is_instrumented_again_is_one_pool() {
    let capture = Capture::new();
    let raw = sqlx::sqlite::SqlitePoolOptions::new().max_connections(3);
    let raw = raw.connect("sqlite::memory:").await.unwrap();
    let telemetry = capture.telemetry();
    let pools = [
        SqlitePool::with(raw.clone(), &telemetry),
        SqlitePool::with(raw.clone(), &telemetry),
        SqlitePool::builder(raw.clone()).telemetry(&telemetry).pool_name("other").build(),
        SqlitePool::with(raw.clone(), &capture.telemetry()),
    ];
    let max =
        |name: &'static str| point().attribute("db.client.connection.pool.name", name).value(3);
    let gauge = || metric("db.client.connection.max").up_down_counter();
    capture.assert_metric(gauge().points([max(":memory:")]));
    let _held = pools[0].acquire().await.unwrap();
    let count = |state: &'static str, value: i32| {
        point()
            .attribute("db.client.connection.pool.name", ":memory:")
            .attribute("db.client.connection.state", state)
            .value(value)
    };
    let counts = metric("db.client.connection.count").up_down_counter();
    capture.assert_metric(counts.points([count("idle", 0), count("used", 1)]));

    // Another pool of that name is another one.
    let another = sqlx::sqlite::SqlitePoolOptions::new().max_connections(3);
    let another = another.connect("sqlite::memory:").await.unwrap();
    let _another = SqlitePool::with(another, &capture.telemetry());
    capture.assert_metric(gauge().points([max(":memory:"), max(":memory:#2")]));
}

/// Methods that a connection of sqlx has beside its traits.
#[tokio::test]
async fn inherent_methods() {
    let (pool, capture) = pool().await;
    let mut connection = pool.acquire().await.unwrap();
    sqlx::query("CREATE TABLE users AS SELECT 7 AS id").execute(&mut *connection).await.unwrap();
    capture.clear();
    let mut handle = connection.lock_handle().await.unwrap();
    handle.set_progress_handler(1_000_000, || true);
    handle.remove_progress_handler();
    drop(handle);
    let copy = connection.serialize(None).await.unwrap();
    drop(connection.detach());
    capture.assert_no_spans();

    let mut other = pool.acquire().await.unwrap();
    other.deserialize(None, copy, true).await.unwrap();
    let id: i64 = sqlx::query_scalar("SELECT id FROM users").fetch_one(&mut *other).await.unwrap();
    assert_eq!(id, 7);
    assert_eq!(capture.spans().len(), 1);
}

#[cfg(feature = "any")]
#[tokio::test]
async fn inherent_methods_of_any_connection() {
    sqlx::any::install_default_drivers();
    let connection = otel_sqlx::AnyConnection::connect("sqlite::memory:").await.unwrap();
    assert_eq!(connection.backend_name(), "SQLite");
}

#[tokio::test]
async fn handles_come_out_again() {
    let (pool, capture) = pool().await;
    let raw: sqlx::SqlitePool = pool.clone().into_inner();
    sqlx::query("SELECT 1").execute(&raw).await.unwrap();
    sqlx::query("SELECT 1").execute(pool.raw()).await.unwrap();
    let detached = pool.acquire().await.unwrap().detach();
    let mut own: sqlx::SqliteConnection = detached.into_inner();
    sqlx::query("SELECT 1").execute(&mut own).await.unwrap();
    capture.assert_no_spans();
    drop((raw, own));
    // The pool goes with its last handle.
    pool.close().await;
    assert!(pool.is_closed());
}
