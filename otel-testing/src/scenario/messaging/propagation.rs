//! What a message carries.

use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::propagation::TextMapCompositePropagator;
use opentelemetry::trace::{
    FutureExt as _, SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use otel_core::{Telemetry, TelemetryBuilder};

use super::super::{Outcome, Skipped};
use super::{Messaging, Step, connect};
use crate::Capture;

/// Without any provider: the ambient context is in the message.
pub async fn without_provider<M: Messaging>() -> Outcome {
    let client = M::connect(&propagating()).await.ok_or_else(Skipped::no_server::<M>)?;
    client.send(&[]).with_context(remote()).await;
    let message = client.receive().await;
    let headers = M::headers(&message);
    assert_eq!(headers.get("traceparent").map(String::as_str), Some(TRACE_PARENT));
    assert_eq!(headers.get("baggage").map(String::as_str), Some("tenant=blue"));
    Ok(())
}

/// Without any provider: what the message carries is current while it is handled.
pub async fn without_provider_handled<M: Messaging>() -> Outcome {
    let client = M::connect(&propagating()).await.ok_or_else(Skipped::no_server::<M>)?;
    client.send(&[]).with_context(remote()).await;
    let message = client.receive().await;
    let seen = seen_by_handler(&client, &message).await;
    assert_eq!(seen.span().span_context().span_id(), remote().span().span_context().span_id());
    assert_eq!(tenant(&seen).as_deref(), Some("blue"));
    Ok(())
}

/// Baggage crosses the broker, and is current while the message is handled; an option drops it.
pub async fn baggage_kept<M: Messaging>() -> Outcome {
    use otel_core::InboundBaggage::{All, Drop, Only};

    for (inbound, expected) in [
        (All, Some("blue")),
        (Only(vec!["tenant".to_owned()]), Some("blue")),
        (Only(vec!["other".to_owned()]), None),
        (Drop, None),
    ] {
        let option = |options: TelemetryBuilder| options.inbound_baggage(inbound.clone());
        let (_capture, client) = connect::<M>(Capture::new(), option).await?;
        let baggage = Context::current().with_baggage([KeyValue::new("tenant", "blue")]);
        client.send(&[]).with_context(baggage).await;
        let message = client.receive().await;
        let seen = seen_by_handler(&client, &message).await;
        assert_eq!(tenant(&seen).as_deref(), expected, "{inbound:?}");
    }
    Ok(())
}

/// Trace headers of the application's own stay as they are and are linked to; an option replaces
/// them.
pub async fn own_headers_kept<M: Messaging>() -> Outcome {
    let own = [("traceparent", TRACE_PARENT)];
    let (capture, client) = connect::<M>(Capture::new(), |options| options).await?;
    client.send(&own).await;
    let linked = client.expected(Step::Send).client().link(remote().span().span_context().clone());
    capture.assert_spans([linked]);
    let headers = M::headers(&client.receive().await);
    assert_eq!(headers.get("traceparent").map(String::as_str), Some(TRACE_PARENT));

    let option = |options: TelemetryBuilder| options.replace_trace_headers(true);
    let (capture, client) = connect::<M>(Capture::new(), option).await?;
    client.send(&own).await;
    capture.assert_spans([client.expected(Step::Send)]);
    let headers = M::headers(&client.receive().await);
    assert_ne!(headers.get("traceparent").map(String::as_str), Some(TRACE_PARENT));
    Ok(())
}

const TRACE_PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// What [`TRACE_PARENT`] says, and baggage.
fn remote() -> Context {
    let parent = SpanContext::new(
        TraceId::from(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c),
        SpanId::from(0xb7ad_6b71_6920_3331),
        TraceFlags::SAMPLED,
        true,
        TraceState::NONE,
    );
    Context::new().with_remote_span_context(parent).with_baggage([KeyValue::new("tenant", "blue")])
}

/// A propagator and no provider.
fn propagating() -> Telemetry {
    let propagator = TextMapCompositePropagator::new(vec![
        Box::new(TraceContextPropagator::new()),
        Box::new(BaggagePropagator::new()),
    ]);
    Telemetry::builder().propagator(propagator).build()
}

fn tenant(context: &Context) -> Option<String> {
    context.baggage().get("tenant").map(ToString::to_string)
}

async fn seen_by_handler<M: Messaging>(client: &M, message: &M::Message) -> Context {
    let seen = Arc::new(Mutex::new(Context::new()));
    let place = Arc::clone(&seen);
    let handler = async move {
        *place.lock().unwrap_or_else(PoisonError::into_inner) = Context::current();
        Ok(())
    };
    assert_eq!(client.process(message, Box::pin(handler)).await, Ok(()));
    seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
