//! NATS between processes: what one stores is handled by others, each message in its own trace, and
//! nothing that was acknowledged is lost with a server that is killed.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod nats_support;

use std::collections::{BTreeMap, BTreeSet};

use async_nats::jetstream::stream::Stream;
use integration_tests::ledger::Watch;
use integration_tests::ledger::nats::{Delivered, Stored};
use integration_tests::otlp::Attributes;
use integration_tests::roles::{All, Case, Place, assert_handled, assert_ordered};
use integration_tests::told::{NOBODY, Process, Role, Span, Told, assert_agreement, traced};
use integration_tests::{eventually, private, unique_name};
use native::{Extra, Server};
use otel_nats::ServerAddr;
use otel_testing::live;
use serde_json::json;
use tokio::task::block_in_place;

use crate::nats_support::{captured, jetstream, stream};

const PROGRAM: &str = env!("CARGO_BIN_EXE_nats_role");
const MESSAGES: usize = 1000;

fn is_sent(line: &Told) -> bool {
    matches!(line, Told::Sent { result: Ok(_), .. })
}

fn is_handled(line: &Told) -> bool {
    matches!(line, Told::Handled(_))
}

/// A stream of one test's own.
struct Shop {
    url: String,
    name: String,
    stream: Stream,
}

impl Shop {
    async fn open(url: &str) -> Self {
        let (_, client) = captured(url).await;
        let (context, name) = (jetstream(client), unique_name());
        let stream = stream(&context, &name).await.into_inner();
        Self { url: url.to_owned(), name, stream }
    }

    fn produce(&self, count: Option<u64>, timeout: u32) -> Process {
        let (brokers, topic) = (self.url.clone(), self.name.clone());
        Process::start(PROGRAM, &Role::Produce { brokers, topic, count, timeout })
    }

    fn consume(&self, group: &str, Case { parent, ambient }: Case) -> Process {
        let (brokers, topic) = (self.url.clone(), self.name.clone());
        let (group, parent) = (group.to_owned(), parent.to_owned());
        Process::start(PROGRAM, &Role::Consume { brokers, topic, group, parent, ambient })
    }

    /// What all spans of a step have that know where their message lies.
    fn attributes(&self, operation: &str, step: &str, client: &str, place: Place) -> Attributes {
        let server: ServerAddr = self.url.parse().unwrap();
        let all = json!({
            "messaging.system": "nats",
            "messaging.operation.name": operation,
            "messaging.operation.type": step,
            "messaging.destination.name": format!("{}.new", self.name),
            "messaging.message.id": format!("{}:{}", self.name, place.1),
            "messaging.client.id": client,
            "server.address": server.host(),
            "server.port": server.port(),
        });
        serde_json::from_value(all).unwrap()
    }

    /// The same of a consumer.
    fn received(&self, operation: &str, step: &str, group: &str, place: Place) -> Attributes {
        let mut all = self.attributes(operation, step, "role-consumer", place);
        let template = json!(format!("{}.>", self.name));
        all.insert("messaging.destination.template".to_owned(), template);
        all.insert("messaging.destination.subscription.name".to_owned(), group.into());
        all
    }

    /// The spans of those messages that were sent, by their place.
    fn check_producer(&self, all: &All) -> BTreeMap<Place, (u64, Span)> {
        let sends = all.of_step("send");
        assert_eq!(sends.len(), all.sent.len(), "one span for each message");
        assert_eq!(all.spans.len(), sends.len(), "and no other");
        let (mut places, mut seen) = (BTreeMap::new(), BTreeSet::new());
        for span in sends {
            // The application's own span has the message's number.
            let number = u64::from_str_radix(&span.parent, 16).unwrap();
            assert!(seen.insert(number), "{number} has two spans");
            let name = (span.name.as_str(), span.kind.as_str());
            assert_eq!(name, (&*format!("publish {}.new", self.name), "PRODUCER"));
            assert_ordered(span, number);
            let result = &all.sent[&number];
            let place = *result.as_ref().unwrap_or(&(0, 0));
            let mut expected = self.attributes("publish", "send", "role-producer", place);
            if let Err(error) = result {
                expected.remove("messaging.message.id");
                expected.insert("error.type".to_owned(), error.as_str().into());
            }
            assert_eq!(span.attributes, expected, "{span:?}");
            assert_eq!(span.error.as_deref(), result.is_err().then_some(""));
            if result.is_ok() {
                places.insert(place, (number, span.clone()));
            }
        }
        assert_agreement(&all.spans, &all.points, |_| false);
        places
    }

    /// What holds for each message that was received.
    fn check_consumer(
        &self,
        all: &All,
        group: &str,
        sent: &BTreeMap<Place, (u64, Span)>,
        case: Case,
    ) {
        let place = |span: &Span| {
            let (_, sequence) = span.says("messaging.message.id").as_str()?.split_once(':')?;
            Some((0, sequence.parse().ok()?))
        };
        let [receives, processes, settles] =
            ["receive", "process", "settle"].map(|step| all.by_place(step, place));
        let of_application = assert_handled(all, &processes, sent, case);
        let failures =
            all.of_step("receive").into_iter().filter(|receive| receive.error.is_some()).count();
        assert_eq!(failures, all.errors.len());
        let calls = [receives.len(), processes.len(), settles.len()];
        assert_eq!(calls, [processes.len(); 3], "each was received and settled once");
        for (place, process) in &processes {
            let ((_, origin), receive, settle) = (&sent[place], receives[place], settles[place]);
            for (span, operation, step, kind) in [
                (receive, "receive", "receive", "CLIENT"),
                (*process, "process", "process", "CONSUMER"),
                (settle, "double_ack", "settle", "CLIENT"),
            ] {
                let name = (span.name.as_str(), span.kind.as_str());
                assert_eq!(name, (&*format!("{operation} {}.>", self.name), kind));
                assert_eq!(span.links.first(), Some(&origin.identity()));
                let mut expected = self.received(operation, step, group, *place);
                if let Some(error) =
                    process.attributes.get("error.type").filter(|_| span == *process)
                {
                    expected.insert("error.type".to_owned(), error.clone());
                }
                assert_eq!(span.attributes, expected, "{span:?}");
            }
            assert_eq!((receive.parent.as_str(), &receive.error), (NOBODY, &None));
            assert_eq!((settle.parent == NOBODY, &settle.error), (!case.ambient, &None));
        }
        let spans = failures + 2 * processes.len() + of_application + processes.len();
        assert_eq!(all.spans.len(), spans, "and no other");
        assert_agreement(&all.spans, &all.points, |_| false);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_messages_are_each_handled_once_and_in_their_own_trace() {
    let Some(url) = live::address("NATS") else { return };
    let shop = Shop::open(&url).await;
    let cases = [("ambient", false), ("ambient", true), ("message", true), ("link", false)];
    let consumers = cases.map(|(parent, ambient)| {
        let (case, group) = (Case { parent, ambient }, unique_name());
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
        let mut ledger = Watch::new(delivered, traced(&from_consumer.spans));
        assert_eq!(ledger.balance(0).await.traced, MESSAGES as u64);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_server_acknowledged_is_stored_and_what_failed_is_told() {
    let server = block_in_place(|| private(Server::nats(), Extra::new()));
    let Some(mut server) = server else { return };
    let shop = Shop::open(server.url()).await;
    let producer = shop.produce(None, 1000);
    eventually("messages flow", async || producer.count(is_sent) > 100).await;
    block_in_place(|| server.kill()).unwrap();
    let is_lost = |line: &Told| matches!(line, Told::Sent { result: Err(_), .. });
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
