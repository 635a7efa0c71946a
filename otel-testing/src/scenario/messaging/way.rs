//! The way of one message.

use std::any::type_name;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::FutureExt as _;
use opentelemetry::{Context, KeyValue, global};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use otel_core::{Telemetry, TelemetryBuilder};

use super::super::operation::{ERROR_TYPE, assert_off, with_parent};
use super::super::{Capability, Outcome, Skipped};
use super::{
    CLIENT, CONSUMED, HANDLER, HandlerFailed, Messaging, SENT, Step, assert_count, connect,
    identity, needs, on_its_way,
};
use crate::{Capture, span};

/// How long a call hangs before it is dropped: a real broker must have got it.
const HANGING: Duration = Duration::from_millis(200);

/// A message on its way: each step is one span and one measurement, all in one trace, and the
/// message is counted once.
pub async fn success<M: Messaging>() -> Outcome {
    let (capture, client) = connect::<M>(Capture::new(), |options| options).await?;
    client.send(&[("application", "own")]).await;
    CLIENT.assert_operation(&capture, &client.expected(Step::Send));
    assert_count(&capture, SENT, 1);
    let sent = identity(&capture);

    capture.clear();
    let message = client.receive().await;
    assert_eq!(M::headers(&message).get("application").map(String::as_str), Some("own"));
    capture.check();
    capture.assert_spans([client.expected(Step::Receive).link(sent.clone())]);
    assert_count(&capture, CONSUMED, 1);

    capture.clear();
    assert_eq!(client.process(&message, Box::pin(async { Ok(()) })).await, Ok(()));
    let expected = client.expected(Step::Process).child_of(sent.clone()).link(sent.clone());
    HANDLER.assert_operation(&capture, &expected);
    capture.assert_no_metric(CONSUMED);

    if M::CAPABILITIES.contains(&Capability::Settle) {
        capture.clear();
        client.settle(&message).await;
        CLIENT.assert_operation(&capture, &client.expected(Step::Settle).link(sent));
        capture.assert_no_metric(CONSUMED);
    }
    Ok(())
}

/// A message that cannot be sent: it counts as one that was tried.
pub async fn failure<M: Messaging>() -> Outcome {
    let (capture, client) = connect::<M>(Capture::new(), |options| options).await?;
    client.fail().await;
    let error = CLIENT.assert_operation(&capture, &client.expected(Step::Fail));
    assert!(error.is_some(), "a failed call must be measured with {ERROR_TYPE}");
    let counted = assert_count(&capture, SENT, 1);
    assert_eq!(counted.points[0].attribute(ERROR_TYPE), error.as_ref());
    Ok(())
}

/// A handler that fails: the name of its error's type is the type of the error.
pub async fn failed_handler<M: Messaging>() -> Outcome {
    let (capture, client) = connect::<M>(Capture::new(), |options| options).await?;
    let (message, sent) = on_its_way(&capture, &client).await;
    let failed = Box::pin(async { Err(HandlerFailed) });
    assert_eq!(client.process(&message, failed).await, Err(HandlerFailed));
    let expected = client.expected(Step::Process).child_of(sent.clone()).link(sent).any_error();
    let expected = expected.attribute(ERROR_TYPE, type_name::<HandlerFailed>());
    HANDLER.assert_operation(&capture, &expected);
    Ok(())
}

/// A handler that panics.
pub async fn panicking_handler<M: Messaging>() -> Outcome {
    let (capture, client) = connect::<M>(Capture::new(), |options| options).await?;
    let (message, sent) = on_its_way(&capture, &client).await;
    let panicking = Box::pin(async { panic!("the handler's own") });
    let panic = AssertUnwindSafe(client.process(&message, panicking)).catch_unwind().await;
    assert!(panic.is_err(), "the panic must come through Messaging::process");
    let expected = client.expected(Step::Process).child_of(sent.clone()).link(sent).any_error();
    HANDLER.assert_operation(&capture, &expected.attribute(ERROR_TYPE, "panic"));
    Ok(())
}

/// A send that is dropped while it is pending: an error of the type `cancelled`.
pub async fn cancelled<M: Messaging>() -> Outcome {
    needs::<M>(Capability::Cancel)?;
    let (capture, client) = connect::<M>(Capture::new(), |options| options).await?;
    let ended = tokio::time::timeout(HANGING, client.hang()).await.is_ok();
    assert!(!ended, "Messaging::hang must not end by itself");
    let expected = client.expected(Step::Hang).any_error().attribute(ERROR_TYPE, "cancelled");
    CLIENT.assert_operation(&capture, &expected);
    Ok(())
}

/// A handler that is dropped while it is pending: an error of the type `cancelled`.
pub async fn cancelled_handler<M: Messaging>() -> Outcome {
    let (capture, client) = connect::<M>(Capture::new(), |options| options).await?;
    let (message, sent) = on_its_way(&capture, &client).await;
    let handled = client.process(&message, Box::pin(std::future::pending()));
    let ended = tokio::time::timeout(Duration::from_millis(20), handled).await.is_ok();
    assert!(!ended, "Messaging::process must not end before its handler");
    let expected = client.expected(Step::Process).child_of(sent.clone()).link(sent).any_error();
    HANDLER.assert_operation(&capture, &expected.attribute(ERROR_TYPE, "cancelled"));
    Ok(())
}

/// A call that is dropped before it was polled: nothing happened.
pub async fn never_polled<M: Messaging>() -> Outcome {
    needs::<M>(Capability::Unpolled)?;
    let (capture, client) = connect::<M>(Capture::new(), |options| options).await?;
    client.unpolled();
    capture.assert_silent();
    Ok(())
}

/// A call that gets no message: nothing is emitted.
pub async fn nothing_received<M: Messaging>() -> Outcome {
    let (capture, client) = connect::<M>(Capture::new(), |options| options).await?;
    client.receive_nothing().await;
    capture.assert_silent();
    Ok(())
}

/// The sampler drops all spans: there are measurements, and the message says that it is not sampled.
pub async fn not_sampled<M: Messaging>() -> Outcome {
    let (capture, client) = connect::<M>(Capture::not_sampled(), |options| options).await?;
    client.send(&[]).await;
    CLIENT.assert_measured(&capture, &client.expected(Step::Send), None);
    let message = client.receive().await;
    let parent = M::headers(&message).remove("traceparent").unwrap_or_default();
    assert!(parent.ends_with("-00"), "a traceparent that is not sampled expected: {parent:?}");
    assert_eq!(client.process(&message, Box::pin(async { Ok(()) })).await, Ok(()));
    HANDLER.assert_measured(&capture, &client.expected(Step::Process), None);
    capture.check();
    capture.assert_no_spans();
    Ok(())
}

/// In a context whose telemetry is suppressed nothing is emitted.
pub async fn suppressed<M: Messaging>() -> Outcome {
    let (capture, client) = connect::<M>(Capture::new(), |options| options).await?;
    let suppressed = Context::current().with_telemetry_suppressed();
    whole_way(&client).with_context(suppressed).await;
    capture.assert_silent();
    Ok(())
}

/// While instrumentation is switched off nothing is emitted.
pub async fn disabled<M: Messaging>() -> Outcome {
    let option = |options: TelemetryBuilder| options.enabled(false);
    let (capture, client) = connect::<M>(Capture::new(), option).await?;
    whole_way(&client).await;
    capture.assert_silent();
    Ok(())
}

/// With a parent required, a send without one has no span, and its message still carries what there
/// is.
pub async fn parent_required<M: Messaging>() -> Outcome {
    let option = |options: TelemetryBuilder| options.require_parent(true);
    let (capture, client) = connect::<M>(Capture::new(), option).await?;
    let baggage = Context::current().with_baggage([KeyValue::new("tenant", "blue")]);
    client.send(&[]).with_context(baggage).await;
    capture.check();
    capture.assert_no_spans();
    CLIENT.assert_measured(&capture, &client.expected(Step::Send), None);
    let message = client.receive().await;
    assert_eq!(M::headers(&message).get("baggage").map(String::as_str), Some("tenant=blue"));

    capture.clear();
    with_parent(&capture, client.send(&[])).await;
    capture.assert_spans([client.expected(Step::Send).child_of("parent"), span("parent")]);
    Ok(())
}

/// Below a span: that span is the parent also of a handler's, and the message is linked.
pub async fn ambient_parent<M: Messaging>() -> Outcome {
    let (capture, client) = connect::<M>(Capture::new(), |options| options).await?;
    let (message, sent) = on_its_way(&capture, &client).await;
    with_parent(&capture, async {
        assert_eq!(client.process(&message, Box::pin(async { Ok(()) })).await, Ok(()));
    })
    .await;
    capture.check();
    let expected = client.expected(Step::Process).child_of("parent").link(sent);
    capture.assert_spans([expected, span("parent")]);
    Ok(())
}

/// A message on its way while there is no provider: that allocates nothing.
pub async fn off<M: Messaging>() -> Outcome {
    needs::<M>(Capability::Off)?;
    let client = M::connect(&Telemetry::builder().build()).await;
    let client = client.ok_or_else(Skipped::no_server::<M>)?;
    assert_off(4, || client.off_call(), || client.bare_call());
    Ok(())
}

/// A provider that is set globally after the client was made: the next call is reported to it.
///
/// It is not among [`messaging_scenarios`](crate::messaging_scenarios), because global providers
/// belong to the process: give it a test binary of its own.
pub async fn late_provider<M: Messaging>() -> Outcome {
    let capture = Capture::new();
    let client = M::connect(&Telemetry::global()).await.ok_or_else(Skipped::no_server::<M>)?;
    client.send(&[]).await;
    global::set_tracer_provider(capture.tracer_provider());
    global::set_meter_provider(capture.meter_provider());
    global::set_text_map_propagator(TraceContextPropagator::new());
    client.send(&[]).await;
    CLIENT.assert_operation(&capture, &client.expected(Step::Send));
    Ok(())
}

async fn whole_way<M: Messaging>(client: &M) {
    client.send(&[]).await;
    let message = client.receive().await;
    assert_eq!(client.process(&message, Box::pin(async { Ok(()) })).await, Ok(()));
    client.settle(&message).await;
}
