//! The context of producers whose reports are callbacks: the operation of a message waits in it for
//! the report, together with what the user's own context is to get.

use std::error::Error;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use otel_core::MessagingOperation;
use rdkafka::client::{Client, ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{Message, ToBytes};
use rdkafka::producer::{
    BaseRecord, DeliveryResult, NoCustomPartitioner, Partitioner, ProducerContext,
};
use rdkafka::statistics::Statistics;
use slab::Slab;

use super::{Facts, learn};
use crate::driver::{Instrumentation, Kafka};

/// The context of rdkafka's `BaseProducer` and `ThreadedProducer` when they are instrumented: gives
/// all callbacks to the user's context, which it leads to, and ends the operation of a message when
/// its report is there.
#[expect(missing_debug_implementations, reason = "the user's context need not have one")]
pub struct DeliveryContext<C, Part = NoCustomPartitioner>
where
    Part: Partitioner,
    C: ProducerContext<Part>,
{
    user: Arc<C>,
    in_flight: Mutex<Slab<InFlight<C::DeliveryOpaque>>>,
}

/// What waits for the report of a message. The operation is boxed, because most of this is empty
/// when nobody listens.
struct InFlight<D> {
    operation: Option<Box<MessagingOperation<Kafka>>>,
    opaque: D,
}

/// What rdkafka's own `send` answers.
type Sent<'r, K, P, D> = Result<(), (KafkaError, BaseRecord<'r, K, P, D>)>;

impl<C, Part> DeliveryContext<C, Part>
where
    Part: Partitioner,
    C: ProducerContext<Part>,
{
    /// Wraps the user's context, for a producer of rdkafka that is to be instrumented.
    pub fn new(context: C) -> Self {
        Self { user: Arc::new(context), in_flight: Mutex::new(Slab::new()) }
    }

    pub(super) fn user(&self) -> &Arc<C> {
        &self.user
    }

    fn in_flight(&self) -> MutexGuard<'_, Slab<InFlight<C::DeliveryOpaque>>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a record whose report comes to the context of `client`, by rdkafka's own `send`.
    #[expect(clippy::result_large_err, reason = "as rdkafka's")]
    pub(super) fn send<'r, K: ToBytes + ?Sized, P: ToBytes + ?Sized>(
        client: &Client<Self>,
        instrumentation: &Instrumentation,
        record: BaseRecord<'r, K, P, C::DeliveryOpaque>,
        send: impl Fn(BaseRecord<'r, K, P, usize>) -> Sent<'r, K, P, usize>,
    ) -> Sent<'r, K, P, C::DeliveryOpaque> {
        let this = client.context();
        let (mut record, opaque) = exchange(record, 0);
        let BaseRecord { topic, partition, key, payload, .. } = record;
        let facts = Facts { topic, partition, key, payload };
        let (operation, mut kept) = facts.start(instrumentation, client, &mut record.headers);
        // The report may be there before `send` has returned.
        let operation = (!operation.is_empty()).then(|| Box::new(operation));
        record.delivery_opaque = this.in_flight().insert(InFlight { operation, opaque });
        let queued = match send(record) {
            Err((error, mut record)) if kept.is_too_much(&error, record.headers.as_ref()) => {
                record.headers = kept.restored(record.headers);
                send(record)
            }
            queued => queued,
        };
        let Err((error, record)) = queued else { return Ok(()) };
        let InFlight { operation, opaque } = this.in_flight().remove(record.delivery_opaque);
        if let Some(operation) = operation {
            operation.fail(&error);
        }
        let (mut record, _) = exchange(record, opaque);
        record.headers = kept.restored(record.headers);
        Err((error, record))
    }
}

/// The same record with another opaque.
fn exchange<K: ToBytes + ?Sized, P: ToBytes + ?Sized, D, E>(
    record: BaseRecord<'_, K, P, D>,
    delivery_opaque: E,
) -> (BaseRecord<'_, K, P, E>, D)
where
    D: rdkafka::IntoOpaque,
    E: rdkafka::IntoOpaque,
{
    let BaseRecord { topic, partition, payload, key, timestamp, headers, delivery_opaque: old } =
        record;
    (BaseRecord { topic, partition, payload, key, timestamp, headers, delivery_opaque }, old)
}

impl<C, Part> ProducerContext<Part> for DeliveryContext<C, Part>
where
    Part: Partitioner,
    C: ProducerContext<Part>,
{
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, key: usize) {
        // Always there: rdkafka gives each opaque back once.
        let Some(InFlight { operation, opaque }) = self.in_flight().try_remove(key) else { return };
        if let Some(mut operation) = operation {
            let (Ok(message) | Err((_, message))) = result;
            let offset = result.as_ref().ok().map(Message::offset);
            learn(&mut operation, message.partition(), offset);
            operation.finish_with(result);
        }
        self.user.delivery(result, opaque);
    }

    fn get_custom_partitioner(&self) -> Option<&Part> {
        self.user.get_custom_partitioner()
    }
}

impl<C, Part> ClientContext for DeliveryContext<C, Part>
where
    Part: Partitioner,
    C: ProducerContext<Part>,
{
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = C::ENABLE_REFRESH_OAUTH_TOKEN;

    fn log(&self, level: RDKafkaLogLevel, fac: &str, log_message: &str) {
        self.user.log(level, fac, log_message);
    }

    fn stats(&self, statistics: Statistics) {
        self.user.stats(statistics);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.user.stats_raw(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.user.error(error, reason);
    }

    fn generate_oauth_token(
        &self,
        oauthbearer_config: Option<&str>,
    ) -> Result<OAuthToken, Box<dyn Error>> {
        self.user.generate_oauth_token(oauthbearer_config)
    }
}

/// Leads to the user's context, so that what is asked of a producer's context needs no change.
impl<C, Part> Deref for DeliveryContext<C, Part>
where
    Part: Partitioner,
    C: ProducerContext<Part>,
{
    type Target = C;

    fn deref(&self) -> &C {
        &self.user
    }
}

/// What got no report goes with the producer: out of the caller's hands, and of an unknown end.
impl<C, Part> Drop for DeliveryContext<C, Part>
where
    Part: Partitioner,
    C: ProducerContext<Part>,
{
    fn drop(&mut self) {
        for mut in_flight in self.in_flight().drain() {
            if let Some(operation) = &mut in_flight.operation {
                operation.handed_over();
            }
        }
    }
}
