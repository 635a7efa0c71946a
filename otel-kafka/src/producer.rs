//! rdkafka's module of this name, with the instrumented producers in place of its own.

pub mod base_producer;
mod delivery;
pub mod future_producer;

use std::sync::Arc;

use otel_core::messaging::{Destination, fact};
use otel_core::propagation::ByteCarrier;
use otel_core::{MessagingCall, MessagingOperation};
use rdkafka::client::Client;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::KafkaResult;
use rdkafka::message::{OwnedHeaders, ToBytes};
use rdkafka::producer::future_producer::FutureProducerContext;
pub use rdkafka::producer::*;
use rdkafka::util::{AsyncRuntime, Timeout};
use rdkafka::{ClientContext, TopicPartitionList};

pub use self::base_producer::{BaseProducer, ThreadedProducer};
pub use self::delivery::DeliveryContext;
pub use self::future_producer::{DeliveryFuture, FutureProducer};
use crate::carrier::{Kept, Outgoing};
use crate::driver::{Instrumentation, Kafka, body_size, key_text};

/// What is told of a record.
struct Facts<'r, K: ?Sized, P: ?Sized> {
    topic: &'r str,
    partition: Option<i32>,
    key: Option<&'r K>,
    payload: Option<&'r P>,
}

impl<'r, K: ToBytes + ?Sized, P: ToBytes + ?Sized> Facts<'r, K, P> {
    fn call(&self) -> MessagingCall<'r> {
        let mut call = MessagingCall::new("send", Destination::named(self.topic))
            .with(fact::KAFKA_MESSAGE_TOMBSTONE, self.payload.is_none());
        if let Some(partition) = self.partition.filter(|partition| *partition >= 0) {
            call = call.partition(partition);
        }
        if let Some(key) = self.key.and_then(|key| key_text(key.to_bytes())) {
            call = call.with(fact::KAFKA_MESSAGE_KEY, key);
        }
        call.with(fact::BODY_SIZE, body_size(self.payload.map(ToBytes::to_bytes)))
    }

    /// Starts to send the record whose headers these are.
    fn start<C: ClientContext>(
        &self,
        instrumentation: &Instrumentation,
        client: &Client<C>,
        headers: &mut Option<OwnedHeaders>,
    ) -> (MessagingOperation<Kafka>, Kept) {
        let mut outgoing = Outgoing::new(headers);
        let describe = || instrumentation.in_cluster(self.call(), client);
        let operation =
            instrumentation.messaging.send(&mut ByteCarrier::new(&mut outgoing), describe);
        (operation, outgoing.kept())
    }
}

/// Tells where the broker put a message, or would have.
fn learn(operation: &mut MessagingOperation<Kafka>, partition: i32, offset: Option<i64>) {
    if partition >= 0 {
        operation.learn(fact::PARTITION_ID, partition.to_string());
    }
    // Negative ones stand for something, or nothing.
    if let Some(offset) = offset.filter(|offset| *offset >= 0) {
        operation.learn(fact::KAFKA_OFFSET, offset);
    }
}

/// What all producers have: rdkafka's trait of this name, for its producers and for those of this
/// crate. `C` is the application's context, also where the client has another one around it.
pub trait Producer<C = DefaultProducerContext, Part = NoCustomPartitioner>
where
    Part: Partitioner,
    C: ProducerContext<Part>,
{
    /// The context of the client: `C`, or a [`DeliveryContext`] around it.
    type Inner: ProducerContext<Part>;

    /// As rdkafka's `Producer::client`, with the context that it really has.
    fn client(&self) -> &Client<Self::Inner>;

    /// As rdkafka's `Producer::context`: the context that the producer was created with.
    fn context(&self) -> &Arc<C>;

    /// As rdkafka's `Producer::in_flight_count`.
    fn in_flight_count(&self) -> i32;

    /// As rdkafka's `Producer::flush`.
    fn flush<T: Into<Timeout>>(&self, timeout: T) -> KafkaResult<()>;

    /// As rdkafka's `Producer::purge`.
    fn purge(&self, flags: PurgeConfig);

    /// As rdkafka's `Producer::init_transactions`.
    fn init_transactions<T: Into<Timeout>>(&self, timeout: T) -> KafkaResult<()>;

    /// As rdkafka's `Producer::begin_transaction`.
    fn begin_transaction(&self) -> KafkaResult<()>;

    /// As rdkafka's `Producer::send_offsets_to_transaction`.
    fn send_offsets_to_transaction<T: Into<Timeout>>(
        &self,
        offsets: &TopicPartitionList,
        cgm: &ConsumerGroupMetadata,
        timeout: T,
    ) -> KafkaResult<()>;

    /// As rdkafka's `Producer::commit_transaction`.
    fn commit_transaction<T: Into<Timeout>>(&self, timeout: T) -> KafkaResult<()>;

    /// As rdkafka's `Producer::abort_transaction`.
    fn abort_transaction<T: Into<Timeout>>(&self, timeout: T) -> KafkaResult<()>;
}

/// Forwards to rdkafka's trait.
macro_rules! forward {
    ($($method:ident $(<$timeout:ident>)? ($($argument:ident: $type:ty),*) -> $output:ty;)*) => {
        $(
            fn $method $(<$timeout: Into<Timeout>>)? (&self, $($argument: $type),*) -> $output {
                rdkafka::producer::Producer::$method(self, $($argument),*)
            }
        )*
    };
}

/// Implements it by rdkafka's.
macro_rules! implement_producer {
    ([$($generics:tt)*] $producer:ty, $context:ty, $inner:ty $(, $leads:ident)?) => {
        impl<$($generics)*> Producer<$context, Part> for $producer
        where
            Part: Partitioner,
        {
            type Inner = $inner;

            fn context(&self) -> &Arc<$context> {
                self.client().context() $(.$leads())?
            }

            forward! {
                client() -> &Client<$inner>;
                in_flight_count() -> i32;
                flush<T>(timeout: T) -> KafkaResult<()>;
                purge(flags: PurgeConfig) -> ();
                init_transactions<T>(timeout: T) -> KafkaResult<()>;
                begin_transaction() -> KafkaResult<()>;
                send_offsets_to_transaction<T>(offsets: &TopicPartitionList, cgm: &ConsumerGroupMetadata, timeout: T) -> KafkaResult<()>;
                commit_transaction<T>(timeout: T) -> KafkaResult<()>;
                abort_transaction<T>(timeout: T) -> KafkaResult<()>;
            }
        }
    };
}

implement_producer!([C: ProducerContext<Part>, Part] rdkafka::producer::BaseProducer<C, Part>, C, C);
implement_producer!([C: ProducerContext<Part>, Part]
    BaseProducer<C, Part>, C, DeliveryContext<C, Part>, user);
implement_producer!([C: ProducerContext<Part> + 'static, Part: Send + Sync + 'static]
    rdkafka::producer::ThreadedProducer<C, Part>, C, C);
implement_producer!([C: ProducerContext<Part> + 'static, Part: Send + Sync + 'static]
    ThreadedProducer<C, Part>, C, DeliveryContext<C, Part>, user);
implement_producer!([C: ClientContext + 'static, R: AsyncRuntime, Part]
    rdkafka::producer::FutureProducer<C, R, Part>,
    FutureProducerContext<C>, FutureProducerContext<C>);
implement_producer!([C: ClientContext + 'static, R: AsyncRuntime, Part]
    FutureProducer<C, R, Part>, FutureProducerContext<C>, FutureProducerContext<C>);

/// Implements rdkafka's trait of producers by its own producer.
macro_rules! forward_producer {
    ([$($generics:tt)*] $producer:ty, $context:ty, $part:ty) => {
        const _: () = {
            use rdkafka::TopicPartitionList;
            use rdkafka::client::Client;
            use rdkafka::consumer::ConsumerGroupMetadata;
            use rdkafka::error::KafkaResult;
            use rdkafka::producer::{Partitioner, Producer, PurgeConfig};
            use rdkafka::util::Timeout;

            impl<$($generics)*> Producer<$context, $part> for $producer
            where
                Part: Partitioner,
            {
                fn client(&self) -> &Client<$context> {
                    self.raw.client()
                }

                fn in_flight_count(&self) -> i32 {
                    self.raw.in_flight_count()
                }

                fn flush<T: Into<Timeout>>(&self, timeout: T) -> KafkaResult<()> {
                    self.raw.flush(timeout)
                }

                fn purge(&self, flags: PurgeConfig) {
                    self.raw.purge(flags);
                }

                fn init_transactions<T: Into<Timeout>>(&self, timeout: T) -> KafkaResult<()> {
                    self.raw.init_transactions(timeout)
                }

                fn begin_transaction(&self) -> KafkaResult<()> {
                    self.raw.begin_transaction()
                }

                /// As rdkafka's, and a settle span.
                fn send_offsets_to_transaction<T: Into<Timeout>>(
                    &self,
                    offsets: &TopicPartitionList,
                    cgm: &ConsumerGroupMetadata,
                    timeout: T,
                ) -> KafkaResult<()> {
                    let name = "send_offsets_to_transaction";
                    let operation =
                        self.instrumentation.settle([], name, Some(offsets), self.client());
                    operation.call(|| self.raw.send_offsets_to_transaction(offsets, cgm, timeout))
                }

                fn commit_transaction<T: Into<Timeout>>(&self, timeout: T) -> KafkaResult<()> {
                    self.raw.commit_transaction(timeout)
                }

                fn abort_transaction<T: Into<Timeout>>(&self, timeout: T) -> KafkaResult<()> {
                    self.raw.abort_transaction(timeout)
                }
            }
        };
    };
}
pub(crate) use forward_producer;
