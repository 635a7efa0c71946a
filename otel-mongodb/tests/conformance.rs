//! The scenarios that all database adapters share, on a server.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

use mongodb::bson::{Document, doc};
use mongodb::options::{ClientOptions, ServerAddress};
use otel_mongodb::Telemetry;
use otel_testing::assert::ExpectedSpan;
use otel_testing::scenario::{Call, Capability, Database};
use otel_testing::{live, span};

const DATABASE: &str = "conformance";

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
        let expected = |command: &'static str| {
            let ServerAddress::Tcp { host, port } = &self.node else { panic!("{}", self.node) };
            let span = span(format!("{command} numbers"))
                .client()
                .attribute("db.system.name", "mongodb")
                .attribute("db.namespace", DATABASE)
                .attribute("db.operation.name", command)
                .attribute("db.collection.name", "numbers")
                .attribute("server.address", host.clone());
            let port = port.filter(|port| *port != 27017).map(i64::from);
            port.into_iter().fold(span, |span, port| span.attribute("server.port", port))
        };
        match call {
            Call::Fail => expected("insert")
                .attribute("error.type", "11000")
                .attribute("db.response.status_code", "11000")
                .error(""),
            _ => expected("find"),
        }
    }
}

otel_testing::database_scenarios!(Client);
