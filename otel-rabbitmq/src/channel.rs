//! The instrumented channel.

use std::fmt;
use std::sync::Arc;

use lapin::message::BasicReturnMessage;
use lapin::options::{
    AccessRequestOptions, BasicAckOptions, BasicCancelOptions, BasicConsumeOptions,
    BasicGetOptions, BasicNackOptions, BasicPublishOptions, BasicQosOptions,
    BasicRecoverAsyncOptions, BasicRecoverOptions, BasicRejectOptions, ChannelFlowOptions,
    ConfirmSelectOptions, ExchangeBindOptions, ExchangeDeclareOptions, ExchangeDeleteOptions,
    ExchangeUnbindOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
    QueuePurgeOptions,
};
use lapin::types::{
    Boolean, ChannelId, DeliveryTag, FieldTable, MessageCount, ReplyCode, ShortString, ShortUInt,
};
use lapin::{BasicProperties, ChannelStatus, Error, ExchangeKind, Queue, Result};
use otel_core::propagation::{ByteCarrier, NoHeaders};
use otel_core::{MessagingOperation, Telemetry};

use crate::builder::Builder;
use crate::carrier::Outgoing;
use crate::confirms::{Confirms, Identity};
use crate::consumer::Consumer;
use crate::driver::{self, Instrumentation, RabbitMq};
use crate::forward::{forward, leads_to_raw};
use crate::message::BasicGetMessage;
use crate::publisher_confirm::PublisherConfirm;
use crate::reception::Link;

/// An instrumented channel: lapin's `Channel`. A clone is another handle of the same channel.
///
/// What needs lapin's own is one call away, at [`raw`](Self::raw), and is not traced.
#[derive(Clone)]
pub struct Channel {
    raw: lapin::Channel,
    link: Arc<Link>,
    confirms: Arc<Confirms>,
}

leads_to_raw!(Channel, lapin::Channel);

impl fmt::Debug for Channel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.raw.fmt(formatter)
    }
}

impl PartialEq for Channel {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}

impl Channel {
    /// Instruments a channel, reporting to the global providers.
    pub fn new(raw: lapin::Channel) -> Self {
        Self::builder(raw).build()
    }

    /// Instruments a channel, reporting to `telemetry`.
    pub fn with(raw: lapin::Channel, telemetry: &Telemetry) -> Self {
        Self::builder(raw).telemetry(telemetry).build()
    }

    /// Instruments a channel, with what it does not tell of itself. One that is made by an instrumented
    /// connection is instrumented already.
    pub fn builder(raw: lapin::Channel) -> Builder<lapin::Channel> {
        Builder::of(raw)
    }

    pub(crate) fn of(raw: lapin::Channel, instrumentation: Instrumentation) -> Self {
        let confirms = Confirms::new(&instrumentation.messaging);
        Self { raw, link: Arc::new(Link::new(instrumentation)), confirms }
    }

    /// As lapin's `Channel::basic_publish`. The message's operation ends with the broker's confirm, where
    /// the channel has those, whoever waits for it; else when it is written. Dropped once it was polled,
    /// this takes nothing back, as with lapin.
    pub async fn basic_publish(
        &self,
        exchange: ShortString,
        routing_key: ShortString,
        options: BasicPublishOptions,
        payload: &[u8],
        mut properties: BasicProperties,
    ) -> Result<PublisherConfirm> {
        let mut operation = self.start(&exchange, &routing_key, payload, &mut properties);
        if operation.is_empty() {
            let sent = self.raw.basic_publish(exchange, routing_key, options, payload, properties);
            return sent.await.map(PublisherConfirm::bare);
        }
        operation.handed_over();
        let confirms = self.raw.status().confirm();
        let comes_back = confirms && (options.mandatory || options.immediate);
        let identity = comes_back.then(|| {
            let place = (&exchange, &routing_key);
            Identity::new(self.link.messaging(), place, &properties, payload.len())
        });
        let sent = self.raw.basic_publish(exchange, routing_key, options, payload, properties);
        let (confirm, operation) = operation.run_part(sent).await?;
        if confirms {
            Ok(self.confirms.watch(confirm, operation, identity))
        } else {
            operation.finish();
            Ok(PublisherConfirm::bare(confirm))
        }
    }

    /// Starts to send a message, and writes what fits of its context into the headers.
    fn start(
        &self,
        exchange: &ShortString,
        routing_key: &ShortString,
        payload: &[u8],
        properties: &mut BasicProperties,
    ) -> MessagingOperation<RabbitMq> {
        let Instrumentation { messaging, .. } = &self.link.instrumentation;
        let (exchange, key) = (exchange.as_str(), routing_key.as_str());
        let describe = || driver::publish(exchange, key, payload.len());
        let frame_max = self.link.instrumentation.frame_max();
        let mut operation = match Outgoing::new(properties, frame_max) {
            Some(mut room) => messaging.send(&mut ByteCarrier::new(&mut room), describe),
            None => messaging.send(&mut NoHeaders, describe),
        };
        if !operation.is_empty() {
            driver::learn(&mut operation, properties, payload.len());
        }
        operation
    }

    /// As lapin's `Channel::wait_for_confirms`.
    pub async fn wait_for_confirms(&self) -> Result<Vec<BasicReturnMessage>> {
        let waited = self.raw.wait_for_confirms().await;
        self.confirms.sweep();
        let mut returned = waited?;
        returned.extend(self.confirms.take_returned());
        Ok(returned)
    }

    /// As lapin's `Channel::basic_get`.
    pub async fn basic_get(
        &self,
        queue: ShortString,
        options: BasicGetOptions,
    ) -> Result<Option<BasicGetMessage>> {
        let poll = self.link.messaging().poll();
        let origin = self.link.origin(&queue, options.no_ack, false);
        match self.raw.basic_get(queue, options).await {
            Ok(Some(lapin::message::BasicGetMessage { delivery, message_count })) => {
                let delivery = self.link.received("get", poll, delivery, &origin);
                Ok(Some(BasicGetMessage { delivery, message_count }))
            }
            Ok(None) => Ok(None),
            Err(error) => {
                poll.failed(&error, || origin.failing("get"));
                Err(error)
            }
        }
    }

    /// As lapin's `Channel::basic_consume`.
    pub async fn basic_consume(
        &self,
        queue: ShortString,
        consumer_tag: ShortString,
        options: BasicConsumeOptions,
        arguments: FieldTable,
    ) -> Result<Consumer> {
        let origin = self.link.origin(&queue, options.no_ack, true);
        let raw = self.raw.basic_consume(queue, consumer_tag, options, arguments).await?;
        Ok(Consumer::of(raw, &self.link, origin))
    }

    /// As lapin's `Channel::basic_ack`.
    pub async fn basic_ack(
        &self,
        delivery_tag: DeliveryTag,
        options: BasicAckOptions,
    ) -> Result<()> {
        let settlement = self.link.settle("ack", (delivery_tag, options.multiple), None, true);
        settlement.run(self.raw.basic_ack(delivery_tag, options)).await
    }

    /// As lapin's `Channel::basic_nack`.
    pub async fn basic_nack(
        &self,
        delivery_tag: DeliveryTag,
        options: BasicNackOptions,
    ) -> Result<()> {
        let settlement = self.link.settle("nack", (delivery_tag, options.multiple), None, true);
        settlement.run(self.raw.basic_nack(delivery_tag, options)).await
    }

    /// As lapin's `Channel::basic_reject`.
    pub async fn basic_reject(
        &self,
        delivery_tag: DeliveryTag,
        options: BasicRejectOptions,
    ) -> Result<()> {
        let settlement = self.link.settle("reject", (delivery_tag, false), None, true);
        settlement.run(self.raw.basic_reject(delivery_tag, options)).await
    }

    /// As lapin's `Channel::basic_recover`. What was not settled is delivered again.
    pub async fn basic_recover(&self, options: BasicRecoverOptions) -> Result<()> {
        self.link.forget();
        self.raw.basic_recover(options).await
    }

    /// As lapin's `Channel::basic_recover_async`. What was not settled is delivered again.
    pub async fn basic_recover_async(&self, options: BasicRecoverAsyncOptions) -> Result<()> {
        self.link.forget();
        self.raw.basic_recover_async(options).await
    }

    /// As lapin's `Channel::queue_declare`.
    pub async fn queue_declare(
        &self,
        queue: ShortString,
        options: QueueDeclareOptions,
        arguments: FieldTable,
    ) -> Result<Queue> {
        let declared = self.raw.queue_declare(queue, options, arguments).await?;
        self.link.declared(declared.name());
        Ok(declared)
    }

    /// As lapin's `Channel::close`.
    pub async fn close(&self, reply_code: ReplyCode, reply_text: ShortString) -> Result<()> {
        let closed = self.raw.close(reply_code, reply_text).await;
        self.confirms.sweep();
        closed
    }

    forward! { "Channel"
        fn status(&self) -> &ChannelStatus;
        fn id(&self) -> ChannelId;
        async fn wait_for_recovery(&self, error: Error) -> Result<()>;
        async fn basic_qos(&self, prefetch_count: ShortUInt, options: BasicQosOptions) -> Result<()>;
        async fn basic_cancel(&self, consumer_tag: ShortString, options: BasicCancelOptions) -> Result<()>;
        async fn channel_flow(&self, options: ChannelFlowOptions) -> Result<Boolean>;
        async fn access_request(&self, realm: ShortString, options: AccessRequestOptions) -> Result<()>;
        async fn exchange_declare(
            &self, exchange: ShortString, kind: ExchangeKind, options: ExchangeDeclareOptions, arguments: FieldTable,
        ) -> Result<()>;
        async fn exchange_delete(&self, exchange: ShortString, options: ExchangeDeleteOptions) -> Result<()>;
        async fn exchange_bind(
            &self, destination: ShortString, source: ShortString, routing_key: ShortString,
            options: ExchangeBindOptions, arguments: FieldTable,
        ) -> Result<()>;
        async fn exchange_unbind(
            &self, destination: ShortString, source: ShortString, routing_key: ShortString,
            options: ExchangeUnbindOptions, arguments: FieldTable,
        ) -> Result<()>;
        async fn queue_bind(
            &self, queue: ShortString, exchange: ShortString, routing_key: ShortString,
            options: QueueBindOptions, arguments: FieldTable,
        ) -> Result<()>;
        async fn queue_purge(&self, queue: ShortString, options: QueuePurgeOptions) -> Result<MessageCount>;
        async fn queue_delete(&self, queue: ShortString, options: QueueDeleteOptions) -> Result<MessageCount>;
        async fn queue_unbind(
            &self, queue: ShortString, exchange: ShortString, routing_key: ShortString, arguments: FieldTable,
        ) -> Result<()>;
        async fn tx_select(&self) -> Result<()>;
        async fn tx_commit(&self) -> Result<()>;
        async fn tx_rollback(&self) -> Result<()>;
        async fn confirm_select(&self, options: ConfirmSelectOptions) -> Result<()>;
    }
}
