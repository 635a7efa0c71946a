//! The receipt of a published message.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

use lapin::{Confirmation, Result};

use crate::confirms::{Confirms, Watched};

/// The receipt of a message: lapin's `PublisherConfirm`. Dropped, it takes nothing back: the message is
/// sent, and its operation ends by what the broker says.
pub struct PublisherConfirm(Kind);

enum Kind {
    /// Nobody listens, or nothing is confirmed.
    Bare(lapin::PublisherConfirm),
    Watched {
        number: u64,
        receipt: Arc<Watched>,
        confirms: Arc<Confirms>,
    },
}

impl PublisherConfirm {
    pub(crate) fn bare(raw: lapin::PublisherConfirm) -> Self {
        Self(Kind::Bare(raw))
    }

    pub(crate) fn watched(number: u64, receipt: Arc<Watched>, confirms: &Arc<Confirms>) -> Self {
        Self(Kind::Watched { number, receipt, confirms: Arc::clone(confirms) })
    }
}

impl fmt::Debug for PublisherConfirm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PublisherConfirm").finish()
    }
}

impl Future for PublisherConfirm {
    type Output = Result<Confirmation>;

    fn poll(mut self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Kind::Bare(raw) => Pin::new(raw).poll(task),
            Kind::Watched { receipt, confirms, .. } => {
                let polled = receipt.poll_shared(task);
                // Also what was confirmed before it: a message may have come back with that.
                confirms.sweep();
                polled.map(|answered| answered.result)
            }
        }
    }
}

impl Drop for PublisherConfirm {
    fn drop(&mut self) {
        if let Kind::Watched { number, receipt, confirms } = &self.0 {
            confirms.dropped(*number, receipt);
        }
    }
}
