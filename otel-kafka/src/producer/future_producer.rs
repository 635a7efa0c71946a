//! rdkafka's module of this name, with the instrumented producer in place of its own.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{self, Poll};
use std::time::Duration;

use otel_core::{MessagingOperation, messaging};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::{ClientConfig, FromClientConfig, FromClientConfigAndContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{Message as _, OwnedMessage, Timestamp, ToBytes};
use rdkafka::producer::{NoCustomPartitioner, Partitioner, Producer as _};
use rdkafka::util::{AsyncRuntime, DefaultRuntime, Timeout};

pub use rdkafka::producer::future_producer::*;

use super::{Facts, forward_producer, learn};
use crate::Builder;
use crate::builder::handle;
use crate::carrier::Kept;
use crate::driver::{Instrumentation, Kafka};

type Raw<C, R, Part> = rdkafka::producer::FutureProducer<C, R, Part>;
type Receipt = rdkafka::producer::DeliveryFuture;
type Output = <Receipt as Future>::Output;
/// Its driver wakes without a lock: what it wakes is a oneshot channel's.
type Watched = messaging::Receipt<Receipt, Kafka, fn(MessagingOperation<Kafka>, &Output)>;

/// An instrumented producer whose reports are futures: rdkafka's `FutureProducer`. A send ends at
/// the report, also where nobody waits for that.
///
/// What needs rdkafka's own is one call away, at [`raw`](Self::raw), and is not traced.
#[expect(missing_debug_implementations, reason = "rdkafka's has none")]
#[must_use = "Producer polling thread will stop immediately if unused"]
pub struct FutureProducer<C = DefaultClientContext, R = DefaultRuntime, Part = NoCustomPartitioner>
where
    Part: Partitioner,
    C: ClientContext + 'static,
{
    raw: Raw<C, R, Part>,
    instrumentation: Instrumentation,
}

handle!([C: ClientContext + 'static, R, Part: Partitioner] FutureProducer<C, R, Part>,
    rdkafka::producer::FutureProducer<C, R, Part>, rdkafka::producer::FutureProducer<C, R, Part>);

impl<C, R> FutureProducer<C, R>
where
    C: ClientContext + 'static,
    R: AsyncRuntime,
{
    /// As rdkafka's `FutureProducer::send`. Dropped while the queue is full, it counts as cancelled;
    /// dropped later, the message is out of its hands, and the operation ends at the report.
    pub async fn send<K, P, T>(
        &self,
        mut record: FutureRecord<'_, K, P>,
        queue_timeout: T,
    ) -> OwnedDeliveryResult
    where
        K: ToBytes + ?Sized,
        P: ToBytes + ?Sized,
        T: Into<Timeout>,
    {
        let topic = record.topic;
        let (mut operation, mut kept) = self.start(&mut record);
        let mut patience = Patience::<R>::new(queue_timeout.into());
        // rdkafka's own `send` does not tell whether it waits for room or for the report.
        let handed_over = loop {
            match self.hand_over(record, &mut kept) {
                Ok(receipt) => break Ok(receipt),
                Err((error, returned)) if !is_full(&error) || patience.is_over().await => {
                    break Err(returned);
                }
                Err((_, returned)) => record = returned,
            }
            R::delay_for(RETRY).await;
        };
        let sent = match handed_over {
            Ok(receipt) => {
                let reported = if operation.is_empty() {
                    receipt.await
                } else {
                    watched(receipt, operation).await
                };
                match reported {
                    Ok(delivered) => delivered,
                    // Not while there is a producer, which is borrowed here.
                    Err(_) => Err((KafkaError::Canceled, unknown(topic))),
                }
            }
            // Once more, for rdkafka's own answer. All that this could wait for is a report.
            Err(record) => {
                operation.handed_over();
                operation.run_to_end(self.raw.send(record, Duration::ZERO), end).await
            }
        };
        sent.map_err(|returned| restored(returned, kept))
    }

    /// As rdkafka's `FutureProducer::send_result`.
    #[expect(clippy::result_large_err, reason = "as rdkafka's")]
    pub fn send_result<'a, K, P>(
        &self,
        mut record: FutureRecord<'a, K, P>,
    ) -> Result<DeliveryFuture, (KafkaError, FutureRecord<'a, K, P>)>
    where
        K: ToBytes + ?Sized,
        P: ToBytes + ?Sized,
    {
        let (operation, mut kept) = self.start(&mut record);
        match self.hand_over(record, &mut kept) {
            Ok(receipt) if operation.is_empty() => {
                Ok(DeliveryFuture { receipt: Either::Bare(receipt), kept: Some(kept) })
            }
            Ok(receipt) => {
                let receipt = Either::Watched(watched(receipt, operation));
                Ok(DeliveryFuture { receipt, kept: Some(kept) })
            }
            Err((error, mut record)) => {
                operation.fail(&error);
                record.headers = kept.restored(record.headers);
                Err((error, record))
            }
        }
    }

    /// As rdkafka's `FutureProducer::poll`.
    pub fn poll<T: Into<Timeout>>(&self, timeout: T) {
        self.raw.poll(timeout);
    }

    /// Once more without what was written into it, where there is no room for that.
    #[expect(clippy::result_large_err, reason = "as rdkafka's")]
    fn hand_over<'a, K, P>(
        &self,
        record: FutureRecord<'a, K, P>,
        kept: &mut Kept,
    ) -> Result<Receipt, (KafkaError, FutureRecord<'a, K, P>)>
    where
        K: ToBytes + ?Sized,
        P: ToBytes + ?Sized,
    {
        match self.raw.send_result(record) {
            Err((error, mut record)) if kept.is_too_much(&error, record.headers.as_ref()) => {
                record.headers = kept.restored(record.headers);
                self.raw.send_result(record)
            }
            receipt => receipt,
        }
    }

    fn start<K, P>(&self, record: &mut FutureRecord<'_, K, P>) -> (MessagingOperation<Kafka>, Kept)
    where
        K: ToBytes + ?Sized,
        P: ToBytes + ?Sized,
    {
        let FutureRecord { topic, partition, key, payload, .. } = *record;
        let facts = Facts { topic, partition, key, payload };
        facts.start(&self.instrumentation, self.raw.client(), &mut record.headers)
    }
}

/// How long rdkafka waits before it looks for room in the queue again.
const RETRY: Duration = Duration::from_millis(100);

fn is_full(error: &KafkaError) -> bool {
    *error == KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)
}

/// How long to wait for room in the queue. The timer is made when it is needed.
struct Patience<R: AsyncRuntime> {
    timeout: Timeout,
    timer: Option<Pin<Box<R::Delay>>>,
}

impl<R: AsyncRuntime> Patience<R> {
    fn new(timeout: Timeout) -> Self {
        Self { timeout, timer: None }
    }

    async fn is_over(&mut self) -> bool {
        let time = match self.timeout {
            Timeout::Never => return false,
            Timeout::After(time) if time.is_zero() => return true,
            Timeout::After(time) => time,
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(R::delay_for(time)));
        poll_fn(|task| Poll::Ready(timer.as_mut().poll(task).is_ready())).await
    }
}

fn unknown(topic: &str) -> OwnedMessage {
    OwnedMessage::new(None, None, topic.to_owned(), Timestamp::NotAvailable, -1, 0, None)
}

fn restored(
    (error, mut message): (KafkaError, OwnedMessage),
    mut kept: Kept,
) -> (KafkaError, OwnedMessage) {
    let headers = kept.restored(message.detach_headers());
    (error, message.replace_headers(headers))
}

/// Ends the operation of a message by its report.
fn end(mut operation: MessagingOperation<Kafka>, sent: &OwnedDeliveryResult) {
    match sent {
        Ok(delivery) => learn(&mut operation, delivery.partition, Some(delivery.offset)),
        Err((_, message)) => learn(&mut operation, message.partition(), None),
    }
    operation.finish_with(sent);
}

fn watched(receipt: Receipt, operation: MessagingOperation<Kafka>) -> Watched {
    Watched::watch(receipt, operation, |operation, output| match output {
        Ok(sent) => end(operation, sent),
        Err(_) => operation.fail(&KafkaError::Canceled),
    })
}

/// The future of a report: rdkafka's `DeliveryFuture`. Dropped, it takes nothing back: the message
/// is sent, and its operation ends at the report.
#[expect(missing_debug_implementations, reason = "rdkafka's has none")]
pub struct DeliveryFuture {
    receipt: Either,
    kept: Option<Kept>,
}

enum Either {
    /// Nobody listens.
    Bare(Receipt),
    Watched(Watched),
}

impl Future for DeliveryFuture {
    type Output = Output;

    fn poll(mut self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<Output> {
        let polled = match &mut self.receipt {
            Either::Bare(receipt) => Pin::new(receipt).poll(task),
            Either::Watched(receipt) => Pin::new(receipt).poll(task),
        };
        match polled {
            Poll::Ready(Ok(Err(returned))) => {
                let kept = self.kept.take().unwrap_or_default();
                Poll::Ready(Ok(Err(restored(returned, kept))))
            }
            polled => polled,
        }
    }
}

impl<C, R, Part> Builder<Raw<C, R, Part>>
where
    Part: Partitioner,
    C: ClientContext + 'static,
{
    /// Makes the instrumented producer.
    pub fn build(self) -> FutureProducer<C, R, Part> {
        FutureProducer { instrumentation: self.instrumentation(), raw: self.handle }
    }
}

impl<C, R> Clone for FutureProducer<C, R>
where
    C: ClientContext + 'static,
{
    fn clone(&self) -> Self {
        Self { raw: self.raw.clone(), instrumentation: self.instrumentation.clone() }
    }
}

impl<R: AsyncRuntime> FromClientConfig for FutureProducer<DefaultClientContext, R> {
    fn from_config(config: &ClientConfig) -> KafkaResult<Self> {
        Self::from_config_and_context(config, DefaultClientContext)
    }
}

impl<C, R> FromClientConfigAndContext<C> for FutureProducer<C, R>
where
    C: ClientContext + 'static,
    R: AsyncRuntime,
{
    fn from_config_and_context(config: &ClientConfig, context: C) -> KafkaResult<Self> {
        Ok(Self::builder(Raw::from_config_and_context(config, context)?).config(config).build())
    }
}

forward_producer!([C: ClientContext + 'static, R: AsyncRuntime, Part] FutureProducer<C, R, Part>,
    FutureProducerContext<C>, Part);
