//! Batches: what is each message's own stands on its link and not on the span, links are bounded,
//! partial failures are counted.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

mod support;

use std::collections::HashMap;

use opentelemetry::trace::SpanKind;
use otel_core::Failure;
use otel_core::messaging::{Delivery, Destination, MessageFacts, MessagingCall, fact};
use otel_core::propagation::{NoHeaders, StringCarrier};
use otel_testing::{Capture, metric, point, span};
use support::broker::{Client, Record, SERVER, messaging, orders};

fn texts(count: usize) -> Vec<HashMap<String, String>> {
    vec![HashMap::new(); count]
}

#[test]
fn of_more_messages_than_links_the_number_tells_the_rest() {
    let capture = Capture::new();
    let client = Client::new(&capture.telemetry());
    client.send_batch(vec![Record::default(); 200], 0);
    let messages = client.receive_batch(200);
    client
        .messaging
        .settle(messages.iter().map(|message| &message.delivery), || orders("commit").batch(200))
        .finish();
    let deliveries = messages.iter().map(|message| &message.delivery);
    client.messaging.process_batch(deliveries, || orders("process")).finish();
    for name in ["send orders", "poll orders", "commit orders", "process orders"] {
        let spans = capture.spans_named(name);
        assert_eq!((spans.len(), spans[0].links.len()), (1, 128), "{name}");
        let size = spans[0].attributes.iter();
        let mut size = size.filter(|it| it.key.as_str() == "messaging.batch.message_count");
        assert_eq!(size.next().unwrap().value, 200.into(), "{name}");
        assert_eq!(spans[0].links.dropped_count, 0, "{name}");
    }
    assert_eq!(capture.spans_named("create orders").len(), 200);
    capture.assert_metric(
        metric("messaging.client.consumed.messages").point(
            point()
                .attributes(SERVER)
                .attribute("server.port", 9092)
                .attribute("messaging.destination.name", "orders")
                .attribute("messaging.operation.name", "poll")
                .value(200),
        ),
    );
}

#[test]
fn what_all_messages_share_is_on_the_span_and_the_rest_on_links() {
    let capture = Capture::new();
    let messaging = messaging(&capture.telemetry());
    let mut headers = texts(2);
    for headers in &mut headers {
        messaging.send(&mut StringCarrier(headers), || orders("send")).finish();
    }
    let sent: Vec<_> = headers
        .iter()
        .map(|headers| messaging.delivery(&StringCarrier(headers)).span_context().unwrap())
        .collect();
    capture.clear();
    let facts = |offset: i64| {
        MessageFacts::new()
            .with(fact::DESTINATION_NAME, "orders")
            .with(fact::PARTITION_ID, "7")
            .with(fact::CONVERSATION_ID, format!("c{offset}"))
            .with(fact::KAFKA_MESSAGE_TOMBSTONE, false)
            .with(fact::BODY_SIZE, 10)
            .with(fact::KAFKA_OFFSET, offset)
    };
    let read = headers
        .iter()
        .zip(1..)
        .map(|(headers, offset)| (StringCarrier(headers), move || facts(offset)));
    let poll = messaging.poll();
    let call = || MessagingCall::new("poll", Destination::none()).with(fact::KAFKA_OFFSET, 9);
    assert_eq!(poll.received_batch(read, call).len(), 2);
    let own = |offset: i64| {
        [("messaging.message.conversation_id", format!("c{offset}"))]
            .into_iter()
            .map(|(name, value)| opentelemetry::KeyValue::new(name, value))
            .chain([opentelemetry::KeyValue::new("messaging.kafka.offset", offset)])
    };
    capture.assert_spans([span("poll orders")
        .client()
        .attributes(SERVER)
        .attribute("server.port", 9092)
        .attribute("messaging.client.id", "stub-1")
        .attribute("messaging.operation.name", "poll")
        .attribute("messaging.operation.type", "receive")
        .attribute("messaging.destination.name", "orders")
        .attribute("messaging.destination.partition.id", "7")
        .attribute("messaging.batch.message_count", 2)
        .link_with(sent[0].clone(), own(1))
        .link_with(sent[1].clone(), own(2))]);
}

#[test]
fn each_way_of_failing_is_counted_and_the_first_is_the_spans() {
    let capture = Capture::new();
    let messaging = messaging(&capture.telemetry_builder().create_spans(false).build());
    let mut headers = texts(5);
    let messages = headers.iter_mut().map(|headers| (StringCarrier(headers), MessageFacts::new));
    let mut operation = messaging.send_batch(messages, || orders("send"));
    operation.failed_messages(0, Failure::new("nothing"));
    operation.failed_messages(2, Failure::new("too_large"));
    operation.failed_messages(1, Failure::new("throttled"));
    operation.finish();
    let spans = capture.spans();
    let error = spans[0].attributes.iter().find(|it| it.key.as_str() == "error.type");
    assert_eq!(error.cloned().unwrap().value, "too_large".into());
    let counted = point()
        .attributes(SERVER)
        .attribute("server.port", 9092)
        .attribute("messaging.destination.name", "orders")
        .attribute("messaging.operation.name", "send");
    capture.assert_metric(metric("messaging.client.sent.messages").counter().points([
        counted.clone().value(2),
        counted.clone().attribute("error.type", "too_large").value(2),
        counted.attribute("error.type", "throttled").value(1),
    ]));
}

#[test]
fn an_empty_batch_is_sent_as_one_and_counts_nothing() {
    let capture = Capture::new();
    let messaging = messaging(&capture.telemetry());
    let none: [(NoHeaders, fn() -> MessageFacts); 0] = [];
    messaging.send_batch(none, || orders("send")).finish();
    let none: [&Delivery; 0] = [];
    messaging.process_batch(none, || orders("process")).finish();
    let kinds: Vec<_> = capture.spans().iter().map(|span| span.span_kind.clone()).collect();
    assert_eq!(kinds, [SpanKind::Client, SpanKind::Consumer]);
    capture.assert_no_metric("messaging.client.sent.messages");
    capture.assert_no_metric("messaging.client.consumed.messages");
}

#[test]
fn a_message_that_takes_no_headers_is_sent_without() {
    let capture = Capture::new();
    let messaging = messaging(&capture.telemetry());
    messaging.send(&mut NoHeaders, || orders("send")).finish();
    messaging.send_batch([(NoHeaders, MessageFacts::new)], || orders("send")).finish();
    let spans = capture.spans();
    assert_eq!(spans.len(), 2, "no span of creation: nobody could be linked to it");
    for span in spans {
        assert_eq!(span.span_kind, SpanKind::Client);
        assert!(span.links.is_empty());
    }
}

/// A message that the application made itself, to be sent later by another call.
#[test]
fn what_was_created_before_is_linked_and_not_created_again() {
    let capture = Capture::new();
    let messaging = messaging(&capture.telemetry());
    let mut headers = texts(2);
    let mut first = StringCarrier(&mut headers[0]);
    messaging.create(&mut first, || orders("prepare")).finish();
    let created = capture.spans()[0].clone();
    assert_eq!(created.span_kind, SpanKind::Producer);
    let before = headers[0].clone();
    let messages = headers.iter_mut().map(|headers| (StringCarrier(headers), MessageFacts::new));
    messaging.send_batch(messages, || orders("send")).finish();
    assert_eq!(headers[0], before);
    let names: Vec<_> = capture.spans().iter().map(|span| span.name.to_string()).collect();
    assert_eq!(names, ["prepare orders", "create orders", "send orders"]);
    let links = capture.spans()[2].links.links.clone();
    assert_eq!(links[0].span_context.span_id(), created.span_context.span_id());
    assert_eq!(links.len(), 2);
    // To create is neither to call nor to send.
    let measured = capture.assert_metric("messaging.client.operation.duration");
    assert_eq!(measured.points.len(), 1);
}

#[test]
fn a_message_whose_span_of_creation_is_filtered_carries_the_batch_s() {
    let capture = Capture::new();
    let filter = |name: &str| name != "create orders";
    let messaging = messaging(&capture.telemetry_builder().span_filter(filter).build());
    let mut headers = texts(1);
    let messages = headers.iter_mut().map(|headers| (StringCarrier(headers), MessageFacts::new));
    messaging.send_batch(messages, || orders("send")).finish();
    let spans = capture.spans();
    assert_eq!((spans.len(), &spans[0].span_kind), (1, &SpanKind::Producer));
    let carried = messaging.delivery(&StringCarrier(&headers[0])).span_context().unwrap();
    assert_eq!(carried.span_id(), spans[0].span_context.span_id());
}

/// What was told of some messages says nothing of the others if the call itself fails.
#[test]
fn the_rest_of_a_batch_fails_with_its_call() {
    let capture = Capture::new();
    let messaging = messaging(&capture.telemetry());
    let send = || {
        let messages = (0..5).map(|_| (NoHeaders, MessageFacts::new));
        let mut operation = messaging.send_batch(messages, || orders("send"));
        operation.failed_messages(2, Failure::new("too_large"));
        operation
    };
    let counted = point()
        .attributes(SERVER)
        .attribute("server.port", 9092)
        .attribute("messaging.destination.name", "orders")
        .attribute("messaging.operation.name", "send");
    let too_large = counted.clone().attribute("error.type", "too_large");
    for (end, rest) in [
        (drop as fn(otel_core::MessagingOperation<_>), "cancelled"),
        (|operation| operation.fail_with(Failure::new("LOST")), "LOST"),
        (|operation| operation.fail_with(Failure::new("too_large")), "too_large"),
    ] {
        capture.clear();
        end(send());
        let points = match rest {
            "too_large" => vec![too_large.clone().value(5)],
            _ => vec![
                too_large.clone().value(2),
                counted.clone().attribute("error.type", rest).value(3),
            ],
        };
        capture.assert_metric(metric("messaging.client.sent.messages").points(points));
    }
}

#[test]
fn a_batch_for_several_destinations_is_counted_without_one() {
    let capture = Capture::new();
    let messaging = messaging(&capture.telemetry());
    let to = |name: &'static str| move || MessageFacts::new().with(fact::DESTINATION_NAME, name);
    let mut headers = texts(2);
    let names = ["orders", "returns"];
    let messages = headers.iter_mut().zip(names).map(|(it, name)| (StringCarrier(it), to(name)));
    let call = || MessagingCall::new("send", Destination::none());
    messaging.send_batch(messages, call).finish();
    let spans = capture.spans();
    let told: Vec<_> = spans.iter().map(|span| span.name.to_string()).collect();
    assert_eq!(told, ["create orders", "create returns", "send broker.example:9092"]);
    for (link, name) in spans[2].links.iter().zip(names) {
        let name = opentelemetry::KeyValue::new("messaging.destination.name", name);
        assert_eq!(link.attributes, [name]);
    }
    capture.assert_metric(
        metric("messaging.client.sent.messages").point(
            point()
                .attributes(SERVER)
                .attribute("server.port", 9092)
                .attribute("messaging.operation.name", "send")
                .value(2),
        ),
    );
}
