//! Nobody listens: nothing is described, nothing is allocated, and what is to travel travels.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

mod support;

use std::cell::Cell;
use std::collections::HashMap;

use opentelemetry::trace::{TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, ContextGuard};
use otel_core::messaging::{MessageFacts, MessagingCall};
use otel_core::propagation::{NoHeaders, StringCarrier};
use otel_core::{Messaging, Telemetry};
use otel_testing::Capture;
use support::Stub;
use support::broker::{messaging, orders};

/// Each step once; answers how often something was described. A description that panics would be
/// contained, and seen by nobody.
fn steps(messaging: &Messaging<Stub>) -> u32 {
    let described = Cell::new(0);
    let describe = || -> MessagingCall<'static> {
        described.set(described.get() + 1);
        orders("step")
    };
    let facts = || {
        described.set(described.get() + 1);
        MessageFacts::new()
    };
    messaging.create(&mut NoHeaders, describe).finish();
    messaging.send(&mut NoHeaders, describe).finish();
    messaging.send_batch([(NoHeaders, facts), (NoHeaders, facts)], describe).finish();
    let delivery = messaging.poll().received(&NoHeaders, describe);
    messaging.arrival().failed(&support::StubError("LOST"), describe);
    let read = [(NoHeaders, facts), (NoHeaders, facts)];
    assert_eq!(messaging.poll().received_batch(read, describe).len(), 2);
    messaging.process(&delivery, describe).finish();
    messaging.process_batch([&delivery], describe).finish();
    messaging.settle([&delivery], describe).finish();
    described.get()
}

#[test]
fn nothing_is_described_and_nothing_allocated() {
    let capture = Capture::new();
    let disabled = messaging(&capture.telemetry_builder().enabled(false).build());
    // The thread's stack of contexts is made at its first use.
    steps(&disabled);
    let measured = allocation_counter::measure(|| assert_eq!(steps(&disabled), 0));
    assert_eq!(measured.count_total, 0);
    let none = messaging(&Telemetry::builder().build());
    assert!(none.is_off());
    assert_eq!(steps(&none), 0);
    let on = messaging(&capture.telemetry());
    let suppressed: ContextGuard = Context::current().with_telemetry_suppressed().attach();
    assert_eq!(steps(&on), 0);
    capture.assert_silent();
    drop(suppressed);
    assert!(steps(&on) > 0);
}

#[test]
fn a_batch_carries_the_ambient_context_also_when_off() {
    let capture = Capture::new();
    let off = messaging(&capture.telemetry_builder().enabled(false).build());
    let tracer = capture.tracer("test");
    tracer.in_span("ambient", |context| {
        let mut headers = [HashMap::new(), HashMap::new()];
        let messages =
            headers.iter_mut().map(|headers| (StringCarrier(headers), MessageFacts::new));
        off.send_batch(messages, || orders("send")).finish();
        let ambient = context.span().span_context().span_id();
        let read = headers.iter().map(|it| (StringCarrier(it), MessageFacts::new));
        for delivery in off.poll().received_batch(read, || orders("poll")) {
            assert_eq!(delivery.span_context().unwrap().span_id(), ambient);
        }
    });
}

#[test]
fn a_handler_whose_span_is_filtered_runs_in_what_the_message_carries() {
    let capture = Capture::new();
    let filter = |name: &str| !name.starts_with("process");
    let messaging = messaging(&capture.telemetry_builder().span_filter(filter).build());
    let mut headers = HashMap::new();
    messaging.send(&mut StringCarrier(&mut headers), || orders("send")).finish();
    let delivery = messaging.delivery(&StringCarrier(&headers));
    let process = messaging.process(&delivery, || orders("process"));
    let seen = process.handle_blocking(|| Ok::<_, ()>(Context::current())).unwrap();
    assert_eq!(seen.span().span_context(), &delivery.span_context().unwrap());
    assert!(capture.spans_named("process orders").is_empty());
}

#[test]
fn a_suppressed_message_carries_what_is_ambient() {
    let capture = Capture::new();
    let messaging = messaging(&capture.telemetry());
    let mut headers = HashMap::new();
    let ambient = Context::current().with_remote_span_context({
        let span = capture.tracer("test").start("ambient");
        opentelemetry::trace::Span::span_context(&span).clone()
    });
    let _guard = ambient.with_telemetry_suppressed().attach();
    messaging.send(&mut StringCarrier(&mut headers), || orders("send")).finish();
    assert!(headers.contains_key("traceparent"));
}
