//! Layer `db`: the instruments of the database metrics page.
//!
//! Source: <https://opentelemetry.io/docs/specs/semconv/database/database-metrics/>.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};

use super::registry::Registry;
use crate::attribute::metric;

/// The instruments of a client. A clone is another handle of the same ones.
#[derive(Clone)]
pub struct Instruments(Arc<Inner>);

struct Inner {
    duration: Histogram<f64>,
    rows: Histogram<u64>,
    create_time: Histogram<f64>,
    wait_time: Histogram<f64>,
    use_time: Histogram<f64>,
    timeouts: Counter<u64>,
}

impl fmt::Debug for Instruments {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Instruments").finish_non_exhaustive()
    }
}

impl crate::page::Instruments for Instruments {
    type Before = Registry;

    /// With the advised buckets as advice: a view of the user's wins.
    fn new(meter: &Meter, pools: &Arc<Registry>) -> Self {
        let seconds = |name: &'static str, description: &'static str| {
            meter.f64_histogram(name).with_unit("s").with_description(description)
        };
        let inner = Inner {
            duration: seconds(
                metric::DB_CLIENT_OPERATION_DURATION,
                "Duration of database client operations.",
            )
            .with_boundaries(metric::DURATION_BOUNDARIES.to_vec())
            .build(),
            rows: meter
                .u64_histogram(metric::DB_CLIENT_RESPONSE_RETURNED_ROWS)
                .with_unit("{row}")
                .with_description("The actual number of records returned by the database operation.")
                .with_boundaries(metric::ROWS_BOUNDARIES.to_vec())
                .build(),
            create_time: seconds(
                metric::DB_CLIENT_CONNECTION_CREATE_TIME,
                "The time it took to create a new connection.",
            )
            .with_boundaries(metric::DURATION_BOUNDARIES.to_vec())
            .build(),
            wait_time: seconds(
                metric::DB_CLIENT_CONNECTION_WAIT_TIME,
                "The time it took to obtain an open connection from the pool.",
            )
            .with_boundaries(metric::DURATION_BOUNDARIES.to_vec())
            .build(),
            use_time: seconds(
                metric::DB_CLIENT_CONNECTION_USE_TIME,
                "The time between borrowing a connection and returning it to the pool.",
            )
            .with_boundaries(metric::DURATION_BOUNDARIES.to_vec())
            .build(),
            timeouts: meter
                .u64_counter(metric::DB_CLIENT_CONNECTION_TIMEOUTS)
                .with_unit("{timeout}")
                .with_description("The number of connection timeouts that have occurred trying to obtain a connection from the pool.")
                .build(),
        };
        pools.observe(meter);
        Self(Arc::new(inner))
    }
}

impl Instruments {
    pub(super) fn lasted(&self, elapsed: Duration, attributes: &[KeyValue]) {
        self.0.duration.record(elapsed.as_secs_f64(), attributes);
    }

    pub(super) fn returned(&self, rows: u64, attributes: &[KeyValue]) {
        self.0.rows.record(rows, attributes);
    }

    pub(super) fn created(&self, elapsed: Duration, pool: &[KeyValue]) {
        self.0.create_time.record(elapsed.as_secs_f64(), pool);
    }

    pub(super) fn waited(&self, elapsed: Duration, pool: &[KeyValue]) {
        self.0.wait_time.record(elapsed.as_secs_f64(), pool);
    }

    pub(super) fn used(&self, elapsed: Duration, pool: &[KeyValue]) {
        self.0.use_time.record(elapsed.as_secs_f64(), pool);
    }

    pub(super) fn timed_out(&self, pool: &[KeyValue]) {
        self.0.timeouts.add(1, pool);
    }
}
