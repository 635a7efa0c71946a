//! What the client tells of itself, to a context with our callbacks.

use std::collections::BTreeMap;
use std::time::Duration;

use integration_tests::told::{assert_agreement, points, spans};
use integration_tests::{eventually, soon, unique_name};
use otel_kafka::callbacks::ReportingContext;
use otel_kafka::consumer::{Consumer as _, StreamConsumer};
use otel_kafka::message::Message as _;
use otel_testing::{Capture, live};
use rdkafka::Offset;
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::json;
use tokio::task::block_in_place;
use tokio::time::timeout;

use super::played::{GROUP, brought};
use crate::kafka_support::{PATIENCE, cluster, config, host_and_port, in_group, topic};

#[tokio::test(flavor = "multi_thread")]
async fn the_lag_of_a_consumer_that_falls_behind_is_true() {
    let Some(brokers) = live::address("KAFKA") else { return };
    let (topic, capture) = (topic(&brokers, 2).await, Capture::new());
    let producer: FutureProducer = config(&brokers).create().unwrap();
    for (partition, messages) in [(0, 7), (1, 5)] {
        for _ in 0..messages {
            let record = FutureRecord::<str, str>::to(&topic).partition(partition).payload("late");
            producer.send(record, PATIENCE).await.unwrap();
        }
    }
    let mut config = in_group(&brokers, &unique_name());
    config.set("statistics.interval.ms", "50").set("client.id", "late");
    let context = ReportingContext::with(&config, &capture.telemetry());
    let consumer: StreamConsumer<_> = config.create_with_context(context).unwrap();
    consumer.subscribe(&[&topic]).unwrap();
    let mut given = BTreeMap::from([(0, 0), (1, 0)]);
    // First some of each partition, then all.
    for total in [2, 12] {
        while given.values().any(|given| *given == 0) || given.values().sum::<i64>() < total {
            let message = soon("a message is there", consumer.recv()).await.unwrap();
            *given.get_mut(&message.partition()).unwrap() += 1;
        }
        // Statistics come to who receives.
        consumer.pause(&consumer.assignment().unwrap()).unwrap();
        let lag = |(partition, given): (&i32, &i64)| {
            let ends = block_in_place(|| consumer.fetch_watermarks(&topic, *partition, PATIENCE));
            (partition.to_string(), ends.unwrap().1 - given)
        };
        let expected: BTreeMap<_, _> = given.iter().map(lag).collect();
        assert_eq!(expected.values().any(|lag| *lag > 0), total < 12);
        let mut told = BTreeMap::new();
        eventually("the lag is told", async || {
            let none = timeout(Duration::from_millis(20), consumer.recv()).await;
            assert!(none.is_err(), "it is paused");
            told = lags(&capture, &topic);
            told == expected
        })
        .await;
        consumer.resume(&consumer.assignment().unwrap()).unwrap();
    }
    assert_agreement(&spans(&capture), &points(&capture), |_| false);
}

/// The lag of each partition.
fn lags(capture: &Capture, topic: &str) -> BTreeMap<String, i64> {
    let told = points(capture).into_iter();
    let told = told.filter(|point| point.metric == "kafka.consumer.records_lag");
    told.map(|point| {
        let text = |name: &str| point.attributes[name].as_str().unwrap().to_owned();
        assert_eq!((text("topic").as_str(), text("client-id").as_str()), (topic, "late"));
        assert_eq!(point.attributes.len(), 3, "{point:?}");
        #[expect(clippy::cast_possible_truncation, reason = "whole")]
        let lag = point.number as i64;
        (text("partition"), lag)
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_the_client_makes_by_itself_is_told() {
    let Some(brokers) = live::address("KAFKA") else { return };
    let (topic, group, capture) = (topic(&brokers, 1).await, unique_name(), Capture::new());
    let producer_config = config(&brokers);
    let producer: FutureProducer = producer_config.create().unwrap();
    let producer = otel_kafka::FutureProducer::builder(producer).config(&producer_config);
    let producer = producer.telemetry(&capture.telemetry()).build();
    for _ in 0..3 {
        let record = FutureRecord::<str, str>::to(&topic).payload("work");
        producer.send(record, PATIENCE).await.unwrap();
    }
    let mut config = in_group(&brokers, &group);
    config.set("enable.auto.commit", "true").set("auto.commit.interval.ms", "100");
    let context = ReportingContext::with(&config, &capture.telemetry());
    let consumer: StreamConsumer<_> = config.create_with_context(context).unwrap();
    consumer.subscribe(&[&topic]).unwrap();
    for _ in 0..3 {
        soon("a message is there", consumer.recv()).await.unwrap();
    }
    // By any number of commits, each message by one of them.
    let name = format!("commit {topic}");
    eventually("all is committed", async || {
        let none = timeout(Duration::from_millis(20), consumer.recv()).await;
        assert!(none.is_err(), "there is no other message");
        let commits = capture.spans_named(&name);
        commits.iter().map(|commit| commit.links.len()).sum::<usize>() >= 3
    })
    .await;
    let committed = block_in_place(|| consumer.committed(PATIENCE)).unwrap();
    assert_eq!(committed.find_partition(&topic, 0).unwrap().offset(), Offset::Offset(3));
    let sends = capture.spans_named(&format!("send {topic}"));
    let commits = capture.spans_named(&name);
    let links = commits.iter().flat_map(|commit| commit.links.iter());
    let links: Vec<_> = links.map(|link| link.span_context.clone()).collect();
    assert_eq!(links, sends.iter().map(brought).collect::<Vec<_>>());
    let (host, port) = host_and_port(&brokers);
    for commit in spans(&capture).iter().filter(|span| span.name == name) {
        let mut expected = json!({
            "messaging.system": "kafka",
            "messaging.operation.name": "commit",
            "messaging.operation.type": "settle",
            "messaging.destination.name": topic,
            "messaging.destination.partition.id": "0",
            "messaging.client.id": "rdkafka",
            "server.address": host,
            "server.port": port,
        });
        expected[GROUP] = group.as_str().into();
        // As soon as it is known.
        if let Some(told) = commit.attributes.get("messaging.kafka.cluster.id") {
            expected["messaging.kafka.cluster.id"] = cluster(&brokers).into();
            assert_eq!(*told, expected["messaging.kafka.cluster.id"]);
        }
        assert_eq!(json!(commit.attributes), expected);
        assert_eq!((commit.kind.as_str(), &commit.error), ("CLIENT", &None));
    }
}
