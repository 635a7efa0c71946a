//! What otel-rabbitmq emits on a broker that others use too; and what goes past it, by what the broker
//! counts: the messages that it got and gave away, those of a queue, and what was acknowledged.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod rabbitmq_suite;
mod rabbitmq_support;

use integration_tests::ledger::rabbitmq::{Acknowledged, Stored, Traffic};
use integration_tests::ledger::{Watch, shown};
use integration_tests::private;
use native::{Extra, Private, Server};
use otel_rabbitmq::options::{BasicAckOptions, BasicGetOptions, BasicPublishOptions};
use otel_rabbitmq::{BasicProperties, lapin};
use otel_testing::ledger::Traced;
use otel_testing::{Capture, live};
use tokio::task::block_in_place;

use crate::rabbitmq_suite::{Live, scenarios};
use crate::rabbitmq_support::{confirming, consume, next, publish, queue, store};

macro_rules! on_the_shared_server {
    ($($module:ident: $scenario:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $scenario() {
            let Some(url) = live::address("RABBITMQ") else { return };
            rabbitmq_suite::$module::$scenario(&Live::watched(&url, &Traced::new())).await;
        }
    )*};
}

scenarios!(on_the_shared_server);

/// Who asks the broker, beside the clients that are watched.
async fn asking(url: &str) -> (lapin::Connection, lapin::Channel) {
    let properties = lapin::ConnectionProperties::default();
    let connection = lapin::Connection::connect(url, properties).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

fn broker() -> Option<Private> {
    block_in_place(|| private(Server::rabbitmq(), Extra::new()))
}

/// What the scenarios send by lapin's own channels, to see what comes of it: headers in eight ways, two
/// messages without any, and one at the limit of a frame.
const BARE: u64 = 8 + 2 + 1;

/// Over all that the live tests of one broker do.
#[tokio::test(flavor = "multi_thread")]
async fn all_that_the_broker_got_was_traced() {
    let Some(broker) = broker() else { return };
    let traced = Traced::new();
    let (_keeps, channel) = asking(broker.url()).await;
    let sent = Traffic::sent(&broker, channel).await.unwrap();
    let live = Live::watched(broker.url(), &traced);
    macro_rules! run {
        ($($module:ident: $scenario:ident)*) => {$(
            rabbitmq_suite::$module::$scenario(&live).await;
        )*};
    }
    scenarios!(run);
    let balance = Watch::new(sent, traced).balance(BARE).await;
    assert!(balance.traced > 8000, "{balance}");
}

const TRACED: u64 = 20;
const PAST: u64 = 4;

/// Sent, received and acknowledged; some of each by lapin's own channel.
#[tokio::test(flavor = "multi_thread")]
async fn messages_that_go_past_the_wrapper_are_found() {
    let Some(broker) = broker() else { return };
    let (capture, traced) = (Capture::new(), Traced::new());
    let live = Live::watched(broker.url(), &traced);
    let connection = rabbitmq_support::connect(&live.url, &live.telemetry(&capture).build()).await;
    let channel = confirming(&connection).await;
    let queue = queue(&channel).await;
    let (_keeps, asks) = asking(broker.url()).await;
    let mut sent = Watch::new(Traffic::sent(&broker, asks).await.unwrap(), traced.clone());
    let (_keeps, asks) = asking(broker.url()).await;
    let mut received = Watch::new(Traffic::received(&broker, asks).await.unwrap(), traced.clone());
    // It was declared by the other connection, and is its own.
    let asks = connection.raw().create_channel().await.unwrap();
    let mut stored = Watch::new(Stored::new(asks, queue.clone()), traced.clone());
    for number in 0..TRACED + PAST {
        match number % 6 {
            5 => {
                let options = BasicPublishOptions::default();
                let (raw, properties) = (channel.raw(), BasicProperties::default());
                let past =
                    raw.basic_publish("".into(), queue.clone(), options, b"order", properties);
                past.await.unwrap().await.unwrap();
            }
            // Also where nobody waits for the answer.
            0 => drop(publish(&channel, &queue, b"order").await),
            _ => store(&channel, &queue, b"order").await,
        }
    }
    channel.wait_for_confirms().await.unwrap();
    let expected = (TRACED, TRACED + PAST, vec![(queue.to_string(), PAST)]);
    assert_eq!(shown(&sent.balance(PAST).await), expected);
    let balance = stored.balance(PAST).await;
    assert_eq!(shown(&balance), expected);
    assert_eq!(
        balance.to_string(),
        format!("20 of 24 sent messages traced\npast the instrumentation: 4 x {queue}")
    );

    // Half of them one by one, and half that come by themselves.
    let options = BasicGetOptions::default();
    for number in 0..12 {
        if number % 6 == 5 {
            let got = channel.raw().basic_get(queue.clone(), options).await.unwrap().unwrap();
            assert!(got.delivery.ack(BasicAckOptions::default()).await.unwrap());
        } else {
            let got = channel.basic_get(queue.clone(), options).await.unwrap().unwrap();
            assert!(got.ack(BasicAckOptions::default()).await.unwrap());
        }
    }
    let mut messages = consume(&channel, &queue).await;
    for number in 0..12 {
        if number % 6 == 5 {
            let got = next(&mut messages.raw().clone()).await.unwrap();
            assert!(got.ack(BasicAckOptions::default()).await.unwrap());
        } else {
            let got = next(&mut messages).await.unwrap();
            channel.basic_ack(got.delivery_tag, BasicAckOptions::default()).await.unwrap();
        }
    }
    assert_eq!(shown(&received.balance(PAST).await), expected);
    let mut settled = Watch::new(Acknowledged::new(&broker, queue.to_string()), traced);
    assert_eq!(shown(&settled.balance(PAST).await), expected);
}
