//! What a client tells of itself: gauges under the names that Java's have, and nothing when nobody
//! measures.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

mod support;

use otel_core::messaging::statistic::{
    KAFKA_CONSUMER_LAG, KAFKA_PRODUCER_BUFFER_TOTAL, NATS_MESSAGE_DROPPED, NATS_RECONNECT,
    PARTITION, RABBITMQ_BLOCKED, RABBITMQ_RECONNECT, TOPIC,
};
use otel_testing::{Capture, metric, point};
use support::broker::messaging;

#[test]
fn each_is_a_gauge_of_its_own_with_the_last_value() {
    let capture = Capture::new();
    let messaging = messaging(&capture.telemetry());
    let statistics = messaging.statistics().unwrap();
    let partition = |number| [(TOPIC, "orders"), (PARTITION, number)];
    statistics.record(KAFKA_CONSUMER_LAG, 7.0, &partition("0"));
    statistics.record(KAFKA_CONSUMER_LAG, 3.0, &partition("1"));
    statistics.record(KAFKA_PRODUCER_BUFFER_TOTAL, 1024.0, &[]);
    let statistics = messaging.statistics().unwrap();
    statistics.record(KAFKA_CONSUMER_LAG, 5.0, &partition("0"));
    let of = |number: &'static str, lag: f64| {
        let point = point().attribute("client-id", "stub-1").attribute("topic", "orders");
        point.attribute("partition", number).value(lag)
    };
    let lag = metric("kafka.consumer.records_lag").gauge().unit("{record}");
    capture.assert_metric(lag.points([of("0", 5.0), of("1", 3.0)]));
    let total = metric("kafka.producer.buffer_total_bytes").gauge().unit("By");
    capture.assert_metric(total.point(point().attribute("client-id", "stub-1").value(1024.0)));
    assert_eq!(capture.metrics().len(), 2);
}

#[test]
fn what_happens_is_counted() {
    let capture = Capture::new();
    let messaging = messaging(&capture.telemetry());
    let rabbitmq = [RABBITMQ_RECONNECT, RABBITMQ_BLOCKED, RABBITMQ_BLOCKED];
    let nats = [NATS_RECONNECT, NATS_MESSAGE_DROPPED, NATS_MESSAGE_DROPPED];
    for event in nats.into_iter().chain(rabbitmq) {
        messaging.statistics().unwrap().count(event);
    }
    let of_client = |times: f64| point().attribute("client-id", "stub-1").value(times);
    let reconnects = metric("nats.client.reconnects").counter().unit("{event}");
    capture.assert_metric(reconnects.point(of_client(1.0)));
    let dropped = metric("nats.client.messages.dropped").counter().unit("{message}");
    capture.assert_metric(dropped.point(of_client(2.0)));
    let reconnects = metric("rabbitmq.client.reconnects").counter().unit("{event}");
    capture.assert_metric(reconnects.point(of_client(1.0)));
    let blocked = metric("rabbitmq.client.blocked").counter().unit("{event}");
    capture.assert_metric(blocked.point(of_client(2.0)));
    assert_eq!(capture.metrics().len(), 4);
}

#[test]
fn nobody_measures() {
    let capture = Capture::new();
    let telemetry = capture.telemetry_builder().enabled(false).build();
    assert!(messaging(&telemetry).statistics().is_none());
}
