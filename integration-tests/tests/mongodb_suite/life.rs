//! Ordinary life: each method once, and what is told of it.

use futures_util::io::{AsyncReadExt as _, AsyncWriteExt as _};
use futures_util::{StreamExt as _, TryStreamExt as _};
use integration_tests::{assert_nowhere, eventually};
use mongodb::IndexModel;
use mongodb::bson::doc;
use mongodb::options::{IndexOptions, InsertOneModel, WriteModel};
use otel_mongodb::otel_core::QueryText;

use crate::suite::{Scratch, failed, increment, one};

#[tokio::test]
async fn each_method_of_a_collection_is_a_command_below_the_caller() {
    let Some(scratch) = Scratch::new().await else { return };
    let numbers = scratch.numbers();
    let calls = async {
        numbers.insert_one(one()).await.unwrap();
        numbers.insert_many([2, 3, 4].map(|id| doc! { "_id": id })).await.unwrap();
        assert!(numbers.find_one(one()).await.unwrap().is_some());
        let found: Vec<_> = numbers.find(doc! {}).await.unwrap().try_collect().await.unwrap();
        assert_eq!(found.len(), 4);
        assert_eq!(numbers.count_documents(doc! {}).await.unwrap(), 4);
        assert_eq!(numbers.estimated_document_count().await.unwrap(), 4);
        assert_eq!(numbers.distinct("_id", doc! {}).await.unwrap().len(), 4);
        let doubled = [doc! { "$match": { "_id": { "$gt": 2 } } }];
        let grouped: Vec<_> =
            numbers.aggregate(doubled).await.unwrap().try_collect().await.unwrap();
        assert_eq!(grouped.len(), 2);
        numbers.update_one(one(), increment()).await.unwrap();
        numbers.update_many(doc! {}, increment()).await.unwrap();
        numbers.replace_one(one(), doc! { "count": 7 }).await.unwrap();
        numbers.find_one_and_update(one(), increment()).await.unwrap();
        numbers.find_one_and_replace(one(), doc! { "count": 8 }).await.unwrap();
        numbers.find_one_and_delete(one()).await.unwrap();
        numbers.delete_one(doc! { "_id": 2 }).await.unwrap();
        numbers.delete_many(doc! {}).await.unwrap();
        let index = IndexOptions::builder().name("by_count".to_owned()).build();
        let index = IndexModel::builder().keys(doc! { "count": 1 }).options(index).build();
        numbers.create_index(index).await.unwrap();
        assert_eq!(numbers.list_index_names().await.unwrap().len(), 2);
        numbers.drop_index("by_count").await.unwrap();
        numbers.drop().await.unwrap();
    };
    let ((), request) = scratch.below(calls).await;
    let commands = [
        "insert",
        "insert",
        "find",
        "find",
        "aggregate",
        "count",
        "distinct",
        "aggregate",
        "update",
        "update",
        "update",
        "findAndModify",
        "findAndModify",
        "findAndModify",
        "delete",
        "delete",
        "createIndexes",
        "listIndexes",
        "dropIndexes",
        "drop",
    ];
    let expected = commands.into_iter().enumerate().map(|(at, command)| {
        let span = scratch.on_numbers(command).child_of(request.clone());
        if at == 1 { span.attribute("db.operation.batch.size", 3) } else { span }
    });
    let request = otel_testing::span("request");
    scratch.capture.assert_spans(expected.chain([request]));
    scratch.assert_measured();
    scratch.remove().await;
}

#[tokio::test]
async fn each_method_of_a_database_and_of_a_client() {
    let Some(scratch) = Scratch::new().await else { return };
    let database = &scratch.database;
    database.create_collection("numbers").await.unwrap();
    assert_eq!(database.list_collection_names().await.unwrap(), ["numbers"]);
    let listed: Vec<_> = database.list_collections().await.unwrap().try_collect().await.unwrap();
    assert_eq!(listed.len(), 1);
    database.run_command(doc! { "ping": 1 }).await.unwrap();
    database.run_command(doc! { "count": "numbers" }).await.unwrap();
    let found = database.run_cursor_command(doc! { "find": "numbers" }).await.unwrap();
    assert!(found.try_collect::<Vec<_>>().await.unwrap().is_empty());
    assert!(!scratch.client.list_database_names().await.unwrap().is_empty());
    scratch.client.list_databases().await.unwrap();
    database.drop().await.unwrap();
    let name = &scratch.name;
    scratch.capture.assert_spans([
        scratch.on_numbers("create"),
        scratch.command("listCollections", name),
        scratch.command("listCollections", name),
        scratch.command("ping", name),
        scratch.on_numbers("count"),
        scratch.on_numbers("find"),
        scratch.command("listDatabases", "admin"),
        scratch.command("listDatabases", "admin"),
        scratch.command("dropDatabase", name),
    ]);
    scratch.assert_measured();
    scratch.remove().await;
}

/// Of MongoDB 8; an older server has no such command, and the driver sends none.
#[tokio::test]
async fn a_bulk_write_is_a_batch_of_its_own_word() {
    let Some(scratch) = Scratch::new().await else { return };
    let numbers = scratch.numbers();
    let model = |id: i32| {
        let insert = InsertOneModel::builder().namespace(numbers.namespace());
        WriteModel::InsertOne(insert.document(doc! { "_id": id }).build())
    };
    let written = scratch.client.bulk_write([1, 2].map(model)).await;
    if scratch.capture.spans().is_empty() {
        assert!(written.is_err());
        otel_testing::live::skipped("the server knows no bulkWrite");
        return scratch.remove().await;
    }
    written.unwrap();
    let again = scratch.client.bulk_write([2, 3].map(model)).await;
    again.unwrap_err();
    let expected = || scratch.on_numbers("bulkWrite").attribute("db.operation.batch.size", 2);
    scratch.capture.assert_spans([expected(), failed(expected(), "11000")]);
    scratch.assert_measured();
    scratch.remove().await;
}

#[tokio::test]
async fn the_batches_of_a_cursor_stand_beside_its_find() {
    let Some(scratch) = Scratch::with(|it| it.returned_rows(true), |_| ()).await else { return };
    let numbers = scratch.filled(1..=5).await;
    let calls = async {
        let found = numbers.find(doc! {}).batch_size(2).await.unwrap();
        assert_eq!(found.try_collect::<Vec<_>>().await.unwrap().len(), 5);
    };
    let ((), request) = scratch.below(calls).await;
    let rows = |command, rows: i64| {
        let span = scratch.on_numbers(command).child_of(request.clone());
        span.attribute("db.response.returned_rows", rows)
    };
    let request = otel_testing::span("request");
    scratch.capture.assert_spans([
        rows("find", 2),
        rows("getMore", 2),
        rows("getMore", 1),
        request,
    ]);
    scratch.assert_measured();
    scratch.remove().await;
}

/// The driver ends it on the server in a task of its own.
#[tokio::test]
async fn an_abandoned_cursor_is_ended_below_what_opened_it() {
    let Some(scratch) = Scratch::new().await else { return };
    let numbers = scratch.filled(1..=5).await;
    let calls = async {
        let mut found = numbers.find(doc! {}).batch_size(2).await.unwrap();
        found.try_next().await.unwrap().unwrap();
        found
    };
    let (found, request) = scratch.below(calls).await;
    drop(found);
    let capture = &scratch.capture;
    eventually("the cursor is ended", async || {
        !capture.spans_named("killCursors numbers").is_empty()
    })
    .await;
    let find = capture.spans_named("find numbers")[0].span_context.clone();
    capture.assert_spans([
        scratch.on_numbers("find").child_of(request),
        otel_testing::span("request"),
        scratch.on_numbers("killCursors").child_of(find),
    ]);
    scratch.remove().await;
}

#[tokio::test]
async fn a_change_stream_is_its_aggregate_and_what_it_waits_for() {
    let Some(scratch) = Scratch::new().await else { return };
    let numbers = scratch.filled([1]).await;
    let mut changes = numbers.watch().await.unwrap();
    numbers.insert_one(doc! { "_id": 2 }).await.unwrap();
    let change = changes.next().await.unwrap().unwrap();
    assert_eq!(change.document_key, Some(doc! { "_id": 2 }));
    let capture = &scratch.capture;
    let names: Vec<_> = capture.spans().iter().map(|span| span.name.to_string()).collect();
    let (first, rest) = names.split_at(2);
    assert_eq!(first, ["aggregate numbers", "insert numbers"]);
    assert!(!rest.is_empty() && rest.iter().all(|name| name == "getMore numbers"), "{rest:?}");
    let opened = capture.spans()[0].span_context.span_id();
    assert!(capture.spans()[2..].iter().all(|span| span.parent_span_id == opened));
    drop(changes);
    eventually("it is ended", async || !capture.spans_named("killCursors numbers").is_empty())
        .await;
    scratch.assert_measured();
    scratch.remove().await;
}

#[tokio::test]
async fn a_file_of_grid_fs_is_its_commands() {
    let Some(scratch) = Scratch::new().await else { return };
    let bucket = scratch.database.gridfs_bucket(None);
    let mut upload = bucket.open_upload_stream("secret.txt").await.unwrap();
    upload.write_all(b"secret").await.unwrap();
    upload.close().await.unwrap();
    drop(upload);
    let mut text = String::new();
    let mut download = bucket.open_download_stream_by_name("secret.txt").await.unwrap();
    download.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "secret");
    drop(download);
    let names: Vec<_> = scratch.capture.spans().iter().map(|span| span.name.to_string()).collect();
    for name in ["insert fs.chunks", "insert fs.files", "find fs.files", "find fs.chunks"] {
        assert!(names.iter().any(|told| told == name), "{name}: {names:?}");
    }
    scratch.assert_measured();
    assert_nowhere(&scratch.capture, "secret");
    scratch.remove().await;
}

/// In each argument that a call takes; by default, and with texts.
#[tokio::test]
async fn no_argument_is_told() {
    for text in [QueryText::Auto, QueryText::Sanitized, QueryText::Verbatim] {
        let scratch = Scratch::with(|it| it.query_text(text).returned_rows(true), |_| ()).await;
        let Some(scratch) = scratch else { return };
        let numbers = scratch.numbers();
        let secret = || doc! { "_id": "secret", "a": ["secret", { "b": "secret" }] };
        numbers.insert_one(secret()).comment("secret").await.unwrap();
        numbers.insert_one(secret()).await.unwrap_err();
        numbers.insert_many([secret()]).await.unwrap_err();
        numbers.find(secret()).comment("secret").await.unwrap();
        numbers.find_one(secret()).sort(doc! { "a": 1 }).await.unwrap();
        drop(numbers.find(doc! { "a": { "$noSuch": "secret" } }).await);
        numbers.distinct("_id", secret()).await.unwrap();
        numbers.count_documents(secret()).await.unwrap();
        numbers.aggregate([doc! { "$match": secret() }]).await.unwrap();
        numbers.update_one(secret(), doc! { "$set": { "a": "secret" } }).await.unwrap();
        numbers.replace_one(secret(), doc! { "a": "secret" }).await.unwrap();
        let set = doc! { "$set": { "a": "secret" } };
        numbers.find_one_and_update(secret(), set).await.unwrap();
        numbers.delete_one(secret()).await.unwrap();
        let user = doc! { "createUser": "secret", "pwd": "secret", "roles": [] };
        scratch.database.run_command(user).await.unwrap();
        scratch.database.run_command(doc! { "usersInfo": "secret" }).await.unwrap();
        scratch.database.run_command(doc! { "dropUser": "secret" }).await.unwrap();
        scratch.assert_measured();
        assert_nowhere(&scratch.capture, "secret\"");
        assert_nowhere(&scratch.capture, "\"secret");
        for span in scratch.capture.spans() {
            let has_text = span.attributes.iter().any(|it| it.key.as_str() == "db.query.text");
            let is_redacted = span.name.starts_with("createUser");
            assert_eq!(has_text, text != QueryText::Auto && !is_redacted, "{span:?}");
        }
        scratch.remove().await;
    }
}

#[tokio::test]
async fn a_megabyte_there_and_back() {
    let Some(scratch) = Scratch::with(|it| it.query_text(QueryText::Sanitized), |_| ()).await
    else {
        return;
    };
    let numbers = scratch.numbers();
    let long = "x".repeat(1 << 20);
    numbers.insert_one(doc! { "_id": 1, "text": long.as_str() }).await.unwrap();
    let found = numbers.find_one(doc! { "text": long.as_str() }).await.unwrap().unwrap();
    assert_eq!(found.get_str("text").unwrap(), long);
    let expected = ["insert", "find"]
        .map(|command| scratch.on_numbers(command).any_attribute("db.query.text"));
    scratch.capture.assert_spans(expected);
    for span in scratch.capture.spans() {
        let text = span.attributes.iter().find(|it| it.key.as_str() == "db.query.text").unwrap();
        let text = text.value.as_str();
        assert!(text.contains(r#""text": "?"}"#) && text.len() < 200, "{text:.1000}");
    }
    scratch.remove().await;
}
