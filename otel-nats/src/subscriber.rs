//! The messages of a subscription.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

use async_nats::UnsubscribeError;
use futures_core::Stream;

use crate::forward::{debug, forward, leads_to_raw};
use crate::message::Message;
use crate::reception::Reception;

/// The messages of a subscription: async-nats's `Subscriber`. Each has a span that begins when the
/// message is there.
pub struct Subscriber {
    raw: async_nats::Subscriber,
    reception: Arc<Reception>,
}

debug!([] Subscriber Subscriber, raw);
leads_to_raw!([] Subscriber, async_nats::Subscriber);

impl Subscriber {
    pub(crate) fn from_parts(raw: async_nats::Subscriber, reception: Arc<Reception>) -> Self {
        Self { raw, reception }
    }

    forward! { "Subscriber"
        async fn unsubscribe[](&mut self) -> Result<(), UnsubscribeError>;
        async fn unsubscribe_after[](&mut self, unsub_after: u64) -> Result<(), UnsubscribeError>;
        async fn drain[](&mut self) -> Result<(), UnsubscribeError>;
    }
}

impl Stream for Subscriber {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<Option<Message>> {
        let polled = Pin::new(&mut self.raw).poll_next(task);
        let receive = |raw| self.reception.received(self.reception.messaging().arrival(), raw);
        polled.map(|message| message.map(receive))
    }
}
