//! otel-rabbitmq on RabbitMQ: what is published, got, consumed, handled and settled.
use std::collections::HashSet;
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};

use futures_util::{FutureExt as _, StreamExt as _};
use integration_tests::{assert_nowhere, count, eventually, soon, total, unique_name};
use otel_rabbitmq::message::{Delivery, DeliveryResult};
use otel_rabbitmq::options::{
    BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicNackOptions, BasicPublishOptions,
    BasicQosOptions, BasicRecoverOptions, BasicRejectOptions, ExchangeDeclareOptions,
    QueueBindOptions, QueueDeclareOptions, QueuePurgeOptions,
};
use otel_rabbitmq::otel_core::ProcessParent;
use otel_rabbitmq::types::{FieldTable, ShortString};
use otel_rabbitmq::uri::AMQPUri;
use otel_rabbitmq::{BasicProperties, Channel, Confirmation, ExchangeKind};
use otel_testing::assert::{ExpectedPoint, ExpectedSpan};
use otel_testing::opentelemetry::baggage::BaggageExt as _;
use otel_testing::opentelemetry::trace::{FutureExt as _, TraceContextExt as _};
use otel_testing::opentelemetry::{Context, KeyValue};
use otel_testing::{Capture, metric, point};

use crate::rabbitmq_suite::Live;
use crate::rabbitmq_support::{
    KEY, TAG, about, attribute, carried, confirming, connect, consume, error_type, failed, next,
    publish, published, queue, sent, store, table, text,
};

const DURATION: &str = "messaging.client.operation.duration";
const SENT: &str = "messaging.client.sent.messages";
const CONSUMED: &str = "messaging.client.consumed.messages";
const MULTIPLE: BasicAckOptions = BasicAckOptions { multiple: true };
const ONE: BasicAckOptions = BasicAckOptions { multiple: false };

/// An exchange of one test's own, by topics.
async fn exchange(channel: &Channel) -> ShortString {
    let name = ShortString::from(unique_name());
    let options = ExchangeDeclareOptions { auto_delete: true, ..ExchangeDeclareOptions::default() };
    let kind = ExchangeKind::Topic;
    channel.exchange_declare(name.clone(), kind, options, FieldTable::default()).await.unwrap();
    name
}

async fn bind(channel: &Channel, queue: &ShortString, exchange: &ShortString, key: &str) {
    let options = QueueBindOptions::default();
    let (queue, exchange) = (queue.clone(), exchange.clone());
    channel.queue_bind(queue, exchange, key.into(), options, FieldTable::default()).await.unwrap();
}

pub async fn ordinary_life(live: &Live) {
    let url = live.url.as_str();
    let (capture, connection) = live.captured().await;
    let channel = confirming(&connection).await;
    let (queue, exchange) = (queue(&channel).await, exchange(&channel).await);
    bind(&channel, &queue, &exchange, "order.*").await;
    let got = channel.basic_get(queue.clone(), BasicGetOptions::default()).await.unwrap();
    assert!(got.is_none(), "nothing came, and nothing is told");
    capture.assert_silent();

    let properties = BasicProperties::default()
        .with_message_id("message-7".into())
        .with_correlation_id("order-7".into());
    let options = BasicPublishOptions::default();
    let key = ShortString::from("order.paid");
    let publishing =
        channel.basic_publish(exchange.clone(), key.clone(), options, b"order", properties);
    assert_eq!(publishing.await.unwrap().await.unwrap(), Confirmation::Ack(None));
    let (target, source) = (format!("{exchange}:{key}"), format!("{exchange}:{key}:{queue}"));
    let known = |span: ExpectedSpan| {
        span.attribute("messaging.message.id", "message-7")
            .attribute("messaging.message.conversation_id", "order-7")
    };
    let with_key = |span: ExpectedSpan| known(span).attribute(KEY, "order.paid");
    capture.assert_spans([with_key(about(url, "publish", "send", &target)).producer().root()]);
    let sent = sent(&capture, &format!("publish {target}"));
    let attributes = |point: ExpectedPoint, operation: &'static str, place: &str| {
        let server: AMQPUri = url.parse().unwrap();
        point
            .attribute("messaging.system", "rabbitmq")
            .attribute("messaging.operation.name", operation)
            .attribute("messaging.destination.name", place.to_owned())
            .attribute("server.address", server.authority.host)
            .attribute("server.port", i64::from(server.authority.port))
    };
    let of_send = attributes(point(), "publish", &target);
    capture.assert_metric(metric(SENT).counter().unit("{message}").point(of_send.clone().value(1)));
    let duration = of_send.attribute("messaging.operation.type", "send").count(1);
    capture.assert_metric(metric(DURATION).histogram().unit("s").point(duration));
    assert_eq!(capture.metrics().len(), 2);

    capture.clear();
    let got = channel.basic_get(queue.clone(), BasicGetOptions::default()).await.unwrap().unwrap();
    assert_eq!((&*got.data, got.message_count, got.delivery_tag), (&b"order"[..], 0, 1));
    let receive = with_key(about(url, "get", "receive", &source)).attribute(TAG, 1).client();
    capture.assert_spans([receive.root().link(sent.clone())]);
    assert_eq!((count(&capture, DURATION), total(&capture, CONSUMED)), (1, 1));

    capture.clear();
    let handled = got.process(async |message: &Delivery| {
        assert_eq!(message.data, b"order");
        Err::<(), _>(io::Error::other("secret"))
    });
    handled.await.unwrap_err();
    let process = with_key(about(url, "process", "process", &source)).attribute(TAG, 1).consumer();
    let process = failed(process, "std::io::error::Error").child_of(sent.clone());
    capture.assert_spans([process.link(sent.clone())]);
    assert_eq!(count(&capture, "messaging.process.duration"), 1);
    assert_eq!(total(&capture, CONSUMED), 0, "counted when it was received");

    // Back into the queue, which is no error.
    capture.clear();
    assert!(got.nack(BasicNackOptions { requeue: true, multiple: false }).await.unwrap());
    let settle = |operation, tag| {
        known(about(url, operation, "settle", &source)).attribute(TAG, tag).client()
    };
    capture.assert_spans([settle("nack", 1).root().link(sent.clone())]);

    capture.clear();
    let mut consumer = consume(&channel, &queue).await;
    capture.assert_silent();
    let message = next(&mut consumer).await.unwrap();
    assert!(message.redelivered);
    let receive = with_key(about(url, "consume", "receive", &source)).attribute(TAG, 2).client();
    capture.assert_spans([receive.root().link(sent.clone())]);
    capture.assert_no_metric(DURATION);
    assert_eq!(total(&capture, CONSUMED), 1);
    capture.clear();
    let done = message.process_blocking(|message| Ok::<_, Infallible>(message.data.len()));
    assert_eq!(done, Ok(5));
    assert!(message.reject(BasicRejectOptions { requeue: true }).await.unwrap());
    let message = next(&mut consumer).await.unwrap();
    // Its fields are the driver's; the acker alone settles as well.
    let Delivery { acker, data, .. } = message;
    assert!(acker.usable() && data == b"order");
    assert!(acker.ack(ONE).await.unwrap());
    let process = with_key(about(url, "process", "process", &source)).attribute(TAG, 2).consumer();
    let receive = with_key(about(url, "consume", "receive", &source)).attribute(TAG, 3).client();
    capture.assert_spans([
        process.child_of(sent.clone()).link(sent.clone()),
        settle("reject", 2).root().link(sent.clone()),
        receive.root().link(sent.clone()),
        settle("ack", 3).root().link(sent.clone()),
    ]);

    // Twice is told, and nothing is sent.
    capture.clear();
    assert!(!acker.ack(ONE).await.unwrap());
    let twice = failed(settle("ack", 3), "already_settled");
    capture.assert_spans([twice.root().link(sent)]);
    assert_nowhere(&capture, "secret");
}

/// One's own trace stays, and is linked to; without confirms a message ends when it is written.
pub async fn other_ways_to_publish(live: &Live) {
    let url = live.url.as_str();
    let (capture, connection) = live.captured().await;
    let channel = connection.create_channel().await.unwrap();
    let queue = queue(&channel).await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let properties = || BasicProperties::default();
    let own =
        properties().with_headers(table(&[("traceparent", text(parent)), ("own", text("1"))]));
    let options = BasicPublishOptions::default();
    let send = async |properties: &BasicProperties| {
        let (exchange, properties) = (ShortString::default(), properties.clone());
        let sent = channel.basic_publish(exchange, queue.clone(), options, b"order", properties);
        assert_eq!(sent.await.unwrap().await.unwrap(), Confirmation::NotRequested);
    };
    send(&own).await;
    let spans = capture.spans();
    let foreign = spans[0].links[0].span_context.clone();
    assert_eq!(foreign.trace_id().to_string(), &parent[3..35]);
    capture.assert_spans([published(url, &queue).client().link(foreign)]);
    capture.clear();
    channel.tx_select().await.unwrap();
    send(&properties()).await;
    channel.tx_commit().await.unwrap();
    capture.assert_spans([published(url, &queue).producer()]);
    let mut consumer = consume(&channel, &queue).await;
    assert_eq!(next(&mut consumer).await.unwrap().properties, own);
    assert!(next(&mut consumer).await.unwrap().delivery().span_context().is_some());

    // To an exchange alone, and to the one without a name.
    capture.clear();
    let channel = confirming(&connection).await;
    let exchange = exchange(&channel).await;
    let to = async |exchange: &ShortString| {
        let publishing =
            channel.basic_publish(exchange.clone(), "".into(), options, b"order", properties());
        publishing.await.unwrap().await.unwrap();
    };
    to(&exchange).await;
    to(&ShortString::default()).await;
    let exchange = exchange.to_string();
    capture.assert_spans([
        about(url, "publish", "send", &exchange).producer(),
        about(url, "publish", "send", "amq.default").producer(),
    ]);
}

/// A queue whose name the broker made, and the answers of a channel.
pub async fn names_that_nobody_chose(live: &Live) {
    let url = live.url.as_str();
    let (capture, connection) = live.captured().await;
    let channel = confirming(&connection).await;
    let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    let declared = channel.queue_declare("".into(), options, FieldTable::default()).await.unwrap();
    let queue = declared.name().clone();
    assert!(queue.as_str().starts_with("amq.gen-"));
    store(&channel, &queue, b"order").await;
    // No name is the queue that was declared last.
    let mut consumer = consume(&channel, &ShortString::default()).await;
    let message = next(&mut consumer).await.unwrap();
    message.ack(ONE).await.unwrap();
    let anonymous = |operation, step: &'static str| {
        let span = about(url, operation, step, "amq.gen")
            .attribute("messaging.destination.template", "amq.gen")
            .attribute("messaging.destination.name", queue.to_string());
        if step == "settle" {
            span
        } else {
            span.attribute(KEY, queue.to_string())
                .attribute("messaging.destination.anonymous", true)
        }
    };
    capture.assert_spans([
        anonymous("publish", "send").producer(),
        anonymous("consume", "receive")
            .attribute(TAG, 1)
            .client()
            .link(sent(&capture, "publish amq.gen")),
        anonymous("ack", "settle")
            .attribute(TAG, 1)
            .client()
            .link(sent(&capture, "publish amq.gen")),
    ]);
    for measured in capture.metrics() {
        let points = format!("{:?}", measured.points);
        assert!(!points.contains(queue.as_str()), "{points}");
    }

    capture.clear();
    let service = connection.create_channel().await.unwrap();
    let requests = self::queue(&service).await;
    let mut requested = consume(&service, &requests).await;
    let asking = connection.create_channel().await.unwrap();
    let answers = ShortString::from("amq.rabbitmq.reply-to");
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    let answered = asking.basic_consume(answers.clone(), "".into(), options, FieldTable::default());
    let mut answered = answered.await.unwrap();
    let asked =
        BasicProperties::default().with_reply_to(answers).with_correlation_id("question-7".into());
    let options = BasicPublishOptions::default();
    asking.basic_publish("".into(), requests, options, b"?", asked).await.unwrap();
    let request = next(&mut requested).await.unwrap();
    let reply_to = request.properties.reply_to().clone().unwrap();
    assert!(reply_to.as_str().starts_with("amq.rabbitmq.reply-to."));
    let answer = BasicProperties::default().with_correlation_id("question-7".into());
    service.basic_publish("".into(), reply_to, options, b"!", answer).await.unwrap();
    assert_eq!(next(&mut answered).await.unwrap().data, b"!");
    let names: Vec<_> = capture.spans().into_iter().map(|span| span.name).collect();
    let [publish, consume] =
        [format!("publish {}", requested.queue()), format!("consume {}", requested.queue())];
    let temporary = ["publish amq.rabbitmq.reply-to", "consume amq.rabbitmq.reply-to"];
    assert_eq!(names, [&*publish, &*consume, temporary[0], temporary[1]]);
}

/// Tags over gaps, by the channel and by an acker.
pub async fn many_are_settled_by_one_tag(live: &Live) {
    let url = live.url.as_str();
    let (capture, connection) = live.captured().await;
    let channel = confirming(&connection).await;
    let queue = queue(&channel).await;
    for number in 0..8 {
        store(&channel, &queue, &[number]).await;
    }
    let sent: Vec<_> = capture.spans().iter().map(|span| carried(&span.span_context)).collect();
    let mut consumer = consume(&channel, &queue).await;
    let mut messages = Vec::new();
    for _ in 0..8 {
        messages.push(next(&mut consumer).await.unwrap());
    }
    capture.clear();
    // 2, then all up to 4, of which it is none.
    channel.basic_ack(2, ONE).await.unwrap();
    messages[3].ack(MULTIPLE).await.unwrap();
    // 6, then all up to 7, then what is left.
    channel.basic_reject(6, BasicRejectOptions { requeue: false }).await.unwrap();
    let options = BasicNackOptions { multiple: true, requeue: false };
    channel.basic_nack(7, options).await.unwrap();
    channel.basic_ack(0, MULTIPLE).await.unwrap();
    let queue = queue.as_str();
    let settle = |operation| about(url, operation, "settle", queue).client();
    let batch = |operation, messages: i64| {
        settle(operation).attribute("messaging.batch.message_count", messages)
    };
    capture.assert_spans([
        settle("ack").attribute(TAG, 2).link(sent[1].clone()),
        batch("ack", 3).links([sent[0].clone(), sent[2].clone(), sent[3].clone()]),
        settle("reject").attribute(TAG, 6).link(sent[5].clone()),
        batch("nack", 2).links([sent[4].clone(), sent[6].clone()]),
        batch("ack", 1).link(sent[7].clone()),
    ]);
    let deleted = channel.queue_purge(queue.into(), QueuePurgeOptions::default()).await.unwrap();
    assert_eq!(deleted, 0);
    // The broker was told the same.
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let left = channel.queue_declare(queue.into(), options, FieldTable::default()).await.unwrap();
    assert_eq!(left.message_count(), 0);
    channel.close(200, "done".into()).await.unwrap();
}

/// What carries no trace counts as well, and what is delivered again is forgotten under its old tag.
pub async fn what_is_delivered_again_has_another_tag(live: &Live) {
    let url = live.url.as_str();
    let (capture, connection) = live.captured().await;
    let channel = confirming(&connection).await;
    let queue = queue(&channel).await;
    let options = BasicPublishOptions::default();
    for _ in 0..2 {
        let raw = channel.raw();
        let bare =
            raw.basic_publish("".into(), queue.clone(), options, b"", BasicProperties::default());
        bare.await.unwrap().await.unwrap();
    }
    let mut consumer = consume(&channel, &queue).await;
    for _ in 0..2 {
        next(&mut consumer).await.unwrap();
    }
    channel.basic_recover(BasicRecoverOptions { requeue: true }).await.unwrap();
    let mut tags = Vec::new();
    for _ in 0..2 {
        tags.push(next(&mut consumer).await.unwrap().delivery_tag);
    }
    assert_eq!(tags, [3, 4]);
    capture.clear();
    channel.basic_ack(4, MULTIPLE).await.unwrap();
    let settle = about(url, "ack", "settle", queue.as_str()).client();
    capture.assert_spans([settle.attribute("messaging.batch.message_count", 2)]);

    // One that was never delivered: where from is not known.
    capture.clear();
    channel.basic_ack(99, ONE).await.unwrap();
    let spans = capture.spans();
    let server: AMQPUri = url.parse().unwrap();
    let place = format!("{}:{}", server.authority.host, server.authority.port);
    assert_eq!(spans[0].name, format!("ack {place}"));
    assert!(spans[0].links.is_empty());
    // The broker says so later, to the channel.
    let error = soon("the channel is closed", consumer.next()).await.unwrap().unwrap_err();
    assert!(error.is_amqp_soft_error(), "{error:?}");
    let spans = capture.spans_named(&format!("consume {queue}"));
    assert_eq!(error_type(&spans[0]).as_deref(), Some("PRECONDITION_FAILED"));
}

/// Without acknowledgements there is nothing to settle.
pub async fn a_consumer_without_acknowledgements(live: &Live) {
    let (capture, connection) = live.captured().await;
    let channel = confirming(&connection).await;
    let queue = queue(&channel).await;
    for _ in 0..3 {
        store(&channel, &queue, b"order").await;
    }
    let no_ack = BasicGetOptions { no_ack: true };
    channel.basic_get(queue.clone(), no_ack).await.unwrap().unwrap();
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    let consuming = channel.basic_consume(queue.clone(), "".into(), options, FieldTable::default());
    let mut unsettled = consuming.await.unwrap();
    next(&mut unsettled).await.unwrap();
    next(&mut unsettled).await.unwrap();
    store(&channel, &queue, b"order").await;
    capture.clear();
    channel.basic_ack(0, MULTIPLE).await.unwrap();
    let spans = capture.spans();
    assert_eq!((spans.len(), spans[0].links.len()), (1, 0), "{spans:#?}");
}

/// What a delegate does with a message is its processing, and `process` in it the same.
pub async fn a_delegate_has_one_span(live: &Live) {
    let url = live.url.as_str();
    let (capture, connection) = live.captured().await;
    let channel = confirming(&connection).await;
    let queue = queue(&channel).await;
    channel.basic_qos(1, BasicQosOptions::default()).await.unwrap();
    let consumer = consume(&channel, &queue).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let (called, kept) = (Arc::clone(&order), Arc::new(Mutex::new(None)));
    let keeps = Arc::clone(&kept);
    consumer.set_delegate(move |delivery: DeliveryResult| {
        // As lapin calls it: one after another.
        let Ok(Some(delivery)) = delivery else { panic!("{delivery:?}") };
        called.lock().unwrap().push(delivery.data.clone());
        let keeps = Arc::clone(&keeps);
        async move {
            match &*delivery.data {
                b"handled" => {
                    let handled = delivery.process(async |_| Err::<(), _>(io::Error::other("no")));
                    handled.await.unwrap_err();
                }
                b"panics" => {
                    delivery.ack(ONE).await.unwrap();
                    panic!("as asked for")
                }
                _ => {}
            }
            delivery.ack(ONE).await.unwrap();
            if &*delivery.data == b"kept" {
                *keeps.lock().unwrap() = Some(delivery);
            }
        }
    });
    for body in [&b"plain"[..], b"handled", b"panics", b"kept"] {
        store(&channel, &queue, body).await;
    }
    let processed = format!("process {queue}");
    eventually("all are handled", async || capture.spans_named(&processed).len() == 4).await;
    let sent: Vec<_> = capture.spans_named(&format!("publish {queue}"));
    let expected = |place: usize| {
        let tag = i64::try_from(place + 1).unwrap();
        let (sent, queue) = (carried(&sent[place].span_context), queue.as_str());
        let process = about(url, "process", "process", queue).attribute(KEY, queue.to_owned());
        process.attribute(TAG, tag).consumer().child_of(sent.clone()).link(sent)
    };
    let settled = |place: usize| {
        let tag = i64::try_from(place + 1).unwrap();
        let sent = carried(&sent[place].span_context);
        // Within the handling.
        let mut handled = capture.spans_named(&processed);
        handled.retain(|span| attribute(span, TAG) == Some(tag.to_string()));
        let settle = about(url, "ack", "settle", queue.as_str()).attribute(TAG, tag).client();
        settle.child_of(handled[0].span_context.clone()).link(sent)
    };
    let of_send = |_| published(url, &queue).producer();
    eventually("all are settled", async || capture.spans().len() == 12).await;
    let all = (0..4).map(of_send).chain((0..4).map(settled)).chain([
        expected(0),
        failed(expected(1), "std::io::error::Error"),
        failed(expected(2), "panic"),
        expected(3),
    ]);
    capture.assert_spans_in_any_order(all);
    assert_eq!(total(&capture, CONSUMED), 4);
    let order: Vec<_> = order.lock().unwrap().iter().map(Vec::len).collect();
    assert_eq!(order, ["plain", "handled", "panics", "kept"].map(str::len));
    // What is handled after the delegate's end has a span of its own.
    capture.clear();
    let kept = kept.lock().unwrap().take().unwrap();
    kept.process(async |_| Ok::<_, Infallible>(())).await.unwrap();
    assert_eq!(capture.spans().len(), 1);
    assert_eq!(total(&capture, CONSUMED), 0);
}

const MESSAGES: usize = 1000;

/// Two connections that know nothing of each other: a thousand messages, each in a trace of its own, with
/// their baggage, handled at the same time.
pub async fn a_thousand_messages_are_each_handled_in_their_own_trace(live: &Live) {
    let url = live.url.as_str();
    for (parent, below) in [
        (ProcessParent::Ambient, true),
        (ProcessParent::Message, true),
        (ProcessParent::Link, false),
    ] {
        let (from, producer) = live.captured().await;
        let to = Capture::new();
        let telemetry = live.telemetry(&to).process_parent(parent).build();
        let consumer = connect(url, &telemetry).await;
        let receiving = consumer.create_channel().await.unwrap();
        // Not exclusive: another connection sends to it.
        let options = QueueDeclareOptions { auto_delete: true, ..QueueDeclareOptions::default() };
        let queue = ShortString::from(unique_name());
        receiving.queue_declare(queue.clone(), options, FieldTable::default()).await.unwrap();
        let messages = consume(&receiving, &queue).await;
        let sending = confirming(&producer).await;
        let sending = async {
            for number in 0..MESSAGES {
                let context =
                    Context::new().with_baggage([KeyValue::new("order", number.to_string())]);
                let body = number.to_string();
                let sent = publish(&sending, &queue, body.as_bytes()).with_context(context).await;
                drop(sent);
            }
            sending.wait_for_confirms().await.unwrap();
        };
        let handling = messages.take(MESSAGES).for_each_concurrent(32, async |message| {
            let message = message.unwrap();
            let handled = message.process(async |message: &Delivery| {
                tokio::task::yield_now().await;
                let context = Context::current();
                let order = context.baggage().get("order").unwrap().to_string();
                assert_eq!(order.as_bytes(), &*message.data);
                Ok::<_, Infallible>(context.span().span_context().clone())
            });
            handled.await.unwrap();
            message.ack(ONE).await.unwrap();
        });
        let both = async { tokio::join!(sending, handling) };
        soon("all are handled", both).await;
        let sends: HashSet<_> =
            from.spans().iter().map(|span| span.span_context.span_id()).collect();
        assert_eq!(sends.len(), MESSAGES);
        let processed = to.spans_named(&format!("process {queue}"));
        let linked: HashSet<_> =
            processed.iter().map(|span| span.links[0].span_context.span_id()).collect();
        assert_eq!(linked, sends, "each once");
        for process in &processed {
            let link = &process.links[0].span_context;
            assert_eq!(process.span_context.trace_id() == link.trace_id(), below, "{parent:?}");
        }
        assert_eq!(to.spans_named(&format!("ack {queue}")).len(), MESSAGES);
    }
}

/// A handle that exists, what it does not tell, and a message of a channel without instrumentation.
pub async fn what_exists_is_wrapped(live: &Live) {
    let url = live.url.as_str();
    let capture = Capture::new();
    let telemetry = live.telemetry(&capture).build();
    let properties = lapin::ConnectionProperties::default();
    let raw = lapin::Connection::connect(url, properties).await.unwrap();
    let bare = raw.create_channel().await.unwrap();
    let uri: AMQPUri = url.parse().unwrap();
    let channel = Channel::builder(bare.clone()).connection(&raw).uri(&uri).name("live");
    let channel = channel.telemetry(&telemetry).build();
    let queue = queue(&channel).await;
    publish(&channel, &queue, b"order").await.await.unwrap();
    capture.assert_spans([published(url, &queue).producer()]);
    let connection = otel_rabbitmq::Connection::builder(raw).uri(&uri).name("live");
    let connection = connection.telemetry(&telemetry).build();
    let sent = sent(&capture, &format!("publish {queue}"));
    let got = bare.basic_get(queue.clone(), BasicGetOptions::default()).await.unwrap().unwrap();
    capture.clear();
    let message = Delivery::with(got.delivery, &telemetry);
    message.process(async |_| Ok::<_, Infallible>(())).await.unwrap();
    message.ack(ONE).await.unwrap();
    let spans = capture.spans();
    assert_eq!(spans.len(), 2);
    for span in &spans {
        assert_eq!(span.links[0].span_context, sent);
    }
    let other = connection.create_channel().await.unwrap();
    assert!(other.basic_get(queue, BasicGetOptions::default()).now_or_never().is_none());
}

/// Nothing that says who it is, or what it is about.
pub async fn no_secret_is_told(live: &Live) {
    let (capture, connection) = live.captured().await;
    let channel = confirming(&connection).await;
    let queue = queue(&channel).await;
    let secret = || ShortString::from("secret");
    let properties = BasicProperties::default()
        .with_headers(table(&[("secret", text("secret"))]))
        .with_content_type(secret())
        .with_content_encoding(secret())
        .with_reply_to(secret())
        .with_type(secret())
        .with_user_id("otel".into())
        .with_app_id(secret())
        .with_cluster_id(secret());
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    for key in [queue.as_str(), "nowhere"] {
        let sent =
            channel.basic_publish("".into(), key.into(), options, b"secret", properties.clone());
        sent.await.unwrap().await.unwrap();
    }
    let options = BasicConsumeOptions::default();
    let arguments = table(&[("secret", text("secret"))]);
    let consuming = channel.basic_consume(queue.clone(), secret(), options, arguments);
    let mut consumer = consuming.await.unwrap();
    let message = next(&mut consumer).await.unwrap();
    let handled = message.process(async |_| Err::<(), _>(io::Error::other("secret")));
    handled.await.unwrap_err();
    message.ack(ONE).await.unwrap();
    let unknown = channel.basic_get("nowhere".into(), BasicGetOptions::default()).await;
    unknown.unwrap_err();
    assert!(capture.spans().len() >= 6);
    assert_nowhere(&capture, "secret");
    assert_nowhere(&capture, "otel:otel");
}
