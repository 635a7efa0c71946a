//! Global providers and a propagator that are set after the client was wrapped. One test: globals
//! are the process's.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

mod support;

use std::collections::HashMap;

use opentelemetry::global;
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use otel_core::Telemetry;
use otel_core::propagation::StringCarrier;
use otel_testing::Capture;
use support::broker::{messaging, orders};

#[test]
fn what_comes_late_is_found() {
    let messaging = messaging(&Telemetry::global());
    let send = || {
        let mut headers = HashMap::new();
        messaging.send(&mut StringCarrier(&mut headers), || orders("send")).finish();
        headers
    };
    (0..5000).for_each(|_| assert!(send().is_empty()));
    let unheard = messaging.poll();
    let capture = Capture::new();
    global::set_tracer_provider(capture.tracer_provider());
    global::set_meter_provider(capture.meter_provider());
    // What carries no span makes no PRODUCER.
    global::set_text_map_propagator(BaggagePropagator::new());
    assert!((0..64).any(|_| {
        send();
        !capture.spans().is_empty()
    }));
    assert_eq!(capture.spans()[0].span_kind, opentelemetry::trace::SpanKind::Client);
    global::set_text_map_propagator(TraceContextPropagator::new());
    assert!(send().contains_key("traceparent"));
    let spans = capture.spans();
    assert_eq!(spans.last().unwrap().span_kind, opentelemetry::trace::SpanKind::Producer);
    assert!(!capture.metrics().is_empty());
    // This began when nobody listened, so nobody knows how long it took.
    capture.clear();
    let _ = unheard.received(&StringCarrier(&HashMap::new()), || orders("poll"));
    assert_eq!(capture.spans().len(), 1);
    capture.assert_no_metric("messaging.client.operation.duration");
}
