//! The instruments of the database metrics page, and the measurement of one operation.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};

use super::Shared;
use super::call::DbServer;
use super::pool::Registry;
use super::shape::Shape;
use crate::attribute::{self as names, metric};
use crate::failure::Failure;
use crate::options::Options;

/// The instruments of a client. A clone is another handle of the same ones.
#[derive(Clone)]
pub(crate) struct Instruments(Arc<Inner>);

struct Inner {
    duration: Histogram<f64>,
    rows: Histogram<u64>,
    pub(super) wait_time: Histogram<f64>,
    pub(super) use_time: Histogram<f64>,
    pub(super) timeouts: Counter<u64>,
}

impl Instruments {
    /// Makes the instruments, with the advised buckets as advice: a view of the user's wins.
    pub(crate) fn new(meter: &Meter, pools: &Arc<Registry>) -> Self {
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

/// What is needed to measure an operation when it ends.
pub(crate) struct Measure {
    shared: Arc<Shared>,
    /// `None` where the duration would say nothing about the server.
    shape: Option<Arc<Shape>>,
}

impl Measure {
    pub(super) fn new(shared: Arc<Shared>, shape: Option<Arc<Shape>>) -> Self {
        Self { shared, shape }
    }

    pub(crate) fn server(&self) -> &DbServer {
        &self.shared.server
    }

    pub(crate) fn options(&self) -> &Options {
        self.shared.telemetry.options()
    }

    /// Records the duration, and the rows of a success, with one set of attributes: that of the
    /// shape where nothing came to it.
    pub(crate) fn record(
        &self,
        elapsed: Duration,
        failure: Option<&Failure>,
        rows: Option<u64>,
        late: &[KeyValue],
    ) {
        let Some(shape) = &self.shape else { return };
        let Some(instruments) = self.shared.scope.known().instruments else { return };
        let Inner { duration, rows: returned, .. } = &*instruments.db.0;
        let seconds = elapsed.as_secs_f64();
        if failure.is_none() && late.is_empty() {
            duration.record(seconds, shape.on_points());
            if let Some(rows) = rows {
                returned.record(rows, shape.on_points());
            }
            return;
        }
        let mut attributes = [shape.on_points(), late].concat();
        if let Some(failure) = failure {
            attributes.push(KeyValue::new(names::ERROR_TYPE, failure.error_type.clone()));
            let code = failure.status_code.clone();
            attributes.extend(code.map(|code| KeyValue::new(names::DB_RESPONSE_STATUS_CODE, code)));
        } else if let Some(rows) = rows {
            returned.record(rows, &attributes);
        }
        duration.record(seconds, &attributes);
    }
}
