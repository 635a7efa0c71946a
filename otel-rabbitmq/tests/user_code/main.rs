//! Code as lapin's users write it: in the manner of its own examples, against both names. What ours is
//! beside the driver's is the name alone.
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::similar_names,
    clippy::unwrap_used,
    clippy::duplicate_mod,
    clippy::large_futures,
    clippy::wildcard_imports,
    reason = "as in lapin's examples"
)]

mod bare;
mod ours;
#[path = "../support/mod.rs"]
mod support;

use std::any::type_name;

use otel_testing::live;

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_do_the_same_by_both_names() {
    let Some(url) = live::address("RABBITMQ") else { return };
    let bare = bare::examples::all(&url).await.unwrap();
    let ours = ours::examples::all(&url).await.unwrap();
    assert_eq!(ours, bare);
    assert!(ours.len() > 15, "{ours:?}");
}

fn is_like<T: Send + Sync + Unpin>() -> &'static str {
    type_name::<T>()
}

fn futures_are_send<T: Send>(_: T) {}

/// As the driver's are. Compiled, not run.
#[test]
fn types_are_as_the_drivers() {
    use otel_rabbitmq::options::*;
    use otel_rabbitmq::types::FieldTable;
    use otel_rabbitmq::{Channel, message};
    is_like::<lapin::Connection>();
    is_like::<otel_rabbitmq::Connection>();
    is_like::<lapin::DefaultConnectionBuilder>();
    is_like::<otel_rabbitmq::DefaultConnectionBuilder>();
    is_like::<lapin::ConnectionProperties>();
    is_like::<otel_rabbitmq::ConnectionProperties>();
    is_like::<lapin::Channel>();
    is_like::<Channel>();
    is_like::<lapin::Consumer>();
    is_like::<otel_rabbitmq::Consumer>();
    is_like::<lapin::PublisherConfirm>();
    is_like::<otel_rabbitmq::PublisherConfirm>();
    is_like::<lapin::message::Delivery>();
    is_like::<message::Delivery>();
    is_like::<message::BasicGetMessage>();
    is_like::<lapin::Acker>();
    is_like::<otel_rabbitmq::Acker>();
    let compiled = async |channel: Channel, delivery: message::Delivery| {
        let options = BasicPublishOptions::default();
        let properties = otel_rabbitmq::BasicProperties::default();
        futures_are_send(channel.basic_publish("".into(), "".into(), options, b"", properties));
        futures_are_send(channel.basic_get("".into(), BasicGetOptions::default()));
        let (options, table) = (BasicConsumeOptions::default(), FieldTable::default());
        futures_are_send(channel.basic_consume("".into(), "".into(), options, table));
        futures_are_send(channel.basic_ack(1, BasicAckOptions::default()));
        futures_are_send(channel.wait_for_confirms());
        futures_are_send(delivery.ack(BasicAckOptions::default()));
        futures_are_send(
            delivery.process(async |delivery| delivery.ack(BasicAckOptions::default()).await),
        );
        let properties = otel_rabbitmq::ConnectionProperties::default();
        futures_are_send(otel_rabbitmq::Connection::connect("", properties));
    };
    let _ = compiled;
}

/// The table in the README, of what is left to lapin's own handles.
#[tokio::test(flavor = "multi_thread")]
async fn what_takes_the_drivers_own() {
    async fn library(connection: &lapin::Connection, channel: lapin::Channel) -> String {
        let queue = channel.basic_get("nowhere".into(), lapin::options::BasicGetOptions::default());
        queue.await.unwrap_err();
        connection.status().vhost().to_string()
    }
    fn takes(_: lapin::message::Delivery) {}
    fn takes_acker(acker: &lapin::Acker) -> bool {
        acker.usable()
    }
    let Some(url) = live::address("RABBITMQ") else { return };
    let telemetry = otel_rabbitmq::Telemetry::builder().enabled(false).build();
    let connection = support::connect(&url, &telemetry).await;
    let channel = support::channel(&connection).await;
    assert_eq!(library(connection.raw(), channel.raw().clone()).await, "/");
    let mock =
        || otel_rabbitmq::message::Delivery::mock(7, "".into(), "".into(), false, Vec::new());
    assert!(takes_acker(mock().acker.raw()));
    takes(mock().into_inner());
    let message = otel_rabbitmq::message::BasicGetMessage { delivery: mock(), message_count: 0 };
    let message: lapin::message::BasicGetMessage = message.into();
    takes(message.delivery);
    let channel = support::channel(&connection).await;
    let queue = support::queue(&channel).await;
    let (options, table) = Default::default();
    let consumer = channel.basic_consume(queue.clone(), "".into(), options, table).await.unwrap();
    let consumer: lapin::Consumer = consumer.into_inner();
    assert_eq!(consumer.queue(), queue);
}
