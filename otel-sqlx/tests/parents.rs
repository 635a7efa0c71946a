//! Whose child a statement is: within a transaction, across tasks, and when a task is dropped.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as such")]

use futures_util::FutureExt as _;
use opentelemetry::Context;
use opentelemetry::trace::{FutureExt as _, SpanId, TraceContextExt as _, Tracer as _};
use otel_sqlx::{SqlitePool, SqlitePoolOptions};
use otel_testing::Capture;

async fn pool(capture: &Capture) -> SqlitePool {
    let telemetry = capture.telemetry_builder().transaction_spans(true).prepare_spans(true).build();
    let options = SqlitePoolOptions::new().max_connections(1).telemetry(&telemetry);
    options.connect("sqlite::memory:").await.unwrap()
}

fn spans(capture: &Capture, name: &str) -> Vec<(SpanId, SpanId)> {
    let spans = capture.spans_named(name);
    spans.iter().map(|span| (span.span_context.span_id(), span.parent_span_id)).collect()
}

fn span_of(capture: &Capture, name: &'static str) -> Context {
    Context::new().with_span(capture.tracer("application").start(name))
}

#[tokio::test]
async fn a_transaction_that_moves_to_another_task_keeps_its_statements() {
    let capture = Capture::new();
    let pool = pool(&capture).await;
    let request = span_of(&capture, "request");
    let mut transaction = pool.begin().with_context(request.clone()).await.unwrap();
    tokio::spawn(async move {
        sqlx::query("SELECT 1").execute(&mut *transaction).await.unwrap();
        transaction.commit().await.unwrap();
    })
    .await
    .unwrap();
    request.span().end();
    let (whole, parent) = spans(&capture, "transaction :memory:")[0];
    assert_eq!(parent, request.span().span_context().span_id());
    for name in ["BEGIN :memory:", "SELECT", "COMMIT :memory:"] {
        assert_eq!(spans(&capture, name)[0].1, whole, "{name}");
    }
}

#[tokio::test]
async fn a_nested_transaction_below_a_span_that_has_ended() {
    let capture = Capture::new();
    let pool = pool(&capture).await;
    let request = span_of(&capture, "request");
    async {
        let mut outer = pool.begin().await.unwrap();
        let step = span_of(&capture, "step");
        let mut inner = outer.begin().with_context(step.clone()).await.unwrap();
        step.span().end();
        sqlx::query("SELECT 1").execute(&mut *inner).await.unwrap();
        inner.commit().await.unwrap();
        sqlx::query("VALUES (2)").execute(&mut *outer).await.unwrap();
        outer.commit().await.unwrap();
    }
    .with_context(request.clone())
    .await;
    request.span().end();
    let wholes = spans(&capture, "transaction :memory:");
    let (inner, outer) = (wholes[0].0, wholes[1].0);
    assert_eq!(spans(&capture, "SELECT")[0].1, inner);
    assert_eq!(spans(&capture, "RELEASE SAVEPOINT :memory:")[0].1, inner);
    assert_eq!(spans(&capture, "VALUES")[0].1, outer);
    assert_eq!(wholes[1].1, request.span().span_context().span_id());
}

#[tokio::test]
async fn a_span_of_the_application_inside_a_transaction_is_the_parent() {
    let capture = Capture::new();
    let pool = pool(&capture).await;
    let mut transaction = pool.begin().await.unwrap();
    let step = span_of(&capture, "step");
    let query = sqlx::query("SELECT 1").execute(&mut *transaction);
    query.with_context(step.clone()).await.unwrap();
    step.span().end();
    transaction.rollback().await.unwrap();
    assert_eq!(spans(&capture, "SELECT")[0].1, step.span().span_context().span_id());
}

/// A request that is cancelled drops its transaction where no context is current.
#[tokio::test]
async fn the_rollback_of_a_dropped_task_stays_in_its_trace() {
    let capture = Capture::new();
    let options = SqlitePoolOptions::new().max_connections(1).telemetry(&capture.telemetry());
    let pool = options.connect("sqlite::memory:").await.unwrap();
    let request = span_of(&capture, "request");
    let mut task = Box::pin(
        async {
            let _transaction = pool.begin().await.unwrap();
            std::future::pending::<()>().await;
        }
        .with_context(request.clone()),
    );
    while capture.spans_named("BEGIN :memory:").is_empty() {
        assert!(task.as_mut().now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    drop(task);
    request.span().end();
    let parent = request.span().span_context().span_id();
    assert_eq!(spans(&capture, "ROLLBACK :memory:")[0].1, parent);
}

/// What is prepared has its values bound later; what stands in its text does not count as bound.
#[tokio::test]
async fn a_prepared_literal_is_not_told() {
    use sqlx::{Executor as _, SqlSafeStr as _};

    let capture = Capture::new();
    let pool = pool(&capture).await;
    pool.prepare("SELECT 'hunter2', ?".into_sql_str()).await.unwrap();
    let span = &capture.spans_named("PREPARE SELECT")[0];
    let text = span.attributes.iter().find(|fact| fact.key.as_str() == "db.query.text");
    assert_eq!(text.map(|fact| fact.value.as_str()), Some("SELECT ?, ?".into()));
}
