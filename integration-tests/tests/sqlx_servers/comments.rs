//! The server sees the trace of a statement that carries it, and keeps nothing more than without it.

use opentelemetry::Context;
use opentelemetry::trace::FutureExt as _;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use otel_sqlx::otel_core::SqlCommenter::{self, All, Off, Uncached};
use sqlx::{AssertSqlSafe, Row as _};

use crate::backend::{PREPARED, SEEN};
use crate::sqlx_suite::{Capture, Live, by_id, sql};

/// What the server says it runs: its own text, of each kind of statement.
macro_rules! seen {
    ($executor:expr) => {{
        let simple = sqlx::raw_sql(SEEN).fetch_one($executor).await.unwrap();
        let bound = sql(&format!("{SEEN} AND 7 = ?"));
        let unkept =
            sqlx::query(bound).bind(7).persistent(false).fetch_one($executor).await.unwrap();
        let kept = sqlx::query(bound).bind(7).fetch_one($executor).await.unwrap();
        [simple, unkept, kept].map(|row| row.get::<String, _>(0))
    }};
}

#[tokio::test]
async fn the_server_sees_the_span_of_the_statement() {
    let Some(live) = Live::new().await else { return };
    for (statements, commented) in
        [(Off, [false; 3]), (Uncached, [true, true, false]), (All, [true; 3])]
    {
        let capture = Capture::new();
        let telemetry = capture.telemetry_builder().sqlcommenter(statements).build();
        let pool = live.pool(&telemetry);
        let mut connection = live.connection(&telemetry).await;
        let seen = [seen!(&pool), seen!(&mut connection)].concat();
        let spans = capture.spans();
        assert_eq!(spans.len(), seen.len());
        for ((text, span), commented) in seen.iter().zip(spans).zip(commented.repeat(2)) {
            let (trace, id) = (span.span_context.trace_id(), span.span_context.span_id());
            let comment = format!(" /*traceparent='00-{trace}-{id}-01'*/");
            assert_eq!(text.ends_with(&comment), commented, "{statements:?} {text}");
            assert_eq!(text.contains("/*"), commented, "{statements:?} {text}");
        }
    }
}

#[tokio::test]
async fn the_server_sees_nothing_of_what_is_not_sampled() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::not_sampled();
    let pool = live.pool(&capture.telemetry_builder().sqlcommenter(All).build());
    for text in seen!(&pool) {
        assert!(!text.contains("/*"), "{text}");
    }
}

/// Whatever came with the request that is traced.
#[tokio::test]
async fn a_hostile_tracestate_stays_in_the_comment() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let builder = capture.telemetry_builder().sqlcommenter(All).sqlcommenter_tracestate(true);
    let pool = live.pool(&builder.build());
    for value in ["*/; DROP TABLE users; --", "'", "? $1 :a @a # \\", "/*!", "%s"] {
        let state = TraceState::from_key_value([("a*/b", value)]).unwrap();
        let (trace, span) = (TraceId::from(7), SpanId::from(9));
        let parent = SpanContext::new(trace, span, TraceFlags::SAMPLED, true, state);
        let parent = Context::new().with_remote_span_context(parent);
        let seen = async { seen!(&pool) }.with_context(parent).await;
        for text in seen {
            assert!(text.contains("',tracestate='a%2A%2Fb%3D"), "{text}");
            assert!(text.ends_with("'*/"), "{text}");
        }
    }
    let count = "SELECT id FROM users";
    assert_eq!(sqlx::query(count).fetch_all(&pool).await.unwrap().len(), 3);
}

/// What is held by the server for a connection that ran the same queries so often.
async fn held(live: &Live, statements: SqlCommenter, times: usize) -> i64 {
    let capture = Capture::new();
    let telemetry = capture.telemetry_builder().sqlcommenter(statements).build();
    let mut connection = live.connection(&telemetry).await;
    for _ in 0..times {
        sqlx::query(by_id()).bind(1).fetch_one(&mut connection).await.unwrap();
        let unkept = sqlx::query(sql("SELECT ?")).bind(1).persistent(false);
        unkept.execute(&mut connection).await.unwrap();
        sqlx::raw_sql("SELECT 1").execute(&mut connection).await.unwrap();
    }
    live.0.audit.goes_past(PREPARED.len() as u64);
    let mut held = 0;
    for (text, sign) in PREPARED {
        let row =
            sqlx::raw_sql(AssertSqlSafe(*text)).fetch_one(connection.raw_mut()).await.unwrap();
        held += sign * row.get::<String, _>(0).parse::<i64>().unwrap();
    }
    held
}

#[tokio::test]
async fn the_server_holds_no_statement_for_one_trace() {
    let Some(live) = Live::new().await else { return };
    assert_eq!(held(&live, Off, 5).await, 1);
    assert_eq!(held(&live, Uncached, 5).await, 1);
    assert_eq!(held(&live, All, 5).await, 0);
}
