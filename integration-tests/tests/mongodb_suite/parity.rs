//! The same calls through the bare driver and through ours come to the same.

use std::fmt::Debug;

use futures_util::TryStreamExt as _;
use integration_tests::unique_name;
use mongodb::bson::{Document, doc};
use mongodb::options::ClientOptions;
use mongodb::{Client, IndexModel};
use otel_testing::{Capture, live};

use crate::suite::audit::Audit;

/// What comes of each call, in order, without the name of the database.
macro_rules! scenario {
    ($name:ident, $client:ty) => {
        async fn $name(client: &$client) -> Vec<String> {
            let name = unique_name();
            let database = client.database(&name);
            let numbers = database.collection::<Document>("numbers");
            let mut told = Vec::new();
            let mut tell =
                |result: &dyn Debug| told.push(format!("{result:?}").replace(&name, "{database}"));
            tell(&numbers.insert_one(doc! { "_id": 1 }).await);
            tell(&numbers.insert_one(doc! { "_id": 1 }).await);
            let many =
                numbers.insert_many([2, 3, 3, 4].map(|id| doc! { "_id": id })).ordered(false).await;
            tell(&many.map(|many| many.inserted_ids.len()));
            let found = numbers.find(doc! {}).sort(doc! { "_id": -1 }).batch_size(2).await.unwrap();
            tell(&found.try_collect::<Vec<_>>().await);
            tell(&numbers.find_one(doc! { "_id": 9 }).await);
            tell(&numbers.update_many(doc! {}, doc! { "$set": { "a": [1, { "b": 2 }] } }).await);
            tell(&numbers.find_one_and_delete(doc! { "_id": 1 }).await);
            tell(&numbers.find_one(doc! { "_id": { "$noSuch": 1 } }).await);
            tell(&numbers.distinct("_id", doc! {}).await);
            tell(&numbers.count_documents(doc! {}).await);
            tell(&numbers.create_index(IndexModel::builder().keys(doc! { "a": 1 }).build()).await);
            tell(&database.list_collection_names().await);
            tell(&database.run_command(doc! { "noSuchCommand": 1 }).await);
            let mut session = client.start_session().await.unwrap();
            session.start_transaction().await.unwrap();
            tell(&numbers.insert_one(doc! { "_id": 7 }).session(&mut session).await);
            tell(&numbers.insert_one(doc! { "_id": 7 }).session(&mut session).await);
            tell(&session.abort_transaction().await);
            tell(&numbers.find_one(doc! { "_id": 7 }).await);
            tell(&database.drop().await);
            told
        }
    };
}

scenario!(scenario, Client);
scenario!(scenario_of_ours, otel_mongodb::Client);

#[tokio::test]
async fn results_and_errors_are_the_drivers() {
    let Some(url) = live::address("MONGODB") else { return };
    let bare = Client::with_uri_str(&url).await.unwrap();
    let expected = scenario(&bare).await;
    let (capture, mut audit) = (Capture::new(), Audit::by_handles());
    for is_off in [false, true] {
        let builder =
            if is_off { otel_mongodb::Telemetry::builder() } else { audit.note(&capture) };
        let telemetry = builder.build();
        let watched = |mut options: ClientOptions| {
            if !is_off {
                audit.watch(&mut options);
            }
            options
        };
        let mut options = watched(ClientOptions::parse(&url).await.unwrap());
        otel_mongodb::with(&mut options, &telemetry);
        let told = scenario(&Client::with_options(options).unwrap()).await;
        assert_same(&told, &expected);
        let mut options = watched(ClientOptions::parse(&url).await.unwrap());
        let client = otel_mongodb::builder(&mut options).telemetry(&telemetry).client().unwrap();
        assert_same(&scenario_of_ours(&client).await, &expected);
    }
    assert!(capture.spans().len() > expected.len());
    audit.balance().await;
}

/// Of an error the cluster's time and the server's answer differ at each call.
#[track_caller]
fn assert_same(told: &[String], expected: &[String]) {
    for (told, expected) in told.iter().zip(expected) {
        assert_eq!(without_times(told), without_times(expected));
    }
    assert_eq!(told.len(), expected.len());
}

/// Up to the first that is another one at each call.
fn without_times(text: &str) -> &str {
    let ends = ["$clusterTime", "operationTime", "electionId", "\"lsid\"", "RawDocumentBuf"];
    let end = ends.iter().filter_map(|end| text.find(end)).min();
    text.get(..end.unwrap_or(text.len())).unwrap()
}
