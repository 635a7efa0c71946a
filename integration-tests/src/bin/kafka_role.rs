//! A process of `tests/kafka_processes.rs`: a producer or a consumer, which tells what it did and
//! what was captured of it.
#![allow(clippy::unwrap_used, reason = "a part of a test")]

use std::time::Duration;

use integration_tests::roles::{self, begin, handle, produce, tell};
use integration_tests::told::{Role, all};
use otel_kafka::consumer::{CommitMode, Consumer as _, StreamConsumer};
use otel_kafka::message::{Message as _, OwnedMessage};
use otel_kafka::producer::{FutureProducer, FutureRecord};
use otel_kafka::util::Timeout;
use otel_kafka::{ClientConfig, rdkafka};
use otel_testing::otel_core::{Telemetry, TelemetryBuilder};
use otel_testing::{Capture, CaptureTracer};
use rdkafka::error::KafkaError;
use tokio::sync::Notify;
use tokio::time::timeout;

/// Longer than any test, with the start of a server in it; a process that hangs says so by its code.
const PATIENCE: Duration = Duration::from_mins(10);

#[tokio::main]
async fn main() {
    let (role, stopped) = begin();
    // What messages carry, as `OTEL_PROPAGATORS` says; what is told goes to the test.
    let setup = otel_setup::builder().exporters([]).subscriber(false).init().unwrap();
    let capture = Capture::new();
    let played = async {
        match role {
            Role::Produce { brokers, topic, count, timeout } => {
                let mut config = config(&brokers, "role-producer");
                config.set("message.timeout.ms", timeout.to_string());
                config.set("enable.idempotence", "true");
                send(&config, &topic, count, &stopped, &capture).await;
            }
            Role::Consume { brokers, topic, group, parent, ambient } => {
                let mut config = config(&brokers, "role-consumer");
                config.set("group.id", group).set("auto.offset.reset", "earliest");
                config.set("enable.auto.commit", "false");
                // Longer than a broker is down, or it would begin anew with what it has.
                config.set("session.timeout.ms", "180000");
                consume(&config, &topic, &parent, ambient, &stopped, &capture).await;
            }
        }
    };
    timeout(PATIENCE, played).await.unwrap();
    drop(setup);
    all(&capture).iter().for_each(tell);
}

/// What is captured, with the global propagator.
fn telemetry(capture: &Capture) -> TelemetryBuilder {
    let builder = Telemetry::builder().tracer_provider(capture.tracer_provider());
    builder.meter_provider(capture.meter_provider())
}

fn config(brokers: &str, id: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("client.id", id);
    // Some tests kill the broker.
    config.set("reconnect.backoff.max.ms", "200");
    config
}

fn code(error: &KafkaError) -> String {
    error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| format!("{code:?}"))
}

async fn send(
    config: &ClientConfig,
    topic: &str,
    count: Option<u64>,
    stopped: &Notify,
    capture: &Capture,
) {
    let producer = config.create::<rdkafka::producer::FutureProducer>().unwrap();
    let producer = FutureProducer::builder(producer).config(config);
    let producer = producer.telemetry(&telemetry(capture).build()).build();
    let send = |number: u64| {
        let (producer, topic) = (producer.clone(), topic.to_owned());
        async move {
            let text = number.to_string();
            let record = FutureRecord::to(&topic).key(&text).payload(&text);
            let sent = producer.send(record, Timeout::Never).await;
            let place = sent.map(|delivery| (delivery.partition, delivery.offset));
            place.map_err(|(error, _)| code(&error))
        }
    };
    produce(count, stopped, send).await;
}

async fn consume(
    config: &ClientConfig,
    topic: &str,
    parent: &str,
    ambient: bool,
    stopped: &Notify,
    capture: &Capture,
) {
    let telemetry = telemetry(capture).process_parent(parent.parse().unwrap()).build();
    let consumer = config.create::<rdkafka::consumer::StreamConsumer>().unwrap();
    let consumer = StreamConsumer::builder(consumer).config(config).telemetry(&telemetry).build();
    consumer.subscribe(&[topic]).unwrap();
    let next = async || consumer.recv().await.map(|message| message.detach());
    roles::consume(next, stopped, (capture, ambient), process, code).await;
    consumer.commit_consumer_state(CommitMode::Sync).unwrap();
}

async fn process(message: OwnedMessage, tracer: CaptureTracer) {
    let number = message.payload_view::<str>().unwrap().unwrap().parse().unwrap();
    let place = (message.partition(), message.offset());
    // What it fails with was told.
    _ = message.process(|_| handle(number, place, &tracer)).await;
}
