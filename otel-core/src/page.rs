//! Layer `operation`: what an operation asks of the page of the conventions that it belongs to.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::{Context, KeyValue};

use crate::attribute as names;
use crate::client::Client;
use crate::failure::Failure;
use crate::late::{Found, Scope};
use crate::telemetry::Telemetry;

pub use crate::late::Instruments;

/// What one operation measures and tells beyond its span, by the page of the conventions that it
/// belongs to: [`db::Page`](crate::db::Page) and [`messaging::Page`](crate::messaging::Page), or one
/// of your own.
///
/// An operation owns the value while it runs: facts that belong to the page are kept in it.
pub trait Page: Sized {
    /// What it measures with.
    type Instruments: Instruments;

    /// The handle that the call was made with.
    fn site(&self) -> &Site<Self::Instruments>;

    /// The name of the span.
    fn name(&self) -> Cow<'static, str>;

    /// Whether this attribute was told at the start, and is not to be told anew when it is learnt
    /// during the call: `server.address` where one was configured.
    fn knows(&self, attribute: &str) -> bool;

    /// Whether this port of a server, learnt during the call, is told. Default: always.
    fn tells_port(&self, _port: u16) -> bool {
        true
    }

    /// Hears that the call itself failed, and not only a part of what it was about.
    fn gave_up(&mut self) {}

    /// Hears that the call was cancelled, where the user takes that for no failure: what it would
    /// have come to is not known.
    fn cut_short(&mut self) {}

    /// Gives the attributes that a span gets at its end, beside `error.type` and what was learnt.
    /// Not asked where nobody records the span.
    fn tell(&mut self, _failure: Option<&mut Failure>, _put: &mut dyn FnMut(KeyValue)) {}

    /// Records the end of the operation. Not asked where nobody measures.
    fn measure(&self, instruments: &Self::Instruments, ended: &Ended<'_>);
}

/// How an operation ended, the same for its span and for what is measured of it.
#[derive(Clone, Copy, Debug)]
pub struct Ended<'e> {
    /// How long it took.
    pub elapsed: Duration,
    /// How it failed, if it did.
    pub failure: Option<&'e Failure>,
    /// What was learnt while it ran, as the span tells it.
    pub learnt: &'e [KeyValue],
}

impl Ended<'_> {
    /// The `error.type`, if it failed.
    pub fn error_type(&self) -> Option<KeyValue> {
        Some(KeyValue::new(names::ERROR_TYPE, self.failure?.error_type.clone()))
    }
}

/// One instrumented handle, whatever its page: where its operations are told. A clone is another
/// handle of the same value.
pub struct Site<I: Instruments> {
    telemetry: Telemetry,
    scope: Arc<Scope<I>>,
}

impl<I: Instruments> Clone for Site<I> {
    fn clone(&self) -> Self {
        Self { telemetry: self.telemetry.clone(), scope: Arc::clone(&self.scope) }
    }
}

impl<I: Instruments> fmt::Debug for Site<I> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Site").field("telemetry", &self.telemetry).finish_non_exhaustive()
    }
}

impl<I: Instruments> Site<I> {
    /// A handle of a client.
    pub fn new<C: Client>(telemetry: &Telemetry) -> Self {
        Self { telemetry: telemetry.clone(), scope: telemetry.scope::<C, I>() }
    }

    /// Where its telemetry goes.
    pub fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    /// Whether a call made now would emit nothing.
    pub fn is_off(&self) -> bool {
        Context::map_current(Context::is_telemetry_suppressed) || self.scope.is_silent()
    }

    /// As [`is_off`](Self::is_off), for a call below another context than the current one.
    pub(crate) fn is_off_in(&self, context: &Context) -> bool {
        context.is_telemetry_suppressed() || self.scope.is_silent()
    }

    /// What it measures with, where somebody measures.
    pub fn instruments(&self) -> Option<&I> {
        self.scope.known().instruments
    }

    /// What was found so far.
    pub(crate) fn known(&self) -> Found<'_, I> {
        self.scope.known()
    }

    /// What there is to report to, for a call that starts.
    pub(crate) fn found(&self) -> Found<'_, I> {
        self.scope.found()
    }

    /// What there is of the instruments before a meter is found.
    pub(crate) fn before(&self) -> &Arc<I::Before> {
        &self.scope.before
    }
}
