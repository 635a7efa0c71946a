//! What goes past otel-nats, by what the server counts: the subjects of a stream, and the deliveries of
//! a consumer.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod nats_support;

use integration_tests::ledger::Watch;
use integration_tests::ledger::nats::{Delivered, Stored};
use integration_tests::unique_name;
use otel_nats::jetstream::consumer::{PullConsumer, pull};
use otel_testing::ledger::{Balance, Traced};
use otel_testing::{Capture, live};

use crate::nats_support::{connect, jetstream, next, stream};

const TRACED: u64 = 20;
const PAST: u64 = 3;

/// How many, and which went past.
fn shown(balance: &Balance) -> (u64, u64, Vec<(String, u64)>) {
    let past = balance.past.iter().map(|count| (count.text.clone(), count.times)).collect();
    assert!(balance.uncounted.is_empty(), "{balance}");
    (balance.traced, balance.counted, past)
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_go_past_the_wrapper_are_found() {
    let Some(url) = live::address("NATS") else { return };
    let (capture, traced) = (Capture::new(), Traced::new());
    let telemetry = capture.telemetry_builder();
    let telemetry = telemetry.tracer_provider(traced.watch(capture.tracer_provider())).build();
    let client = connect(&url, &telemetry).await;
    let (context, name) = (jetstream(client.clone()), unique_name());
    let stream = stream(&context, &name).await;
    let mut ledger = Watch::new(Stored::new(stream.raw().clone()), traced.clone());

    let subject = format!("{name}.new");
    for number in 0..TRACED + PAST {
        let (subject, payload) = (subject.clone(), "order".into());
        match number % 6 {
            5 => {
                context.raw().publish(subject, payload).await.unwrap().await.unwrap();
            }
            0 => client.publish(subject, payload).await.unwrap(),
            // Also where nobody waits for the answer.
            1 => drop(context.publish(subject, payload).await.unwrap()),
            _ => {
                context.publish(subject, payload).await.unwrap().await.unwrap();
            }
        }
    }
    let past = vec![(subject.clone(), PAST)];
    let balance = ledger.balance(PAST).await;
    assert_eq!(shown(&balance), (TRACED, TRACED + PAST, past.clone()));
    assert_eq!(
        balance.to_string(),
        format!("20 of 23 sent messages traced\npast the instrumentation: 3 x {subject}")
    );

    let config = pull::Config {
        durable_name: Some("worker".to_owned()),
        filter_subject: subject.clone(),
        ..pull::Config::default()
    };
    let consumer: PullConsumer = stream.create_consumer(config).await.unwrap();
    let delivered = Delivered::new(stream.raw().clone(), "worker", &subject);
    let mut ledger = Watch::new(delivered, traced);
    for number in 0..TRACED + PAST {
        if number % 6 == 5 {
            let mut batch = consumer.raw().batch().max_messages(1).messages().await.unwrap();
            next(&mut batch).await.unwrap().ack().await.unwrap();
        } else {
            let mut batch = consumer.batch().max_messages(1).messages().await.unwrap();
            next(&mut batch).await.unwrap().ack().await.unwrap();
        }
    }
    let balance = ledger.balance(PAST).await;
    assert_eq!(shown(&balance), (TRACED, TRACED + PAST, past));
    context.delete_stream(&name).await.unwrap();
}
