//! Clients to come, each as a model of twenty lines: what their drivers can and cannot do is
//! expressed, and no convention is decided here.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

mod support;

use std::collections::HashMap;
use std::future::ready;

use futures_util::StreamExt as _;
use opentelemetry::trace::SpanKind;
use otel_core::messaging::{
    Delivery, Destination, MessageFacts, MessagingCall, MessagingServer, fact,
};
use otel_core::propagation::{NoHeaders, StringCarrier};
use otel_core::{Failure, Messaging, MessagingOperation, Pending};
use otel_testing::{Capture, metric};
use support::{Stub, StubError};

type Headers = HashMap<String, String>;

fn client(capture: &Capture, system: &'static str) -> Messaging<Stub> {
    let server = MessagingServer::new(system).address("broker.example", Some(1));
    Messaging::new(&capture.telemetry(), server)
}

/// Name, kind, number of links and type of the error of each span.
fn told(capture: &Capture) -> Vec<(String, SpanKind, usize, String)> {
    let spans = capture.spans().into_iter();
    let tell = |span: opentelemetry_sdk::trace::SpanData| {
        let error = span.attributes.iter().find(|it| it.key.as_str() == "error.type");
        let error = error.map(|it| it.value.to_string()).unwrap_or_default();
        (span.name.to_string(), span.span_kind, span.links.len(), error)
    };
    spans.map(tell).collect()
}

fn span(
    name: &str,
    kind: SpanKind,
    links: usize,
    error: &str,
) -> (String, SpanKind, usize, String) {
    (name.to_owned(), kind, links, error.to_owned())
}

/// The points of a counter by the type of their error.
fn counted(capture: &Capture, name: &'static str) -> Vec<(String, u64)> {
    let metric = capture.assert_metric(metric(name));
    let mut points: Vec<_> = metric
        .points
        .iter()
        .map(|point| {
            let error = point.attribute("error.type").map(ToString::to_string);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
            (error.unwrap_or_default(), point.sum() as u64)
        })
        .collect();
    points.sort();
    points
}

const SENT: &str = "messaging.client.sent.messages";
const CONSUMED: &str = "messaging.client.consumed.messages";

/// A batch whose entries fail for themselves, ten attributes at most, a batch deleted in part.
#[tokio::test]
async fn sqs() {
    let capture = Capture::new();
    let messaging = client(&capture, "aws_sqs");
    let queue = |operation| MessagingCall::new(operation, Destination::named("orders"));
    let url = "https://sqs.example/1/orders";

    // What is asked of the service beside what the user asks for.
    assert_eq!(messaging.telemetry().propagated_fields().len(), 3);
    let mut entries = vec![Headers::new(); 10];
    let carriers = entries.iter_mut().map(|entry| (StringCarrier(entry), MessageFacts::new));
    let call = || queue("send").with(fact::AWS_SQS_QUEUE_URL, url);
    let mut operation = messaging.send_batch(carriers, call);
    operation.learn(fact::AWS_REQUEST_ID, "r-1");
    for code in ["InternalError", "InvalidMessageContents", "InternalError"] {
        operation.failed_messages(1, Failure::new(code));
    }
    operation.finish();
    let spans = told(&capture);
    assert_eq!(spans[10], span("send orders", SpanKind::Client, 10, "InternalError"));
    let errors = [("", 7), ("InternalError", 2), ("InvalidMessageContents", 1)];
    let expected = errors.map(|(error, count)| (error.to_owned(), count));
    assert_eq!(counted(&capture, SENT), expected);

    capture.clear();
    let read = entries.iter().zip(0..).map(|(entry, id)| {
        let id = move || MessageFacts::new().with(fact::MESSAGE_ID, format!("m-{id}"));
        (StringCarrier(entry), id)
    });
    let deliveries: Vec<Delivery> =
        messaging.poll().received_batch(read, || queue("receive")).collect();
    // They are deleted later, by another call.
    let call = || queue("delete").batch(deliveries.len());
    let mut operation = messaging.settle(&deliveries, call);
    operation.failed_messages(1, Failure::new("ReceiptHandleIsInvalid"));
    operation.run(ready(Ok::<_, StubError>(()))).await.unwrap();
    assert_eq!(
        told(&capture),
        [
            span("receive orders", SpanKind::Client, 10, ""),
            span("delete orders", SpanKind::Client, 10, "ReceiptHandleIsInvalid"),
        ]
    );
    assert_eq!(counted(&capture, CONSUMED), [(String::new(), 10)]);
}

/// A topic, or the phone of a person.
#[tokio::test]
async fn sns() {
    let capture = Capture::new();
    let messaging = client(&capture, "aws.sns");
    let mut headers = Headers::new();
    let topic = || {
        let call = MessagingCall::new("publish", Destination::named("orders"));
        call.with(fact::AWS_SNS_TOPIC_ARN, "arn:aws:sns:eu:1:orders")
    };
    let publish = messaging.send(&mut StringCarrier(&mut headers), topic);
    let id = publish.run_with(ready(Ok::<_, StubError>("m-1")), |id, operation| {
        operation.learn(fact::MESSAGE_ID, *id);
    });
    assert_eq!(id.await, Ok("m-1"));
    let phone = || MessagingCall::new("publish", Destination::none());
    messaging.send(&mut NoHeaders, phone).finish();
    assert_eq!(
        told(&capture),
        [
            span("publish orders", SpanKind::Producer, 0, ""),
            span("publish broker.example:1", SpanKind::Client, 0, ""),
        ]
    );
}

/// Published, and confirmed later by a future of its own.
struct Confirm(MessagingOperation<Stub>, Result<bool, StubError>);

impl Confirm {
    async fn wait(self) -> Result<bool, StubError> {
        let Self(operation, confirmed) = self;
        let inspect = |confirmed: &bool, operation: &mut MessagingOperation<Stub>| {
            if !confirmed {
                operation.failed(Failure::new("nack"));
            }
        };
        operation.run_with(ready(confirmed), inspect).await
    }
}

async fn publish(
    messaging: &Messaging<Stub>,
    written: Result<(), StubError>,
    confirmed: Result<bool, StubError>,
) -> Result<Confirm, StubError> {
    let mut headers = Headers::new();
    let call = || {
        let call = MessagingCall::new("publish", Destination::named("shop:orders"));
        call.with(fact::RABBITMQ_ROUTING_KEY, "orders")
    };
    let operation = messaging.send(&mut StringCarrier(&mut headers), call);
    let ((), mut operation) = operation.run_part(ready(written)).await?;
    operation.handed_over();
    Ok(Confirm(operation, confirmed))
}

#[tokio::test]
async fn lapin() {
    let capture = Capture::new();
    let messaging = client(&capture, "rabbitmq");
    let lost = publish(&messaging, Err(StubError("CLOSED")), Ok(true)).await;
    assert!(lost.is_err());
    assert_eq!(publish(&messaging, Ok(()), Ok(true)).await.unwrap().wait().await, Ok(true));
    assert_eq!(publish(&messaging, Ok(()), Ok(false)).await.unwrap().wait().await, Ok(false));
    // Nobody waits for it: no failure.
    drop(publish(&messaging, Ok(()), Ok(true)).await.unwrap());
    let sent = ["CLOSED", "", "nack", ""];
    let sent = sent.map(|error| span("publish shop:orders", SpanKind::Producer, 0, error));
    assert_eq!(told(&capture), sent);

    capture.clear();
    let queue = |operation| MessagingCall::new(operation, Destination::named("shop:orders:q"));
    let items = futures_util::stream::iter([1, 2].map(Ok::<_, StubError>));
    let mut consumer = messaging.stream(items, |item, arrival| {
        item.map(|tag| {
            let call = || queue("consume").with(fact::RABBITMQ_DELIVERY_TAG, tag);
            (tag, arrival.received(&NoHeaders, call))
        })
    });
    let mut unacked = Vec::new();
    while let Some(Ok((_, delivery))) = consumer.next().await {
        unacked.push(delivery);
    }
    // All up to the second.
    let ack = || queue("ack").with(fact::RABBITMQ_DELIVERY_TAG, 2);
    messaging.settle(&unacked, ack).run(ready(Ok::<_, StubError>(()))).await.unwrap();
    let names: Vec<_> = told(&capture).into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names, ["consume shop:orders:q", "consume shop:orders:q", "ack shop:orders:q"]);
}

/// A question, its answer in an inbox, and batches that are pulled.
#[tokio::test]
async fn nats() {
    let capture = Capture::new();
    let messaging = client(&capture, "nats");
    let mut headers = Headers::new();
    let request = || MessagingCall::new("request", Destination::named("orders.price"));
    let asked = messaging.send(&mut StringCarrier(&mut headers), request);
    asked.run(ready(Ok::<_, StubError>(()))).await.unwrap();
    // The service, called by the driver: its answer goes to the inbox.
    let question = messaging.delivery(&StringCarrier(&headers));
    let process = |(): &()| MessagingCall::new("process", Destination::named("orders.price"));
    let answer = async |(): &()| {
        let inbox = || MessagingCall::new("publish", Destination::temporary("_INBOX.q7"));
        messaging.send(&mut StringCarrier(&mut Headers::new()), inbox).finish();
        Ok::<_, String>(7)
    };
    assert_eq!(messaging.handle(&question, &(), process, answer).await, Ok(7));
    assert_eq!(
        told(&capture),
        [
            span("request orders.price", SpanKind::Producer, 0, ""),
            span("publish", SpanKind::Producer, 0, ""),
            span("process orders.price", SpanKind::Consumer, 1, ""),
        ]
    );
}

/// What became of a message is told by a callback on another thread, by its id.
#[test]
fn a_report_by_callback() {
    let capture = Capture::new();
    let messaging = client(&capture, "pulsar");
    let pending = Pending::<u64, MessagingOperation<Stub>>::new(2);
    for id in 0..3 {
        let call = || MessagingCall::new("send", Destination::named("orders"));
        let mut operation = messaging.send(&mut StringCarrier(&mut Headers::new()), call);
        operation.handed_over();
        pending.insert(id, operation);
    }
    std::thread::scope(|scope| {
        scope.spawn(|| pending.take(&1).unwrap().fail(&StubError("TIMED_OUT")));
    });
    pending.take(&2).unwrap().finish();
    let errors: Vec<_> = told(&capture).into_iter().map(|(.., error)| error).collect();
    assert_eq!(errors, ["", "TIMED_OUT", ""]);
}
