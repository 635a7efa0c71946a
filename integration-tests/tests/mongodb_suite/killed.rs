//! A server that is killed while it works, and comes back; and one that stands still.

use std::time::Duration;

use integration_tests::{eventually, private};
use mongodb::bson::doc;
use native::{Extra, Server};
use tokio::task::block_in_place;

use crate::suite::{Scratch, error};

const ENDS: [&str; 4] = ["BrokenPipe", "ConnectionReset", "UnexpectedEof", "ConnectionPoolCleared"];

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_in_mid_command_is_an_error_and_its_return_a_recovery() {
    let Some(mut server) = block_in_place(|| private(Server::mongodb(), Extra::new())) else {
        return;
    };
    let url = format!("{}&journal=true&serverSelectionTimeoutMS=5000", server.url());
    let scratch = Scratch::on(&url, |it| it, |_| ()).await;
    let numbers = scratch.filled([1, 2, 3]).await;
    let slow = doc! { "blockConnection": true, "blockTimeMS": 60_000 };
    let guard = scratch.fail_next("find", slow).await;
    let found = numbers.clone();
    let finding = tokio::spawn(async move { found.find_one(doc! {}).await });
    let capture = &scratch.capture;
    scratch.until_one_runs().await;
    block_in_place(|| server.kill()).unwrap();
    finding.await.unwrap().unwrap_err();
    drop(guard);
    numbers.find_one(doc! {}).await.unwrap_err();
    let spans = capture.spans();
    assert!(!spans.is_empty());
    for span in &spans {
        assert!(error(span).is_some_and(|error| ENDS.contains(&&*error)), "{span:#?}");
    }
    scratch.assert_measured();

    block_in_place(|| server.restart()).unwrap();
    eventually("the server answers again", async || numbers.find_one(doc! {}).await.is_ok()).await;
    capture.clear();
    numbers.find_one(doc! {}).await.unwrap().unwrap();
    numbers.insert_one(doc! { "_id": 4 }).await.unwrap();
    capture.assert_spans([scratch.on_numbers("find"), scratch.on_numbers("insert")]);
    assert_eq!(numbers.count_documents(doc! {}).await.unwrap(), 4);
    scratch.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stands_still_is_waited_for_as_long_as_the_caller_does() {
    let Some(mut server) = block_in_place(|| private(Server::mongodb(), Extra::new())) else {
        return;
    };
    let scratch = Scratch::on(server.url(), |it| it, |_| ()).await;
    let numbers = scratch.filled([1]).await;
    numbers.find_one(doc! {}).await.unwrap().unwrap();
    block_in_place(|| server.pause()).unwrap();
    let find = numbers.find_one(doc! {}).into_future();
    tokio::time::timeout(Duration::from_millis(300), find).await.unwrap_err();
    let capture = &scratch.capture;
    eventually("it is cancelled", async || capture.spans().len() == 2).await;
    assert_eq!(error(&capture.spans()[1]).as_deref(), Some("cancelled"));
    block_in_place(|| server.resume()).unwrap();
    eventually("it answers again", async || numbers.find_one(doc! {}).await.is_ok()).await;
    scratch.assert_measured();
    scratch.remove().await;
}
