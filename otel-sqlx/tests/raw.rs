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
async fn migrations() {
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
