//! Nobody listens: nothing is described, nothing is allocated, futures are not touched.
#![allow(clippy::panic, reason = "helpers of tests, which clippy does not see as such")]

mod support;

use std::hint::black_box;
use std::pin::pin;

use opentelemetry::Context;
use opentelemetry::trace::{FutureExt as _, TraceContextExt as _, Tracer as _};
use otel_core::{DbCall, Telemetry};
use otel_testing::Capture;
use support::{StubError, db, poll_once, select};

fn never() -> DbCall<'static> {
    panic!("described although nobody listens")
}

fn call(telemetry: &Telemetry) {
    let db = db(telemetry);
    assert!(db.is_off());
    assert_eq!(db.start(never).call(|| Ok::<_, StubError>(7)), Ok(7));
    assert!(!db.start(never).is_recording());
    let future = db.run((), |()| never(), |()| std::future::ready(Ok::<_, StubError>(7)));
    assert_eq!(poll_once(pin!(future)), std::task::Poll::Ready(Ok(7)));
    db.record(
        &Context::current(),
        std::time::Duration::from_secs(1),
        &Ok::<_, StubError>(7),
        never,
    );
}

#[test]
fn without_a_provider_nothing_is_described() {
    call(&Telemetry::builder().build());
}

#[test]
fn switched_off_in_code_nothing_is_described() {
    let capture = Capture::new();
    call(&capture.telemetry_builder().enabled(false).build());
    capture.assert_silent();
}

#[tokio::test]
async fn in_a_suppressed_context_nothing_is_described() {
    let capture = Capture::new();
    let suppressed = Context::current().with_telemetry_suppressed();
    async { call(&capture.telemetry()) }.with_context(suppressed).await;
    capture.assert_silent();
}

/// The scenario of the shared kit measures whole calls; this is the bare core.
#[test]
fn a_known_off_allocates_nothing() {
    let db = db(&Telemetry::builder().build());
    let calls = |count: u32| {
        for _ in 0..count {
            let future = db.run((), |()| select(), |()| std::future::ready(Ok::<_, StubError>(7)));
            let _ = black_box(poll_once(pin!(future)));
        }
    };
    calls(2000);
    // One of 64 calls asks for a provider, which may allocate.
    let asked =
        (0..64).filter(|_| allocation_counter::measure(|| calls(1)).count_total != 0).count();
    assert!(asked <= 1, "{asked} of 64 calls allocated");
}

#[test]
fn switched_off_every_call_allocates_nothing() {
    let db = db(&Telemetry::builder().enabled(false).build());
    let calls = |count: u32| {
        for _ in 0..count {
            let future = db.run((), |()| select(), |()| std::future::ready(Ok::<_, StubError>(7)));
            let _ = black_box(poll_once(pin!(future)));
        }
    };
    // The thread's stack of contexts is made at its first use.
    calls(1);
    assert_eq!(allocation_counter::measure(|| calls(1000)).count_total, 0);
}

#[test]
fn without_a_required_parent_there_is_a_measurement_and_no_span() {
    let capture = Capture::new();
    let telemetry = capture.telemetry_builder().require_parent(true).build();
    db(&telemetry).start(select).finish();
    capture.assert_no_spans();
    assert_eq!(duration_count(&capture), 1);

    let tracer = capture.tracer("application");
    tracer.in_span("request", |_| db(&telemetry).start(select).finish());
    let names: Vec<_> = capture.spans().iter().map(|span| span.name.clone()).collect();
    assert_eq!(names, ["SELECT users", "request"]);
}

#[test]
fn a_filtered_span_leaves_its_measurement() {
    let capture = Capture::new();
    let telemetry = capture.telemetry_builder().span_filter(|name| name != "SELECT users").build();
    let operation = db(&telemetry).start(select);
    assert!(!operation.context().has_active_span());
    operation.finish();
    capture.assert_no_spans();
    assert_eq!(duration_count(&capture), 1);
}

fn duration_count(capture: &Capture) -> u64 {
    let metrics = capture.metrics();
    let duration = metrics.iter().find(|metric| metric.name == "db.client.operation.duration");
    duration.map_or(0, |metric| metric.points.iter().filter_map(otel_testing::Point::count).sum())
}
