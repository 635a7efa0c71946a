//! What fails, is given up, or never becomes a command, through the handles.

use std::net::TcpListener;
use std::time::Duration;

use futures_util::{FutureExt as _, TryStreamExt as _};
use integration_tests::{assert_nowhere, eventually, private};
use mongodb::bson::doc;
use mongodb::error::ErrorKind;
use mongodb::options::{Credential, WriteConcern};
use native::{Extra, Server};
use tokio::task::block_in_place;

use crate::load::run_tasks;
use crate::suite::{Lean, Scratch, error, failed, lost};

#[tokio::test]
async fn what_the_server_refuses_is_an_error_of_the_call() {
    let Some(scratch) = Scratch::new().await else { return };
    drop(scratch.filled([1, 2, 3]).await);
    let Lean { client, database, numbers } = scratch.lean();
    let found = numbers.find(doc! {}).batch_size(2).await.unwrap();
    let guard = scratch.fail_next("getMore", doc! { "errorCode": 43 }).await;
    found.try_collect::<Vec<_>>().await.unwrap_err();
    drop(guard);
    let duplicate = || failed(scratch.on_numbers("insert"), "11000");
    numbers.insert_one(doc! { "_id": 1 }).await.unwrap_err();
    numbers.insert_many([9, 1, 10].map(|id| doc! { "_id": id })).await.unwrap_err();
    database.run_command(doc! { "noSuchCommand": 1 }).await.unwrap_err();
    numbers.find(doc! { "_id": { "$noSuch": 1 } }).await.err().unwrap();
    numbers.aggregate([doc! { "$unknown": 1 }]).await.err().unwrap();
    scratch.capture.assert_spans([
        failed(scratch.on_numbers("find"), "43"),
        duplicate(),
        duplicate().attribute("db.operation.batch.size", 3),
        failed(scratch.command("noSuchCommand", &scratch.name), "59"),
        failed(scratch.on_numbers("find"), "2"),
        failed(scratch.on_numbers("aggregate"), "40324"),
    ]);
    scratch.end(client).await;
}

/// However often the driver tries, it is one call, which did not fail.
#[tokio::test]
async fn a_repetition_of_the_drivers_is_inside_of_the_call() {
    let Some(scratch) = Scratch::new().await else { return };
    drop(scratch.filled([1]).await);
    let Lean { client, numbers, .. } = scratch.lean();
    let guard = scratch.fail_next("find", doc! { "closeConnection": true }).await;
    assert!(numbers.find_one(doc! {}).await.unwrap().is_some());
    drop(guard);
    scratch.capture.assert_spans([scratch.on_numbers("find")]);
    scratch.by_handles.goes_past("find numbers", 1);
    scratch.end(client).await;
}

#[tokio::test]
async fn without_a_server_the_call_is_an_error() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("mongodb://127.0.0.1:{port}/?directConnection=true");
    let limit = Some(Duration::from_millis(200));
    let scratch = Scratch::on(&url, |it| it, |options| options.server_selection_timeout = limit);
    let scratch = scratch.await;
    let Lean { numbers, .. } = scratch.lean();
    let error = numbers.find_one(doc! {}).await.unwrap_err();
    assert!(matches!(*error.kind, ErrorKind::ServerSelection { .. }), "{error:?}");
    scratch.capture.assert_spans([lost(scratch.on_numbers("find"), "ServerSelection")]);
    let span = &scratch.capture.spans()[0];
    let took = span.end_time.duration_since(span.start_time).unwrap();
    assert!(took >= Duration::from_millis(200), "{took:?}");
    scratch.assert_measured();
    scratch.audited().await;
}

#[tokio::test]
async fn a_wrong_password_is_an_error_of_the_call() {
    let credential = Credential::builder().username("nobody".to_owned());
    let credential = credential.password("wrong".to_owned()).build();
    let scratch = Scratch::with(|it| it, |options| options.credential = Some(credential)).await;
    let Some(scratch) = scratch else { return };
    let Lean { numbers, .. } = scratch.lean();
    let error = numbers.find_one(doc! {}).await.unwrap_err();
    assert!(matches!(*error.kind, ErrorKind::Authentication { .. }), "{error:?}");
    scratch.capture.assert_spans([lost(scratch.on_numbers("find"), "Authentication")]);
    assert_nowhere(&scratch.capture, "nobody");
    scratch.audited().await;
}

#[tokio::test]
async fn what_the_driver_refuses_is_an_error_of_the_call() {
    let Some(scratch) = Scratch::new().await else { return };
    let Lean { client, numbers, .. } = scratch.lean();
    let unacknowledged = WriteConcern::builder().w(Some(0.into())).build();
    let refused = numbers.insert_one(doc! {}).write_concern(unacknowledged).await;
    assert!(matches!(*refused.unwrap_err().kind, ErrorKind::InvalidArgument { .. }));
    numbers.insert_many(Vec::<mongodb::bson::Document>::new()).await.unwrap_err();
    let refused = || lost(scratch.on_numbers("insert"), "InvalidArgument");
    scratch.capture.assert_spans([refused(), refused().attribute("db.operation.batch.size", 0)]);
    scratch.end(client).await;
}

/// It begins when the caller calls, and not when there is a connection.
#[tokio::test]
async fn the_wait_for_a_connection_is_part_of_the_call() {
    let scratch = Scratch::with(|it| it, |options| options.max_pool_size = Some(1)).await;
    let Some(scratch) = scratch else { return };
    drop(scratch.filled([1]).await);
    let Lean { client, numbers, .. } = scratch.lean();
    // Who asks first has the one connection, if it is there.
    numbers.find_one(doc! {}).await.unwrap();
    let slow = doc! { "blockConnection": true, "blockTimeMS": 300 };
    let guard = scratch.fail_next("find", slow).await;
    let first = numbers.find_one(doc! {}).into_future();
    let second = numbers.count_documents(doc! {}).into_future();
    // Given up while it waits.
    let third = async { numbers.distinct("_id", doc! {}).into_future().now_or_never() };
    let (first, second, third) = tokio::join!(first, second, third);
    assert!(first.unwrap().is_some() && second.unwrap() == 1 && third.is_none());
    drop(guard);
    scratch.capture.assert_spans([
        lost(scratch.on_numbers("distinct"), "cancelled"),
        scratch.on_numbers("find"),
        scratch.on_numbers("aggregate"),
    ]);
    let spans = scratch.capture.spans();
    assert!(spans[2].start_time < spans[1].end_time, "{spans:?}");
    scratch.end(client).await;
}

#[tokio::test]
async fn a_call_that_is_dropped_is_cancelled_at_once() {
    let Some(scratch) = Scratch::new().await else { return };
    drop(scratch.filled(1..=5).await);
    let Lean { client, numbers, .. } = scratch.lean();
    let slow = doc! { "blockConnection": true, "blockTimeMS": 60_000 };
    let guard = scratch.fail_next("find", slow.clone()).await;
    let find = numbers.find_one(doc! {}).into_future();
    let (timed_out, request) =
        scratch.below(tokio::time::timeout(Duration::from_millis(100), find)).await;
    timed_out.unwrap_err();
    let cancelled = lost(scratch.on_numbers("find"), "cancelled");
    let below = cancelled.clone().child_of(request);
    scratch.capture.assert_spans([below, otel_testing::span("request")]);
    drop(guard);
    // A cursor that waits for its next documents.
    let mut found = numbers.find(doc! {}).batch_size(2).await.unwrap();
    let guard = scratch.fail_next("getMore", slow).await;
    let waiting = async { while found.try_next().await.unwrap().is_some() {} };
    tokio::time::timeout(Duration::from_millis(100), waiting).await.unwrap_err();
    drop(found);
    scratch.capture.assert_spans([cancelled]);
    drop(guard);
    drop(numbers.find_one(doc! {}).into_future());
    scratch.capture.clear();
    assert!(numbers.find_one(doc! {}).await.unwrap().is_some());
    scratch.capture.assert_spans([scratch.on_numbers("find")]);
    scratch.end(client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_in_mid_call_is_an_error_and_its_return_a_recovery() {
    let Some(mut server) = block_in_place(|| private(Server::mongodb(), Extra::new())) else {
        return;
    };
    let url = format!("{}&journal=true&serverSelectionTimeoutMS=5000", server.url());
    let scratch = Scratch::on(&url, |it| it, |_| ()).await;
    drop(scratch.filled([1, 2, 3]).await);
    let (Lean { client, numbers, .. }, bare) = (scratch.lean(), scratch.bare());
    let plain = bare.database(&scratch.name).collection::<mongodb::bson::Document>("numbers");
    numbers.find_one(doc! {}).await.unwrap();
    let slow = doc! { "blockConnection": true, "blockTimeMS": 60_000 };
    let guard = scratch.fail_next("find", slow).await;
    let found = numbers.clone();
    let finding = tokio::spawn(async move { found.find_one(doc! {}).await });
    let capture = &scratch.capture;
    scratch.until_one_runs().await;
    block_in_place(|| server.kill()).unwrap();
    finding.await.unwrap().unwrap_err();
    drop(guard);
    let (ours, drivers) = tokio::join!(numbers.find_one(doc! {}), plain.find_one(doc! {}));
    assert!(ours.is_err() && drivers.is_err());
    let spans = capture.spans();
    assert_eq!(spans.len(), 2, "{spans:#?}");
    assert!(spans.iter().all(|span| error(span).is_some()), "{spans:#?}");
    scratch.assert_measured();

    block_in_place(|| server.restart()).unwrap();
    eventually("the server answers again", async || numbers.find_one(doc! {}).await.is_ok()).await;
    capture.clear();
    numbers.find_one(doc! {}).await.unwrap().unwrap();
    numbers.insert_one(doc! { "_id": 4 }).await.unwrap();
    capture.assert_spans([scratch.on_numbers("find"), scratch.on_numbers("insert")]);
    assert_eq!(plain.count_documents(doc! {}).await.unwrap(), 4);
    bare.shutdown().immediate(true).await;
    scratch.end(client).await;
}

/// As many as the hook's, and as few at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_tasks_of_which_many_are_dropped_are_told_once_each() {
    let scratch = Scratch::with(|it| it, |options| options.max_pool_size = Some(8)).await;
    let Some(scratch) = scratch else { return };
    drop(scratch.filled(1..=5).await);
    let Lean { client, numbers, .. } = scratch.lean();
    let done = run_tasks(&scratch.capture, |call| {
        let numbers = numbers.clone();
        async move {
            match call {
                0 => numbers.find_one(doc! {}).await.map(drop),
                1 => {
                    let found = numbers.find(doc! {}).batch_size(2).await?;
                    found.try_collect::<Vec<_>>().await.map(drop)
                }
                _ => numbers.count_documents(doc! {}).await.map(drop),
            }
        }
    });
    let done = done.await;
    scratch.capture.check();
    scratch.assert_measured();
    done.each(&scratch.capture, |task, result, own| {
        // A timeout of no time polls once as well.
        let [span] = own[..] else { panic!("{own:#?}") };
        assert_eq!(span.parent_span_id, task.span_id());
        match result {
            Some(result) => {
                result.as_ref().unwrap();
                assert_eq!(error(span), None);
            }
            None => assert!(matches!(error(span).as_deref(), None | Some("cancelled")), "{span:?}"),
        }
    });
    assert!(numbers.find_one(doc! {}).await.unwrap().is_some());
    scratch.end(client).await;
}
