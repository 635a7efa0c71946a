//! What needs sqlx's own handle of PostgreSQL: the lines of the README, on a real server.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use otel_sqlx::PgPool;
use otel_testing::{Capture, live};
use sqlx::postgres::PgListener;

async fn pool(capture: &Capture) -> Option<PgPool> {
    let address = live::address("POSTGRES")?;
    let raw = sqlx::PgPool::connect(&address).await.unwrap();
    Some(PgPool::with(raw, &capture.telemetry()))
}

#[tokio::test]
async fn listen_and_notify() {
    let capture = Capture::new();
    let Some(pool) = pool(&capture).await else { return };
    let channel = integration_tests::unique_name();
    let mut listener = PgListener::connect_with(pool.raw()).await.unwrap();
    listener.listen(&channel).await.unwrap();
    let notify = sqlx::query("SELECT pg_notify($1, 'hello')").bind(&channel);
    notify.execute(&pool).await.unwrap();
    let heard = listener.recv().await.unwrap();
    assert_eq!((heard.channel(), heard.payload()), (channel.as_str(), "hello"));
    let names: Vec<_> = capture.spans().iter().map(|span| span.name.to_string()).collect();
    assert_eq!(names, ["SELECT"]);
}

#[tokio::test]
async fn copy_in() {
    let capture = Capture::new();
    let Some(pool) = pool(&capture).await else { return };
    let mut connection = pool.acquire().await.unwrap();
    let create = "CREATE TEMPORARY TABLE copied (id BIGINT)";
    sqlx::query(create).execute(&mut *connection).await.unwrap();
    let mut copy = connection.raw_mut().copy_in_raw("COPY copied (id) FROM STDIN").await.unwrap();
    copy.send(&b"1\n2\n3\n"[..]).await.unwrap();
    assert_eq!(copy.finish().await.unwrap(), 3);
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM copied")
        .fetch_one(&mut *connection)
        .await
        .unwrap();
    assert_eq!(count, 3);
    let names: Vec<_> = capture.spans().iter().map(|span| span.name.to_string()).collect();
    assert_eq!(names, ["CREATE TABLE copied", "SELECT copied"]);
}

/// A lock that borrows the connection through `AsMut`, in a transaction of ours.
#[tokio::test]
async fn advisory_lock() {
    let capture = Capture::new();
    let Some(pool) = pool(&capture).await else { return };
    let lock = sqlx::postgres::PgAdvisoryLock::new(integration_tests::unique_name());
    let mut transaction = pool.begin().await.unwrap();
    let mut held = lock.acquire(transaction.raw_mut()).await.unwrap();
    sqlx::query("SELECT 1").execute(held.as_mut()).await.unwrap();
    held.release_now().await.unwrap();
    transaction.commit().await.unwrap();
}

/// A method that sqlx's connection has beside its traits.
#[tokio::test]
async fn the_servers_version() {
    let capture = Capture::new();
    let Some(pool) = pool(&capture).await else { return };
    let connection = pool.acquire().await.unwrap();
    assert!(connection.server_version_num() > Some(90_000));
    assert_eq!(connection.server_version_num(), connection.raw().server_version_num());
}
