//! Streams: read to their end, abandoned after some items, failed, dropped before the first item.

mod support;

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures_util::{Stream, StreamExt as _, stream};
use opentelemetry::trace::Status;
use otel_testing::{Capture, metric, point};
use support::{SERVER, StubError, db, select};

type Item = Result<u8, StubError>;

fn rows(capture: &Capture, items: Vec<Item>) -> impl Stream<Item = Item> {
    let telemetry = capture.telemetry_builder().returned_rows(true).build();
    // Odd items are rows, as a driver's stream has rows and results of statements.
    db(&telemetry).stream(items, |_| select(), |items, _| stream::iter(items), |item| item % 2 == 1)
}

fn returned_rows(capture: &Capture) -> Option<i64> {
    let spans = capture.spans();
    assert_eq!(spans.len(), 1, "{spans:?}");
    let mut facts = spans[0].attributes.iter();
    let rows = facts.find(|fact| fact.key.as_str() == "db.response.returned_rows")?;
    rows.value.as_str().parse().ok()
}

#[tokio::test]
async fn the_end_of_the_stream_ends_the_operation() {
    let capture = Capture::new();
    let items = rows(&capture, vec![Ok(1), Ok(2), Ok(3)]).collect::<Vec<_>>().await;
    assert_eq!(items, [Ok(1), Ok(2), Ok(3)]);
    assert_eq!(capture.spans()[0].status, Status::Unset);
    assert_eq!(returned_rows(&capture), Some(2));
    capture.assert_metric(
        metric("db.client.response.returned_rows").unit("{row}").point(
            point()
                .count(1)
                .value(2)
                .attributes(SERVER)
                .attribute("server.port", 5433)
                .attribute("db.query.summary", "SELECT users"),
        ),
    );
}

#[tokio::test]
async fn a_stream_that_is_dropped_after_an_item_is_a_success() {
    let capture = Capture::new();
    {
        let mut rows = Box::pin(rows(&capture, vec![Ok(1), Ok(3), Ok(5)]));
        assert_eq!(rows.next().await, Some(Ok(1)));
        assert_eq!(rows.next().await, Some(Ok(3)));
        capture.assert_no_spans();
    }
    assert_eq!(capture.spans()[0].status, Status::Unset);
    assert_eq!(returned_rows(&capture), Some(2));
}

#[tokio::test]
async fn a_stream_that_is_dropped_before_its_first_item_is_cancelled() {
    let capture = Capture::new();
    {
        let pending = stream::pending::<Item>();
        let mut rows =
            Box::pin(db(&capture.telemetry()).stream((), |()| select(), |(), _| pending, |_| true));
        let polled = Pin::new(&mut rows).poll_next(&mut Context::from_waker(Waker::noop()));
        assert_eq!(polled, Poll::Pending);
    }
    assert_eq!(capture.spans()[0].status, Status::error(""));
}

/// The caller did not have enough: it gave up waiting. A driver's `fetch_all` under a timeout looks
/// like this.
#[tokio::test]
async fn a_stream_that_is_dropped_while_it_waits_for_another_item_is_cancelled() {
    let capture = Capture::new();
    {
        let items = stream::iter([Ok(1), Ok(3)]).chain(stream::pending::<Item>());
        let mut rows =
            Box::pin(db(&capture.telemetry()).stream((), |()| select(), |(), _| items, |_| true));
        assert_eq!(rows.next().await, Some(Ok(1)));
        assert_eq!(rows.next().await, Some(Ok(3)));
        let polled = Pin::new(&mut rows).poll_next(&mut Context::from_waker(Waker::noop()));
        assert_eq!(polled, Poll::Pending);
    }
    assert_eq!(capture.spans()[0].status, Status::error(""));
}

#[tokio::test]
async fn the_first_error_ends_the_operation_and_the_stream_goes_on() {
    let capture = Capture::new();
    let items = vec![Ok(1), Err(StubError("40001")), Ok(3)];
    let mut rows = Box::pin(rows(&capture, items));
    assert_eq!(rows.next().await, Some(Ok(1)));
    assert_eq!(rows.next().await, Some(Err(StubError("40001"))));
    assert_eq!(capture.spans().len(), 1);
    assert_eq!(rows.next().await, Some(Ok(3)));
    assert_eq!(rows.next().await, None);
    let spans = capture.spans();
    assert_eq!(spans.len(), 1);
    assert_eq!(spans[0].status, Status::error(""));
}

#[test]
fn a_stream_that_was_never_polled_did_not_start() {
    let capture = Capture::new();
    drop(rows(&capture, vec![Ok(1)]));
    capture.assert_silent();
}
