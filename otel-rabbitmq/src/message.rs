//! lapin's module of this name, with what a consumer gets in place of its own.

use std::fmt;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

use lapin::BasicProperties;
use lapin::types::{DeliveryTag, MessageCount, ShortString};
use otel_core::messaging::Delivery as Carried;
use otel_core::opentelemetry::Context;
use otel_core::{MessagingOperation, Telemetry};

pub use lapin::message::*;

use crate::acker::Acker;
use crate::driver::{Facts, Instrumentation, Known, RabbitMq};
use crate::reception::{Link, Origin};

/// What a delegate gets: lapin's `DeliveryResult`, with our [`Delivery`].
pub type DeliveryResult = lapin::Result<Option<Delivery>>;

/// A received message: lapin's `Delivery`, with its fields, and with the context that it carries.
#[derive(Debug, PartialEq)]
pub struct Delivery {
    /// As lapin's `Delivery::delivery_tag`.
    pub delivery_tag: DeliveryTag,
    /// As lapin's `Delivery::exchange`.
    pub exchange: ShortString,
    /// As lapin's `Delivery::routing_key`.
    pub routing_key: ShortString,
    /// As lapin's `Delivery::redelivered`.
    pub redelivered: bool,
    /// As lapin's `Delivery::properties`.
    pub properties: BasicProperties,
    /// As lapin's `Delivery::data`.
    pub data: Vec<u8>,
    /// As lapin's `Delivery::acker`. It settles the message in a span.
    pub acker: Acker,
    pub(crate) received: Received,
}

/// How a message came.
#[derive(Clone)]
pub(crate) struct Received {
    pub(crate) carried: Carried,
    pub(crate) known: Option<Arc<Known>>,
    pub(crate) link: Arc<Link>,
    /// The operation of the delegate that has the message, until that handles it.
    handling: Option<Handling>,
}

impl fmt::Debug for Received {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.carried.fmt(formatter)
    }
}

/// Messages are compared by their fields.
impl PartialEq for Received {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// The operation of a delegate, which is the one of `process` where the delegate calls that.
#[derive(Clone, Default)]
pub(crate) struct Handling(Arc<Mutex<Option<MessagingOperation<RabbitMq>>>>);

impl Handling {
    pub(crate) fn replace(
        &self,
        operation: Option<MessagingOperation<RabbitMq>>,
    ) -> Option<MessagingOperation<RabbitMq>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *kept, operation)
    }
}

impl Delivery {
    /// Takes a message that a channel without instrumentation received, reporting to the global
    /// providers.
    pub fn new(raw: lapin::message::Delivery) -> Self {
        Self::with(raw, &Telemetry::global())
    }

    /// Takes a message that a channel without instrumentation received, reporting to `telemetry`.
    pub fn with(raw: lapin::message::Delivery, telemetry: &Telemetry) -> Self {
        let messaging = Facts::default().messaging(telemetry);
        let link = Arc::new(Link::new(Instrumentation::new(messaging, None)));
        // Of what it may settle beside itself, nothing is known.
        link.delivered(raw, &Origin::new(ShortString::default(), true))
    }

    /// As lapin's `Delivery::mock`.
    pub fn mock(
        delivery_tag: DeliveryTag,
        exchange: ShortString,
        routing_key: ShortString,
        redelivered: bool,
        data: Vec<u8>,
    ) -> Self {
        let mock = lapin::message::Delivery::mock;
        Self::new(mock(delivery_tag, exchange, routing_key, redelivered, data))
    }

    pub(crate) fn from_parts(
        raw: lapin::message::Delivery,
        carried: Carried,
        known: Option<Arc<Known>>,
        link: &Arc<Link>,
    ) -> Self {
        let lapin::message::Delivery {
            delivery_tag,
            exchange,
            routing_key,
            redelivered,
            properties,
            data,
            acker,
        } = raw;
        let received = Received { carried, known, link: Arc::clone(link), handling: None };
        let acker = Acker::of(acker, delivery_tag, received.clone());
        Self { delivery_tag, exchange, routing_key, redelivered, properties, data, acker, received }
    }

    /// The message of lapin, without its context.
    pub fn into_inner(self) -> lapin::message::Delivery {
        let Self {
            delivery_tag, exchange, routing_key, redelivered, properties, data, acker, ..
        } = self;
        let acker = acker.into_inner();
        lapin::message::Delivery {
            delivery_tag,
            exchange,
            routing_key,
            redelivered,
            properties,
            data,
            acker,
        }
    }
}

impl From<Delivery> for lapin::message::Delivery {
    fn from(delivery: Delivery) -> Self {
        delivery.into_inner()
    }
}

impl Deref for Delivery {
    type Target = Acker;

    fn deref(&self) -> &Acker {
        &self.acker
    }
}

impl Delivery {
    /// Handles the message, in a span that ends with the handler's result. The error may be of any type,
    /// whose name is told. Nothing starts before the first poll. Within a delegate, it is the delegate's
    /// span.
    ///
    /// The handler runs in the context that the message carries, also where no span is made.
    pub async fn process<'m, H, F, T, E>(&'m self, handler: H) -> Result<T, E>
    where
        H: FnOnce(&'m Self) -> F,
        F: Future<Output = Result<T, E>>,
    {
        // In a future of its own, so that the handler is called within the context.
        self.start().handle(async move { handler(self).await }).await
    }

    /// As [`process`](Self::process), for a handler that blocks.
    pub fn process_blocking<T, E>(
        &self,
        handler: impl FnOnce(&Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.start().handle_blocking(|| handler(self))
    }

    /// The current context with what the message carries: its trace as the remote parent, its baggage.
    /// For handlers with spans of their own.
    pub fn context(&self) -> Context {
        self.received.carried.context()
    }

    /// Runs a future in [`context`](Self::context).
    pub fn instrument<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        self.received.carried.instrument(future)
    }

    /// What the message carries, for otel-core.
    pub fn delivery(&self) -> &Carried {
        &self.received.carried
    }

    fn start(&self) -> MessagingOperation<RabbitMq> {
        let known = self.received.handling.as_ref().and_then(|handling| handling.replace(None));
        known.unwrap_or_else(|| self.received.start())
    }

    /// How it is to be handled by a delegate, whose operation is in `handling`.
    pub(crate) fn handled_in(
        &mut self,
        handling: &Handling,
    ) -> impl FnOnce() -> MessagingOperation<RabbitMq> + Send + use<> {
        let received = self.received.clone();
        self.received.handling = Some(handling.clone());
        move || received.start()
    }
}

impl Received {
    fn start(&self) -> MessagingOperation<RabbitMq> {
        let describe = || crate::driver::processing(self.known.as_deref());
        self.link.messaging().process(&self.carried, describe)
    }
}

/// A message that was asked for: lapin's `BasicGetMessage`, with our [`Delivery`].
#[derive(Debug, PartialEq)]
pub struct BasicGetMessage {
    /// As lapin's `BasicGetMessage::delivery`.
    pub delivery: Delivery,
    /// As lapin's `BasicGetMessage::message_count`.
    pub message_count: MessageCount,
}

impl From<BasicGetMessage> for lapin::message::BasicGetMessage {
    fn from(message: BasicGetMessage) -> Self {
        let BasicGetMessage { delivery, message_count } = message;
        Self { delivery: delivery.into_inner(), message_count }
    }
}

impl Deref for BasicGetMessage {
    type Target = Delivery;

    fn deref(&self) -> &Delivery {
        &self.delivery
    }
}

impl DerefMut for BasicGetMessage {
    fn deref_mut(&mut self) -> &mut Delivery {
        &mut self.delivery
    }
}
