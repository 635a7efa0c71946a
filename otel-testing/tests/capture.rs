//! Capture keeps everything and sees what was done wrong.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};

use common::failure;
use opentelemetry::logs::{LogRecord as _, Logger as _, LoggerProvider as _};
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::{Span as _, SpanContext, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue};
use otel_testing::{Capture, MetricKind, PointValue};

#[test]
fn spans_come_in_order_of_ending() {
    let capture = Capture::new();
    let tracer = capture.tracer("test");
    let mut first = tracer.start("first");
    let mut second = tracer.start("second");
    second.end();
    first.end();
    let names: Vec<_> = capture.spans().into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["second", "first"]);
    assert_eq!(capture.spans_named("first").len(), 1);
}

#[test]
fn two_captures_do_not_see_each_other() {
    let (one, other) = (Capture::new(), Capture::new());
    one.tracer("test").start("span").end();
    one.meter_provider().meter("test").u64_counter("metric").build().add(1, &[]);
    assert_eq!(one.spans().len(), 1);
    assert_eq!(one.metrics().len(), 1);
    other.assert_silent();
}

#[test]
fn spans_survive_a_shutdown() {
    let capture = Capture::new();
    capture.tracer("test").start("span").end();
    capture.meter_provider().shutdown().unwrap();
    assert_eq!(capture.spans().len(), 1);
    assert_eq!(capture.metrics(), []);
}

#[test]
fn not_sampled_keeps_metrics_and_still_watches() {
    let capture = Capture::not_sampled();
    let mut span = capture.tracer("test").start("span");
    capture.meter_provider().meter("test").u64_counter("metric").build().add(1, &[]);
    capture.assert_no_spans();
    assert_eq!(capture.metrics().len(), 1);
    assert_eq!(capture.faults(), ["span `span` was left open: it never ended"]);
    span.end();
    capture.check();
}

#[test]
fn metrics_are_flat_and_reading_them_changes_nothing() {
    let capture = Capture::new();
    let meter = capture.meter_provider().meter("test");
    meter
        .f64_histogram("duration")
        .with_unit("s")
        .with_description("How long")
        .with_boundaries(vec![1.0, 2.0])
        .build()
        .record(1.5, &[KeyValue::new("key", "value")]);
    meter.i64_up_down_counter("open").build().add(-2, &[]);
    meter.f64_gauge("level").build().record(0.5, &[]);
    let _observed =
        meter.u64_observable_counter("seen").with_callback(|to| to.observe(7, &[])).build();

    let metrics = capture.metrics();
    assert_eq!(metrics, capture.metrics());
    let named = |name: &str| metrics.iter().find(|metric| metric.name == name).unwrap();
    let duration = named("duration");
    assert_eq!((duration.scope.as_str(), duration.unit.as_str()), ("test", "s"));
    assert_eq!(duration.description, "How long");
    assert_eq!(duration.kind, MetricKind::Histogram);
    assert_eq!(duration.points[0].attributes, [KeyValue::new("key", "value")]);
    assert_eq!(
        duration.points[0].value,
        PointValue::Histogram {
            count: 1,
            sum: 1.5,
            bounds: vec![1.0, 2.0],
            bucket_counts: vec![0, 1, 0]
        }
    );
    assert_eq!(named("open").kind, MetricKind::UpDownCounter);
    assert_eq!(named("open").points[0].value, PointValue::I64(-2));
    assert_eq!(named("level").kind, MetricKind::Gauge);
    assert_eq!(named("seen").points[0].value, PointValue::I64(7));
}

#[test]
fn clear_forgets_what_was_counted_and_keeps_what_is() {
    let capture = Capture::new();
    let meter = capture.meter_provider().meter("test");
    let duration = meter.f64_histogram("duration").with_boundaries(vec![1.0]).build();
    let calls = meter.u64_counter("calls").build();
    let open = meter.i64_up_down_counter("open").build();
    duration.record(0.25, &[]);
    duration.record(5.0, &[KeyValue::new("error.type", "x")]);
    calls.add(3, &[]);
    open.add(2, &[]);
    capture.tracer("test").start("span").end();

    capture.clear();
    capture.assert_no_spans();
    let left = capture.metrics();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].name, "open");

    duration.record(0.5, &[]);
    calls.add(1, &[]);
    let metrics = capture.metrics();
    let named = |name: &str| metrics.iter().find(|metric| metric.name == name).unwrap();
    assert_eq!(named("calls").points[0].value, PointValue::I64(1));
    assert_eq!(named("duration").points.len(), 1);
    assert_eq!(
        named("duration").points[0].value,
        PointValue::Histogram { count: 1, sum: 0.5, bounds: vec![1.0], bucket_counts: vec![1, 0] }
    );
}

#[test]
fn logs_come_with_their_scope() {
    let capture = Capture::new();
    let logger = capture.logger_provider().logger("test");
    let mut record = logger.create_log_record();
    record.set_body("something happened".into());
    logger.emit(record);
    let logs = capture.logs();
    assert_eq!(logs.len(), 1);
    assert_eq!(logs[0].scope.name(), "test");
    assert_eq!(logs[0].record.body(), Some(&"something happened".into()));
}

#[test]
fn the_telemetry_speaks_trace_context_and_baggage() {
    use opentelemetry::baggage::BaggageExt as _;
    use opentelemetry::trace::{SpanId, TraceFlags, TraceId, TraceState};

    let capture = Capture::new();
    let parent = SpanContext::new(
        TraceId::from(1),
        SpanId::from(2),
        TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    );
    let context = Context::new()
        .with_remote_span_context(parent.clone())
        .with_baggage([KeyValue::new("tenant", "acme")]);
    let mut headers = std::collections::HashMap::new();
    capture.telemetry().inject(&context, &mut headers);
    assert!(headers.contains_key("traceparent"), "{headers:?}");
    assert!(headers.contains_key("baggage"), "{headers:?}");
    let extracted = capture.telemetry().extract(&headers);
    assert_eq!(extracted.span().span_context(), &parent);
}

#[test]
fn an_open_span_is_a_fault() {
    let capture = Capture::new();
    let mut span = capture.tracer("test").start("before");
    span.update_name("after");
    assert_eq!(
        failure(|| capture.check()),
        "faults in the use of telemetry:\n  span `after` was left open: it never ended"
    );
    drop(span);
    capture.check();
}

#[test]
fn ending_twice_and_changing_after_the_end_are_faults() {
    let capture = Capture::builder().check_on_drop(false).build();
    let mut span = capture.tracer("test").start("span");
    span.end();
    span.end();
    span.set_attribute(KeyValue::new("late", 1));
    span.set_status(Status::Ok);
    span.add_event("event", vec![]);
    span.add_link(SpanContext::empty_context(), vec![]);
    span.update_name("other");
    assert_eq!(
        capture.faults(),
        [
            "span `span` was ended twice",
            "span `span`: the attribute `late` came after its end and was lost",
            "span `span`: the status Ok came after its end and was lost",
            "span `span`: the event `event` came after its end and was lost",
            "span `span`: a link came after its end and was lost",
            "span `span`: the name `other` came after its end and was lost",
        ]
    );
    assert_eq!(capture.spans().len(), 1);
}

#[test]
fn an_attached_context_is_a_fault() {
    let capture = Capture::new();
    let guard = Context::current_with_value(7_u8).attach();
    assert!(capture.faults()[0].starts_with("a context was left attached: "));
    drop(guard);
    capture.check();
    let guard = Context::enter_telemetry_suppressed_scope();
    assert_eq!(capture.faults().len(), 1);
    drop(guard);
}

#[test]
fn a_context_that_was_there_before_is_none() {
    let outer = Capture::new();
    let context = Context::current_with_span(outer.tracer("test").start("outer"));
    let guard = context.attach();
    let inner = Capture::new();
    inner.check();
    drop(guard);
    inner.check();
}

#[test]
fn dropping_is_a_check() {
    let message = failure(|| {
        let capture = Capture::new();
        std::mem::forget(capture.tracer("test").start("span"));
    });
    assert!(message.ends_with("span `span` was left open: it never ended"), "{message}");
}

#[test]
fn dropping_in_a_panic_does_not_hide_it() {
    let message = failure(|| {
        let capture = Capture::new();
        std::mem::forget(capture.tracer("test").start("span"));
        panic!("the first");
    });
    assert_eq!(message, "the first");
}

#[test]
fn the_check_on_drop_can_be_left_out() {
    let dropped = catch_unwind(AssertUnwindSafe(|| {
        let capture = Capture::builder().check_on_drop(false).build();
        std::mem::forget(capture.tracer("test").start("span"));
    }));
    assert!(dropped.is_ok());
}
