//! Transactions by callback, whose commit or abort the driver sends itself.

use futures_util::FutureExt as _;
use mongodb::bson::{Document, doc};
use mongodb::error::TRANSIENT_TRANSACTION_ERROR;

use crate::suite::audit::Audit;
use crate::suite::{Lean, Scratch, failed, lost};

fn turn_again() -> Document {
    doc! { "errorCode": 112, "errorLabels": [TRANSIENT_TRANSACTION_ERROR] }
}

/// With both ways at once; the node is known from the pool alone.
#[tokio::test]
async fn what_the_driver_sends_itself_is_told_once_with_its_node() {
    let scratch = Scratch::with(|it| it, |options| options.direct_connection = None).await;
    let Some(scratch) = scratch else { return };
    drop(scratch.filled([1]).await);
    let Lean { client, numbers, .. } = scratch.both();
    let mut session = client.start_session().await.unwrap();
    let commit = || scratch.command("commitTransaction", "admin");

    let inserted = session.start_transaction().and_run(numbers.clone(), |session, numbers| {
        async move { numbers.insert_one(doc! { "_id": 2 }).session(session).await }.boxed()
    });
    inserted.await.unwrap();
    let refused = session.start_transaction().and_run2(async |session| {
        // What goes past the handles is the hook's, also between what they tell.
        numbers.raw().find_one(doc! {}).session(session.raw()).await?;
        numbers.insert_one(doc! { "_id": 2 }).session(session).await
    });
    refused.await.unwrap_err();
    scratch.capture.assert_spans([
        scratch.on_numbers("insert"),
        commit(),
        scratch.on_numbers("find"),
        failed(scratch.on_numbers("insert"), "11000"),
        scratch.command("abortTransaction", "admin"),
    ]);

    let guard = scratch.fail_next("commitTransaction", turn_again()).await;
    let delete = async |session: &mut otel_mongodb::ClientSession| {
        numbers.delete_one(doc! { "_id": 2 }).session(session).await
    };
    session.start_transaction().and_run2(delete).await.unwrap();
    drop(guard);
    scratch.capture.assert_spans([
        scratch.on_numbers("delete"),
        lost(commit(), TRANSIENT_TRANSACTION_ERROR),
        scratch.on_numbers("delete"),
        commit(),
    ]);
    scratch.assert_measured();
    drop(session);
    scratch.end(client).await;
}

#[test]
fn of_a_blocking_client_too() {
    let Some(url) = otel_testing::live::address("MONGODB") else { return };
    let (capture, mut audit) = (otel_testing::Capture::new(), Audit::by_handles());
    let telemetry = audit.note(&capture).build();
    let mut options = mongodb::options::ClientOptions::parse(url).run().unwrap();
    options.direct_connection = None;
    audit.watch(&mut options);
    otel_mongodb::with(&mut options, &telemetry);
    let builder = otel_mongodb::builder(&mut options).telemetry(&telemetry);
    let client = otel_mongodb::sync::Client::from(builder.client().unwrap());
    let database = client.database(&integration_tests::unique_name());
    let numbers = database.collection::<Document>("numbers");
    numbers.insert_one(doc! { "_id": 1 }).run().unwrap();
    capture.clear();
    let mut session = client.start_session().run().unwrap();
    let callback = |session: &mut otel_mongodb::sync::ClientSession| {
        numbers.delete_one(doc! { "_id": 1 }).session(session).run()
    };
    session.start_transaction().and_run(callback).unwrap();
    let spans = capture.spans();
    let names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["delete numbers", "commitTransaction admin"]);
    let has_node = |span: &otel_testing::opentelemetry_sdk::trace::SpanData| {
        span.attributes.iter().any(|fact| fact.key.as_str() == "server.address")
    };
    assert!(spans.iter().all(has_node), "{spans:#?}");
    drop(session);
    database.drop().run().unwrap();
    client.shutdown().immediate(true).run();
    integration_tests::apart(async || audit.balance().await);
}
