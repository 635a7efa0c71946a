//! Messages: rdkafka's module `message`, with the received ones in place of its own.

use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use otel_core::messaging::Delivery;
use otel_core::opentelemetry::Context;
pub use rdkafka::message::*;

use crate::consumer::reception::Reception;

/// What all messages have: rdkafka's trait of this name, for its messages and for those of this
/// crate. Without `payload_mut`, which is unsafe: for that import `rdkafka::message::Message`.
pub trait Message {
    /// The type of the headers.
    type Headers: Headers;

    #[doc(hidden)]
    type Raw: rdkafka::Message<Headers = Self::Headers>;

    /// The same message by rdkafka's trait, which the methods name: by a dot they would find this one
    /// again, which rdkafka's messages have as well.
    #[doc(hidden)]
    fn raw(&self) -> &Self::Raw;

    /// As rdkafka's `Message::key`.
    fn key(&self) -> Option<&[u8]> {
        rdkafka::Message::key(self.raw())
    }

    /// As rdkafka's `Message::payload`.
    fn payload(&self) -> Option<&[u8]> {
        rdkafka::Message::payload(self.raw())
    }

    /// As rdkafka's `Message::topic`.
    fn topic(&self) -> &str {
        rdkafka::Message::topic(self.raw())
    }

    /// As rdkafka's `Message::partition`.
    fn partition(&self) -> i32 {
        rdkafka::Message::partition(self.raw())
    }

    /// As rdkafka's `Message::offset`.
    fn offset(&self) -> i64 {
        rdkafka::Message::offset(self.raw())
    }

    /// As rdkafka's `Message::timestamp`.
    fn timestamp(&self) -> Timestamp {
        rdkafka::Message::timestamp(self.raw())
    }

    /// As rdkafka's `Message::payload_view`.
    fn payload_view<P: ?Sized + FromBytes>(&self) -> Option<Result<&P, P::Error>> {
        rdkafka::Message::payload_view(self.raw())
    }

    /// As rdkafka's `Message::key_view`.
    fn key_view<K: ?Sized + FromBytes>(&self) -> Option<Result<&K, K::Error>> {
        rdkafka::Message::key_view(self.raw())
    }

    /// As rdkafka's `Message::headers`.
    fn headers(&self) -> Option<&Self::Headers> {
        rdkafka::Message::headers(self.raw())
    }
}

impl<M: rdkafka::Message> Message for M {
    type Headers = M::Headers;
    type Raw = M;

    fn raw(&self) -> &M {
        self
    }
}

/// A received message: rdkafka's `BorrowedMessage`, to which it leads, with the context that it
/// carries.
///
/// `&BorrowedMessage` goes where `&rdkafka::message::BorrowedMessage` is asked for.
#[derive(Debug)]
pub struct BorrowedMessage<'c> {
    raw: rdkafka::message::BorrowedMessage<'c>,
    delivery: Delivery,
    reception: &'c Arc<Reception>,
}

/// A message that outlives its consumer: rdkafka's `OwnedMessage`, to which it leads, with the
/// context that it carries. Made by [`BorrowedMessage::detach`].
#[derive(Clone, Debug)]
pub struct OwnedMessage {
    raw: rdkafka::message::OwnedMessage,
    delivery: Delivery,
    reception: Arc<Reception>,
}

impl<'c> BorrowedMessage<'c> {
    pub(crate) fn new(
        raw: rdkafka::message::BorrowedMessage<'c>,
        delivery: Delivery,
        reception: &'c Arc<Reception>,
    ) -> Self {
        Self { raw, delivery, reception }
    }

    /// As rdkafka's `BorrowedMessage::detach`: the copy keeps the context.
    pub fn detach(&self) -> OwnedMessage {
        OwnedMessage {
            raw: self.raw.detach(),
            delivery: self.delivery.clone(),
            reception: Arc::clone(self.reception),
        }
    }
}

/// What both kinds of messages have.
macro_rules! received {
    ($message:ident $(<$consumer:lifetime>)?) => {
        impl $(<$consumer>)? $message $(<$consumer>)? {
            /// Handles the message, in a span that ends with the handler's result. The error may be
            /// of any type, whose name is told. Nothing starts before the first poll.
            ///
            /// The handler runs in the context that the message carries, also where no span is made.
            pub async fn process<'m, H, F, T, E>(&'m self, handler: H) -> Result<T, E>
            where
                H: FnOnce(&'m Self) -> F,
                F: Future<Output = Result<T, E>>,
            {
                let Self { raw, delivery, reception } = self;
                let describe = |_: &Self| reception.processing(raw);
                reception.messaging().handle(delivery, self, describe, handler).await
            }

            /// As [`process`](Self::process), for a handler that blocks.
            pub fn process_blocking<T, E>(
                &self,
                handler: impl FnOnce(&Self) -> Result<T, E>,
            ) -> Result<T, E> {
                let Self { raw, delivery, reception } = self;
                let describe = || reception.processing(raw);
                let operation = reception.messaging().process(delivery, describe);
                operation.handle_blocking(|| handler(self))
            }

            /// The current context with what the message carries: its trace as the remote parent,
            /// its baggage. For handlers with spans of their own.
            pub fn context(&self) -> Context {
                self.delivery.context()
            }

            /// Runs a future in [`context`](Self::context).
            pub fn instrument<F: Future>(
                &self,
                future: F,
            ) -> impl Future<Output = F::Output> + use<$($consumer,)? F> {
                self.delivery.instrument(future)
            }

            /// What the message carries, for otel-core.
            pub fn delivery(&self) -> &Delivery {
                &self.delivery
            }

            /// The message of rdkafka, without its context.
            pub fn into_inner(self) -> rdkafka::message::$message $(<$consumer>)? {
                self.raw
            }
        }

        impl $(<$consumer>)? Message for $message $(<$consumer>)? {
            type Headers = <Self::Raw as rdkafka::Message>::Headers;
            type Raw = rdkafka::message::$message $(<$consumer>)?;

            fn raw(&self) -> &Self::Raw {
                &self.raw
            }
        }

        impl $(<$consumer>)? Deref for $message $(<$consumer>)? {
            type Target = rdkafka::message::$message $(<$consumer>)?;

            fn deref(&self) -> &Self::Target {
                &self.raw
            }
        }

        impl $(<$consumer>)? DerefMut for $message $(<$consumer>)? {
            fn deref_mut(&mut self) -> &mut Self::Target {
                &mut self.raw
            }
        }
    };
}

received!(BorrowedMessage<'c>);
received!(OwnedMessage);
