//! The producer that polls by itself.

use std::sync::Arc;

use otel_core::Telemetry;
use rdkafka::ClientConfig;
use rdkafka::config::{FromClientConfig, FromClientConfigAndContext};
use rdkafka::error::KafkaResult;
use rdkafka::message::ToBytes;
use rdkafka::producer::{
    BaseRecord, DefaultProducerContext, NoCustomPartitioner, Partitioner, Producer as _,
    ProducerContext,
};
use rdkafka::util::Timeout;

use super::delivery::{DeliveryContext, Sent};
use super::forward_producer;
use crate::Builder;
use crate::driver::Instrumentation;

type Raw<C, Part> = rdkafka::producer::ThreadedProducer<DeliveryContext<C, Part>, Part>;

/// An instrumented producer with a thread that polls it: rdkafka's `ThreadedProducer`. A send ends
/// at the report.
///
/// What needs rdkafka's own is one call away, at [`raw`](Self::raw), and is not traced.
#[expect(missing_debug_implementations, reason = "rdkafka's has none")]
#[must_use = "The threaded producer will stop immediately if unused"]
pub struct ThreadedProducer<C, Part = NoCustomPartitioner>
where
    Part: Partitioner + 'static,
    C: ProducerContext<Part> + 'static,
{
    raw: Raw<C, Part>,
    instrumentation: Instrumentation,
}

impl<C, Part> ThreadedProducer<C, Part>
where
    Part: Partitioner + 'static,
    C: ProducerContext<Part> + 'static,
{
    /// Instruments a producer, reporting to the global providers.
    pub fn new(
        producer: rdkafka::producer::ThreadedProducer<DeliveryContext<C, Part>, Part>,
    ) -> Self {
        Self::builder(producer).build()
    }

    /// Instruments a producer, reporting to `telemetry`.
    pub fn with(
        producer: rdkafka::producer::ThreadedProducer<DeliveryContext<C, Part>, Part>,
        telemetry: &Telemetry,
    ) -> Self {
        Self::builder(producer).telemetry(telemetry).build()
    }

    /// Instruments a producer, with the facts that it does not tell.
    pub fn builder(
        producer: rdkafka::producer::ThreadedProducer<DeliveryContext<C, Part>, Part>,
    ) -> Builder<rdkafka::producer::ThreadedProducer<DeliveryContext<C, Part>, Part>> {
        Builder::of(producer)
    }

    /// The producer of rdkafka. Nothing that is done with it is traced.
    pub fn raw(&self) -> &rdkafka::producer::ThreadedProducer<DeliveryContext<C, Part>, Part> {
        &self.raw
    }

    /// The producer of rdkafka, without the instrumentation.
    pub fn into_inner(self) -> rdkafka::producer::ThreadedProducer<DeliveryContext<C, Part>, Part> {
        self.raw
    }

    /// The context that the producer was created with, as with rdkafka's own producer.
    pub fn context(&self) -> &Arc<C> {
        self.raw.context().user()
    }

    /// As rdkafka's `ThreadedProducer::poll`.
    pub fn poll<T: Into<Timeout>>(&self, timeout: T) {
        self.raw.poll(timeout);
    }

    /// As rdkafka's `ThreadedProducer::send`.
    #[expect(clippy::result_large_err, reason = "as rdkafka's")]
    pub fn send<'a, K, P>(
        &self,
        record: BaseRecord<'a, K, P, C::DeliveryOpaque>,
    ) -> Sent<'a, K, P, C::DeliveryOpaque>
    where
        K: ToBytes + ?Sized,
        P: ToBytes + ?Sized,
    {
        let send = |record| self.raw.send(record);
        DeliveryContext::send(self.raw.client(), &self.instrumentation, record, send)
    }
}

impl<C: ProducerContext + 'static> Clone for ThreadedProducer<C> {
    fn clone(&self) -> Self {
        Self { raw: self.raw.clone(), instrumentation: self.instrumentation.clone() }
    }
}

impl<C, Part> Builder<Raw<C, Part>>
where
    Part: Partitioner + 'static,
    C: ProducerContext<Part> + 'static,
{
    /// Makes the instrumented producer.
    pub fn build(self) -> ThreadedProducer<C, Part> {
        ThreadedProducer { instrumentation: self.instrumentation(), raw: self.handle }
    }
}

impl FromClientConfig for ThreadedProducer<DefaultProducerContext> {
    fn from_config(config: &ClientConfig) -> KafkaResult<Self> {
        Self::from_config_and_context(config, DefaultProducerContext)
    }
}

impl<C, Part> FromClientConfigAndContext<C> for ThreadedProducer<C, Part>
where
    Part: Partitioner + Send + Sync + 'static,
    C: ProducerContext<Part> + 'static,
{
    fn from_config_and_context(config: &ClientConfig, context: C) -> KafkaResult<Self> {
        let raw = Raw::from_config_and_context(config, DeliveryContext::new(context))?;
        Ok(Self::builder(raw).config(config).build())
    }
}

forward_producer!([C: ProducerContext<Part> + 'static, Part: 'static] ThreadedProducer<C, Part>,
    DeliveryContext<C, Part>, Part);
