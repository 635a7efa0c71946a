//! What needs the raw handle: one documented line each.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as such")]
#![cfg(feature = "sqlite")]

use otel_sqlx::{SqlitePool, SqlitePoolOptions};
use otel_testing::Capture;

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
