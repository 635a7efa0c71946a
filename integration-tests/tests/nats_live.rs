//! What otel-nats emits on a server that others use too; and what goes past it, by what the server counts:
//! the messages that it got, the subjects of a stream, the deliveries of a consumer, and what that settled.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod nats_suite;
mod nats_support;

use integration_tests::ledger::nats::{Delivered, Published, Settled, Stored};
use integration_tests::ledger::{Watch, shown};
use integration_tests::{private, unique_name};
use native::Server;
use otel_nats::jetstream::consumer::{PullConsumer, pull};
use otel_testing::ledger::Traced;
use otel_testing::{Capture, live};
use tokio::task::block_in_place;

use crate::nats_suite::{Live, scenarios};
use crate::nats_support::{HEARD, connect, jetstream, next, stream};

macro_rules! on_the_shared_server {
    ($($module:ident: $scenario:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $scenario() {
            let Some(url) = live::address("NATS") else { return };
            nats_suite::$module::$scenario(&Live::watched(&url, &Traced::new())).await;
        }
    )*};
}

scenarios!(on_the_shared_server);

/// What the driver sends by itself, its own stores among it, and what these tests wait for.
fn is_the_drivers(subject: &str) -> bool {
    ["$JS.", "$KV.", "$O.", HEARD].iter().any(|start| subject.starts_with(start))
}

/// Over all that the live tests of one server do.
#[tokio::test(flavor = "multi_thread")]
async fn all_that_the_server_got_was_traced() {
    let (published, traced) = (Published::new().unwrap(), Traced::new());
    let server = block_in_place(|| private(Server::nats(), published.extra()));
    let Some(server) = server else { return };
    let live = Live::watched(server.url(), &traced);
    macro_rules! run {
        ($($module:ident: $scenario:ident)*) => {$(
            nats_suite::$module::$scenario(&live).await;
        )*};
    }
    scenarios!(run);
    // What a service answers to `$SRV.PING` is the driver's own.
    let balance = Watch::new(published, traced).balance_without(1, is_the_drivers).await;
    let past: Vec<_> = balance.past.iter().filter(|it| !is_the_drivers(&it.text)).collect();
    assert!(matches!(&past[..], [one] if one.text.starts_with("_INBOX.")), "{past:?}");
    assert!(balance.traced > 3000, "{balance}");
}

const TRACED: u64 = 20;
const PAST: u64 = 3;

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
    let mut ledger = Watch::new(delivered, traced.clone());
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
    assert_eq!(shown(&balance), (TRACED, TRACED + PAST, past.clone()));
    let settled = Settled::new(stream.raw().clone(), "worker", &subject);
    let balance = Watch::new(settled, traced).balance(PAST).await;
    assert_eq!(shown(&balance), (TRACED, TRACED + PAST, past));
    context.delete_stream(&name).await.unwrap();
}
