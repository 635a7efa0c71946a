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

    /// As async-nats's `Message::ack`.
    pub async fn ack(&self) -> Result<(), Error> {
        self.ack_with(AckKind::Ack).await
    }

    /// As async-nats's `Message::ack_with`.
    pub async fn ack_with(&self, kind: AckKind) -> Result<(), Error> {
        let Received { delivery, reception } = &self.received;
        let settle = |operation| reception.settle(operation, delivery, View::from(&self.message));
        acknowledge(&self.context, self.reply.as_ref(), kind, settle).await
    }

    /// As async-nats's `Message::double_ack`.
    pub async fn double_ack(&self) -> Result<(), Error> {
        self.double_ack_with(AckKind::Ack).await
    }

    /// As async-nats's `Message::double_ack_with`.
    pub async fn double_ack_with(&self, ack_kind: AckKind) -> Result<(), Error> {
        let Received { delivery, reception } = &self.received;
        let settle = |operation| reception.settle(operation, delivery, View::from(&self.message));
        double_acknowledge(&self.context, self.reply.as_ref(), ack_kind, settle).await
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

    /// As async-nats's `Acker::ack`.
    pub async fn ack(&self) -> Result<(), Error> {
        self.ack_with(AckKind::Ack).await
    }

    /// As async-nats's `Acker::ack_with`.
    pub async fn ack_with(&self, kind: AckKind) -> Result<(), Error> {
        let settle = |operation| self.settle(operation);
        acknowledge(&self.context, self.reply.as_ref(), kind, settle).await
    }

    /// As async-nats's `Acker::double_ack`.
    pub async fn double_ack(&self) -> Result<(), Error> {
        self.double_ack_with(AckKind::Ack).await
    }

    /// As async-nats's `Acker::double_ack_with`.
    pub async fn double_ack_with(&self, ack_kind: AckKind) -> Result<(), Error> {
        let settle = |operation| self.settle(operation);
        double_acknowledge(&self.context, self.reply.as_ref(), ack_kind, settle).await
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
async fn acknowledge(
    context: &Context,
    reply: Option<&Subject>,
    kind: AckKind,
    settle: impl FnOnce(&'static str) -> MessagingOperation<Nats>,
) -> Result<(), Error> {
    let publishing = async {
        let Some(reply) = reply else {
            let nowhere = io::Error::other("No reply subject, not a JetStream message");
            return Err(nowhere.into());
        };
        let payload = if let AckKind::Ack = kind { Bytes::new() } else { kind.into() };
        let (subject, reply, headers) = (reply.clone(), None, None);
        let message = message::OutboundMessage { subject, reply, payload, headers };
        context.raw.publish_message(message).await.map_err(Error::from)
    };
    match word(kind) {
        Some(word) => settle(word).run(publishing).await,
        None => publishing.await,
    }
}

/// By async-nats's own `Acker`: it waits for the answer.
async fn double_acknowledge(
    context: &Context,
    reply: Option<&Subject>,
    kind: AckKind,
    settle: impl FnOnce(&'static str) -> MessagingOperation<Nats>,
) -> Result<(), Error> {
    let acker = raw::Acker::new(context.raw.clone(), reply.cloned());
    let waiting = acker.double_ack_with(kind);
    let word = if let AckKind::Ack = kind { Some("double_ack") } else { word(kind) };
    match word {
        Some(word) => settle(word).run(waiting).await,
        None => waiting.await,
    }
}
