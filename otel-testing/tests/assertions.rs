//! Each assertion holds, and fails readably.

mod common;

use common::failure;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::{
    Link, Span as _, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _,
    TraceFlags, TraceId, TraceState, Tracer as _,
};
use opentelemetry::{Context, KeyValue};
use otel_testing::{Capture, metric, point, span};

fn remote() -> SpanContext {
    SpanContext::new(
        TraceId::from(1),
        SpanId::from(2),
        TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    )
}

/// A client span with all there is, below a root, and a span of a remote parent.
fn captured() -> Capture {
    let capture = Capture::new();
    let tracer = capture.tracer("test");
    let context = Context::new().with_span(tracer.start("root"));
    let mut query = tracer.build_with_context(
        SpanBuilder::from_name("SELECT users")
            .with_kind(SpanKind::Client)
            .with_attributes([
                KeyValue::new("system", "sqlite"),
                KeyValue::new("rows", 3),
                KeyValue::new("ratio", 0.5),
                KeyValue::new("cached", true),
            ])
            .with_links(vec![Link::new(remote(), vec![KeyValue::new("index", 0)], 0)]),
        &context,
    );
    query.set_status(Status::error("no such table"));
    query.end();
    context.span().end();
    let context = Context::new().with_remote_span_context(remote());
    tracer.build_with_context(SpanBuilder::from_name("process"), &context).end();
    capture
}

fn query() -> otel_testing::assert::ExpectedSpan {
    span("SELECT users")
        .client()
        .child_of("root")
        .attributes([("system", "sqlite")])
        .attribute("rows", 3)
        .attribute("ratio", 0.5)
        .attribute("cached", true)
        .link_with(remote(), [("index", 0)])
        .error("no such table")
        .scope("test")
}

#[test]
fn exact_spans_hold() {
    let capture = captured();
    let all = [query(), span("root").root(), span("process").child_of(remote())];
    capture.assert_spans(all.clone());
    let [one, two, three] = all;
    capture.assert_spans_in_any_order([three, one.clone(), two]);
    let root = &capture.spans_named("root")[0];
    let again = one.child_of(root).any_error().any_attribute("rows");
    capture.assert_spans_in_any_order([again, span("root"), span("process").child_of(remote())]);
}

#[test]
fn the_order_of_ending_counts() {
    let capture = captured();
    let process = || span("process").child_of(remote());
    assert_eq!(
        failure(|| capture.assert_spans([span("root"), query(), process()])),
        "spans are not as expected: 3 expected, 3 captured, in order of ending:\n\
         - root (INTERNAL) is missing\n  \
           SELECT users\n\
         + root is unexpected\n      \
               INTERNAL, no attributes\n  \
           process"
    );
}

#[test]
fn each_difference_of_a_span_has_its_line() {
    let capture = captured();
    let wrong = span("INSERT users")
        .attribute("system.name", "sqlite")
        .attribute("rows", "3")
        .attribute("absent", 1)
        .attribute("ratio", 0.5)
        .event("exception")
        .links(["root"])
        .link(remote())
        .error("other")
        .scope_version("elsewhere", "1.0");
    let message = failure(|| {
        capture.assert_spans([wrong, span("root"), span("process").child_of(remote())]);
    });
    assert_eq!(
        message,
        "spans are not as expected: 3 expected, 3 captured, in order of ending:\n\
         ! SELECT users\n      \
               name: expected \"INSERT users\", captured \"SELECT users\"\n      \
               kind: expected INTERNAL, captured CLIENT\n      \
               status: expected Error \"other\", captured Error \"no such table\"\n      \
               parent: expected none (a root), captured `root`\n      \
               events: expected [\"exception\"], captured []\n      \
               scope: expected elsewhere, captured test\n      \
               scope version: expected 1.0, captured none\n      \
               attribute rows: expected \"3\", captured 3\n      \
               attribute system.name = \"sqlite\" expected, captured system = \"sqlite\"\n      \
               attribute absent: missing, expected 1\n      \
               attribute cached: unexpected, captured true\n      \
               link 1: expected `root`, captured the remote span 0000000000000002 of trace \
               00000000000000000000000000000001\n      \
               link 1: attribute index: unexpected, captured 0\n      \
               link 2: missing, expected the remote span 0000000000000002 of trace \
               00000000000000000000000000000001\n  \
           root\n  \
           process"
    );
}

#[test]
fn a_span_too_many_does_not_shift_the_others() {
    let capture = captured();
    assert_eq!(
        failure(|| capture.assert_spans([query(), span("process").child_of(remote())])),
        "spans are not as expected: 2 expected, 3 captured, in order of ending:\n  \
           SELECT users\n\
         + root is unexpected\n      \
               INTERNAL, no attributes\n  \
           process"
    );
    let message = failure(|| {
        capture.assert_spans_in_any_order([span("process").child_of(remote()), query()]);
    });
    assert!(message.contains("+ root is unexpected"), "{message}");
}

#[test]
fn a_missing_span_is_named() {
    let capture = captured();
    let missing = span("COMMIT").client();
    let message = failure(|| {
        capture.assert_spans([query(), span("root"), missing, span("process").child_of(remote())]);
    });
    assert!(message.contains("\n- COMMIT (CLIENT) is missing\n  process"), "{message}");
    assert!(failure(|| capture.assert_no_spans()).contains("0 expected, 3 captured"));
}

#[test]
fn parents_are_told_apart() {
    let capture = captured();
    let local = SpanContext::new(
        TraceId::from(1),
        SpanId::from(2),
        TraceFlags::SAMPLED,
        false,
        TraceState::default(),
    );
    let message = failure(|| {
        capture.assert_spans([
            query(),
            span("root").child_of("nobody"),
            span("process").child_of(local),
        ]);
    });
    assert!(message.contains("parent: expected `nobody`, captured none (a root)"), "{message}");
    assert!(
        message.contains("parent: expected the local span 0000000000000002 of trace")
            && message.contains("captured the remote span 0000000000000002 of trace"),
        "{message}"
    );
    let message = failure(|| {
        capture.assert_spans([query(), span("root"), span("process").child_of("root")]);
    });
    assert!(message.contains("parent: expected `root`, captured the remote span"), "{message}");
}

#[test]
fn a_parent_may_still_be_open() {
    let capture = Capture::new();
    let tracer = capture.tracer("test");
    let context = Context::new().with_span(tracer.start("open"));
    tracer.start_with_context("child", &context).end();
    capture.assert_spans([span("child").child_of("open")]);
}

#[test]
fn a_link_too_many_is_told() {
    let capture = captured();
    let unlinked = span("SELECT users").client().child_of("root");
    let message = failure(|| {
        capture.assert_spans([unlinked, span("root"), span("process").child_of(remote())]);
    });
    assert!(message.contains("link 1: unexpected, captured the remote span"), "{message}");
    assert!(message.contains("status: expected Unset, captured Error"), "{message}");
}

#[test]
fn thousands_of_spans_are_compared_in_time() {
    let capture = Capture::new();
    let tracer = capture.tracer("test");
    (0..5000).for_each(|number| tracer.start(format!("span {number}")).end());
    let expected = || (0..5000).map(|number| span(format!("span {number}")));
    capture.assert_spans(expected());
    capture.assert_spans_in_any_order(expected().rev());
    let message = failure(|| capture.assert_spans(expected().skip(1)));
    assert!(message.contains("+ span 4999 is unexpected"), "{}", message.len());
}

fn measured() -> Capture {
    let capture = Capture::new();
    let meter = capture.meter_provider().meter("test");
    let duration = meter
        .f64_histogram("duration")
        .with_unit("s")
        .with_description("How long")
        .with_boundaries(vec![1.0, 10.0])
        .build();
    duration.record(0.5, &[KeyValue::new("system", "sqlite")]);
    duration.record(1.5, &[KeyValue::new("system", "sqlite")]);
    duration.record(2.0, &[KeyValue::new("system", "sqlite"), KeyValue::new("error.type", "x")]);
    meter.i64_up_down_counter("open").build().add(2, &[]);
    capture
}

#[test]
fn exact_metrics_hold() {
    let capture = measured();
    let duration = capture.assert_metric(
        metric("duration")
            .histogram()
            .unit("s")
            .description("How long")
            .scope("test")
            .bounds([1.0, 10.0])
            .points([
                point().attributes([("system", "sqlite"), ("error.type", "x")]).count(1),
                point().attribute("system", "sqlite").count(2).value(2.0).bucket_counts([1, 1, 0]),
            ]),
    );
    assert_eq!(duration.points.len(), 2);
    capture.assert_metric(metric("open").up_down_counter().point(point().value(2)));
    capture.assert_metric("open");
    capture.assert_no_metric("other");
}

#[test]
fn each_difference_of_a_metric_has_its_line() {
    let capture = measured();
    let message = failure(|| {
        let first =
            point().attribute("system", "mysql").count(3).value(9.0).bucket_counts([3, 0, 0]);
        let second = point().attributes([("system", "sqlite"), ("error.type", "x")]);
        let third = point().any_attribute("nothing").attribute("like", "it");
        capture.assert_metric(
            metric("duration")
                .counter()
                .unit("ms")
                .description("How far")
                .scope("elsewhere")
                .bounds([1.0])
                .points([first, second, third]),
        );
    });
    assert_eq!(
        message,
        "metric duration is not as expected:\n  \
           kind: expected Counter, captured Histogram\n  \
           unit: expected \"ms\", captured \"s\"\n  \
           description: expected \"How far\", captured \"How long\"\n  \
           scope: expected \"elsewhere\", captured \"test\"\n  \
           bounds: expected [1.0], captured [1.0, 10.0]\n  \
           points: 3 expected, 2 captured\n  \
           ! point with system = \"sqlite\"\n        \
                 attribute nothing: missing, expected any value\n        \
                 attribute like: missing, expected \"it\"\n        \
                 attribute system: unexpected, captured \"sqlite\"\n  \
           - point is missing: system = \"mysql\""
    );
}

#[test]
fn a_point_too_many_is_told() {
    let capture = measured();
    let message = failure(|| {
        capture.assert_metric(
            metric("duration").point(point().attribute("system", "sqlite").count(5)),
        );
    });
    assert_eq!(
        message,
        "metric duration is not as expected:\n  \
           points: 1 expected, 2 captured\n  \
           ! point with system = \"sqlite\"\n        \
                 count: expected 5, captured 2\n  \
           + point is unexpected: error.type = \"x\", system = \"sqlite\""
    );
}

#[test]
fn absence_is_asserted() {
    let capture = measured();
    let message = failure(|| {
        capture.assert_metric("other");
    });
    assert_eq!(message, "metric other is missing; captured: duration, open");
    let message = failure(|| capture.assert_no_metric("open"));
    assert_eq!(message, "no metric open expected, captured:\n  I64(2) with no attributes");
    let message = failure(|| capture.assert_silent());
    assert_eq!(message, "no metric expected, captured duration, open");
}

#[test]
fn a_metric_of_two_scopes_is_told() {
    let capture = measured();
    capture.meter_provider().meter("other").u64_counter("open").build().add(1, &[]);
    let message = failure(|| {
        capture.assert_metric("open");
    });
    assert_eq!(message, r#"metric open was made 2 times, by the scopes ["other", "test"]"#);
}
