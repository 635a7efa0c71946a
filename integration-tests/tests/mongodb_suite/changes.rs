//! Change streams after they were opened: what they wait for is nobody's work, but their errors are
//! told.

use futures_util::{FutureExt as _, StreamExt as _};
use mongodb::bson::doc;

use crate::suite::{Lean, Scratch, failed};

#[tokio::test]
async fn an_error_after_the_first_event_is_told() {
    let Some(scratch) = Scratch::new().await else { return };
    drop(scratch.filled([1]).await);
    let Lean { client, numbers, .. } = scratch.lean();
    let mut changes = numbers.watch().await.unwrap();
    numbers.insert_one(doc! { "_id": 2 }).await.unwrap();
    changes.next().await.unwrap().unwrap();
    let guard = scratch.fail_next("getMore", doc! { "errorCode": 13 }).await;
    changes.next().await.unwrap().unwrap_err();
    drop(guard);
    scratch.capture.assert_spans([failed(scratch.on_numbers("getMore"), "13")]);
    scratch.assert_measured();
    drop(changes);

    let mut session = client.start_session().await.unwrap();
    let mut changes = numbers.watch().session(&mut session).await.unwrap();
    let guard = scratch.fail_next("getMore", doc! { "errorCode": 13 }).await;
    let (next, request) = scratch.below(changes.next(&mut session)).await;
    next.unwrap_err();
    drop(guard);
    scratch.capture.assert_spans([
        failed(scratch.on_numbers("getMore"), "13").child_of(request),
        otel_testing::span("request"),
    ]);
    drop((changes, session));
    scratch.end(client).await;
}

/// What the driver opens anew is no error; what it cannot open anew is one. With both ways at once.
#[tokio::test]
async fn a_stream_that_the_driver_resumes_is_told_where_that_fails() {
    let scratch = Scratch::with(|it| it, |options| options.direct_connection = None).await;
    let Some(scratch) = scratch else { return };
    drop(scratch.filled([1]).await);
    let Lean { client, numbers, .. } = scratch.both();
    let mut changes = numbers.watch().await.unwrap();
    numbers.insert_one(doc! { "_id": 2 }).await.unwrap();
    changes.next().await.unwrap().unwrap();
    let guard = scratch.fail_next("getMore", doc! { "errorCode": 43 }).await;
    numbers.insert_one(doc! { "_id": 3 }).await.unwrap();
    changes.next().await.unwrap().unwrap();
    drop(guard);
    scratch.capture.assert_spans([scratch.on_numbers("insert")]);
    // Who stops waiting has not failed.
    assert!(changes.next().now_or_never().is_none());
    let guard = scratch.fail(2, &["getMore", "aggregate"], doc! { "errorCode": 43 }).await;
    let error = changes.next().await.unwrap().unwrap_err();
    drop(guard);
    scratch.capture.assert_spans([failed(scratch.on_numbers("getMore"), "43")]);
    scratch.assert_measured();
    drop((changes, error));
    scratch.by_handles.goes_past("aggregate numbers", 2);
    scratch.end(client).await;
}
