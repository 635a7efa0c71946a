//! async-nats's module of this name, with the received message in place of its own.

use std::future::Future;
use std::sync::Arc;

use async_nats::{HeaderMap, StatusCode, Subject};
use bytes::Bytes;
use otel_core::messaging::Delivery;
use otel_core::opentelemetry::Context;
use otel_core::{MessagingOperation, Telemetry};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use async_nats::message::*;

use crate::driver::{Facts, Instrumentation, Nats};
use crate::reception::Reception;

/// A received message: async-nats's `Message`, with its fields, and with the context that it carries.
#[derive(Clone, Debug)]
pub struct Message {
    /// As async-nats's `Message::subject`.
    pub subject: Subject,
    /// As async-nats's `Message::reply`.
    pub reply: Option<Subject>,
    /// As async-nats's `Message::payload`.
    pub payload: Bytes,
    /// As async-nats's `Message::headers`.
    pub headers: Option<HeaderMap>,
    /// As async-nats's `Message::status`.
    pub status: Option<StatusCode>,
    /// As async-nats's `Message::description`.
    pub description: Option<String>,
    /// As async-nats's `Message::length`.
    pub length: usize,
    pub(crate) received: Received,
}

/// How a message came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) delivery: Delivery,
    pub(crate) reception: Arc<Reception>,
}

impl Message {
    /// Takes a message that a client without instrumentation received, reporting to the global
    /// providers.
    pub fn new(raw: async_nats::Message) -> Self {
        Self::with(raw, &Telemetry::global())
    }

    /// Takes a message that a client without instrumentation received, reporting to `telemetry`.
    pub fn with(raw: async_nats::Message, telemetry: &Telemetry) -> Self {
        let facts = Facts::default();
        let instrumentation = Instrumentation::new(facts.messaging(telemetry), "", &facts);
        Arc::new(Reception::of(instrumentation)).delivered(raw)
    }

    pub(crate) fn from_parts(
        raw: async_nats::Message,
        delivery: Delivery,
        reception: &Arc<Reception>,
    ) -> Self {
        let async_nats::Message { subject, reply, payload, headers, status, description, length } =
            raw;
        let received = Received { delivery, reception: Arc::clone(reception) };
        Self { subject, reply, payload, headers, status, description, length, received }
    }

    /// The message of async-nats, without its context.
    pub fn into_inner(self) -> async_nats::Message {
        let Self { subject, reply, payload, headers, status, description, length, .. } = self;
        async_nats::Message { subject, reply, payload, headers, status, description, length }
    }
}

impl From<Message> for async_nats::Message {
    fn from(message: Message) -> Self {
        message.into_inner()
    }
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.clone().into_inner().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        async_nats::Message::deserialize(deserializer).map(Self::new)
    }
}

impl Message {
    /// The current context with what the message carries: its trace as the remote parent, its
    /// baggage. For handlers with spans of their own.
    pub fn context(&self) -> Context {
        self.received.delivery.context()
    }

    /// Runs a future in [`context`](Self::context).
    pub fn instrument<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        self.received.delivery.instrument(future)
    }

    /// What the message carries, for otel-core.
    pub fn delivery(&self) -> &Delivery {
        &self.received.delivery
    }

    /// Starts to handle the message.
    pub(crate) fn start(&self) -> MessagingOperation<Nats> {
        let Received { delivery, reception } = &self.received;
        reception.process(delivery, self.into())
    }
}

/// How a message is handled, of whatever kind, that is or leads to a [`Message`].
macro_rules! handled {
    ($type:ty) => {
        impl $type {
            /// Handles the message, in a span that ends with the handler's result. The error may be
            /// of any type, whose name is told. Nothing starts before the first poll.
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
        }
    };
}

handled!(Message);

#[cfg(feature = "jetstream")]
pub(crate) use handled;
