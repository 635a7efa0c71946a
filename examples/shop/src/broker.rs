//! The broker between the shop and its warehouse: a Kafka of yours, or the one that librdkafka plays.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
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
    servers: String,
    /// Plays as long as it lives.
    mock: Option<MockCluster<'static, DefaultProducerContext>>,
}

impl Broker {
    /// Where there is a topic for the orders.
    pub(crate) async fn open(kafka: Option<&str>) -> Result<Self> {
        let Some(kafka) = kafka else {
            let mock = MockCluster::new(1)?;
            mock.create_topic(TOPIC, 1, 1)?;
            return Ok(Self { servers: mock.bootstrap_servers(), mock: Some(mock) });
        };
        let broker = Self { servers: kafka.to_owned(), mock: None };
        let admin: AdminClient<DefaultClientContext> = broker.client().create()?;
        let topic = NewTopic::new(TOPIC, 1, TopicReplication::Fixed(-1));
        let options = AdminOptions::new().request_timeout(Some(Duration::from_secs(5)));
        match admin.create_topics([&topic], &options).await.context(SILENT)?.pop() {
            Some(Err((_, code))) if code != TopicAlreadyExists => Err(anyhow!(code)).context(REFUSES),
            _ => Ok(broker),
        }
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.servers);
        config
    }

    /// Everything done with it is traced: created by its configuration, as rdkafka's own.
    pub(crate) fn producer(&self) -> Result<FutureProducer> {
        let mut config = self.client();
        // A customer waits: no message is kept back for a fuller batch, none tried for minutes.
        config.set("linger.ms", "0").set("message.timeout.ms", "5000");
        Ok(config.create()?)
    }

    pub(crate) fn consumer(&self) -> Result<StreamConsumer> {
        let mut config = self.client();
        config.set("group.id", "shop-warehouse").set("auto.offset.reset", "earliest");
        // What is shipped is committed, and not what was received.
        config.set("enable.auto.commit", "false");
        if self.mock.is_some() {
            // Who plays is slow at joining in the usual protocol, and at messages that come later.
            config.set("group.protocol", "consumer").set("fetch.wait.max.ms", "10");
        }
        let consumer: StreamConsumer = config.create()?;
        consumer.subscribe(&[TOPIC])?;
        Ok(consumer)
    }
}

const SILENT: &str = "no broker answers at --kafka: start it, or correct host and port";
const REFUSES: &str = "the broker refuses to make the topic shop-orders: make it yourself";
