//! What librdkafka tells of itself: automatic commits, and statistics.
//!
//! rdkafka hands both to the context of a client. A context cannot be wrapped, since its callbacks
//! get the consumer by the context's own type; so it calls [`Callbacks`].

mod statistics;

use std::sync::Arc;

use otel_core::Telemetry;
use rdkafka::TopicPartitionList;
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaResult;
use rdkafka::statistics::Statistics;

use crate::consumer::reception::Reception;
use crate::driver::Facts;

/// Reports what a context of the application's own is called with. A clone is another handle of the
/// same value.
///
/// ```
/// use otel_kafka::callbacks::Callbacks;
/// use otel_kafka::consumer::{ConsumerContext, StreamConsumer};
/// use rdkafka::error::KafkaResult;
/// use rdkafka::statistics::Statistics;
/// use rdkafka::{ClientConfig, ClientContext, TopicPartitionList};
///
/// struct Shop(Callbacks);
///
/// impl ClientContext for Shop {
///     fn stats(&self, statistics: Statistics) {
///         self.0.stats(&statistics);
///     }
/// }
///
/// impl ConsumerContext for Shop {
///     fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
///         self.0.commit_callback(&result, offsets);
///     }
/// }
///
/// # async fn example() -> KafkaResult<()> {
/// let mut config = ClientConfig::new();
/// config.set("bootstrap.servers", "localhost:9092").set("group.id", "shop");
/// let callbacks = Callbacks::new(&config);
/// let consumer: rdkafka::consumer::StreamConsumer<Shop> =
///     config.create_with_context(Shop(callbacks.clone()))?;
/// let consumer = StreamConsumer::with_callbacks(consumer, &callbacks);
/// # drop(consumer);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Callbacks(Arc<Reception>);

impl Callbacks {
    /// For a client with this configuration, reporting to the global providers.
    pub fn new(config: &ClientConfig) -> Self {
        Self::with(config, &Telemetry::global())
    }

    /// For a client with this configuration, reporting to `telemetry`.
    pub fn with(config: &ClientConfig, telemetry: &Telemetry) -> Self {
        Self(Reception::new(telemetry, Facts::of(config)))
    }

    pub(crate) fn reception(&self) -> Arc<Reception> {
        Arc::clone(&self.0)
    }

    /// To be called from `ConsumerContext::commit_callback`: a span for a commit that librdkafka
    /// made by itself. It calls back for no other.
    pub fn commit_callback(&self, result: &KafkaResult<()>, offsets: &TopicPartitionList) {
        self.0.committed(result, offsets);
    }

    /// To be called from `ClientContext::stats`: the lag of each partition, the queues, and how long
    /// the brokers take, as metrics. Called only where `statistics.interval.ms` is set.
    pub fn stats(&self, statistics: &Statistics) {
        if let Some(metrics) = self.0.messaging().statistics() {
            statistics::record(&metrics, statistics, &self.0.facts);
        }
    }
}

/// A context for clients that need no other: [`Callbacks`], and rdkafka's defaults.
#[derive(Clone, Debug)]
pub struct ReportingContext(Callbacks);

impl ReportingContext {
    /// For a client with this configuration, reporting to the global providers.
    pub fn new(config: &ClientConfig) -> Self {
        Self(Callbacks::new(config))
    }

    /// For a client with this configuration, reporting to `telemetry`.
    pub fn with(config: &ClientConfig, telemetry: &Telemetry) -> Self {
        Self(Callbacks::with(config, telemetry))
    }

    /// What it calls.
    pub fn callbacks(&self) -> &Callbacks {
        &self.0
    }
}

impl ClientContext for ReportingContext {
    fn stats(&self, statistics: Statistics) {
        self.0.stats(&statistics);
        DefaultClientContext.stats(statistics);
    }
}

impl ConsumerContext for ReportingContext {
    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        self.0.commit_callback(&result, offsets);
    }
}
