//! Spans nest under `tracing` spans and the other way round.
//!
//! That sqlx's own log event lies inside the span of its query is a test on the servers: SQLite's
//! driver logs on a thread of its own, where no context is.
#![cfg(feature = "sqlite")]

use otel_sqlx::SqlitePool;
use otel_testing::Capture;
use tracing::Instrument as _;
use tracing::instrument::WithSubscriber as _;
use tracing_subscriber::layer::SubscriberExt as _;

#[tokio::test]
async fn spans_nest_both_ways() {
    let capture = Capture::new();
    let layer = tracing_opentelemetry::layer().with_tracer(capture.tracer("application"));
    let subscriber = tracing_subscriber::registry().with(layer);
    let pool = sqlx::sqlite::SqlitePoolOptions::new()
        .max_connections(1)
        .before_acquire(|_, _| {
            Box::pin(async { Ok(true) }.instrument(tracing::info_span!("below")))
        })
        .connect("sqlite::memory:")
        .await
        .unwrap();
    let pool = SqlitePool::with(pool, &capture.telemetry());
    async {
        let query = sqlx::query("SELECT 1").fetch_one(&pool);
        query.instrument(tracing::info_span!("above")).await.unwrap();
    }
    .with_subscriber(subscriber)
    .await;
    // The thread of the connection has a handle of the span above, and lets go of it before it ends.
    pool.close().await;

    let [above, query, below] =
        ["above", "SELECT", "below"].map(|name| capture.spans_named(name).remove(0));
    assert_eq!(query.parent_span_id, above.span_context.span_id());
    assert_eq!(below.parent_span_id, query.span_context.span_id());
}
