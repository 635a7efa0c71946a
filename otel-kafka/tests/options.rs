//! What of a message is told by option, by each step that has the message at hand.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as such")]

mod support;

use otel_kafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use otel_kafka::producer::{FutureProducer, FutureRecord};
use otel_kafka::{Offset, Telemetry, TopicPartitionList};
use otel_testing::Capture;
use support::{Cluster, LONG, TOPIC};

/// Sends, receives, processes and settles a message of five bytes.
async fn whole_way(telemetry: &Telemetry) {
    let cluster = Cluster::new();
    let raw: rdkafka::producer::FutureProducer = cluster.config().create().unwrap();
    let producer = FutureProducer::with(raw, telemetry);
    let record = FutureRecord::to(TOPIC).key("7").payload("a box");
    producer.send(record, LONG).await.unwrap();
    let config = cluster.config().set("group.id", "readers").clone();
    let raw: rdkafka::consumer::BaseConsumer = config.create().unwrap();
    let consumer = BaseConsumer::with(raw, telemetry);
    let mut all = TopicPartitionList::new();
    all.add_partition_offset(TOPIC, 0, Offset::Beginning).unwrap();
    consumer.assign(&all).unwrap();
    let message = consumer.poll(LONG).unwrap().unwrap();
    message.process(async |_| Ok::<_, ()>(())).await.unwrap();
    consumer.commit_message(&message, CommitMode::Sync).unwrap();
}

/// What the spans say under this name, by the spans' own.
fn told(capture: &Capture, name: &str) -> Vec<(String, Option<String>)> {
    let told = |span: &opentelemetry_sdk::trace::SpanData| {
        let mut attributes = span.attributes.iter();
        let value = attributes.find(|attribute| attribute.key.as_str() == name);
        (span.name.to_string(), value.map(|attribute| attribute.value.to_string()))
    };
    capture.spans().iter().map(told).collect()
}

fn each(of_messages: Option<&str>) -> Vec<(String, Option<String>)> {
    let of_messages = of_messages.map(str::to_owned);
    let message = |name: &str| (name.to_owned(), of_messages.clone());
    let commit = ("commit orders".to_owned(), None);
    vec![message("send orders"), message("poll orders"), message("process orders"), commit]
}

#[tokio::test]
async fn sizes_and_keys() {
    const SIZE: &str = "messaging.message.body.size";
    const KEY: &str = "messaging.kafka.message.key";

    let capture = Capture::new();
    whole_way(&capture.telemetry()).await;
    assert_eq!(told(&capture, SIZE), each(None));
    assert_eq!(told(&capture, KEY), each(Some("7")));

    capture.clear();
    whole_way(&capture.telemetry_builder().message_sizes(true).keys(false).build()).await;
    assert_eq!(told(&capture, SIZE), each(Some("5")));
    assert_eq!(told(&capture, KEY), each(None));
}
