//! The consumer that is polled, and the queues of its partitions.

use std::sync::Arc;

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
use crate::message;

/// An instrumented consumer: rdkafka's `BaseConsumer`, with its methods and its trait [`Consumer`].
///
/// A [`ConsumerContext`] gets rdkafka's own in its callbacks, and with this one there it does not
/// compile (E0053: expected `rdkafka::consumer::BaseConsumer`). Its name here is
/// [`RawBaseConsumer`](super::RawBaseConsumer):
///
/// ```
/// use otel_kafka::consumer::{ConsumerContext, RawBaseConsumer, Rebalance};
/// # use otel_kafka::ClientContext;
/// # struct Shop;
/// # impl ClientContext for Shop {}
///
/// impl ConsumerContext for Shop {
///     fn pre_rebalance(&self, consumer: &RawBaseConsumer<Self>, rebalance: &Rebalance<'_>) {
///         // …
///     }
/// }
/// ```
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

crate::builder::debug!([C: ConsumerContext] Iter Iter<'_, C>, consumer);

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

crate::builder::debug!([C: ConsumerContext] PartitionQueue PartitionQueue<C>, consumer);
