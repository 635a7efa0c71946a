//! What otel-rabbitmq adds never breaks a message: headers at the limit of a frame, of any content, and in
//! whatever way others write them.
use integration_tests::{assert_nowhere, eventually, soon};
use otel_rabbitmq::options::{
    BasicAckOptions, BasicCancelOptions, BasicPublishOptions, BasicRejectOptions,
    ConfirmSelectOptions, QueueDeclareOptions,
};
use otel_rabbitmq::types::{
    AMQPValue, ByteArray, DecimalValue, FieldArray, FieldTable, ShortString,
};
use otel_rabbitmq::{BasicProperties, Channel, Confirmation, Consumer, lapin};
use otel_testing::Capture;
use otel_testing::opentelemetry::baggage::BaggageExt as _;
use otel_testing::opentelemetry::propagation::text_map_propagator::FieldIter;
use otel_testing::opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use otel_testing::opentelemetry::trace::{FutureExt as _, SpanKind};
use otel_testing::opentelemetry::{Context, KeyValue};

use crate::rabbitmq_suite::Live;
use crate::rabbitmq_support::{
    carried, confirming, connect, consume, error_type, next, queue, queue_with, store, table, text,
};

const FRAME_MAX: usize = 4096;
/// Of a frame (8), of a header before its properties (12), which properties there are (2), the length of
/// the table (4), and one header, without its text.
const OWN: usize = 8 + 12 + 2 + 4 + (1 + 3 + 1 + 4);
/// `traceparent` with its value.
const TRACE: usize = 1 + 11 + 1 + 4 + 55;
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn own(length: usize) -> BasicProperties {
    BasicProperties::default().with_headers(table(&[("own", text(&"o".repeat(length)))]))
}

async fn send(
    channel: &Channel,
    queue: &ShortString,
    properties: BasicProperties,
) -> otel_rabbitmq::Result<Confirmation> {
    let options = BasicPublishOptions::default();
    let sent = channel.basic_publish("".into(), queue.clone(), options, b"order", properties);
    soon("it is confirmed", sent.await?).await
}

async fn names(consumer: &mut Consumer) -> Vec<String> {
    let message = next(consumer).await.unwrap();
    message.ack(BasicAckOptions::default()).await.unwrap();
    let headers = message.properties.headers().iter().flat_map(FieldTable::inner);
    headers.map(|(name, _)| name.to_string()).collect()
}

/// A longer header ends the connection of whoever reads it.
pub async fn a_trace_is_left_out_where_a_frame_has_no_room(live: &Live) {
    let url = live.url.as_str();
    let small = format!("{url}?frame_max={FRAME_MAX}");
    let (capture, connection) = live.captured_at(&small).await;
    let channel = confirming(&connection).await;
    let queue = queue(&channel).await;
    let mut consumer = consume(&channel, &queue).await;
    for (length, expected, kind) in [
        (FRAME_MAX - OWN - TRACE, &["own", "traceparent"][..], SpanKind::Producer),
        (FRAME_MAX - OWN - TRACE + 1, &["own"], SpanKind::Client),
        (FRAME_MAX - OWN, &["own"], SpanKind::Client),
    ] {
        capture.clear();
        assert!(send(&channel, &queue, own(length)).await.unwrap().is_ack());
        assert_eq!(names(&mut consumer).await, expected, "{length}");
        assert_eq!(capture.spans()[0].span_kind, kind);
    }
    // What has no room alone is left out alone.
    let baggage = Context::new().with_baggage([KeyValue::new("a", "b".repeat(100))]);
    let room = own(FRAME_MAX - OWN - TRACE - 50);
    send(&channel, &queue, room).with_context(baggage).await.unwrap();
    assert_eq!(names(&mut consumer).await, ["own", "traceparent"]);

    // One more than there is room for at all: the connection ends, as with the driver.
    capture.clear();
    let error = send(&channel, &queue, own(FRAME_MAX - OWN + 1)).await.unwrap_err();
    assert!(error.is_amqp_hard_error(), "{error:?}");
    let failed = &capture.spans_named(&format!("publish {queue}"))[0];
    assert_eq!(error_type(failed).as_deref(), Some("FRAME_ERROR"));
    eventually("it is gone", async || !connection.status().connected()).await;

    let properties = lapin::ConnectionProperties::default();
    let bare = lapin::Connection::connect(&small, properties).await.unwrap();
    let channel = bare.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    // The broker itself takes eight bytes more than it says; lapin, which reads what it sent, does not.
    for (length, fits) in [(FRAME_MAX - OWN + 8, true), (FRAME_MAX - OWN + 9, false)] {
        let options = BasicPublishOptions::default();
        let sent = channel.basic_publish("".into(), queue.clone(), options, b"", own(length));
        let confirmed = soon("it is confirmed", sent.await.unwrap()).await;
        assert_eq!(confirmed.is_ok(), fits, "{length}");
    }
}

/// Without the connection it is not known how long a frame may be, beyond what each server takes.
pub async fn a_channel_alone_takes_the_least(live: &Live) {
    let url = live.url.as_str();
    let capture = Capture::new();
    let properties = lapin::ConnectionProperties::default();
    let connection = lapin::Connection::connect(url, properties).await.unwrap();
    let raw = connection.create_channel().await.unwrap();
    let alone = Channel::with(raw.clone(), &live.telemetry(&capture).build());
    let queue = queue(&alone).await;
    let mut consumer = consume(&alone, &queue).await;
    let full = || own(FRAME_MAX - OWN - TRACE + 1);
    send(&alone, &queue, full()).await.unwrap();
    assert_eq!(names(&mut consumer).await, ["own"]);
    let known = Channel::builder(raw)
        .connection(&connection)
        .telemetry(&live.telemetry(&capture).build())
        .build();
    send(&known, &queue, full()).await.unwrap();
    assert_eq!(names(&mut consumer).await, ["own", "traceparent"]);
}

/// Each type of a table, in it and nested, and what a dead letter has: as it was sent, but for the trace.
pub async fn a_table_of_any_content_stays_as_it_is(live: &Live) {
    let (capture, connection) = live.captured().await;
    let channel = confirming(&connection).await;
    let dead = queue(&channel).await;
    let letters =
        [("x-dead-letter-exchange", text("")), ("x-dead-letter-routing-key", text(dead.as_str()))];
    let queue = queue_with(&channel, &letters).await;
    let inner = table(&[("traceparent", text(PARENT)), ("empty", text(""))]);
    let array = vec![AMQPValue::Void, AMQPValue::FieldTable(inner.clone()), text(PARENT)];
    let all = table(&[
        ("boolean", AMQPValue::Boolean(true)),
        ("byte", AMQPValue::ShortShortInt(-7)),
        ("short", AMQPValue::ShortInt(-7)),
        ("long", AMQPValue::LongInt(-7)),
        ("long long", AMQPValue::LongLongInt(-7)),
        ("float", AMQPValue::Float(7.5)),
        ("double", AMQPValue::Double(7.5)),
        ("decimal", AMQPValue::DecimalValue(DecimalValue { scale: 2, value: 75 })),
        ("not text", AMQPValue::LongString(vec![0, 0xff].into())),
        ("array", AMQPValue::FieldArray(FieldArray::from(array))),
        ("time", AMQPValue::Timestamp(7)),
        ("table", AMQPValue::FieldTable(inner)),
        ("bytes", AMQPValue::ByteArray(ByteArray::from(vec![0, 0xff]))),
        ("nothing", AMQPValue::Void),
        ("", text("no name")),
    ]);
    let properties = BasicProperties::default().with_headers(all.clone()).with_priority(3);
    send(&channel, &queue, properties).await.unwrap();
    let sent = carried(&capture.spans()[0].span_context);
    let mut consumer = consume(&channel, &queue).await;
    let message = next(&mut consumer).await.unwrap();
    let expected = |table: &FieldTable| {
        let mut rest = table.inner().clone();
        let parent = rest.remove("traceparent").unwrap();
        assert!(matches!(parent, AMQPValue::LongString(_)));
        rest.retain(|name, _| !name.as_str().starts_with("x-"));
        rest
    };
    let headers = message.properties.headers().clone().unwrap();
    assert_eq!(expected(&headers), *all.inner());
    assert_eq!(message.properties.priority(), &Some(3));
    assert!(message.reject(BasicRejectOptions { requeue: false }).await.unwrap());

    let mut letters = consume(&channel, &dead).await;
    let letter = next(&mut letters).await.unwrap();
    assert_eq!(letter.delivery().span_context(), Some(sent.clone()));
    let headers = letter.properties.headers().clone().unwrap();
    assert!(matches!(headers.inner()["x-death"], AMQPValue::FieldArray(_)));
    // Sent once more with all that it has: its own trace stays, and is linked to.
    capture.clear();
    send(&channel, &dead, letter.properties.clone()).await.unwrap();
    let again = next(&mut letters).await.unwrap();
    assert_eq!(again.properties, letter.properties);
    let forwarded = &capture.spans_named(&format!("publish {dead}"))[0];
    assert_eq!(forwarded.span_kind, SpanKind::Client);
    assert_eq!(forwarded.links[0].span_context, sent);
}

/// As the clients for Java and .NET write text: bytes.
pub async fn bytes_are_text_to_others(live: &Live) {
    let (capture, connection) = live.captured().await;
    let channel = confirming(&connection).await;
    let queue = queue(&channel).await;
    let mut consumer = consume(&channel, &queue).await;
    let bytes = |text: &str| AMQPValue::ByteArray(ByteArray::from(text.as_bytes()));
    let broken = AMQPValue::LongString(vec![0xff].into());
    let nested = AMQPValue::FieldTable(table(&[("traceparent", text(PARENT))]));
    for (name, value, is_read) in [
        ("traceparent", text(PARENT), true),
        ("traceparent", bytes(PARENT), true),
        ("Traceparent", bytes(PARENT), true),
        ("traceparent", bytes("00-short"), false),
        ("traceparent", broken, false),
        ("traceparent", AMQPValue::LongInt(7), false),
        ("traceparent", AMQPValue::Void, false),
        ("traceparent", nested, false),
    ] {
        let headers = table(&[(name, value.clone()), ("baggage", bytes("order=7"))]);
        let properties = BasicProperties::default().with_headers(headers);
        let options = BasicPublishOptions::default();
        let raw = channel.raw();
        let sent = raw.basic_publish("".into(), queue.clone(), options, b"", properties);
        sent.await.unwrap().await.unwrap();
        capture.clear();
        let message = next(&mut consumer).await.unwrap();
        let span = message.delivery().span_context();
        let read = span.map(|span| span.trace_id().to_string());
        assert_eq!(read.as_deref(), is_read.then_some(&PARENT[3..35]), "{value:?}");
        let order = message.context().baggage().get("order").map(ToString::to_string);
        assert_eq!(order.as_deref(), Some("7"));
        assert_eq!(capture.spans()[0].links.len(), usize::from(is_read));
    }
}

/// Writes what no header may be called, around one that may.
#[derive(Debug)]
struct Odd;

impl TextMapPropagator for Odd {
    fn inject_context(&self, _: &Context, injector: &mut dyn Injector) {
        for name in ["", "naïve", "\0", &"n".repeat(256), &"long".repeat(100_000)] {
            injector.set(name, "value".to_owned());
        }
        injector.set("x-long", "v".repeat(1_000_000));
        injector.set("x-even", "value\r\n\0".to_owned());
    }

    fn extract_with_context(&self, context: &Context, _: &dyn Extractor) -> Context {
        context.clone()
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&[])
    }
}

pub async fn odd_names_and_large_messages(live: &Live) {
    let url = live.url.as_str();
    let capture = Capture::new();
    let telemetry = live.telemetry(&capture).propagator(Odd).build();
    let connection = connect(url, &telemetry).await;
    let channel = confirming(&connection).await;
    let first = queue(&channel).await;
    let mut consumer = consume(&channel, &first).await;
    send(&channel, &first, BasicProperties::default()).await.unwrap();
    assert_eq!(names(&mut consumer).await, ["", "\0", "naïve", "x-even"]);

    // A long name of characters that are odd. Ends of lines RabbitMQ leaves out of names.
    let odd = ShortString::from(format!("a b:\u{1}{}", "ü".repeat(120)));
    let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(odd.clone(), options, FieldTable::default()).await.unwrap();
    let large = vec![b'x'; 1_000_000];
    for body in [&b""[..], &large] {
        store(&channel, &odd, body).await;
        let mut consumer = consume(&channel, &odd).await;
        let message = next(&mut consumer).await.unwrap();
        assert_eq!(message.data, body);
        message.ack(BasicAckOptions::default()).await.unwrap();
        channel.basic_cancel(consumer.tag(), BasicCancelOptions::default()).await.unwrap();
    }
    assert_eq!(capture.spans_named(&format!("publish {odd}")).len(), 2);
    assert_nowhere(&capture, "xxx");
}
