//! async-nats's module of this name, with the received message in place of its own.

use std::io;
use std::mem;
use std::ops::Deref;

use async_nats::client::traits::Publisher as _;
use async_nats::jetstream::message as raw;
use async_nats::{Error, Subject, message};
use bytes::Bytes;
use otel_core::MessagingOperation;

pub use async_nats::jetstream::message::*;

use super::context::Context;
use crate::driver::{self, Nats};
use crate::message::{Received, handled};
use crate::reception::{Reception, View};

/// A message of a stream: async-nats's `jetstream::Message`, with its fields.
#[derive(Clone, Debug)]
pub struct Message {
    /// As async-nats's `Message::message`.
    pub message: crate::Message,
    /// As async-nats's `Message::context`.
    pub context: Context,
}

impl Deref for Message {
    type Target = crate::Message;

    fn deref(&self) -> &crate::Message {
        &self.message
    }
}

impl From<Message> for crate::Message {
    fn from(source: Message) -> Self {
        source.message
    }
}

impl From<Message> for async_nats::Message {
    fn from(source: Message) -> Self {
        source.message.into_inner()
    }
}

handled!(Message);

impl Message {
    fn start(&self) -> MessagingOperation<Nats> {
        self.message.start()
    }

    /// The message of async-nats, without its context for telemetry.
    pub fn into_inner(self) -> async_nats::jetstream::Message {
        let (message, context) = (self.message.into_inner(), self.context.into_inner());
        async_nats::jetstream::Message { message, context }
    }

    /// As async-nats's `Message::split`.
    pub fn split(mut self) -> (crate::Message, Acker) {
        let reply = mem::take(&mut self.message.reply);
        let subject = self.message.subject.clone();
        let known = Some((self.message.received.clone(), subject));
        let acker = Acker { context: self.context, reply, known };
        (self.message, acker)
    }

    fn settle(&self, operation: &'static str) -> MessagingOperation<Nats> {
        let Received { delivery, reception } = &self.received;
        reception.settle(operation, delivery, View::from(&self.message))
    }

    /// As async-nats's `Message::info`.
    pub fn info(&self) -> Result<Info<'_>, Error> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "did not found reply subject");
        driver::info(self.reply.as_ref().ok_or_else(missing)?)
    }
}

/// Acknowledges a message that was taken apart: async-nats's `Acker`.
pub struct Acker {
    context: Context,
    reply: Option<Subject>,
    /// How the message came, and its subject.
    known: Option<(Received, Subject)>,
}

crate::forward::debug!([] Acker Acker, reply);

impl Acker {
    /// As async-nats's `Acker::new`. Which message it is, is not known to its spans.
    pub fn new(context: Context, reply: Option<Subject>) -> Self {
        Self { context, reply, known: None }
    }

    fn settle(&self, operation: &'static str) -> MessagingOperation<Nats> {
        let reply = self.reply.as_deref();
        if let Some((Received { delivery, reception }, subject)) = &self.known {
            return reception.settle(operation, delivery, View { reply, ..View::of(subject) });
        }
        let reception: &Reception = &self.context.link.reception;
        reception.settle(operation, &<_>::default(), View { reply, ..View::of("") })
    }
}

/// How a message is settled, whole or taken apart.
macro_rules! settled {
    ($of:ident) => {
        impl $of {
            #[doc = concat!("As async-nats's `", stringify!($of), "::ack`.")]
            pub async fn ack(&self) -> Result<(), Error> {
                self.acknowledge(AckKind::Ack, Bytes::new()).await
            }

            #[doc = concat!("As async-nats's `", stringify!($of), "::ack_with`.")]
            pub async fn ack_with(&self, kind: AckKind) -> Result<(), Error> {
                self.acknowledge(kind, kind.into()).await
            }

            #[doc = concat!("As async-nats's `", stringify!($of), "::double_ack`.")]
            pub async fn double_ack(&self) -> Result<(), Error> {
                self.double_ack_with(AckKind::Ack).await
            }

            #[doc = concat!("As async-nats's `", stringify!($of), "::double_ack_with`.")]
            pub async fn double_ack_with(&self, ack_kind: AckKind) -> Result<(), Error> {
                // By async-nats's own, which waits for the answer.
                let acker = raw::Acker::new(self.context.raw.clone(), self.reply.clone());
                let word =
                    if let AckKind::Ack = ack_kind { Some("double_ack") } else { word(ack_kind) };
                settle(word, |word| self.settle(word), acker.double_ack_with(ack_kind)).await
            }

            async fn acknowledge(&self, kind: AckKind, payload: Bytes) -> Result<(), Error> {
                let publishing = publish(&self.context, self.reply.as_ref(), payload);
                settle(word(kind), |word| self.settle(word), publishing).await
            }
        }
    };
}

settled!(Message);
settled!(Acker);

/// NATS's words. That work goes on settles nothing.
fn word(kind: AckKind) -> Option<&'static str> {
    match kind {
        AckKind::Ack => Some("ack"),
        AckKind::Nak(_) => Some("nak"),
        AckKind::Next => Some("next"),
        AckKind::Term => Some("term"),
        AckKind::Progress => None,
    }
}

/// As async-nats does it, which answers once it is in the client's queue.
async fn publish(context: &Context, reply: Option<&Subject>, payload: Bytes) -> Result<(), Error> {
    let Some(reply) = reply else {
        let nowhere = io::Error::other("No reply subject, not a JetStream message");
        return Err(nowhere.into());
    };
    let (subject, reply, headers) = (reply.clone(), None, None);
    let message = message::OutboundMessage { subject, reply, payload, headers };
    context.raw.publish_message(message).await.map_err(Error::from)
}

async fn settle(
    word: Option<&'static str>,
    start: impl FnOnce(&'static str) -> MessagingOperation<Nats>,
    settling: impl Future<Output = Result<(), Error>>,
) -> Result<(), Error> {
    match word {
        Some(word) => start(word).run(settling).await,
        None => settling.await,
    }
}
