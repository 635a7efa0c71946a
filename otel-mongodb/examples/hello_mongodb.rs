//! The hello world of MongoDB's driver with this crate's name in it; it shows its trace on the
//! terminal.
//!
//! ```sh
//! cargo xtask services up mongodb
//! cargo run -p otel-mongodb --example hello_mongodb
//! ```
#![expect(clippy::print_stdout, reason = "it is for a terminal")]

use std::error::Error;

use futures_util::TryStreamExt as _;
use otel_mongodb::bson::doc;
use otel_mongodb::{Client, Collection}; // was: use mongodb::{Client, Collection}
use otel_setup::Exporter;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
struct Book {
    title: String,
    author: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // To the terminal, if no variable says otherwise. A service that has a collector says `init!()`.
    let console = otel_setup::builder().default_exporters([Exporter::Console]);
    let _guard = otel_setup::init!(console);

    let client = Client::with_uri_str(otel_testing::live::find("MONGODB")?).await?;
    let database = client.database("hello");
    let books: Collection<Book> = database.collection("books");
    read_and_write(&books).await?;
    database.drop().await?;
    Ok(())
}

#[tracing::instrument(skip_all, err)]
async fn read_and_write(books: &Collection<Book>) -> Result<(), otel_mongodb::error::Error> {
    let book = |title: &str, author: &str| Book { title: title.into(), author: author.into() };
    books.insert_many([book("1984", "Orwell"), book("Animal Farm", "Orwell")]).await?;
    books.insert_one(book("The Great Gatsby", "Fitzgerald")).await?;
    let mut found = books.find(doc! { "author": "Orwell" }).sort(doc! { "title": 1 }).await?;
    while let Some(book) = found.try_next().await? {
        println!("{}", book.title);
    }
    Ok(())
}
