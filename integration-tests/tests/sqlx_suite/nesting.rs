//! Spans of `tracing`, and sqlx's own log.

use std::sync::{LazyLock, Mutex, OnceLock};

use futures_util::TryStreamExt as _;
use integration_tests::eventually;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use otel_testing::ledger::SqlxLog;
use otel_testing::span;
use sqlx::Executor as _;
use sqlx::pool::PoolOptions;
use tracing::{Event, Instrument as _, Subscriber, info_span};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{self, SubscriberExt as _};

use super::{ALL, Capture, Live};
use crate::backend::LOGS_INSIDE;

/// What sqlx logs, for ledgers.
pub(crate) static LOG: LazyLock<SqlxLog> = LazyLock::new(SqlxLog::new);

/// Sets the subscriber of the process: a thread's own would miss what a driver does on another.
/// The spans of `tracing` go to the capture that it answers, which is for one test.
pub(crate) fn subscribe() -> &'static Capture {
    static CAPTURE: OnceLock<Capture> = OnceLock::new();

    CAPTURE.get_or_init(|| {
        let capture = Capture::new();
        let bare = tracing_opentelemetry::layer()
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            .with_tracked_inactivity(false);
        let traced = bare.with_tracer(capture.tracer("tracing"));
        // What sqlx logs would become an event of the span of `tracing` around the call.
        let traced = traced.with_filter(filter_fn(|metadata| {
            !metadata.is_event() && !metadata.target().starts_with("otel_testing::")
        }));
        let logged = Log.with_filter(filter_fn(|metadata| metadata.target() == "sqlx::query"));
        let subscriber = tracing_subscriber::registry().with(traced).with(logged);
        let subscriber = subscriber.with(LOG.clone());
        tracing::subscriber::set_global_default(subscriber).unwrap();
        capture
    })
}

#[tokio::test]
async fn spans_nest_under_those_of_tracing_and_the_other_way_round() {
    let Some(live) = Live::new().await else { return };
    let capture = subscribe();
    let options = PoolOptions::new()
        .before_acquire(|_, _| Box::pin(async { Ok(true) }.instrument(info_span!("hook"))));
    let pool = live.pool_of(options.max_connections(1), &capture.telemetry());
    // The hook runs for connections that were used before.
    pool.execute(ALL).await.unwrap();
    capture.clear();
    async {
        pool.execute(ALL).await.unwrap();
        let mut transaction = pool.begin().instrument(info_span!("step")).await.unwrap();
        transaction.execute(ALL).await.unwrap();
        transaction.commit().await.unwrap();
    }
    .instrument(info_span!("handler"))
    .await;
    drop(info_span!("after"));
    // A driver may let go of a span on a thread of its own.
    eventually("all spans are closed", async || capture.spans().len() == 9).await;

    let hook = || span("hook").scope("tracing");
    capture.assert_spans_in_any_order([
        hook().child_of("SELECT users"),
        live.statement("SELECT users", ALL).child_of("handler"),
        hook().child_of(format!("BEGIN {}", live.0.namespace)),
        live.operation("BEGIN").child_of("step"),
        span("step").child_of("handler"),
        live.statement("SELECT users", ALL).child_of("handler"),
        live.operation("COMMIT").child_of("handler"),
        span("handler"),
        span("after"),
    ]);
}

/// What sqlx logged, and the span that was current.
static LOGGED: Mutex<Vec<(String, SpanContext)>> = Mutex::new(Vec::new());

struct Log;

impl<S: Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &Event<'_>, _: layer::Context<'_, S>) {
        let current = Context::map_current(|context| context.span().span_context().clone());
        LOGGED.lock().unwrap().push((SqlxLog::statement(event), current));
    }
}

/// The statement that begins like this as sqlx logged it, which may be on another thread, and the
/// span that was current then.
pub(super) async fn logged(beginning: &str) -> (String, SpanContext) {
    let find = || {
        let logged = LOGGED.lock().unwrap();
        logged.iter().find(|(statement, _)| statement.starts_with(beginning)).cloned()
    };
    eventually("sqlx has logged the statement", async || find().is_some()).await;
    find().unwrap()
}

/// Runs the calls, which log `SELECT 1 AS <name>` in this order, each in one span, which must be
/// current then. (The texts are logged as they are, since they have four words.)
async fn logs_inside(capture: &Capture, names: &[&str], calls: impl Future<Output = ()>) {
    subscribe();
    calls.await;
    let spans = capture.spans();
    assert_eq!(spans.len(), names.len());
    for (name, span) in names.iter().zip(spans) {
        let inside = logged(&format!("SELECT 1 AS {name}")).await.1 == span.span_context;
        assert_eq!(inside, LOGS_INSIDE, "{name}");
    }
}

#[tokio::test]
async fn the_log_of_sqlx_lies_inside_the_span() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let pool = live.pool(&capture.telemetry());
    let mut connection = live.connection(&capture.telemetry()).await;
    let names = ["pool_all", "pool_optional", "connection_all", "connection_optional"];
    logs_inside(&capture, &names, async {
        pool.fetch_all("SELECT 1 AS pool_all").await.unwrap();
        pool.fetch_optional("SELECT 1 AS pool_optional").await.unwrap();
        connection.fetch_all("SELECT 1 AS connection_all").await.unwrap();
        connection.fetch_optional("SELECT 1 AS connection_optional").await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn the_log_of_what_is_dropped_lies_inside_the_span_too() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let pool = live.pool(&capture.telemetry());
    let mut connection = live.connection(&capture.telemetry()).await;
    let names = ["pool_dropped", "connection_dropped"];
    logs_inside(&capture, &names, async {
        pool.fetch("SELECT 1 AS pool_dropped").try_next().await.unwrap();
        connection.fetch("SELECT 1 AS connection_dropped").try_next().await.unwrap();
    })
    .await;
}
