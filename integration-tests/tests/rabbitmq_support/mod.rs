//! What the tests of RabbitMQ have in common.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]
#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test takes what it needs")]

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
pub use integration_tests::{attribute, carried, error_type, sent};
use integration_tests::{soon, unique_name};
use otel_rabbitmq::options::{
    BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use otel_rabbitmq::types::{AMQPValue, FieldTable, ShortString};
use otel_rabbitmq::uri::AMQPUri;
use otel_rabbitmq::{
    BasicProperties, Channel, Connection, ConnectionProperties, Consumer, PublisherConfirm,
    Telemetry,
};
use otel_testing::Capture;
use otel_testing::assert::{ExpectedSpan, span};

pub const MANDATORY: BasicPublishOptions =
    BasicPublishOptions { mandatory: true, immediate: false };
pub const KEY: &str = "messaging.rabbitmq.destination.routing_key";
pub const TAG: &str = "messaging.rabbitmq.message.delivery_tag";

/// A connection named `live`.
pub async fn connect(url: &str, telemetry: &Telemetry) -> Connection {
    Connection::connect(url, properties().with_telemetry(telemetry)).await.unwrap()
}

pub fn properties() -> ConnectionProperties {
    ConnectionProperties::default().with_connection_name("live".into())
}

/// One that comes back by itself, soon.
pub fn recovering() -> ConnectionProperties {
    // By default the waits between attempts grow up to a minute.
    properties().enable_auto_recover().configure_backoff(|backoff| {
        backoff.with_max_delay(Duration::from_millis(200)).with_max_times(1_000)
    })
}

pub async fn captured(url: &str) -> (Capture, Connection) {
    let capture = Capture::new();
    let connection = connect(url, &capture.telemetry()).await;
    (capture, connection)
}

/// A channel whose messages are confirmed.
pub async fn confirming(connection: &Connection) -> Channel {
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    channel
}

/// A queue of one test's own, which goes with the connection.
pub async fn queue(channel: &Channel) -> ShortString {
    queue_with(channel, &[]).await
}

pub async fn queue_with(channel: &Channel, arguments: &[(&str, AMQPValue)]) -> ShortString {
    let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    let name = ShortString::from(unique_name());
    channel.queue_declare(name.clone(), options, table(arguments)).await.unwrap();
    name
}

pub fn table(all: &[(&str, AMQPValue)]) -> FieldTable {
    let entries = all.iter().map(|(name, value)| (ShortString::from(*name), value.clone()));
    entries.collect::<BTreeMap<_, _>>().into()
}

pub fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

/// Gives a message to the queue of that name.
pub async fn publish(channel: &Channel, queue: &ShortString, body: &[u8]) -> PublisherConfirm {
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    channel.basic_publish("".into(), queue.clone(), options, body, properties).await.unwrap()
}

/// The same, which is there afterwards.
pub async fn store(channel: &Channel, queue: &ShortString, body: &[u8]) {
    let confirm = publish(channel, queue, body).await;
    assert!(soon("it is confirmed", confirm).await.unwrap().is_ack());
}

pub async fn consume(channel: &Channel, queue: &ShortString) -> Consumer {
    let options = BasicConsumeOptions::default();
    let consuming = channel.basic_consume(queue.clone(), "".into(), options, FieldTable::default());
    consuming.await.unwrap()
}

pub async fn next<S: Stream + Unpin>(messages: &mut S) -> S::Item {
    soon("a message is there", messages.next()).await.unwrap()
}

/// A call about a destination of few, as all have it of a connection that [`connect`] made.
pub fn about(
    url: &str,
    operation: &'static str,
    step: &'static str,
    destination: &str,
) -> ExpectedSpan {
    let server: AMQPUri = url.parse().unwrap();
    span(format!("{operation} {destination}"))
        .attribute("messaging.system", "rabbitmq")
        .attribute("messaging.operation.name", operation)
        .attribute("messaging.operation.type", step)
        .attribute("messaging.destination.name", destination.to_owned())
        .attribute("messaging.client.id", "live")
        .attribute("server.address", server.authority.host)
        .attribute("server.port", i64::from(server.authority.port))
}

/// A message that is given to a queue.
pub fn published(url: &str, queue: &ShortString) -> ExpectedSpan {
    about(url, "publish", "send", queue.as_str()).attribute(KEY, queue.to_string())
}

pub fn failed(span: ExpectedSpan, error: &'static str) -> ExpectedSpan {
    span.error("").attribute("error.type", error)
}

/// Sends a message that is known by its number.
pub async fn send(
    channel: &Channel,
    key: &ShortString,
    options: BasicPublishOptions,
    id: usize,
) -> PublisherConfirm {
    let properties = BasicProperties::default().with_message_id(id.to_string().into());
    let body = id.to_string();
    let sent = channel.basic_publish("".into(), key.clone(), options, body.as_bytes(), properties);
    sent.await.unwrap()
}

/// The error of each message.
pub fn outcomes(capture: &Capture) -> BTreeMap<usize, Option<String>> {
    let spans = capture.spans();
    let outcome = |span| {
        (attribute(span, "messaging.message.id").unwrap().parse().unwrap(), error_type(span))
    };
    let outcomes: BTreeMap<_, _> = spans.iter().map(outcome).collect();
    assert_eq!(outcomes.len(), spans.len(), "each ended once");
    outcomes
}
