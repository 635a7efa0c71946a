//! What settles a message.

use std::fmt;

use lapin::Result;
use lapin::options::{BasicAckOptions, BasicNackOptions, BasicRejectOptions};
use lapin::types::DeliveryTag;
use otel_core::Failure;

use crate::forward::{forward, leads_to_raw};
use crate::message::Received;
use crate::reception::Settlement;

/// Settles a message: lapin's `Acker`. It keeps what its span links to. A clone is another handle of the
/// same message.
#[derive(Clone)]
pub struct Acker {
    raw: lapin::Acker,
    tag: DeliveryTag,
    received: Received,
}

leads_to_raw!(Acker, lapin::Acker);

impl fmt::Debug for Acker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.raw.fmt(formatter)
    }
}

impl PartialEq for Acker {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}

impl Acker {
    pub(crate) fn of(raw: lapin::Acker, tag: DeliveryTag, received: Received) -> Self {
        Self { raw, tag, received }
    }

    /// As lapin's `Acker::ack`.
    pub async fn ack(&self, options: BasicAckOptions) -> Result<bool> {
        let settlement = self.settle("ack", options.multiple);
        settlement.run_once(self.raw.ack(options), || self.why_not()).await
    }

    /// As lapin's `Acker::nack`. It is no error.
    pub async fn nack(&self, options: BasicNackOptions) -> Result<bool> {
        let settlement = self.settle("nack", options.multiple);
        settlement.run_once(self.raw.nack(options), || self.why_not()).await
    }

    /// As lapin's `Acker::reject`. It is no error.
    pub async fn reject(&self, options: BasicRejectOptions) -> Result<bool> {
        let settlement = self.settle("reject", false);
        settlement.run_once(self.raw.reject(options), || self.why_not()).await
    }

    forward! { "Acker"
        fn poisoned(&self) -> bool;
        fn usable(&self) -> bool;
    }

    fn settle(&self, operation: &'static str, multiple: bool) -> Settlement<'_> {
        let Received { carried, known, link, .. } = &self.received;
        let own = known.as_ref().map(|known| (&**known, carried));
        link.settle(operation, (self.tag, multiple), own, self.raw.usable())
    }

    fn why_not(&self) -> Failure {
        Failure::new(if self.raw.poisoned() { "channel_lost" } else { "already_settled" })
    }
}
