//! What is played by both; each answers what it saw, line by line.

use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use integration_tests::{eventually, eventually_ok, soon, unique_name};
use native::Private;
use tokio::task::block_in_place;

use super::driver as lapin;

use lapin::options::*;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, PublisherConfirm,
};

async fn connect(
    url: &str,
    told: impl Fn(ConnectionProperties) -> ConnectionProperties,
) -> Connection {
    let properties = ConnectionProperties::default().with_connection_name("live".into());
    Connection::connect(url, told(properties)).await.unwrap()
}

async fn confirming(connection: &Connection) -> Channel {
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    channel
}

async fn declare(channel: &Channel, durable: bool, arguments: FieldTable) -> ShortString {
    let options = QueueDeclareOptions { durable, exclusive: !durable, ..Default::default() };
    let name = ShortString::from(unique_name());
    channel.queue_declare(name.clone(), options, arguments).await.unwrap();
    if durable {
        // What the server knows of queues waits for the disk, but no longer than 64 KiB of it are together.
        let long = AMQPValue::LongString(vec![b'x'; 100_000].into());
        let mut arguments = FieldTable::default();
        arguments.insert("long".into(), long);
        let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
        let (name, kind) = (unique_name().into(), lapin::ExchangeKind::Direct);
        channel.exchange_declare(name, kind, options, arguments).await.unwrap();
    }
    name
}

async fn send(
    channel: &Channel,
    key: &ShortString,
    body: &str,
    mandatory: bool,
) -> lapin::Result<PublisherConfirm> {
    let options = BasicPublishOptions { mandatory, ..Default::default() };
    let properties = BasicProperties::default().with_delivery_mode(2);
    channel.basic_publish("".into(), key.clone(), options, body.as_bytes(), properties).await
}

/// An error by its text, without names that differ and times.
fn shown(error: &lapin::Error, name: &ShortString) -> String {
    error.to_string().replace(name.as_str(), "{name}")
}

fn code(confirmed: lapin::Result<Confirmation>) -> String {
    match confirmed {
        Ok(confirmed) => {
            let is_ack = confirmed.is_ack();
            let message = confirmed.take_message();
            let body = message.map(|it| String::from_utf8(it.delivery.data.clone()).unwrap());
            format!("{is_ack} {body:?}")
        }
        Err(error) => format!("{:?}", error.kind()).chars().take(12).collect(),
    }
}

/// Results, errors, order, and what is returned, held or not.
pub async fn alike(
    url: &str,
    told: impl Fn(ConnectionProperties) -> ConnectionProperties,
) -> Vec<String> {
    let connection = connect(url, told).await;
    let channel = confirming(&connection).await;
    let queue = declare(&channel, false, FieldTable::default()).await;
    let nowhere = ShortString::from(unique_name());
    let mut seen = Vec::new();

    // One after another, so that nothing is mixed up.
    for (key, mandatory) in [(&queue, true), (&nowhere, true), (&nowhere, false)] {
        let confirm = send(&channel, key, "one", mandatory).await.unwrap();
        seen.push(code(soon("it is confirmed", confirm).await));
    }
    let wait = async || {
        let returned = soon("all are", channel.wait_for_confirms()).await.unwrap();
        let bodies = returned.into_iter().map(|it| String::from_utf8(it.delivery.data.clone()));
        format!("{:?}", bodies.map(Result::unwrap).collect::<Vec<_>>())
    };
    seen.push(wait().await);
    // Dropped before, and after they were confirmed; held while it is asked for.
    drop(send(&channel, &nowhere, "dropped", true).await.unwrap());
    seen.push(wait().await);
    seen.push(wait().await);
    let held = send(&channel, &nowhere, "held", true).await.unwrap();
    seen.push(wait().await);
    drop(held);
    seen.push(wait().await);
    let (first, second) = (
        send(&channel, &nowhere, "first", true).await.unwrap(),
        send(&channel, &nowhere, "second", true).await.unwrap(),
    );
    drop(second);
    // Which of them comes with which confirm is chance.
    let returned = wait().await;
    seen.push(format!("{}", returned.contains("second") || returned.contains("first")));
    seen.push(code(first.await).replace("first", "second"));
    // In the order in which they were let go of, those first that were there by then.
    let mut all = Vec::new();
    for number in 0..6 {
        let one = send(&channel, &nowhere, &number.to_string(), true).await.unwrap();
        seen.push(wait().await);
        all.push(one);
    }
    let last = all.split_off(3);
    last.into_iter().rev().for_each(drop);
    drop(all);
    seen.push(wait().await);

    let mut consumer = channel
        .basic_consume(queue.clone(), "".into(), Default::default(), FieldTable::default())
        .await
        .unwrap();
    let got = soon("a message is there", consumer.next()).await.unwrap().unwrap();
    seen.push(format!("{} {:?} {}", got.delivery_tag, got.data, got.redelivered));
    seen.push(format!(
        "{:?}",
        got.nack(BasicNackOptions { requeue: true, multiple: false }).await.ok()
    ));
    seen.push(format!("{:?} {}", got.ack(BasicAckOptions::default()).await.ok(), got.usable()));
    let got = soon("a message is there", consumer.next()).await.unwrap().unwrap();
    seen.push(format!("{} {:?} {}", got.delivery_tag, got.data, got.redelivered));
    seen.push(format!("{:?}", channel.basic_ack(got.delivery_tag, Default::default()).await.ok()));
    assert!(consumer.next().now_or_never().is_none());
    channel.basic_cancel(consumer.tag(), Default::default()).await.unwrap();
    seen.push(format!("{:?}", soon("it ends", consumer.next()).await.is_none()));
    seen.push(format!(
        "{:?}",
        channel.basic_get(queue.clone(), Default::default()).await.unwrap().is_none()
    ));
    for number in 0..100 {
        send(&channel, &queue, &number.to_string(), false).await.unwrap().await.unwrap();
    }
    let mut order = Vec::new();
    while let Some(got) =
        channel.basic_get(queue.clone(), BasicGetOptions { no_ack: true }).await.unwrap()
    {
        order.push(String::from_utf8(got.data.clone()).unwrap());
    }
    seen.push(order.join(" "));

    // Errors: each takes its channel.
    let error = channel.basic_get(nowhere.clone(), Default::default()).await.unwrap_err();
    seen.push(shown(&error, &nowhere));
    let error = send(&channel, &queue, "late", false).await.unwrap_err();
    // How far its end has come is chance.
    seen.push(error.to_string().split(':').next().unwrap().to_owned());
    let channel = confirming(&connection).await;
    let sent = channel
        .basic_publish(nowhere.clone(), "".into(), Default::default(), b"", Default::default())
        .await
        .unwrap();
    seen.push(shown(&soon("it fails", sent).await.unwrap_err(), &nowhere));
    let channel = confirming(&connection).await;
    let consuming = channel.basic_consume(
        nowhere.clone(),
        "".into(),
        Default::default(),
        FieldTable::default(),
    );
    seen.push(shown(&consuming.await.map(drop).unwrap_err(), &nowhere));
    seen.push(format!("{:?}", channel.wait_for_confirms().await.map(|it| it.len()).ok()));
    connection.close(200, "done".into()).await.unwrap();
    let error = connection.create_channel().await.unwrap_err();
    seen.push(error.to_string().split(':').next().unwrap().to_owned());
    seen
}

/// A client that has a message, which it has not settled.
struct Working {
    connection: Connection,
    channel: Channel,
    queue: ShortString,
    consumer: lapin::Consumer,
    got: lapin::message::Delivery,
}

async fn working(
    url: &str,
    told: impl Fn(ConnectionProperties) -> ConnectionProperties,
) -> Working {
    let connection = connect(url, told).await;
    let channel = confirming(&connection).await;
    let queue = declare(&channel, true, FieldTable::default()).await;
    let stored = send(&channel, &queue, "stored", false).await.unwrap();
    assert!(soon("it is stored", stored).await.unwrap().is_ack());
    let mut consumer = channel
        .basic_consume(queue.clone(), "".into(), Default::default(), FieldTable::default())
        .await
        .unwrap();
    let got = soon("a message is there", consumer.next()).await.unwrap().unwrap();
    Working { connection, channel, queue, consumer, got }
}

/// Killed under load: what fails meanwhile, and what is there afterwards.
pub async fn killed(
    server: &mut Private,
    told: impl Fn(ConnectionProperties) -> ConnectionProperties,
) -> Vec<String> {
    let url = server.url().to_owned();
    let Working { connection: old, channel, queue, mut consumer, got } = working(&url, &told).await;
    let mut seen = Vec::new();
    server.pause().unwrap();
    let held = send(&channel, &queue, "held", false).await.unwrap();
    drop(send(&channel, &queue, "dropped", false).await.unwrap());
    block_in_place(|| server.kill()).unwrap();
    seen.push(code(soon("it is lost", held).await));
    let error = soon("the consumer notices", consumer.next()).await.unwrap().unwrap_err();
    seen.push(format!("{}", error.is_io_error()));
    seen.push(format!("{:?}", soon("the end", consumer.next()).await.is_none()));
    eventually("the connection notices", async || !old.status().connected()).await;
    seen.push(format!("{:?}", got.ack(BasicAckOptions::default()).await.ok()));
    seen.push(format!("{:?}", send(&channel, &queue, "late", false).await.is_err()));
    seen.push(format!("{:?}", channel.basic_get(queue.clone(), Default::default()).await.is_err()));
    block_in_place(|| server.restart()).unwrap();
    let new = connect(&url, &told).await;
    let channel = confirming(&new).await;
    let got = channel.basic_get(queue.clone(), Default::default()).await.unwrap().unwrap();
    seen.push(format!("{:?} {}", got.data, got.redelivered));
    seen.push(format!("{:?}", got.ack(BasicAckOptions::default()).await.ok()));
    seen
}

fn recovering(properties: ConnectionProperties) -> ConnectionProperties {
    // By default the waits between attempts grow up to a minute.
    properties.enable_auto_recover().configure_backoff(|backoff| {
        backoff.with_max_delay(Duration::from_millis(200)).with_max_times(1_000)
    })
}

/// The same handles go on.
pub async fn recovered(
    server: &mut Private,
    told: impl Fn(ConnectionProperties) -> ConnectionProperties,
) -> Vec<String> {
    let url = server.url().to_owned();
    let connection = connect(&url, |it| recovering(told(it))).await;
    let mut events = Box::pin(connection.events_listener());
    let channel = confirming(&connection).await;
    let queue = declare(&channel, true, FieldTable::default()).await;
    let mut seen = Vec::new();
    for body in ["first", "second", "third"] {
        let stored = send(&channel, &queue, body, false).await.unwrap();
        seen.push(code(soon("it is stored", stored).await));
    }
    let mut consumer = channel
        .basic_consume(queue.clone(), "".into(), Default::default(), FieldTable::default())
        .await
        .unwrap();
    let mut old = Vec::new();
    for _ in 0..3 {
        let got = soon("a message is there", consumer.next()).await.unwrap().unwrap();
        seen.push(format!("{} {}", got.delivery_tag, got.redelivered));
        old.push(got);
    }
    block_in_place(|| server.kill()).unwrap();
    block_in_place(|| server.restart()).unwrap();
    let mut new = Vec::new();
    while new.len() < 3 {
        // The consumer may hear of the loss, or not.
        if let Ok(got) = soon("a message is there", consumer.next()).await.unwrap() {
            seen.push(format!("{} {}", got.delivery_tag, got.redelivered));
            new.push(got);
        }
    }
    // Of before, which would settle somebody else's tag.
    for got in &old {
        seen.push(format!("{:?}", got.ack(BasicAckOptions { multiple: true }).await.ok()));
    }
    seen.push(format!("{:?}", new[1].ack(BasicAckOptions { multiple: true }).await.ok()));
    seen.push(format!("{:?}", new[2].ack(BasicAckOptions::default()).await.ok()));
    let again = async || {
        let sent = send(&channel, &queue, "again", false).await?;
        sent.await
    };
    seen.push(code(Ok(eventually_ok("it is stored", again).await)));
    let got = soon("a message is there", consumer.next()).await.unwrap().unwrap();
    seen.push(format!("{:?} {:?}", got.data, got.ack(BasicAckOptions::default()).await.ok()));
    let mut connected = 0;
    while let Some(Some(event)) = events.next().now_or_never() {
        connected += usize::from(matches!(event, lapin::Event::Connected));
    }
    seen.push(format!("{}", connected > 0));
    seen
}

/// The connection stays, and nothing comes of it for a while.
pub async fn stopped(
    server: &mut Private,
    told: impl Fn(ConnectionProperties) -> ConnectionProperties,
) -> Vec<String> {
    let url = server.url().to_owned();
    let connection = connect(&url, told).await;
    let channel = confirming(&connection).await;
    let queue = declare(&channel, false, FieldTable::default()).await;
    server.pause().unwrap();
    let patience = Duration::from_millis(100);
    let mut seen = Vec::new();
    let confirm = send(&channel, &queue, "late", false).await.unwrap();
    seen.push(format!("{:?}", tokio::time::timeout(patience, confirm).await.is_err()));
    let getting = channel.basic_get(queue.clone(), Default::default());
    seen.push(format!("{:?}", tokio::time::timeout(patience, getting).await.is_err()));
    server.resume().unwrap();
    let waited = soon("it goes on", channel.wait_for_confirms()).await.unwrap();
    seen.push(format!("{waited:?}"));
    seen
}

/// An operator's command of the broker.
fn ask(server: &Private, line: &str) {
    block_in_place(|| server.ask(&format!("rabbitmqctl {line}"))).unwrap();
}

/// An operator closes all connections: what was open says so.
pub async fn forced(
    server: &Private,
    told: impl Fn(ConnectionProperties) -> ConnectionProperties,
) -> Vec<String> {
    let Working { connection, channel, queue, mut consumer, got } =
        working(server.url(), told).await;
    let mut seen = Vec::new();
    ask(server, "close_all_connections maintenance");
    let error = soon("the consumer notices", consumer.next()).await.unwrap().unwrap_err();
    seen.push(shown(&error, &queue));
    seen.push(format!("{:?}", soon("the end", consumer.next()).await.is_none()));
    eventually("the connection notices", async || !connection.status().connected()).await;
    seen.push(format!("{:?}", got.ack(BasicAckOptions::default()).await.ok()));
    seen.push(format!("{:?}", send(&channel, &queue, "late", false).await.is_err()));
    seen.push(format!("{:?}", connection.create_channel().await.is_err()));
    seen
}

/// The broker stops within its machine and starts again, as for an update of it; the connection is one
/// that comes back.
pub async fn restarted(
    server: &Private,
    told: impl Fn(ConnectionProperties) -> ConnectionProperties,
) -> Vec<String> {
    let connection = connect(server.url(), |it| recovering(told(it))).await;
    let channel = confirming(&connection).await;
    let queue = declare(&channel, true, FieldTable::default()).await;
    let mut seen = Vec::new();
    let stored = send(&channel, &queue, "stored", false).await.unwrap();
    seen.push(code(soon("it is stored", stored).await));
    ask(server, "stop_app");
    ask(server, "start_app");
    let again = async || {
        let sent = send(&channel, &queue, "again", false).await?;
        sent.await
    };
    seen.push(code(Ok(eventually_ok("it is stored", again).await)));
    for _ in 0..2 {
        let got = channel.basic_get(queue.clone(), Default::default()).await.unwrap().unwrap();
        seen.push(format!("{:?} {:?}", got.data, got.ack(BasicAckOptions::default()).await.ok()));
    }
    seen
}
