//! Commits link to the messages that they cover, each once, and to no other.

use otel_kafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use otel_kafka::message::Message as _;
use otel_kafka::{Offset, TopicPartitionList};
use otel_testing::Capture;
use otel_testing::assert::ExpectedSpan;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use crate::support::{BOUND, Broker, TOPIC, base, context, next, partitions};

/// A broker with messages of these traces in partition 0, and a consumer that got them.
async fn got(capture: &Capture, traces: &[u8], more: &[(&str, &str)]) -> (Broker, BaseConsumer) {
    let broker = Broker::new();
    for trace in traces {
        broker.send(0, *trace, &[]).await;
    }
    let mut config = broker.config();
    for (name, value) in more {
        config.set(*name, *value);
    }
    let consumer = base(&capture.telemetry(), &config);
    for _ in traces {
        drop(next(&consumer));
    }
    capture.clear();
    (broker, consumer)
}

fn up_to(offsets: &[(i32, i64)]) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in offsets {
        list.add_partition_offset(TOPIC, *partition, Offset::Offset(*offset)).unwrap();
    }
    list
}

fn commit(broker: &Broker) -> ExpectedSpan {
    broker.call("commit", "settle").client()
}

fn of_partition(broker: &Broker) -> ExpectedSpan {
    commit(broker).attribute("messaging.destination.partition.id", "0")
}

#[tokio::test]
async fn of_a_message_and_those_before_it() {
    let capture = Capture::new();
    let (broker, consumer) = got(&capture, &[1, 2], &[]).await;
    for (trace, mode) in [(3, CommitMode::Sync), (4, CommitMode::Async)] {
        broker.send(0, trace, &[]).await;
        let message = next(&consumer);
        capture.clear();
        consumer.commit_message(&message, mode).unwrap();
        let expected = broker.expected("commit", "settle", "0", message.offset()).client();
        let expected = match mode {
            CommitMode::Sync => expected.link(context(1)).link(context(2)),
            // What was settled is settled.
            CommitMode::Async => expected,
        };
        capture.assert_spans([expected.link(context(trace))]);
    }
    let committed = consumer.committed(BOUND).unwrap();
    assert_eq!(committed.elements()[0].offset(), Offset::Offset(4));
}

#[tokio::test]
async fn of_a_list() {
    let capture = Capture::new();
    let (broker, consumer) = got(&capture, &[1, 2, 3], &[]).await;
    broker.send(1, 9, &[]).await;
    drop(next(&consumer));
    capture.clear();
    consumer.commit(&up_to(&[(0, 2)]), CommitMode::Sync).unwrap();
    consumer.commit(&up_to(&[(0, 3), (1, 1)]), CommitMode::Async).unwrap();
    consumer.commit(&up_to(&[(0, 3)]), CommitMode::Sync).unwrap();
    capture.assert_spans([
        of_partition(&broker).link(context(1)).link(context(2)),
        commit(&broker).link(context(3)).link(context(9)),
        of_partition(&broker),
    ]);
    let points = capture.assert_metric("messaging.client.operation.duration").points;
    let settled = |point: &&otel_testing::Point| {
        point.attribute("messaging.operation.type").is_some_and(|it| it.as_str() == "settle")
    };
    let settled = points.iter().filter(settled);
    assert_eq!(settled.filter_map(otel_testing::Point::count).sum::<u64>(), 3);
}

#[tokio::test]
async fn of_what_was_delivered() {
    let capture = Capture::new();
    let (broker, consumer) = got(&capture, &[1, 2], &[]).await;
    consumer.commit_consumer_state(CommitMode::Sync).unwrap();
    let name = format!("commit {}", broker.cluster.bootstrap_servers());
    let expected = broker.client_call("commit", "settle", name).client();
    capture.assert_spans([expected.link(context(1)).link(context(2))]);
}

/// What another consumer has by now is not committed.
#[tokio::test]
async fn of_what_was_delivered_and_is_assigned() {
    let capture = Capture::new();
    let (broker, consumer) = got(&capture, &[1, 2], &[]).await;
    broker.send(1, 9, &[]).await;
    drop(next(&consumer));
    capture.clear();
    let mut first = TopicPartitionList::new();
    first.add_partition(TOPIC, 0);
    consumer.incremental_unassign(&first).unwrap();
    consumer.commit_consumer_state(CommitMode::Sync).unwrap();
    let name = format!("commit {}", broker.cluster.bootstrap_servers());
    let expected = broker.client_call("commit", "settle", name).client();
    capture.assert_spans([expected.link(context(9))]);
}

#[tokio::test]
async fn of_what_was_stored() {
    let capture = Capture::new();
    let more = [("enable.auto.offset.store", "false")];
    let (broker, consumer) = got(&capture, &[1, 2, 3, 4], &more).await;
    let name = || format!("commit {}", broker.cluster.bootstrap_servers());
    let state = || broker.client_call("commit", "settle", name()).client();
    // Nothing is stored, so there is nothing to commit.
    assert!(consumer.commit_consumer_state(CommitMode::Sync).is_err());
    let nothing = state().attribute("error.type", "_NO_OFFSET").error("");
    consumer.store_offset(TOPIC, 0, 0).unwrap();
    consumer.commit_consumer_state(CommitMode::Sync).unwrap();
    let first = state().link(context(1));
    consumer.store_offsets(&up_to(&[(0, 2)])).unwrap();
    consumer.commit_consumer_state(CommitMode::Sync).unwrap();
    let second = state().link(context(2));
    broker.send(0, 5, &[]).await;
    let message = next(&consumer);
    let received = broker.poll("0", 4, 5);
    consumer.store_offset_from_message(&message).unwrap();
    consumer.commit_consumer_state(CommitMode::Sync).unwrap();
    let all = state().links([3, 4, 5].map(context));
    capture.assert_spans([nothing, first, second, received, all]);
}

/// Whether what was delivered is stored is not known of a handle without its configuration.
#[tokio::test]
async fn of_what_is_not_known() {
    let capture = Capture::new();
    let broker = Broker::new();
    broker.send(0, 1, &[]).await;
    let raw: rdkafka::consumer::BaseConsumer = broker.config().create().unwrap();
    let consumer = BaseConsumer::with(raw, &capture.telemetry());
    consumer.assign(&partitions(&[0])).unwrap();
    let message = next(&consumer);
    capture.clear();
    consumer.commit_consumer_state(CommitMode::Sync).unwrap();
    consumer.commit_message(&message, CommitMode::Sync).unwrap();
    let of = |name: &'static str| {
        otel_testing::span(name)
            .client()
            .attribute("messaging.system", "kafka")
            .attribute("messaging.operation.name", "commit")
            .attribute("messaging.operation.type", "settle")
            .any_attribute("messaging.kafka.cluster.id")
    };
    let message = of("commit orders")
        .attribute("messaging.destination.name", TOPIC)
        .attribute("messaging.destination.partition.id", "0")
        .attribute("messaging.kafka.offset", 0)
        .link(context(1));
    capture.assert_spans([of("commit"), message]);
}

#[tokio::test]
async fn that_fails_and_is_tried_again() {
    let capture = Capture::new();
    let (broker, consumer) = got(&capture, &[1], &[]).await;
    let refused = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED];
    broker.cluster.request_errors(RDKafkaApiKey::OffsetCommit, &refused);
    let list = up_to(&[(0, 1)]);
    assert!(consumer.commit(&list, CommitMode::Sync).is_err());
    consumer.commit(&list, CommitMode::Sync).unwrap();
    let expected = || of_partition(&broker).link(context(1));
    let failed = expected().attribute("error.type", "GROUP_AUTHORIZATION_FAILED").error("");
    capture.assert_spans([failed, expected()]);
}

/// Read again, it is the same message.
#[tokio::test]
async fn after_a_seek() {
    let capture = Capture::new();
    let (broker, consumer) = got(&capture, &[1, 2], &[]).await;
    consumer.seek(TOPIC, 0, Offset::Beginning, BOUND).unwrap();
    assert_eq!(next(&consumer).offset(), 0);
    capture.clear();
    consumer.commit(&up_to(&[(0, 2)]), CommitMode::Sync).unwrap();
    capture.assert_spans([of_partition(&broker).link(context(1))]);
}
