//! Statements that carry their trace in a comment: which do, and that nothing else changes.

use futures_util::TryStreamExt as _;
use integration_tests::unique_name;
use otel_core::SqlCommenter::{self, All, Off, Uncached};
use otel_sqlx::Telemetry;
use otel_sqlx::otel_core;
use sqlx::pool::PoolOptions;
use sqlx::{AssertSqlSafe, Executor as _, SqlSafeStr as _, Statement as _};

use super::nesting::{logged, subscribe};
use super::{ALL, Capture, Live, by_id, sql};
use crate::backend::{DB, LAST_DEFINITION, VIEW};

fn telemetry(capture: &Capture, statements: SqlCommenter) -> Telemetry {
    capture.telemetry_builder().sqlcommenter(statements).build()
}

/// How a statement comes to the server, and whether it stays there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sent {
    AsItIs,
    ForOneUse,
    ToBeKept,
    PreparedBefore,
}

/// Runs a statement in each way, every time another one: answers how it is sent, and its text.
macro_rules! each_way {
    ($executor:expr) => {{
        let mut texts = Vec::new();
        let mut text = |sent, beginning: &str| -> &'static str {
            let text = sql(&format!("{beginning} AS {}", unique_name()));
            texts.push((sent, text));
            text
        };
        let simple = text(Sent::AsItIs, "SELECT 1");
        $executor.fetch_optional(simple).await.unwrap();
        let simple = text(Sent::AsItIs, "SELECT 1");
        $executor.execute(simple).await.unwrap();
        let raw = text(Sent::AsItIs, "SELECT 1");
        sqlx::raw_sql(raw).fetch_all($executor).await.unwrap();
        for persistent in [false, true] {
            let sent = if persistent { Sent::ToBeKept } else { Sent::ForOneUse };
            let query = |text| sqlx::query::<DB>(text).persistent(persistent);
            query(text(sent, "SELECT ?")).bind(1).fetch_all($executor).await.unwrap();
            query(text(sent, "SELECT ?")).bind(1).fetch_one($executor).await.unwrap();
            query(text(sent, "SELECT ?")).bind(1).map(|_| ()).fetch_one($executor).await.unwrap();
            query(text(sent, "SELECT 1")).fetch_all($executor).await.unwrap();
        }
        let typed = sqlx::query_as::<DB, (i32,)>(text(Sent::ToBeKept, "SELECT ?"));
        typed.bind(1).fetch_all($executor).await.unwrap();
        let scalar = sqlx::query_scalar::<DB, i32>(text(Sent::ToBeKept, "SELECT ?"));
        scalar.bind(1).fetch_one($executor).await.unwrap();
        let prepared = text(Sent::PreparedBefore, "SELECT ?").into_sql_str();
        let statement = $executor.prepare(prepared).await.unwrap();
        // Without types, PostgreSQL takes the value for a text.
        statement.query().bind("1").fetch_all($executor).await.unwrap();
        statement.query().bind("1").persistent(false).fetch_one($executor).await.unwrap();
        texts
    }};
}

/// What the driver sent of each, which it logs.
async fn assert_sent(capture: &Capture, statements: SqlCommenter, texts: &[(Sent, &'static str)]) {
    let commented = |sent| match statements {
        Uncached => matches!(sent, Sent::AsItIs | Sent::ForOneUse),
        All => sent != Sent::PreparedBefore,
        _ => false,
    };
    let spans = capture.spans();
    for (number, (sent, text)) in texts.iter().enumerate() {
        let mut expected = (*text).to_owned();
        if commented(*sent) {
            let span = &spans[number].span_context;
            let (trace, id) = (span.trace_id(), span.span_id());
            expected = format!("{text} /*traceparent='00-{trace}-{id}-01'*/");
        }
        assert_eq!(logged(text).await.0, expected, "{statements:?} {sent:?}");
    }
}

#[tokio::test]
async fn those_carry_a_comment_that_are_asked_for() {
    let Some(live) = Live::new().await else { return };
    subscribe();
    for statements in [Off, Uncached, All] {
        let capture = Capture::new();
        let telemetry = telemetry(&capture, statements);
        let pool = live.pool_of(PoolOptions::new().max_connections(1), &telemetry);
        let texts = each_way!(&pool);
        assert_sent(&capture, statements, &texts).await;
        let mut connection = pool.acquire().await.unwrap();
        capture.clear();
        let texts = each_way!(&mut *connection);
        assert_sent(&capture, statements, &texts).await;
        drop(connection);
        let mut transaction = pool.begin().await.unwrap();
        capture.clear();
        let texts = each_way!(&mut *transaction);
        assert_sent(&capture, statements, &texts).await;
        transaction.commit().await.unwrap();
        let mut connection = live.connection(&telemetry).await;
        capture.clear();
        let texts = each_way!(&mut connection);
        assert_sent(&capture, statements, &texts).await;
    }
}

#[tokio::test]
async fn what_is_not_sampled_carries_none() {
    let Some(live) = Live::new().await else { return };
    subscribe();
    let capture = Capture::not_sampled();
    let pool = live.pool(&telemetry(&capture, All));
    let texts = each_way!(&pool);
    assert_sent(&capture, Off, &texts).await;
}

#[tokio::test]
async fn the_span_tells_the_text_without_the_comment() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let pool = live.pool(&telemetry(&capture, All));
    let query = || sqlx::query(by_id()).bind(1);
    query().fetch_one(&pool).await.unwrap();
    query().fetch_all(&pool).await.unwrap();
    pool.execute("SELECT id FROM users WHERE id = 7;").await.unwrap();
    let bound = live.statement("SELECT users", by_id());
    let literal = live.statement("SELECT users", "SELECT id FROM users WHERE id = ?;");
    capture.assert_spans([bound.clone(), bound, literal]);
}

/// How many results and rows a text gives, or what code the server refuses it with.
macro_rules! answers {
    ($connection:expr, $text:expr) => {{
        let mut answers = sqlx::raw_sql($text).fetch_many(&mut *$connection);
        let mut seen = String::new();
        loop {
            match answers.try_next().await {
                Ok(Some(answer)) => seen.push(if answer.is_right() { 'r' } else { ';' }),
                Ok(None) => break seen,
                Err(error) => {
                    let code = error.as_database_error().and_then(|error| error.code());
                    break format!("{seen} {code:?}");
                }
            }
        }
    }};
}

#[tokio::test]
async fn the_server_answers_as_without_the_comment() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let mut bare = live.bare().await;
    let mut ours = live.connection(&telemetry(&capture, All)).await;
    let texts = [
        "SELECT 1",
        "SELECT 1;",
        "SELECT 1 ; ; \n",
        "SELECT 1; SELECT 2; SELECT id FROM users;",
        "SELECT 1 -- by hand",
        "SELECT 1 /* by hand */;",
        "SELECT '-- no comment', '/*', '*/', ';'",
        "SELECT ' ; ';",
        "UPDATE users SET name = 'dan' WHERE id = 3; SELECT name FROM users;",
        "",
        " ;",
        // Refused, and still refused.
        "SELECT 'open",
        "SELECT 'open;",
        "SELECT 1; SELECT 'open;",
        "SELECT \"open",
        "SELECT 1 /* open",
        "SELEC 1;",
        "SELECT (1",
    ];
    for text in texts {
        let expected = answers!(&mut bare, text);
        assert_eq!(answers!(&mut ours, text), expected, "{text}");
    }
    // The connection is as good as before.
    assert_eq!(ours.fetch_all(ALL).await.unwrap().len(), 3);
}

/// A comment makes a text of its own: it must not push out of the cache what is worth keeping.
#[tokio::test]
async fn no_statement_is_kept_for_one_trace() {
    let Some(live) = Live::new().await else { return };
    for (capture, statements, kept) in [
        (Capture::new(), Off, 1),
        (Capture::new(), Uncached, 1),
        (Capture::new(), All, 0),
        (Capture::not_sampled(), All, 1),
    ] {
        let mut connection = live.connection(&telemetry(&capture, statements)).await;
        for _ in 0..5 {
            sqlx::query(by_id()).bind(1).fetch_one(&mut connection).await.unwrap();
            sqlx::query(sql("SELECT ?"))
                .bind(1)
                .persistent(false)
                .execute(&mut connection)
                .await
                .unwrap();
        }
        // SQLite counts on another thread, after it has answered.
        connection.ping().await.unwrap();
        assert_eq!(connection.cached_statements_size(), kept, "{statements:?}");
    }
}

/// A server that stores the text of a definition would store the trace that made it.
#[tokio::test]
async fn a_definition_that_the_server_stores_has_no_comment() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let pool = live.pool(&telemetry(&capture, All));
    pool.execute(AssertSqlSafe(VIEW)).await.unwrap();
    let stored: String = sqlx::query_scalar(LAST_DEFINITION).fetch_one(&pool).await.unwrap();
    assert!(stored.contains("users") && !stored.contains("traceparent"), "{stored}");
}

/// The driver of `Any` decides by what it is told of the query too.
#[tokio::test]
async fn any_database() {
    let Some(live) = Live::new().await else { return };
    sqlx::any::install_default_drivers();
    subscribe();
    for statements in [Off, Uncached, All] {
        let capture = Capture::new();
        let raw = sqlx::AnyPool::connect(&live.0.url).await.unwrap();
        let pool = otel_sqlx::AnyPool::with(raw, &telemetry(&capture, statements));
        let mut texts = Vec::new();
        for (sent, persistent) in [(Sent::ForOneUse, false), (Sent::ToBeKept, true)] {
            let text = sql(&format!("SELECT ? AS {}", unique_name()));
            sqlx::query(text).bind(1).persistent(persistent).fetch_one(&pool).await.unwrap();
            texts.push((sent, text));
        }
        let text = sql(&format!("SELECT 1 AS {}", unique_name()));
        pool.execute(text).await.unwrap();
        texts.push((Sent::AsItIs, text));
        assert_sent(&capture, statements, &texts).await;
    }
}
