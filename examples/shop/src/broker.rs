//! The broker between the shop and its warehouse: a Kafka of yours, or the one that librdkafka plays.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use otel_kafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use otel_kafka::client::DefaultClientContext;
use otel_kafka::consumer::Consumer as _;
use otel_kafka::mocking::MockCluster;
use otel_kafka::producer::DefaultProducerContext;
use otel_kafka::types::RDKafkaErrorCode::TopicAlreadyExists;
// rdkafka's names, from otel-kafka.
use otel_kafka::{ClientConfig, FutureProducer, StreamConsumer};

pub(crate) const TOPIC: &str = "shop-orders";

pub(crate) struct Broker {
    config: ClientConfig,
    /// Plays as long as it lives.
    mock: Option<MockCluster<'static, DefaultProducerContext>>,
}

impl Broker {
    pub(crate) async fn open(kafka: Option<&str>) -> Result<Self> {
        let mut config = ClientConfig::new();
        let Some(kafka) = kafka else {
            let mock = MockCluster::new(1)?;
            mock.create_topic(TOPIC, 1, 1)?;
            config.set("bootstrap.servers", mock.bootstrap_servers());
            return Ok(Self { config, mock: Some(mock) });
        };
        let admin: AdminClient<DefaultClientContext> =
            config.set("bootstrap.servers", kafka).create()?;
        let topic = NewTopic::new(TOPIC, 1, TopicReplication::Fixed(-1));
        let options = AdminOptions::new().request_timeout(Some(PATIENCE));
        let made = admin.create_topics([&topic], &options).await.context(SILENT)?;
        match made.first() {
            Some(Err((_, code))) if *code != TopicAlreadyExists => {
                bail!("the broker makes no topic: {code}")
            }
            _ => Ok(Self { config, mock: None }),
        }
    }

    /// What is created by a configuration, as rdkafka's own is, is traced.
    pub(crate) fn producer(&self) -> Result<FutureProducer> {
        let mut config = self.config.clone();
        // A customer waits: no message is kept for a fuller batch, none is tried for minutes.
        config.set("linger.ms", "0").set("message.timeout.ms", "5000");
        Ok(config.create()?)
    }

    pub(crate) fn consumer(&self) -> Result<StreamConsumer> {
        let mut config = self.config.clone();
        config.set("group.id", "shop-warehouse").set("auto.offset.reset", "earliest");
        // What is shipped is committed, not what was received.
        config.set("enable.auto.commit", "false");
        if self.mock.is_some() {
            // Who plays takes seconds to let a member of the older protocol join its group.
            config.set("group.protocol", "consumer").set("fetch.wait.max.ms", "5");
        }
        let consumer: StreamConsumer = config.create()?;
        consumer.subscribe(&[TOPIC])?;
        Ok(consumer)
    }
}

/// Whether all that was sent is committed.
pub(crate) fn is_done(consumer: &StreamConsumer) -> Result<bool> {
    let committed = consumer.committed(PATIENCE)?;
    for place in committed.elements() {
        let (start, end) = consumer.fetch_watermarks(TOPIC, place.partition(), PATIENCE)?;
        if start < end && place.offset().to_raw() < Some(end) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// How long a broker may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
const SILENT: &str = "no broker answers at --kafka: start it, or correct host and port";
