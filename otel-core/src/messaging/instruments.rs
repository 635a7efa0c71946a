//! Layer `messaging`: the instruments of the messaging metrics page.
//!
//! Source: <https://opentelemetry.io/docs/specs/semconv/messaging/messaging-metrics/>.

use std::fmt;
use std::sync::Arc;

use opentelemetry::metrics::{Counter, Histogram, Meter};

use crate::attribute::metric;

/// The instruments of a client.
pub struct Instruments {
    pub(super) duration: Histogram<f64>,
    pub(super) processing: Histogram<f64>,
    pub(super) sent: Counter<u64>,
    pub(super) consumed: Counter<u64>,
    pub(super) meter: Meter,
}

impl fmt::Debug for Instruments {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Instruments").finish_non_exhaustive()
    }
}

impl crate::page::Instruments for Instruments {
    type Before = ();

    /// With the advised buckets as advice: a view of the user's wins.
    fn new(meter: &Meter, _: &Arc<()>) -> Self {
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
            meter: meter.clone(),
        }
    }
}
