//! What becomes of a received message, by the subscription that it came through.

use std::fmt;
use std::sync::Arc;

use async_nats::HeaderMap;
#[cfg(feature = "jetstream")]
use otel_core::messaging::MessageFacts;
use otel_core::messaging::{Delivery, Destination, MessagingCall, Poll, fact};
use otel_core::propagation::ByteCarrier;
use otel_core::{Messaging, MessagingOperation};

use crate::carrier::{Incoming, wire_length};
use crate::driver::{Instrumentation, Nats, is_pattern, matches, message_id, size};
use crate::message::Message;

/// A subscription, or a consumer of JetStream. It keeps no connection open.
#[derive(Clone)]
pub(crate) struct Reception {
    pub(crate) instrumentation: Instrumentation,
    /// What the subjects of its messages match, where that stands for several.
    patterns: Box<[Box<str>]>,
    group: Option<Box<str>>,
    /// The durable consumer.
    subscription: Option<Box<str>>,
}

impl fmt::Debug for Reception {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Reception")
            .field("patterns", &self.patterns)
            .finish_non_exhaustive()
    }
}

/// What is looked at of a message.
#[derive(Clone, Copy)]
pub(crate) struct View<'m> {
    pub(crate) subject: &'m str,
    pub(crate) reply: Option<&'m str>,
    pub(crate) headers: Option<&'m HeaderMap>,
    pub(crate) payload: usize,
}

macro_rules! view {
    ($message:ty) => {
        impl<'m> From<&'m $message> for View<'m> {
            fn from(message: &'m $message) -> Self {
                Self {
                    subject: &message.subject,
                    reply: message.reply.as_deref(),
                    headers: message.headers.as_ref(),
                    payload: message.payload.len(),
                }
            }
        }
    };
}

view!(async_nats::Message);
view!(Message);

#[cfg(feature = "jetstream")]
impl<'m> View<'m> {
    /// Of which no more is known.
    pub(crate) fn of(subject: &'m str) -> Self {
        Self { subject, reply: None, headers: None, payload: 0 }
    }
}

impl View<'_> {
    /// The id of a message: the application's, or where the stream has it.
    fn id(self) -> Option<String> {
        let stored = || Some(crate::driver::Stored::read(self.reply?)?.id());
        message_id(self.headers).map(str::to_owned).or_else(stored)
    }

    fn envelope(self) -> i64 {
        size(wire_length(self.headers) + self.payload)
    }

    #[cfg(feature = "jetstream")]
    pub(crate) fn facts(self) -> MessageFacts {
        let facts = MessageFacts::new()
            .with(fact::DESTINATION_NAME, self.subject.to_owned())
            .with(fact::BODY_SIZE, size(self.payload))
            .with(fact::ENVELOPE_SIZE, self.envelope());
        match self.id() {
            Some(id) => facts.with(fact::MESSAGE_ID, id),
            None => facts,
        }
    }
}

impl Reception {
    /// Of what is no subscription: answers to requests.
    pub(crate) fn of(instrumentation: Instrumentation) -> Self {
        Self { instrumentation, patterns: Box::default(), group: None, subscription: None }
    }

    pub(crate) fn patterns<'p>(self, subjects: impl IntoIterator<Item = &'p str>) -> Self {
        let patterns = subjects.into_iter().filter(|subject| is_pattern(subject));
        Self { patterns: patterns.map(Box::from).collect(), ..self }
    }

    pub(crate) fn group(self, group: Option<&str>) -> Self {
        Self { group: group.map(Box::from), ..self }
    }

    #[cfg(feature = "jetstream")]
    pub(crate) fn subscription(self, name: Option<&str>) -> Self {
        Self { subscription: name.map(Box::from), ..self }
    }

    pub(crate) fn messaging(&self) -> &Messaging<Nats> {
        &self.instrumentation.messaging
    }

    fn call<'c>(&'c self, operation: &'static str, place: Destination<'c>) -> MessagingCall<'c> {
        let mut call = MessagingCall::new(operation, place);
        if let Some(group) = &self.group {
            call = call.consumer_group(&**group);
        }
        if let Some(subscription) = &self.subscription {
            call = call.subscription(&**subscription);
        }
        call
    }

    /// A call about one message, without what only those tell that have its content.
    fn place<'c>(&'c self, operation: &'static str, message: View<'c>) -> MessagingCall<'c> {
        let View { subject, reply, .. } = message;
        let pattern = self.patterns.iter().find(|pattern| matches(pattern, subject));
        let destination = match pattern {
            Some(pattern) => Destination::named(subject).template(&**pattern),
            None => self.instrumentation.destination(subject, None),
        };
        let call = self.call(operation, destination);
        let call = match self.instrumentation.conversation(subject, reply) {
            Some(conversation) => call.with(fact::CONVERSATION_ID, conversation.to_owned()),
            None => call,
        };
        match message.id() {
            Some(id) => call.with(fact::MESSAGE_ID, id),
            None => call,
        }
    }

    /// A call that has a message.
    pub(crate) fn about<'c>(
        &'c self,
        operation: &'static str,
        message: View<'c>,
    ) -> MessagingCall<'c> {
        self.place(operation, message)
            .with(fact::BODY_SIZE, size(message.payload))
            .with(fact::ENVELOPE_SIZE, message.envelope())
    }

    /// A call that asks for several.
    #[cfg(feature = "jetstream")]
    pub(crate) fn asking(&self, operation: &'static str) -> MessagingCall<'static> {
        let place = match &*self.patterns {
            [pattern] => Destination::none().template(pattern.to_string()),
            _ => Destination::none(),
        };
        let mut call = MessagingCall::new(operation, place);
        if let Some(group) = &self.group {
            call = call.consumer_group(group.to_string());
        }
        if let Some(subscription) = &self.subscription {
            call = call.subscription(subscription.to_string());
        }
        call
    }

    /// A message that came. What the server says itself, by a status, is none.
    pub(crate) fn received(
        self: &Arc<Self>,
        poll: Poll<Nats>,
        raw: async_nats::Message,
    ) -> Message {
        if raw.status.is_some_and(|status| !status.is_success()) {
            return Message::from_parts(raw, Delivery::default(), self);
        }
        let headers = Incoming(raw.headers.as_ref());
        let describe = || self.about("receive", View::from(&raw));
        let delivery = poll.received(&ByteCarrier::new(&headers), describe);
        Message::from_parts(raw, delivery, self)
    }

    /// A message that came without being asked for: it counts when it is handled.
    pub(crate) fn delivered(self: &Arc<Self>, raw: async_nats::Message) -> Message {
        let headers = Incoming(raw.headers.as_ref());
        let delivery = self.messaging().delivery(&ByteCarrier::new(&headers));
        Message::from_parts(raw, delivery, self)
    }

    /// Starts to settle a message.
    #[cfg(feature = "jetstream")]
    pub(crate) fn settle(
        &self,
        operation: &'static str,
        delivery: &Delivery,
        message: View<'_>,
    ) -> MessagingOperation<Nats> {
        self.messaging().settle([delivery], || self.place(operation, message))
    }

    /// Starts to handle a message.
    pub(crate) fn process(
        &self,
        delivery: &Delivery,
        message: View<'_>,
    ) -> MessagingOperation<Nats> {
        self.messaging().process(delivery, || self.about("process", message))
    }
}
