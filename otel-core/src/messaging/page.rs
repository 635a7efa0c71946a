//! Layer `messaging`: what a step on a message's way keeps while it runs, measures and tells.
//!
//! Source: <https://opentelemetry.io/docs/specs/semconv/messaging/messaging-metrics/>.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use opentelemetry::{KeyValue, StringValue, Value};

use super::call::{MessagingServer, Step};
use super::fact::{Fact, Of};
use super::instruments::Instruments;
use super::shape::{Shape, Shapes};
use crate::attribute as names;
use crate::failure::Failure;
use crate::operation::Operation;
use crate::page::{Ended, Page as _, Site};
use crate::text::shared;

/// A step on a message's way while it runs.
pub type MessagingOperation<C> = Operation<C, Page>;

/// What all operations of a handle have in common.
pub(super) struct Shared {
    pub(super) site: Site<Instruments>,
    pub(super) server: MessagingServer,
    pub(super) shapes: Shapes,
}

/// The messaging page of the conventions: what one step on a message's way measures and tells.
///
/// Boxed, because an operation is moved often.
pub struct Page(pub(super) Box<Inner>);

/// What is needed to measure an operation when it ends.
pub(super) struct Inner {
    pub(super) shared: Arc<Shared>,
    pub(super) shape: Arc<Shape>,
    pub(super) step: Step,
    /// The messages that this operation counts: none that were counted before.
    pub(super) messages: usize,
    /// Whether its duration says something: to wait for a message to exist is nobody's work.
    pub(super) timed: bool,
    /// Whether it is about a batch, of which facts of one message are not told.
    pub(super) batch: bool,
    /// The facts that were told at the start.
    pub(super) told: Vec<&'static str>,
    /// The messages of a batch that failed, by the type of their error.
    pub(super) failed: Vec<(usize, StringValue)>,
    /// Whether the call failed, and not only some of its messages.
    pub(super) gave_up: bool,
}

/// What is learnt during a call and is on points as well.
const ON_POINTS: [&str; 5] = [
    names::SERVER_ADDRESS,
    names::SERVER_PORT,
    names::MESSAGING_DESTINATION_NAME,
    names::MESSAGING_DESTINATION_TEMPLATE,
    names::MESSAGING_DESTINATION_PARTITION_ID,
];

impl fmt::Debug for Page {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = &self.0.shared.server;
        formatter.debug_struct("Page").field("server", server).finish_non_exhaustive()
    }
}

impl crate::page::Page for Page {
    type Instruments = Instruments;

    fn site(&self) -> &Site<Instruments> {
        &self.0.shared.site
    }

    fn name(&self) -> Cow<'static, str> {
        self.0.shape.name.clone()
    }

    fn knows(&self, attribute: &str) -> bool {
        let in_shape = || self.0.shape.on_span().iter().any(|it| it.key.as_str() == attribute);
        self.0.told.contains(&attribute) || in_shape()
    }

    fn gave_up(&mut self) {
        self.0.gave_up = true;
    }

    /// Records duration and messages.
    fn measure(&self, instruments: &Instruments, ended: &Ended<'_>) {
        let Inner { step, timed, messages, failed, gave_up, .. } = &*self.0;
        let Instruments { duration, processing, sent, consumed, .. } = instruments;
        let error = ended.failure.map(|failure| &failure.error_type);
        let all = self.points(ended.learnt, error);
        if *timed {
            let (histogram, all) = match step {
                Step::Process => (processing, untyped(&all)),
                _ => (duration, &*all),
            };
            histogram.record(ended.elapsed.as_secs_f64(), all);
        }
        let counter = match step {
            Step::Send => sent,
            Step::Receive | Step::Process => consumed,
            Step::Create | Step::Settle => return,
        };
        let count = |messages: usize, all: &[KeyValue]| {
            if messages > 0 {
                counter.add(u64::try_from(messages).unwrap_or(u64::MAX), untyped(all));
            }
        };
        let mut rest = *messages;
        for (messages, error) in failed {
            let messages = (*messages).min(rest);
            count(messages, &self.points(ended.learnt, Some(error)));
            rest -= messages;
        }
        // The failure of some is not that of the others.
        let others_done = !failed.is_empty() && !gave_up;
        if others_done { count(rest, &self.points(ended.learnt, None)) } else { count(rest, &all) }
    }
}

impl Page {
    /// The attributes of a point, the operation's type last; copied only where something came to
    /// those of the shape.
    fn points(&self, learnt: &[KeyValue], error: Option<&StringValue>) -> Cow<'_, [KeyValue]> {
        let common = self.0.shape.on_duration();
        // Of a name that has a template there are many.
        let is_one_of_many =
            learnt.iter().any(|fact| fact.key.as_str() == names::MESSAGING_DESTINATION_TEMPLATE);
        let is_on_points = |fact: &&KeyValue| {
            let name = fact.key.as_str();
            ON_POINTS.contains(&name)
                && !(is_one_of_many && name == names::MESSAGING_DESTINATION_NAME)
        };
        let learnt = learnt.iter().filter(is_on_points);
        if learnt.clone().next().is_none() && error.is_none() {
            return Cow::Borrowed(common);
        }
        let mut all = Vec::with_capacity(common.len() + learnt.clone().count() + 1);
        all.extend_from_slice(untyped(common));
        all.extend(learnt.cloned());
        all.extend(error.map(|error| KeyValue::new(names::ERROR_TYPE, error.clone())));
        all.extend(common.last().cloned());
        Cow::Owned(all)
    }
}

/// Without the operation's type, which only the duration of a client's operation tells.
fn untyped(points: &[KeyValue]) -> &[KeyValue] {
    points.split_last().map_or(points, |(_, rest)| rest)
}

impl<C> MessagingOperation<C> {
    /// Tells a fact that is learnt during the call: the id or the offset that the broker gave to a
    /// message. What the call told already stays; of what is learnt twice the last word counts.
    ///
    /// A fact of a database call is none of a message:
    ///
    /// ```compile_fail,E0308
    /// # fn step<C>(mut operation: otel_core::MessagingOperation<C>) {
    /// operation.learn(otel_core::db::fact::CASSANDRA_COORDINATOR_DC, "west");
    /// # }
    /// ```
    pub fn learn<T: Into<Value>>(&mut self, fact: Fact<T>, value: impl Into<T>) {
        let Some(page) = self.page() else { return };
        if page.knows(fact.name()) || (page.0.batch && fact.of() == Of::OneMessage) {
            return;
        }
        let options = page.site().telemetry().options();
        let value = value.into().into();
        let is_destination = fact.name() == names::MESSAGING_DESTINATION_NAME;
        let template = is_destination.then(|| options.template_of(&value.as_str())).flatten();
        let Some(value) = fact.shown(value, options) else { return };
        self.put(fact.name(), value);
        if let Some(template) = template {
            self.put(names::MESSAGING_DESTINATION_TEMPLATE, shared(template));
        }
    }

    /// Tells that of the messages of a batch so many failed in this way. May be called once for each
    /// way; the first one is the operation's failure. The others of the batch count as done, unless
    /// the operation itself then fails or is dropped: they share its error.
    ///
    /// A database call has no messages:
    ///
    /// ```compile_fail,E0599
    /// # fn call<C>(mut operation: otel_core::DbOperation<C>) {
    /// operation.failed_messages(1, otel_core::Failure::new("too_large"));
    /// # }
    /// ```
    pub fn failed_messages(&mut self, messages: usize, failure: Failure) {
        if messages == 0 {
            return;
        }
        if let Some(page) = self.page_mut() {
            page.0.failed.push((messages, failure.error_type.clone()));
        }
        if !self.has_failed() {
            self.failed(failure);
        }
    }

    /// Tells that what is done is out of the caller's hands, as a message in the client's queue: to
    /// drop the receipt is not to cancel, and ends the operation without an error.
    ///
    /// To drop the future of a database call is to cancel it:
    ///
    /// ```compile_fail,E0599
    /// # fn call<C>(mut operation: otel_core::DbOperation<C>) {
    /// operation.handed_over();
    /// # }
    /// ```
    pub fn handed_over(&mut self) {
        self.hand_over();
    }
}
