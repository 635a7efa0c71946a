//! A call whose future is dropped: reported once, as cancelled, from its first poll on.

mod support;

use std::future::pending;
use std::pin::pin;

use opentelemetry::trace::Status;
use otel_core::Failure;
use otel_testing::{Capture, metric, point, span};
use support::{SELECT, SERVER, StubError, db, poll_once, select};

fn hanging(capture: &Capture) -> impl Future<Output = Result<(), StubError>> {
    db(&capture.telemetry()).run((), |()| select(), |()| pending())
}

#[test]
fn a_future_that_is_dropped_while_pending_is_cancelled() {
    let capture = Capture::new();
    {
        let mut call = pin!(hanging(&capture));
        assert!(poll_once(call.as_mut()).is_pending());
        assert!(poll_once(call.as_mut()).is_pending());
        capture.assert_no_spans();
    }
    capture.assert_spans([span("SELECT users")
        .client()
        .root()
        .attributes(SERVER)
        .attribute("server.port", 5433)
        .attribute("db.query.summary", "SELECT users")
        .attribute("db.query.text", SELECT)
        .attribute("error.type", "cancelled")
        .error("")]);
    capture.assert_metric(
        metric("db.client.operation.duration").point(
            point()
                .count(1)
                .attributes(SERVER)
                .attribute("server.port", 5433)
                .attribute("db.query.summary", "SELECT users")
                .attribute("error.type", "cancelled"),
        ),
    );
    capture.assert_no_metric("db.client.response.returned_rows");
}

/// Then nothing says that it failed: the conventions want `error.type` if and only if it did.
#[test]
fn by_option_a_cancelled_call_did_not_fail() {
    let capture = Capture::new();
    let telemetry = capture.telemetry_builder().cancelled_is_error(false).build();
    {
        let call = db(&telemetry).run((), |()| select(), |()| pending::<Result<(), StubError>>());
        assert!(poll_once(pin!(call)).is_pending());
    }
    capture.assert_spans([span("SELECT users")
        .client()
        .attributes(SERVER)
        .attribute("server.port", 5433)
        .attribute("db.query.summary", "SELECT users")
        .attribute("db.query.text", SELECT)]);
    let facts = point().count(1).attributes(SERVER).attribute("server.port", 5433);
    capture.assert_metric(
        metric("db.client.operation.duration")
            .point(facts.attribute("db.query.summary", "SELECT users")),
    );
    // How many there would have been is not known.
    let mut operation = db(&telemetry).start(select);
    operation.rows(3);
    drop(operation);
    capture.assert_no_metric("db.client.response.returned_rows");
}

#[test]
fn by_option_a_cancelled_handler_did_not_fail() {
    let capture = Capture::new();
    let telemetry = capture.telemetry_builder().cancelled_is_error(false).build();
    let messaging = support::broker::messaging(&telemetry);
    let delivery = otel_core::messaging::Delivery::default();
    drop(messaging.process(&delivery, || support::broker::orders("process")));
    let span = &capture.spans()[0];
    assert_eq!(span.status, Status::Unset);
    assert!(!span.attributes.iter().any(|fact| fact.key.as_str() == "error.type"));
    for name in ["messaging.process.duration", "messaging.client.consumed.messages"] {
        let metric = capture.assert_metric(name);
        assert_eq!(metric.points.len(), 1);
        assert_eq!(metric.points[0].attribute("error.type"), None);
    }
}

#[test]
fn by_option_what_failed_before_it_was_cancelled_did_fail() {
    let capture = Capture::new();
    let telemetry = capture.telemetry_builder().cancelled_is_error(false).build();
    let mut operation = db(&telemetry).start(select);
    operation.failed(Failure::new("not_found"));
    drop(operation);
    let span = &capture.spans()[0];
    assert_eq!(span.status, Status::error(""));
    assert!(span.attributes.contains(&opentelemetry::KeyValue::new("error.type", "not_found")));
}

#[test]
fn a_future_that_was_never_polled_did_not_start() {
    let capture = Capture::new();
    drop(hanging(&capture));
    capture.assert_silent();
}

#[test]
fn a_finished_future_that_is_dropped_late_ended_when_it_finished() {
    let capture = Capture::new();
    let call = db(&capture.telemetry()).run(
        (),
        |()| select(),
        |()| std::future::ready(Ok::<_, StubError>(7)),
    );
    let mut call = Box::pin(call);
    assert!(poll_once(call.as_mut()).is_ready());
    assert_eq!(capture.spans().len(), 1);
    drop(call);
    assert_eq!(capture.spans().len(), 1);
    assert_eq!(capture.spans()[0].status, Status::Unset);
}

#[test]
fn an_operation_that_is_dropped_is_cancelled() {
    let capture = Capture::new();
    drop(db(&capture.telemetry()).start(select));
    let spans = capture.spans();
    assert_eq!(spans.len(), 1);
    assert_eq!(spans[0].status, Status::error(""));
}
