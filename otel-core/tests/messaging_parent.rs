//! Parents and links of a handler: by the options, and what is current while it runs.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

mod support;

use std::collections::HashMap;
use std::fmt;

use opentelemetry::Context;
use opentelemetry::trace::{TraceContextExt as _, Tracer as _};
use otel_core::messaging::Delivery;
use otel_core::propagation::StringCarrier;
use otel_core::{Messaging, ProcessParent};
use otel_testing::{Capture, span};
use support::Stub;
use support::broker::{Client, Received, Record, SERVER, messaging, orders};

fn sent(messaging: &Messaging<Stub>) -> Delivery {
    let mut headers = HashMap::new();
    messaging.send(&mut StringCarrier(&mut headers), || orders("send")).finish();
    messaging.delivery(&StringCarrier(&headers))
}

fn process() -> otel_testing::assert::ExpectedSpan {
    span("process orders")
        .consumer()
        .attributes(SERVER)
        .attribute("server.port", 9092)
        .attribute("messaging.client.id", "stub-1")
        .attribute("messaging.destination.name", "orders")
        .attribute("messaging.operation.name", "process")
        .attribute("messaging.operation.type", "process")
}

#[test]
fn the_option_says_whose_child_a_handler_is() {
    use ProcessParent::{Ambient, Link, Message};

    for (parent, with_ambient) in [
        (Ambient, true),
        (Ambient, false),
        (Message, true),
        (Message, false),
        (Link, true),
        (Link, false),
    ] {
        let capture = Capture::new();
        let messaging = messaging(&capture.telemetry_builder().process_parent(parent).build());
        let delivery = sent(&messaging);
        let message = delivery.span_context().unwrap();
        capture.clear();
        let run = || messaging.process(&delivery, || orders("process")).finish();
        if with_ambient {
            capture.tracer("test").in_span("ambient", |_| run());
        } else {
            run();
        }
        let linked = process().link(message.clone());
        let expected = match (parent, with_ambient) {
            (Message, true) => linked.child_of(message).link("ambient"),
            (Ambient | Link, true) => linked.child_of("ambient"),
            (Link, false) => linked,
            _ => linked.child_of(message),
        };
        let ambient = with_ambient.then(|| span("ambient"));
        capture.assert_spans([expected].into_iter().chain(ambient));
    }
}

/// An error that is neither classified nor a standard one.
#[derive(Debug)]
struct Spilled;

impl fmt::Display for Spilled {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("it was 4 litres")
    }
}

async fn ship(message: &Received) -> Result<i64, Spilled> {
    tokio::task::yield_now().await;
    if message.record.offset > 0 { Err(Spilled) } else { Ok(message.record.offset) }
}

impl Received {
    async fn process<'m, H, F, T, E>(
        &'m self,
        messaging: &'m Messaging<Stub>,
        handler: H,
    ) -> Result<T, E>
    where
        H: FnOnce(&'m Self) -> F,
        F: Future<Output = Result<T, E>>,
    {
        messaging.handle(&self.delivery, self, |_| orders("process"), handler).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_runs_within_its_span_on_whatever_thread() {
    let capture = Capture::builder().check_on_drop(false).build();
    let client = std::sync::Arc::new(Client::new(&capture.telemetry()));
    for _ in 0..2 {
        client.send(Record::default()).await.unwrap();
    }
    for expected in [true, false] {
        let (client, tracer) = (client.clone(), capture.tracer("test"));
        let handled = tokio::spawn(async move {
            let message = client.receive().unwrap();
            message
                .process(&client.messaging, async |message| {
                    tracer.in_span("inside", |_| ());
                    ship(message).await
                })
                .await
        });
        assert_eq!(handled.await.unwrap().is_ok(), expected);
    }
    let inside = capture.spans_named("inside");
    let handlers = capture.spans_named("process orders");
    for (inside, handler) in inside.iter().zip(&handlers) {
        assert_eq!(inside.parent_span_id, handler.span_context.span_id());
    }
    let error = handlers[1].attributes.iter().find(|it| it.key.as_str() == "error.type").unwrap();
    assert!(error.value.as_str().ends_with("::Spilled"), "{error:?}");
    // What it says may quote data.
    assert_eq!(handlers[1].status, opentelemetry::trace::Status::error(""));
    assert!(handlers[0].status == opentelemetry::trace::Status::Unset);
}

#[test]
fn a_blocking_handler_may_fail_with_any_error() {
    let capture = Capture::new();
    let messaging = messaging(&capture.telemetry());
    let operation = messaging.process(&sent(&messaging), || orders("process"));
    let failed = operation.handle_blocking(|| {
        assert!(Context::current().has_active_span());
        Err::<(), _>("a text")
    });
    assert_eq!(failed, Err("a text"));
    let spans = capture.spans_named("process orders");
    let error = spans[0].attributes.iter().find(|it| it.key.as_str() == "error.type").unwrap();
    assert_eq!(error.value.as_str(), "&str");
}

#[tokio::test]
async fn the_context_alone_may_be_used() {
    let capture = Capture::new();
    let messaging = messaging(&capture.telemetry());
    let delivery = sent(&messaging);
    let message = delivery.span_context().unwrap();
    assert_eq!(delivery.context().span().span_context(), &message);
    let tracer = capture.tracer("test");
    delivery.instrument(async { tracer.in_span("own", |_| ()) }).await;
    let own = capture.spans_named("own");
    assert_eq!(own[0].parent_span_id, message.span_id());
    let suppressed = Context::current().with_telemetry_suppressed();
    let _guard = suppressed.attach();
    assert!(delivery.context().is_telemetry_suppressed(), "what is ambient stays");
}
