//! What goes past otel-rabbitmq, by what the broker counts: the messages in a queue.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod rabbitmq_support;

use integration_tests::ledger::Watch;
use integration_tests::ledger::rabbitmq::Stored;
use otel_rabbitmq::BasicProperties;
use otel_rabbitmq::options::BasicPublishOptions;
use otel_testing::ledger::Traced;
use otel_testing::{Capture, live};

use crate::rabbitmq_support::{confirming, connect, publish, queue, store};

const TRACED: u64 = 20;
const PAST: u64 = 4;

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_go_past_the_wrapper_are_found() {
    let Some(url) = live::address("RABBITMQ") else { return };
    let (capture, traced) = (Capture::new(), Traced::new());
    let telemetry = capture.telemetry_builder();
    let telemetry = telemetry.tracer_provider(traced.watch(capture.tracer_provider())).build();
    let connection = connect(&url, &telemetry).await;
    let channel = confirming(&connection).await;
    let queue = queue(&channel).await;
    let asking = connection.raw().create_channel().await.unwrap();
    let mut ledger = Watch::new(Stored::new(asking, queue.clone()), traced);
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
    let balance = ledger.balance(PAST).await;
    assert!(balance.uncounted.is_empty(), "{balance}");
    let past: Vec<_> = balance.past.iter().map(|it| (it.text.clone(), it.times)).collect();
    assert_eq!((balance.traced, balance.counted), (TRACED, TRACED + PAST));
    assert_eq!(past, [(queue.to_string(), PAST)]);
}
