//! Global providers that are set after the client was wrapped. One test: globals are the process's.

mod support;

use opentelemetry::global;
use otel_core::{Telemetry, diagnostics};
use otel_testing::Capture;
use support::{db, select};

#[test]
fn providers_that_come_late_are_found_and_kept() {
    let first = db(&Telemetry::global());
    // Past the calls at which each one asks.
    for _ in 0..5000 {
        first.start(|| panic!("described although nobody listens")).finish();
    }
    assert!(!diagnostics().clients[0].has_tracer);

    let capture = Capture::new();
    global::set_tracer_provider(capture.tracer_provider());
    let found = (1..=64).find(|_| {
        first.start(select).finish();
        !capture.spans().is_empty()
    });
    assert!(found.is_some(), "a tracer provider is found within 64 calls");
    capture.assert_no_metric("db.client.operation.duration");

    global::set_meter_provider(capture.meter_provider());
    let found = (1..=64).find(|_| {
        first.start(select).finish();
        !capture.metrics().is_empty()
    });
    assert!(found.is_some(), "a meter provider is found within 64 calls");

    // Found once, never asked for again: a later change of the globals is not followed.
    let other = Capture::new();
    global::set_tracer_provider(other.tracer_provider());
    let before = capture.spans().len();
    for _ in 0..200 {
        first.start(select).finish();
    }
    assert_eq!(capture.spans().len(), before + 200);
    other.assert_no_spans();

    let known = diagnostics();
    assert_eq!(known.clients.len(), 1);
    assert!(known.clients[0].has_tracer && known.clients[0].has_meter);
    assert_eq!(
        known.to_string(),
        "opentelemetry 0.33\notel-stub 1.2.3: enabled, tracer provider found, meter provider found"
    );
}
