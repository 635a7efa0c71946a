//! Kafka between processes: what one sends is handled by others, each message in its own trace, and
//! nothing is lost with a broker that is killed.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod kafka_support;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use integration_tests::otlp::Attributes;
use integration_tests::told::{
    self, Handled, NOBODY, Point, Process, Role, Span, Told, assert_agreement,
};
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
use serde_json::{Value, json};
use tokio::task::block_in_place;

use crate::kafka_support::{PATIENCE, cluster, config, host_and_port, in_group, topic};

const PROGRAM: &str = env!("CARGO_BIN_EXE_kafka_role");
const MESSAGES: usize = 1000;

/// What a process told, by its kind.
#[derive(Debug, Default)]
struct All {
    sent: BTreeMap<u64, Result<(i32, i64), String>>,
    errors: Vec<String>,
    handled: Vec<Handled>,
    spans: Vec<Span>,
    points: Vec<Point>,
}

impl From<Vec<Told>> for All {
    fn from(told: Vec<Told>) -> Self {
        let mut all = Self::default();
        for line in told {
            match line {
                Told::Sent { number, result } => {
                    assert!(all.sent.insert(number, result).is_none(), "{number} was sent twice");
                }
                Told::NotReceived(error) => all.errors.push(error),
                Told::Handled(handled) => all.handled.push(handled),
                Told::Span(span) => all.spans.push(span),
                Told::Point(point) => all.points.push(point),
            }
        }
        all
    }
}

impl All {
    fn of_step(&self, step: &str) -> Vec<&Span> {
        let is = |span: &&Span| *span.says("messaging.operation.type") == json!(step);
        self.spans.iter().filter(is).collect()
    }

    /// The spans of a step by the place of their message. No two may have the same.
    fn by_place(&self, step: &str) -> BTreeMap<(i32, i64), &Span> {
        let mut places = BTreeMap::new();
        for span in self.of_step(step) {
            if *span.says("messaging.kafka.offset") != Value::Null {
                assert!(places.insert(place(span), span).is_none(), "twice: {span:?}");
            }
        }
        places
    }
}

fn place(span: &Span) -> (i32, i64) {
    let partition = span.says("messaging.destination.partition.id").as_str().unwrap();
    (partition.parse().unwrap(), span.says("messaging.kafka.offset").as_i64().unwrap())
}

/// What the spans of both sides say.
struct Broker<'b> {
    address: &'b str,
    topic: &'b str,
    cluster: String,
}

impl Broker<'_> {
    /// Of a step by its client's word for it.
    fn attributes(&self, step: &str, operation: &str, client: &str) -> Attributes {
        let (host, port) = host_and_port(self.address);
        let all = json!({
            "messaging.system": "kafka",
            "messaging.operation.name": operation,
            "messaging.operation.type": step,
            "messaging.destination.name": self.topic,
            "messaging.client.id": client,
            "messaging.kafka.cluster.id": self.cluster,
            "server.address": host,
            "server.port": port,
        });
        serde_json::from_value(all).unwrap()
    }
}

/// The same for one message of one partition.
fn of_message(attributes: Attributes, number: u64, (partition, offset): (i32, i64)) -> Attributes {
    let own = json!({
        "messaging.destination.partition.id": partition.to_string(),
        "messaging.kafka.offset": offset,
        "messaging.kafka.message.key": number.to_string(),
    });
    attributes.into_iter().chain(serde_json::from_value::<Attributes>(own).unwrap()).collect()
}

/// The cluster is told as soon as it is known, which need not be at the first message.
fn assert_attributes(span: &Span, mut expected: Attributes) {
    if !span.attributes.contains_key("messaging.kafka.cluster.id") {
        expected.remove("messaging.kafka.cluster.id");
    }
    assert_eq!(span.attributes, expected, "{span:?}");
}

/// The spans of those messages that were sent, by their place.
fn check_producer(all: &All, broker: &Broker<'_>) -> BTreeMap<(i32, i64), (u64, Span)> {
    let sends = all.of_step("send");
    assert_eq!(sends.len(), all.sent.len(), "one span for each message");
    assert_eq!(all.spans.len(), sends.len(), "and no other");
    let mut places = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for span in sends {
        let key = span.says("messaging.kafka.message.key").as_str().unwrap();
        let number: u64 = key.parse().unwrap();
        assert!(seen.insert(number), "{number} has two spans");
        assert_eq!(
            (span.name.as_str(), span.kind.as_str()),
            (&*format!("send {}", broker.topic), "PRODUCER")
        );
        assert_eq!(span.trace, format!("{number:016x}{:016x}", 0xabc));
        assert_eq!(
            (span.parent.as_str(), span.parent_is_remote),
            (&*format!("{number:016x}"), true)
        );
        assert_eq!(span.state, format!("shop={number}"));
        assert!(span.links.is_empty(), "{span:?}");
        let attributes = broker.attributes("send", "send", "role-producer");
        match &all.sent[&number] {
            Ok(place) => {
                assert_attributes(span, of_message(attributes, number, *place));
                assert_eq!(span.error, None);
                places.insert(*place, (number, span.clone()));
            }
            Err(code) => {
                let mut expected = of_message(attributes, number, (0, 0));
                expected.remove("messaging.kafka.offset");
                // One that was given up before the client knew of partitions has none.
                if !span.attributes.contains_key("messaging.destination.partition.id") {
                    expected.remove("messaging.destination.partition.id");
                }
                expected.insert("error.type".to_owned(), error_type(code).into());
                assert_attributes(span, expected);
                assert_eq!(span.error.as_deref(), Some(""));
            }
        }
    }
    let told = |span: &Span| span.attributes.contains_key("messaging.kafka.cluster.id");
    assert!(all.spans.iter().any(told), "the cluster was never told");
    assert_agreement(&all.spans, &all.points, |_| false);
    places
}

/// librdkafka's name of a code (`rd_kafka_err2name`), by the name of rdkafka's variant.
fn error_type(code: &str) -> &'static str {
    match code {
        "AllBrokersDown" => "_ALL_BROKERS_DOWN",
        "BrokerTransportFailure" => "_TRANSPORT",
        "MessageTimedOut" => "_MSG_TIMED_OUT",
        "Resolve" => "_RESOLVE",
        code => panic!("not expected: {code}"),
    }
}

/// One group of consumers.
#[derive(Clone, Copy)]
struct Case {
    parent: &'static str,
    ambient: bool,
}

/// What holds for each message that was received, however often.
fn check_consumer(
    all: &All,
    broker: &Broker<'_>,
    group: &str,
    sent: &BTreeMap<(i32, i64), (u64, Span)>,
    case: Case,
) {
    let Case { parent, ambient } = case;
    let attributes = |step, operation| {
        let mut all = broker.attributes(step, operation, "role-consumer");
        all.insert("messaging.consumer.group.name".to_owned(), group.into());
        all
    };
    let known: BTreeMap<&str, &Span> = all.spans.iter().map(|it| (it.id.as_str(), it)).collect();
    assert_eq!(known.len(), all.spans.len(), "ids are unique");
    let receives = all.by_place("receive");
    let processes = all.by_place("process");
    assert_eq!(receives.len(), processes.len());
    assert_eq!(all.of_step("process").len(), processes.len());
    let handled: BTreeMap<_, _> = all.handled.iter().map(|it| (it.place, it)).collect();
    assert_eq!(handled.len(), all.handled.len(), "none was handled twice");
    assert_eq!(handled.keys().collect::<Vec<_>>(), processes.keys().collect::<Vec<_>>());

    for (place, process) in &processes {
        let (number, origin) = &sent[place];
        let (handled, receive) = (handled[place], receives[place]);
        assert_eq!(handled.number, *number);
        assert!(handled.steady, "the context changed below a handler: {handled:?}");
        assert_eq!(handled.baggage, BTreeMap::from([("order".to_owned(), number.to_string())]));
        assert_eq!((&handled.trace, &handled.span), (&process.trace, &process.id));

        assert_eq!(
            (receive.name.as_str(), receive.kind.as_str()),
            (&*format!("poll {}", broker.topic), "CLIENT")
        );
        assert_eq!((receive.parent.as_str(), &receive.error), (NOBODY, &None));
        assert_eq!(receive.links, [origin.identity()]);
        assert_attributes(receive, of_message(attributes("receive", "poll"), *number, *place));

        assert_eq!(
            (process.name.as_str(), process.kind.as_str()),
            (&*format!("process {}", broker.topic), "CONSUMER")
        );
        let mut expected = of_message(attributes("process", "process"), *number, *place);
        let failed = number % 10 == 3;
        assert_eq!((handled.failed, process.error.is_some()), (failed, failed));
        if failed {
            expected.insert("error.type".to_owned(), "kafka_role::Unwanted".into());
            // What it says is not told.
            assert_eq!(process.error.as_deref(), Some(""));
        }
        assert_attributes(process, expected);

        // Where the application had a span, that is of another trace.
        let worker = known.get(process.parent.as_str()).copied();
        let below_message = match parent {
            "ambient" => !ambient,
            parent => parent == "message",
        };
        if below_message {
            assert_eq!((&process.trace, &process.parent), (&origin.trace, &origin.id));
            assert!(process.parent_is_remote);
            assert_eq!(process.state, format!("shop={number}"));
        } else if ambient {
            let worker = worker.unwrap();
            assert_eq!((worker.name.as_str(), &worker.trace), ("worker", &process.trace));
        } else {
            assert_eq!(process.parent, NOBODY);
            assert_ne!(process.trace, origin.trace);
        }
        assert_eq!(handled.state, process.state);
        assert_eq!(process.links.first(), Some(&origin.identity()));
        let beside = process.links.get(1).map(|link| known[link.1.as_str()].name.as_str());
        assert_eq!(beside, (below_message && ambient).then_some("worker"));
        assert!(process.links.len() <= 2);

        let ships = all.spans.iter().filter(|span| span.name == format!("ship {number}"));
        let ships: Vec<_> = ships.map(|ship| (&ship.trace, &ship.parent)).collect();
        assert_eq!(ships, [(&process.trace, &process.id)]);
    }
    let workers: Vec<_> = all.spans.iter().filter(|span| span.name == "worker").collect();
    assert_eq!(workers.len(), if ambient { processes.len() } else { 0 });
    let parents: BTreeSet<_> = processes.values().map(|it| it.parent.as_str()).collect();
    if ambient && parent == "ambient" {
        assert_eq!(parents.len(), workers.len(), "each worker has a message of its own");
    }

    // What was received but no message.
    let failures: Vec<_> =
        all.of_step("receive").into_iter().filter(|it| it.error.is_some()).collect();
    let mut told: Vec<_> =
        failures.iter().map(|it| it.says("error.type").as_str().unwrap()).collect();
    let mut expected: Vec<_> = all.errors.iter().map(|code| error_type(code)).collect();
    told.sort_unstable();
    expected.sort_unstable();
    assert_eq!(told, expected);

    // The commit at the end covers the last of the messages.
    let settles = all.of_step("settle");
    assert_eq!(settles.len(), 1);
    assert_eq!((settles[0].parent.as_str(), &settles[0].error), (NOBODY, &None));
    let links: BTreeSet<_> = settles[0].links.iter().collect();
    assert_eq!(links.len(), processes.len().min(128));
    let sends: BTreeSet<_> = sent.values().map(|(_, send)| send.identity()).collect();
    assert!(links.into_iter().all(|link| sends.contains(link)));

    let spans = receives.len() + failures.len() + 2 * processes.len() + workers.len() + 1;
    assert_eq!(all.spans.len(), spans, "and no other");
    assert_agreement(&all.spans, &all.points, |_| false);
}

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
    for (case, group, consumer) in consumers {
        eventually("all are handled", async || consumer.count(is_handled) >= MESSAGES).await;
        let from_consumer = All::from(consumer.finish().await);
        assert_eq!(from_consumer.handled.len(), MESSAGES);
        check_consumer(&from_consumer, &broker, &group, &sent, case);
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
