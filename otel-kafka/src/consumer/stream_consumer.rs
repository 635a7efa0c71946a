//! The consumer that is a stream, and the queues of its partitions.

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task;

use futures_core::Stream;
use otel_core::Telemetry;
use rdkafka::client::Client;
use rdkafka::config::{ClientConfig, FromClientConfig, FromClientConfigAndContext};
use rdkafka::consumer::stream_consumer as raw;
use rdkafka::consumer::{
    CommitMode, Consumer, ConsumerContext, ConsumerGroupMetadata, DefaultConsumerContext,
    RebalanceProtocol,
};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::groups::GroupList;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::metadata::Metadata;
use rdkafka::util::{AsyncRuntime, DefaultRuntime, Timeout};
use rdkafka::{Offset, TopicPartitionList};

use super::reception::Reception;
use crate::builder::Builder;
use crate::callbacks::{Callbacks, ReportingContext};
use crate::driver::Facts;
use crate::message;

/// An instrumented consumer: rdkafka's `StreamConsumer`, with its methods and its trait
/// [`Consumer`].
///
/// The consumer of rdkafka is one call away, at [`raw`](Self::raw).
#[must_use = "Consumer polling thread will stop immediately if unused"]
pub struct StreamConsumer<C: ConsumerContext = DefaultConsumerContext, R = DefaultRuntime> {
    raw: Arc<raw::StreamConsumer<C, R>>,
    reception: Arc<Reception>,
}

impl<R: AsyncRuntime> FromClientConfig for StreamConsumer<DefaultConsumerContext, R> {
    fn from_config(config: &ClientConfig) -> KafkaResult<Self> {
        Self::from_config_and_context(config, DefaultConsumerContext)
    }
}

impl<C: ConsumerContext + 'static, R: AsyncRuntime> FromClientConfigAndContext<C>
    for StreamConsumer<C, R>
{
    fn from_config_and_context(config: &ClientConfig, context: C) -> KafkaResult<Self> {
        let raw = raw::StreamConsumer::from_config_and_context(config, context)?;
        let context: &dyn Any = &**Consumer::context(&raw);
        let reporting = context.downcast_ref::<ReportingContext>();
        Ok(match reporting.map(|context| context.callbacks().clone()) {
            Some(callbacks) => Self::with_callbacks(raw, &callbacks),
            None => Self::builder(raw).config(config).build(),
        })
    }
}

impl<C: ConsumerContext, R> StreamConsumer<C, R> {
    /// Instruments a consumer, reporting to the global providers.
    pub fn new(consumer: raw::StreamConsumer<C, R>) -> Self {
        Self::builder(consumer).build()
    }

    /// Instruments a consumer, reporting to `telemetry`.
    pub fn with(consumer: raw::StreamConsumer<C, R>, telemetry: &Telemetry) -> Self {
        Self::builder(consumer).telemetry(telemetry).build()
    }

    /// Instruments a consumer whose context has callbacks: what these report then links to the
    /// messages that the consumer delivered. Telemetry and configuration are those of the callbacks.
    pub fn with_callbacks(consumer: raw::StreamConsumer<C, R>, callbacks: &Callbacks) -> Self {
        Self { raw: Arc::new(consumer), reception: callbacks.reception() }
    }

    /// Instruments a consumer, with what it does not tell of itself.
    pub fn builder(consumer: raw::StreamConsumer<C, R>) -> Builder<raw::StreamConsumer<C, R>> {
        Builder::of(consumer)
    }

    /// The consumer of rdkafka. Nothing that is done with it is traced.
    pub fn raw(&self) -> &raw::StreamConsumer<C, R> {
        &self.raw
    }

    /// The consumer of rdkafka, without the instrumentation; the queues of its partitions share it.
    pub fn into_inner(self) -> Arc<raw::StreamConsumer<C, R>> {
        self.raw
    }
}

impl<C: ConsumerContext + 'static, R> StreamConsumer<C, R> {
    /// As rdkafka's `StreamConsumer::stream`.
    pub fn stream(&self) -> MessageStream<'_, C> {
        let (reception, client) = (&self.reception, self.client());
        MessageStream { messages: self.raw.stream(), reception, client }
    }

    /// As rdkafka's `StreamConsumer::recv`; as cancellation safe as that.
    pub async fn recv(&self) -> Result<message::BorrowedMessage<'_>, KafkaError> {
        let answer = self.raw.recv().await;
        self.reception.answered(None, answer, self.client())
    }

    /// As rdkafka's `StreamConsumer::split_partition_queue`.
    pub fn split_partition_queue(
        self: &Arc<Self>,
        topic: &str,
        partition: i32,
    ) -> Option<StreamPartitionQueue<C, R>> {
        let queue = self.raw.split_partition_queue(topic, partition)?;
        Some(StreamPartitionQueue { queue, consumer: Arc::clone(self) })
    }
}

super::implement_consumer!(StreamConsumer<C, R>);

impl<C: ConsumerContext, R> Builder<raw::StreamConsumer<C, R>> {
    /// Makes the instrumented consumer.
    pub fn build(self) -> StreamConsumer<C, R> {
        let (raw, telemetry, facts): (_, _, Facts) = self.into_parts();
        StreamConsumer { raw: Arc::new(raw), reception: Reception::new(&telemetry, facts) }
    }
}

impl<C: ConsumerContext, R> fmt::Debug for StreamConsumer<C, R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("StreamConsumer")
            .field("reception", &self.reception)
            .finish_non_exhaustive()
    }
}

/// The messages of a [`StreamConsumer`] or of a queue: rdkafka's `MessageStream`.
pub struct MessageStream<'c, C: ConsumerContext> {
    messages: raw::MessageStream<'c, C>,
    reception: &'c Arc<Reception>,
    client: &'c Client<C>,
}

impl<'c, C: ConsumerContext> Stream for MessageStream<'c, C> {
    type Item = KafkaResult<message::BorrowedMessage<'c>>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        task: &mut task::Context<'_>,
    ) -> task::Poll<Option<Self::Item>> {
        let answer = Pin::new(&mut self.messages).poll_next(task);
        answer.map(|answer| Some(self.reception.answered(None, answer?, self.client)))
    }
}

impl<C: ConsumerContext> fmt::Debug for MessageStream<'_, C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("MessageStream")
            .field("reception", self.reception)
            .finish_non_exhaustive()
    }
}

/// The queue of one partition: rdkafka's `StreamPartitionQueue`.
pub struct StreamPartitionQueue<C: ConsumerContext, R = DefaultRuntime> {
    /// Dropped before the consumer, which may be the last to hold rdkafka's.
    queue: raw::StreamPartitionQueue<C, R>,
    consumer: Arc<StreamConsumer<C, R>>,
}

impl<C: ConsumerContext, R> StreamPartitionQueue<C, R> {
    /// As rdkafka's `StreamPartitionQueue::stream`.
    pub fn stream(&self) -> MessageStream<'_, C> {
        let (reception, client) = (&self.consumer.reception, self.consumer.client());
        MessageStream { messages: self.queue.stream(), reception, client }
    }

    /// As rdkafka's `StreamPartitionQueue::recv`; as cancellation safe as that.
    pub async fn recv(&self) -> Result<message::BorrowedMessage<'_>, KafkaError> {
        let answer = self.queue.recv().await;
        self.consumer.reception.answered(None, answer, self.consumer.client())
    }
}

impl<C: ConsumerContext, R> fmt::Debug for StreamPartitionQueue<C, R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("StreamPartitionQueue")
            .field("consumer", &self.consumer)
            .finish_non_exhaustive()
    }
}
