//! The consumer that is polled, and the queues of its partitions.

use std::fmt;
use std::sync::Arc;

use otel_core::Telemetry;
use rdkafka::client::Client;
use rdkafka::config::{ClientConfig, FromClientConfig, FromClientConfigAndContext};
use rdkafka::consumer::base_consumer as raw;
use rdkafka::consumer::{
    CommitMode, Consumer, ConsumerContext, ConsumerGroupMetadata, DefaultConsumerContext,
    RebalanceProtocol,
};
use rdkafka::error::KafkaResult;
use rdkafka::groups::GroupList;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::metadata::Metadata;
use rdkafka::util::Timeout;
use rdkafka::{Offset, TopicPartitionList};

use super::reception::Reception;
use crate::builder::Builder;
use crate::callbacks::Callbacks;
use crate::driver::Facts;
use crate::message;

/// An instrumented consumer: rdkafka's `BaseConsumer`, with its methods and its trait [`Consumer`].
///
/// The consumer of rdkafka is one call away, at [`raw`](Self::raw).
pub struct BaseConsumer<C: ConsumerContext = DefaultConsumerContext> {
    /// Shared with rdkafka's queues alone.
    raw: Arc<raw::BaseConsumer<C>>,
    reception: Arc<Reception>,
}

impl FromClientConfig for BaseConsumer {
    fn from_config(config: &ClientConfig) -> KafkaResult<Self> {
        Self::from_config_and_context(config, DefaultConsumerContext)
    }
}

impl<C: ConsumerContext> FromClientConfigAndContext<C> for BaseConsumer<C> {
    fn from_config_and_context(config: &ClientConfig, context: C) -> KafkaResult<Self> {
        let raw = raw::BaseConsumer::from_config_and_context(config, context)?;
        Ok(Self::builder(raw).config(config).build())
    }
}

impl<C: ConsumerContext> BaseConsumer<C> {
    /// Instruments a consumer, reporting to the global providers.
    pub fn new(consumer: raw::BaseConsumer<C>) -> Self {
        Self::builder(consumer).build()
    }

    /// Instruments a consumer, reporting to `telemetry`.
    pub fn with(consumer: raw::BaseConsumer<C>, telemetry: &Telemetry) -> Self {
        Self::builder(consumer).telemetry(telemetry).build()
    }

    /// Instruments a consumer whose context has callbacks: what these report then links to the
    /// messages that the consumer delivered. Telemetry and configuration are those of the callbacks.
    pub fn with_callbacks(consumer: raw::BaseConsumer<C>, callbacks: &Callbacks) -> Self {
        Self { raw: Arc::new(consumer), reception: callbacks.reception() }
    }

    /// Instruments a consumer, with what it does not tell of itself.
    pub fn builder(consumer: raw::BaseConsumer<C>) -> Builder<raw::BaseConsumer<C>> {
        Builder::of(consumer)
    }

    /// The consumer of rdkafka. Nothing that is done with it is traced.
    pub fn raw(&self) -> &raw::BaseConsumer<C> {
        &self.raw
    }

    /// The consumer of rdkafka, without the instrumentation; the queues of its partitions share it.
    pub fn into_inner(self) -> Arc<raw::BaseConsumer<C>> {
        self.raw
    }

    /// As rdkafka's `BaseConsumer::poll`. A call without a timeout is a wait: see the README.
    pub fn poll<T: Into<Timeout>>(
        &self,
        timeout: T,
    ) -> Option<KafkaResult<message::BorrowedMessage<'_>>> {
        let timeout = timeout.into();
        let poll = self.reception.ask(timeout);
        Some(self.reception.answered(poll, self.raw.poll(timeout)?, self.client()))
    }

    /// As rdkafka's `BaseConsumer::iter`.
    pub fn iter(&self) -> Iter<'_, C> {
        Iter { messages: self.raw.iter(), consumer: self }
    }

    /// As rdkafka's `BaseConsumer::split_partition_queue`.
    pub fn split_partition_queue(
        self: &Arc<Self>,
        topic: &str,
        partition: i32,
    ) -> Option<PartitionQueue<C>> {
        let queue = self.raw.split_partition_queue(topic, partition)?;
        Some(PartitionQueue { queue, consumer: Arc::clone(self) })
    }

    /// As rdkafka's `BaseConsumer::close_queue`.
    pub fn close_queue(&self) -> KafkaResult<()> {
        self.raw.close_queue()
    }

    /// As rdkafka's `BaseConsumer::closed`.
    pub fn closed(&self) -> bool {
        self.raw.closed()
    }

    /// As rdkafka's `BaseConsumer::set_nonempty_callback`.
    pub fn set_nonempty_callback<F: Fn() + Send + Sync + 'static>(&mut self, callback: F) {
        // Queues, which share it, keep this consumer too: whoever has it alone has that alone.
        if let Some(raw) = Arc::get_mut(&mut self.raw) {
            raw.set_nonempty_callback(callback);
        }
    }
}

super::implement_consumer!(BaseConsumer<C>);

impl<C: ConsumerContext> Builder<raw::BaseConsumer<C>> {
    /// Makes the instrumented consumer.
    pub fn build(self) -> BaseConsumer<C> {
        let (raw, telemetry, facts): (_, _, Facts) = self.into_parts();
        BaseConsumer { raw: Arc::new(raw), reception: Reception::new(&telemetry, facts) }
    }
}

impl<C: ConsumerContext> fmt::Debug for BaseConsumer<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BaseConsumer")
            .field("reception", &self.reception)
            .finish_non_exhaustive()
    }
}

impl<'c, C: ConsumerContext> IntoIterator for &'c BaseConsumer<C> {
    type Item = KafkaResult<message::BorrowedMessage<'c>>;
    type IntoIter = Iter<'c, C>;

    fn into_iter(self) -> Iter<'c, C> {
        self.iter()
    }
}

/// The messages of a [`BaseConsumer`]: rdkafka's `Iter`.
pub struct Iter<'c, C: ConsumerContext> {
    messages: raw::Iter<'c, C>,
    consumer: &'c BaseConsumer<C>,
}

impl<'c, C: ConsumerContext> Iterator for Iter<'c, C> {
    type Item = KafkaResult<message::BorrowedMessage<'c>>;

    fn next(&mut self) -> Option<Self::Item> {
        let Self { messages, consumer } = self;
        Some(consumer.reception.answered(None, messages.next()?, consumer.client()))
    }
}

impl<C: ConsumerContext> fmt::Debug for Iter<'_, C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Iter").field("consumer", self.consumer).finish_non_exhaustive()
    }
}

/// The queue of one partition: rdkafka's `PartitionQueue`.
pub struct PartitionQueue<C: ConsumerContext> {
    /// Dropped before the consumer, which may be the last to hold rdkafka's.
    queue: raw::PartitionQueue<C>,
    consumer: Arc<BaseConsumer<C>>,
}

impl<C: ConsumerContext> PartitionQueue<C> {
    /// As rdkafka's `PartitionQueue::poll`. A call without a timeout is a wait: see the README.
    pub fn poll<T: Into<Timeout>>(
        &self,
        timeout: T,
    ) -> Option<KafkaResult<message::BorrowedMessage<'_>>> {
        let timeout = timeout.into();
        let consumer = &*self.consumer;
        let poll = consumer.reception.ask(timeout);
        Some(consumer.reception.answered(poll, self.queue.poll(timeout)?, consumer.client()))
    }

    /// As rdkafka's `PartitionQueue::set_nonempty_callback`.
    pub fn set_nonempty_callback<F: Fn() + Send + Sync + 'static>(&mut self, callback: F) {
        self.queue.set_nonempty_callback(callback);
    }
}

impl<C: ConsumerContext> fmt::Debug for PartitionQueue<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PartitionQueue")
            .field("consumer", &self.consumer)
            .finish_non_exhaustive()
    }
}
