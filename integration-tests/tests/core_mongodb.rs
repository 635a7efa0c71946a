//! The core alone, by the events of MongoDB's driver: start and end of a command are told on whatever
//! thread runs the driver, and a command whose future was dropped never ends, but its connection
//! does. What an adapter of it will be made of.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::sync::Arc;

use integration_tests::{eventually, unique_name};
use mongodb::bson::{Document, doc};
use mongodb::event::EventHandler;
use mongodb::event::cmap::CmapEvent;
use mongodb::event::command::CommandEvent;
use mongodb::options::ClientOptions;
use opentelemetry::Context;
use opentelemetry::context::FutureExt as _;
use opentelemetry::trace::{Span as _, TraceContextExt as _, Tracer as _};
use otel_core::{Classify, Client, Db, DbCall, DbOperation, DbServer, Failure, Pending, Telemetry};
use otel_testing::assert::ExpectedSpan;
use otel_testing::{Capture, live, span};
use tokio::sync::Notify;

enum Mongo {}

impl Client for Mongo {
    const NAME: &'static str = "spike-mongodb";
    const VERSION: &'static str = "0";
}

impl Classify<mongodb::error::Error> for Mongo {
    fn classify(error: &mongodb::error::Error) -> Failure {
        match &*error.kind {
            mongodb::error::ErrorKind::Command(error) => Failure::code(error.code.to_string()),
            _ => Failure::new("_OTHER"),
        }
    }
}

/// What the handlers of the driver's events need. A connection runs one command at a time.
struct Events {
    db: Db<Mongo>,
    running: Pending<u32, DbOperation<Mongo>>,
    started: Notify,
}

impl Events {
    fn command(&self, event: CommandEvent) {
        match event {
            CommandEvent::Started(event) => {
                let command = event.command_name;
                let collection = event.command.get_str(&command).ok();
                let operation = self.db.start(|| {
                    let call = DbCall::new().operation(&*command).namespace(&event.db);
                    collection.into_iter().fold(call, DbCall::collection)
                });
                self.running.insert(event.connection.id, operation);
                self.started.notify_one();
            }
            CommandEvent::Succeeded(event) => {
                if let Some(operation) = self.running.take(&event.connection.id) {
                    operation.finish();
                }
            }
            CommandEvent::Failed(event) => {
                if let Some(operation) = self.running.take(&event.connection.id) {
                    operation.fail(&event.failure);
                }
            }
            _ => {}
        }
    }

    fn connection(&self, event: CmapEvent) {
        if let CmapEvent::ConnectionClosed(event) = event {
            // What still ran on it was cancelled.
            drop(self.running.take(&event.connection_id));
        }
    }
}

struct Scratch {
    events: Arc<Events>,
    name: String,
    orders: mongodb::Collection<Document>,
}

impl Scratch {
    async fn new(telemetry: &Telemetry) -> Option<Self> {
        let server = DbServer::new("mongodb").address("db.example", None);
        let db = Db::new(telemetry, server);
        let events = Arc::new(Events { db, running: Pending::new(100), started: Notify::new() });
        let mut options = ClientOptions::parse(live::address("MONGODB")?).await.unwrap();
        let heard = Arc::clone(&events);
        options.command_event_handler =
            Some(EventHandler::callback(move |event| heard.command(event)));
        let heard = Arc::clone(&events);
        options.cmap_event_handler =
            Some(EventHandler::callback(move |event| heard.connection(event)));
        let name = unique_name();
        let database = mongodb::Client::with_options(options).unwrap().database(&name);
        Some(Self { events, orders: database.collection("orders"), name })
    }

    fn span(&self, command: &'static str) -> ExpectedSpan {
        span(format!("{command} orders"))
            .client()
            .attribute("db.system.name", "mongodb")
            .attribute("db.namespace", self.name.clone())
            .attribute("db.operation.name", command)
            .attribute("db.collection.name", "orders")
            .attribute("server.address", "db.example")
    }
}

#[tokio::test]
async fn a_command_is_a_span_below_the_callers() {
    let capture = Capture::new();
    let Some(scratch) = Scratch::new(&capture.telemetry()).await else { return };
    let caller = capture.tracer("caller").start("request");
    let caller_context = caller.span_context().clone();
    let calls = async {
        scratch.orders.insert_one(doc! { "_id": 7 }).await.unwrap();
        scratch.orders.aggregate([doc! { "$unknown": 1 }]).await.unwrap_err();
    };
    calls.with_context(Context::current_with_span(caller)).await;
    let failed = scratch
        .span("aggregate")
        .attribute("error.type", "40324")
        .attribute("db.response.status_code", "40324")
        .error("");
    let below = [scratch.span("insert"), failed].map(|span| span.child_of(caller_context.clone()));
    let caller = span("request").internal();
    capture.assert_spans(below.into_iter().chain([caller]));
    assert!(scratch.events.running.is_empty());
}

/// Its future is dropped while it waits for the answer: the driver tells no end of it.
#[tokio::test]
async fn a_dropped_command_is_cancelled_when_its_connection_closes() {
    let capture = Capture::new();
    let Some(scratch) = Scratch::new(&capture.telemetry()).await else { return };
    scratch.orders.insert_one(doc! { "_id": 7 }).await.unwrap();
    let events = &scratch.events;
    events.started.notified().await;
    tokio::select! {
        biased;
        // On one thread it is seen before the answer can be.
        () = events.started.notified() => {}
        found = scratch.orders.find_one(doc! {}).into_future() => panic!("{found:?}"),
    }
    eventually("the connection is closed", async || events.running.is_empty()).await;
    let cancelled = scratch.span("find").attribute("error.type", "cancelled").error("");
    capture.assert_spans([scratch.span("insert"), cancelled]);

    // Another connection takes over.
    assert!(scratch.orders.find_one(doc! {}).await.unwrap().is_some());
    assert_eq!(capture.spans().len(), 3);
}
