//! The ordinary life of the handles: one operation for each call, however many commands it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::io::{AsyncReadExt as _, AsyncWriteExt as _};
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use integration_tests::{apart, assert_nowhere, count, total};
use mongodb::IndexModel;
use mongodb::bson::{Document, doc};
use mongodb::options::{InsertOneModel, WriteModel};
use opentelemetry::Context;
use opentelemetry::trace::{FutureExt as _, TraceContextExt as _, Tracer as _};
use otel_mongodb::otel_core::QueryText;
use otel_testing::assert::ExpectedSpan;

use crate::suite::audit::Audit;
use crate::suite::{Lean, Scratch, increment, one};

#[tokio::test]
async fn each_method_of_a_collection_is_one_operation() {
    let Some(scratch) = Scratch::with(|it| it.returned_rows(true), |_| ()).await else { return };
    let Lean { client, numbers, .. } = scratch.lean();
    let calls = async {
        numbers.insert_one(one()).await.unwrap();
        numbers.insert_many([2, 3, 4].map(|id| doc! { "_id": id })).await.unwrap();
        assert!(numbers.find_one(one()).await.unwrap().is_some());
        let found: Vec<_> =
            numbers.find(doc! {}).batch_size(2).await.unwrap().try_collect().await.unwrap();
        assert_eq!(found.len(), 4);
        assert_eq!(numbers.count_documents(doc! {}).await.unwrap(), 4);
        assert_eq!(numbers.estimated_document_count().await.unwrap(), 4);
        assert_eq!(numbers.distinct("_id", doc! {}).await.unwrap().len(), 4);
        let greater = [doc! { "$match": { "_id": { "$gt": 2 } } }];
        let mut grouped = numbers.aggregate(greater).await.unwrap();
        while grouped.advance().await.unwrap() {
            assert!(grouped.current().get_i32("_id").unwrap() > 2);
        }
        numbers.update_one(one(), increment()).await.unwrap();
        numbers.update_many(doc! {}, increment()).await.unwrap();
        numbers.replace_one(one(), doc! { "count": 7 }).await.unwrap();
        numbers.find_one_and_update(one(), increment()).await.unwrap();
        numbers.find_one_and_replace(one(), doc! { "count": 8 }).await.unwrap();
        numbers.find_one_and_delete(doc! { "_id": 9 }).await.unwrap();
        numbers.delete_one(doc! { "_id": 2 }).await.unwrap();
        numbers.delete_many(doc! {}).await.unwrap();
        let index = IndexModel::builder().keys(doc! { "count": 1 }).build();
        let name = numbers.create_index(index).await.unwrap().index_name;
        assert_eq!(numbers.list_index_names().await.unwrap().len(), 2);
        let indexes = numbers.list_indexes().batch_size(1).await.unwrap();
        assert_eq!(indexes.try_collect::<Vec<_>>().await.unwrap().len(), 2);
        numbers.drop_index(name).await.unwrap();
        numbers.drop().await.unwrap();
    };
    let ((), request) = scratch.below(calls).await;
    let commands = [
        ("insert", None),
        ("insert", None),
        ("find", Some(1)),
        ("find", Some(4)),
        ("aggregate", None),
        ("count", None),
        ("distinct", None),
        ("aggregate", Some(2)),
        ("update", None),
        ("update", None),
        ("update", None),
        ("findAndModify", Some(1)),
        ("findAndModify", Some(1)),
        ("findAndModify", Some(0)),
        ("delete", None),
        ("delete", None),
        ("createIndexes", None),
        ("listIndexes", None),
        ("listIndexes", Some(2)),
        ("dropIndexes", None),
        ("drop", None),
    ];
    let expected = commands.into_iter().enumerate().map(|(at, (command, rows))| {
        let span = scratch.on_numbers(command).child_of(request.clone());
        let rows = rows.map(i64::from).into_iter();
        let span = rows.fold(span, |span, rows| span.attribute("db.response.returned_rows", rows));
        if at == 1 { span.attribute("db.operation.batch.size", 3) } else { span }
    });
    let request = otel_testing::span("request");
    scratch.capture.assert_spans(expected.chain([request]));
    scratch.assert_measured();
    scratch.end(client).await;
}

#[tokio::test]
async fn each_method_of_a_database_and_of_a_client_is_one_operation() {
    let Some(scratch) = Scratch::new().await else { return };
    let Lean { client, database, .. } = scratch.lean();
    database.create_collection("numbers").await.unwrap();
    assert_eq!(database.list_collection_names().await.unwrap(), ["numbers"]);
    let listed: Vec<_> = database.list_collections().await.unwrap().try_collect().await.unwrap();
    assert_eq!(listed.len(), 1);
    database.run_command(doc! { "ping": 1 }).await.unwrap();
    database.run_command(doc! { "count": "numbers" }).await.unwrap();
    let raw = mongodb::bson::RawDocumentBuf::try_from(&doc! { "count": "numbers" }).unwrap();
    database.run_raw_command(raw).await.unwrap();
    let found = database.run_cursor_command(doc! { "find": "numbers" }).await.unwrap();
    assert!(found.try_collect::<Vec<_>>().await.unwrap().is_empty());
    assert!(!client.list_database_names().await.unwrap().is_empty());
    client.list_databases().await.unwrap();
    client.warm_connection_pool().await;
    database.drop().await.unwrap();
    client.shutdown().await;
    let name = &scratch.name;
    scratch.capture.assert_spans([
        scratch.on_numbers("create"),
        scratch.command("listCollections", name),
        scratch.command("listCollections", name),
        scratch.command("ping", name),
        scratch.on_numbers("count"),
        scratch.on_numbers("count"),
        scratch.on_numbers("find"),
        scratch.command("listDatabases", "admin"),
        scratch.command("listDatabases", "admin"),
        scratch.command("dropDatabase", name),
        scratch.command("endSessions", "admin"),
    ]);
    scratch.assert_measured();
    scratch.remove().await;
}

/// Whether the server knows it or not; the real one of version 8 does.
#[tokio::test]
async fn a_bulk_write_has_the_collection_that_it_is_about() {
    let Some(scratch) = Scratch::new().await else { return };
    let Lean { client, numbers, database } = scratch.lean();
    let model = |collection: &otel_mongodb::Collection<Document>, id: i32| {
        let insert = InsertOneModel::builder().namespace(collection.namespace());
        WriteModel::InsertOne(insert.document(doc! { "_id": id }).build())
    };
    let written = client.bulk_write([1, 2].map(|id| model(&numbers, id))).await;
    let others = database.collection("others");
    let both = client.bulk_write([model(&numbers, 3), model(&others, 3)]).verbose_results().await;
    assert_eq!(written.is_ok(), both.is_ok());
    let outcome = |span: ExpectedSpan| {
        let span = span.attribute("db.operation.batch.size", 2);
        if written.is_ok() {
            span
        } else {
            span.attribute("error.type", "IncompatibleServer").error("")
        }
    };
    scratch.capture.assert_spans([
        outcome(scratch.on_numbers("bulkWrite")),
        outcome(scratch.command("bulkWrite", "admin")),
    ]);
    scratch.assert_measured();
    scratch.end(client).await;
}

#[tokio::test]
async fn a_cursor_is_one_operation_until_it_is_read_or_dropped() {
    let Some(scratch) = Scratch::with(|it| it.returned_rows(true), |_| ()).await else { return };
    let numbers = scratch.filled(1..=5).await;
    drop(numbers);
    let Lean { client, numbers, .. } = scratch.lean();
    let mut found = numbers.find(doc! {}).batch_size(2).await.unwrap();
    scratch.capture.assert_no_spans();
    for _ in 0..3 {
        found.try_next().await.unwrap().unwrap();
    }
    drop(found);
    let never_read = numbers.find(doc! {}).await.unwrap();
    drop(never_read.with_type::<i32>());
    let batches = numbers.find(doc! {}).batch_size(3).batch().await.unwrap();
    assert_eq!(batches.try_collect::<Vec<_>>().await.unwrap().len(), 2);
    let rows = |rows: i64| scratch.on_numbers("find").attribute("db.response.returned_rows", rows);
    scratch.capture.assert_spans([rows(3), rows(0), rows(5)]);
    scratch.assert_measured();
    scratch.end(client).await;
}

/// What a caller does with a document that is there already is not the database's time.
#[tokio::test]
async fn a_cursor_lasts_until_the_last_answer() {
    let Some(scratch) = Scratch::new().await else { return };
    drop(scratch.filled(1..=5).await);
    let Lean { client, numbers, .. } = scratch.lean();
    let found = numbers.find(doc! {}).await.unwrap();
    let opened = std::time::SystemTime::now();
    let looked_at = found.then(async |found| {
        // Some other call.
        scratch.database.run_command(doc! { "ping": 1 }).await.unwrap();
        found
    });
    assert_eq!(looked_at.try_collect::<Vec<_>>().await.unwrap().len(), 5);
    let find = &scratch.capture.spans_named("find numbers")[0];
    assert!(find.end_time <= opened, "{find:?}");
    scratch.end(client).await;
}

#[tokio::test]
async fn a_session_has_its_own_cursors_and_ends_its_transactions() {
    let Some(scratch) = Scratch::with(|it| it.returned_rows(true), |_| ()).await else { return };
    drop(scratch.filled([1, 2, 3]).await);
    let Lean { client, numbers, .. } = scratch.lean();
    let mut session = client.start_session().await.unwrap();
    session.start_transaction().await.unwrap();
    numbers.insert_one(doc! { "_id": 4 }).session(&mut session).await.unwrap();
    let mut found = numbers.find(doc! {}).batch_size(3).session(&mut session).await.unwrap();
    let mut rows = 0;
    while found.next(&mut session).await.transpose().unwrap().is_some() {
        rows += 1;
    }
    assert_eq!(rows, 4);
    session.commit_transaction().await.unwrap();
    session.start_transaction().await.unwrap();
    numbers.delete_many(doc! {}).session(&mut session).await.unwrap();
    session.abort_transaction().await.unwrap();
    let mut rest = numbers.find(doc! {}).session(&mut session).await.unwrap();
    assert_eq!(rest.stream(&mut session).count().await, 4);
    drop(rest);
    let rows = |rows: i64| scratch.on_numbers("find").attribute("db.response.returned_rows", rows);
    scratch.capture.assert_spans([
        scratch.on_numbers("insert"),
        rows(4),
        scratch.command("commitTransaction", "admin"),
        scratch.on_numbers("delete"),
        scratch.command("abortTransaction", "admin"),
        rows(4),
    ]);
    scratch.assert_measured();
    drop((found, session));
    scratch.end(client).await;
}

/// Repeated by the driver, as its own are.
#[tokio::test]
async fn a_transaction_that_the_driver_repeats_is_told_at_each_turn() {
    let Some(scratch) = Scratch::new().await else { return };
    drop(scratch.filled([1]).await);
    let Lean { client, numbers, .. } = scratch.lean();
    let mut session = client.start_session().await.unwrap();
    let guard = scratch
        .fail_next(
            "insert",
            doc! { "errorCode": 112, "errorLabels": ["TransientTransactionError"] },
        )
        .await;
    let turns = Arc::new(AtomicUsize::new(0));
    let start = session.start_transaction();
    let inserted = start
        .and_run((numbers.clone(), Arc::clone(&turns)), |session, (numbers, turns)| {
            async move {
                turns.fetch_add(1, Ordering::Relaxed);
                numbers.insert_one(doc! { "_id": 2 }).session(session).await
            }
            .boxed()
        })
        .await;
    drop(guard);
    inserted.unwrap();
    assert_eq!(turns.load(Ordering::Relaxed), 2);
    // One that it does not repeat, and one that ends its transaction itself.
    let start = session.start_transaction();
    let again = start
        .and_run2(async |session| numbers.insert_one(doc! { "_id": 2 }).session(session).await);
    again.await.unwrap_err();
    let start = session.start_transaction();
    let aborted = start.and_run2(async |session| {
        numbers.insert_one(doc! { "_id": 3 }).session(&mut *session).await?;
        session.abort_transaction().await
    });
    aborted.await.unwrap();
    let failed = |code| crate::suite::failed(scratch.on_numbers("insert"), code);
    let abort = || scratch.command("abortTransaction", "admin");
    scratch.capture.assert_spans([
        failed("112"),
        abort(),
        scratch.on_numbers("insert"),
        scratch.command("commitTransaction", "admin"),
        failed("11000"),
        abort(),
        scratch.on_numbers("insert"),
        abort(),
    ]);
    assert_eq!(numbers.count_documents(doc! {}).await.unwrap(), 2);
    drop(session);
    scratch.end(client).await;
}

#[tokio::test]
async fn of_a_change_stream_the_opening_is_told() {
    let Some(scratch) = Scratch::new().await else { return };
    drop(scratch.filled([1]).await);
    let Lean { client, numbers, .. } = scratch.lean();
    let mut changes = numbers.watch().await.unwrap();
    numbers.insert_one(doc! { "_id": 2 }).await.unwrap();
    let change = changes.next().await.unwrap().unwrap();
    assert_eq!(change.document_key, Some(doc! { "_id": 2 }));
    scratch.capture.assert_spans([scratch.on_numbers("aggregate"), scratch.on_numbers("insert")]);
    drop(changes);
    scratch.end(client).await;
}

#[tokio::test]
async fn a_file_is_one_operation_up_and_one_down() {
    let Some(scratch) = Scratch::new().await else { return };
    let Lean { client, database, .. } = scratch.lean();
    let bucket = database.gridfs_bucket(None);
    let mut upload = bucket.open_upload_stream("secret.txt").chunk_size_bytes(4).await.unwrap();
    upload.write_all(b"secret in several pieces").await.unwrap();
    upload.close().await.unwrap();
    drop(upload);
    let mut given_up = bucket.open_upload_stream("secret.txt").await.unwrap();
    given_up.write_all(b"secret").await.unwrap();
    drop(given_up);
    let mut text = String::new();
    let mut download = bucket.open_download_stream_by_name("secret.txt").await.unwrap();
    download.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "secret in several pieces");
    drop(download);
    assert!(bucket.open_download_stream(7.into()).await.is_err());
    let on_files = |command| scratch.on_collection(command, "fs.files");
    scratch.capture.assert_spans([
        on_files("insert"),
        crate::suite::lost(on_files("insert"), "cancelled"),
        on_files("find"),
        crate::suite::lost(on_files("find"), "GridFs"),
    ]);
    scratch.assert_measured();
    assert_nowhere(&scratch.capture, "secret");
    scratch.end(client).await;
}

/// The hook leaves to the handles what they tell.
#[tokio::test]
async fn both_ways_at_once_tell_each_call_once() {
    let Some(scratch) = Scratch::new().await else { return };
    drop(scratch.filled(1..=5).await);
    let mut options = scratch.options();
    otel_mongodb::with(&mut options, scratch.telemetry());
    otel_mongodb::with(&mut options, scratch.telemetry());
    let builder = otel_mongodb::builder(&mut options).telemetry(scratch.telemetry());
    let client = builder.client().unwrap();
    let numbers = client.database(&scratch.name).collection::<Document>("numbers");
    let found = numbers.find(doc! {}).batch_size(2).await.unwrap();
    assert_eq!(found.try_collect::<Vec<_>>().await.unwrap().len(), 5);
    // What goes past the handles is the hook's.
    numbers.raw().find_one(doc! {}).await.unwrap();
    scratch.capture.assert_spans([scratch.on_numbers("find"), scratch.on_numbers("find")]);
    let max = scratch.capture.assert_metric("db.client.connection.max");
    // That of the test's own client, and this one.
    assert_eq!(max.points.len(), 2, "{max:?}");
    scratch.end(client).await;
}

/// By the events of the pools, where it is not certain before the call.
#[tokio::test]
async fn the_node_is_known_from_the_pool() {
    let Some(scratch) = Scratch::with(|it| it, |options| options.direct_connection = None).await
    else {
        return;
    };
    let Lean { client, numbers, .. } = scratch.lean();
    numbers.insert_one(one()).await.unwrap();
    numbers.insert_one(one()).await.unwrap_err();
    let expected = || scratch.on_numbers("insert");
    scratch.capture.assert_spans([expected(), crate::suite::failed(expected(), "11000")]);
    let points = scratch.capture.assert_metric("db.client.operation.duration").points;
    assert!(points.iter().all(|point| point.attribute("server.address").is_some()), "{points:?}");
    // A client that was there already has no such events.
    let raw = mongodb::Client::with_options(scratch.options()).unwrap();
    let client_of_users = otel_mongodb::Client::with(raw, scratch.telemetry());
    scratch.capture.clear();
    client_of_users.database(&scratch.name).run_command(doc! { "ping": 1 }).await.unwrap();
    let ping = &scratch.capture.spans()[0];
    assert!(ping.attributes.iter().all(|fact| fact.key.as_str() != "server.address"), "{ping:?}");
    scratch.end(client).await;
}

/// In each argument that a call takes; by default, and with texts.
#[tokio::test]
async fn no_argument_of_a_call_is_told() {
    for text in [QueryText::Auto, QueryText::Sanitized, QueryText::Verbatim] {
        let scratch = Scratch::with(|it| it.query_text(text).returned_rows(true), |_| ()).await;
        let Some(scratch) = scratch else { return };
        let Lean { client, database, numbers } = scratch.lean();
        let secret = || doc! { "_id": "secret", "a": ["secret", { "b": "secret" }] };
        let set = || doc! { "$set": { "a": "secret" } };
        numbers.insert_one(secret()).comment("secret").await.unwrap();
        numbers.insert_one(secret()).await.unwrap_err();
        numbers.insert_many([secret()]).await.unwrap_err();
        drop(numbers.find(secret()).comment("secret").await.unwrap());
        numbers.find_one(secret()).sort(doc! { "a": 1 }).await.unwrap();
        drop(numbers.find(doc! { "a": { "$noSuch": "secret" } }).await);
        numbers.distinct("_id", secret()).await.unwrap();
        numbers.count_documents(secret()).await.unwrap();
        drop(numbers.aggregate([doc! { "$match": secret() }]).await.unwrap());
        drop(database.aggregate([doc! { "$match": secret() }]).await);
        numbers.update_one(secret(), set()).await.unwrap();
        numbers.update_many(secret(), vec![set()]).await.unwrap();
        numbers.replace_one(secret(), doc! { "a": "secret" }).await.unwrap();
        numbers.find_one_and_update(secret(), set()).await.unwrap();
        numbers.find_one_and_replace(secret(), doc! { "a": "secret" }).await.unwrap();
        numbers.find_one_and_delete(secret()).await.unwrap();
        numbers.delete_one(secret()).await.unwrap();
        numbers.delete_many(secret()).await.unwrap();
        let user = doc! { "createUser": "secret", "pwd": "secret", "roles": [] };
        database.run_command(user).await.unwrap();
        database.run_command(doc! { "usersInfo": "secret" }).await.unwrap();
        database.run_command(doc! { "dropUser": "secret" }).await.unwrap();
        scratch.assert_measured();
        assert_nowhere(&scratch.capture, "secret\"");
        assert_nowhere(&scratch.capture, "\"secret");
        let spans = scratch.capture.spans();
        let find = spans.iter().find(|span| span.name == "find numbers").unwrap();
        let shown = find.attributes.iter().find(|it| it.key.as_str() == "db.query.text");
        let expected = r#"{"find": "numbers", "filter": {"_id": "?", "a": ["?", {"b": "?"}]}}"#;
        let expected = Some(expected.to_owned()).filter(|_| text != QueryText::Auto);
        assert_eq!(shown.map(|it| it.value.to_string()), expected);
        scratch.end(client).await;
    }
}

/// By the ledger that each of these tests has.
#[tokio::test]
async fn what_goes_past_the_handles_is_found_and_named() {
    let Some(mut scratch) = Scratch::new().await else { return };
    let Lean { client, numbers, .. } = scratch.lean();
    numbers.insert_many((0..250).map(|id| doc! { "_id": id })).await.unwrap();
    for id in 0..20 {
        numbers.find_one(doc! { "_id": id }).await.unwrap();
        numbers.update_one(doc! { "_id": id }, increment()).await.unwrap();
    }
    numbers.raw().count_documents(doc! {}).await.unwrap();
    scratch.by_handles.goes_past("aggregate numbers", 1);
    let balance = scratch.by_handles.balance().await;
    assert!(!balance.is_even());
    assert_eq!(
        balance.to_string(),
        "290 of 291 operations traced\npast the instrumentation: 1 x aggregate numbers"
    );
    scratch.end(client).await;
}

#[tokio::test]
async fn suppressed_and_switched_off_nothing_is_told() {
    let Some(scratch) = Scratch::new().await else { return };
    let Lean { client, numbers, .. } = scratch.lean();
    let quiet = Context::new().with_telemetry_suppressed();
    numbers.insert_one(one()).into_future().with_context(quiet).await.unwrap();
    scratch.capture.assert_no_spans();
    assert_eq!(count(&scratch.capture, "db.client.operation.duration"), 0);
    let off = otel_mongodb::Telemetry::builder().enabled(false).build();
    let mut options = scratch.options();
    let client_off = otel_mongodb::builder(&mut options).telemetry(&off).client().unwrap();
    client_off.database(&scratch.name).run_command(doc! { "ping": 1 }).await.unwrap();
    scratch.capture.assert_no_spans();
    client_off.shutdown().immediate(true).await;
    scratch.by_handles.goes_past("insert numbers", 1);
    scratch.by_handles.goes_past("ping", 1);
    scratch.end(client).await;
}

#[test]
fn the_blocking_client_is_told_alike() {
    let Some(url) = otel_testing::live::address("MONGODB") else { return };
    let (capture, mut audit) = (otel_testing::Capture::new(), Audit::by_handles());
    let telemetry = audit.note(&capture).returned_rows(true).build();
    let mut options = mongodb::options::ClientOptions::parse(url).run().unwrap();
    audit.watch(&mut options);
    let client = otel_mongodb::builder(&mut options).telemetry(&telemetry).client().unwrap();
    let client = otel_mongodb::sync::Client::from(client);
    let name = integration_tests::unique_name();
    let database = client.database(&name);
    let numbers = database.collection::<Document>("numbers");
    let request = capture.tracer("test").in_span("request", |context| {
        numbers.insert_many((1..=5).map(|id| doc! { "_id": id })).run().unwrap();
        let found = numbers.find(doc! {}).batch_size(3).run().unwrap();
        assert_eq!(found.map(Result::unwrap).count(), 5);
        numbers.insert_one(one()).run().unwrap_err();
        let mut session = client.start_session().run().unwrap();
        session
            .start_transaction()
            .and_run(|session| numbers.delete_one(one()).session(session).run())
            .unwrap();
        context.span().span_context().clone()
    });
    let spans = capture.spans();
    let told: Vec<_> = spans
        .iter()
        .map(|span| {
            let rows =
                |it: &&opentelemetry::KeyValue| it.key.as_str() == "db.response.returned_rows";
            (
                span.name.to_string(),
                span.attributes.iter().find(rows).map(|it| it.value.to_string()),
            )
        })
        .collect();
    let expected = [
        ("insert numbers", None),
        ("find numbers", Some("5")),
        ("insert numbers", None),
        ("delete numbers", None),
        ("commitTransaction admin", None),
        ("request", None),
    ];
    let expected = expected.map(|(name, rows)| (name.to_owned(), rows.map(str::to_owned)));
    assert_eq!(told, expected);
    assert!(spans[..5].iter().all(|span| span.parent_span_id == request.span_id()));
    assert!(total(&capture, "db.client.connection.max") > 0);
    database.drop().run().unwrap();
    client.shutdown().immediate(true).run();
    apart(async || audit.balance().await);
}
