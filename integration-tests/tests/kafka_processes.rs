//! Kafka between processes: what one sends is handled by others, each message in its own trace, and
//! nothing is lost with a broker that is killed.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod kafka_roles;
mod kafka_support;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use integration_tests::ledger::Watch;
use integration_tests::ledger::kafka::Stored;
use integration_tests::roles::{All, Case};
use integration_tests::told::{self, NOBODY, Process, Role, Span, Told, assert_agreement, traced};
use integration_tests::{eventually, private, soon, unique_name};
use native::{Extra, Server};
use otel_kafka::consumer::{Consumer as _, StreamConsumer};
use otel_kafka::message::BorrowedMessage;
use otel_testing::opentelemetry::baggage::BaggageExt as _;
use otel_testing::opentelemetry::trace::FutureExt as _;
use otel_testing::opentelemetry::{Context, KeyValue};
use otel_testing::{Capture, live};
use rdkafka::message::{Header, Headers, Message as _, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::json;
use tokio::task::block_in_place;

use crate::kafka_roles::{Broker, check_consumer, check_producer};
use crate::kafka_support::{PATIENCE, cluster, config, in_group, topic};

const PROGRAM: &str = env!("CARGO_BIN_EXE_kafka_role");
const MESSAGES: usize = 1000;

fn is_sent(line: &Told) -> bool {
    matches!(line, Told::Sent { result: Ok(_), .. })
}

fn is_handled(line: &Told) -> bool {
    matches!(line, Told::Handled(_))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_messages_are_each_handled_once_and_in_their_own_trace() {
    let Some(brokers) = live::address("KAFKA") else { return };
    let topic = topic(&brokers, 3).await;
    let cases = [("ambient", false), ("ambient", true), ("message", true), ("link", false)];
    let consumers = cases.map(|(parent, ambient)| {
        let (brokers, topic, group) = (brokers.clone(), topic.clone(), unique_name());
        let parent_name = parent.to_owned();
        let role =
            Role::Consume { brokers, topic, group: group.clone(), parent: parent_name, ambient };
        (Case { parent, ambient }, group, Process::start(PROGRAM, &role))
    });
    let (to, count) = (topic.clone(), Some(MESSAGES as u64));
    let role = Role::Produce { brokers: brokers.clone(), topic: to, count, timeout: 30_000 };
    let producer = Process::start(PROGRAM, &role);
    eventually("all are sent", async || producer.count(is_sent) == MESSAGES).await;
    let from_producer = All::from(producer.finish().await);
    let broker = Broker { address: &brokers, topic: &topic, cluster: cluster(&brokers) };
    let sent = check_producer(&from_producer, &broker);
    assert_eq!(sent.len(), MESSAGES);
    let topics = [topic.clone()];
    let mut ledger = Watch::new(Stored::sent(&brokers, &topics), traced(&from_producer.spans));
    assert_eq!(ledger.balance(0).await.traced, MESSAGES as u64);
    for (case, group, consumer) in consumers {
        eventually("all are handled", async || consumer.count(is_handled) >= MESSAGES).await;
        let from_consumer = All::from(consumer.finish().await);
        assert_eq!(from_consumer.handled.len(), MESSAGES);
        check_consumer(&from_consumer, &broker, &group, &sent, case);
        let received = traced(&from_consumer.spans);
        let mut ledger = Watch::new(Stored::received(&brokers, &topics), received);
        assert_eq!(ledger.balance(0).await.traced, MESSAGES as u64);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_broker_acknowledged_is_handled_and_what_failed_is_told() {
    let server = block_in_place(|| private(Server::kafka(), Extra::new()));
    let Some(mut server) = server else { return };
    let brokers = server.url().to_owned();
    let (topic, group) = (topic(&brokers, 1).await, unique_name());
    let (to, from) = (topic.clone(), topic.clone());
    let role = Role::Produce { brokers: brokers.clone(), topic: to, count: None, timeout: 1000 };
    let producer = Process::start(PROGRAM, &role);
    let (parent, in_group) = ("ambient".to_owned(), group.clone());
    let role = Role::Consume {
        brokers: brokers.clone(),
        topic: from,
        group: in_group,
        parent,
        ambient: false,
    };
    let consumer = Process::start(PROGRAM, &role);
    eventually("messages flow", async || {
        producer.count(is_sent) > 100 && consumer.count(is_handled) > 50
    })
    .await;
    block_in_place(|| server.kill()).unwrap();
    let is_lost = |line: &Told| matches!(line, Told::Sent { result: Err(_), .. });
    eventually("messages are given up", async || producer.count(is_lost) >= 20).await;
    let is_error = |line: &Told| matches!(line, Told::NotReceived(_));
    eventually("the consumer is told", async || consumer.count(is_error) > 0).await;
    let before = producer.count(is_sent);
    block_in_place(|| server.restart()).unwrap();
    eventually("messages flow again", async || producer.count(is_sent) > before + 100).await;
    let from_producer = All::from(producer.finish().await);
    let broker = Broker { address: &brokers, topic: &topic, cluster: cluster(&brokers) };
    let mut sent = check_producer(&from_producer, &broker);

    let acknowledged = sent.len();
    let lost = from_producer.sent.values().filter(|result| result.is_err()).count();
    assert!(lost >= 20, "{lost}");
    // Of those that were given up, some may be stored: the last are acknowledged ones.
    let end = *sent.keys().last().unwrap();
    let at_last = |line: &Told| matches!(line, Told::Handled(handled) if handled.place >= end);
    eventually("all are handled", async || consumer.count(at_last) > 0).await;
    let from_consumer = All::from(consumer.finish().await);
    let handled: BTreeSet<_> = from_consumer.handled.iter().map(|handled| handled.number).collect();
    let missing: Vec<_> = sent.values().filter(|(number, _)| !handled.contains(number)).collect();
    assert!(missing.is_empty(), "acknowledged, and not handled: {missing:?}");
    // What was given up and is stored all the same has a span too, which is linked to.
    for it in &from_consumer.handled {
        let origin = from_producer
            .of_step("send")
            .into_iter()
            .find(|span| *span.says("messaging.kafka.message.key") == json!(it.number.to_string()));
        sent.entry(it.place).or_insert_with(|| (it.number, origin.unwrap().clone()));
    }
    assert!(sent.len() >= acknowledged);
    // All that is stored was told of: as sent, or as given up.
    let stored = Stored::sent(&brokers, std::slice::from_ref(&topic));
    Watch::new(stored, traced(&from_producer.spans)).balance(0).await;
    let case = Case { parent: "ambient", ambient: false };
    check_consumer(&from_consumer, &broker, &group, &sent, case);
}

/// What the Java agent's producer writes into headers, and others.
const JAVA: [(&str, &[u8]); 4] = [
    ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ("tracestate", b"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
    ("baggage", b"user=alice%20b,tenant=7;ttl=3"),
    ("note", b"\0\xff"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_that_another_language_began_goes_on() {
    let Some(brokers) = live::address("KAFKA") else { return };
    let (topic, capture) = (topic(&brokers, 1).await, Capture::new());
    let producer: FutureProducer = config(&brokers).create().unwrap();
    let unusable: [(&str, &[u8]); 1] = [("traceparent", b"\xff\xfe")];
    for headers in [&JAVA[..], &unusable, &[]] {
        let headers = headers.iter().fold(OwnedHeaders::new(), |all, (key, value)| {
            all.insert(Header { key, value: Some(*value) })
        });
        let record = FutureRecord::<str, str>::to(&topic).payload("order").headers(headers);
        producer.send(record, PATIENCE).await.unwrap();
    }
    let config = in_group(&brokers, &unique_name());
    let consumer: rdkafka::consumer::StreamConsumer = config.create().unwrap();
    let consumer = StreamConsumer::builder(consumer).config(&config);
    let consumer = consumer.telemetry(&capture.telemetry()).build();
    consumer.subscribe(&[&topic]).unwrap();
    for number in 0..3 {
        let message = soon("a message is there", consumer.recv()).await.unwrap();
        let handler = async |message: &BorrowedMessage<'_>| {
            let context = Context::current();
            let said = |name| context.baggage().get(name).map(ToString::to_string);
            let said = (said("user"), said("tenant"));
            Ok::<_, Infallible>((said, message.headers().map_or(0, Headers::count)))
        };
        let (said, headers) = message.process(handler).await.unwrap();
        let java = number == 0;
        assert_eq!(said, (java.then(|| "alice b".to_owned()), java.then(|| "7".to_owned())));
        assert_eq!(headers, [4, 1, 0][number]);
    }
    let spans = told::spans(&capture);
    let (polls, processes) = (spans.iter().step_by(2), spans[1..].iter().step_by(2));
    let java = ("0af7651916cd43dd8448eb211c80319c".to_owned(), "b7ad6b7169203331".to_owned());
    for (number, (poll, process)) in polls.zip(processes).enumerate() {
        assert_eq!(poll.name, format!("poll {topic}"));
        assert_eq!(
            (process.name.as_str(), &*process.kind),
            (&*format!("process {topic}"), "CONSUMER")
        );
        assert_eq!((poll.parent.as_str(), poll.kind.as_str()), (NOBODY, "CLIENT"));
        if number == 0 {
            assert_eq!(
                (poll.links.as_slice(), process.links.as_slice()),
                (&[java.clone()][..], &[java.clone()][..])
            );
            assert_eq!((&process.trace, &process.parent), (&java.0, &java.1));
            assert!(process.parent_is_remote);
            assert_eq!(process.state, "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE");
        } else {
            assert!(poll.links.is_empty() && process.links.is_empty());
            assert_eq!(process.parent, NOBODY);
        }
    }
    assert_eq!(spans.len(), 6);
    assert_agreement(&spans, &told::points(&capture), |_| false);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_is_what_other_languages_read() {
    let Some(brokers) = live::address("KAFKA") else { return };
    let (topic, capture) = (topic(&brokers, 1).await, Capture::new());
    let config = config(&brokers);
    let producer: FutureProducer = config.create().unwrap();
    let producer = otel_kafka::producer::FutureProducer::builder(producer).config(&config);
    let producer = producer.telemetry(&capture.telemetry()).build();
    let own = OwnedHeaders::new().insert(Header { key: "note", value: Some(b"\0\xff") });
    let record = FutureRecord::<str, str>::to(&topic).payload("order").headers(own);
    let ambient = Context::new().with_baggage([KeyValue::new("user", "alice b")]);
    producer.send(record, PATIENCE).with_context(ambient).await.unwrap();

    let consumer: rdkafka::consumer::StreamConsumer =
        in_group(&brokers, &unique_name()).create().unwrap();
    consumer.subscribe(&[&topic]).unwrap();
    let message = soon("a message is there", consumer.recv()).await.unwrap();
    let headers: BTreeMap<_, _> =
        message.headers().unwrap().iter().map(|it| (it.key, it.value.unwrap())).collect();
    let send = &told::spans(&capture)[0];
    let traceparent = format!("00-{}-{}-01", send.trace, send.id);
    let mut expected = BTreeMap::from([
        ("note", &b"\0\xff"[..]),
        ("traceparent", traceparent.as_bytes()),
        ("baggage", b"user=alice%20b"),
    ]);
    // Empty, if it is there.
    if headers.contains_key("tracestate") {
        expected.insert("tracestate", b"");
    }
    assert_eq!(headers, expected);
    assert_eq!(message.headers().unwrap().count(), headers.len(), "none twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_carries_the_trace_on_and_a_forwarder_leaves_it() {
    let Some(brokers) = live::address("KAFKA") else { return };
    let topics = [topic(&brokers, 1).await, topic(&brokers, 1).await];
    let (capture, groups) = (Capture::new(), [unique_name(), unique_name()]);
    let config = config(&brokers);
    let producer: FutureProducer = config.create().unwrap();
    let producer = otel_kafka::FutureProducer::builder(producer).config(&config);
    let producer = producer.telemetry(&capture.telemetry()).build();
    let consumers = [0, 1].map(|number: usize| {
        let config = in_group(&brokers, &groups[number]);
        let consumer: rdkafka::consumer::StreamConsumer = config.create().unwrap();
        let consumer = StreamConsumer::builder(consumer).config(&config);
        let consumer = consumer.telemetry(&capture.telemetry()).build();
        consumer.subscribe(&[&topics[number]]).unwrap();
        consumer
    });
    let record = FutureRecord::<str, str>::to(&topics[0]).payload("order");
    producer.send(record, PATIENCE).await.unwrap();
    let order = soon("a message is there", consumers[0].recv()).await.unwrap();
    for forwards in [false, true] {
        let relay = async |order: &BorrowedMessage<'_>| {
            let record = FutureRecord::<str, _>::to(&topics[1]).payload(order.payload().unwrap());
            let record = match order.headers().filter(|_| forwards) {
                Some(headers) => record.headers(headers.detach()),
                None => record,
            };
            producer.send(record, PATIENCE).await.map_err(|(error, _)| error)
        };
        order.process(relay).await.unwrap();
        let next = soon("a message is there", consumers[1].recv()).await.unwrap();
        next.process(async |_| Ok::<_, Infallible>(())).await.unwrap();
    }
    let spans = told::spans(&capture);
    let shown = |span: &Span| {
        let name = span.name.replace(&topics[0], "first").replace(&topics[1], "second");
        let by_id = |id: &str| spans.iter().position(|span| span.id == id);
        let links: Vec<_> = span.links.iter().map(|(_, id)| by_id(id).unwrap()).collect();
        assert_eq!(span.error, None);
        (name, span.kind.clone(), by_id(&span.parent), links)
    };
    let expected = [
        ("send first", "PRODUCER", None, vec![]),
        ("poll first", "CLIENT", None, vec![0]),
        ("send second", "PRODUCER", Some(3), vec![]),
        ("process first", "CONSUMER", Some(0), vec![0]),
        ("poll second", "CLIENT", None, vec![2]),
        ("process second", "CONSUMER", Some(2), vec![2]),
        // With the headers of the first message, which it did not make.
        ("send second", "CLIENT", Some(7), vec![0]),
        ("process first", "CONSUMER", Some(0), vec![0]),
        ("poll second", "CLIENT", None, vec![0]),
        ("process second", "CONSUMER", Some(0), vec![0]),
    ];
    let expected = expected
        .map(|(name, kind, parent, links)| (name.to_owned(), kind.to_owned(), parent, links));
    assert_eq!(spans.iter().map(shown).collect::<Vec<_>>(), expected);
    let traces: BTreeSet<_> = spans
        .iter()
        .filter(|span| !span.name.starts_with("poll"))
        .map(|span| &span.trace)
        .collect();
    assert_eq!(traces.len(), 1, "one trace from end to end");
    // A message that is handled again is not counted again.
    assert_agreement(&spans, &told::points(&capture), |_| false);
}
