//! Nobody listens: the driver's own futures and streams are handed out as they are.
#![cfg(feature = "sqlite")]

use std::pin::Pin;

use otel_sqlx::{SqlitePool, Telemetry};
use sqlx::Executor as _;

/// The size of what a box holds, and the allocations it took: another type, or anything made beside
/// it, would show. What happens when it is polled is the driver's own and depends on its threads.
fn made<T: ?Sized>(make: impl FnOnce() -> Pin<Box<T>>) -> (usize, u64) {
    let mut size = 0;
    let counted = allocation_counter::measure(|| size = size_of_val(&*make()));
    (size, counted.count_total)
}

#[tokio::test]
async fn off_hands_out_what_the_driver_makes() {
    let raw = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1);
    let raw = raw.connect("sqlite::memory:").await.unwrap();
    let pool = SqlitePool::with(raw, &Telemetry::builder().enabled(false).build());
    let query = || sqlx::query("SELECT 7 WHERE 7 = ?").bind(7);
    let mut held = pool.acquire().await.unwrap();

    let bare = made(|| pool.raw().fetch_optional(query()));
    assert_eq!(made(|| pool.fetch_optional(query())), bare);
    let bare = made(|| pool.raw().fetch_many(query()));
    assert_eq!(made(|| pool.fetch_many(query())), bare);
    let bare = made(|| held.raw_mut().fetch_optional(query()));
    assert_eq!(made(|| held.fetch_optional(query())), bare);
    let bare = made(|| held.raw_mut().fetch_many(query()));
    assert_eq!(made(|| held.fetch_many(query())), bare);
}
