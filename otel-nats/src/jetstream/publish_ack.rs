//! The receipt of a message that JetStream is to store.

use std::fmt;
use std::future::IntoFuture;
use std::mem;

use async_nats::jetstream::context as raw;
use async_nats::jetstream::publish::PublishAck;
use otel_core::MessagingOperation;
use otel_core::messaging::{Receipt, fact};
use tokio::runtime::{Handle, Id};

use crate::driver::Nats;

/// The receipt of a message: async-nats's `PublishAckFuture`. Dropped, it takes nothing back: the
/// message is stored, and its operation ends with the stream's answer.
pub struct PublishAckFuture {
    /// Until this is awaited or dropped. It is not polled before: with the answer, async-nats lets
    /// go of the message's place among those in flight.
    raw: Option<raw::PublishAckFuture>,
    operation: MessagingOperation<Nats>,
    /// Whether the application gave the message an id.
    has_id: bool,
    /// Where there are timers.
    runtime: Option<Id>,
}

impl PublishAckFuture {
    pub(super) fn new(
        raw: raw::PublishAckFuture,
        mut operation: MessagingOperation<Nats>,
        has_id: bool,
    ) -> Self {
        operation.handed_over();
        let is_told = !operation.is_empty();
        let runtime = is_told.then(current).flatten();
        Self { raw: Some(raw), operation, has_id, runtime }
    }
}

fn current() -> Option<Id> {
    Handle::try_current().ok().map(|runtime| runtime.id())
}

type Stored = Result<PublishAck, raw::PublishError>;

/// Ends the operation of a message by the stream's answer. That it has the message already is no
/// failure.
fn end(has_id: bool) -> impl FnOnce(MessagingOperation<Nats>, &Stored) + Send + 'static {
    move |mut operation, stored| {
        if let (Ok(PublishAck { stream, sequence, .. }), false) = (stored, has_id) {
            operation.learn(fact::MESSAGE_ID, format!("{stream}:{sequence}"));
        }
        operation.finish_with(stored);
    }
}

impl IntoFuture for PublishAckFuture {
    type Output = Stored;
    type IntoFuture = <raw::PublishAckFuture as IntoFuture>::IntoFuture;

    fn into_future(mut self) -> Self::IntoFuture {
        let operation = mem::replace(&mut self.operation, MessagingOperation::empty());
        match self.raw.take() {
            Some(raw) if operation.is_empty() => raw.into_future(),
            Some(raw) => Box::pin(operation.run_to_end(raw.into_future(), end(self.has_id))),
            None => Box::pin(std::future::pending()),
        }
    }
}

/// What nobody waits for is watched, as long as async-nats would wait for it. Its timer belongs to
/// the runtime that published: elsewhere, and once that is gone, the operation ends with the message
/// out of its hands.
impl Drop for PublishAckFuture {
    fn drop(&mut self) {
        let operation = mem::replace(&mut self.operation, MessagingOperation::empty());
        if self.runtime.is_none() || self.runtime != current() {
            return;
        }
        if let Some(raw) = self.raw.take() {
            let receipt = tokio::task::unconstrained(raw.into_future());
            drop(Receipt::watch(receipt, operation, end(self.has_id)));
        }
    }
}

impl fmt::Debug for PublishAckFuture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PublishAckFuture").field("raw", &self.raw).finish_non_exhaustive()
    }
}
