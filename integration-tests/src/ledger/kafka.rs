//! What Kafka has stored, and what librdkafka counts of itself.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use otel_testing::ledger::{Count, Counted, Unit};
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{Consumer as _, ConsumerContext, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::metadata::MetadataTopic;
use rdkafka::producer::{DeliveryResult, ProducerContext};
use rdkafka::{Offset, Statistics, TopicPartitionList};
use tokio::task::block_in_place;

const PATIENCE: Duration = Duration::from_secs(20);

/// The messages that a broker has stored of some topics, each by its place.
///
/// Those of a transaction that was given up are among them, the markers that end transactions are not:
/// these take an offset, so ends of partitions alone count too much.
#[derive(Clone, Debug)]
pub struct Stored {
    brokers: String,
    topics: Vec<String>,
    unit: Unit,
}

impl Stored {
    /// Of topics that are a test's own, to be compared with what was sent.
    pub fn sent(brokers: &str, topics: &[String]) -> Self {
        Self { brokers: brokers.to_owned(), topics: topics.to_owned(), unit: Unit::Sent }
    }

    /// The same, to be compared with what somebody received who has had all of it.
    pub fn received(brokers: &str, topics: &[String]) -> Self {
        Self { unit: Unit::Received, ..Self::sent(brokers, topics) }
    }
}

impl Counted for Stored {
    type Error = KafkaError;

    async fn counted(&mut self) -> Result<Vec<Count>, KafkaError> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers).set("group.id", "nobody");
        config.set("enable.auto.commit", "false").set("enable.partition.eof", "true");
        config.set("isolation.level", "read_uncommitted").set("fetch.wait.max.ms", "20");
        let consumer: StreamConsumer = config.create()?;
        let mut all = TopicPartitionList::new();
        for topic in &self.topics {
            let metadata = block_in_place(|| consumer.fetch_metadata(Some(topic), PATIENCE))?;
            for partition in metadata.topics().iter().flat_map(MetadataTopic::partitions) {
                all.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
            }
        }
        let mut unread = all.count();
        consumer.assign(&all)?;
        let mut stored = Vec::new();
        while unread > 0 {
            match consumer.recv().await {
                Ok(message) => {
                    let (topic, partition) = (message.topic(), message.partition());
                    stored
                        .push(Count::new(format!("{topic}[{partition}]@{}", message.offset()), 1));
                }
                Err(KafkaError::PartitionEOF(_)) => unread -= 1,
                Err(error) => return Err(error),
            }
        }
        Ok(stored)
    }

    fn unit(&self) -> Unit {
        self.unit
    }
}

/// The context of a client that keeps what librdkafka counts, where `statistics.interval.ms` is set:
/// `txmsgs` and `rxmsgs` of each topic.
///
/// What it transmits again, because the broker did not answer, counts again; what it fetched and nobody
/// asked for is counted as received.
#[derive(Clone, Debug)]
pub struct Client {
    unit: Unit,
    counts: Arc<Mutex<BTreeMap<String, u64>>>,
}

impl Client {
    /// Of a producer.
    pub fn sent() -> Self {
        Self { unit: Unit::Sent, counts: Arc::default() }
    }

    /// Of a consumer.
    pub fn received() -> Self {
        Self { unit: Unit::Received, counts: Arc::default() }
    }
}

impl ClientContext for Client {
    fn stats(&self, statistics: Statistics) {
        let counts = statistics.topics.into_iter().map(|(name, topic)| {
            let counts = topic.partitions.values().map(|partition| match self.unit {
                Unit::Sent => partition.txmsgs,
                _ => partition.rxmsgs,
            });
            (name, counts.sum())
        });
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner) = counts.collect();
    }
}

impl ConsumerContext for Client {}

impl ProducerContext for Client {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

impl Counted for Client {
    type Error = Infallible;

    async fn counted(&mut self) -> Result<Vec<Count>, Infallible> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(counts.iter().map(|(topic, times)| Count::new(topic, *times)).collect())
    }

    fn unit(&self) -> Unit {
        self.unit
    }
}
