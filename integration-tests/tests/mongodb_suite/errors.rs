//! What fails on the server, and what is given up.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use integration_tests::{assert_nowhere, eventually, is_real};
use mongodb::bson::doc;
use mongodb::options::WriteConcern;
use native::Server;
use otel_testing::opentelemetry_sdk::trace::SpanData;

use crate::suite::{Scratch, failed, lost};

/// The driver hears of it only after it was told that the command succeeded.
#[tokio::test]
async fn a_write_error_is_inside_of_a_success() {
    let Some(scratch) = Scratch::new().await else { return };
    let numbers = scratch.filled([1]).await;
    numbers.insert_one(doc! { "_id": 1 }).await.unwrap_err();
    numbers.insert_many([2, 1, 3].map(|id| doc! { "_id": id })).await.unwrap_err();
    let expected = || failed(scratch.on_numbers("insert"), "11000");
    let many = expected().attribute("db.operation.batch.size", 3);
    scratch.capture.assert_spans([expected(), many]);
    let points = scratch.capture.assert_metric("db.client.operation.duration").points;
    for (point, name) in points
        .iter()
        .flat_map(|it| ["error.type", "db.response.status_code"].map(|name| (it, name)))
    {
        assert_eq!(point.attribute(name).unwrap().as_str(), "11000", "{points:?}");
    }
    scratch.assert_measured();
    scratch.remove().await;
}

#[tokio::test]
async fn a_concern_that_cannot_be_met_is_inside_of_a_success() {
    let Some(scratch) = Scratch::new().await else { return };
    let about = scratch.client.database("admin").run_command(doc! { "buildInfo": 1 }).await;
    let stand_in = about.unwrap().contains_key("secantusVersion").then_some("SecantusDB");
    if !is_real(Server::mongodb(), stand_in, "has no write concern errors") {
        return scratch.remove().await;
    }
    let concern = WriteConcern::builder().w(Some(50.into())).build();
    let numbers = scratch.filled([1]).await;
    let refused = numbers.insert_one(doc! { "_id": 2 }).write_concern(concern).await;
    refused.unwrap_err();
    scratch.capture.assert_spans([failed(scratch.on_numbers("insert"), "100")]);
    scratch.remove().await;
}

#[tokio::test]
async fn what_the_server_refuses_has_its_code() {
    let Some(scratch) = Scratch::new().await else { return };
    let numbers = scratch.filled(1..=3).await;
    let name = &scratch.name;
    scratch.database.run_command(doc! { "noSuchCommand": 1 }).await.unwrap_err();
    numbers.find(doc! { "_id": { "$noSuch": 1 } }).await.err().unwrap();
    numbers.aggregate([doc! { "$unknown": 1 }]).await.err().unwrap();
    scratch.capture.assert_spans([
        failed(scratch.command("noSuchCommand", name), "59"),
        failed(scratch.on_numbers("find"), "2"),
        failed(scratch.on_numbers("aggregate"), "40324"),
    ]);
    // One that is given by the server whenever it is asked to.
    for (code, told) in [(8, "8"), (13, "13"), (50, "50"), (112, "112")] {
        let guard = scratch.fail_next("find", doc! { "errorCode": code }).await;
        numbers.find_one(doc! {}).await.unwrap_err();
        scratch.capture.assert_spans([failed(scratch.on_numbers("find"), told)]);
        drop(guard);
    }
    scratch.remove().await;
}

#[tokio::test]
async fn a_cursor_that_is_gone_is_an_error_of_its_batch() {
    let Some(scratch) = Scratch::new().await else { return };
    let numbers = scratch.filled(1..=5).await;
    let found = numbers.find(doc! {}).batch_size(2).await.unwrap();
    let guard = scratch.fail_next("getMore", doc! { "errorCode": 43 }).await;
    found.try_collect::<Vec<_>>().await.unwrap_err();
    let spans = scratch.capture.spans();
    assert_eq!(told(&spans[0]), ("getMore numbers", Some("43".to_owned())), "{spans:#?}");
    drop(guard);
    scratch.remove().await;
}

#[tokio::test]
async fn a_time_limit_of_the_server_is_its_error() {
    let Some(scratch) = Scratch::new().await else { return };
    let numbers = scratch.filled(0..1000).await;
    // Compares each with each.
    let join = doc! { "$lookup": {
        "from": "numbers", "let": { "id": "$_id" }, "as": "greater",
        "pipeline": [{ "$match": { "$expr": { "$gt": ["$_id", "$$id"] } } }],
    } };
    let limit = Duration::from_millis(20);
    numbers.aggregate([join]).max_time(limit).await.err().unwrap();
    scratch.capture.assert_spans([failed(scratch.on_numbers("aggregate"), "50")]);
    scratch.remove().await;
}

/// A span for each attempt, as the driver makes them.
#[tokio::test]
async fn a_lost_connection_is_an_error_and_the_repetition_another_span() {
    let Some(scratch) = Scratch::new().await else { return };
    let numbers = scratch.filled([1]).await;
    let guard = scratch.fail_next("find", doc! { "closeConnection": true }).await;
    assert!(numbers.find_one(doc! {}).await.unwrap().is_some());
    drop(guard);
    let spans = scratch.capture.spans();
    let told: Vec<_> = spans.iter().map(told).collect();
    let [(name, error), again] = &told[..] else { panic!("{told:?}") };
    assert_eq!((*name, again), ("find numbers", &("find numbers", None)));
    let ends = ["BrokenPipe", "ConnectionReset", "UnexpectedEof"];
    assert!(error.as_deref().is_some_and(|error| ends.contains(&error)), "{told:?}");
    scratch.assert_measured();
    scratch.remove().await;
}

fn told(span: &SpanData) -> (&str, Option<String>) {
    let error = span.attributes.iter().find(|fact| fact.key.as_str() == "error.type");
    (&span.name, error.map(|error| error.value.to_string()))
}

#[tokio::test]
async fn a_call_that_is_dropped_is_cancelled_when_its_connection_closes() {
    let Some(scratch) = Scratch::new().await else { return };
    let numbers = scratch.filled([1]).await;
    let slow = doc! { "blockConnection": true, "blockTimeMS": 60_000 };
    let guard = scratch.fail_next("find", slow).await;
    let find =
        tokio::time::timeout(Duration::from_millis(100), numbers.find_one(doc! {}).into_future());
    let (timed_out, request) = scratch.below(find).await;
    timed_out.unwrap_err();
    let capture = &scratch.capture;
    eventually("it is cancelled", async || capture.spans().len() == 2).await;
    let cancelled = lost(scratch.on_numbers("find"), "cancelled").child_of(request);
    capture.assert_spans_in_any_order([cancelled, otel_testing::span("request")]);
    drop(guard);
    // Another connection takes over.
    assert!(numbers.find_one(doc! {}).await.unwrap().is_some());
    scratch.assert_measured();
    scratch.remove().await;
}

#[tokio::test]
async fn a_call_that_is_dropped_did_not_fail_where_the_user_says_so() {
    let scratch = Scratch::with(|it| it.cancelled_is_error(false), |_| ()).await;
    let Some(scratch) = scratch else { return };
    let numbers = scratch.filled([1]).await;
    let slow = doc! { "blockConnection": true, "blockTimeMS": 60_000 };
    let guard = scratch.fail_next("find", slow).await;
    let find = numbers.find_one(doc! {}).into_future();
    tokio::time::timeout(Duration::from_millis(100), find).await.unwrap_err();
    eventually("it ends", async || !scratch.capture.spans().is_empty()).await;
    scratch.capture.assert_spans([scratch.on_numbers("find")]);
    drop(guard);
    scratch.remove().await;
}

/// Whose texts quote the key that was there already.
#[tokio::test]
async fn no_text_of_an_error_is_told() {
    let Some(scratch) = Scratch::new().await else { return };
    let people = scratch.database.collection("people");
    people.insert_one(doc! { "_id": "ada@example.com" }).await.unwrap();
    let error = people.insert_one(doc! { "_id": "ada@example.com" }).await.unwrap_err();
    assert!(error.to_string().contains("ada@example.com"), "{error}");
    assert_nowhere(&scratch.capture, "ada@example.com");
    scratch.remove().await;
}
