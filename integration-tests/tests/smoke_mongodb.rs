//! The bare driver of MongoDB.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::sync::{Arc, Mutex};

use futures_util::{StreamExt as _, TryStreamExt as _};
use integration_tests::{eventually, is_real, private, unique_name};
use mongodb::bson::{Document, doc};
use mongodb::error::{Error, ErrorKind, WriteFailure};
use mongodb::event::EventHandler;
use mongodb::event::command::CommandEvent;
use mongodb::options::{ClientOptions, Credential};
use mongodb::{Client, Collection, Database};
use native::{Extra, Server};
use otel_testing::live;
use tokio::sync::MutexGuard;
use tokio::task::block_in_place;

/// A database of one test's own, and the commands that were sent to the server.
struct Scratch {
    database: Database,
    /// The client's own.
    name: String,
    commands: Arc<Mutex<Vec<String>>>,
}

impl Scratch {
    /// On the shared server.
    async fn new() -> Option<Self> {
        Some(Self::on(&live::address("MONGODB")?).await)
    }

    async fn on(url: &str) -> Self {
        let commands = Arc::new(Mutex::new(Vec::new()));
        let mut options = ClientOptions::parse(url).await.unwrap();
        let name = unique_name();
        options.app_name = Some(name.clone());
        let heard = Arc::clone(&commands);
        options.command_event_handler = Some(EventHandler::callback(move |event| {
            if let CommandEvent::Started(event) = event {
                heard.lock().unwrap().push(event.command_name);
            }
        }));
        let client = Client::with_options(options).unwrap();
        Self { database: client.database(&name), name, commands }
    }

    /// A collection with these ids in it.
    async fn numbers(&self, ids: &[i32]) -> Collection<Document> {
        let numbers = self.database.collection("numbers");
        numbers.insert_many(ids.iter().map(|id| doc! { "_id": *id })).await.unwrap();
        numbers
    }

    /// How often a command was sent.
    fn sent(&self, command: &str) -> usize {
        self.commands.lock().unwrap().iter().filter(|sent| *sent == command).count()
    }

    /// The server fails the next command of this name that this client sends, in this way. There
    /// is one fail point for all.
    async fn fail_next(&self, command: &str, how: Document) -> MutexGuard<'static, ()> {
        static FAIL_POINT: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

        let guard = FAIL_POINT.lock().await;
        let client = self.database.client();
        let mut data = doc! {
            "failCommands": [command],
            "appName": &self.name,
        };
        data.extend(how);
        let arm =
            doc! { "configureFailPoint": "failCommand", "mode": { "times": 1 }, "data": data };
        client.database("admin").run_command(arm).await.unwrap();
        guard
    }

    /// What a failed test leaves goes with the server.
    async fn remove(self) {
        self.database.drop().await.unwrap();
    }
}

async fn ids(numbers: &Collection<Document>) -> Vec<i32> {
    let found = numbers.find(doc! {}).sort(doc! { "_id": 1 }).batch_size(2).await.unwrap();
    let found: Vec<Document> = found.try_collect().await.unwrap();
    found.iter().map(|document| document.get_i32("_id").unwrap()).collect()
}

/// What the server called it.
fn code(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(error) => Some(error.code),
        ErrorKind::Write(WriteFailure::WriteError(error)) => Some(error.code),
        _ => None,
    }
}

/// What stands in for MongoDB where that is not: it says so itself.
async fn stand_in(client: &Client) -> Option<&'static str> {
    let about = client.database("admin").run_command(doc! { "buildInfo": 1 }).await.unwrap();
    about.contains_key("secantusVersion").then_some("SecantusDB")
}

#[tokio::test]
async fn what_is_written_is_read_back() {
    let Some(scratch) = Scratch::new().await else { return };
    let people = scratch.database.collection::<Document>("people");
    people.insert_one(doc! { "_id": 1, "name": "ann" }).await.unwrap();
    people.update_one(doc! { "_id": 1 }, doc! { "$set": { "age": 40 } }).await.unwrap();
    let found = people.find_one(doc! { "name": "ann" }).await.unwrap();
    assert_eq!(found, Some(doc! { "_id": 1, "name": "ann", "age": 40 }));
    assert_eq!(people.delete_many(doc! {}).await.unwrap().deleted_count, 1);
    assert_eq!(people.find_one(doc! {}).await.unwrap(), None);
    scratch.remove().await;
}

#[tokio::test]
async fn a_cursor_fetches_all_its_batches() {
    let Some(scratch) = Scratch::new().await else { return };
    let numbers = scratch.numbers(&[1, 2, 3, 4, 5]).await;
    assert_eq!(ids(&numbers).await, [1, 2, 3, 4, 5]);
    assert_eq!((scratch.sent("find"), scratch.sent("getMore")), (1, 2));
    scratch.remove().await;
}

#[tokio::test]
async fn an_abandoned_cursor_is_ended_on_the_server() {
    let Some(scratch) = Scratch::new().await else { return };
    let numbers = scratch.numbers(&[1, 2, 3, 4, 5]).await;
    let mut cursor = numbers.find(doc! {}).batch_size(2).await.unwrap();
    cursor.try_next().await.unwrap().unwrap();
    drop(cursor);
    eventually("the cursor is killed", async || scratch.sent("killCursors") == 1).await;
    scratch.remove().await;
}

#[tokio::test]
async fn a_second_document_of_the_same_key_is_refused() {
    let Some(scratch) = Scratch::new().await else { return };
    let numbers = scratch.numbers(&[1]).await;
    let error = numbers.insert_one(doc! { "_id": 1 }).await.unwrap_err();
    assert_eq!(code(&error), Some(11000), "{error:?}");
    // Of many, those before it are written.
    let many = [2, 1, 3].map(|id| doc! { "_id": id });
    let error = numbers.insert_many(many).await.unwrap_err();
    let ErrorKind::InsertMany(errors) = &*error.kind else { panic!("{error:?}") };
    let codes = errors.write_errors.iter().flatten().map(|error| (error.index, error.code));
    assert_eq!(codes.collect::<Vec<_>>(), [(1, 11000)]);
    assert_eq!(ids(&numbers).await, [1, 2]);
    scratch.remove().await;
}

#[tokio::test]
async fn an_unknown_command_and_operator_are_told_apart() {
    let Some(scratch) = Scratch::new().await else { return };
    let unknown = scratch.database.run_command(doc! { "noSuchCommand": 1 }).await;
    assert_eq!(code(&unknown.unwrap_err()), Some(59));
    let numbers = scratch.numbers(&[1]).await;
    let unknown = numbers.find(doc! { "_id": { "$noSuch": 1 } }).await;
    assert_eq!(code(&unknown.err().unwrap()), Some(2));
    scratch.remove().await;
}

#[tokio::test]
async fn a_wrong_password_is_refused() {
    let Some(url) = live::address("MONGODB") else { return };
    let scratch = Scratch::on(&url).await;
    let name = unique_name();
    let user = doc! { "createUser": &name, "pwd": "right", "roles": ["readWrite"] };
    scratch.database.run_command(user).await.unwrap();
    let login = async |password: &str| {
        let mut options = ClientOptions::parse(&url).await.unwrap();
        let credential = Credential::builder().username(name.clone());
        let credential = credential.source(scratch.database.name().to_owned());
        options.credential = Some(credential.password(password.to_owned()).build());
        let client = Client::with_options(options).unwrap();
        client.database(scratch.database.name()).run_command(doc! { "ping": 1 }).await
    };
    login("right").await.unwrap();
    let error = login("wrong").await.unwrap_err();
    // The driver does not keep the code, which is 18.
    assert!(matches!(*error.kind, ErrorKind::Authentication { .. }), "{error:?}");
    scratch.database.run_command(doc! { "dropUser": &name }).await.unwrap();
    scratch.remove().await;
}

#[tokio::test]
async fn a_query_over_its_time_limit_is_an_error() {
    let Some(scratch) = Scratch::new().await else { return };
    let numbers = scratch.numbers(&(0..1000).collect::<Vec<_>>()).await;
    // Compares each with each.
    let join = doc! { "$lookup": {
        "from": "numbers", "let": { "id": "$_id" }, "as": "greater",
        "pipeline": [{ "$match": { "$expr": { "$gt": ["$_id", "$$id"] } } }],
    } };
    let limit = std::time::Duration::from_millis(20);
    let error = numbers.aggregate([join]).max_time(limit).await.err().unwrap();
    assert_eq!(code(&error), Some(50), "{error:?}");
    scratch.remove().await;
}

#[tokio::test]
async fn a_failure_in_the_server_has_its_code() {
    let Some(scratch) = Scratch::new().await else { return };
    let numbers = scratch.numbers(&[1]).await;
    let guard = scratch.fail_next("find", doc! { "errorCode": 8 }).await;
    let error = numbers.find_one(doc! {}).await.unwrap_err();
    assert_eq!(code(&error), Some(8), "{error:?}");
    drop(guard);
    assert!(numbers.find_one(doc! {}).await.unwrap().is_some());
    scratch.remove().await;
}

#[tokio::test]
async fn a_lost_connection_repeats_a_read_and_a_write_once() {
    let Some(scratch) = Scratch::new().await else { return };
    let numbers = scratch.numbers(&[1]).await;
    let before = (scratch.sent("find"), scratch.sent("insert"));
    let guard = scratch.fail_next("find", doc! { "closeConnection": true }).await;
    assert_eq!(numbers.find_one(doc! {}).await.unwrap(), Some(doc! { "_id": 1 }));
    drop(guard);
    let guard = scratch.fail_next("insert", doc! { "closeConnection": true }).await;
    numbers.insert_one(doc! { "_id": 2 }).await.unwrap();
    drop(guard);
    assert_eq!((scratch.sent("find"), scratch.sent("insert")), (before.0 + 2, before.1 + 2));
    assert_eq!(ids(&numbers).await, [1, 2]);
    scratch.remove().await;
}

#[tokio::test]
async fn an_aborted_transaction_leaves_nothing() {
    let Some(scratch) = Scratch::new().await else { return };
    let numbers = scratch.numbers(&[1]).await;
    let mut session = scratch.database.client().start_session().await.unwrap();
    for (id, commits) in [(2, false), (3, true)] {
        session.start_transaction().await.unwrap();
        numbers.insert_one(doc! { "_id": id }).session(&mut session).await.unwrap();
        assert_eq!(ids(&numbers).await, [1], "before the end");
        if commits {
            session.commit_transaction().await.unwrap();
        } else {
            session.abort_transaction().await.unwrap();
        }
    }
    assert_eq!(ids(&numbers).await, [1, 3]);
    scratch.remove().await;
}

#[tokio::test]
async fn of_two_transactions_on_one_document_the_second_is_refused() {
    let Some(scratch) = Scratch::new().await else { return };
    let numbers = scratch.numbers(&[1]).await;
    let client = scratch.database.client();
    let mut first = client.start_session().await.unwrap();
    let mut second = client.start_session().await.unwrap();
    first.start_transaction().await.unwrap();
    second.start_transaction().await.unwrap();
    let (one, change) = (doc! { "_id": 1 }, doc! { "$inc": { "count": 1 } });
    numbers.update_one(one.clone(), change.clone()).session(&mut first).await.unwrap();
    let error = numbers.update_one(one, change).session(&mut second).await.unwrap_err();
    assert_eq!(code(&error), Some(112), "{error:?}");
    assert!(error.contains_label(mongodb::error::TRANSIENT_TRANSACTION_ERROR), "{error:?}");
    first.abort_transaction().await.unwrap();
    scratch.remove().await;
}

#[tokio::test]
async fn a_change_stream_tells_what_was_written() {
    let Some(scratch) = Scratch::new().await else { return };
    let numbers = scratch.numbers(&[1]).await;
    let mut changes = numbers.watch().await.unwrap();
    numbers.insert_one(doc! { "_id": 2 }).await.unwrap();
    let change = changes.next().await.unwrap().unwrap();
    assert_eq!(change.document_key, Some(doc! { "_id": 2 }));
    scratch.remove().await;
}

/// What an instrumentation may add to a command is for the server to decide.
#[tokio::test]
async fn a_field_that_a_command_does_not_have_is_refused() {
    let Some(scratch) = Scratch::new().await else { return };
    let stand_in = stand_in(scratch.database.client()).await;
    if !is_real(Server::mongodb(), stand_in, "takes fields that commands do not have") {
        return;
    }
    scratch.numbers(&[1]).await;
    let comment = doc! { "find": "numbers", "comment": "told" };
    scratch.database.run_command(comment).await.unwrap();
    let unknown = doc! { "find": "numbers", "noSuchField": "told" };
    let error = scratch.database.run_command(unknown).await.unwrap_err();
    assert_eq!(code(&error), Some(40415), "{error:?}");
    scratch.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_the_driver_reconnects_and_all_that_was_acknowledged_is_there() {
    let Some(mut server) = block_in_place(|| private(Server::mongodb(), Extra::new())) else {
        return;
    };
    // Without `journal` nothing is promised: SecantusDB loses it, MongoDB may.
    let options = "&journal=true&serverSelectionTimeoutMS=5000";
    let scratch = Scratch::on(&format!("{}{options}", server.url())).await;
    let numbers = scratch.numbers(&[1, 2, 3]).await;
    block_in_place(|| server.kill()).unwrap();
    let error = numbers.find_one(doc! {}).await.unwrap_err();
    assert_eq!(code(&error), None, "{error:?}");
    block_in_place(|| server.restart()).unwrap();
    eventually("the server answers again", async || numbers.find_one(doc! {}).await.is_ok()).await;
    assert_eq!(ids(&numbers).await, [1, 2, 3]);
    numbers.insert_one(doc! { "_id": 4 }).await.unwrap();
    assert_eq!(ids(&numbers).await, [1, 2, 3, 4]);
}
