//! lapin on RabbitMQ, without instrumentation: what an adapter of it may rely on.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use integration_tests::{eventually, private, soon, unique_name};
use lapin::message::BasicGetMessage;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicNackOptions, BasicPublishOptions,
    ConfirmSelectOptions, ExchangeDeclareOptions, QueueDeclareOptions,
};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::{AMQPValue, FieldArray, FieldTable, ShortString};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Error, ErrorKind,
    ExchangeKind,
};
use native::{Extra, Server};
use otel_testing::live;
use tokio::task::block_in_place;

async fn connect(url: &str) -> Connection {
    Connection::connect(url, ConnectionProperties::default()).await.unwrap()
}

/// A channel whose messages are confirmed.
async fn channel(connection: &Connection) -> Channel {
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    channel
}

/// A queue of one test's own, which goes with the connection.
async fn queue(channel: &Channel) -> ShortString {
    let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    declare(channel, options).await
}

/// A queue that outlives the server, also one that is killed at once.
async fn durable_queue(channel: &Channel) -> ShortString {
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let queue = declare(channel, options).await;
    // What the server knows of queues and exchanges waits up to two seconds for the disk, but no
    // longer than 64 KiB of it are together.
    let long = AMQPValue::LongString(vec![b'x'; 100_000].into());
    let long = FieldTable::from(BTreeMap::from([("long".into(), long)]));
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let declaring =
        channel.exchange_declare(unique_name().into(), ExchangeKind::Direct, options, long);
    declaring.await.unwrap();
    queue
}

async fn declare(channel: &Channel, options: QueueDeclareOptions) -> ShortString {
    let name = ShortString::from(unique_name());
    let declared = channel.queue_declare(name.clone(), options, FieldTable::default()).await;
    assert_eq!(declared.unwrap().name(), &name);
    name
}

async fn publish(channel: &Channel, queue: &ShortString, body: &str, properties: BasicProperties) {
    let (exchange, options) = (ShortString::default(), BasicPublishOptions::default());
    let sent =
        channel.basic_publish(exchange, queue.clone(), options, body.as_bytes(), properties).await;
    let confirmed = soon("the message is confirmed", sent.unwrap()).await.unwrap();
    assert_eq!(confirmed, Confirmation::Ack(None));
}

async fn get(channel: &Channel, queue: &ShortString) -> Option<BasicGetMessage> {
    channel.basic_get(queue.clone(), BasicGetOptions::default()).await.unwrap()
}

/// The code that the server gave, and whether the channel alone or the connection had to go.
fn code(error: &Error) -> (u16, bool) {
    let ErrorKind::ProtocolError(error) = error.kind() else { panic!("{error:?}") };
    (error.get_id(), matches!(error.kind(), AMQPErrorKind::Soft(_)))
}

#[tokio::test]
async fn a_message_comes_as_it_was_sent() {
    let Some(url) = live::address("RABBITMQ") else { return };
    let connection = connect(&url).await;
    let channel = channel(&connection).await;
    let queue = queue(&channel).await;
    let text = |text: &str| AMQPValue::LongString(text.into());
    let list = FieldArray::from(vec![text("a"), AMQPValue::LongLongInt(-7)]);
    let inner = FieldTable::from(BTreeMap::from([("inner".into(), AMQPValue::Boolean(true))]));
    let headers = FieldTable::from(BTreeMap::from([
        ("traceparent".into(), text("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")),
        ("empty".into(), text("")),
        ("not text".into(), AMQPValue::LongString(vec![0, 0xff].into())),
        ("number".into(), AMQPValue::LongInt(7)),
        ("nothing".into(), AMQPValue::Void),
        ("list".into(), AMQPValue::FieldArray(list)),
        ("table".into(), AMQPValue::FieldTable(inner)),
    ]));
    let properties = BasicProperties::default()
        .with_headers(headers)
        .with_message_id("message".into())
        .with_correlation_id("conversation".into())
        .with_content_type("application/json".into());
    publish(&channel, &queue, "{\"order\": 7}", properties.clone()).await;

    let message = get(&channel, &queue).await.unwrap();
    assert_eq!(message.data, b"{\"order\": 7}");
    assert_eq!(message.properties, properties);
    assert_eq!((message.exchange.as_str(), &message.routing_key), ("", &queue));
    assert_eq!((message.redelivered, message.message_count), (false, 0));
}

#[tokio::test]
async fn a_message_without_headers_has_none() {
    let Some(url) = live::address("RABBITMQ") else { return };
    let connection = connect(&url).await;
    let channel = channel(&connection).await;
    let queue = queue(&channel).await;
    publish(&channel, &queue, "order", BasicProperties::default()).await;
    let options = BasicConsumeOptions::default();
    let consuming = channel.basic_consume(queue, "tag".into(), options, FieldTable::default());
    let mut consumer = consuming.await.unwrap();
    let delivery = soon("a message is there", consumer.next()).await.unwrap().unwrap();
    assert_eq!((&*delivery.data, delivery.properties.headers()), (&b"order"[..], &None));
    delivery.ack(BasicAckOptions::default()).await.unwrap();
}

#[tokio::test]
async fn only_what_was_acknowledged_is_not_delivered_again() {
    let Some(url) = live::address("RABBITMQ") else { return };
    let connection = connect(&url).await;
    let channel = channel(&connection).await;
    let queue = queue(&channel).await;
    for body in ["acknowledged", "given back", "left"] {
        publish(&channel, &queue, body, BasicProperties::default()).await;
    }
    let consumer = connection.create_channel().await.unwrap();
    let first = get(&consumer, &queue).await.unwrap();
    assert_eq!(first.data, b"acknowledged");
    first.ack(BasicAckOptions::default()).await.unwrap();
    let second = get(&consumer, &queue).await.unwrap();
    assert_eq!(second.data, b"given back");
    second.nack(BasicNackOptions { requeue: true, ..Default::default() }).await.unwrap();
    let again = get(&consumer, &queue).await.unwrap();
    assert_eq!((&*again.data, again.redelivered), (&b"given back"[..], true));
    again.ack(BasicAckOptions::default()).await.unwrap();
    assert_eq!(get(&consumer, &queue).await.unwrap().data, b"left");
    consumer.close(200, "done".into()).await.unwrap();

    let left = get(&channel, &queue).await.unwrap();
    assert_eq!((&*left.data, left.redelivered, left.message_count), (&b"left"[..], true, 0));
    assert!(get(&channel, &queue).await.is_none());
}

#[tokio::test]
async fn what_nobody_takes_comes_back() {
    let Some(url) = live::address("RABBITMQ") else { return };
    let connection = connect(&url).await;
    let channel = channel(&connection).await;
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let properties = BasicProperties::default().with_message_id("message".into());
    let sent = channel
        .basic_publish("".into(), unique_name().into(), options, b"lost", properties.clone())
        .await;
    let confirmed = soon("the message is confirmed", sent.unwrap()).await.unwrap();
    // Which is no failure to the broker.
    assert!(confirmed.is_ack());
    let returned = confirmed.take_message().unwrap();
    assert_eq!((&*returned.delivery.data, returned.reply_code), (&b"lost"[..], 312));
    assert_eq!(returned.delivery.properties, properties);
    let error = returned.error().unwrap();
    assert_eq!(error.kind(), &AMQPErrorKind::Soft(AMQPSoftError::NOROUTE));
}

#[tokio::test]
async fn a_queue_that_nobody_made_is_an_error_with_its_code() {
    let Some(url) = live::address("RABBITMQ") else { return };
    let connection = connect(&url).await;
    let channel = channel(&connection).await;
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let declaring = channel.queue_declare(unique_name().into(), options, FieldTable::default());
    assert_eq!(code(&declaring.await.unwrap_err()), (404, true));
    // It takes the channel with it, and leaves the connection.
    assert!(!channel.status().connected());
    connection.create_channel().await.unwrap();
}

#[tokio::test]
async fn an_exchange_that_nobody_made_is_an_error_of_the_confirmation() {
    let Some(url) = live::address("RABBITMQ") else { return };
    let connection = connect(&url).await;
    let channel = channel(&connection).await;
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    let sent = channel
        .basic_publish(unique_name().into(), "key".into(), options, b"lost", properties)
        .await
        .unwrap();
    let error = soon("the error is there", sent).await.unwrap_err();
    assert_eq!(code(&error), (404, true));
}

#[tokio::test]
async fn another_queue_of_the_same_name_is_an_error_with_its_code() {
    let Some(url) = live::address("RABBITMQ") else { return };
    let connection = connect(&url).await;
    let channel = channel(&connection).await;
    let queue = queue(&channel).await;
    let options = QueueDeclareOptions {
        exclusive: true,
        auto_delete: true,
        ..QueueDeclareOptions::default()
    };
    let declared = channel.queue_declare(queue, options, FieldTable::default()).await;
    assert_eq!(code(&declared.unwrap_err()), (406, true));
}

#[tokio::test]
async fn what_is_reserved_is_an_error_with_its_code() {
    let Some(url) = live::address("RABBITMQ") else { return };
    let connection = connect(&url).await;
    let channel = channel(&connection).await;
    let (name, options) = ("amq.ours".into(), ExchangeDeclareOptions::default());
    let declared =
        channel.exchange_declare(name, ExchangeKind::Direct, options, FieldTable::default()).await;
    assert_eq!(code(&declared.unwrap_err()), (403, true));
}

#[tokio::test]
async fn a_wrong_password_is_an_error_with_its_code() {
    let Some(url) = live::address("RABBITMQ") else { return };
    let url = url.replace("otel:otel@", "otel:wrong@");
    let connected = Connection::connect(&url, ConnectionProperties::default()).await;
    assert_eq!(code(&connected.unwrap_err()), (403, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_broker_comes_back_with_what_it_confirmed_to_a_new_connection() {
    let server = block_in_place(|| private(Server::rabbitmq(), Extra::new()));
    let Some(mut server) = server else { return };
    let old = connect(server.url()).await;
    let channel = channel(&old).await;
    let queue = durable_queue(&channel).await;
    let persistent = BasicProperties::default().with_delivery_mode(2);
    for body in ["first", "second"] {
        publish(&channel, &queue, body, persistent.clone()).await;
    }
    let options = BasicConsumeOptions::default();
    let consuming =
        channel.basic_consume(queue.clone(), "tag".into(), options, FieldTable::default());
    let mut consumer = consuming.await.unwrap();
    for body in [&b"first"[..], b"second"] {
        let delivery = soon("a message is there", consumer.next()).await.unwrap().unwrap();
        assert_eq!(delivery.data, body);
    }

    block_in_place(|| server.kill()).unwrap();
    // The consumer hears of it, and is at its end.
    let error = soon("the consumer notices", consumer.next()).await.unwrap().unwrap_err();
    assert!(error.is_io_error(), "{error:?}");
    assert!(soon("the end", consumer.next()).await.is_none());
    eventually("the connection notices", async || !old.status().connected()).await;
    let error = old.create_channel().await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidConnectionState(_)), "{error:?}");

    block_in_place(|| server.restart()).unwrap();
    // By itself it does not come back.
    let got = channel.basic_get(queue.clone(), BasicGetOptions::default()).await;
    assert!(matches!(got.unwrap_err().kind(), ErrorKind::InvalidChannelState(..)));
    let new = connect(server.url()).await;
    let channel = self::channel(&new).await;
    for body in [&b"first"[..], b"second"] {
        let left = get(&channel, &queue).await.unwrap();
        assert_eq!((&*left.data, &left.properties), (body, &persistent));
        left.ack(BasicAckOptions::default()).await.unwrap();
    }
    assert!(get(&channel, &queue).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_recovers_goes_on_with_its_channels_and_consumers() {
    let server = block_in_place(|| private(Server::rabbitmq(), Extra::new()));
    let Some(mut server) = server else { return };
    let properties = ConnectionProperties::default().enable_auto_recover();
    // By default the waits between attempts grow up to a minute.
    let properties = properties.configure_backoff(|backoff| {
        backoff.with_max_delay(Duration::from_millis(200)).with_max_times(1_000)
    });
    let connection = Connection::connect(server.url(), properties).await.unwrap();
    let channel = channel(&connection).await;
    let queue = durable_queue(&channel).await;
    let persistent = BasicProperties::default().with_delivery_mode(2);
    publish(&channel, &queue, "stored", persistent.clone()).await;
    let options = BasicConsumeOptions::default();
    let consuming =
        channel.basic_consume(queue.clone(), "tag".into(), options, FieldTable::default());
    let mut consumer = consuming.await.unwrap();
    let delivery = soon("a message is there", consumer.next()).await.unwrap().unwrap();
    assert_eq!((&*delivery.data, delivery.redelivered), (&b"stored"[..], false));

    block_in_place(|| server.kill()).unwrap();
    block_in_place(|| server.restart()).unwrap();
    // The consumer hears nothing of it, but has the message again.
    let delivery = soon("a message is there", consumer.next()).await.unwrap().unwrap();
    assert_eq!((&*delivery.data, delivery.redelivered), (&b"stored"[..], true));
    delivery.ack(BasicAckOptions::default()).await.unwrap();
    publish(&channel, &queue, "sent afterwards", persistent).await;
    let delivery = soon("a message is there", consumer.next()).await.unwrap().unwrap();
    assert_eq!(delivery.data, b"sent afterwards");
}
