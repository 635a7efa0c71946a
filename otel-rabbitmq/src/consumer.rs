//! The messages of a queue.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

use futures_core::Stream;
use lapin::Result;
use lapin::types::ShortString;

use crate::delegate::{ConsumerDelegate, Delegate};
use crate::forward::{forward, leads_to_raw};
use crate::message::Delivery;
use crate::reception::{Link, Origin};

/// The messages of a queue: lapin's `Consumer`. Each has a span that begins when the message is there;
/// one that a delegate gets has the span of that. A clone is another handle of the same consumer.
#[derive(Clone)]
pub struct Consumer {
    raw: lapin::Consumer,
    link: Arc<Link>,
    origin: Arc<Origin>,
}

leads_to_raw!(Consumer, lapin::Consumer);

impl fmt::Debug for Consumer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.raw.fmt(formatter)
    }
}

impl Consumer {
    pub(crate) fn of(raw: lapin::Consumer, link: &Arc<Link>, origin: Origin) -> Self {
        Self { raw, link: Arc::clone(link), origin: Arc::new(origin) }
    }

    /// As lapin's `Consumer::set_delegate`. What the delegate does with a message is its processing.
    pub fn set_delegate<D: ConsumerDelegate + 'static>(&self, delegate: D) {
        let (link, origin) = (Arc::clone(&self.link), Arc::clone(&self.origin));
        self.raw.set_delegate(Delegate::new(delegate, link, origin));
    }

    forward! { "Consumer"
        fn tag(&self) -> ShortString;
        fn queue(&self) -> ShortString;
    }
}

impl Stream for Consumer {
    type Item = Result<Delivery>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        task: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Delivery>>> {
        let Self { raw, link, origin } = &mut *self;
        Pin::new(raw).poll_next(task).map(|item| {
            let arrival = link.messaging().arrival();
            match item? {
                Ok(raw) => Some(Ok(link.received("consume", arrival, raw, origin))),
                Err(error) => {
                    arrival.failed(&error, || origin.failing("consume"));
                    Some(Err(error))
                }
            }
        })
    }
}
