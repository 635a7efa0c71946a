//! The checker is seen to fail on each kind of wrong telemetry.

use serde_json::{Value, json};

use crate::docs::check::Rules;
use crate::docs::emitted::{Attributes, Emitted, Point, Span, Status};
use crate::docs::facts::Facts;
use crate::docs::tests::{
    acquire, attributes, conventions, db_duration, failed_query, find, found, gauge, poll, process,
    publish, query, right, send,
};

#[test]
fn what_is_right_is_not_found() {
    assert_eq!(found(&right()), [""; 0]);
    let others = Emitted { spans: vec![failed_query(), find()], points: Vec::new() };
    assert_eq!(found(&others), [""; 0]);
}

#[test]
fn what_an_adapter_has_a_word_for_is_not_found() {
    let conventions = conventions();
    let mut ping = find();
    ping.name = "ping".into();
    ping.attributes.insert("db.operation.name".into(), "ping".into());
    ping.attributes.insert("db.response.returned_rows".into(), 7.into());
    ping.attributes.remove("db.collection.name").unwrap();
    let told = |facts: &str| {
        let facts = Facts::parse(facts).unwrap();
        Rules { conventions: &conventions, facts: &facts }.span(&ping)
    };
    let missing = "db.collection.name is missing";
    let added = "has db.response.returned_rows, which is no attribute of db.mongodb.client";
    assert_eq!(told(""), [added, missing]);
    let words = "[added]\nattributes = [\"db.response.returned_rows\"]\n";
    assert_eq!(told(words), [missing]);
    assert_eq!(told("[when]\n\"db.collection.name\" = \"where there is one\""), [added]);
}

/// What is right, what is done to it, and what is said of it then.
type Case<T> = (fn() -> T, fn(&mut T), &'static str);

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn each_kind_of_wrong_span_is_found() {
    fn put(span: &mut Span, name: &str, value: impl Into<Value>) {
        span.attributes.insert(name.into(), value.into());
    }
    fn take(span: &mut Span, name: &str) {
        span.attributes.remove(name).unwrap();
    }
    let cases: &[Case<Span>] = &[
        // Names.
        (
            query,
            |it| put(it, "db.table", "users"),
            "has db.table, which is no attribute of the conventions",
        ),
        (query, |it| put(it, "db.statement", ""), "has db.statement, which is db.query.text now"),
        (
            query,
            |it| put(it, "messaging.client.id", ""),
            "has messaging.client.id, which is no attribute of db.postgresql.client",
        ),
        (
            query,
            |it| put(it, "network.peer.address", ""),
            "has network.peer.address, which is no attribute of db.postgresql.client",
        ),
        (
            process,
            |it| it.links[0].attributes = attributes(&json!({"number": 1})),
            "has number, which is no attribute of the conventions",
        ),
        (query, |it| it.name = "users".into(), "is not named {db.query.summary}"),
        (
            send,
            |it| it.name = "orders send".into(),
            "is not named {messaging.operation.name} {messaging.destination.name}",
        ),
        (
            send,
            |it| put(it, "messaging.destination.template", "o"),
            "is not named {messaging.operation.name} {messaging.destination.template}",
        ),
        // Types and values.
        (query, |it| put(it, "server.port", "5433"), "has server.port of the type string, not int"),
        (
            query,
            |it| put(it, "db.query.text", json!(["a", "b"])),
            "has db.query.text of the type string[], not string",
        ),
        (
            query,
            |it| put(it, "db.operation.batch.size", 2.0),
            "has db.operation.batch.size of the type double, not int",
        ),
        (
            send,
            |it| put(it, "messaging.system", "Kafka"),
            "has messaging.system = \"Kafka\", which is none of its values",
        ),
        (
            query,
            |it| put(it, "db.system.name", "postgres"),
            "has db.system.name = \"postgres\", which is none of its values",
        ),
        (
            send,
            |it| put(it, "messaging.operation.type", "publish"),
            "is of no type that the conventions know",
        ),
        // Kinds.
        (query, |it| it.kind = "server".into(), "has the kind server, not client"),
        (query, |it| it.kind = "internal".into(), "has the kind internal, not client"),
        (acquire, |it| it.kind = "client".into(), "has the kind client, not internal"),
        (send, |it| it.kind = "consumer".into(), "has the kind consumer, not client"),
        (process, |it| it.kind = "client".into(), "has the kind client, not consumer"),
        // Required, and under which condition.
        (query, |it| take(it, "db.system.name"), "is of no type that the conventions know"),
        (
            send,
            |it| take(it, "messaging.operation.type"),
            "is of no type that the conventions know",
        ),
        (send, |it| take(it, "messaging.operation.name"), "messaging.operation.name is missing"),
        (find, |it| take(it, "db.collection.name"), "db.collection.name is missing"),
        (failed_query, |it| take(it, "error.type"), "error.type is missing, and it failed"),
        (query, |it| put(it, "error.type", "x"), "error.type is there, and it did not fail"),
        (failed_query, |it| it.status = Status::Unset, "error.type is there, and it did not fail"),
        (
            failed_query,
            |it| put(it, "error.type", "Database"),
            "has a status code that is not its error.type",
        ),
        (
            find,
            |it| {
                it.status = Status::Unset;
                take(it, "error.type");
            },
            "db.response.status_code is there, and it did not fail",
        ),
        (
            failed_query,
            |it| it.status = Status::Error("23505".into()),
            "repeats error.type in the status",
        ),
        (query, |it| it.status = Status::Ok, "has the status Ok"),
        (query, |it| take(it, "server.address"), "server.port is there without server.address"),
        (
            send,
            |it| put(it, "network.peer.port", 1),
            "network.peer.port is there without network.peer.address",
        ),
        (
            send,
            |it| put(it, "messaging.kafka.message.tombstone", false),
            "messaging.kafka.message.tombstone is false, which its absence says",
        ),
        (
            send,
            |it| put(it, "messaging.batch.message_count", 2),
            "messaging.kafka.offset is one message's, and it is about a batch",
        ),
        (
            poll,
            |it| take(it, "messaging.destination.name"),
            "messaging.destination.name is missing, and it is about one message",
        ),
        (
            publish,
            |it| {
                put(it, "messaging.system", "rabbitmq");
                put(it, "messaging.rabbitmq.destination.routing_key", "");
            },
            "messaging.rabbitmq.destination.routing_key is empty, which its absence says",
        ),
    ];
    for (span, change, expected) in cases {
        let mut span = span();
        change(&mut span);
        let found = found(&Emitted { spans: vec![span], points: Vec::new() });
        assert!(found.iter().any(|it| it.contains(expected)), "{expected}: {found:#?}");
    }
    // In memory, a call may be one within the process.
    let mut inside = query();
    (inside.kind, inside.attributes) = (
        "internal".into(),
        attributes(&json!({
            "db.system.name": "sqlite", "db.namespace": ":memory:", "db.query.summary": "SELECT users",
        })),
    );
    assert_eq!(found(&Emitted { spans: vec![inside], points: Vec::new() }), [""; 0]);
}

#[test]
fn each_kind_of_wrong_point_is_found() {
    let cases: &[Case<Point>] = &[
        (
            db_duration,
            |it| it.metric = "db.client.duration".into(),
            "is no metric of the conventions",
        ),
        (db_duration, |it| it.unit = "ms".into(), "has the unit \"ms\", not \"s\""),
        (db_duration, |it| it.instrument = "gauge".into(), "is a gauge, not a histogram"),
        (db_duration, |it| it.bounds = vec![1.0], "has the buckets [1.0], not [0.001, "),
        (db_duration, |it| it.attributes = Attributes::new(), "db.system.name is missing"),
        (
            db_duration,
            |it| {
                it.attributes.insert("db.user".into(), "u".into());
            },
            "has db.user, which is no attribute of the conventions",
        ),
        (
            db_duration,
            |it| {
                it.attributes.insert("db.operation.batch.size".into(), 2.into());
            },
            "has db.operation.batch.size, which is no attribute of db.client.operation.duration",
        ),
        (
            db_duration,
            |it| {
                it.attributes.insert("server.port".into(), "1".into());
            },
            "has server.port of the type string, not int",
        ),
        (
            db_duration,
            |it| {
                it.attributes.insert("db.response.status_code".into(), "1".into());
            },
            "db.response.status_code is there, and it did not fail",
        ),
        (gauge, |it| it.unit = "1".into(), "has the unit \"1\", not \"{message}\""),
        (gauge, |it| it.instrument = "counter".into(), "is a counter, not a gauge"),
        (
            gauge,
            |it| {
                it.attributes.insert("topic".into(), "t".into());
            },
            "has the attributes client-id, topic",
        ),
    ];
    for (point, change, expected) in cases {
        let mut point = point();
        change(&mut point);
        let found = found(&Emitted { spans: Vec::new(), points: vec![point] });
        assert!(found.iter().any(|it| it.contains(expected)), "{expected}: {found:#?}");
    }
}
