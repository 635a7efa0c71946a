//! Errors are told by their names in the protocol, and never by their texts.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as such")]

mod support;

use otel_kafka::FutureProducer;
use otel_kafka::producer::{BaseProducer, FutureRecord, Producer as _};
use otel_testing::{Capture, span};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use support::{Cluster, LONG, TOPIC, failed, sending, unreachable};

fn producer(config: &ClientConfig, capture: &Capture) -> FutureProducer {
    let raw = config.create().unwrap();
    FutureProducer::builder(raw).config(config).telemetry(&capture.telemetry()).build()
}

#[tokio::test]
async fn refused_by_the_broker() {
    use RDKafkaRespErr as Code;

    let (capture, cluster) = (Capture::new(), Cluster::new());
    let producer = producer(&cluster.config(), &capture);
    let id = Cluster::known_by(producer.client());
    for (code, name) in [
        (Code::RD_KAFKA_RESP_ERR_INVALID_RECORD, "INVALID_RECORD"),
        (Code::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, "MESSAGE_TOO_LARGE"),
        (Code::RD_KAFKA_RESP_ERR_POLICY_VIOLATION, "POLICY_VIOLATION"),
        // The last: librdkafka then refuses the topic by itself for a while.
        (Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, "TOPIC_AUTHORIZATION_FAILED"),
    ] {
        capture.clear();
        cluster.mock().request_errors(RDKafkaApiKey::Produce, &[code]);
        let record: FutureRecord<'_, str, str> = FutureRecord::to(TOPIC).payload("secret");
        producer.send(record, LONG).await.unwrap_err();
        let expected = cluster.reported().attribute("messaging.kafka.cluster.id", id.clone());
        capture.assert_spans([failed(expected, name)]);
    }
}

#[tokio::test]
async fn refused_by_the_client() {
    let (capture, cluster) = (Capture::new(), Cluster::new());
    let config = cluster.config().set("message.max.bytes", "1000").clone();
    let producer = producer(&config, &capture);
    let id = Cluster::known_by(producer.client());
    let expected = cluster.unanswered().attribute("messaging.kafka.cluster.id", id);
    let large = [b'x'; 2000];
    let record: FutureRecord<'_, str, [u8; 2000]> =
        FutureRecord::to(TOPIC).payload(&large).key("7").partition(0);
    producer.send(record, LONG).await.unwrap_err();
    let keyed = expected.clone().attribute("messaging.kafka.message.key", "7");
    let keyed = keyed.attribute("messaging.destination.partition.id", "0");
    capture.assert_spans([failed(keyed, "MESSAGE_TOO_LARGE")]);

    capture.clear();
    // No payload, and a key that is a number in bytes.
    let record: FutureRecord<'_, [u8; 4], str> =
        FutureRecord::to(TOPIC).key(&[0, 0, 0, 7]).partition(99);
    producer.send(record, LONG).await.unwrap_err();
    let expected = expected.attribute("messaging.kafka.message.tombstone", true);
    let expected = expected.attribute("messaging.destination.partition.id", "99");
    capture.assert_spans([failed(expected, "_UNKNOWN_PARTITION")]);
}

#[tokio::test]
async fn not_delivered_in_time() {
    let capture = Capture::new();
    let config = unreachable().set("message.timeout.ms", "100").clone();
    let producer = producer(&config, &capture);
    let record: FutureRecord<'_, str, str> = FutureRecord::to(TOPIC).payload("{}");
    producer.send(record, LONG).await.unwrap_err();
    capture.assert_spans([failed(sending("127.0.0.1".to_owned(), 1), "_MSG_TIMED_OUT")]);
}

#[test]
fn offsets_that_are_sent_to_a_transaction() {
    let (capture, cluster) = (Capture::new(), Cluster::with_partitions(2));
    cluster.mock().create_topic("carts", 1, 1).unwrap();
    let config = cluster.config().set("transactional.id", "shop-1").clone();
    let raw: BaseProducer = config.create().unwrap();
    let builder = BaseProducer::builder(raw.into_inner()).config(&config);
    let producer = builder.consumer_group("readers").telemetry(&capture.telemetry()).build();
    let id = Cluster::known_by(producer.client());
    let consumer: BaseConsumer = cluster.config().set("group.id", "readers").create().unwrap();
    let group = consumer.group_metadata().unwrap();
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(TOPIC, 0, Offset::Offset(7)).unwrap();
    let expected = |topic: Option<&'static str>| {
        let name = "send_offsets_to_transaction";
        let servers = cluster.mock().bootstrap_servers();
        let (host, port) = servers.split_once(':').unwrap();
        let expected = span(match topic {
            Some(topic) => format!("{name} {topic}"),
            None => format!("{name} {servers}"),
        });
        let expected = expected
            .client()
            .attribute("messaging.system", "kafka")
            .attribute("messaging.operation.name", name)
            .attribute("messaging.operation.type", "settle")
            .attribute("messaging.consumer.group.name", "readers")
            .attribute("messaging.client.id", "shop")
            .attribute("messaging.kafka.cluster.id", id.clone())
            .attribute("server.address", host.to_owned())
            .attribute("server.port", port.parse::<i64>().unwrap());
        match topic {
            Some(topic) => expected.attribute("messaging.destination.name", topic),
            None => expected,
        }
    };
    // No transaction was begun.
    producer.send_offsets_to_transaction(&offsets, &group, LONG).unwrap_err();
    let one = expected(Some(TOPIC)).attribute("messaging.destination.partition.id", "0");
    capture.assert_spans([failed(one.clone(), "_STATE")]);

    capture.clear();
    producer.init_transactions(LONG).unwrap();
    producer.begin_transaction().unwrap();
    producer.send_offsets_to_transaction(&offsets, &group, LONG).unwrap();
    capture.assert_spans([one]);

    capture.clear();
    offsets.add_partition_offset(TOPIC, 1, Offset::Offset(7)).unwrap();
    producer.send_offsets_to_transaction(&offsets, &group, LONG).unwrap();
    offsets.add_partition_offset("carts", 0, Offset::Offset(7)).unwrap();
    producer.send_offsets_to_transaction(&offsets, &group, LONG).unwrap();
    producer.abort_transaction(LONG).unwrap();
    capture.assert_spans([expected(Some(TOPIC)), expected(None)]);
}
