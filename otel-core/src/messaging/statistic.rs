//! Layer `messaging`: what a client tells of itself now and then, as gauges, and what happens to it,
//! as counters.
//!
//! The conventions have none of these. Names, units and labels are those that OpenTelemetry's
//! instrumentation for Java gives to the same facts, so that one dashboard shows both; what Java's
//! clients do not count is named after the library that does, and of NATS as its client for .NET has it;
//! of RabbitMQ, whose clients count none of it, alike.

use std::fmt;

use opentelemetry::metrics::Meter;
use opentelemetry::{KeyValue, StringValue};

use crate::contain::contain;
use crate::text::shared;

/// A number that a client tells of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statistic {
    name: &'static str,
    unit: &'static str,
    description: &'static str,
}

/// Something that happens to a client, and is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event(Statistic);

/// What a [`Statistic`] is of, beside the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label(&'static str);

/// The topic.
pub const TOPIC: Label = Label("topic");
/// The partition of the topic.
pub const PARTITION: Label = Label("partition");
/// The broker.
pub const NODE: Label = Label("node-id");
/// The client: told by the core.
const CLIENT: &str = "client-id";

macro_rules! statistics {
    ($($(#[$doc:meta])* $statistic:ident = $name:literal, $unit:literal, $description:literal;)*) => {
        $($(#[$doc])* pub const $statistic: Statistic =
            Statistic { name: $name, unit: $unit, description: $description };)*
    };
}

statistics! {
    /// Messages of a partition that the consumer was not given yet.
    KAFKA_CONSUMER_LAG = "kafka.consumer.records_lag", "{record}", "The latest lag of the partition";
    /// Mean time that a broker took to answer a consumer, in milliseconds.
    KAFKA_CONSUMER_LATENCY =
        "kafka.consumer.request_latency_avg", "ms", "The average request latency in ms";
    /// Mean time that a broker took to answer a producer, in milliseconds.
    KAFKA_PRODUCER_LATENCY =
        "kafka.producer.request_latency_avg", "ms", "The average request latency in ms";
    /// Bytes that may still be queued by a producer.
    KAFKA_PRODUCER_BUFFER_AVAILABLE = "kafka.producer.buffer_available_bytes", "By",
        "The total amount of buffer memory that is not being used";
    /// Bytes that may be queued by a producer.
    KAFKA_PRODUCER_BUFFER_TOTAL = "kafka.producer.buffer_total_bytes", "By",
        "The maximum amount of buffer memory the client can use";
    /// Messages that a producer has queued.
    RDKAFKA_PRODUCER_QUEUED =
        "rdkafka.producer.queued_messages", "{message}", "Messages in the queues of the producer";
    /// Messages of a partition that a consumer has fetched and not handed out.
    RDKAFKA_CONSUMER_QUEUED = "rdkafka.consumer.queued_messages", "{message}",
        "Messages of the partition that were fetched and wait for the application";
    /// The same in bytes.
    RDKAFKA_CONSUMER_QUEUED_BYTES = "rdkafka.consumer.queued_bytes", "By",
        "Size of the messages of the partition that wait for the application";
}

const fn event(name: &'static str, unit: &'static str, description: &'static str) -> Event {
    Event(Statistic { name, unit, description })
}

/// The connection to the broker is there again.
pub const NATS_RECONNECT: Event =
    event("nats.client.reconnects", "{event}", "Connections that were made again");
/// The client threw away a message that came faster than it was taken.
pub const NATS_MESSAGE_DROPPED: Event =
    event("nats.client.messages.dropped", "{message}", "Messages that a full subscription lost");

/// The connection to the broker is there again.
pub const RABBITMQ_RECONNECT: Event =
    event("rabbitmq.client.reconnects", "{event}", "Connections that were made again");
/// The broker takes no messages over the connection for the time being.
pub const RABBITMQ_BLOCKED: Event =
    event("rabbitmq.client.blocked", "{event}", "Times that the broker blocked the connection");

/// Takes the statistics of a client, while somebody measures.
///
/// Instruments are made when they are used, as most clients tell nothing of the kind; the SDK knows
/// those that it made before.
pub struct Statistics<'c> {
    pub(super) meter: &'c Meter,
    pub(super) client: Option<&'c StringValue>,
}

impl fmt::Debug for Statistics<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Statistics").field("client", &self.client).finish_non_exhaustive()
    }
}

impl Statistics<'_> {
    /// Tells one number.
    pub fn record(&self, statistic: Statistic, value: f64, labels: &[(Label, &str)]) {
        let labels = labels
            .iter()
            .map(|(Label(name), value)| KeyValue::new(*name, shared((*value).to_owned())));
        let all: Vec<_> = self.of_client().chain(labels).collect();
        let Statistic { name, unit, description } = statistic;
        let gauge = self.meter.f64_gauge(name).with_unit(unit).with_description(description);
        contain(|| gauge.build().record(value, &all));
    }

    /// Tells that something happened.
    pub fn count(&self, Event(Statistic { name, unit, description }): Event) {
        let counter = self.meter.u64_counter(name).with_unit(unit).with_description(description);
        let all: Vec<_> = self.of_client().collect();
        contain(|| counter.build().add(1, &all));
    }

    fn of_client(&self) -> impl Iterator<Item = KeyValue> + use<> {
        self.client.map(|client| KeyValue::new(CLIENT, client.clone())).into_iter()
    }
}
