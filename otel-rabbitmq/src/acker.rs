//! What settles a message.

use std::fmt;
use std::sync::Arc;

use lapin::Result;
use lapin::options::{BasicAckOptions, BasicNackOptions, BasicRejectOptions};
use lapin::types::DeliveryTag;
use otel_core::Failure;
use otel_core::messaging::Delivery as Carried;

use crate::driver::Known;
use crate::forward::{forward, leads_to_raw};
use crate::reception::{Link, Settlement};

/// Settles a message: lapin's `Acker`. It keeps what its span links to. A clone is another handle of the
/// same message.
#[derive(Clone)]
pub struct Acker {
    raw: lapin::Acker,
    tag: DeliveryTag,
    carried: Carried,
    known: Option<Arc<Known>>,
    link: Arc<Link>,
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
    pub(crate) fn of(
        raw: lapin::Acker,
        tag: DeliveryTag,
        (carried, known): (Carried, Option<Arc<Known>>),
        link: &Arc<Link>,
    ) -> Self {
        Self { raw, tag, carried, known, link: Arc::clone(link) }
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

    /// Nothing is sent for what cannot be settled any more: its tag may be another message's by now.
    fn settle(&self, operation: &'static str, multiple: bool) -> Settlement<'_> {
        let own = self.known.as_ref().map(|known| (&**known, &self.carried));
        if self.raw.usable() {
            self.link.settle(operation, self.tag, multiple, own)
        } else {
            self.link.settle_in_vain(operation, self.tag, own)
        }
    }

    fn why_not(&self) -> Failure {
        Failure::new(if self.raw.poisoned() { "channel_lost" } else { "already_settled" })
    }
}
