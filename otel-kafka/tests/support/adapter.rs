//! The producers and the consumer of this crate as the shared scenarios use them, on a cluster.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::BoxFuture;
use otel_kafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use otel_kafka::message::OwnedMessage;
use otel_kafka::producer::{FutureProducer, FutureRecord, Producer as _};
use otel_kafka::{Offset, Telemetry, TopicPartitionList};
use otel_testing::assert::ExpectedSpan;
use otel_testing::scenario;
use otel_testing::scenario::messaging::{Handler, HandlerFailed};
use otel_testing::scenario::{Capability, Step};
use rdkafka::message::Message as _;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::util::Timeout;

use crate::support::{Cluster, LONG, TOPIC, failed, headers, listed};

const GROUP: &str = "readers";

pub(crate) struct Kafka {
    id: String,
    producer: FutureProducer,
    consumer: BaseConsumer,
    /// The last to go, or the others would wait for it.
    cluster: Cluster,
}

fn record(own: &[(&str, &str)]) -> FutureRecord<'static, [u8], str> {
    let own: Vec<_> = own.iter().map(|(name, value)| (*name, Some(value.as_bytes()))).collect();
    FutureRecord::to(TOPIC).payload("{}").headers(headers(&own))
}

impl scenario::Messaging for Kafka {
    type Message = OwnedMessage;

    const CAPABILITIES: &'static [Capability] =
        &[Capability::Cancel, Capability::Settle, Capability::Unpolled];

    async fn connect(telemetry: &Telemetry) -> Option<Self> {
        let cluster = Cluster::new();
        let mut config = cluster.config();
        config.set("linger.ms", "0").set("log_level", "0");
        // One message fills the queue.
        config.set("queue.buffering.max.messages", "1");
        let raw: rdkafka::producer::FutureProducer = config.create().unwrap();
        let producer = FutureProducer::builder(raw).config(&config).telemetry(telemetry).build();
        let mut config = cluster.config();
        config.set("log_level", "0").set("fetch.wait.max.ms", "5");
        config.set("group.id", GROUP).set("enable.auto.commit", "false");
        let raw: rdkafka::consumer::BaseConsumer = config.create().unwrap();
        let consumer = BaseConsumer::builder(raw).config(&config).telemetry(telemetry).build();
        let mut all = TopicPartitionList::new();
        all.add_partition_offset(TOPIC, 0, Offset::Beginning).unwrap();
        consumer.assign(&all).unwrap();
        Cluster::known_by(consumer.client());
        let id = Cluster::known_by(producer.client());
        Some(Self { id, producer, consumer, cluster })
    }

    async fn send(&self, headers: &[(&str, &str)]) {
        self.producer.send(record(headers), LONG).await.unwrap();
    }

    async fn fail(&self) {
        let refused = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED];
        self.cluster.mock().request_errors(RDKafkaApiKey::Produce, &refused);
        self.producer.send(record(&[]), LONG).await.unwrap_err();
    }

    async fn receive(&self) -> OwnedMessage {
        self.consumer.poll(LONG).unwrap().unwrap().detach()
    }

    async fn receive_nothing(&self) {
        assert!(self.consumer.poll(Duration::ZERO).is_none());
    }

    fn headers(message: &OwnedMessage) -> HashMap<String, String> {
        let text = |value: Option<Vec<u8>>| String::from_utf8(value.unwrap_or_default()).unwrap();
        let all = listed(message.headers()).unwrap_or_default().into_iter();
        all.map(|(name, value)| (name, text(value))).collect()
    }

    fn process<'m>(
        &'m self,
        message: &'m OwnedMessage,
        handler: Handler<'m>,
    ) -> impl Future<Output = Result<(), HandlerFailed>> + Send + 'm {
        let processed: BoxFuture<'m, _> = Box::pin(message.process(|_| handler));
        processed
    }

    async fn settle(&self, message: &OwnedMessage) {
        let mut read = TopicPartitionList::new();
        let next = Offset::Offset(message.offset() + 1);
        read.add_partition_offset(message.topic(), message.partition(), next).unwrap();
        self.consumer.commit(&read, CommitMode::Sync).unwrap();
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
        let read = |name, kind| {
            let expected = known(self.cluster.call(name, kind));
            let expected = expected.attribute("messaging.destination.partition.id", "0");
            expected.attribute("messaging.consumer.group.name", GROUP)
        };
        let message = |name| read(name, name).any_attribute("messaging.kafka.offset");
        match step {
            Step::Send => known(self.cluster.reported()).any_attribute("messaging.kafka.offset"),
            Step::Fail => failed(known(self.cluster.reported()), "TOPIC_AUTHORIZATION_FAILED"),
            Step::Hang => known(self.cluster.unanswered()),
            Step::Receive => {
                read("poll", "receive").any_attribute("messaging.kafka.offset").client()
            }
            Step::Process => message("process").consumer(),
            Step::Settle => read("commit", "settle").client(),
            _ => panic!("a step that this test does not know"),
        }
    }
}
