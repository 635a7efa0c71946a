//! The instruments of the messaging metrics page, and the measurement of one operation.
//!
//! Source: <https://opentelemetry.io/docs/specs/semconv/messaging/messaging-metrics/>.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::metrics::{Counter, Histogram, Meter};
use opentelemetry::{KeyValue, StringValue, Value};

use super::Shared;
use super::call::{MessagingServer, Step};
use super::fact::{Fact, Of};
use super::shape::Shape;
use super::statistic::Gauges;
use crate::attribute::{self as names, metric};
use crate::db::shared;
use crate::failure::Failure;
use crate::options::Options;

/// The instruments of a client.
pub(crate) struct Instruments {
    duration: Histogram<f64>,
    processing: Histogram<f64>,
    sent: Counter<u64>,
    consumed: Counter<u64>,
    pub(super) gauges: Gauges,
}

impl Instruments {
    /// Makes the instruments, with the advised buckets as advice: a view of the user's wins.
    pub(crate) fn new(meter: &Meter) -> Self {
        let seconds = |name: &'static str, description: &'static str| {
            meter
                .f64_histogram(name)
                .with_unit("s")
                .with_description(description)
                .with_boundaries(metric::MESSAGING_BOUNDARIES.to_vec())
                .build()
        };
        let messages = |name: &'static str, description: &'static str| {
            meter.u64_counter(name).with_unit("{message}").with_description(description).build()
        };
        Self {
            duration: seconds(
                metric::MESSAGING_CLIENT_OPERATION_DURATION,
                "Duration of messaging operation initiated by a producer or consumer client.",
            ),
            processing: seconds(
                metric::MESSAGING_PROCESS_DURATION,
                "Duration of processing operation.",
            ),
            sent: messages(
                metric::MESSAGING_CLIENT_SENT_MESSAGES,
                "Number of messages producer attempted to send to the broker.",
            ),
            consumed: messages(
                metric::MESSAGING_CLIENT_CONSUMED_MESSAGES,
                "Number of messages that were delivered to the application.",
            ),
            gauges: Gauges::new(meter),
        }
    }
}

/// What is needed to measure an operation when it ends.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each with a name of its own")]
pub(crate) struct Measure {
    pub(super) shared: Arc<Shared>,
    pub(super) shape: Arc<Shape>,
    pub(super) measured: bool,
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

impl Measure {
    pub(crate) fn server(&self) -> &MessagingServer {
        &self.shared.server
    }

    pub(crate) fn options(&self) -> &Options {
        self.shared.telemetry.options()
    }

    /// Whether an attribute was told at the start already.
    pub(crate) fn has_told(&self, name: &str) -> bool {
        let in_shape = || self.shape.on_span().iter().any(|told| told.key.as_str() == name);
        self.told.contains(&name) || in_shape()
    }

    /// What is to be told of a fact that is learnt during the call, and a template if it is a
    /// destination that has one.
    pub(crate) fn learnt<T>(
        &self,
        fact: Fact<T>,
        value: Value,
    ) -> (Option<Value>, Option<StringValue>) {
        if self.has_told(fact.name()) || (self.batch && fact.of() == Of::OneMessage) {
            return (None, None);
        }
        let is_destination = fact.name() == names::MESSAGING_DESTINATION_NAME;
        let template = is_destination.then(|| self.options().template_of(&value.as_str()));
        (fact.shown(value, self.options()), template.flatten().map(shared))
    }

    pub(crate) fn give_up(&mut self) {
        self.gave_up = true;
    }

    pub(crate) fn failed(&mut self, messages: usize, error_type: StringValue) {
        self.failed.push((messages, error_type));
    }

    /// Records duration and messages.
    pub(crate) fn record(&self, elapsed: Duration, failure: Option<&Failure>, late: &[KeyValue]) {
        if !self.measured {
            return;
        }
        let Some(instruments) = self.shared.scope.known().instruments else { return };
        let Instruments { duration, processing, sent, consumed, .. } = &instruments.messaging;
        let error = failure.map(|failure| &failure.error_type);
        let all = self.points(late, error);
        if self.timed {
            let (histogram, all) = match self.step {
                Step::Process => (processing, untyped(&all)),
                _ => (duration, &*all),
            };
            histogram.record(elapsed.as_secs_f64(), all);
        }
        let counter = match self.step {
            Step::Send => sent,
            Step::Receive | Step::Process => consumed,
            Step::Create | Step::Settle => return,
        };
        let count = |messages: usize, all: &[KeyValue]| {
            if messages > 0 {
                counter.add(u64::try_from(messages).unwrap_or(u64::MAX), untyped(all));
            }
        };
        let mut rest = self.messages;
        for (messages, error) in &self.failed {
            let messages = (*messages).min(rest);
            count(messages, &self.points(late, Some(error)));
            rest -= messages;
        }
        // The failure of some is not that of the others.
        let others_done = !self.failed.is_empty() && !self.gave_up;
        if others_done { count(rest, &self.points(late, None)) } else { count(rest, &all) }
    }

    /// The attributes of a point, the operation's type last; copied only where something came to
    /// those of the shape.
    fn points(&self, late: &[KeyValue], error: Option<&StringValue>) -> Cow<'_, [KeyValue]> {
        let common = self.shape.on_duration();
        // Of a name that has a template there are many.
        let is_one_of_many =
            late.iter().any(|fact| fact.key.as_str() == names::MESSAGING_DESTINATION_TEMPLATE);
        let is_on_points = |fact: &&KeyValue| {
            let name = fact.key.as_str();
            ON_POINTS.contains(&name)
                && !(is_one_of_many && name == names::MESSAGING_DESTINATION_NAME)
        };
        let late = late.iter().filter(is_on_points);
        if late.clone().next().is_none() && error.is_none() {
            return Cow::Borrowed(common);
        }
        let mut all = Vec::with_capacity(common.len() + late.clone().count() + 1);
        all.extend_from_slice(untyped(common));
        all.extend(late.cloned());
        all.extend(error.map(|error| KeyValue::new(names::ERROR_TYPE, error.clone())));
        all.extend(common.last().cloned());
        Cow::Owned(all)
    }
}

/// Without the operation's type, which only the duration of a client's operation tells.
fn untyped(points: &[KeyValue]) -> &[KeyValue] {
    points.split_last().map_or(points, |(_, rest)| rest)
}
