//! A call whose future is dropped: reported once, as cancelled, from its first poll on.

mod support;

use std::future::pending;
use std::pin::pin;

use opentelemetry::trace::Status;
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

#[test]
fn the_option_leaves_the_status_unset() {
    let capture = Capture::new();
    let telemetry = capture.telemetry_builder().cancelled_is_error(false).build();
    {
        let call = db(&telemetry).run((), |()| select(), |()| pending::<Result<(), StubError>>());
        assert!(poll_once(pin!(call)).is_pending());
    }
    let spans = capture.spans();
    assert_eq!(spans.len(), 1);
    assert_eq!(spans[0].status, Status::Unset);
    assert!(spans[0].attributes.iter().any(|fact| fact.key.as_str() == "error.type"));
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
