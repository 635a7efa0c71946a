//! The scenarios that all database adapters share, on a server: by the driver's events, and by the
//! handles.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

use std::net::TcpListener;

use futures_util::stream::BoxStream;
use futures_util::{FutureExt as _, StreamExt as _};
use mongodb::bson::{Document, doc};
use mongodb::options::{ClientOptions, ServerAddress};
use otel_mongodb::Telemetry;
use otel_testing::assert::ExpectedSpan;
use otel_testing::scenario::{Call, Capability, Database};
use otel_testing::{live, span};
use serde::Deserialize;

/// A document that nobody can read.
#[derive(Deserialize)]
struct Unreadable {
    #[serde(rename = "_id", deserialize_with = "unreadable")]
    _id: i32,
}

fn unreadable<'de, D>(_: D) -> Result<i32, D::Error>
where
    D: serde::Deserializer<'de>,
{
    panic!("as the scenario wants it")
}

const DATABASE: &str = "conformance";

fn expected(node: &ServerAddress, command: &'static str) -> ExpectedSpan {
    let ServerAddress::Tcp { host, port } = node else { panic!("{node}") };
    let span = span(format!("{command} numbers"))
        .client()
        .attribute("db.system.name", "mongodb")
        .attribute("db.namespace", DATABASE)
        .attribute("db.operation.name", command)
        .attribute("db.collection.name", "numbers")
        .attribute("server.address", host.clone());
    let port = port.filter(|port| *port != 27017).map(i64::from);
    port.into_iter().fold(span, |span, port| span.attribute("server.port", port))
}

struct Client {
    numbers: mongodb::Collection<Document>,
    node: ServerAddress,
}

impl Database for Client {
    // The operation of a cursor's batch ends with the batch, whatever is read of it; that of a dropped
    // call later, when the driver closes the connection in a task of its own, which the live tests
    // wait for; and with a handler the driver itself allocates.
    const CAPABILITIES: &'static [Capability] = &[Capability::Unpolled];

    async fn connect(telemetry: &Telemetry) -> Option<Self> {
        let mut options = ClientOptions::parse(live::address("MONGODB")?).await.unwrap();
        let node = options.hosts[0].clone();
        otel_mongodb::with(&mut options, telemetry);
        let database = mongodb::Client::with_options(options).unwrap().database(DATABASE);
        let numbers = database.collection::<Document>("numbers");
        // Another scenario may have been faster.
        numbers.update_one(doc! { "_id": 1 }, doc! { "$set": { "a": 1 } }).upsert(true).await.ok();
        Some(Self { numbers, node })
    }

    async fn succeed(&self) {
        assert!(self.numbers.find_one(doc! { "_id": 1 }).await.unwrap().is_some());
    }

    async fn fail(&self) {
        self.numbers.insert_one(doc! { "_id": 1 }).await.unwrap_err();
    }

    fn unpolled(&self) {
        drop(self.numbers.find_one(doc! {}).into_future());
        drop(self.numbers.find(doc! {}).into_future());
    }

    fn expected(&self, call: Call) -> ExpectedSpan {
        let expected = |command| expected(&self.node, command);
        match call {
            Call::Fail => expected("insert")
                .attribute("error.type", "11000")
                .attribute("db.response.status_code", "11000")
                .error(""),
            _ => expected("find"),
        }
    }
}

struct Handles {
    numbers: otel_mongodb::Collection<Document>,
    /// Of a server that takes connections, and never says a word.
    mute: otel_mongodb::Collection<Document>,
    _listener: TcpListener,
    nodes: [ServerAddress; 2],
}

impl Database for Handles {
    const CAPABILITIES: &'static [Capability] = &[
        Capability::Cancel,
        Capability::Off,
        Capability::Panic,
        Capability::Stream,
        Capability::Unpolled,
    ];

    async fn connect(telemetry: &Telemetry) -> Option<Self> {
        let url = live::address("MONGODB")?;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mute = format!("mongodb://{}/?directConnection=true", listener.local_addr().unwrap());
        let [(numbers, node), (mute, silent)] = [url, mute].map(|url| {
            let mut options =
                ClientOptions::parse(url).into_future().now_or_never().unwrap().unwrap();
            let node = options.hosts[0].clone();
            let builder = otel_mongodb::builder(&mut options).telemetry(telemetry);
            let database = builder.client().unwrap().database(DATABASE);
            (database.collection::<Document>("numbers"), node)
        });
        for id in 1..=3 {
            // Another scenario may have been faster.
            let set = doc! { "$set": { "a": 1 } };
            numbers.update_one(doc! { "_id": id }, set).upsert(true).await.ok();
        }
        Some(Self { numbers, mute, _listener: listener, nodes: [node, silent] })
    }

    async fn succeed(&self) {
        assert!(self.numbers.find_one(doc! { "_id": 1 }).await.unwrap().is_some());
    }

    async fn fail(&self) {
        self.numbers.insert_one(doc! { "_id": 1 }).await.unwrap_err();
    }

    async fn hang(&self) {
        self.mute.find_one(doc! {}).await.unwrap();
    }

    fn rows(&self) -> BoxStream<'_, ()> {
        let found = self.numbers.find(doc! {}).into_future();
        found.map(Result::unwrap).flatten_stream().map(|row| drop(row.unwrap())).boxed()
    }

    fn unpolled(&self) {
        drop(self.numbers.find_one(doc! {}).into_future());
        drop(self.numbers.find(doc! {}).into_future());
        drop(self.numbers.find(doc! {}).batch());
    }

    async fn panic(&self) {
        let unreadable = self.numbers.clone_with_type::<Unreadable>();
        unreadable.find_one(doc! {}).await.unwrap();
    }

    /// Refused by the driver before it is sent.
    fn off_call(&self) {
        let none = self.numbers.insert_many([] as [Document; 0]).into_future();
        none.now_or_never().unwrap().unwrap_err();
    }

    fn bare_call(&self) {
        let none = self.numbers.raw().insert_many([] as [Document; 0]).into_future();
        none.now_or_never().unwrap().unwrap_err();
    }

    fn expected(&self, call: Call) -> ExpectedSpan {
        match call {
            Call::Fail => expected(&self.nodes[0], "insert")
                .attribute("error.type", "11000")
                .attribute("db.response.status_code", "11000")
                .error(""),
            Call::Hang => expected(&self.nodes[1], "find"),
            _ => expected(&self.nodes[0], "find"),
        }
    }
}

mod by_events {
    otel_testing::database_scenarios!(super::Client);
}

mod by_handles {
    otel_testing::database_scenarios!(super::Handles);
}
