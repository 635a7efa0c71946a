//! What goes past otel-kafka, by three who count: the broker, librdkafka's producer and its consumer.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod kafka_support;

use std::time::Duration;

use integration_tests::ledger::kafka::{Client, Stored};
use integration_tests::ledger::{Watch, shown};
use integration_tests::{eventually_ok, soon, unique_name};
use otel_kafka::consumer::{Consumer as _, StreamConsumer};
use otel_kafka::producer::FutureProducer;
use otel_testing::ledger::{Ledger, Traced};
use otel_testing::{Capture, live};
use rdkafka::producer::FutureRecord;
use tokio::time::timeout;

use crate::kafka_support::{PATIENCE, config, in_group, topic};

const TRACED: u64 = 20;
const PAST: u64 = 3;

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_go_past_the_wrapper_are_found() {
    let Some(brokers) = live::address("KAFKA") else { return };
    let topic = topic(&brokers, 2).await;
    let (capture, traced) = (Capture::new(), Traced::new());
    let telemetry = capture.telemetry_builder();
    let telemetry = telemetry.tracer_provider(traced.watch(capture.tracer_provider())).build();
    let mut ledger =
        Watch::new(Stored::sent(&brokers, std::slice::from_ref(&topic)), traced.clone());

    let mut config = config(&brokers);
    config.set("statistics.interval.ms", "50");
    let client = Client::sent();
    let raw: rdkafka::producer::FutureProducer<_> =
        config.create_with_context(client.clone()).unwrap();
    let producer = FutureProducer::builder(raw).config(&config).telemetry(&telemetry).build();
    let mut places = Vec::new();
    for number in 0..TRACED + PAST {
        let record = FutureRecord::<str, str>::to(&topic).payload("order");
        if number % 6 == 5 {
            let sent = producer.raw().send(record, PATIENCE).await.unwrap();
            places.push((format!("{topic}[{}]@{}", sent.partition, sent.offset), 1));
        } else {
            producer.send(record, PATIENCE).await.unwrap();
        }
    }
    places.sort();
    assert_eq!(places.len() as u64, PAST);
    let past = vec![(topic.clone(), PAST)];
    // The broker knows which; librdkafka knows how many.
    let balance = ledger.balance(PAST).await;
    assert_eq!(shown(&balance), (TRACED, TRACED + PAST, places));
    let mut ledger = Watch::new(client, traced.clone());
    let balance = ledger.balance(PAST).await;
    assert_eq!(shown(&balance), (TRACED, TRACED + PAST, past.clone()));
    assert_eq!(
        balance.to_string(),
        format!("20 of 23 sent messages traced\npast the instrumentation: 3 x {topic}")
    );

    let mut config = in_group(&brokers, &unique_name());
    config.set("statistics.interval.ms", "50");
    let client = Client::received();
    let raw = config.create_with_context(client.clone()).unwrap();
    let consumer: StreamConsumer<_> =
        StreamConsumer::builder(raw).config(&config).telemetry(&telemetry).build();
    consumer.subscribe(&[&topic]).unwrap();
    for number in 0..TRACED + PAST {
        if number % 6 == 5 {
            soon("a message is there", consumer.raw().recv()).await.unwrap();
        } else {
            soon("a message is there", consumer.recv()).await.unwrap();
        }
    }
    let mut ledger = Ledger::new(client);
    let balance = eventually_ok("all are counted", async || {
        // Statistics come to who receives.
        let none = timeout(Duration::from_millis(20), consumer.recv()).await;
        assert!(none.is_err(), "there is no other message");
        let balance = ledger.balance(&traced).await.unwrap();
        if balance.counted == TRACED + PAST { Ok(balance) } else { Err(balance) }
    })
    .await;
    assert_eq!(shown(&balance), (TRACED, TRACED + PAST, past));
}
