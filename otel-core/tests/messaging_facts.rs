//! Facts: each is told once, where it belongs, whether it is known before the call or learnt in it.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

mod support;

use opentelemetry::Value;
use otel_core::messaging::{Delivery, Destination, MessageFacts, MessagingCall, fact};
use otel_core::propagation::NoHeaders;
use otel_core::{DbServer, Failure, Messaging, MessagingServer};
use otel_testing::assert::ExpectedPoint;
use otel_testing::{Capture, metric, point, span};
use support::broker::{SERVER, messaging, orders};

/// The values of an attribute on the only span.
#[track_caller]
fn told(capture: &Capture, name: &str) -> Vec<Value> {
    let spans = capture.spans();
    assert_eq!(spans.len(), 1);
    let named = spans[0].attributes.iter().filter(|attribute| attribute.key.as_str() == name);
    named.map(|attribute| attribute.value.clone()).collect()
}

fn sent() -> ExpectedPoint {
    point().attributes(SERVER).attribute("server.port", 9092)
}

#[test]
fn a_fact_is_told_once_and_the_first_word_counts() {
    let capture = Capture::new();
    let messaging = messaging(&capture.telemetry());
    let call = || orders("send").with(fact::MESSAGE_ID, "1").with(fact::MESSAGE_ID, "2");
    let mut operation = messaging.send(&mut NoHeaders, call);
    operation.learn(fact::MESSAGE_ID, "3");
    operation.learn(fact::KAFKA_OFFSET, 4);
    operation.learn(fact::KAFKA_OFFSET, 5);
    operation.finish();
    assert_eq!(told(&capture, "messaging.message.id"), ["1".into()]);
    // Of what is learnt it is the last one.
    assert_eq!(told(&capture, "messaging.kafka.offset"), [5.into()]);

    capture.clear();
    let one = || MessageFacts::new().with(fact::CONVERSATION_ID, "c");
    let call = || orders("send").with(fact::CONVERSATION_ID, "c");
    messaging.send_batch([(NoHeaders, one), (NoHeaders, one)], call).finish();
    assert_eq!(told(&capture, "messaging.message.conversation_id"), ["c".into()]);
}

/// An absence that was told says nothing.
#[test]
fn what_was_not_known_may_be_learnt() {
    let capture = Capture::new();
    let messaging = messaging(&capture.telemetry());
    let call = || orders("send").with(fact::RABBITMQ_DELIVERY_TAG, 0);
    let mut operation = messaging.send(&mut NoHeaders, call);
    operation.learn(fact::RABBITMQ_DELIVERY_TAG, 7);
    operation.finish();
    assert_eq!(told(&capture, "messaging.rabbitmq.message.delivery_tag"), [7.into()]);
}

#[test]
fn what_is_learnt_of_one_message_is_not_told_of_a_batch() {
    let capture = Capture::new();
    let messaging = messaging(&capture.telemetry());
    let mut operation = messaging.send_batch([(NoHeaders, MessageFacts::new)], || orders("send"));
    operation.learn(fact::MESSAGE_ID, "1");
    operation.learn(fact::AWS_REQUEST_ID, "r");
    operation.finish();
    assert_eq!(told(&capture, "messaging.message.id"), []);
    assert_eq!(told(&capture, "aws.request_id"), ["r".into()]);
}

#[test]
fn a_learnt_destination_is_measured_by_its_template() {
    let capture = Capture::new();
    let hook = |name: &str| name.starts_with("user.").then(|| "user.{id}".into());
    let messaging = messaging(&capture.telemetry_builder().destination_template(hook).build());
    let send = |known, learnt| {
        let mut operation = messaging.send(&mut NoHeaders, || MessagingCall::new("send", known));
        operation.learn(fact::DESTINATION_NAME, learnt);
        operation.finish();
    };
    send(Destination::none(), "orders");
    send(Destination::none(), "user.7");
    send(Destination::temporary("_INBOX.1"), "_INBOX.1");
    let (name, template) = ("messaging.destination.name", "messaging.destination.template");
    let counted = sent().attribute("messaging.operation.name", "send");
    capture.assert_metric(metric("messaging.client.sent.messages").points([
        counted.clone().attribute(name, "orders").value(1),
        counted.clone().attribute(template, "user.{id}").value(1),
        counted.value(1),
    ]));
    let spans = capture.spans();
    let names = ["orders", "user.7", "_INBOX.1"];
    for (span, expected) in spans.iter().zip(names) {
        let told = span.attributes.iter().filter(|it| it.key.as_str() == name);
        assert_eq!(told.map(|it| it.value.to_string()).collect::<Vec<_>>(), [expected]);
    }
    assert!(spans[1].attributes.iter().any(|it| it.key.as_str() == template));
}

/// What is reported afterwards has no operation to tell it to.
#[test]
fn a_call_may_know_its_peer() {
    let capture = Capture::new();
    let messaging = messaging(&capture.telemetry());
    let call = || orders("poll").peer("10.0.0.7", Some(9093));
    let _ = messaging.poll().received(&NoHeaders, call);
    assert_eq!(told(&capture, "network.peer.address"), ["10.0.0.7".into()]);
    assert_eq!(told(&capture, "network.peer.port"), [9093.into()]);
    capture.assert_metric(
        metric("messaging.client.consumed.messages").point(
            sent()
                .attribute("messaging.operation.name", "poll")
                .attribute("messaging.destination.name", "orders")
                .value(1),
        ),
    );
}

/// They belong to databases.
#[test]
fn codes_of_errors_are_not_told_of_messages() {
    let capture = Capture::new();
    let messaging = messaging(&capture.telemetry());
    let operation = messaging.send(&mut NoHeaders, || orders("send"));
    operation.fail_with(Failure::code("42"));
    assert_eq!(told(&capture, "db.response.status_code"), []);
}

/// A system that is both is told alike by both pages; nobody is contacted to handle a message.
#[test]
fn a_database_may_be_a_broker() {
    let capture = Capture::new();
    let server = DbServer::new("redis").address("cache", Some(6379)).peer("::1", Some(6380));
    assert_eq!(server.server(), Some(("cache", Some(6379))));
    assert_eq!(server.contacted(), Some(("::1", Some(6380))));
    let server = MessagingServer::new("redis").address("cache", Some(6379));
    let server = server.peer("[::1]", Some(6380));
    let telemetry = capture.telemetry_builder().keys(false).build();
    let messaging = Messaging::<support::Stub>::new(&telemetry, server);
    assert!(!messaging.tells_keys());
    messaging.send(&mut NoHeaders, || orders("send")).finish();
    let delivery = messaging.delivery(&NoHeaders);
    assert!(!delivery.is_empty(), "it is to be counted");
    messaging.process(&delivery, || orders("process")).finish();
    let all = [
        ("messaging.system", Value::from("redis")),
        ("messaging.destination.name", "orders".into()),
        ("server.address", "cache".into()),
        ("server.port", 6379.into()),
    ];
    let step = |name: &'static str, step: &'static str| {
        let span = span(format!("{name} orders")).attributes(all.clone());
        let span = span.attribute("messaging.operation.name", name);
        span.attribute("messaging.operation.type", step)
    };
    let send = step("send", "send").attribute("network.peer.address", "::1");
    capture.assert_spans([
        send.attribute("network.peer.port", 6380).client(),
        step("process", "process").consumer(),
    ]);
    let misread = DbServer::new("redis").address("p@ss", Some(1)).peer("p", Some(1));
    assert_eq!((misread.server(), misread.contacted()), (None, None));
}

/// While nobody listens, there is nothing to keep of what carries nothing.
#[test]
fn a_delivery_without_anything_is_empty() {
    let telemetry = otel_core::Telemetry::builder().build();
    let messaging = messaging(&telemetry);
    assert!(messaging.delivery(&NoHeaders).is_empty());
    assert!(Delivery::default().is_empty());
}
