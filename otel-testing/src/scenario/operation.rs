//! What holds for every operation: one span and one measurement, of one duration and outcome.

use opentelemetry::trace::{FutureExt as _, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, Value};
use opentelemetry_sdk::trace::SpanData;

use crate::assert::ExpectedSpan;
use crate::{Capture, metric};

pub(super) const ERROR_TYPE: &str = "error.type";

/// What the clock of spans can tell apart, in seconds; two readings of it are further apart.
const CLOCK: f64 = if cfg!(windows) { 1e-7 } else { 1e-9 };

/// Judges the operations that are measured by this histogram.
pub(super) struct Judge {
    pub(super) duration: &'static str,
}

impl Judge {
    #[track_caller]
    pub(super) fn assert_nothing(&self, capture: &Capture) {
        capture.check();
        capture.assert_no_spans();
        capture.assert_no_metric(self.duration);
    }

    /// One span, ended; one measurement of the same duration and outcome. Gives the measured type of
    /// the error.
    #[track_caller]
    pub(super) fn assert_operation(
        &self,
        capture: &Capture,
        expected: &ExpectedSpan,
    ) -> Option<Value> {
        capture.check();
        capture.assert_spans([expected.clone()]);
        self.assert_measured(capture, expected, capture.spans().first())
    }

    #[track_caller]
    pub(super) fn assert_measured(
        &self,
        capture: &Capture,
        expected: &ExpectedSpan,
        span: Option<&SpanData>,
    ) -> Option<Value> {
        let name = self.duration;
        let metric = capture.assert_metric(metric(name).histogram().unit("s"));
        let [point] = &metric.points[..] else {
            panic!("one point of {name} expected, captured {:#?}", metric.points);
        };
        assert_eq!(point.count(), Some(1), "one measurement expected: {point:#?}");
        for attribute in &point.attributes {
            assert!(
                expected.allows(attribute),
                "{name} was measured with {attribute:?}, which the span is not expected to have"
            );
        }
        if let Some(span) = span {
            let error =
                span.attributes.iter().find(|attribute| attribute.key.as_str() == ERROR_TYPE);
            assert_eq!(
                error.map(|error| &error.value),
                point.attribute(ERROR_TYPE),
                "{ERROR_TYPE} of the span (left) and of {name} (right)"
            );
            let duration = span.end_time.duration_since(span.start_time).unwrap_or_default();
            assert!(
                (duration.as_secs_f64() - point.sum()).abs() < CLOCK,
                "the span took {duration:?}, but {name} says {} s: one clock must tell both",
                point.sum()
            );
        }
        point.attribute(ERROR_TYPE).cloned()
    }
}

/// Runs a call below a span `parent`.
pub(super) async fn with_parent(capture: &Capture, call: impl Future<Output = ()>) {
    let context = Context::current_with_span(capture.tracer("test").start("parent"));
    call.with_context(context.clone()).await;
    context.span().end();
}

/// Panics if a call allocates more than the bare one, but for the rare ones that look whether a
/// provider has come: a call may be several `operations`, each of which may be such a one.
#[track_caller]
pub(super) fn assert_off(operations: usize, call: impl Fn(), bare: impl Fn()) {
    /// Each of the first thousand calls looks for a provider, and then one of 64.
    const WARM_UP: usize = 1100;
    const COUNTED: usize = 63;

    (0..WARM_UP).for_each(|_| call());
    let bare = (0..COUNTED).map(|_| allocations(&bare)).max();
    let ours: Vec<u64> = (0..COUNTED).map(|_| allocations(&call)).collect();
    let more = ours.iter().filter(|count| Some(**count) > bare).count();
    assert!(
        more <= operations,
        "without a provider {more} of {COUNTED} calls allocate more than the bare driver: {ours:?}"
    );
}

#[cfg(feature = "allocations")]
fn allocations(call: impl FnOnce()) -> u64 {
    allocation_counter::measure(call).count_total
}

#[cfg(not(feature = "allocations"))]
fn allocations(_call: impl FnOnce()) -> u64 {
    panic!("the scenario `off` counts allocations: give otel-testing its feature `allocations`")
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;
    use std::time::{Duration, SystemTime};

    use opentelemetry::KeyValue;
    use opentelemetry::metrics::MeterProvider as _;
    use opentelemetry::trace::{Span as _, SpanBuilder, Tracer as _};

    use super::*;
    use crate::span;

    /// Judges a span of one second with these attributes, and these measurements.
    fn judge(span_error: &'static str, measured: &[(f64, &[KeyValue])]) -> Result<(), String> {
        let judged = catch_unwind(|| {
            let capture = Capture::new();
            let start = SystemTime::now();
            let builder = SpanBuilder::from_name("call")
                .with_start_time(start)
                .with_attributes([KeyValue::new(ERROR_TYPE, span_error)]);
            let mut call = capture.tracer("test").build(builder);
            call.end_with_timestamp(start + Duration::from_secs(1));
            let meter = capture.meter_provider().meter("test");
            let duration = meter.f64_histogram("duration").with_unit("s").build();
            for (seconds, attributes) in measured {
                duration.record(*seconds, attributes);
            }
            let expected = span("call").any_attribute(ERROR_TYPE);
            Judge { duration: "duration" }.assert_operation(&capture, &expected);
        });
        judged.map_err(|panic| {
            panic.downcast::<String>().map_or_else(|_| String::new(), |text| *text)
        })
    }

    #[test]
    fn span_and_metric_must_agree() {
        let timeout = [KeyValue::new(ERROR_TYPE, "timeout")];
        let other = [KeyValue::new("other", 1)];
        assert_eq!(judge("timeout", &[(1.0, &timeout)]), Ok(()));
        let wrong = |error, measured: &[(f64, &[KeyValue])], message: &str| {
            let failure = judge(error, measured).unwrap_err();
            assert!(failure.contains(message), "{message:?} is not in {failure:?}");
        };
        wrong("timeout", &[(1.000_001, &timeout)], "one clock must tell both");
        wrong("cancelled", &[(1.0, &timeout)], "error.type of the span (left) and of duration");
        wrong("timeout", &[(1.0, &[])], "error.type of the span (left) and of duration");
        wrong("timeout", &[(1.0, &other)], "which the span is not expected to have");
        wrong("timeout", &[(1.0, &timeout), (1.0, &timeout)], "one measurement expected");
        wrong("timeout", &[(1.0, &timeout), (1.0, &[])], "one point of duration expected");
        wrong("timeout", &[], "metric duration is missing");
    }
}
