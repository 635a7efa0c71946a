//! Nobody listens: the driver's own futures and streams are handed out, nothing is added to them.
#![cfg(feature = "sqlite")]

use futures_util::TryStreamExt as _;
use otel_sqlx::{SqlitePool, Telemetry};
use sqlx::Executor as _;

/// Fewest allocations of one call on this thread: SQLite's worker is another one, and the clock of
/// the runtime allocates now and then.
fn fewest(mut call: impl FnMut()) -> u64 {
    let counts = (0..63).map(|_| allocation_counter::measure(&mut call).count_total);
    counts.min().unwrap_or_default()
}

#[test]
fn off_allocates_as_much_as_the_bare_driver() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let pool = runtime.block_on(async {
        let raw = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1);
        let raw = raw.connect("sqlite::memory:").await.unwrap();
        raw.execute("CREATE TABLE users (id INTEGER)").await.unwrap();
        SqlitePool::with(raw, &Telemetry::builder().build())
    });
    let query = || sqlx::query("SELECT id FROM users WHERE id = ?").bind(7);
    // Past the calls at which each one looks for a provider.
    for _ in 0..1100 {
        runtime.block_on(query().fetch_optional(&pool)).unwrap();
    }
    let ours = fewest(|| drop(runtime.block_on(query().fetch_optional(&pool)).unwrap()));
    let bare = fewest(|| drop(runtime.block_on(query().fetch_optional(pool.raw())).unwrap()));
    assert_eq!(ours, bare, "a future of the pool");
    let ours = fewest(|| drop(runtime.block_on(query().fetch(&pool).try_next()).unwrap()));
    let bare = fewest(|| drop(runtime.block_on(query().fetch(pool.raw()).try_next()).unwrap()));
    assert_eq!(ours, bare, "a stream of the pool");

    // What is dropped at the end goes back to the pool, for which sqlx wants a runtime.
    let _runtime = runtime.enter();
    let mut ours_held = runtime.block_on(pool.acquire()).unwrap();
    let ours = fewest(|| drop(runtime.block_on(query().fetch_optional(&mut *ours_held)).unwrap()));
    let bare = fewest(|| {
        drop(runtime.block_on(query().fetch_optional(ours_held.raw_mut())).unwrap());
    });
    assert_eq!(ours, bare, "a future of a connection");
}
