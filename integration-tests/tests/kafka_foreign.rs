//! Kafka between languages: what we write into messages is what Python's official instrumentations
//! read, and the other way round, in each of the formats.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod kafka_roles;
mod kafka_support;

use std::collections::{BTreeMap, BTreeSet};

use integration_tests::foreign::{Heard, Outgoing, Task, play};
use integration_tests::roles::{All, Case};
use integration_tests::told::{NOBODY, Process, Role, Span, Told, order_in_baggage};
use integration_tests::{eventually, unique_name};
use native::Foreign;
use otel_testing::live;

use crate::kafka_roles::{Broker, check_consumer, check_producer};
use crate::kafka_support::{cluster, topic};

const PROGRAM: &str = env!("CARGO_BIN_EXE_kafka_role");
/// More than `kafka_role` sends at a time.
const MESSAGES: u64 = 50;

/// `OTEL_PROPAGATORS` of both sides. Baggage is a format of its own.
const FORMATS: [&str; 3] = ["tracecontext,baggage", "b3,baggage", "b3multi,baggage"];

/// Of what is sent in the format `b3`, the state of the trace stays behind.
fn carried(format: &str, mut span: Span) -> Span {
    if format.starts_with("b3") {
        span.state.clear();
    }
    span
}

/// What `kafka_role` sends in, and then Python too: trace and span.
fn origin(number: u64) -> (String, String) {
    (format!("{number:016x}{:016x}", 0xabc), format!("{number:016x}"))
}

/// Of a message with this span, as the formats have it: baggage is escaped, in UTF-8.
fn headers(format: &str, number: u64, (trace, id): &(String, String)) -> BTreeMap<String, String> {
    let texts: Vec<(&str, String)> = match format.split_once(',').unwrap().0 {
        "tracecontext" => vec![
            ("traceparent", format!("00-{trace}-{id}-01")),
            ("tracestate", format!("shop={number}")),
        ],
        "b3" => vec![("b3", format!("{trace}-{id}-1"))],
        _ => vec![
            ("x-b3-traceid", trace.clone()),
            ("x-b3-spanid", id.clone()),
            ("x-b3-sampled", "1".to_owned()),
        ],
    };
    let baggage = [("baggage", format!("order=n%C2%B0{number}%3B%3D%2C"))];
    texts.into_iter().chain(baggage).map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Sends with ours, receives with theirs, and checks what the messages carried. The topic, the spans
/// of sending as the messages carry them, by place, and what theirs told.
async fn from_us_to(
    client: &'static Foreign,
    brokers: &str,
    format: &str,
) -> Option<(String, BTreeMap<(i32, i64), Span>, Heard)> {
    let topic = topic(brokers, 3).await;
    let (to, count, address) = (topic.clone(), Some(MESSAGES), brokers.to_owned());
    let role = Role::Produce { brokers: address.clone(), topic: to, count, timeout: 30_000 };
    let producer = Process::start_with(PROGRAM, &role, format);
    let is_sent = |line: &Told| matches!(line, Told::Sent { result: Ok(_), .. });
    eventually("all are sent", async || producer.count(is_sent) as u64 == MESSAGES).await;
    let from_producer = All::from(producer.finish().await);
    let broker = Broker { address: brokers, topic: &topic, cluster: cluster(brokers) };
    let sent = check_producer(&from_producer, &broker);

    let (destination, group) = (topic.clone(), unique_name());
    let task = Task::Consume { address, destination, group, count: MESSAGES };
    let heard = play(client, &task, format).await?;
    let mut seen = BTreeMap::new();
    for message in &heard.messages {
        let number: u64 = message.body.parse().unwrap();
        assert!(seen.insert(number, message).is_none(), "{number} came twice");
    }
    assert_eq!(seen.len(), sent.len());
    for (number, span) in sent.values() {
        let message = seen[number];
        let all: BTreeMap<_, _> = message.headers.iter().cloned().collect();
        assert_eq!(all, headers(format, *number, &span.identity()));
        assert_eq!(message.headers.len(), all.len(), "none twice");
        // And what their propagators make of it.
        let span = carried(format, span.clone());
        let theirs = (&message.trace, &message.span, &message.state);
        assert_eq!(theirs, (&span.trace, &span.id, &span.state));
        let baggage = BTreeMap::from([("order".to_owned(), order_in_baggage(*number))]);
        assert_eq!(message.baggage, baggage);
    }
    let sent = sent.into_iter().map(|(place, (_, span))| (place, carried(format, span)));
    Some((topic, sent.collect(), heard))
}

#[tokio::test(flavor = "multi_thread")]
async fn confluent_kafka_links_to_what_we_send() {
    let Some(brokers) = live::address("KAFKA") else { return };
    for format in FORMATS {
        let client = Foreign::confluent_kafka();
        let Some((topic, sent, heard)) = from_us_to(client, &brokers, format).await else { return };
        let (processes, receives): (Vec<_>, Vec<_>) =
            heard.spans.iter().partition(|span| span.name == format!("{topic} process"));
        let receives: BTreeMap<_, _> = receives.into_iter().map(|it| (&it.id, it)).collect();
        assert_eq!((processes.len(), receives.len()), (sent.len(), sent.len()));
        let mut seen = BTreeMap::new();
        for process in processes {
            // Topic, partition, offset.
            let id = process.says("messaging.message.id").as_str().unwrap();
            seen.insert(id, process);
            assert_eq!(process.kind, "CONSUMER");
            let receive = receives[&process.parent];
            assert_eq!((&*receive.name, &*receive.parent), ("recv", NOBODY));
            assert_eq!(receive.trace, process.trace);
        }
        for ((partition, offset), span) in &sent {
            let process = seen[&*format!("{topic}.{partition}.{offset}")];
            assert_eq!(process.links, [span.identity()], "{format}");
            assert_ne!(process.trace, span.trace);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_python_goes_on_below_what_we_send() {
    let Some(brokers) = live::address("KAFKA") else { return };
    for format in FORMATS {
        let client = Foreign::kafka_python();
        let Some((topic, sent, heard)) = from_us_to(client, &brokers, format).await else { return };
        let mut theirs: Vec<_> = heard.spans.iter().collect();
        let mut ours: Vec<_> = sent.values().collect();
        theirs.sort_by_key(|span| &span.trace);
        ours.sort_by_key(|span| &span.trace);
        assert_eq!(theirs.len(), ours.len());
        for (theirs, ours) in theirs.into_iter().zip(ours) {
            assert_eq!((&theirs.trace, &theirs.parent), (&ours.trace, &ours.id), "{format}");
            assert!(theirs.parent_is_remote);
            assert_eq!(theirs.state, ours.state);
            assert_eq!(theirs.name, format!("{topic} receive"));
            assert_eq!((&*theirs.kind, &*theirs.links), ("CONSUMER", &[][..]));
        }
    }
}

/// Sends with theirs, receives with ours, below the message and with a link to it.
async fn to_us_from(client: &'static Foreign) {
    let Some(brokers) = live::address("KAFKA") else { return };
    for format in FORMATS {
        let topic = topic(&brokers, 3).await;
        let messages = (1..=MESSAGES).map(|number| Outgoing {
            body: number.to_string(),
            context: headers(FORMATS[0], number, &origin(number)),
        });
        let (address, destination) = (brokers.clone(), topic.clone());
        let task = Task::Produce { address, destination, messages: messages.collect() };
        let Some(heard) = play(client, &task, format).await else { return };
        assert_eq!(heard.spans.len() as u64, MESSAGES);
        let mut sends = BTreeMap::new();
        for (number, send) in (1..).zip(heard.spans) {
            assert_eq!((send.trace.clone(), send.parent.clone()), origin(number));
            assert_eq!((&*send.state, &*send.kind), (&*format!("shop={number}"), "PRODUCER"));
            sends.insert(number, carried(format, send));
        }

        let broker = Broker { address: &brokers, topic: &topic, cluster: cluster(&brokers) };
        let cases = [("message", true), ("link", false)].map(|(parent, ambient)| {
            let (brokers, topic, group) = (brokers.clone(), topic.clone(), unique_name());
            let (in_group, name) = (group.clone(), parent.to_owned());
            let role = Role::Consume { brokers, topic, group: in_group, parent: name, ambient };
            let consumer = Process::start_with(PROGRAM, &role, format);
            (Case { parent, ambient }, group, consumer)
        });
        for (case, group, consumer) in cases {
            let is_handled = |line: &Told| matches!(line, Told::Handled(_));
            eventually("all are handled", async || consumer.count(is_handled) as u64 >= MESSAGES)
                .await;
            let all = All::from(consumer.finish().await);
            // Where it lies, theirs did not tell.
            let sent = all
                .handled
                .iter()
                .map(|handled| (handled.place, (handled.number, sends[&handled.number].clone())));
            let sent: BTreeMap<_, _> = sent.collect();
            let numbers: BTreeSet<u64> = sent.values().map(|(number, _)| *number).collect();
            assert_eq!(numbers, (1..=MESSAGES).collect());
            check_consumer(&all, &broker, &group, &sent, case);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_confluent_kafka_sends_goes_on_with_us() {
    to_us_from(Foreign::confluent_kafka()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kafka_python_sends_goes_on_with_us() {
    to_us_from(Foreign::kafka_python()).await;
}
