//! Transactions and savepoints, however they end.

use std::future::pending;

use integration_tests::eventually;
use otel_sqlx::Connection;
use otel_testing::{metric, span};
use sqlx::{Executor as _, Row as _};
use tokio::sync::Notify;

use super::{Capture, DURATION, Live, below};
use crate::backend::{BEGIN_WITH, DB};

const ADD: &str = "INSERT INTO users (id, name) VALUES (4, 'dan')";
const ADD_SHOWN: &str = "INSERT INTO users (id, name) VALUES (?, ?)";
const COUNT: &str = "SELECT count(*) FROM users";

async fn users(connection: &mut Connection<DB>) -> i64 {
    connection.fetch_one(COUNT).await.unwrap().get(0)
}

#[tokio::test]
async fn commit_and_rollback_are_spans_beside_their_statements() {
    let Some(live) = Live::new().await else { return };
    for (end, users_after) in [("ROLLBACK", 3), ("COMMIT", 4)] {
        let capture = Capture::new();
        let pool = live.pool(&capture.telemetry());
        below(&capture, "request", async {
            let mut transaction = pool.begin().await.unwrap();
            transaction.execute(ADD).await.unwrap();
            if end == "COMMIT" {
                transaction.commit().await.unwrap();
            } else {
                transaction.rollback().await.unwrap();
            }
        })
        .await;
        assert_eq!(users(&mut pool.acquire().await.unwrap()).await, users_after);
        capture.assert_spans([
            live.operation("BEGIN").child_of("request"),
            live.statement("INSERT users", ADD_SHOWN).child_of("request"),
            live.operation(end).child_of("request"),
            span("request"),
            live.statement("SELECT users", COUNT),
        ]);
        capture.assert_metric(metric(DURATION).points([
            live.operation_point("BEGIN").count(1),
            live.statement_point("INSERT users").count(1),
            live.operation_point(end).count(1),
            live.statement_point("SELECT users").count(1),
        ]));
    }
}

#[tokio::test]
async fn a_dropped_transaction_tells_its_rollback_without_a_measurement() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let mut connection = live.connection(&capture.telemetry()).await;
    let mut transaction = connection.begin().await.unwrap();
    transaction.execute(ADD).await.unwrap();
    drop(transaction);
    assert_eq!(users(&mut connection).await, 3);
    capture.assert_spans([
        live.operation("BEGIN"),
        live.statement("INSERT users", ADD_SHOWN),
        live.operation("ROLLBACK"),
        live.statement("SELECT users", COUNT),
    ]);
    capture.assert_metric(metric(DURATION).points([
        live.operation_point("BEGIN").count(1),
        live.statement_point("INSERT users").count(1),
        live.statement_point("SELECT users").count(1),
    ]));
}

#[tokio::test]
async fn the_rollback_of_a_cancelled_request_has_the_parent_of_its_beginning() {
    let Some(live) = Live::new().await else { return };
    for whole in [false, true] {
        let capture = Capture::new();
        let pool = live.pool(&capture.telemetry_builder().transaction_spans(whole).build());
        let begun = Notify::new();
        let request = below(&capture, "request", async {
            let _transaction = pool.begin().await.unwrap();
            begun.notify_one();
            pending::<()>().await;
        });
        // The request is dropped here, where its context is not the current one.
        tokio::select! {
            () = request => {}
            () = begun.notified() => {}
        }
        let transaction = format!("transaction {}", live.0.namespace);
        let parent = if whole { transaction } else { "request".to_owned() };
        let whole = whole.then(|| live.operation("transaction").internal().child_of("request"));
        let within =
            ["BEGIN", "ROLLBACK"].map(|name| live.operation(name).child_of(parent.clone()));
        capture.assert_spans(within.into_iter().chain(whole).chain([span("request")]));
        // It is sent on the way back.
        eventually("the connection is back", async || pool.num_idle() == 1).await;
    }
}

#[tokio::test]
async fn a_transaction_within_another_is_a_savepoint() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let mut connection = live.connection(&capture.telemetry()).await;
    let mut outer = connection.begin().await.unwrap();

    outer.begin().await.unwrap().commit().await.unwrap();
    let mut inner = outer.begin().await.unwrap();
    inner.execute(ADD).await.unwrap();
    inner.rollback().await.unwrap();
    drop(outer.begin().await.unwrap());
    assert_eq!(users(&mut outer).await, 3);
    outer.execute(ADD).await.unwrap();
    outer.commit().await.unwrap();

    assert!(!connection.is_in_transaction());
    assert_eq!(users(&mut connection).await, 4);
    capture.assert_spans([
        live.operation("BEGIN"),
        live.operation("SAVEPOINT"),
        live.operation("RELEASE SAVEPOINT"),
        live.operation("SAVEPOINT"),
        live.statement("INSERT users", ADD_SHOWN),
        live.operation("ROLLBACK TO SAVEPOINT"),
        live.operation("SAVEPOINT"),
        live.operation("ROLLBACK TO SAVEPOINT"),
        live.statement("SELECT users", COUNT),
        live.statement("INSERT users", ADD_SHOWN),
        live.operation("COMMIT"),
        live.statement("SELECT users", COUNT),
    ]);
}

#[tokio::test]
async fn a_transaction_begun_by_a_statement_is_told_by_it() {
    let Some(live) = Live::new().await else { return };
    let (statement, summary) = BEGIN_WITH;
    let capture = Capture::new();
    let pool = live.pool(&capture.telemetry());
    pool.begin_with(statement).await.unwrap().commit().await.unwrap();
    eventually("the connection is back", async || pool.num_idle() == 1).await;
    pool.try_begin_with(statement).await.unwrap().unwrap().rollback().await.unwrap();
    let begin = || live.statement(summary, statement);
    capture.assert_spans([begin(), live.operation("COMMIT"), begin(), live.operation("ROLLBACK")]);
}

#[tokio::test]
async fn a_callback_is_committed_or_rolled_back_by_its_result() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let mut connection = live.connection(&capture.telemetry()).await;
    for (fails, end) in [(false, "COMMIT"), (true, "ROLLBACK")] {
        capture.clear();
        let result = connection
            .transaction(move |transaction| {
                Box::pin(async move {
                    transaction.execute(COUNT).await?;
                    if fails { Err(sqlx::Error::RowNotFound) } else { Ok(()) }
                })
            })
            .await;
        assert_eq!(result.is_err(), fails);
        let select = live.statement("SELECT users", COUNT);
        capture.assert_spans([live.operation("BEGIN"), select, live.operation(end)]);
    }
}

#[tokio::test]
async fn a_span_over_the_whole_transaction_is_the_parent_where_that_is_asked_for() {
    let Some(live) = Live::new().await else { return };
    let whole = format!("transaction {}", live.0.namespace);
    let capture = Capture::new();
    let pool = live.pool(&capture.telemetry_builder().transaction_spans(true).build());
    below(&capture, "request", async {
        let mut transaction = pool.begin().await.unwrap();
        transaction.execute(ADD).await.unwrap();
        below(&capture, "step", transaction.execute(COUNT)).await.unwrap();
        transaction.commit().await.unwrap();
        drop(pool.begin().await.unwrap());
    })
    .await;
    let transaction = || live.operation("transaction").internal().child_of("request");
    capture.assert_spans([
        live.operation("BEGIN").child_of(whole.clone()),
        live.statement("INSERT users", ADD_SHOWN).child_of(whole.clone()),
        live.statement("SELECT users", COUNT).child_of("step"),
        span("step").child_of("request"),
        live.operation("COMMIT").child_of(whole.clone()),
        transaction(),
        live.operation("BEGIN").child_of(whole.clone()),
        live.operation("ROLLBACK").child_of(whole),
        transaction(),
        span("request"),
    ]);
    // What runs after it has nothing to do with it.
    capture.clear();
    pool.execute(COUNT).await.unwrap();
    capture.assert_spans([live.statement("SELECT users", COUNT)]);
    // The rollback has its span at once, and is sent on the way back.
    let idle = async || pool.num_idle() == pool.size() as usize;
    eventually("all connections are back", idle).await;
}
