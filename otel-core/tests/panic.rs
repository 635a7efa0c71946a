//! Panics: of the call itself they pass through and are told apart, of a provider or a hook they
//! never reach the call.
#![allow(clippy::panic, reason = "helpers of tests, which clippy does not see as such")]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt as _;
use opentelemetry::Context;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use otel_core::Telemetry;
use otel_testing::{Capture, span};
use support::{SERVER, StubError, db, select};

#[tokio::test]
async fn a_panic_in_the_call_passes_through_and_is_told_apart() {
    let capture = Capture::new();
    let call = db(&capture.telemetry()).run(
        (),
        |()| select(),
        |()| async {
            panic!("the driver's own");
            #[allow(unreachable_code)]
            Ok::<(), StubError>(())
        },
    );
    let outcome = AssertUnwindSafe(call).catch_unwind().await;
    assert!(outcome.is_err());
    capture.assert_spans([span("SELECT users")
        .client()
        .attributes(SERVER)
        .attribute("server.port", 5433)
        .attribute("db.query.summary", "SELECT users")
        .attribute("db.query.text", support::SELECT)
        .attribute("error.type", "panic")
        .error("")]);
}

#[test]
fn a_blocking_call_that_panics_is_told_apart() {
    let capture = Capture::new();
    let operation = db(&capture.telemetry()).start(select);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        operation.call(|| -> Result<(), StubError> { panic!("the driver's own") })
    }));
    assert!(outcome.is_err());
    let spans = capture.spans();
    let kind = spans[0].attributes.iter().find(|fact| fact.key.as_str() == "error.type");
    assert_eq!(kind.map(|fact| fact.value.as_str().into_owned()), Some("panic".to_owned()));
}

/// A call that is pending while its task panics elsewhere was cancelled; it did not panic.
#[test]
fn a_pending_call_of_a_task_that_panics_is_cancelled() {
    let capture = Capture::new();
    let telemetry = capture.telemetry();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let pending = std::future::pending::<Result<(), StubError>>();
        let mut call = Box::pin(db(&telemetry).run((), |()| select(), |()| pending));
        assert!(support::poll_once(call.as_mut()).is_pending());
        panic!("the task's own");
    }));
    assert!(outcome.is_err());
    let spans = capture.spans();
    let kind = spans[0].attributes.iter().find(|fact| fact.key.as_str() == "error.type");
    assert_eq!(kind.map(|fact| fact.value.as_str().into_owned()), Some("cancelled".to_owned()));
}

/// Panics at the start, at the end, or in both.
#[derive(Debug)]
struct Bomb {
    at_start: Arc<AtomicBool>,
    at_end: Arc<AtomicBool>,
}

impl SpanProcessor for Bomb {
    fn on_start(&self, _: &mut Span, _: &Context) {
        assert!(!self.at_start.load(Ordering::Relaxed), "a processor panics at the start");
    }

    fn on_end(&self, _: SpanData) {
        assert!(!self.at_end.load(Ordering::Relaxed), "a processor panics at the end");
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: std::time::Duration) -> OTelSdkResult {
        Ok(())
    }
}

fn bombed(at_start: bool, at_end: bool) -> Telemetry {
    let bomb = Bomb {
        at_start: Arc::new(AtomicBool::new(at_start)),
        at_end: Arc::new(AtomicBool::new(at_end)),
    };
    let provider =
        opentelemetry_sdk::trace::SdkTracerProvider::builder().with_span_processor(bomb).build();
    Telemetry::builder().tracer_provider(provider).build()
}

#[tokio::test]
async fn a_provider_that_panics_is_contained() {
    // Not both: the SDK's own span, dropped by the first panic, would run into the second one.
    for (at_start, at_end) in [(true, false), (false, true)] {
        let telemetry = bombed(at_start, at_end);
        let call =
            db(&telemetry).run((), |()| select(), |()| std::future::ready(Ok::<_, StubError>(7)));
        assert_eq!(call.await, Ok(7));
    }
}

/// The end of an operation inside an unwinding thread: a second panic there would abort.
#[tokio::test]
async fn a_provider_that_panics_while_the_call_panics_does_not_abort() {
    let telemetry = bombed(false, true);
    let call = db(&telemetry).run(
        (),
        |()| select(),
        |()| async {
            panic!("the driver's own");
            #[allow(unreachable_code)]
            Ok::<(), StubError>(())
        },
    );
    assert!(AssertUnwindSafe(call).catch_unwind().await.is_err());
}

/// A provider that cannot even make a tracer.
#[derive(Debug)]
struct NoTracer;

impl TracerProvider for NoTracer {
    type Tracer = opentelemetry::trace::noop::NoopTracer;

    fn tracer_with_scope(&self, _: opentelemetry::InstrumentationScope) -> Self::Tracer {
        panic!("no tracer to be had")
    }
}

#[test]
fn a_provider_that_panics_when_asked_is_contained() {
    let telemetry = Telemetry::builder().tracer_provider(NoTracer).build();
    let result = db(&telemetry).start(select).call(|| Ok::<_, StubError>(7));
    assert_eq!(result, Ok(7));
}

#[tokio::test]
async fn hooks_that_panic_are_contained() {
    let capture = Capture::new();
    let telemetry = capture
        .telemetry_builder()
        .query_summary(|_| panic!("a hook panics"))
        .span_filter(|_| panic!("a filter panics"))
        .build();
    let call = db(&telemetry).run((), |()| select(), |()| async { Ok::<_, StubError>(7) });
    assert_eq!(call.await, Ok(7));
    let names: Vec<_> = capture.spans().iter().map(|span| span.name.clone()).collect();
    assert_eq!(names, ["SELECT users"]);
}

#[test]
fn a_description_that_panics_is_contained() {
    let capture = Capture::new();
    let operation = db(&capture.telemetry()).start(|| panic!("an adapter's mistake"));
    assert_eq!(operation.call(|| Ok::<_, StubError>(7)), Ok(7));
    capture.assert_silent();
}
