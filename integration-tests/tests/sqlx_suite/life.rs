//! Ordinary life: queries through a pool, a connection, a plain connection.

use futures_util::TryStreamExt as _;
use otel_testing::{metric, point, span};
use sqlx::{Executor as _, Row as _, SqlSafeStr as _, Statement as _};

use super::{ALL, Capture, DURATION, Live, ROWS, below, by_id, sql};
use crate::backend::{CODES, DB};

/// Each way of running a query once, on executors that `$executor` makes anew; every one of them
/// meets two users.
macro_rules! each_way {
    ($text:expr, $executor:expr) => {{
        let query = || sqlx::query::<DB>($text).bind(2);
        query().execute($executor).await.unwrap();
        assert_eq!(query().fetch_all($executor).await.unwrap().len(), 2);
        assert_eq!(query().fetch_one($executor).await.unwrap().get::<i32, _>("id"), 2);
        assert!(query().fetch_optional($executor).await.unwrap().is_some());
        assert_eq!(query().fetch($executor).try_collect::<Vec<_>>().await.unwrap().len(), 2);
        let mapped = query().map(|row| row.get::<String, _>("name")).fetch_all($executor);
        assert_eq!(mapped.await.unwrap(), ["bob", "cid"]);
        let typed = sqlx::query_as::<DB, (i32, String)>($text).bind(2).fetch_all($executor);
        assert_eq!(typed.await.unwrap()[1], (3, "cid".to_owned()));
        let scalars = sqlx::query_scalar::<DB, i32>($text).bind(2).fetch_all($executor);
        assert_eq!(scalars.await.unwrap(), [2, 3]);
    }};
}
const WAYS: usize = 8;
/// Two rows each, one where only one was asked for.
const ROWS_OF_ALL_WAYS: u32 = 14;

fn from_id() -> &'static str {
    sql("SELECT id, name FROM users WHERE id >= ? ORDER BY id")
}

fn assert_each_way(live: &Live, capture: &Capture, text: &'static str) {
    let expected = || live.statement("SELECT users", text).child_of("request");
    let request = [span("request")];
    capture.assert_spans((0..WAYS).map(|_| expected()).chain(request));
    let point = || live.statement_point("SELECT users").count(WAYS as u64);
    capture.assert_metric(metric(DURATION).histogram().unit("s").point(point()));
    capture.assert_metric(metric(ROWS).histogram().point(point().value(ROWS_OF_ALL_WAYS)));
}

#[tokio::test]
async fn each_way_of_a_query_on_a_pool_is_one_span() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let (pool, text) = (live.pool(&capture.telemetry()), from_id());
    below(&capture, "request", async { each_way!(text, &pool) }).await;
    assert_each_way(&live, &capture, text);
}

#[tokio::test]
async fn each_way_of_a_query_on_a_pooled_connection_is_one_span() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let (pool, text) = (live.pool(&capture.telemetry()), from_id());
    let mut connection = pool.acquire().await.unwrap();
    below(&capture, "request", async { each_way!(text, &mut *connection) }).await;
    assert_each_way(&live, &capture, text);
}

#[tokio::test]
async fn each_way_of_a_query_on_a_plain_connection_is_one_span() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let text = from_id();
    let mut connection = live.connection(&capture.telemetry()).await;
    below(&capture, "request", async { each_way!(text, &mut connection) }).await;
    assert_each_way(&live, &capture, text);
    capture.assert_no_metric("db.client.connection.wait_time");
}

#[tokio::test]
async fn the_methods_of_the_executor_are_spans_too() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let pool = live.pool(&capture.telemetry());
    pool.execute(ALL).await.unwrap();
    assert_eq!(pool.fetch_all(ALL).await.unwrap().len(), 3);
    assert_eq!(pool.fetch_one(ALL).await.unwrap().get::<i32, _>(0), 1);
    assert!(pool.fetch_optional(ALL).await.unwrap().is_some());
    assert_eq!(pool.fetch(ALL).try_collect::<Vec<_>>().await.unwrap().len(), 3);
    capture.assert_spans((0..5).map(|_| live.statement("SELECT users", ALL)));
}

#[tokio::test]
async fn several_statements_in_one_text_are_one_span() {
    const SEVERAL: &str = "INSERT INTO users (id, name) VALUES (4, 'dan'); \
                           SELECT name FROM users WHERE id = 4";
    const SHOWN: &str = "INSERT INTO users (id, name) VALUES (?, ?); \
                         SELECT name FROM users WHERE id = ?";
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let pool = live.pool(&capture.telemetry());
    let results = sqlx::raw_sql(SEVERAL).fetch_many(&pool).try_collect::<Vec<_>>().await.unwrap();
    let rows: Vec<_> = results.into_iter().filter_map(sqlx::Either::right).collect();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].get::<String, _>(0), "dan");
    let counted = || live.statement_point("INSERT users; SELECT users").count(1);
    capture.assert_spans([live.statement("INSERT users; SELECT users", SHOWN)]);
    capture.assert_metric(metric(DURATION).point(counted()));
    capture.assert_metric(metric(ROWS).point(counted().value(1)));

    capture.clear();
    let both = "DELETE FROM users WHERE id = 4; DELETE FROM users WHERE id = 3";
    let results = sqlx::raw_sql(both).execute_many(&pool);
    assert_eq!(results.try_collect::<Vec<_>>().await.unwrap().len(), 2);
    let shown = "DELETE FROM users WHERE id = ?; DELETE FROM users WHERE id = ?";
    capture.assert_spans([live.statement("DELETE users; DELETE users", shown)]);
}

#[tokio::test]
async fn a_literal_is_hidden_and_a_value_is_never_shown() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let pool = live.pool(&capture.telemetry());
    pool.execute("UPDATE users SET name = 'hidden-one' WHERE id = 1").await.unwrap();
    // An empty list of values is none.
    let literal = "UPDATE users SET name = 'hidden-six' WHERE id = 1";
    sqlx::query(literal).execute(&pool).await.unwrap();
    let bound = sql("UPDATE users SET name = ? WHERE id = ?");
    sqlx::query(bound).bind("hidden-two").bind(2).execute(&pool).await.unwrap();
    let commented = sql("/* hidden-three */ UPDATE users SET name = ? -- hidden-four");
    sqlx::query(commented).bind("hidden-five").execute(&pool).await.unwrap_err();
    let update = |text| live.statement("UPDATE users", text);
    capture.assert_spans([
        update("UPDATE users SET name = ? WHERE id = ?"),
        update("UPDATE users SET name = ? WHERE id = ?"),
        update(bound),
        update("")
            .any_attribute("db.query.text")
            .attributes([("error.type", CODES.unique), ("db.response.status_code", CODES.unique)])
            .error("unique violation"),
    ]);
    integration_tests::assert_nowhere(&capture, "hidden");
}

#[tokio::test]
async fn a_query_that_is_not_run_tells_nothing() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let pool = live.pool(&capture.telemetry());
    drop(sqlx::query(ALL).execute(&pool));
    drop(sqlx::query(ALL).fetch(&pool));
    capture.assert_no_spans();
    capture.assert_no_metric(DURATION);
}

#[tokio::test]
async fn a_preparation_is_a_span_where_that_is_asked_for() {
    let Some(live) = Live::new().await else { return };
    let text = by_id();
    for (wanted, prefix) in [(false, 0), (true, 2)] {
        let capture = Capture::new();
        let telemetry = capture.telemetry_builder().prepare_spans(wanted).build();
        let pool = live.pool(&telemetry);
        let mut connection = pool.acquire().await.unwrap();
        let prepared = (&mut *connection).prepare(text.into_sql_str()).await.unwrap();
        pool.prepare(text.into_sql_str()).await.unwrap();
        let row = prepared.query().bind(2).fetch_one(&mut *connection).await.unwrap();
        assert_eq!(row.get::<String, _>(0), "bob");

        let preparation = || live.statement("PREPARE SELECT users", text);
        let run = live.statement("SELECT users", text);
        capture.assert_spans((0..prefix).map(|_| preparation()).chain([run]));
        let runs = live.statement_point("SELECT users").count(1);
        let preparations = live.statement_point("PREPARE SELECT users").count(prefix);
        let preparations = wanted.then_some(preparations);
        capture.assert_metric(metric(DURATION).point(runs).points(preparations));
    }
}

#[tokio::test]
async fn the_wait_for_a_connection_is_a_span_where_that_is_asked_for() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let pool = live.pool(&capture.telemetry_builder().pool_wait_spans(true).build());
    pool.execute(ALL).await.unwrap();
    let mut transaction = pool.begin().await.unwrap();
    transaction.execute(ALL).await.unwrap();
    transaction.commit().await.unwrap();
    drop(pool.acquire().await.unwrap());
    let wait = || live.operation("acquire").internal();
    let begin = format!("BEGIN {}", live.0.namespace);
    capture.assert_spans([
        wait().child_of("SELECT users"),
        live.statement("SELECT users", ALL),
        wait().child_of(begin),
        live.operation("BEGIN"),
        live.statement("SELECT users", ALL),
        live.operation("COMMIT"),
        wait(),
    ]);
    let pool_name = capture.assert_metric("db.client.connection.max").points[0].attributes.clone();
    let waits = point().attributes(pool_name).count(3);
    capture.assert_metric(metric("db.client.connection.wait_time").histogram().point(waits));
}
