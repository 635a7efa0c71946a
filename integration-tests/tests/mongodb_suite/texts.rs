//! Texts where the user asks for them, of the handles: as the calls and their setters say it.

use mongodb::bson::{Document, RawDocumentBuf, doc};
use mongodb::options::{Collation, Hint};
use otel_mongodb::otel_core::QueryText;
use otel_testing::Capture;

use crate::suite::{Lean, Scratch};

fn texts(capture: &Capture) -> Vec<Option<String>> {
    let text = |it: &&opentelemetry::KeyValue| it.key.as_str() == "db.query.text";
    let spans = capture.spans();
    let texts = spans.iter().map(|span| span.attributes.iter().find(text));
    texts.map(|text| text.map(|it| it.value.to_string())).collect()
}

fn secret() -> Document {
    doc! { "a": "secret" }
}

#[tokio::test]
async fn what_setters_say_of_a_query_is_in_its_text() {
    let scratch = Scratch::with(|it| it.query_text(QueryText::Sanitized), |_| ()).await;
    let Some(scratch) = scratch else { return };
    drop(scratch.filled([1]).await);
    let Lean { client, database, numbers } = scratch.lean();
    let by_id = || Hint::Keys(doc! { "_id": 1 });
    let find = numbers.find(secret()).sort(doc! { "a": 1 }).projection(doc! { "b": 0 });
    drop(find.hint(by_id()).skip(7).limit(7).await.unwrap());
    numbers.find_one(doc! {}).sort(doc! { "b": -1 }).await.unwrap();
    let english = Collation::builder().locale("en").build();
    drop(numbers.aggregate([doc! { "$match": secret() }]).collation(english).await);
    drop(numbers.aggregate([]).let_vars(secret()).await);
    numbers.distinct("secret", secret()).await.unwrap();
    numbers.estimated_document_count().await.unwrap();
    let set = doc! { "$set": { "list.$[one]": "secret" } };
    let update = numbers.update_one(secret(), set.clone());
    drop(
        update.array_filters([doc! { "one.a": "secret" }]).hint(Hint::Name("secret".into())).await,
    );
    let change = numbers.find_one_and_update(secret(), set);
    drop(change.array_filters([doc! { "one.b": "secret" }]).projection(doc! { "c": 1 }).await);
    drop(database.list_collection_names().filter(doc! { "name": "secret" }).await);
    drop(client.list_database_names().filter(doc! { "name": "secret" }).await);
    numbers.watch().pipeline([doc! { "$match": secret() }]).await.unwrap();
    database.run_command(doc! { "ping": 1, "comment": "secret" }).await.unwrap();
    let expected = [
        r#"{"find": "numbers", "filter": {"a": "?"}, "sort": {"a": "?"}, "projection": {"b": "?"}, "hint": {"_id": "?"}, "skip": "?", "limit": "?"}"#,
        r#"{"find": "numbers", "filter": {}, "sort": {"b": "?"}}"#,
        r#"{"aggregate": "numbers", "pipeline": [{"$match": {"a": "?"}}], "collation": "?"}"#,
        r#"{"aggregate": "numbers", "pipeline": [], "let": {"a": "?"}}"#,
        r#"{"distinct": "numbers", "key": "?", "query": {"a": "?"}}"#,
        r#"{"count": "numbers"}"#,
        r#"{"update": "numbers", "updates": [{"q": {"a": "?"}, "u": {"$set": {"list.$[one]": "?"}}}], "arrayFilters": [{"one.a": "?"}], "hint": "?"}"#,
        r#"{"findAndModify": "numbers", "query": {"a": "?"}, "update": {"$set": {"list.$[one]": "?"}}, "arrayFilters": [{"one.b": "?"}], "fields": {"c": "?"}}"#,
        r#"{"listCollections": "?", "filter": {"name": "?"}}"#,
        r#"{"listDatabases": "?", "filter": {"name": "?"}}"#,
        r#"{"aggregate": "numbers", "pipeline": [{"$match": {"a": "?"}}]}"#,
        r#"{"ping": "?", "comment": "?"}"#,
    ];
    assert_eq!(texts(&scratch.capture), expected.map(|text| Some(text.to_owned())));
    scratch.end(client).await;
}

/// Of what the driver shows to nobody there is no text either.
#[tokio::test]
async fn what_the_driver_redacts_has_no_text() {
    let scratch = Scratch::with(|it| it.query_text(QueryText::Verbatim), |_| ()).await;
    let Some(scratch) = scratch else { return };
    let Lean { client, database, .. } = scratch.lean();
    let user = doc! { "createUser": "secret", "pwd": "secret", "roles": [] };
    let raw = RawDocumentBuf::try_from(&user).unwrap();
    for _ in 0..2 {
        database.run_command(user.clone()).await.ok();
        database.run_raw_command(raw.clone()).await.ok();
        database.run_command(doc! { "UpdateUser": "secret", "pwd": "secret" }).await.ok();
        let nested = doc! { "mechanism": "secret" };
        database.run_command(doc! { "hello": 1, "speculativeAuthenticate": nested }).await.ok();
    }
    assert_eq!(texts(&scratch.capture), [const { None }; 8]);
    database.run_command(doc! { "dropUser": "secret" }).await.unwrap();
    scratch.end(client).await;
}
