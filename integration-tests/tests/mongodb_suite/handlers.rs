//! Handlers of the user's own, in each of the slots and of each kind, and the blocking client.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mongodb::bson::{Document, doc};
use mongodb::event::EventHandler;
use mongodb::event::cmap::CmapEvent;
use mongodb::event::command::CommandEvent;
use mongodb::event::sdam::SdamEvent;
use mongodb::options::ClientOptions;
use opentelemetry::trace::{TraceContextExt as _, Tracer as _};
use otel_testing::{Capture, live};
use tokio::sync::mpsc;

use crate::suite::Scratch;
use crate::suite::audit::Audit;

type Count = Arc<AtomicUsize>;

fn counting<T>() -> (Count, impl Fn(T) + Send + Sync + 'static) {
    let count = Count::default();
    let counted = Arc::clone(&count);
    (count, move |_: T| {
        counted.fetch_add(1, Ordering::Relaxed);
    })
}

fn of(count: &Count) -> usize {
    count.load(Ordering::Relaxed)
}

#[tokio::test]
async fn callbacks_hear_what_they_heard() {
    let (commands, on_command) = counting::<CommandEvent>();
    let (connections, on_connection) = counting::<CmapEvent>();
    let (servers, on_server) = counting::<SdamEvent>();
    let scratch = Scratch::with(
        |it| it,
        |options| {
            options.command_event_handler = Some(EventHandler::callback(on_command));
            options.cmap_event_handler = Some(EventHandler::callback(on_connection));
            options.sdam_event_handler = Some(EventHandler::callback(on_server));
        },
    );
    let Some(scratch) = scratch.await else { return };
    let numbers = scratch.numbers();
    numbers.insert_one(doc! { "_id": 1 }).await.unwrap();
    numbers.insert_one(doc! { "_id": 1 }).await.unwrap_err();
    assert_eq!(of(&commands), 4);
    assert!(of(&connections) > 0 && of(&servers) > 0);
    assert_eq!(scratch.capture.spans().len(), 2);
    scratch.remove().await;
}

#[tokio::test]
async fn tasks_and_channels_hear_what_they_heard() {
    let (commands, on_command) = counting::<CommandEvent>();
    let (sender, mut connections) = mpsc::channel::<CmapEvent>(1);
    let scratch = Scratch::with(
        |it| it,
        |options| {
            options.command_event_handler = Some(EventHandler::async_callback(move |event| {
                on_command(event);
                Box::pin(async {})
            }));
            options.cmap_event_handler = Some(sender.into());
        },
    );
    let Some(scratch) = scratch.await else { return };
    let numbers = scratch.numbers();
    let (inserted, request) =
        scratch.below(numbers.insert_one(doc! { "_id": 1 }).into_future()).await;
    inserted.unwrap();
    assert_eq!(of(&commands), 2);
    // Nobody waits until somebody reads: the channel has room for one.
    let mut heard = Vec::new();
    while !heard.iter().any(|event| matches!(event, CmapEvent::ConnectionCheckedIn(_))) {
        heard.push(connections.recv().await.unwrap());
    }
    let created = |event: &CmapEvent| matches!(event, CmapEvent::PoolCreated(_));
    assert!(heard.iter().any(created), "{heard:?}");
    let request = scratch.on_numbers("insert").child_of(request);
    scratch.capture.assert_spans([request, otel_testing::span("request")]);
    scratch.assert_measured();
    scratch.remove().await;
}

/// Only measured pools, without the copies that hearing of commands costs.
#[tokio::test]
async fn pools_alone() {
    let Some(url) = live::address("MONGODB") else { return };
    let capture = Capture::new();
    let mut options = ClientOptions::parse(url).await.unwrap();
    let telemetry = capture.telemetry();
    otel_mongodb::builder(&mut options).telemetry(&telemetry).commands(false).instrument();
    assert!(options.command_event_handler.is_none());
    let client = mongodb::Client::with_options(options).unwrap();
    client.database("admin").run_command(doc! { "ping": 1 }).await.unwrap();
    capture.assert_no_spans();
    capture.assert_metric("db.client.connection.wait_time");
}

#[tokio::test]
async fn what_is_switched_off_is_not_there() {
    let mut options = ClientOptions::parse("mongodb://db.example").await.unwrap();
    let telemetry = otel_mongodb::Telemetry::builder().enabled(false).build();
    otel_mongodb::with(&mut options, &telemetry);
    assert!(options.command_event_handler.is_none() && options.cmap_event_handler.is_none());
    otel_mongodb::instrument(&mut options);
    assert!(options.command_event_handler.is_some() && options.cmap_event_handler.is_some());
    assert!(options.sdam_event_handler.is_none());
}

#[test]
fn the_blocking_client_has_the_spans_of_its_thread() {
    let Some(url) = live::address("MONGODB") else { return };
    let (capture, mut audit) = (Capture::new(), Audit::by_events());
    let mut options = ClientOptions::parse(url).run().unwrap();
    audit.watch(&mut options);
    otel_mongodb::with(&mut options, &audit.note(&capture).build());
    let client = mongodb::sync::Client::with_options(options).unwrap();
    let name = integration_tests::unique_name();
    let numbers = client.database(&name).collection::<Document>("numbers");
    let request = capture.tracer("test").in_span("request", |context| {
        numbers.insert_many((1..=5).map(|id| doc! { "_id": id })).run().unwrap();
        let found = numbers.find(doc! {}).batch_size(3).run().unwrap();
        assert_eq!(found.map(Result::unwrap).count(), 5);
        context.span().span_context().clone()
    });
    let spans = capture.spans();
    let names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["insert numbers", "find numbers", "getMore numbers", "request"]);
    assert!(spans[..3].iter().all(|span| span.parent_span_id == request.span_id()));
    client.database(&name).drop().run().unwrap();
    client.shutdown().immediate(true).run();
    integration_tests::apart(async || audit.balance().await);
}

#[tokio::test]
async fn a_client_of_a_connection_string() {
    let Some(url) = live::address("MONGODB") else { return };
    let client = otel_mongodb::connect(&url).await.unwrap();
    client.database("admin").run_command(doc! { "ping": 1 }).await.unwrap();
    otel_mongodb::connect("no url").await.unwrap_err();
    let clients = otel_core::diagnostics().clients;
    assert!(clients.iter().any(|client| client.name == "otel-mongodb"), "{clients:?}");
}
