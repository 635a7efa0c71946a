//! Sessions and transactions; and what of them nobody waits for.

use integration_tests::eventually;
use mongodb::bson::doc;

use crate::suite::{Scratch, failed};

#[tokio::test]
async fn a_transaction_is_its_commands() {
    let Some(scratch) = Scratch::new().await else { return };
    let numbers = scratch.filled([1]).await;
    let calls = async {
        let mut session = scratch.client.start_session().await.unwrap();
        for (id, commits) in [(2, true), (3, false)] {
            session.start_transaction().await.unwrap();
            numbers.insert_one(doc! { "_id": id }).session(&mut session).await.unwrap();
            if commits {
                session.commit_transaction().await.unwrap();
            } else {
                session.abort_transaction().await.unwrap();
            }
        }
    };
    let ((), request) = scratch.below(calls).await;
    let below = |span: otel_testing::assert::ExpectedSpan| span.child_of(request.clone());
    scratch.capture.assert_spans([
        below(scratch.on_numbers("insert")),
        below(scratch.command("commitTransaction", "admin")),
        below(scratch.on_numbers("insert")),
        below(scratch.command("abortTransaction", "admin")),
        otel_testing::span("request"),
    ]);
    scratch.assert_measured();
    scratch.remove().await;
}

#[tokio::test]
async fn of_two_transactions_on_one_document_the_second_fails() {
    let Some(scratch) = Scratch::new().await else { return };
    let numbers = scratch.filled([1]).await;
    let mut first = scratch.client.start_session().await.unwrap();
    let mut second = scratch.client.start_session().await.unwrap();
    first.start_transaction().await.unwrap();
    second.start_transaction().await.unwrap();
    let (one, change) = (doc! { "_id": 1 }, doc! { "$inc": { "count": 1 } });
    numbers.update_one(one.clone(), change.clone()).session(&mut first).await.unwrap();
    numbers.update_one(one, change).session(&mut second).await.unwrap_err();
    first.abort_transaction().await.unwrap();
    scratch.capture.assert_spans([
        scratch.on_numbers("update"),
        failed(scratch.on_numbers("update"), "112"),
        scratch.command("abortTransaction", "admin"),
    ]);
    // It is ended as one that was not dropped, by nobody.
    drop(second);
    let aborts = || scratch.capture.spans_named("abortTransaction admin").len();
    eventually("the second is ended", async || aborts() == 2).await;
    drop(first);
    scratch.remove().await;
}

/// The driver ends it in a task of its own, which knows no caller: a root.
#[tokio::test]
async fn a_transaction_that_is_dropped_is_ended_by_nobody() {
    let Some(scratch) = Scratch::new().await else { return };
    let numbers = scratch.filled([1]).await;
    let calls = async {
        let mut session = scratch.client.start_session().await.unwrap();
        session.start_transaction().await.unwrap();
        numbers.insert_one(doc! { "_id": 2 }).session(&mut session).await.unwrap();
    };
    let ((), request) = scratch.below(calls).await;
    let capture = &scratch.capture;
    eventually("it is ended", async || !capture.spans_named("abortTransaction admin").is_empty())
        .await;
    capture.assert_spans([
        scratch.on_numbers("insert").child_of(request),
        otel_testing::span("request"),
        scratch.command("abortTransaction", "admin"),
    ]);
    scratch.remove().await;
}

#[tokio::test]
async fn what_nobody_waits_for_is_not_told_where_a_parent_is_required() {
    let Some(scratch) = Scratch::with(|it| it.require_parent(true), |_| ()).await else { return };
    let numbers = scratch.filled([1]).await;
    let mut session = scratch.client.start_session().await.unwrap();
    session.start_transaction().await.unwrap();
    numbers.insert_one(doc! { "_id": 2 }).session(&mut session).await.unwrap();
    drop(session);
    let measured = || {
        let duration = "db.client.operation.duration";
        integration_tests::count(&scratch.capture, duration)
    };
    eventually("it is ended", async || measured() == 2).await;
    scratch.capture.assert_no_spans();
    // Nothing is a span here, and all of it was sent.
    let sent =
        [("abortTransaction", 1), ("dropDatabase", 1), ("endSessions", 1), ("insert numbers", 2)];
    for (text, times) in sent {
        scratch.by_events.goes_past(text, times);
    }
    scratch.remove().await;
}

/// The caller waits for it, so it is below the caller.
#[tokio::test]
async fn the_sessions_of_a_client_end_with_it() {
    let Some(scratch) = Scratch::new().await else { return };
    scratch.filled([1]).await.find_one(doc! {}).await.unwrap();
    scratch.capture.clear();
    let expected = scratch.command("endSessions", "admin");
    scratch.database.drop().await.unwrap();
    scratch.capture.clear();
    scratch.client.clone().shutdown().await;
    scratch.capture.assert_spans([expected]);
    scratch.audited().await;
}
