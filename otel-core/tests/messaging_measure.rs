//! What is measured: advised buckets, low cardinality, waits without a bound left out, each message
//! counted once.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

mod support;

use std::collections::HashMap;
use std::time::SystemTime;

use futures_util::StreamExt as _;
use futures_util::stream::iter;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use otel_core::messaging::{Delivery, Destination, MessagingCall, fact};
use otel_core::propagation::{NoHeaders, StringCarrier};
use otel_core::{Failure, InboundBaggage};
use otel_testing::assert::ExpectedPoint;
use otel_testing::{Capture, metric, point, span};
use support::StubError;
use support::broker::{SERVER, messaging, orders};

const DURATION: &str = "messaging.client.operation.duration";
const CONSUMED: &str = "messaging.client.consumed.messages";
const BUCKETS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

fn measured(operation: &'static str) -> ExpectedPoint {
    point()
        .attributes(SERVER)
        .attribute("server.port", 9092)
        .attribute("messaging.operation.name", operation)
}

#[test]
fn buckets_and_attributes_are_those_of_the_page() {
    let capture = Capture::new();
    let messaging = messaging(&capture.telemetry());
    let mut operation = messaging.send(&mut NoHeaders, || orders("send"));
    operation.learn(fact::KAFKA_OFFSET, 7);
    operation.learn(fact::PARTITION_ID, "3");
    operation.peer("10.0.0.1", Some(9092));
    operation.finish();
    let call = || orders("send").partition("3");
    let mut operation = messaging.send(&mut NoHeaders, call);
    operation.learn(fact::PARTITION_ID, "3");
    operation.fail(&StubError("TIMED_OUT"));
    let orders_3 = measured("send")
        .attribute("messaging.destination.name", "orders")
        .attribute("messaging.destination.partition.id", "3");
    let send = orders_3.clone().attribute("messaging.operation.type", "send");
    let failed = |point: ExpectedPoint| point.attribute("error.type", "TIMED_OUT");
    capture.assert_metric(
        metric(DURATION)
            .histogram()
            .unit("s")
            .bounds(BUCKETS)
            .points([send.clone().count(1), failed(send).count(1)]),
    );
    capture.assert_metric(
        metric("messaging.client.sent.messages")
            .points([orders_3.clone().value(1), failed(orders_3).value(1)]),
    );
    messaging.process(&<_>::default(), || orders("process")).finish();
    capture.assert_metric(
        metric("messaging.process.duration")
            .unit("s")
            .bounds(BUCKETS)
            .point(measured("process").attribute("messaging.destination.name", "orders").count(1)),
    );
}

#[test]
fn names_of_which_there_are_many_are_on_spans_alone() {
    let capture = Capture::new();
    let hook = |name: &str| name.starts_with("user.").then(|| "user.{id}".into());
    let messaging = messaging(&capture.telemetry_builder().destination_template(hook).build());
    let send = |destination: Destination<'static>| {
        messaging.send(&mut NoHeaders, || MessagingCall::new("send", destination)).finish();
    };
    send(Destination::temporary("_INBOX.1"));
    send(Destination::anonymous("amq.gen-2"));
    send(Destination::named("user.7"));
    send(Destination::named("order.7").template("order.{id}"));
    send(Destination::none());
    let common = |name: &'static str| {
        span(name)
            .client()
            .attributes(SERVER)
            .attribute("server.port", 9092)
            .attribute("messaging.client.id", "stub-1")
            .attribute("messaging.operation.name", "send")
            .attribute("messaging.operation.type", "send")
    };
    let (name, template) = ("messaging.destination.name", "messaging.destination.template");
    capture.assert_spans([
        common("send")
            .attribute(name, "_INBOX.1")
            .attribute("messaging.destination.temporary", true),
        common("send")
            .attribute(name, "amq.gen-2")
            .attribute("messaging.destination.anonymous", true),
        common("send user.{id}").attribute(name, "user.7").attribute(template, "user.{id}"),
        common("send order.{id}").attribute(name, "order.7").attribute(template, "order.{id}"),
        common("send broker.example:9092"),
    ]);
    capture.assert_metric(metric("messaging.client.sent.messages").points([
        measured("send").value(3),
        measured("send").attribute(template, "user.{id}").value(1),
        measured("send").attribute(template, "order.{id}").value(1),
    ]));
}

#[test]
fn a_message_is_counted_once_however_often_it_is_handled() {
    let capture = Capture::new();
    let messaging = messaging(&capture.telemetry());
    let pushed = messaging.delivery(&NoHeaders);
    for _ in 0..3 {
        messaging.process(&pushed.clone(), || orders("process")).finish();
    }
    let point = measured("process").attribute("messaging.destination.name", "orders");
    capture.assert_metric(metric(CONSUMED).point(point.value(1)));
    capture.clear();
    let polled = messaging.poll().received(&NoHeaders, || orders("poll"));
    messaging.process(&polled, || orders("process")).finish();
    let point = measured("poll").attribute("messaging.destination.name", "orders");
    capture.assert_metric(metric(CONSUMED).point(point.value(1)));
}

#[tokio::test]
async fn a_stream_reports_each_message_once_it_is_there() {
    let capture = Capture::new();
    let messaging = messaging(&capture.telemetry());
    let mut headers = HashMap::new();
    messaging.send(&mut StringCarrier(&mut headers), || orders("send")).finish();
    let sent = messaging.delivery(&StringCarrier(&headers)).span_context().unwrap();
    capture.clear();
    let items = iter([Ok(headers.clone()), Err(StubError("LOST")), Ok(headers)]);
    let mut stream = messaging.stream(items, |item, poll| match item {
        Ok(headers) => Ok(poll.received(&StringCarrier(&headers), || orders("receive"))),
        Err(error) => {
            poll.failed(&error, || orders("receive"));
            Err(error)
        }
    });
    let first = stream.next().await.unwrap().unwrap();
    assert_eq!(first.span_context().unwrap(), sent);
    assert_eq!(capture.spans().len(), 1);
    assert_eq!(stream.next().await.unwrap().unwrap_err(), StubError("LOST"));
    assert!(stream.next().await.unwrap().is_ok() && stream.next().await.is_none());
    let receive = span("receive orders")
        .client()
        .attributes(SERVER)
        .attribute("server.port", 9092)
        .attribute("messaging.client.id", "stub-1")
        .attribute("messaging.destination.name", "orders")
        .attribute("messaging.operation.name", "receive")
        .attribute("messaging.operation.type", "receive");
    capture.assert_spans([
        receive.clone().link(sent.clone()),
        receive.clone().attribute("error.type", "LOST").error(""),
        receive.link(sent),
    ]);
    // It was waited for without a bound: there is nothing to measure but the number.
    capture.assert_no_metric(DURATION);
    let point = measured("receive").attribute("messaging.destination.name", "orders");
    capture.assert_metric(metric(CONSUMED).point(point.value(2)));
}

#[test]
fn the_span_of_a_poll_begins_with_it_and_that_of_an_arrival_when_it_is_there() {
    let capture = Capture::new();
    let messaging = messaging(&capture.telemetry());
    let poll = messaging.poll();
    let between = SystemTime::now();
    let _ = poll.received(&NoHeaders, || orders("poll"));
    let _ = messaging.arrival().received(&NoHeaders, || orders("receive"));
    let spans = capture.spans();
    assert!(spans[0].start_time <= between && between <= spans[0].end_time);
    assert!(spans[1].start_time >= between);
}

#[test]
fn what_is_settled_does_not_tell_where_it_came_from() {
    let capture = Capture::new();
    let messaging = messaging(&capture.telemetry());
    let call = || MessagingCall::new("ack", Destination::temporary("_INBOX.1"));
    messaging.settle([&Delivery::default()], call).finish();
    capture.assert_spans([span("ack")
        .client()
        .attributes(SERVER)
        .attribute("server.port", 9092)
        .attribute("messaging.client.id", "stub-1")
        .attribute("messaging.destination.name", "_INBOX.1")
        .attribute("messaging.operation.name", "ack")
        .attribute("messaging.operation.type", "settle")]);
    capture.assert_no_metric(CONSUMED);
}

#[test]
fn options_leave_out_spans_keys_and_bring_in_sizes() {
    let capture = Capture::new();
    let builder = capture.telemetry_builder().receive_spans(false).keys(false).message_sizes(true);
    let messaging = messaging(&builder.inbound_baggage(InboundBaggage::Drop).build());
    let _ = messaging.poll().received(&NoHeaders, || orders("poll"));
    capture.assert_no_spans();
    capture.assert_metric(metric(DURATION));
    capture.assert_metric(metric(CONSUMED));
    let call = || {
        orders("send")
            .with(fact::KAFKA_MESSAGE_KEY, "customer 7")
            .with(fact::BODY_SIZE, 10)
            .with(fact::RABBITMQ_ROUTING_KEY, "")
            .with(fact::RABBITMQ_DELIVERY_TAG, 0)
            .with(fact::KAFKA_MESSAGE_TOMBSTONE, true)
    };
    messaging.send(&mut NoHeaders, call).finish();
    let spans = capture.spans();
    let known: Vec<_> = spans[0].attributes.iter().map(|it| it.key.as_str()).collect();
    assert!(known.contains(&"messaging.message.body.size"));
    assert!(known.contains(&"messaging.kafka.message.tombstone"));
    for left_out in ["message.key", "routing_key", "delivery_tag"] {
        assert!(!known.iter().any(|name| name.ends_with(left_out)), "{left_out} in {known:?}");
    }
}

#[test]
fn a_receipt_that_is_dropped_after_hand_over_is_no_failure() {
    let capture = Capture::new();
    let messaging = messaging(&capture.telemetry());
    let mut operation = messaging.send(&mut NoHeaders, || orders("send"));
    operation.handed_over();
    drop(operation.run(std::future::pending::<Result<(), StubError>>()));
    let mut operation = messaging.send(&mut NoHeaders, || orders("send"));
    operation.handed_over();
    operation.failed(Failure::new("told before"));
    drop(operation);
    drop(messaging.send(&mut NoHeaders, || orders("send")));
    let errors: Vec<_> = capture
        .spans()
        .iter()
        .map(|span| {
            let error = span.attributes.iter().find(|it| it.key.as_str() == "error.type");
            error.map(|error| error.value.to_string())
        })
        .collect();
    assert_eq!(errors, [None, Some("told before".to_owned()), Some("cancelled".to_owned())]);
}

#[test]
fn what_the_client_settled_by_itself_has_a_span_and_no_duration() {
    let capture = Capture::new();
    let messaging = messaging(&capture.telemetry());
    let span_context = SpanContext::new(
        TraceId::from(7),
        SpanId::from(7),
        TraceFlags::SAMPLED,
        true,
        TraceState::NONE,
    );
    let noted = Delivery::from(span_context.clone());
    assert_eq!(noted.span_context(), Some(span_context.clone()));
    messaging.settled([&noted], || orders("commit")).finish();
    capture.assert_spans([span("commit orders")
        .client()
        .attributes(SERVER)
        .attribute("server.port", 9092)
        .attribute("messaging.client.id", "stub-1")
        .attribute("messaging.destination.name", "orders")
        .attribute("messaging.operation.name", "commit")
        .attribute("messaging.operation.type", "settle")
        .link(span_context)]);
    assert!(capture.metrics().is_empty());
}
