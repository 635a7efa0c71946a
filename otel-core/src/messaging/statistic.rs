//! Layer `messaging`: what a client tells of itself now and then, as gauges, and what happens to it,
//! as counters.
//!
//! The conventions have none of these. Names, units and labels are those that OpenTelemetry's
//! instrumentation for Java gives to the same facts, so that one dashboard shows both; what Java's
//! clients do not count is named after the library that does, and of NATS as its client for .NET has it;
//! of RabbitMQ, whose clients count none of it, alike.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use opentelemetry::metrics::{Gauge, Meter};
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

/// The connection to the broker is there again.
pub const NATS_RECONNECT: Event = Event(Statistic {
    name: "nats.client.reconnects",
    unit: "{event}",
    description: "Connections that were made again",
});
/// The client threw away a message that came faster than it was taken.
pub const NATS_MESSAGE_DROPPED: Event = Event(Statistic {
    name: "nats.client.messages.dropped",
    unit: "{message}",
    description: "Messages that were dropped because a subscription was full",
});

/// The connection to the broker is there again.
pub const RABBITMQ_RECONNECT: Event =
    Event(Statistic { name: "rabbitmq.client.reconnects", ..NATS_RECONNECT.0 });
/// The broker takes no messages over the connection for the time being.
pub const RABBITMQ_BLOCKED: Event = Event(Statistic {
    name: "rabbitmq.client.blocked",
    description: "Times that the broker blocked the connection",
    ..NATS_RECONNECT.0
});

/// Made when they are first used: most clients tell nothing of the kind.
pub(super) struct Gauges {
    meter: Meter,
    made: Mutex<Vec<(Statistic, Gauge<f64>)>>,
}

impl Gauges {
    pub(super) fn new(meter: &Meter) -> Self {
        Self { meter: meter.clone(), made: Mutex::default() }
    }

    fn get(&self, statistic: Statistic) -> Gauge<f64> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, gauge)) = made.iter().find(|(known, _)| *known == statistic) {
            return gauge.clone();
        }
        let Statistic { name, unit, description } = statistic;
        let gauge = self.meter.f64_gauge(name).with_unit(unit).with_description(description);
        let gauge = gauge.build();
        made.push((statistic, gauge.clone()));
        gauge
    }
}

/// Takes the statistics of a client, while somebody measures.
pub struct Statistics<'c> {
    pub(super) gauges: &'c Gauges,
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
        contain(|| self.gauges.get(statistic).record(value, &all));
    }

    /// Tells that something happened.
    pub fn count(&self, Event(event): Event) {
        let all: Vec<_> = self.of_client().collect();
        contain(|| {
            let counter = self.gauges.meter.u64_counter(event.name).with_unit(event.unit);
            // The SDK knows the one that it made before.
            counter.with_description(event.description).build().add(1, &all);
        });
    }

    fn of_client(&self) -> impl Iterator<Item = KeyValue> + use<> {
        self.client.map(|client| KeyValue::new(CLIENT, client.clone())).into_iter()
    }
}
