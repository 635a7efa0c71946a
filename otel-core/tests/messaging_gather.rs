//! A call whose messages come one by one: each needs its delivery at once, and the call is one span.

mod support;

use std::time::SystemTime;

use opentelemetry::trace::{TraceContextExt as _, Tracer as _};
use otel_core::Telemetry;
use otel_core::messaging::{Destination, MessageFacts, MessagingCall, fact};
use otel_core::propagation::StringCarrier;
use otel_testing::Capture;
use support::broker::{messaging, orders};
use support::{StubError, value};

type Headers = std::collections::HashMap<String, String>;

/// The headers of two messages that were sent.
fn sent(capture: &Capture) -> [Headers; 2] {
    let messaging = messaging(&capture.telemetry());
    let sent = [(); 2].map(|()| {
        let mut headers = Headers::new();
        messaging.send(&mut StringCarrier(&mut headers), || orders("send")).finish();
        headers
    });
    capture.clear();
    sent
}

fn facts(id: &'static str) -> impl FnOnce() -> MessageFacts {
    move || MessageFacts::new().with(fact::MESSAGE_ID, id)
}

#[test]
fn one_span_for_what_came() {
    let capture = Capture::new();
    let headers = sent(&capture);
    let messaging = messaging(&capture.telemetry());
    let tracer = capture.tracer("application");
    let (mut gathering, fetcher) = tracer.in_span("fetcher", |fetcher| {
        let id = fetcher.span().span_context().span_id();
        (messaging.poll().gather(|| orders("fetch")), id)
    });
    let deliveries = ["1", "2"].into_iter().zip(&headers).map(|(id, headers)| {
        let delivery = gathering.add(&StringCarrier(headers), facts(id));
        // Handled before the next one comes: the delivery is there at once.
        messaging.process(&delivery, || orders("process")).finish();
        delivery.span_context().unwrap()
    });
    let deliveries: Vec<_> = deliveries.collect();
    assert_eq!(capture.spans_named("fetch orders").len(), 0);
    tracer.in_span("elsewhere", |_| gathering.finish());
    let fetch = &capture.spans_named("fetch orders")[0];
    assert_eq!(fetch.parent_span_id, fetcher);
    let links: Vec<_> = fetch.links.iter().map(|link| link.span_context.clone()).collect();
    assert_eq!(links, deliveries);
    assert_eq!(value(fetch, "messaging.batch.message_count"), "2");
    let consumed = capture.metrics();
    let consumed =
        consumed.iter().filter(|metric| metric.name == "messaging.client.consumed.messages");
    // Counted by the call, and not once more by the handlers.
    assert_eq!(consumed.flat_map(|metric| &metric.points).count(), 1);
}

/// Nobody asks for the rest: what the caller does with the messages is not the call's time.
#[test]
fn dropped_it_ended_with_the_last_message() {
    let capture = Capture::new();
    let headers = sent(&capture);
    let messaging = messaging(&capture.telemetry());
    let mut gathering = messaging.poll().gather(|| orders("fetch"));
    gathering.add(&StringCarrier(&headers[0]), facts("1"));
    let came = SystemTime::now();
    drop(gathering);
    let fetch = &capture.spans_named("fetch orders")[0];
    assert!(fetch.end_time <= came);
    assert_eq!(value(fetch, "error.type"), "");
}

#[test]
fn failures_and_nothing() {
    let capture = Capture::new();
    let headers = sent(&capture);
    let messaging = messaging(&capture.telemetry());
    messaging.poll().gather(|| orders("fetch")).finish();
    drop(messaging.poll().gather(|| orders("fetch")));
    assert_eq!(capture.spans().len(), 0);
    messaging.poll().gather(|| orders("fetch")).failed(&StubError("TIMED_OUT"));
    let mut gathering = messaging.poll().gather(|| orders("fetch"));
    gathering.add(&StringCarrier(&headers[0]), facts("1"));
    gathering.failed(&StubError("CLOSED"));
    let ended: Vec<_> = capture.spans().iter().map(|span| value(span, "error.type")).collect();
    assert_eq!(ended, ["TIMED_OUT", "CLOSED"]);

    let off = support::broker::messaging(&Telemetry::builder().enabled(false).build());
    let mut gathering = off.poll().gather(|| unreachable!("nobody listens"));
    gathering.add(&StringCarrier(&headers[0]), || unreachable!("nobody listens"));
    gathering.finish();
}

/// A client that learns its endpoint during the call, where the call is reported at once.
#[test]
fn a_server_that_the_call_tells() {
    let capture = Capture::new();
    let server = otel_core::MessagingServer::new("aws_sqs");
    let queue = |host| {
        let call = MessagingCall::new("ReceiveMessage", Destination::named("orders"));
        call.server(host, Some(443))
    };
    let learns = otel_core::Messaging::<support::Stub>::new(&capture.telemetry(), server.clone());
    let _ = learns.poll().received(&StringCarrier(&Headers::new()), || queue("sqs.example"));
    let configured = server.address("configured.example", None);
    let knows = otel_core::Messaging::<support::Stub>::new(&capture.telemetry(), configured);
    let _ = knows.poll().received(&StringCarrier(&Headers::new()), || queue("sqs.example"));
    let told = |name| -> Vec<_> { capture.spans().iter().map(|span| value(span, name)).collect() };
    assert_eq!(told("server.address"), ["sqs.example", "configured.example"]);
    assert_eq!(told("server.port"), ["443", ""]);
}
