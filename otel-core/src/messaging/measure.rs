//! The instruments of the messaging metrics page, and the measurement of one operation.
//!
//! Source: <https://opentelemetry.io/docs/specs/semconv/messaging/messaging-metrics/>.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::metrics::{Counter, Histogram, Meter};
use opentelemetry::{KeyValue, StringValue};

use super::Shared;
use super::call::{MessagingServer, Step};
use super::shape::Shape;
use super::statistic::Gauges;
use crate::attribute::{self as names, metric};
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
pub(crate) struct Measure {
    pub(super) shared: Arc<Shared>,
    pub(super) shape: Arc<Shape>,
    pub(super) measured: bool,
    pub(super) step: Step,
    /// The messages that this operation counts: none that were counted before.
    pub(super) messages: usize,
    /// Whether its duration says something: to wait for a message to exist is nobody's work.
    pub(super) timed: bool,
    /// The messages of a batch that failed, by the type of their error.
    pub(super) failed: Vec<(usize, StringValue)>,
}

/// What is learnt during a call and is on points as well.
const ON_POINTS: [&str; 3] =
    [names::SERVER_ADDRESS, names::SERVER_PORT, names::MESSAGING_DESTINATION_PARTITION_ID];

impl Measure {
    pub(crate) fn server(&self) -> &MessagingServer {
        &self.shared.server
    }

    pub(crate) fn options(&self) -> &Options {
        self.shared.telemetry.options()
    }

    /// Whether an attribute was told at the start already.
    pub(crate) fn has_told(&self, name: &str) -> bool {
        self.shape.on_span().iter().any(|told| told.key.as_str() == name)
    }

    pub(crate) fn failed(&mut self, messages: usize, error_type: StringValue) {
        self.failed.push((messages, error_type));
    }

    /// Records duration and messages; each with the attributes of the shape where nothing came to
    /// them.
    pub(crate) fn record(&self, elapsed: Duration, failure: Option<&Failure>, late: &[KeyValue]) {
        let shape = &self.shape;
        if !self.measured {
            return;
        }
        let Some(instruments) = self.shared.scope.known().instruments else { return };
        let Instruments { duration, processing, sent, consumed, .. } = &instruments.messaging;
        let error = failure.map(|failure| &failure.error_type);
        let late: Vec<_> =
            late.iter().filter(|fact| ON_POINTS.contains(&fact.key.as_str())).cloned().collect();
        if self.timed {
            let (histogram, common) = match self.step {
                Step::Process => (processing, shape.on_points()),
                _ => (duration, shape.on_duration()),
            };
            with(common, &late, error, |all| histogram.record(elapsed.as_secs_f64(), all));
        }
        let counter = match self.step {
            Step::Send => sent,
            Step::Receive | Step::Process => consumed,
            Step::Create | Step::Settle => return,
        };
        let count = |messages: usize, error: Option<&StringValue>| {
            let number = u64::try_from(messages).unwrap_or(u64::MAX);
            if number > 0 {
                with(shape.on_points(), &late, error, |all| counter.add(number, all));
            }
        };
        let mut rest = self.messages;
        for (messages, error) in &self.failed {
            let messages = (*messages).min(rest);
            count(messages, Some(error));
            rest -= messages;
        }
        count(rest, error.filter(|_| self.failed.is_empty()));
    }
}

/// Runs `record` with all attributes, and copies only where something came to the common ones.
fn with(
    common: &[KeyValue],
    late: &[KeyValue],
    error: Option<&StringValue>,
    record: impl FnOnce(&[KeyValue]),
) {
    if late.is_empty() && error.is_none() {
        return record(common);
    }
    let mut all = [common, late].concat();
    all.extend(error.map(|error| KeyValue::new(names::ERROR_TYPE, error.clone())));
    record(&all);
}
