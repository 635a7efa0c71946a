//! RabbitMQ between processes: what one publishes is handled by others, each message in its own trace, and
//! nothing that was confirmed is lost with a broker that is killed.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod rabbitmq_support;

use integration_tests::ledger::Watch;
use integration_tests::ledger::rabbitmq::Stored;
use integration_tests::otlp::Attributes;
use integration_tests::roles::{All, Place};
use integration_tests::shop::{
    CASES, MESSAGES, Shop, Step, attributes, common, is_handled, is_lost, is_sent,
};
use integration_tests::told::{Span, traced};
use integration_tests::{eventually, private, unique_name};
use native::{Extra, Server};
use otel_rabbitmq::lapin;
use otel_rabbitmq::options::{
    ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions,
    QueueDeleteOptions,
};
use otel_rabbitmq::types::{FieldTable, ShortString};
use otel_rabbitmq::uri::AMQPUri;
use otel_rabbitmq::{Channel, ExchangeKind};
use otel_testing::live;
use serde_json::json;
use tokio::task::block_in_place;

use crate::rabbitmq_support::{KEY, TAG, captured};

/// An exchange of one test's own, which gives each of its queues each message.
struct Exchange {
    url: String,
    name: String,
    channel: Channel,
}

impl Exchange {
    async fn open(url: &str) -> Self {
        let (_, connection) = captured(url).await;
        let channel = connection.create_channel().await.unwrap();
        let name = unique_name();
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let (exchange, kind) = (name.as_str().into(), ExchangeKind::Fanout);
        channel.exchange_declare(exchange, kind, options, FieldTable::default()).await.unwrap();
        Self { url: url.to_owned(), name, channel }
    }

    /// What is left of it where others use the server too.
    async fn close(self, queues: &[String]) {
        for queue in queues {
            let options = QueueDeleteOptions::default();
            self.channel.queue_delete(queue.as_str().into(), options).await.unwrap();
        }
        let options = ExchangeDeleteOptions::default();
        self.channel.exchange_delete(self.name.as_str().into(), options).await.unwrap();
    }

    /// A queue that survives the broker.
    async fn queue(&self) -> String {
        let name = unique_name();
        let queue = ShortString::from(name.as_str());
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        self.channel.queue_declare(queue.clone(), options, FieldTable::default()).await.unwrap();
        let (exchange, options) = (self.name.as_str().into(), QueueBindOptions::default());
        let binding =
            self.channel.queue_bind(queue, exchange, "".into(), options, FieldTable::default());
        binding.await.unwrap();
        name
    }

    /// What is in a queue, by a connection of its own.
    async fn stored(&self, queue: &str) -> Stored {
        let properties = lapin::ConnectionProperties::default();
        let asking = lapin::Connection::connect(&self.url, properties).await.unwrap();
        let channel = asking.create_channel().await.unwrap();
        Stored::new(channel, queue.into()).sent_to(format!("{}:new", self.name))
    }

    fn attributes(&self, steps: (&str, &str), place: &str, client: &str, id: u64) -> Attributes {
        let server: AMQPUri = self.url.parse().unwrap();
        let server = (&*server.authority.host, server.authority.port);
        let mut all = common("rabbitmq", steps, place, client, server);
        all.insert("messaging.message.id".to_owned(), id.to_string().into());
        all
    }
}

impl Shop for Exchange {
    const PROGRAM: &'static str = env!("CARGO_BIN_EXE_rabbitmq_role");
    const OPERATIONS: [&'static str; 2] = ["consume", "ack"];

    fn url(&self) -> &str {
        &self.url
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn sent(&self, number: u64, _: Option<Place>) -> Step {
        let place = format!("{}:new", self.name);
        let mut all = self.attributes(("publish", "send"), &place, "role-producer", number);
        all.extend(attributes(&json!({ KEY: "new" })));
        Step { name: format!("publish {place}"), attributes: all }
    }

    fn received(&self, steps: (&str, &str), group: &str, place: Place, span: &Span) -> Step {
        let (name, id) = (format!("{}:new:{group}", self.name), place.1.try_into().unwrap());
        let mut all = self.attributes(steps, &name, "role-consumer", id);
        let tag = span.says(TAG);
        assert!(tag.as_u64().is_some_and(|tag| tag > 0), "{span:?}");
        all.extend(attributes(&json!({ TAG: tag })));
        if steps.1 != "settle" {
            all.extend(attributes(&json!({ KEY: "new" })));
        }
        Step { name: format!("{} {name}", steps.0), attributes: all }
    }

    fn place(&self, span: &Span) -> Option<Place> {
        Some((0, span.says("messaging.message.id").as_str()?.parse().ok()?))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_messages_are_each_handled_once_and_in_their_own_trace() {
    let Some(url) = live::address("RABBITMQ") else { return };
    let shop = Exchange::open(&url).await;
    let (mut consumers, mut queues) = (Vec::new(), vec![shop.queue().await]);
    for case in CASES {
        let queue = shop.queue().await;
        let process = shop.consume(&queue, case);
        queues.push(queue.clone());
        consumers.push((case, queue, process));
    }
    let producer = shop.produce(Some(MESSAGES as u64), 0);
    eventually("all are sent", async || producer.count(is_sent) == MESSAGES).await;
    let from_producer = All::from(producer.finish().await);
    let sent = shop.check_producer(&from_producer);
    assert_eq!(sent.len(), MESSAGES);
    // In the queue that nobody consumes from.
    let stored = shop.stored(&queues[0]).await;
    let balance = Watch::new(stored, traced(&from_producer.spans)).balance(0).await;
    assert_eq!(balance.traced, MESSAGES as u64);
    for (case, queue, consumer) in consumers {
        eventually("all are handled", async || consumer.count(is_handled) >= MESSAGES).await;
        let from_consumer = All::from(consumer.finish().await);
        assert_eq!(from_consumer.handled.len(), MESSAGES);
        shop.check_consumer(&from_consumer, &queue, &sent, case);
        // What was acknowledged is gone.
        let left = Watch::new(shop.stored(&queue).await, traced(&[])).balance(0).await;
        assert_eq!(left.counted, 0);
    }
    shop.close(&queues).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_broker_confirmed_is_stored_and_what_failed_is_told() {
    let server = block_in_place(|| private(Server::rabbitmq(), Extra::new()));
    let Some(mut server) = server else { return };
    let shop = Exchange::open(server.url()).await;
    let queue = shop.queue().await;
    let producer = shop.produce(None, 0);
    eventually("messages flow", async || producer.count(is_sent) > 100).await;
    block_in_place(|| server.kill()).unwrap();
    let before = producer.count(is_sent);
    block_in_place(|| server.restart()).unwrap();
    eventually("some were lost", async || producer.count(is_lost) > 0).await;
    eventually("messages flow again", async || producer.count(is_sent) > before + 100).await;
    let from_producer = All::from(producer.finish().await);
    let mut sent = shop.check_producer(&from_producer);
    // Of those that were given up, some may be stored: as they were sent, with their spans.
    let stored = shop.stored(&queue).await;
    let balance = Watch::new(stored, traced(&from_producer.spans)).balance(0).await;
    assert!(balance.traced >= sent.len() as u64, "{balance}");

    let case = CASES[0];
    let consumer = shop.consume(&queue, case);
    let all = usize::try_from(balance.traced).unwrap();
    eventually("all are handled", async || consumer.count(is_handled) == all).await;
    let from_consumer = All::from(consumer.finish().await);
    for handled in &from_consumer.handled {
        let parent = format!("{:016x}", handled.number);
        let origin = from_producer.spans.iter().find(|span| span.parent == parent).unwrap();
        sent.entry(handled.place).or_insert_with(|| (handled.number, origin.clone()));
    }
    assert_eq!(sent.len(), all, "nothing that was confirmed is lost");
    shop.check_consumer(&from_consumer, &queue, &sent, case);
}
