//! Right telemetry, for the tests of the files in this folder.

use std::fs;

use serde_json::{Value, json};

use super::check::Rules;
use super::conventions::Conventions;
use super::emitted::{Attributes, Emitted, Link, Origin, Point, Span, Status};
use super::facts::Facts;
use super::{findings, is_new};

pub(super) const DATA: &str = include_str!("../../conventions.toml");

pub(super) const FACTS: &str = r#"
chance = ["races"]
[absent]
"db.client.connection.count" = "no pool"
[span_only]
poll = "waits are not measured"
[when]
"messaging.kafka.cluster.id" = "once known"
[added.spans.acquire]
kind = "internal"
why = "the wait for a connection"
[added.metrics."queue.length"]
instrument = "gauge"
unit = "{message}"
attributes = ["client-id"]
why = "Java has it"
[added.values]
"messaging.system" = ["nats"]
[grows]
client-id = "clients"
"#;

pub(super) fn conventions() -> Conventions {
    Conventions::parse(DATA).unwrap()
}

pub(super) fn attributes(all: &Value) -> Attributes {
    all.as_object().unwrap().clone().into_iter().collect()
}

pub(super) fn origin(test: &str) -> Origin {
    Origin { suite: "suite".into(), test: test.into(), capture: format!("file {test}") }
}

pub(super) fn query() -> Span {
    Span {
        origin: origin("query"),
        id: ("1".into(), "1".into()),
        name: "SELECT users".into(),
        kind: "client".into(),
        attributes: attributes(&json!({
            "db.system.name": "postgresql", "db.namespace": "shop", "server.address": "localhost",
            "server.port": 5433, "db.query.summary": "SELECT users", "db.query.text": "SELECT 1",
        })),
        ..Span::default()
    }
}

pub(super) fn failed_query() -> Span {
    let mut span = query();
    span.status = Status::Error(String::new());
    span.attributes.extend(attributes(&json!({
        "error.type": "23505", "db.response.status_code": "23505",
    })));
    span
}

pub(super) fn find() -> Span {
    let mut span = failed_query();
    span.name = "find users".into();
    span.attributes = attributes(&json!({
        "db.system.name": "mongodb", "db.operation.name": "find", "db.collection.name": "users",
        "error.type": "11000", "db.response.status_code": "11000",
    }));
    span
}

pub(super) fn acquire() -> Span {
    let mut span = query();
    (span.name, span.kind) = ("acquire shop".into(), "internal".into());
    span.attributes.retain(|name, _| !name.starts_with("db.query"));
    span.attributes.insert("db.operation.name".into(), "acquire".into());
    span
}

pub(super) fn send() -> Span {
    Span {
        origin: origin("send"),
        id: ("2".into(), "2".into()),
        name: "send orders".into(),
        kind: "producer".into(),
        attributes: attributes(&json!({
            "messaging.system": "kafka", "messaging.operation.name": "send",
            "messaging.operation.type": "send", "messaging.destination.name": "orders",
            "messaging.destination.partition.id": "0", "messaging.kafka.offset": 7,
            "messaging.kafka.message.tombstone": true, "messaging.kafka.cluster.id": "c",
            "server.address": "localhost", "server.port": 9092,
        })),
        ..Span::default()
    }
}

pub(super) fn process() -> Span {
    let mut span = send();
    (span.name, span.kind) = ("process orders".into(), "consumer".into());
    (span.origin, span.id) = (origin("process"), ("4".into(), "4".into()));
    for (name, value) in [("name", "process"), ("type", "process")] {
        span.attributes.insert(format!("messaging.operation.{name}"), value.into());
    }
    let to = ("2".to_owned(), "2".to_owned());
    let on_link = attributes(&json!({"messaging.kafka.offset": 7}));
    span.links = vec![Link { to, attributes: on_link }];
    span
}

pub(super) fn poll() -> Span {
    let mut span = send();
    (span.name, span.kind) = ("poll orders".into(), "client".into());
    (span.origin, span.id) = (origin("poll"), ("5".into(), "5".into()));
    for (name, value) in [("name", "poll"), ("type", "receive")] {
        span.attributes.insert(format!("messaging.operation.{name}"), value.into());
    }
    span
}

/// A message of a system that has no page.
pub(super) fn publish() -> Span {
    let mut span = send();
    (span.name, span.id) = ("publish orders".into(), ("3".into(), "3".into()));
    span.attributes.insert("messaging.system".into(), "nats".into());
    span.attributes.insert("messaging.operation.name".into(), "publish".into());
    span.attributes.retain(|name, _| !name.starts_with("messaging.kafka"));
    span
}

/// The measurement of calls like this one.
pub(super) fn duration(span: &Span, metric: &str, count: u64) -> Point {
    let (conventions, mut attributes) = (conventions(), span.attributes.clone());
    let MetricFacts { bounds, names } = metric_facts(&conventions, metric);
    attributes.retain(|name, _| names.contains(name) && name != "db.query.text");
    Point {
        origin: span.origin.clone(),
        metric: metric.into(),
        instrument: "histogram".into(),
        unit: "s".into(),
        bounds,
        attributes,
        count,
        is_last: true,
    }
}

/// Of one message.
pub(super) fn sent(span: &Span) -> Point {
    let point = duration(span, "messaging.client.sent.messages", 1);
    Point { instrument: "counter".into(), unit: "{message}".into(), ..point }
}

struct MetricFacts {
    bounds: Vec<f64>,
    names: Vec<String>,
}

fn metric_facts(conventions: &Conventions, metric: &str) -> MetricFacts {
    let metric = &conventions.metrics[metric];
    MetricFacts {
        bounds: metric.buckets.clone(),
        names: metric.attributes.keys().cloned().collect(),
    }
}

pub(super) fn db_duration() -> Point {
    duration(&query(), "db.client.operation.duration", 1)
}

pub(super) fn gauge() -> Point {
    Point {
        origin: origin("gauge"),
        metric: "queue.length".into(),
        instrument: "gauge".into(),
        unit: "{message}".into(),
        attributes: attributes(&json!({"client-id": "shop"})),
        ..Point::default()
    }
}

pub(super) fn right() -> Emitted {
    Emitted {
        spans: vec![query(), acquire(), send(), process(), poll(), publish()],
        points: vec![
            db_duration(),
            duration(&send(), "messaging.client.operation.duration", 1),
            duration(&publish(), "messaging.client.operation.duration", 1),
            sent(&send()),
            sent(&publish()),
            duration(&process(), "messaging.process.duration", 1),
            gauge(),
        ],
    }
}

pub(super) fn found(emitted: &Emitted) -> Vec<String> {
    let (conventions, facts) = (conventions(), Facts::parse(FACTS).unwrap());
    let rules = Rules { conventions: &conventions, facts: &facts };
    findings(rules, emitted).into_keys().collect()
}

#[test]
fn a_page_that_differs_is_told_and_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("TELEMETRY.md");
    assert!(is_new(&path, "a\n", true).unwrap());
    assert!(!path.exists());
    assert!(is_new(&path, "a\n", false).unwrap());
    assert!(!is_new(&path, "a\n", true).unwrap());
    assert!(is_new(&path, "a\nb\n", true).unwrap());
    assert_eq!(fs::read_to_string(path).unwrap(), "a\n");
}
