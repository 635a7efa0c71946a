//! librdkafka's statistics, as gauges.

use std::time::Duration;

use otel_kafka::callbacks::{Callbacks, ReportingContext};
use otel_kafka::consumer::{BaseConsumer, Consumer as _};
use otel_kafka::statistics::{Broker as Node, Partition, Statistics, Topic, Window};
use otel_testing::assert::{ExpectedMetric, ExpectedPoint};
use otel_testing::{Capture, metric, point};
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, Producer as _};

use crate::support::{BOUND, Broker, TOPIC, partitions, until};

fn one(name: &'static str, unit: &'static str, point: ExpectedPoint) -> ExpectedMetric {
    metric(name).gauge().unit(unit).scope("otel-kafka").point(point)
}

fn of_client() -> ExpectedPoint {
    point().attribute("client-id", "shop")
}

fn callbacks(capture: &Capture, isolation: &str) -> Callbacks {
    let mut config = ClientConfig::new();
    config.set("client.id", "shop").set("isolation.level", isolation);
    Callbacks::with(&config, &capture.telemetry())
}

fn node(id: i32, answers: i64) -> (String, Node) {
    let rtt = Window { avg: 2500, cnt: answers, ..Window::default() };
    (format!("broker:{id}"), Node { nodeid: id, rtt: Some(rtt), ..Node::default() })
}

fn consumer(partition: Partition) -> Statistics {
    let unassigned = Partition { partition: -1, desired: true, ..Partition::default() };
    let undesired = Partition { partition: 8, ..Partition::default() };
    let partitions = [(partition.partition, partition), (-1, unassigned), (8, undesired)];
    let topic = Topic { topic: TOPIC.into(), partitions: partitions.into(), ..Topic::default() };
    Statistics {
        client_type: "consumer".into(),
        // One that has not answered, and one that is only an address yet.
        brokers: [node(1, 3), node(2, 0), node(-1, 3)].into(),
        topics: [(TOPIC.to_owned(), topic)].into(),
        ..Statistics::default()
    }
}

#[test]
fn of_a_consumer() {
    for (isolation, app_offset, lag) in [
        ("read_committed", 15, Some(5.0)),
        ("read_uncommitted", 15, Some(7.0)),
        ("read_committed", -1001, Some(9.0)),
        // What is told of the end may be older than what was given.
        ("read_committed", 21, Some(9.0)),
    ] {
        let capture = Capture::new();
        let partition = Partition {
            partition: 3,
            desired: true,
            fetchq_cnt: 4,
            fetchq_size: 400,
            app_offset,
            hi_offset: 22,
            ls_offset: 20,
            consumer_lag: 9,
            ..Partition::default()
        };
        callbacks(&capture, isolation).stats(&consumer(partition));
        let of = || of_client().attribute("topic", TOPIC).attribute("partition", "3");
        capture.assert_metric(one(
            "kafka.consumer.request_latency_avg",
            "ms",
            of_client().attribute("node-id", "1").value(2.5),
        ));
        let queued = of().value(4.0);
        capture.assert_metric(one("rdkafka.consumer.queued_messages", "{message}", queued));
        capture.assert_metric(one("rdkafka.consumer.queued_bytes", "By", of().value(400.0)));
        let lag = of().value(lag.unwrap());
        capture.assert_metric(one("kafka.consumer.records_lag", "{record}", lag));
        assert_eq!(capture.metrics().len(), 4);
    }
    let capture = Capture::new();
    let unknown = Partition { partition: 3, desired: true, ..Partition::default() };
    let unknown = Partition { app_offset: -1001, consumer_lag: -1, ..unknown };
    callbacks(&capture, "read_committed").stats(&consumer(unknown));
    capture.assert_no_metric("kafka.consumer.records_lag");
}

#[test]
fn of_a_producer() {
    let capture = Capture::new();
    callbacks(&capture, "read_committed").stats(&Statistics {
        client_type: "producer".into(),
        msg_cnt: 3,
        msg_size: 300,
        msg_size_max: 1000,
        brokers: [node(1, 3)].into(),
        ..Statistics::default()
    });
    let queued = of_client().value(3.0);
    capture.assert_metric(one("rdkafka.producer.queued_messages", "{message}", queued));
    let available = of_client().value(700.0);
    capture.assert_metric(one("kafka.producer.buffer_available_bytes", "By", available));
    let total = of_client().value(1000.0);
    capture.assert_metric(one("kafka.producer.buffer_total_bytes", "By", total));
    let latency = of_client().attribute("node-id", "1").value(2.5);
    capture.assert_metric(one("kafka.producer.request_latency_avg", "ms", latency));
    assert_eq!(capture.metrics().len(), 4);
}

#[test]
fn nobody_measures() {
    let capture = Capture::new();
    let telemetry = capture.telemetry_builder().enabled(false).build();
    Callbacks::with(&ClientConfig::new(), &telemetry).stats(&consumer(Partition::default()));
    capture.assert_silent();
}

/// Those that librdkafka tells, of a consumer and of a producer.
#[tokio::test]
async fn told_by_librdkafka() {
    let capture = Capture::new();
    let broker = Broker::new();
    for trace in 1..=3 {
        broker.send(0, trace, &[]).await;
    }
    let mut config = broker.config();
    config.set("statistics.interval.ms", "50").set("client.id", "shop");
    let reporting = ReportingContext::with(&config, &capture.telemetry());
    let callbacks = reporting.callbacks().clone();
    let raw: rdkafka::consumer::BaseConsumer<ReportingContext> =
        config.create_with_context(reporting).unwrap();
    let consumer = BaseConsumer::with_callbacks(raw, &callbacks);
    consumer.assign(&partitions(&[0])).unwrap();
    drop(consumer.poll(BOUND).unwrap().unwrap());
    // What is given counts, and not what is committed.
    let lag = || {
        let metrics = capture.metrics();
        let lag = metrics.iter().find(|metric| metric.name == "kafka.consumer.records_lag");
        lag.is_some_and(|lag| lag.points.iter().any(|point| (point.sum() - 2.0).abs() < 0.1))
    };
    // A partition that is paused gives no further message.
    consumer.pause(&partitions(&[0])).unwrap();
    until(lag, || assert!(consumer.poll(Duration::from_millis(10)).is_none()));

    let reporting = ReportingContext::with(&config, &capture.telemetry());
    let producer: FutureProducer<ReportingContext> = config.create_with_context(reporting).unwrap();
    let told = || {
        capture.metrics().iter().any(|metric| metric.name == "kafka.producer.buffer_total_bytes")
    };
    until(told, || producer.flush(Duration::from_millis(10)).unwrap());
}
