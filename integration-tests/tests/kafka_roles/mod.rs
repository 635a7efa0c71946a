//! What holds for all that a producer and its consumers have told.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]
#![allow(unreachable_pub, reason = "the test is its only user")]

use std::collections::{BTreeMap, BTreeSet};

use integration_tests::otlp::Attributes;
use integration_tests::roles::{All, Case, Place, assert_handled, assert_ordered};
use integration_tests::told::{NOBODY, Span, assert_agreement};
use serde_json::json;

use crate::kafka_support::host_and_port;

/// Where the message of a span lies; a commit has none.
pub fn place(span: &Span) -> Option<Place> {
    let offset = span.says("messaging.kafka.offset").as_i64()?;
    let partition = span.says("messaging.destination.partition.id").as_str()?;
    Some((partition.parse().ok()?, offset))
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
        assert_ordered(span, number);
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

/// What holds for each message that was received, however often.
pub fn check_consumer(
    all: &All,
    broker: &Broker<'_>,
    group: &str,
    sent: &BTreeMap<(i32, i64), (u64, Span)>,
    case: Case,
) {
    let attributes = |step, operation| {
        let mut all = broker.attributes(step, operation, "role-consumer");
        all.insert("messaging.consumer.group.name".to_owned(), group.into());
        all
    };
    let receives = all.by_place("receive", place);
    let processes = all.by_place("process", place);
    assert_eq!(receives.len(), processes.len());
    let of_application = assert_handled(all, &processes, sent, case);

    for (place, process) in &processes {
        let ((number, origin), receive) = (&sent[place], receives[place]);
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
        if let Some(error) = process.attributes.get("error.type") {
            expected.insert("error.type".to_owned(), error.clone());
        }
        assert_attributes(process, expected);
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

    let spans = receives.len() + failures.len() + processes.len() + of_application + 1;
    assert_eq!(all.spans.len(), spans, "and no other");
    assert_agreement(&all.spans, &all.points, |_| false);
}
