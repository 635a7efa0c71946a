//! Calls of which the driver tells nothing, because they never become a command; as the README has
//! it.

use std::net::TcpListener;
use std::time::Duration;

use futures_util::FutureExt as _;
use integration_tests::{count, eventually};
use mongodb::bson::doc;
use mongodb::error::ErrorKind;
use mongodb::options::{Credential, WriteConcern};

use crate::suite::Scratch;

#[tokio::test]
async fn no_server() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("mongodb://127.0.0.1:{port}/?directConnection=true");
    let limit = Some(Duration::from_millis(200));
    let set = |options: &mut mongodb::options::ClientOptions| {
        options.server_selection_timeout = limit;
    };
    let scratch = Scratch::on(&url, |it| it, set).await;
    let error = scratch.numbers().find_one(doc! {}).await.unwrap_err();
    assert!(matches!(*error.kind, ErrorKind::ServerSelection { .. }), "{error:?}");
    scratch.capture.assert_no_spans();
    scratch.capture.assert_no_metric("db.client.operation.duration");
    scratch.audited().await;
}

#[tokio::test]
async fn a_wrong_password() {
    let credential = Credential::builder().username("nobody".to_owned());
    let credential = credential.password("wrong".to_owned()).build();
    let scratch = Scratch::with(|it| it, |options| options.credential = Some(credential)).await;
    let Some(scratch) = scratch else { return };
    let error = scratch.numbers().find_one(doc! {}).await.unwrap_err();
    assert!(matches!(*error.kind, ErrorKind::Authentication { .. }), "{error:?}");
    scratch.capture.assert_no_spans();
    scratch.audited().await;
}

#[tokio::test]
async fn what_the_driver_refuses_itself() {
    let Some(scratch) = Scratch::new().await else { return };
    let unacknowledged = WriteConcern::builder().w(Some(0.into())).build();
    let refused = scratch.numbers().insert_one(doc! {}).write_concern(unacknowledged).await;
    let error = refused.unwrap_err();
    assert!(matches!(*error.kind, ErrorKind::InvalidArgument { .. }), "{error:?}");
    scratch.capture.assert_no_spans();
    scratch.audited().await;
}

/// Its span begins when it has a connection; the wait is the pool's metric.
#[tokio::test]
async fn the_wait_for_a_connection() {
    let scratch = Scratch::with(|it| it, |options| options.max_pool_size = Some(1)).await;
    let Some(scratch) = scratch else { return };
    let numbers = scratch.filled([1]).await;
    let slow = doc! { "blockConnection": true, "blockTimeMS": 300 };
    let guard = scratch.fail_next("find", slow).await;
    let first = numbers.find_one(doc! {}).into_future();
    // It takes the one connection first.
    let second = async { numbers.count_documents(doc! {}).await };
    let third = async {
        // Given up while it waits: nobody is told.
        numbers.distinct("_id", doc! {}).into_future().now_or_never()
    };
    let (first, second, third) = tokio::join!(first, second, third);
    assert!(first.unwrap().is_some() && second.unwrap() == 1 && third.is_none());
    drop(guard);
    let spans = scratch.capture.spans();
    let names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["find numbers", "aggregate numbers"]);
    assert!(spans[1].start_time >= spans[0].end_time);
    eventually("the connection is back", async || {
        count(&scratch.capture, "db.client.connection.use_time") >= 2
    })
    .await;
    let waited = scratch.capture.assert_metric("db.client.connection.wait_time");
    let waited: f64 = waited.points.iter().map(otel_testing::Point::sum).sum();
    assert!(waited > 0.2, "{waited}");
    scratch.remove().await;
}
