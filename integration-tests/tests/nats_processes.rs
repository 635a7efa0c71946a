//! NATS between processes: what one stores is handled by others, each message in its own trace, and
//! nothing that was acknowledged is lost with a server that is killed.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod nats_support;

use integration_tests::ledger::Watch;
use integration_tests::ledger::nats::{Delivered, Settled, Stored};
use integration_tests::otlp::Attributes;
use integration_tests::roles::{All, Case, Place};
use integration_tests::shop::{CASES, MESSAGES, Shop, Step, common, is_handled, is_lost, is_sent};
use integration_tests::told::{Span, traced};
use integration_tests::{eventually, private, unique_name};
use native::{Extra, Server};
use otel_nats::ServerAddr;
use otel_testing::live;
use tokio::task::block_in_place;

use crate::nats_support::{captured, jetstream, stream};

/// A stream of one test's own.
struct Orders {
    url: String,
    name: String,
    stream: async_nats::jetstream::stream::Stream,
}

impl Orders {
    async fn open(url: &str) -> Self {
        let (_, client) = captured(url).await;
        let (context, name) = (jetstream(client), unique_name());
        let stream = stream(&context, &name).await.into_inner();
        Self { url: url.to_owned(), name, stream }
    }

    /// What all spans of a step have that know where their message lies.
    fn attributes(&self, steps: (&str, &str), client: &str, place: Option<Place>) -> Attributes {
        let server: ServerAddr = self.url.parse().unwrap();
        let subject = format!("{}.new", self.name);
        let mut all = common("nats", steps, &subject, client, (server.host(), server.port()));
        if let Some((_, sequence)) = place {
            all.insert(
                "messaging.message.id".to_owned(),
                format!("{}:{sequence}", self.name).into(),
            );
        }
        all
    }
}

impl Shop for Orders {
    const PROGRAM: &'static str = env!("CARGO_BIN_EXE_nats_role");
    const OPERATIONS: [&'static str; 2] = ["receive", "double_ack"];

    fn url(&self) -> &str {
        &self.url
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn sent(&self, _: u64, place: Option<Place>) -> Step {
        let attributes = self.attributes(("publish", "send"), "role-producer", place);
        Step { name: format!("publish {}.new", self.name), attributes }
    }

    fn received(&self, steps: (&str, &str), group: &str, place: Place, _: &Span) -> Step {
        let mut attributes = self.attributes(steps, "role-consumer", Some(place));
        let template = format!("{}.>", self.name);
        let name = format!("{} {template}", steps.0);
        attributes.insert("messaging.destination.template".to_owned(), template.into());
        attributes.insert("messaging.destination.subscription.name".to_owned(), group.into());
        Step { name, attributes }
    }

    fn place(&self, span: &Span) -> Option<Place> {
        let (_, sequence) = span.says("messaging.message.id").as_str()?.split_once(':')?;
        Some((0, sequence.parse().ok()?))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_messages_are_each_handled_once_and_in_their_own_trace() {
    let Some(url) = live::address("NATS") else { return };
    let shop = Orders::open(&url).await;
    let consumers = CASES.map(|case| {
        let group = unique_name();
        let process = shop.consume(&group, case);
        (case, group, process)
    });
    let producer = shop.produce(Some(MESSAGES as u64), 60_000);
    eventually("all are sent", async || producer.count(is_sent) == MESSAGES).await;
    let from_producer = All::from(producer.finish().await);
    let sent = shop.check_producer(&from_producer);
    assert_eq!(sent.len(), MESSAGES);
    let traced_ones = traced(&from_producer.spans);
    let mut ledger = Watch::new(Stored::new(shop.stream.clone()), traced_ones);
    assert_eq!(ledger.balance(0).await.traced, MESSAGES as u64);
    for (case, group, consumer) in consumers {
        eventually("all are handled", async || consumer.count(is_handled) >= MESSAGES).await;
        let from_consumer = All::from(consumer.finish().await);
        assert_eq!(from_consumer.handled.len(), MESSAGES);
        shop.check_consumer(&from_consumer, &group, &sent, case);
        let subject = format!("{}.new", shop.name);
        let delivered = Delivered::new(shop.stream.clone(), &group, &subject);
        let traced = traced(&from_consumer.spans);
        let mut ledger = Watch::new(delivered, traced.clone());
        assert_eq!(ledger.balance(0).await.traced, MESSAGES as u64);
        let settled = Settled::new(shop.stream.clone(), &group, &subject);
        assert_eq!(Watch::new(settled, traced).balance(0).await.traced, MESSAGES as u64);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_server_acknowledged_is_stored_and_what_failed_is_told() {
    let server = block_in_place(|| private(Server::nats(), Extra::new()));
    let Some(mut server) = server else { return };
    let shop = Orders::open(server.url()).await;
    let producer = shop.produce(None, 1000);
    eventually("messages flow", async || producer.count(is_sent) > 100).await;
    block_in_place(|| server.kill()).unwrap();
    eventually("messages are given up", async || producer.count(is_lost) >= 20).await;
    let before = producer.count(is_sent);
    block_in_place(|| server.restart()).unwrap();
    eventually("messages flow again", async || producer.count(is_sent) > before + 100).await;
    let from_producer = All::from(producer.finish().await);
    let sent = shop.check_producer(&from_producer);
    // Of those that were given up, some may be stored: as they were sent, with their spans.
    let stored = Stored::new(shop.stream.clone());
    let balance = Watch::new(stored, traced(&from_producer.spans)).balance(0).await;
    assert!(balance.traced >= sent.len() as u64, "{balance}");

    let (case, group) = (Case { parent: "ambient", ambient: false }, unique_name());
    let consumer = shop.consume(&group, case);
    let all = usize::try_from(balance.traced).unwrap();
    eventually("all are handled", async || consumer.count(is_handled) == all).await;
    let from_consumer = All::from(consumer.finish().await);
    let mut sent = sent;
    for handled in &from_consumer.handled {
        let parent = format!("{:016x}", handled.number);
        let origin = from_producer.spans.iter().find(|span| span.parent == parent).unwrap();
        sent.entry(handled.place).or_insert_with(|| (handled.number, origin.clone()));
    }
    assert_eq!(sent.len(), all, "nothing that was acknowledged is lost");
    shop.check_consumer(&from_consumer, &group, &sent, case);
}
