//! The scenarios that all adapters of brokers share, with the producer of this crate on the cluster
//! inside of librdkafka. What is received is reported by the core itself.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

mod support;

use std::collections::HashMap;

use otel_core::messaging::{Delivery, Destination};
use otel_core::propagation::ByteCarrier;
use otel_core::{Client, Messaging, MessagingCall, MessagingServer};
use otel_kafka::{FutureProducer, Telemetry, otel_core};
use otel_testing::assert::ExpectedSpan;
use otel_testing::scenario::messaging::{Handler, HandlerFailed};
use otel_testing::scenario::{Capability, Step};
use otel_testing::{scenario, span};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::producer::{FutureRecord, Producer as _};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::util::Timeout;
use rdkafka::{Offset, TopicPartitionList};
use support::{Cluster, LONG, TOPIC, failed, headers, listed};

#[derive(Debug)]
enum Reader {}

impl Client for Reader {
    const NAME: &'static str = "otel-reader";
    const VERSION: &'static str = "1.2.3";
}

struct Kafka {
    id: String,
    producer: FutureProducer,
    consumer: BaseConsumer,
    reader: Messaging<Reader>,
    /// The last to go, or the others would wait for it.
    cluster: Cluster,
}

struct Received {
    headers: HashMap<String, String>,
    delivery: Delivery,
}

fn record(own: &[(&str, &str)]) -> FutureRecord<'static, [u8], str> {
    let own: Vec<_> = own.iter().map(|(name, value)| (*name, Some(value.as_bytes()))).collect();
    FutureRecord::to(TOPIC).payload("{}").headers(headers(&own))
}

fn orders(operation: &'static str) -> MessagingCall<'static> {
    MessagingCall::new(operation, Destination::named(TOPIC))
}

impl scenario::Messaging for Kafka {
    type Message = Received;

    const CAPABILITIES: &'static [Capability] =
        &[Capability::Cancel, Capability::Settle, Capability::Unpolled];

    async fn connect(telemetry: &Telemetry) -> Option<Self> {
        let cluster = Cluster::new();
        // One message fills the queue.
        let config = cluster.config().set("queue.buffering.max.messages", "1").clone();
        let raw: rdkafka::producer::FutureProducer = config.create().unwrap();
        let id = Cluster::known_by(raw.client());
        let producer = FutureProducer::builder(raw).config(&config).telemetry(telemetry).build();
        let consumer: BaseConsumer = cluster
            .config()
            .set("group.id", "readers")
            .set("enable.auto.commit", "false")
            .create()
            .unwrap();
        let mut all = TopicPartitionList::new();
        all.add_partition_offset(TOPIC, 0, Offset::Beginning).unwrap();
        consumer.assign(&all).unwrap();
        let reader = Messaging::new(telemetry, MessagingServer::new("kafka"));
        Some(Self { id, producer, consumer, reader, cluster })
    }

    async fn send(&self, headers: &[(&str, &str)]) {
        self.producer.send(record(headers), LONG).await.unwrap();
    }

    async fn fail(&self) {
        let refused = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED];
        self.cluster.mock().request_errors(RDKafkaApiKey::Produce, &refused);
        self.producer.send(record(&[]), LONG).await.unwrap_err();
    }

    async fn receive(&self) -> Received {
        let poll = self.reader.poll();
        let message = self.consumer.poll(LONG).unwrap().unwrap().detach();
        let all = listed(message.headers()).unwrap_or_default();
        let all = all.into_iter().map(|(name, value)| (name, value.unwrap_or_default()));
        let all: Vec<(String, Vec<u8>)> = all.collect();
        let delivery = poll.received(&ByteCarrier(&all), || orders("poll"));
        let text = |value: Vec<u8>| String::from_utf8(value).unwrap();
        let headers = all.into_iter().map(|(name, value)| (name, text(value))).collect();
        Received { headers, delivery }
    }

    async fn receive_nothing(&self) {
        assert!(self.consumer.poll(Timeout::After(std::time::Duration::ZERO)).is_none());
    }

    fn headers(message: &Received) -> HashMap<String, String> {
        message.headers.clone()
    }

    async fn process<'m>(
        &'m self,
        message: &'m Received,
        handler: Handler<'m>,
    ) -> Result<(), HandlerFailed> {
        self.reader.handle(&message.delivery, message, |_| orders("process"), |_| handler).await
    }

    async fn settle(&self, message: &Received) {
        self.reader.settle([&message.delivery], || orders("commit")).finish();
    }

    async fn hang(&self) {
        self.cluster.mock().broker_down(1).unwrap();
        let raw = self.producer.raw();
        let _fills = raw.send_result(FutureRecord::<(), str>::to(TOPIC).payload("{}"));
        let _ = self.producer.send(record(&[]), Timeout::Never).await;
    }

    fn unpolled(&self) {
        drop(self.producer.send(record(&[]), LONG));
    }

    fn expected(&self, step: Step) -> ExpectedSpan {
        let known = |expected: ExpectedSpan| {
            expected.attribute("messaging.kafka.cluster.id", self.id.clone())
        };
        let read = |name: &'static str, kind: &'static str| {
            span(format!("{name} orders"))
                .attribute("messaging.system", "kafka")
                .attribute("messaging.destination.name", TOPIC)
                .attribute("messaging.operation.name", name)
                .attribute("messaging.operation.type", kind)
        };
        match step {
            Step::Send => known(self.cluster.reported()).any_attribute("messaging.kafka.offset"),
            Step::Fail => failed(known(self.cluster.reported()), "TOPIC_AUTHORIZATION_FAILED"),
            Step::Hang => known(self.cluster.unanswered()),
            Step::Receive => read("poll", "receive").client(),
            Step::Process => read("process", "process").consumer(),
            Step::Settle => read("commit", "settle").client(),
            _ => panic!("a step that this test does not know"),
        }
    }
}

otel_testing::messaging_scenarios!(Kafka);
