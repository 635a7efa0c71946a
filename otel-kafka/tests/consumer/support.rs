//! A cluster, a producer without instrumentation, and what is expected of all spans.

use std::time::{Duration, Instant};

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use otel_kafka::consumer::{BaseConsumer, Consumer as _, StreamConsumer};
use otel_kafka::message::{BorrowedMessage, Header, OwnedHeaders};
use otel_kafka::{Offset, Telemetry, TopicPartitionList};
use otel_testing::Capture;
use otel_testing::assert::{ExpectedSpan, span};
use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{DefaultProducerContext, FutureProducer, FutureRecord};

pub(crate) const TOPIC: &str = "orders";
pub(crate) const GROUP: &str = "warehouse";
/// Nothing takes longer, unless it never comes.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

pub(crate) struct Broker {
    pub(crate) cluster: MockCluster<'static, DefaultProducerContext>,
    producer: FutureProducer,
}

impl Broker {
    pub(crate) fn new() -> Self {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(TOPIC, 2, 1).unwrap();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers());
        Self { producer: config.create().unwrap(), cluster }
    }

    pub(crate) fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", self.cluster.bootstrap_servers())
            .set("group.id", GROUP)
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest");
        config
    }

    /// Sends a message of this trace, whose headers these are after that of the trace.
    pub(crate) async fn send(&self, partition: i32, trace: u8, headers: &[(&str, &[u8])]) {
        let traceparent = traceparent(trace);
        let own = OwnedHeaders::new().insert(header("traceparent", traceparent.as_bytes()));
        let all = headers.iter().fold(own, |all, (name, value)| all.insert(header(name, value)));
        self.send_with(partition, all).await;
    }

    pub(crate) async fn send_with(&self, partition: i32, headers: OwnedHeaders) {
        let record = FutureRecord::to(TOPIC).partition(partition).key("7").payload("a box");
        self.send_record(record.headers(headers)).await;
    }

    pub(crate) async fn send_record(&self, record: FutureRecord<'_, str, str>) {
        self.producer.send(record, BOUND).await.unwrap();
    }

    pub(crate) fn stream(&self, telemetry: &Telemetry) -> StreamConsumer {
        let config = self.config();
        let raw: rdkafka::consumer::StreamConsumer = config.create().unwrap();
        let consumer = StreamConsumer::builder(raw).config(&config).telemetry(telemetry).build();
        consumer.assign(&partitions(&[0, 1])).unwrap();
        consumer
    }

    /// A call of this name about one message.
    pub(crate) fn expected(
        &self,
        operation: &'static str,
        kind: &'static str,
        partition: &'static str,
        offset: i64,
    ) -> ExpectedSpan {
        self.call(operation, kind)
            .attribute("messaging.destination.partition.id", partition)
            .attribute("messaging.kafka.offset", offset)
    }

    /// A call of this name about a topic.
    pub(crate) fn call(&self, operation: &'static str, kind: &'static str) -> ExpectedSpan {
        self.client_call(operation, kind, format!("{operation} {TOPIC}"))
            .attribute("messaging.destination.name", TOPIC)
    }

    /// A call about no one topic.
    pub(crate) fn client_call(
        &self,
        operation: &'static str,
        kind: &'static str,
        name: String,
    ) -> ExpectedSpan {
        let servers = self.cluster.bootstrap_servers();
        let (address, port) = servers.rsplit_once(':').unwrap();
        span(name)
            .attribute("messaging.system", "kafka")
            .attribute("server.address", address.to_owned())
            .attribute("server.port", port.parse::<i64>().unwrap())
            .attribute("messaging.client.id", "rdkafka")
            .any_attribute("messaging.kafka.cluster.id")
            .attribute("messaging.consumer.group.name", GROUP)
            .attribute("messaging.operation.name", operation)
            .attribute("messaging.operation.type", kind)
    }

    pub(crate) fn poll(&self, partition: &'static str, offset: i64, trace: u8) -> ExpectedSpan {
        let expected = self.expected("poll", "receive", partition, offset).client();
        expected.attribute("messaging.kafka.message.key", "7").link(context(trace))
    }

    pub(crate) fn process(&self, offset: i64, trace: u8) -> ExpectedSpan {
        let expected = self.expected("process", "process", "0", offset).consumer();
        expected.attribute("messaging.kafka.message.key", "7").link(context(trace))
    }
}

/// A consumer that has both partitions, from their first message on.
pub(crate) fn base(telemetry: &Telemetry, config: &ClientConfig) -> BaseConsumer {
    let raw: rdkafka::consumer::BaseConsumer = config.create().unwrap();
    let consumer = BaseConsumer::builder(raw).config(config).telemetry(telemetry).build();
    consumer.assign(&partitions(&[0, 1])).unwrap();
    consumer
}

pub(crate) fn header<'h>(key: &'h str, value: &'h [u8]) -> Header<'h, &'h [u8]> {
    Header { key, value: Some(value) }
}

pub(crate) fn partitions(all: &[i32]) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for partition in all {
        list.add_partition_offset(TOPIC, *partition, Offset::Beginning).unwrap();
    }
    list
}

/// The span that a message of this trace carries.
pub(crate) fn context(trace: u8) -> SpanContext {
    let (trace, span) = (TraceId::from(u128::from(trace)), SpanId::from(u64::from(trace)));
    SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::NONE)
}

pub(crate) fn traceparent(trace: u8) -> String {
    format!("00-{trace:032x}-{trace:016x}-01")
}

/// The next message of a consumer that is polled, for as long as it may take to come.
pub(crate) fn next(consumer: &BaseConsumer) -> BorrowedMessage<'_> {
    consumer.poll(BOUND).unwrap().unwrap()
}

pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(BOUND, future).await.unwrap()
}

/// Waits until it is so, while `work` is done.
#[track_caller]
pub(crate) fn until(mut is_so: impl FnMut() -> bool, mut work: impl FnMut()) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < BOUND, "waited for {BOUND:?}");
        work();
    }
}

/// A capture, and a message of trace 1 received by a consumer of it; what that emitted is forgotten.
pub(crate) async fn received(capture: &Capture) -> (Broker, BaseConsumer) {
    let broker = Broker::new();
    broker.send(0, 1, &[]).await;
    let consumer = base(&capture.telemetry(), &broker.config());
    (broker, consumer)
}
