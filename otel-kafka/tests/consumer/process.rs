//! Handlers: their span, their parent, and the context they run in.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as Task, Waker};

use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::{TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, ContextGuard};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use otel_kafka::Telemetry;
use otel_kafka::message::Message as _;
use otel_kafka::otel_core::ProcessParent;
use otel_testing::{Capture, metric, span};

use crate::support::{Broker, base, context, next, received, within};

fn trace() -> u128 {
    u128::from_be_bytes(Context::current().span().span_context().trace_id().to_bytes())
}

#[tokio::test]
async fn errors_of_any_type() {
    #[derive(Debug, PartialEq)]
    struct OutOfStock;

    let capture = Capture::new();
    let (broker, consumer) = received(&capture).await;
    let message = next(&consumer);
    capture.clear();
    let payload = message.process(async |message| Ok::<_, OutOfStock>(message.payload())).await;
    assert_eq!(payload, Ok(Some(&b"a box"[..])));
    let failed = message.process(async |_| Err::<(), _>(OutOfStock)).await;
    assert_eq!(failed, Err(OutOfStock));
    let anyhow = message.process_blocking(|_| Err::<(), Box<dyn std::error::Error>>("no".into()));
    assert!(anyhow.is_err());
    let expected = || broker.process(0, 1).child_of(context(1));
    capture.assert_spans([
        expected(),
        expected().attribute("error.type", std::any::type_name::<OutOfStock>()).error(""),
        expected()
            .attribute("error.type", std::any::type_name::<Box<dyn std::error::Error>>())
            .error(""),
    ]);
    // The receive has counted it.
    capture.assert_no_metric("messaging.client.consumed.messages");
    capture.assert_metric(metric("messaging.process.duration").unit("s"));
}

#[tokio::test]
async fn a_panic_and_a_cancelled_handler() {
    let capture = Capture::new();
    let (broker, consumer) = received(&capture).await;
    let message = next(&consumer);
    capture.clear();
    let panics = || message.process_blocking(|_| -> Result<(), ()> { panic!("on purpose") });
    assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
    {
        let mut pending = pin!(message.process(async |_| {
            std::future::pending::<()>().await;
            Ok::<_, ()>(())
        }));
        assert!(pending.as_mut().poll(&mut Task::from_waker(Waker::noop())).is_pending());
    }
    drop(message.process(async |_| Ok::<_, ()>(())));
    let expected = || broker.process(0, 1).child_of(context(1));
    capture.assert_spans([
        expected().attribute("error.type", "panic").error(""),
        expected().attribute("error.type", "cancelled").error(""),
    ]);
}

#[tokio::test]
async fn the_parent_is_an_option() {
    use ProcessParent::{Ambient, Link, Message};

    for parent in [Ambient, Message, Link] {
        let capture = Capture::new();
        let broker = Broker::new();
        broker.send(0, 1, &[]).await;
        let telemetry = capture.telemetry_builder().process_parent(parent).build();
        let consumer = base(&telemetry, &broker.config());
        let message = next(&consumer);
        capture.clear();
        capture.tracer("test").in_span("ambient", |_| {
            message.process_blocking(|_| Ok::<_, ()>(())).unwrap();
        });
        let linked = broker.process(0, 1);
        let expected = match parent {
            Message => linked.child_of(context(1)).link("ambient"),
            _ => linked.child_of("ambient"),
        };
        capture.assert_spans([expected, span("ambient")]);
    }
}

#[tokio::test]
async fn baggage_and_trace_reach_the_handler_also_without_providers() {
    let capture = Capture::new();
    let propagator = || {
        let all: [Box<dyn opentelemetry::propagation::TextMapPropagator + Send + Sync>; 2] =
            [Box::new(TraceContextPropagator::new()), Box::new(BaggagePropagator::new())];
        opentelemetry::propagation::TextMapCompositePropagator::new(all.into())
    };
    let silent = Telemetry::builder().propagator(propagator()).enabled(false).build();
    for telemetry in [capture.telemetry(), silent] {
        let broker = Broker::new();
        broker.send(0, 7, &[("baggage", b"tenant=acme")]).await;
        let consumer = base(&telemetry, &broker.config());
        let message = next(&consumer);
        let seen = || {
            let current = Context::current();
            (trace(), current.baggage().get("tenant").map(ToString::to_string))
        };
        let expected = (7, Some("acme".to_owned()));
        assert_eq!(message.process(async |_| Ok::<_, ()>(seen())).await, Ok(expected.clone()));
        assert_eq!(message.process_blocking(|_| Ok::<_, ()>(seen())), Ok(expected.clone()));
        assert_eq!(message.instrument(async { seen() }).await, expected);
        let _guard: ContextGuard = message.context().attach();
        assert_eq!(seen(), expected);
    }
}

/// A copy goes to another thread, where the consumer is not.
#[tokio::test]
async fn detached() {
    let capture = Capture::new();
    let (broker, consumer) = received(&capture).await;
    let message = next(&consumer).detach();
    drop(consumer);
    capture.clear();
    let copy = message.clone();
    let worker = std::thread::spawn(move || {
        copy.process_blocking(|message| Ok::<_, ()>((trace(), message.offset())))
    });
    assert_eq!(worker.join().unwrap(), Ok((1, 0)));
    let task = tokio::spawn(async move { message.process(async |_| Ok::<_, ()>(trace())).await });
    assert_eq!(within(task).await.unwrap(), Ok(1));
    let expected = || broker.process(0, 1).child_of(context(1));
    capture.assert_spans([expected(), expected()]);
}

/// Handlers on several threads, in turns: none sees the trace of another.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent() {
    let capture = Capture::new();
    let broker = Broker::new();
    for trace in 1..=16 {
        broker.send(0, trace, &[]).await;
    }
    let consumer = Arc::new(broker.stream(&capture.telemetry()));
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let consumer = Arc::clone(&consumer);
        tasks.push(tokio::spawn(async move {
            for _ in 0..4 {
                // Borrowed messages too may be handled in a task, across awaits.
                let message = consumer.recv().await.unwrap();
                let handled = message.process(async |message| {
                    for _ in 0..100 {
                        let expected = u128::try_from(message.offset()).unwrap() + 1;
                        assert_eq!(trace(), expected);
                        tokio::task::yield_now().await;
                    }
                    Ok::<_, std::io::Error>(())
                });
                handled.await.unwrap();
                assert_eq!(trace(), 0);
            }
        }));
    }
    for task in tasks {
        within(task).await.unwrap();
    }
    assert_eq!(capture.spans_named("process orders").len(), 16);
    for span in capture.spans_named("process orders") {
        let linked = &span.links.links[0].span_context;
        assert_eq!(span.span_context.trace_id(), linked.trace_id());
        assert_eq!(span.parent_span_id, linked.span_id());
    }
}
