//! What all of them share.

pub(crate) mod audit;

use std::collections::HashMap;

use integration_tests::{count, eventually, soon, unique_name, whole};
use mongodb::bson::{Document, doc};
use mongodb::options::{ClientOptions, ServerAddress};
use mongodb::{Client, Collection, Database};
use opentelemetry::Context;
use opentelemetry::trace::{FutureExt as _, SpanContext, TraceContextExt as _, Tracer as _};
use otel_mongodb::Telemetry;
use otel_mongodb::otel_core::TelemetryBuilder;
use otel_testing::assert::ExpectedSpan;
use otel_testing::opentelemetry_sdk::trace::SpanData;
use otel_testing::{Capture, live, span};
use tokio::sync::MutexGuard;

use self::audit::Audit;

/// A database of one test's own, through an instrumented client.
pub(crate) struct Scratch {
    pub(crate) capture: Capture,
    pub(crate) client: Client,
    pub(crate) database: Database,
    pub(crate) name: String,
    /// Of that client, and of those of [`lean`](Self::lean) and [`options`](Self::options).
    pub(crate) by_events: Audit,
    pub(crate) by_handles: Audit,
    node: ServerAddress,
    /// As they were before they were instrumented, or watched.
    options: ClientOptions,
    telemetry: Telemetry,
}

/// The handles of a client of this crate's.
pub(crate) struct Lean {
    pub(crate) client: otel_mongodb::Client,
    pub(crate) database: otel_mongodb::Database,
    pub(crate) numbers: otel_mongodb::Collection<Document>,
}

impl Scratch {
    /// On the shared server.
    pub(crate) async fn new() -> Option<Self> {
        Self::with(|telemetry| telemetry, |_| ()).await
    }

    /// With options of the telemetry and of the client.
    pub(crate) async fn with(
        telemetry: impl Fn(TelemetryBuilder) -> TelemetryBuilder,
        set: impl FnOnce(&mut ClientOptions),
    ) -> Option<Self> {
        Some(Self::on(&live::address("MONGODB")?, telemetry, set).await)
    }

    pub(crate) async fn on(
        url: &str,
        telemetry: impl Fn(TelemetryBuilder) -> TelemetryBuilder,
        set: impl FnOnce(&mut ClientOptions),
    ) -> Self {
        let capture = Capture::new();
        let name = unique_name();
        let mut options = ClientOptions::parse(url).await.unwrap();
        options.app_name = Some(name.clone());
        set(&mut options);
        let node = options.hosts[0].clone();
        let (by_events, by_handles) = (Audit::by_events(), Audit::by_handles());
        let before = options.clone();
        by_events.watch(&mut options);
        otel_mongodb::with(&mut options, &telemetry(by_events.note(&capture)).build());
        let telemetry = telemetry(by_handles.note(&capture)).build();
        let client = Client::with_options(options).unwrap();
        let database = client.database(&name);
        let options = before;
        Self { capture, client, database, name, by_events, by_handles, node, options, telemetry }
    }

    /// Another client of the same options, of which each call is one operation.
    pub(crate) fn lean(&self) -> Lean {
        self.handles(self.options())
    }

    /// Another client, by both ways at once.
    pub(crate) fn both(&self) -> Lean {
        let mut options = self.options();
        otel_mongodb::with(&mut options, &self.telemetry);
        self.handles(options)
    }

    fn handles(&self, mut options: ClientOptions) -> Lean {
        let builder = otel_mongodb::builder(&mut options).telemetry(&self.telemetry);
        let client = builder.client().unwrap();
        let database = client.database(&self.name);
        Lean { numbers: database.collection("numbers"), database, client }
    }

    /// The options of its client, before they were instrumented; what their clients send is watched
    /// with that of the handles.
    pub(crate) fn options(&self) -> ClientOptions {
        let mut options = self.options.clone();
        self.by_handles.watch(&mut options);
        options
    }

    pub(crate) fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    /// The driver's own client, as it is.
    pub(crate) fn bare(&self) -> Client {
        Client::with_options(self.options.clone()).unwrap()
    }

    pub(crate) fn numbers(&self) -> Collection<Document> {
        self.database.collection("numbers")
    }

    /// With these documents in it, of which nothing is told.
    pub(crate) async fn filled(&self, ids: impl IntoIterator<Item = i32>) -> Collection<Document> {
        let numbers = self.numbers();
        numbers.insert_many(ids.into_iter().map(|id| doc! { "_id": id })).await.unwrap();
        self.capture.clear();
        numbers
    }

    /// Of a command on no collection.
    pub(crate) fn command(&self, command: &'static str, database: &str) -> ExpectedSpan {
        self.expected(command, database, database)
    }

    /// Of a command on a collection of the test's own database.
    pub(crate) fn on_collection(&self, command: &'static str, collection: &str) -> ExpectedSpan {
        let span = self.expected(command, &self.name, collection);
        span.attribute("db.collection.name", collection.to_owned())
    }

    fn expected(&self, command: &'static str, database: &str, target: &str) -> ExpectedSpan {
        let ServerAddress::Tcp { host, port } = &self.node else { panic!("{}", self.node) };
        let span = span(format!("{command} {target}"))
            .client()
            .scope("otel-mongodb")
            .attribute("db.system.name", "mongodb")
            .attribute("db.namespace", database.to_owned())
            .attribute("db.operation.name", command)
            .attribute("server.address", host.clone());
        // Where it is the default one, it is not told.
        let port = port.filter(|port| *port != 27017);
        port.into_iter().fold(span, |span, port| span.attribute("server.port", i64::from(port)))
    }

    pub(crate) fn on_numbers(&self, command: &'static str) -> ExpectedSpan {
        self.on_collection(command, "numbers")
    }

    /// The server fails the next command of this name that this client sends, in this way. There is
    /// one fail point for all, so keep what is returned until it has happened.
    pub(crate) async fn fail_next(&self, command: &str, how: Document) -> MutexGuard<'static, ()> {
        self.fail(1, &[command], how).await
    }

    /// As [`fail_next`](Self::fail_next), so many commands of these names.
    pub(crate) async fn fail(
        &self,
        times: i32,
        commands: &[&str],
        how: Document,
    ) -> MutexGuard<'static, ()> {
        static FAIL_POINT: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

        let guard = FAIL_POINT.lock().await;
        let mut data = doc! { "failCommands": commands, "appName": &self.name };
        data.extend(how);
        let arm =
            doc! { "configureFailPoint": "failCommand", "mode": { "times": times }, "data": data };
        self.client.database("admin").run_command(arm).await.unwrap();
        self.capture.clear();
        guard
    }

    /// Waits until one connection is used.
    pub(crate) async fn until_one_runs(&self) {
        let is_used = || connections(&self.capture).get("used") == Some(&1);
        eventually("it runs", async || is_used()).await;
    }

    /// As many measurements as spans of ours.
    #[track_caller]
    pub(crate) fn assert_measured(&self) {
        let spans = self.capture.spans();
        let ours = spans.iter().filter(|span| span.instrumentation_scope.name() == "otel-mongodb");
        let measured = count(&self.capture, "db.client.operation.duration");
        assert_eq!(measured, ours.count() as u64);
    }

    /// Runs something below a span of the test's own.
    pub(crate) async fn below<F: Future>(&self, future: F) -> (F::Output, SpanContext) {
        let context = Context::current_with_span(self.capture.tracer("test").start("request"));
        let output = future.with_context(context.clone()).await;
        context.span().end();
        (output, context.span().span_context().clone())
    }

    /// What a failed test leaves goes with the server. Waits until all that was dropped is ended, since
    /// a session that is not handed back yet is not ended with the client.
    pub(crate) async fn remove(self) {
        self.database.drop().await.unwrap();
        soon("nothing is open", self.client.clone().shutdown().into_future()).await;
        self.audited().await;
    }

    /// The same, and the end of a client of the handles.
    pub(crate) async fn end(self, client: otel_mongodb::Client) {
        soon("nothing is open", client.shutdown().into_future()).await;
        self.remove().await;
    }

    /// For a test that leaves nothing, or ends it itself.
    #[expect(clippy::print_stdout, reason = "what was traced is shown with the test")]
    pub(crate) async fn audited(mut self) {
        for (way, audit) in [("events", &mut self.by_events), ("handles", &mut self.by_handles)] {
            let balance = audit.balance().await;
            println!("by the {way}: {balance}");
        }
    }
}

pub(crate) fn one() -> Document {
    doc! { "_id": 1 }
}

pub(crate) fn increment() -> Document {
    doc! { "$inc": { "count": 1 } }
}

/// How many connections there are, in each of their states.
pub(crate) fn connections(capture: &Capture) -> HashMap<String, i64> {
    let counted = capture.assert_metric("db.client.connection.count");
    let state = |point: &otel_testing::Point| {
        point.attribute("db.client.connection.state").unwrap().to_string()
    };
    let mut all = HashMap::new();
    for point in &counted.points {
        *all.entry(state(point)).or_default() += whole(point);
    }
    all
}

/// Of an error the type.
pub(crate) fn error(span: &SpanData) -> Option<String> {
    let error = span.attributes.iter().find(|fact| fact.key.as_str() == "error.type");
    error.map(|error| error.value.to_string())
}

/// Adds how it failed.
pub(crate) fn failed(span: ExpectedSpan, code: &'static str) -> ExpectedSpan {
    span.attribute("error.type", code).attribute("db.response.status_code", code).error("")
}

/// Adds how it failed, without an answer of the server.
pub(crate) fn lost(span: ExpectedSpan, error: &'static str) -> ExpectedSpan {
    span.attribute("error.type", error).error("")
}
