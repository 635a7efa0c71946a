//! What holds for all that a producer and its consumers have told.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]
#![allow(unreachable_pub, reason = "the test is its only user")]

use std::collections::{BTreeMap, BTreeSet};

use integration_tests::otlp::Attributes;
use integration_tests::told::{
    Handled, NOBODY, Point, Span, Told, assert_agreement, order_in_baggage,
};
use serde_json::{Value, json};

use crate::kafka_support::host_and_port;

/// What a process told, by its kind.
#[derive(Debug, Default)]
pub struct All {
    pub sent: BTreeMap<u64, Result<(i32, i64), String>>,
    pub errors: Vec<String>,
    pub handled: Vec<Handled>,
    pub spans: Vec<Span>,
    pub points: Vec<Point>,
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
    pub fn of_step(&self, step: &str) -> Vec<&Span> {
        let is = |span: &&Span| *span.says("messaging.operation.type") == json!(step);
        self.spans.iter().filter(is).collect()
    }

    /// The spans of a step by the place of their message. No two may have the same.
    pub fn by_place(&self, step: &str) -> BTreeMap<(i32, i64), &Span> {
        let mut places = BTreeMap::new();
        for span in self.of_step(step) {
            if *span.says("messaging.kafka.offset") != Value::Null {
                assert!(places.insert(place(span), span).is_none(), "twice: {span:?}");
            }
        }
        places
    }
}

pub fn place(span: &Span) -> (i32, i64) {
    let partition = span.says("messaging.destination.partition.id").as_str().unwrap();
    (partition.parse().unwrap(), span.says("messaging.kafka.offset").as_i64().unwrap())
}

/// What the spans of both sides say.
pub struct Broker<'b> {
    pub address: &'b str,
    pub topic: &'b str,
    pub cluster: String,
}

impl Broker<'_> {
    /// Of a step by its client's word for it.
    pub fn attributes(&self, step: &str, operation: &str, client: &str) -> Attributes {
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
pub fn of_message(
    attributes: Attributes,
    number: u64,
    (partition, offset): (i32, i64),
) -> Attributes {
    let own = json!({
        "messaging.destination.partition.id": partition.to_string(),
        "messaging.kafka.offset": offset,
        "messaging.kafka.message.key": number.to_string(),
    });
    attributes.into_iter().chain(serde_json::from_value::<Attributes>(own).unwrap()).collect()
}

/// The cluster is told as soon as it is known, which need not be at the first message.
pub fn assert_attributes(span: &Span, mut expected: Attributes) {
    if !span.attributes.contains_key("messaging.kafka.cluster.id") {
        expected.remove("messaging.kafka.cluster.id");
    }
    assert_eq!(span.attributes, expected, "{span:?}");
}

/// The spans of those messages that were sent, by their place.
pub fn check_producer(all: &All, broker: &Broker<'_>) -> BTreeMap<(i32, i64), (u64, Span)> {
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
pub fn error_type(code: &str) -> &'static str {
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
pub struct Case {
    pub parent: &'static str,
    pub ambient: bool,
}

/// What holds for each message that was received, however often.
pub fn check_consumer(
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
        assert_eq!(
            handled.baggage,
            BTreeMap::from([("order".to_owned(), order_in_baggage(*number))])
        );
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
            assert_eq!(process.state, origin.state);
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
