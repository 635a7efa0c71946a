//! Consumers: async-nats's module of this name, with the instrumented types in place of its own.

pub mod pull;
pub mod push;

use std::sync::Arc;

use async_nats::jetstream::context::ConsumerInfoError;
use async_nats::jetstream::stream::{ConsumerResetError, ConsumerResetResponse};
use async_nats::jetstream::{self, consumer as raw};
use otel_core::Classify;
use otel_core::messaging::{Gathering, MessagingCall, Poll};
use otel_core::propagation::ByteCarrier;

pub use async_nats::jetstream::consumer::*;

use super::context::Context;
use super::message::Message;
use crate::carrier::Incoming;
use crate::client::Link;
use crate::driver::Nats;
use crate::forward::{forward, leads_to_raw};
use crate::reception::{Reception, View};

/// As async-nats's `PullConsumer`.
pub type PullConsumer = Consumer<pull::Config>;
/// As async-nats's `PushConsumer`.
pub type PushConsumer = Consumer<push::Config>;
/// As async-nats's `OrderedPullConsumer`.
pub type OrderedPullConsumer = Consumer<pull::OrderedConfig>;
/// As async-nats's `OrderedPushConsumer`.
pub type OrderedPushConsumer = Consumer<push::OrderedConfig>;

/// An instrumented consumer: async-nats's `Consumer`.
#[derive(Clone, Debug)]
pub struct Consumer<T: IntoConsumerConfig> {
    raw: raw::Consumer<T>,
    source: Source,
}

leads_to_raw!([T: IntoConsumerConfig] Consumer<T>, raw::Consumer<T>);

impl<T: IntoConsumerConfig> Consumer<T> {
    /// As async-nats's `Consumer::new`.
    pub fn new(config: T, info: Info, context: Context) -> Self {
        let link = context.link.clone();
        Self::linked(raw::Consumer::new(config, info, context.into_inner()), &link, &[])
    }

    /// Of a stream with these subjects, if they are known.
    pub(super) fn linked(raw: raw::Consumer<T>, link: &Link, subjects: &[String]) -> Self {
        let Config { filter_subject, filter_subjects, durable_name, deliver_group, .. } =
            &raw.cached_info().config;
        // One filter, or several, or all that the stream has.
        let one = Some(filter_subject).filter(|filter| !filter.is_empty());
        let patterns = one.map_or(&filter_subjects[..], std::slice::from_ref);
        let patterns = if patterns.is_empty() { subjects } else { patterns };
        let reception = Reception::of(link.instrumentation().clone())
            .patterns(patterns.iter().map(String::as_str))
            .group(deliver_group.as_deref())
            .subscription(durable_name.as_deref());
        Self { source: Source { link: link.clone(), reception: Arc::new(reception) }, raw }
    }

    forward! { "Consumer"
        async fn info[](&mut self) -> Result<&Info, ConsumerInfoError>;
        async fn get_info[](&self) -> Result<Info, ConsumerInfoError>;
        fn cached_info[](&self) -> &Info;
        async fn reset[](&mut self, seq: Option<u64>) -> Result<ConsumerResetResponse, ConsumerResetError>;
    }
}

/// Where the messages of a consumer come from.
#[derive(Clone, Debug)]
struct Source {
    link: Link,
    reception: Arc<Reception>,
}

/// What one call is told by, once it is over.
type Describe = Box<dyn FnOnce() -> MessagingCall<'static> + Send + Sync>;

/// What one call gave so far; `None` where nobody listens.
type Gathered = Option<Gathering<Nats, Describe>>;

impl Source {
    fn message(&self, message: crate::Message, context: jetstream::Context) -> Message {
        Message { message, context: Context::linked(context, self.link.clone()) }
    }

    /// What a consumer gives that asks by itself.
    fn arrived<E>(&self, item: Result<jetstream::Message, E>) -> Result<Message, E>
    where
        Nats: Classify<E>,
    {
        let poll = self.reception.messaging().arrival();
        match item {
            Ok(jetstream::Message { message, context }) => {
                Ok(self.message(self.reception.received(poll, message), context))
            }
            Err(error) => {
                poll.failed(&error, || self.reception.asking("receive"));
                Err(error)
            }
        }
    }

    /// What one call gives that asks for several.
    fn gather(&self, poll: Poll<Nats>) -> Gathered {
        if self.reception.messaging().is_off() {
            return None;
        }
        let reception = Arc::clone(&self.reception);
        Some(poll.gather(Box::new(move || reception.asking("fetch"))))
    }

    fn gathered(&self, gathered: &mut Gathered, message: jetstream::Message) -> Message {
        let jetstream::Message { message, context } = message;
        let Some(gathering) = gathered else {
            return self.message(self.reception.delivered(message), context);
        };
        let headers = Incoming(message.headers.as_ref());
        let facts = || View::from(&message).facts();
        let delivery = gathering.add(&ByteCarrier::new(&headers), facts);
        let message = crate::Message::from_parts(message, delivery, &self.reception);
        self.message(message, context)
    }
}

/// A stream of messages that a consumer asks for by itself.
macro_rules! arriving {
    ($(#[$doc:meta])* $name:ident: $raw:ty, $error:ty) => {
        $(#[$doc])*
        pub struct $name {
            raw: $raw,
            source: super::Source,
        }

        impl futures_core::Stream for $name {
            type Item = Result<crate::jetstream::Message, $error>;

            fn poll_next(
                mut self: std::pin::Pin<&mut Self>,
                task: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Option<Self::Item>> {
                let polled = std::pin::Pin::new(&mut self.raw).poll_next(task);
                polled.map(|item| item.map(|item| self.source.arrived(item)))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let mut shown = formatter.debug_struct(stringify!($name));
                shown.field("source", &self.source).finish_non_exhaustive()
            }
        }
    };
}

use arriving;
