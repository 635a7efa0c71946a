//! Code in the manner of the driver's own examples: nothing of it changes but the line that makes
//! the client.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as such")]

use futures_util::TryStreamExt as _;
use mongodb::bson::{Document, doc};
use mongodb::error::Result;
use mongodb::options::{ClientOptions, FindOptions, IndexOptions};
use mongodb::{ClientSession, Collection, Cursor, Database, IndexModel};
use otel_testing::{Capture, live};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Book {
    title: String,
    author: String,
}

fn books() -> Vec<Book> {
    [("1984", "Orwell"), ("Animal Farm", "Orwell"), ("The Great Gatsby", "Fitzgerald")]
        .map(|(title, author)| Book { title: title.into(), author: author.into() })
        .into()
}

/// Generic over what the driver is generic over.
async fn all<T: DeserializeOwned + Unpin + Send + Sync>(cursor: Cursor<T>) -> Result<Vec<T>> {
    cursor.try_collect().await
}

/// Options as values, as older code has them.
async fn by_title(books: &Collection<Book>, author: &str) -> Result<Vec<Book>> {
    let options = FindOptions::builder().sort(doc! { "title": 1 }).build();
    all(books.find(doc! { "author": author }).with_options(options).await?).await
}

async fn indexed(books: &Collection<Book>) -> Result<()> {
    let unique = IndexOptions::builder().unique(true).build();
    let index = IndexModel::builder().keys(doc! { "title": 1 }).options(unique).build();
    books.create_index(index).await?;
    Ok(())
}

async fn in_a_transaction(session: &mut ClientSession, books: &Collection<Book>) -> Result<()> {
    session.start_transaction().await?;
    let found = books.find_one(doc! { "title": "1984" }).session(&mut *session).await?;
    assert_eq!(found.unwrap().author, "Orwell");
    books.delete_one(doc! { "title": "1984" }).session(&mut *session).await?;
    let mut cursor = books.find(doc! {}).session(&mut *session).await?;
    let mut left = 0;
    while cursor.next(session).await.transpose()?.is_some() {
        left += 1;
    }
    assert_eq!(left, 2);
    session.commit_transaction().await
}

async fn application(database: &Database) -> Result<()> {
    let collection = database.collection::<Book>("books");
    collection.insert_many(books()).await?;
    indexed(&collection).await?;
    assert_eq!(by_title(&collection, "Orwell").await?, books()[..2]);
    let mut session = database.client().start_session().await?;
    in_a_transaction(&mut session, &collection).await?;
    let raw: Collection<Document> = collection.clone_with_type();
    let titles = raw.distinct("title", doc! {}).await?;
    assert_eq!(titles.len(), 2);
    Ok(())
}

#[tokio::test]
async fn an_application_as_it_was() {
    let Some(url) = live::address("MONGODB") else { return };
    let capture = Capture::new();
    // was: let client = Client::with_uri_str(url).await?;
    let mut options = ClientOptions::parse(url).await.unwrap();
    otel_mongodb::with(&mut options, &capture.telemetry());
    let client = mongodb::Client::with_options(options).unwrap();

    let database = client.database("user_code");
    database.drop().await.unwrap();
    capture.clear();
    application(&database).await.unwrap();
    let names: Vec<_> = capture.spans().iter().map(|span| span.name.to_string()).collect();
    let expected = [
        "insert books",
        "createIndexes books",
        "find books",
        "find books",
        "delete books",
        "find books",
        "commitTransaction admin",
        "distinct books",
    ];
    assert_eq!(names, expected);
    database.drop().await.unwrap();
    client.shutdown().immediate(true).await;
}

/// The clients stay the driver's own, so that what they can do is not less.
#[test]
fn futures_can_be_sent() {
    fn is_send<T: Send>(_: T) {}
    is_send(otel_mongodb::connect("mongodb://db.example"));
}
