//! otel-nats on NATS: publishing, subscriptions, and requests as one conversation with their answers.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::convert::Infallible;
use std::io;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use integration_tests::{assert_nowhere, count, eventually, soon, total, unique_name};
use otel_nats::client::{Request, RequestErrorKind};
use otel_nats::message::OutboundMessage;
use otel_nats::otel_core::ProcessParent;
use otel_nats::{Client, HeaderMap, Message};
use otel_testing::assert::{ExpectedPoint, ExpectedSpan};
use otel_testing::opentelemetry::baggage::BaggageExt as _;
use otel_testing::opentelemetry::trace::{
    FutureExt as _, SpanContext, TraceContextExt as _, Tracer as _,
};
use otel_testing::opentelemetry::{Context, KeyValue};
use otel_testing::opentelemetry_sdk::trace::SpanData;
use otel_testing::{Capture, metric, point};

use super::Live;
use crate::nats_support::{about, connect, heard, next, of_many, options, sent, tracer};

const DURATION: &str = "messaging.client.operation.duration";
const SENT: &str = "messaging.client.sent.messages";
const CONSUMED: &str = "messaging.client.consumed.messages";

/// The identity of the one span with this name.
fn identity(capture: &Capture, name: &str) -> SpanContext {
    let spans = capture.spans_named(name);
    let [span] = &spans[..] else { panic!("not one {name}: {spans:#?}") };
    span.span_context.clone()
}

pub async fn ordinary_life(live: &Live) {
    let url = &live.url;
    let (capture, client) = live.captured().await;
    let name = unique_name();
    let (subject, pattern) = (format!("{name}.new"), format!("{name}.*"));
    let mut all = client.subscribe(pattern.clone()).await.unwrap();
    let mut group = client.queue_subscribe(subject.clone(), "workers".to_owned()).await.unwrap();
    capture.assert_silent();

    client.publish(subject.clone(), "order".into()).await.unwrap();
    let publish = about(url, "publish", "send", &subject);
    capture.assert_spans([publish.clone().producer().root()]);
    let sent = sent(&capture, &format!("publish {subject}"));
    let attributes = |point: ExpectedPoint| {
        let server: otel_nats::ServerAddr = url.parse().unwrap();
        point
            .attribute("messaging.system", "nats")
            .attribute("server.address", server.host().to_owned())
            .attribute("server.port", i64::from(server.port()))
    };
    let point = attributes(point())
        .attribute("messaging.operation.name", "publish")
        .attribute("messaging.destination.name", subject.clone());
    capture.assert_metric(metric(SENT).counter().unit("{message}").point(point.clone().value(1)));
    let duration = point.attribute("messaging.operation.type", "send").count(1);
    capture.assert_metric(metric(DURATION).histogram().unit("s").point(duration));
    assert_eq!(capture.metrics().len(), 2);

    capture.clear();
    let message = next(&mut all).await;
    let receive = of_many(url, "receive", "receive", (&pattern, &subject)).client();
    capture.assert_spans([receive.root().link(sent.clone())]);
    let message_point = attributes(otel_testing::point())
        .attribute("messaging.operation.name", "receive")
        .attribute("messaging.destination.template", pattern.clone());
    // A wait without a bound is not measured.
    capture.assert_metric(metric(CONSUMED).counter().point(message_point.value(1)));
    assert_eq!(capture.metrics().len(), 1);

    capture.clear();
    let handled = message.process(async |message| {
        assert_eq!(message.payload, "order");
        Err::<(), _>(io::Error::other("secret"))
    });
    handled.await.unwrap_err();
    let process = of_many(url, "process", "process", (&pattern, &subject)).consumer();
    let process = process.error("").attribute("error.type", "std::io::error::Error");
    capture.assert_spans([process.child_of(sent.clone()).link(sent.clone())]);
    assert_eq!(count(&capture, "messaging.process.duration"), 1);
    assert_eq!(total(&capture, CONSUMED), 0, "counted when it was received");

    capture.clear();
    let message = next(&mut group).await;
    let in_group = |span: ExpectedSpan| span.attribute("messaging.consumer.group.name", "workers");
    let receive = in_group(about(url, "receive", "receive", &subject).client());
    capture.assert_spans([receive.root().link(sent.clone())]);
    capture.clear();
    let done = message.process_blocking(|message| Ok::<_, Infallible>(message.payload.len()));
    assert_eq!(done, Ok(5));
    let process = in_group(about(url, "process", "process", &subject).consumer());
    capture.assert_spans([process.child_of(sent.clone()).link(sent.clone())]);

    // The other ways to publish. One's own trace stays, and is linked to.
    capture.clear();
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", "order-7");
    client.publish_with_headers(subject.clone(), headers.clone(), "order".into()).await.unwrap();
    let with_id = publish.clone().attribute("messaging.message.id", "order-7");
    capture.assert_spans([with_id.clone().producer()]);
    capture.clear();
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    headers.insert("traceparent", parent);
    let replied =
        |span: ExpectedSpan| span.attribute("messaging.message.conversation_id", "answers");
    client
        .publish_with_reply_and_headers(subject.clone(), "answers", headers, "order".into())
        .await
        .unwrap();
    client.publish_with_reply(subject.clone(), "answers", "order".into()).await.unwrap();
    let spans = capture.spans();
    assert_eq!(spans[0].links[0].span_context.trace_id().to_string(), &parent[3..35]);
    let foreign = spans[0].links[0].span_context.clone();
    capture.assert_spans([
        replied(with_id).client().link(foreign),
        replied(publish.clone()).producer(),
    ]);
    capture.clear();
    let message = OutboundMessage {
        subject: subject.clone().into(),
        reply: None,
        payload: "order".into(),
        headers: None,
    };
    client.clone().send(message).await.unwrap();
    capture.assert_spans([publish.producer()]);
    let ids: HashSet<_> = [next(&mut all).await, next(&mut all).await, next(&mut all).await]
        .iter()
        .map(|message| message.delivery().span_context().unwrap().trace_id())
        .collect();
    assert_eq!(ids.len(), 3);
    let kept = next(&mut all).await;
    assert!(kept.delivery().span_context().is_some());
    assert_nowhere(&capture, "secret");
    all.unsubscribe().await.unwrap();
    group.drain().await.unwrap();
}

const MESSAGES: usize = 1000;

/// Two clients that know nothing of each other: a thousand messages, each in a trace of its own, with
/// their baggage, handled at the same time.
pub async fn a_thousand_messages_are_each_handled_in_their_own_trace(live: &Live) {
    let url = &live.url;
    for (parent, below) in [
        (ProcessParent::Ambient, true),
        (ProcessParent::Message, true),
        (ProcessParent::Link, false),
    ] {
        let (from, producer) = live.captured().await;
        let to = Capture::new();
        let telemetry = live.telemetry(&to).process_parent(parent).build();
        let consumer = connect(url, &telemetry).await;
        let subject = unique_name();
        let messages = consumer.subscribe(format!("{subject}.*")).await.unwrap();
        heard(&consumer).await;
        let sending = async {
            for number in 0..MESSAGES {
                let context =
                    Context::new().with_baggage([KeyValue::new("order", number.to_string())]);
                let subject = format!("{subject}.{number}");
                let publishing = producer.publish(subject, number.to_string().into());
                publishing.with_context(context).await.unwrap();
            }
        };
        let handling = messages.take(MESSAGES).for_each_concurrent(32, async |message| {
            let handled = message.process(async |message: &Message| {
                tokio::task::yield_now().await;
                let context = Context::current();
                let order = context.baggage().get("order").unwrap().to_string();
                assert_eq!(order.as_bytes(), &*message.payload);
                let span = context.span().span_context().clone();
                Ok::<_, Infallible>((order, span))
            });
            let (order, _span) = handled.await.unwrap();
            assert!(message.subject.ends_with(&order));
        });
        let both = async { tokio::join!(sending, handling) };
        soon("all are handled", both).await;
        let sends: HashMap<_, _> =
            from.spans().into_iter().map(|span| (span.span_context.span_id(), span)).collect();
        assert_eq!(sends.len(), MESSAGES);
        let name = format!("process {subject}.*");
        let processed = to.spans_named(&name);
        assert_eq!(processed.len(), MESSAGES);
        let mut seen = HashSet::new();
        for process in &processed {
            let link = &process.links[0].span_context;
            let send = &sends[&link.span_id()];
            assert_eq!(send.span_context.trace_id(), link.trace_id());
            assert!(seen.insert(link.span_id()), "each once");
            assert_eq!(process.span_context.trace_id() == link.trace_id(), below, "{parent:?}");
            let to_name = |span: &SpanData| {
                span.attributes
                    .iter()
                    .find(|it| it.key.as_str() == "messaging.destination.name")
                    .unwrap()
                    .value
                    .clone()
            };
            assert_eq!(to_name(process), to_name(send));
        }
        assert_eq!(to.spans_named(&format!("receive {subject}.*")).len(), MESSAGES);
        // One series, whatever the subjects: those of the sender grow, unless a hook names them.
        assert_eq!(to.assert_metric(metric(CONSUMED)).points.len(), 1);
        assert_eq!(total(&to, CONSUMED), 1000);
    }
}

/// Answers each request, in the trace that it carries.
async fn answering(client: &Client, subject: &str, requests: usize) {
    let (client, subject) = (client.clone(), subject.to_owned());
    let messages = client.subscribe(subject).await.unwrap();
    heard(&client).await;
    tokio::spawn(messages.take(requests).for_each(move |message| {
        let client = client.clone();
        async move {
            let answered = message.process(async |message| {
                let reply = message.reply.clone().unwrap();
                client.publish(reply, message.payload.clone()).await
            });
            answered.await.unwrap();
        }
    }));
}

pub async fn question_and_answer_are_one_conversation(live: &Live) {
    let url = &live.url;
    let (asks, client) = live.captured().await;
    let (answers, service) = live.captured().await;
    let subject = unique_name();
    answering(&service, &subject, 1).await;
    let tracer = tracer(&asks);
    let asking = async |cx: Context| {
        let answer =
            client.request(subject.clone(), "price".into()).with_context(cx).await.unwrap();
        assert_eq!(answer.payload, "price");
        answer
    };
    let span = tracer.start("checkout");
    let answer = asking(Context::current_with_span(span)).await;
    let inbox = answer.subject.to_string();
    let conversation =
        |span: ExpectedSpan| span.attribute("messaging.message.conversation_id", inbox.clone());
    let request = conversation(about(url, "request", "send", &subject)).producer();
    let checkout = identity(&asks, "checkout");
    asks.assert_spans([request.child_of(checkout.clone()), otel_testing::assert::span("checkout")]);
    let asked = sent(&asks, &format!("request {subject}"));

    eventually("it is told", async || answers.spans().len() == 3).await;
    let reply = conversation(of_many(url, "publish", "send", ("_INBOX", &inbox)));
    let reply = reply.attribute("messaging.destination.temporary", true).producer();
    let process = conversation(about(url, "process", "process", &subject)).consumer();
    let receive = conversation(about(url, "receive", "receive", &subject)).client();
    let processed = identity(&answers, &format!("process {subject}"));
    answers.assert_spans_in_any_order([
        receive.link(asked.clone()),
        process.child_of(asked.clone()).link(asked.clone()),
        reply.child_of(processed),
    ]);
    let replied = sent(&answers, "publish _INBOX");
    assert_eq!(replied.trace_id(), checkout.trace_id(), "one trace");

    // What becomes of the answer, in the trace of the question.
    asks.clear();
    answer.process(async |_| Ok::<_, Infallible>(())).await.unwrap();
    let handled = conversation(of_many(url, "process", "process", ("_INBOX", &inbox)));
    let handled = handled.attribute("messaging.destination.temporary", true).consumer();
    asks.assert_spans([handled.child_of(replied.clone()).link(replied)]);
    assert_eq!(total(&asks, CONSUMED), 1);
}

/// By option: what answers is in a trace of its own, which links to the question.
pub async fn who_answers_may_only_link_to_the_question(live: &Live) {
    let url = &live.url;
    let (asks, client) = live.captured().await;
    let answers = Capture::new();
    let telemetry = live.telemetry(&answers).process_parent(ProcessParent::Link).build();
    let service = connect(url, &telemetry).await;
    let subject = unique_name();
    answering(&service, &subject, 1).await;
    client.request(subject.clone(), "price".into()).await.unwrap();
    let asked = sent(&asks, &format!("request {subject}"));
    eventually("it is told", async || answers.spans().len() == 3).await;
    let process = &answers.spans_named(&format!("process {subject}"))[0];
    assert_eq!(process.links[0].span_context.span_id(), asked.span_id());
    assert_ne!(process.span_context.trace_id(), asked.trace_id());
}

pub async fn requests_that_fail(live: &Live) {
    let url = &live.url;
    let (capture, client) = live.captured().await;
    let subject = unique_name();
    let request = || about(url, "request", "send", &subject).producer().error("");

    let error = client.request(subject.clone(), "price".into()).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::NoResponders);
    capture.assert_spans([request().attribute("error.type", "NoResponders")]);

    capture.clear();
    let _silent = client.subscribe(subject.clone()).await.unwrap();
    let soon = Request::new().payload("price".into()).timeout(Some(Duration::from_millis(20)));
    let inbox = client.new_inbox();
    let error = client.send_request(subject.clone(), soon.inbox(inbox.clone())).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::TimedOut);
    let expected = request().attribute("messaging.message.conversation_id", inbox);
    capture.assert_spans([expected.attribute("error.type", "TimedOut")]);

    capture.clear();
    let error = client.request(" ", "price".into()).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::InvalidSubject);
    assert_eq!(capture.spans().len(), 1);

    capture.clear();
    let large = vec![0; client.max_payload() + 1];
    let error = client.request(subject.clone(), large.into()).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::MaxPayloadExceeded);
    let expected = about(url, "request", "send", &subject).client().error("");
    capture.assert_spans([expected.attribute("error.type", "MaxPayloadExceeded")]);
}

/// As many inboxes as requests, and two series.
pub async fn no_series_grows_with_inboxes(live: &Live) {
    let url = &live.url;
    let (capture, client) = live.captured().await;
    let others = Capture::new();
    let own = options(url).name("live").custom_inbox_prefix("shop.inbox");
    let own = own.telemetry(&live.telemetry(&others).build()).connect(url).await.unwrap();
    let subject = unique_name();
    // Who answers is told of the other's prefix.
    let service = options(url).name("live").inbox_prefix("shop.inbox");
    let service = service.telemetry(&live.telemetry(&capture).build()).connect(url).await.unwrap();
    answering(&service, &subject, 40).await;
    let mut inboxes = BTreeSet::new();
    for _ in 0..20 {
        inboxes.insert(
            client.request(subject.clone(), "price".into()).await.unwrap().subject.to_string(),
        );
        let answer = own.request(subject.clone(), "price".into()).await.unwrap();
        assert!(answer.subject.starts_with("shop.inbox."));
        inboxes.insert(answer.subject.to_string());
        answer.process(async |_| Ok::<_, Infallible>(())).await.unwrap();
    }
    assert_eq!(inboxes.len(), 40);
    eventually("all are told", async || capture.spans_named("publish shop.inbox").len() == 20)
        .await;
    assert_eq!(capture.spans_named("publish _INBOX").len(), 20);
    assert_eq!(others.spans_named("process shop.inbox").len(), 20);
    // publish to each prefix, request, receive, process: whatever the number of inboxes.
    for (capture, most) in [(&capture, 4), (&others, 2)] {
        for metric in capture.metrics() {
            assert!(metric.points.len() <= most, "{metric:#?}");
            let told = format!("{metric:?}");
            assert!(inboxes.iter().all(|inbox| !told.contains(inbox)), "{told}");
        }
    }
}

/// One request to many, with the answers at a subscription of one's own.
pub async fn scatter_and_gather(live: &Live) {
    let url = &live.url;
    let (capture, client) = live.captured().await;
    let (_, service) = live.captured().await;
    let subject = unique_name();
    for _ in 0..2 {
        answering(&service, &subject, 1).await;
    }
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.unwrap();
    client.publish_with_reply(subject.clone(), inbox.clone(), "price".into()).await.unwrap();
    for _ in 0..2 {
        next(&mut answers).await;
    }
    let conversation =
        |span: ExpectedSpan| span.attribute("messaging.message.conversation_id", inbox.clone());
    let asked = sent(&capture, &format!("publish {subject}"));
    let receives = capture.spans_named("receive _INBOX");
    let links: Vec<_> = receives.iter().map(|it| it.links[0].span_context.clone()).collect();
    assert!(links.iter().all(|link| link.trace_id() == asked.trace_id()));
    let receive = || {
        let receive = conversation(of_many(url, "receive", "receive", ("_INBOX", &inbox)));
        receive.attribute("messaging.destination.temporary", true).client()
    };
    capture.assert_spans([
        conversation(about(url, "publish", "send", &subject)).producer(),
        receive().link(links[0].clone()),
        receive().link(links[1].clone()),
    ]);
}

/// A status is the server's own word, such as that nobody listens, and no message.
pub async fn what_the_server_says_is_no_message(live: &Live) {
    let (capture, client) = live.captured().await;
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.unwrap();
    client.publish_with_reply(unique_name(), inbox, "price".into()).await.unwrap();
    capture.clear();
    let answer = next(&mut answers).await;
    assert_eq!(answer.status, Some(otel_nats::StatusCode::NO_RESPONDERS));
    capture.assert_silent();
}
