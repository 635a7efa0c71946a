//! Code in the manner of the driver's own examples, compiled against the driver and against this
//! crate: nothing of it changes but the name in front.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as such")]

use std::fmt::Debug;

use mongodb::bson::{Document, doc};
use otel_testing::{Capture, live};

macro_rules! application {
    ($module:ident, $driver:ident) => {
        mod $module {
            use std::time::Duration;

            use futures_util::io::{AsyncReadExt as _, AsyncWriteExt as _};
            use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};
            use serde::de::DeserializeOwned;
            use serde::{Deserialize, Serialize};
            use $driver::action::Action as _;
            use $driver::bson::{Bson, Document, RawDocumentBuf, doc};
            use $driver::error::Result;
            use $driver::gridfs::GridFsBucket;
            use $driver::options::{
                FindOptions, GridFsBucketOptions, IndexOptions, InsertOneModel, ReadConcern,
                ReturnDocument, TransactionOptions, WriteConcern, WriteModel,
            };
            use $driver::{
                Client, ClientSession, Collection, Cursor, Database, IndexModel, SessionCursor,
            };

            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
            pub(crate) struct Book {
                title: String,
                author: String,
            }

            fn books() -> Vec<Book> {
                [("1984", "Orwell"), ("Animal Farm", "Orwell"), ("The Great Gatsby", "Fitzgerald")]
                    .map(|(title, author)| Book { title: title.into(), author: author.into() })
                    .into()
            }

            /// Generic over what the driver is generic over.
            async fn all<T>(cursor: Cursor<T>) -> Result<Vec<T>>
            where
                T: DeserializeOwned + Unpin + Send + Sync,
            {
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
                assert_eq!(books.list_index_names().await?.len(), 2);
                let indexes = books.list_indexes().batch_size(10).await?;
                assert_eq!(all(indexes).await?.len(), 2);
                books.drop_index("title_1").comment("done").await
            }

            /// Documents without a copy of each, batch by batch.
            async fn titles(books: &Collection<Book>) -> Result<Vec<String>> {
                #[derive(Deserialize)]
                struct Title<'a> {
                    title: &'a str,
                }

                let raw = books.clone_with_type::<Title<'_>>();
                let mut cursor = raw.find(doc! {}).sort(doc! { "title": 1 }).batch_size(2).await?;
                let mut titles = Vec::new();
                while cursor.advance().await? {
                    titles.push(cursor.deserialize_current()?.title.to_owned());
                    assert!(cursor.current().get_str("title").is_ok());
                }
                assert!(!cursor.has_next());
                let batches = books.find(doc! {}).batch().await?;
                let batches: Vec<_> = batches.try_collect().await?;
                assert_eq!(batches[0].doc_slices()?.into_iter().count(), titles.len());
                Ok(titles)
            }

            async fn changed(books: &Collection<Book>) -> Result<()> {
                let gatsby = || doc! { "title": "The Great Gatsby" };
                let set = doc! { "$set": { "author": "F. Scott Fitzgerald" } };
                let updated = books.update_one(gatsby(), set.clone()).upsert(false).await?;
                assert_eq!(updated.matched_count, 1);
                books.update_many(gatsby(), vec![doc! { "$set": { "pages": 180 } }]).await?;
                let after = books
                    .find_one_and_update(gatsby(), set)
                    .return_document(ReturnDocument::After)
                    .projection(doc! { "_id": 0 })
                    .await?;
                assert_eq!(after.unwrap().author, "F. Scott Fitzgerald");
                let book = Book { title: "The Great Gatsby".into(), author: "Fitzgerald".into() };
                books.find_one_and_replace(gatsby(), &book).await?.unwrap();
                books
                    .replace_one(gatsby(), &book)
                    .hint(None.unwrap_or_else(|| $driver::options::Hint::Keys(doc! { "_id": 1 })))
                    .await?;
                let wanted = Some(1);
                let counted =
                    books.count_documents(doc! {}).optional(wanted, |it, limit| it.limit(limit));
                assert_eq!(counted.await?, 1);
                assert_eq!(
                    books.estimated_document_count().max_time(Duration::from_secs(9)).await?,
                    3
                );
                assert_eq!(books.find_one_and_delete(gatsby()).await?.unwrap(), book);
                books.insert_one(book).await?;
                Ok(())
            }

            async fn grouped(books: &Collection<Book>) -> Result<Vec<Document>> {
                #[derive(Debug, Deserialize)]
                struct Author {
                    #[serde(rename = "_id")]
                    name: String,
                }

                let by_author =
                    || [doc! { "$group": { "_id": "$author" } }, doc! { "$sort": { "_id": 1 } }];
                let typed = books.aggregate(by_author()).with_type::<Author>().await?;
                let authors: Vec<Author> = typed.try_collect().await?;
                assert_eq!(authors[0].name, "Fitzgerald");
                let documents = books.aggregate(by_author()).allow_disk_use(true).await?;
                documents.try_collect().await
            }

            async fn in_a_transaction(
                session: &mut ClientSession,
                books: &Collection<Book>,
            ) -> Result<()> {
                let majority = TransactionOptions::builder()
                    .read_concern(ReadConcern::snapshot())
                    .write_concern(WriteConcern::majority())
                    .build();
                session.start_transaction().with_options(majority).await?;
                let found = books.find_one(doc! { "title": "1984" }).session(&mut *session).await?;
                assert_eq!(found.unwrap().author, "Orwell");
                books.delete_one(doc! { "title": "1984" }).session(&mut *session).await?;
                let mut cursor: SessionCursor<Book> =
                    books.find(doc! {}).session(&mut *session).await?;
                let mut left = 0;
                while cursor.next(session).await.transpose()?.is_some() {
                    left += 1;
                }
                assert_eq!(left, 2);
                session.commit_transaction().await?;

                let mut cursor = books.find(doc! {}).session(&mut *session).await?;
                let rest: Vec<_> = cursor.stream(session).try_collect().await?;
                assert_eq!(rest.len(), 2);
                session.start_transaction().await?;
                books.delete_many(doc! {}).session(&mut *session).await?;
                session.abort_transaction().await
            }

            /// With the driver's repetitions.
            async fn by_callback(client: &Client, books: &Collection<Book>) -> Result<()> {
                let mut session = client.start_session().causal_consistency(true).await?;
                let book = Book { title: "Homage to Catalonia".into(), author: "Orwell".into() };
                let inserted = session
                    .start_transaction()
                    .and_run((books.clone(), book), |session, (books, book)| {
                        async move {
                            books.insert_one(&*book).session(session).await?;
                            Ok(1)
                        }
                        .boxed()
                    })
                    .await?;
                assert_eq!(inserted, 1);
                session
                    .start_transaction()
                    .and_run2(async |session| {
                        books.delete_one(doc! { "title": "1984" }).session(session).await
                    })
                    .await?;
                Ok(())
            }

            async fn commands(database: &Database) -> Result<()> {
                database.create_collection("notes").await?;
                let names = database.list_collection_names().filter(doc! { "name": "notes" });
                assert_eq!(names.await?, ["notes"]);
                let mut listed = database.list_collections().await?;
                while let Some(collection) = listed.next().await {
                    assert!(!collection?.name.is_empty());
                }
                assert_eq!(
                    database.run_command(doc! { "ping": 1 }).await?.get("ok"),
                    Some(&Bson::Double(1.0))
                );
                let ping = RawDocumentBuf::try_from(&doc! { "ping": 1 })?;
                database.run_raw_command(ping).await?;
                let found = database.run_cursor_command(doc! { "find": "notes" }).await?;
                assert!(all(found).await?.is_empty());
                let client = database.client();
                assert!(client.list_database_names().await?.len() > 1);
                assert!(client.list_databases().await?.len() > 1);
                client.warm_connection_pool().await;
                Ok(())
            }

            async fn files(database: &Database) -> Result<String> {
                let options =
                    GridFsBucketOptions::builder().bucket_name("pages".to_owned()).build();
                let bucket: GridFsBucket = database.gridfs_bucket(options);
                let mut upload = bucket.open_upload_stream("1984.txt").chunk_size_bytes(4).await?;
                upload.write_all(b"It was a bright cold day").await?;
                let id = upload.id().clone();
                upload.close().await?;
                let mut text = String::new();
                let mut download = bucket.open_download_stream(id.clone()).await?;
                download.read_to_string(&mut text).await?;
                bucket.rename(id.clone(), "1984.md").await?;
                assert!(bucket.find_one(doc! { "filename": "1984.md" }).await?.is_some());
                let found: Vec<_> = bucket.find(doc! {}).limit(1).await?.try_collect().await?;
                assert_eq!(found[0].length, 24);
                let mut given_up = bucket.open_upload_stream("never.txt").await?;
                given_up.write_all(b"no").await?;
                given_up.abort().await?;
                bucket.delete(id).await?;
                bucket.drop().await?;
                Ok(text)
            }

            /// A server of before version 8 has no such command.
            async fn in_bulk(client: &Client, books: &Collection<Book>) -> Result<i64> {
                let book = |title: &str| {
                    let insert = InsertOneModel::builder().namespace(books.namespace());
                    WriteModel::InsertOne(insert.document(doc! { "title": title }).build())
                };
                let whole = Book { title: "d".into(), author: "e".into() };
                client.bulk_write([books.insert_one_model(whole)?]).await?;
                client.bulk_write([book("a")]).ordered(false).verbose_results().await?;
                Ok(client.bulk_write([book("b"), book("c")]).await?.inserted_count)
            }

            /// What it comes to is the same with each driver.
            pub(crate) async fn run(client: &Client, name: &str) -> Result<Vec<String>> {
                let database = client.database(name);
                let books = database.collection::<Book>("books");
                books.insert_many(self::books()).ordered(true).await?;
                let mut told = vec![format!("{:?}", by_title(&books, "Orwell").await?)];
                indexed(&books).await?;
                told.extend(titles(&books).await?);
                changed(&books).await?;
                told.push(format!("{:?}", grouped(&books).await?));
                let mut session = database.client().start_session().await?;
                in_a_transaction(&mut session, &books).await?;
                by_callback(client, &books).await?;
                told.push(format!("{:?}", by_title(&books, "Orwell").await?));
                commands(&database).await?;
                told.push(files(&database).await?);
                told.push(format!("{:?}", in_bulk(client, &books).await.is_ok()));
                let raw: Collection<Document> = books.clone_with_type();
                told.push(format!("{:?}", raw.distinct("title", doc! {}).await?));
                told.push(format!("{:?}", raw.find_one(doc! { "a": { "$no": 1 } }).await.is_err()));
                raw.drop().await?;
                database.drop().await?;
                Ok(told)
            }
        }
    };
}

application!(bare, mongodb);
application!(ours, otel_mongodb);

macro_rules! blocking_application {
    ($module:ident, $driver:ident) => {
        mod $module {
            use std::io::{Read as _, Write as _};

            use serde::{Deserialize, Serialize};
            use $driver::IndexModel;
            use $driver::bson::{Document, doc};
            use $driver::error::Result;
            use $driver::sync::{Client, ClientSession, Collection, Cursor, Database};

            #[derive(Clone, Debug, Serialize, Deserialize)]
            struct Number {
                #[serde(rename = "_id")]
                id: i32,
            }

            fn sum(cursor: Cursor<Number>) -> Result<i32> {
                cursor.map(|number| Ok(number?.id)).sum()
            }

            fn in_a_transaction(
                session: &mut ClientSession,
                numbers: &Collection<Number>,
            ) -> Result<()> {
                session.start_transaction().run()?;
                numbers.insert_one(Number { id: 7 }).session(&mut *session).run()?;
                let mut cursor = numbers.find(doc! {}).session(&mut *session).run()?;
                assert_eq!(cursor.iter(session).count(), 6);
                session.abort_transaction().run()?;
                let id = session.start_transaction().and_run(|session| {
                    numbers.insert_one(Number { id: 8 }).session(session).run()
                })?;
                assert_eq!(id.inserted_id.as_i32(), Some(8));
                let mut cursor = numbers.find(doc! { "_id": 8 }).session(&mut *session).run()?;
                assert!(cursor.next(session).transpose()?.is_some());
                assert!(!cursor.advance(session)?);
                Ok(())
            }

            fn files(database: &Database) -> Result<String> {
                let bucket = database.gridfs_bucket(None);
                let mut upload = bucket.open_upload_stream("a.txt").run()?;
                upload.write_all(b"a file")?;
                upload.close()?;
                let mut text = String::new();
                let mut download = bucket.open_download_stream_by_name("a.txt").run()?;
                download.read_to_string(&mut text)?;
                bucket.drop().run()?;
                Ok(text)
            }

            pub(crate) fn run(client: &Client, name: &str) -> Result<Vec<String>> {
                let database = client.database(name);
                let numbers = database.collection::<Number>("numbers");
                numbers.insert_many((1..=5).map(|id| Number { id })).run()?;
                let mut told = vec![sum(numbers.find(doc! {}).batch_size(2).run()?)?.to_string()];
                let mut cursor = numbers.find(doc! {}).limit(1).run()?;
                while cursor.advance()? {
                    told.push(cursor.deserialize_current()?.id.to_string());
                }
                numbers.create_index(IndexModel::builder().keys(doc! { "a": 1 }).build()).run()?;
                told.push(numbers.count_documents(doc! {}).run()?.to_string());
                let mut session = client.start_session().run()?;
                in_a_transaction(&mut session, &numbers)?;
                told.push(files(&database)?);
                let raw: Collection<Document> = numbers.clone_with_type();
                told.push(format!(
                    "{:?}",
                    raw.aggregate([doc! { "$sort": { "_id": 1 } }])
                        .run()?
                        .collect::<Result<Vec<_>>>()?
                ));
                told.push(format!("{:?}", numbers.insert_one(Number { id: 1 }).run().is_err()));
                database.drop().run()?;
                Ok(told)
            }
        }
    };
}

blocking_application!(bare_blocking, mongodb);
blocking_application!(blocking, otel_mongodb);

fn same<T: Debug + PartialEq, E: Debug>(ours: Result<T, E>, drivers: Result<T, E>) {
    assert_eq!(ours.unwrap(), drivers.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_as_it_was() {
    let Some(url) = live::address("MONGODB") else { return };
    let capture = Capture::new();
    let bare = mongodb::Client::with_uri_str(&url).await.unwrap();
    let mut options = otel_mongodb::options::ClientOptions::parse(&url).await.unwrap();
    let builder = otel_mongodb::builder(&mut options);
    let client = builder.telemetry(&capture.telemetry()).client().unwrap();
    same(ours::run(&client, "user_code").await, bare::run(&bare, "user_code_bare").await);
    assert!(capture.spans().len() > 40);
    client.shutdown().immediate(true).await;
}

/// The line that is changed where the client stays the driver's own.
#[tokio::test(flavor = "multi_thread")]
async fn an_application_with_the_drivers_own_client() {
    let Some(url) = live::address("MONGODB") else { return };
    let capture = Capture::new();
    let mut options = mongodb::options::ClientOptions::parse(&url).await.unwrap();
    otel_mongodb::with(&mut options, &capture.telemetry());
    let client = mongodb::Client::with_options(options).unwrap();
    bare::run(&client, "user_code_hook").await.unwrap();
    assert!(capture.spans().len() > 40);
    client.shutdown().immediate(true).await;
}

#[test]
fn a_blocking_application_as_it_was() {
    let Some(url) = live::address("MONGODB") else { return };
    let bare = mongodb::sync::Client::with_uri_str(&url).unwrap();
    let client = otel_mongodb::sync::Client::with_uri_str(&url).unwrap();
    same(
        blocking::run(&client, "user_code_blocking"),
        bare_blocking::run(&bare, "user_code_blocking_bare"),
    );
    client.shutdown().immediate(true).run();
}

/// Each line of the README's table of what is left to `raw()`, but those of encryption.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_to_raw() {
    async fn migrate(client: &mongodb::Client) -> mongodb::error::Result<u64> {
        let notes = client.database("user_code_raw").collection::<Document>("notes");
        notes.insert_one(doc! { "_id": 1 }).await?;
        count(&notes).await
    }

    async fn count(notes: &mongodb::Collection<Document>) -> mongodb::error::Result<u64> {
        notes.count_documents(doc! {}).await
    }

    let Some(url) = live::address("MONGODB") else { return };
    let capture = Capture::new();
    let mut options = mongodb::options::ClientOptions::parse(&url).await.unwrap();
    let builder = otel_mongodb::builder(&mut options).telemetry(&capture.telemetry());
    let client = builder.client().unwrap();
    let database = client.database("user_code_raw");
    let notes = database.collection::<Document>("notes");
    assert_eq!(migrate(client.raw()).await.unwrap(), 1);
    assert_eq!(count(notes.raw()).await.unwrap(), 1);
    let mut session = client.start_session().await.unwrap();
    notes.raw().find_one(doc! {}).session(session.raw()).await.unwrap().unwrap();
    capture.assert_no_spans();
    let mut drivers = client.raw().start_session().await.unwrap();
    notes.find_one(doc! {}).session(&mut drivers).await.unwrap().unwrap();
    let options = mongodb::options::CreateCollectionOptions::builder().build();
    database.create_collection("a").with_options(options).await.unwrap();
    let adopted = otel_mongodb::Client::with(client.raw().clone(), &capture.telemetry());
    adopted.database("user_code_raw").drop().await.unwrap();
    let names: Vec<_> = capture.spans().iter().map(|span| span.name.to_string()).collect();
    assert_eq!(names, ["find notes", "create a", "dropDatabase user_code_raw"]);
    drop((session, drivers));
    client.shutdown().immediate(true).await;
}

mod as_the_drivers {
    //! What holds for the driver's types holds for ours.

    use std::fmt::Debug;

    use mongodb::bson::Document;
    use otel_mongodb::{change_stream, gridfs, raw_batch_cursor, sync};

    fn handle<T: Clone + Debug + Send + Sync + Unpin + 'static>() {}
    fn shown<T: Debug + Send + Sync + Unpin + 'static>() {}
    fn sent<T: Send + Unpin + 'static>() {}
    fn is_send<T: Send>(_: T) {}

    #[test]
    fn types() {
        handle::<mongodb::Client>();
        handle::<otel_mongodb::Client>();
        handle::<otel_mongodb::Database>();
        handle::<otel_mongodb::Collection<Document>>();
        handle::<gridfs::GridFsBucket>();
        handle::<sync::Client>();
        handle::<sync::Database>();
        handle::<sync::Collection<Document>>();
        shown::<mongodb::ClientSession>();
        shown::<otel_mongodb::ClientSession>();
        sent::<mongodb::Cursor<Document>>();
        sent::<otel_mongodb::Cursor<Document>>();
        sent::<otel_mongodb::SessionCursor<Document>>();
        sent::<raw_batch_cursor::RawBatchCursor>();
        sent::<raw_batch_cursor::SessionRawBatchCursor>();
        sent::<change_stream::ChangeStream<Document>>();
        sent::<change_stream::session::SessionChangeStream<Document>>();
        sent::<gridfs::GridFsDownloadStream>();
        sent::<gridfs::GridFsUploadStream>();
        sent::<sync::Cursor<Document>>();
        sent::<sync::SessionCursor<Document>>();
        sent::<sync::ClientSession>();
    }

    /// Never run.
    #[expect(dead_code, reason = "that it compiles is what it shows")]
    fn futures(client: &otel_mongodb::Client, session: &mut otel_mongodb::ClientSession) {
        let numbers = client.database("").collection::<Document>("");
        is_send(otel_mongodb::connect(""));
        is_send(otel_mongodb::Client::with_uri_str(""));
        is_send(numbers.find(Document::new()));
        is_send(numbers.find(Document::new()).into_future());
        is_send(numbers.find(Document::new()).batch());
        is_send(numbers.find_one(Document::new()).session(&mut *session).into_future());
        is_send(numbers.watch().into_future());
        is_send(session.start_transaction().into_future());
        is_send(session.commit_transaction().into_future());
        is_send(session.start_transaction().and_run(0, |_, _| Box::pin(async { Ok(()) })));
        is_send(client.start_session().into_future());
    }
}
