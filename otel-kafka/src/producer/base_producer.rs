//! rdkafka's module of this name, with the instrumented producers in place of its own.

use rdkafka::ClientConfig;
use rdkafka::config::{FromClientConfig, FromClientConfigAndContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::ToBytes;
pub use rdkafka::producer::base_producer::*;
use rdkafka::producer::{
    DefaultProducerContext, NoCustomPartitioner, Partitioner, Producer as _, ProducerContext,
};
use rdkafka::util::Timeout;

use super::delivery::DeliveryContext;
use super::forward_producer;
use crate::Builder;
use crate::builder::handle;
use crate::driver::Instrumentation;

/// A producer whose reports go to its context. rdkafka's two have the same methods.
macro_rules! producer {
    (
        $(#[$attribute:meta])*
        $name:ident<C $(= $default:ty)?> $(where Self: $static:lifetime)?, Part: $($part:tt)*
    ) => {
        $(#[$attribute])*
        ///
        /// What needs rdkafka's own is one call away, at [`raw`](Self::raw), and is not traced.
        #[expect(missing_debug_implementations, reason = "rdkafka's has none")]
        pub struct $name<C $(= $default)?, Part = NoCustomPartitioner>
        where
            Part: Partitioner $(+ $static)?,
            C: ProducerContext<Part> $(+ $static)?,
        {
            raw: rdkafka::producer::$name<DeliveryContext<C, Part>, Part>,
            instrumentation: Instrumentation,
        }

        impl<C, Part> $name<C, Part>
        where
            Part: Partitioner $(+ $static)?,
            C: ProducerContext<Part> $(+ $static)?,
        {
            /// As rdkafka's `poll`.
            pub fn poll<T: Into<Timeout>>(&self, timeout: T) {
                self.raw.poll(timeout);
            }

            /// As rdkafka's `send`.
            #[expect(clippy::result_large_err, reason = "as rdkafka's")]
            pub fn send<'a, K: ToBytes + ?Sized, P: ToBytes + ?Sized>(
                &self,
                record: BaseRecord<'a, K, P, C::DeliveryOpaque>,
            ) -> Result<(), (KafkaError, BaseRecord<'a, K, P, C::DeliveryOpaque>)> {
                let send = |record| self.raw.send(record);
                DeliveryContext::send(self.raw.client(), &self.instrumentation, record, send)
            }
        }

        impl<C, Part> Builder<rdkafka::producer::$name<DeliveryContext<C, Part>, Part>>
        where
            Part: Partitioner $(+ $static)?,
            C: ProducerContext<Part> $(+ $static)?,
        {
            /// Makes the instrumented producer.
            pub fn build(self) -> $name<C, Part> {
                $name { instrumentation: self.instrumentation(), raw: self.handle }
            }
        }

        impl FromClientConfig for $name<DefaultProducerContext> {
            fn from_config(config: &ClientConfig) -> KafkaResult<Self> {
                Self::from_config_and_context(config, DefaultProducerContext)
            }
        }

        impl<C, Part> FromClientConfigAndContext<C> for $name<C, Part>
        where
            Part: $($part)*,
            C: ProducerContext<Part> $(+ $static)?,
        {
            fn from_config_and_context(config: &ClientConfig, context: C) -> KafkaResult<Self> {
                let context = DeliveryContext::new(context);
                let raw = FromClientConfigAndContext::from_config_and_context(config, context)?;
                Ok(Self::builder(raw).config(config).build())
            }
        }

        handle!(
            [C: ProducerContext<Part> $(+ $static)?, Part: Partitioner $(+ $static)?]
            $name<C, Part>,
            rdkafka::producer::$name<DeliveryContext<C, Part>, Part>,
            rdkafka::producer::$name<DeliveryContext<C, Part>, Part>
        );

        forward_producer!([C: ProducerContext<Part> $(+ $static)?, Part $(: $static)?]
            $name<C, Part>, DeliveryContext<C, Part>, Part);
    };
}

producer! {
    /// An instrumented producer that is polled: rdkafka's `BaseProducer`. A send ends at the report.
    BaseProducer<C = DefaultProducerContext>, Part: Partitioner
}

producer! {
    /// An instrumented producer with a thread that polls it: rdkafka's `ThreadedProducer`. A send
    /// ends at the report.
    #[must_use = "The threaded producer will stop immediately if unused"]
    ThreadedProducer<C> where Self: 'static, Part: Partitioner + Send + Sync + 'static
}

impl<C: ProducerContext + 'static> Clone for ThreadedProducer<C> {
    fn clone(&self) -> Self {
        Self { raw: self.raw.clone(), instrumentation: self.instrumentation.clone() }
    }
}
