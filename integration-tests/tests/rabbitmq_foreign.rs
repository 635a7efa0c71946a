//! RabbitMQ between languages: what we write into messages is what Python's pika reads with its official
//! instrumentation, and the other way round.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod rabbitmq_support;

use std::collections::BTreeMap;
use std::convert::Infallible;

use integration_tests::foreign::{Outgoing, Task, play};
use integration_tests::told::{Span, order_in_baggage};
use integration_tests::unique_name;
use native::Foreign;
use otel_rabbitmq::options::{BasicAckOptions, QueueDeclareOptions, QueueDeleteOptions};
use otel_rabbitmq::types::{FieldTable, ShortString};
use otel_rabbitmq::{Channel, Confirmation};
use otel_testing::live;
use otel_testing::opentelemetry::baggage::BaggageExt as _;
use otel_testing::opentelemetry::trace::{
    FutureExt as _, SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use otel_testing::opentelemetry::{Context, KeyValue};

use crate::rabbitmq_support::{captured, confirming, consume, next, publish};

const MESSAGES: u64 = 20;
const FORMATS: &str = "tracecontext,baggage";

/// The context that a message with this number is sent in: trace, state and baggage.
fn origin(number: u64) -> Context {
    let state = TraceState::from_key_value([("shop", number.to_string())]).unwrap();
    let trace = TraceId::from(u128::from(number) << 64 | 0xabc);
    let span = SpanContext::new(trace, SpanId::from(number), TraceFlags::SAMPLED, true, state);
    let baggage = [KeyValue::new("order", order_in_baggage(number))];
    Context::new().with_remote_span_context(span).with_baggage(baggage)
}

/// A queue that another connection may use.
async fn shared_queue(channel: &Channel) -> ShortString {
    let name = ShortString::from(unique_name());
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(name.clone(), options, FieldTable::default()).await.unwrap();
    name
}

#[tokio::test(flavor = "multi_thread")]
async fn pika_reads_what_we_write() {
    let Some(url) = live::address("RABBITMQ") else { return };
    let (capture, connection) = captured(&url).await;
    let channel = confirming(&connection).await;
    let queue = shared_queue(&channel).await;
    for number in 1..=MESSAGES {
        let body = number.to_string();
        let confirm = publish(&channel, &queue, body.as_bytes()).with_context(origin(number)).await;
        assert_eq!(confirm.await.unwrap(), Confirmation::Ack(None));
    }
    let sent = capture.spans();
    let (destination, group) = (queue.to_string(), unique_name());
    let task = Task::Consume { address: url, destination, group, count: MESSAGES };
    let Some(heard) = play(Foreign::pika(), &task, FORMATS).await else { return };
    assert_eq!(heard.messages.len(), sent.len());
    for (number, (message, span)) in (1..).zip(heard.messages.iter().zip(&sent)) {
        assert_eq!(message.body, number.to_string());
        let span = &span.span_context;
        let theirs = (message.trace.clone(), message.span.clone());
        assert_eq!(theirs, (span.trace_id().to_string(), span.span_id().to_string()));
        assert_eq!(span.trace_id(), TraceId::from(u128::from(number) << 64 | 0xabc));
        assert_eq!(message.state, format!("shop={number}"));
        let expected = BTreeMap::from([("order".to_owned(), order_in_baggage(number))]);
        assert_eq!(message.baggage, expected);
        let receive = heard.spans.iter().find(|receive| receive.parent == theirs.1).unwrap();
        assert_eq!(receive.trace, theirs.0);
    }
    channel.queue_delete(queue, QueueDeleteOptions::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_pika_sends_goes_on_with_us() {
    let Some(url) = live::address("RABBITMQ") else { return };
    let (capture, connection) = captured(&url).await;
    let channel = confirming(&connection).await;
    let queue = shared_queue(&channel).await;
    let messages = (1..=MESSAGES).map(|number| Outgoing {
        body: number.to_string(),
        context: BTreeMap::from([
            ("traceparent".to_owned(), format!("00-{number:016x}{:016x}-{number:016x}-01", 0xabc)),
            ("tracestate".to_owned(), format!("shop={number}")),
            ("baggage".to_owned(), format!("order=n%C2%B0{number}%3B%3D%2C")),
        ]),
    });
    let destination = queue.to_string();
    let task = Task::Produce { address: url, destination, messages: messages.collect() };
    let Some(heard) = play(Foreign::pika(), &task, FORMATS).await else { return };
    // pika's two layers are both instrumented: the message carries the inner one.
    let is_inner = |span: &&Span| heard.spans.iter().all(|other| other.parent != span.id);
    let sends: Vec<_> = heard.spans.iter().filter(is_inner).collect();
    assert_eq!(sends.len() as u64, MESSAGES);
    let mut messages = consume(&channel, &queue).await;
    for (number, send) in (1..).zip(sends) {
        capture.clear();
        let message = next(&mut messages).await.unwrap();
        let handled = message.process(async |message| {
            assert_eq!(*message.data, *number.to_string().as_bytes());
            let current = Context::current();
            assert_eq!(current.span().span_context().trace_state().header(), send.state);
            let order = current.baggage().get("order").unwrap().to_string();
            assert_eq!(order, order_in_baggage(number));
            Ok::<_, Infallible>(())
        });
        handled.await.unwrap();
        message.ack(BasicAckOptions::default()).await.unwrap();
        let spans = capture.spans();
        let [receive, process, ack] = &spans[..] else { panic!("not three spans: {spans:#?}") };
        for span in [receive, process, ack] {
            let link = &span.links[0].span_context;
            assert_eq!(
                (link.trace_id().to_string(), link.span_id().to_string()),
                (send.trace.clone(), send.id.clone())
            );
        }
        assert_eq!(process.span_context.trace_id().to_string(), send.trace);
        assert_eq!(process.parent_span_id.to_string(), send.id);
    }
    channel.queue_delete(queue, QueueDeleteOptions::default()).await.unwrap();
}
