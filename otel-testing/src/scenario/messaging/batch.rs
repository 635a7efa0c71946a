//! Calls about several messages.

use opentelemetry::trace::SpanContext;
use otel_core::TelemetryBuilder;

use super::super::operation::ERROR_TYPE;
use super::super::{Capability, Outcome};
use super::{
    CLIENT, CONSUMED, Messaging, SENT, Step, arrived, assert_count, connect, identity, needs,
};
use crate::Capture;
use crate::assert::ExpectedSpan;

/// Batches of one and of three: a span for each message, one for the call that links to them. Each
/// message is then handled by itself, and not counted again.
/// A batch of none, asked for, leaves nothing.
pub async fn batches<M: Messaging>() -> Outcome {
    needs::<M>(Capability::Batch)?;
    let (capture, client) = connect::<M>(Capture::new(), |options| options).await?;
    for size in [1, 3] {
        capture.clear();
        client.send_batch(size, 0).await;
        capture.check();
        let spans = capture.spans();
        let created: Vec<_> =
            spans.iter().take(size).map(|span| span.span_context.clone()).collect();
        let sending = Step::SendBatch(size, 0);
        let each = (0..size).map(|place| client.expected(Step::Create(place)));
        let batch = linking(&client, sending, &created);
        capture.assert_spans(each.chain([batch.clone()]));
        CLIENT.assert_measured(&capture, &batch, spans.last());
        assert_count(&capture, SENT, size);

        capture.clear();
        let messages = client.receive_batch(size).await;
        assert_eq!(messages.len(), size, "messages received");
        let received: Vec<_> = created.iter().map(arrived).collect();
        capture.assert_spans([linking(&client, Step::ReceiveBatch(size), &received)]);
        assert_count(&capture, CONSUMED, size);

        capture.clear();
        for message in &messages {
            assert_eq!(client.process(message, Box::pin(async { Ok(()) })).await, Ok(()));
        }
        let handled =
            |sent: SpanContext| client.expected(Step::Process).child_of(sent.clone()).link(sent);
        capture.assert_spans(received.into_iter().map(handled));
        capture.assert_no_metric(CONSUMED);
    }
    capture.clear();
    assert!(client.receive_batch(0).await.is_empty());
    capture.assert_silent();
    Ok(())
}

/// Without spans of creation, all messages of a batch carry the context of its span.
pub async fn batch_without_create_spans<M: Messaging>() -> Outcome {
    needs::<M>(Capability::Batch)?;
    let option = |options: TelemetryBuilder| options.create_spans(false);
    let (capture, client) = connect::<M>(Capture::new(), option).await?;
    client.send_batch(2, 0).await;
    capture.assert_spans([client.expected(Step::SendBatch(2, 0)).producer()]);
    let sent = identity(&capture);
    for message in client.receive_batch(2).await {
        let parent = M::headers(&message).remove("traceparent").unwrap_or_default();
        assert!(parent.contains(&sent.span_id().to_string()), "{parent} of {sent:?}");
    }
    Ok(())
}

/// One message of a batch of three fails: so does the span, and the counter tells the one.
pub async fn partial_failure<M: Messaging>() -> Outcome {
    needs::<M>(Capability::Batch)?;
    let (capture, client) = connect::<M>(Capture::new(), |options| options).await?;
    client.send_batch(3, 1).await;
    let spans = capture.spans();
    let created: Vec<_> = spans.iter().take(3).map(|span| span.span_context.clone()).collect();
    let batch = linking(&client, Step::SendBatch(3, 1), &created);
    let error = CLIENT.assert_measured(&capture, &batch, spans.last());
    assert!(error.is_some(), "a batch that failed in part must be measured with {ERROR_TYPE}");
    let each = (0..3).map(|place| client.expected(Step::Create(place)));
    capture.assert_spans(each.chain([batch]));
    let sent = assert_count(&capture, SENT, 3);
    let failed: f64 = sent
        .points
        .iter()
        .filter(|point| point.attribute(ERROR_TYPE) == error.as_ref())
        .map(crate::Point::sum)
        .sum();
    assert!((failed - 1.0).abs() < f64::EPSILON, "one message failed: {sent:#?}");
    Ok(())
}

fn linking<M: Messaging>(client: &M, step: Step, created: &[SpanContext]) -> ExpectedSpan {
    let expected = client.expected(step);
    created.iter().enumerate().fold(expected, |expected, (place, context)| {
        expected.link_with(context.clone(), client.link(step, place))
    })
}
