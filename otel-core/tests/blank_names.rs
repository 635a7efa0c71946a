//! A fact that is empty or blank is none: no name of a span ends with a space, no label says nothing.

mod support;

use std::borrow::Cow;

use otel_core::messaging::{Destination, MessageFacts, MessagingCall, MessagingServer, fact};
use otel_core::propagation::NoHeaders;
use otel_core::{Db, DbCall, DbServer, Messaging, Telemetry};
use otel_testing::{Capture, metric, point, span};
use support::Stub;

const BLANKS: [&str; 4] = ["", " ", "\t", " \u{a0}\n"];

fn db(telemetry: &Telemetry) -> Db<Stub> {
    Db::new(telemetry, DbServer::new("mongodb").address("cache.example", Some(6380)))
}

#[test]
fn a_destination_without_a_name_is_none() {
    for blank in BLANKS {
        let capture = Capture::new();
        let server = MessagingServer::new("kafka").address("broker.example", Some(9092));
        let messaging = Messaging::<Stub>::new(&capture.telemetry(), server.client_id(blank));
        for destination in [
            Destination::named(blank),
            Destination::temporary(blank),
            Destination::anonymous(blank),
            Destination::named(blank).template(blank),
        ] {
            let call = MessagingCall::new("send", destination);
            let call = call.consumer_group(blank).subscription(blank).partition(blank);
            let operation = messaging.send(&mut NoHeaders, || {
                call.with(fact::PARTITION_ID, blank).with(fact::DESTINATION_NAME, blank)
            });
            operation.finish();
        }
        for sent in capture.spans() {
            assert_eq!(sent.name, "send broker.example:9092");
            let names = ["messaging.destination.name", "messaging.destination.partition.id"];
            let others = ["messaging.client.id", "messaging.consumer.group.name"];
            let is_one = |it: &opentelemetry::KeyValue| {
                names.contains(&it.key.as_str()) || others.contains(&it.key.as_str())
            };
            assert!(!sent.attributes.iter().any(is_one), "{sent:?}");
        }
        assert_eq!(capture.spans().len(), 4);
    }
}

/// In a batch, what the messages say.
#[test]
fn a_batch_without_a_name_has_that_of_its_messages() {
    let capture = Capture::new();
    let messaging = Messaging::<Stub>::new(&capture.telemetry(), MessagingServer::new("kafka"));
    let facts = || MessageFacts::new().with(fact::DESTINATION_NAME, "orders");
    let call = || MessagingCall::new("send", Destination::named(""));
    messaging.send_batch([(NoHeaders, facts)], call).finish();
    assert_eq!(capture.spans()[0].name, "send orders");
}

#[test]
fn a_hook_that_answers_a_blank_answers_nothing() {
    let capture = Capture::new();
    let telemetry = capture
        .telemetry_builder()
        .destination_template(|_| Some(Cow::Borrowed(" ")))
        .query_summary(|_| Some(Cow::Borrowed("")))
        .build();
    let messaging = Messaging::<Stub>::new(&telemetry, MessagingServer::new("kafka"));
    let call = || MessagingCall::new("send", Destination::named("orders"));
    messaging.send(&mut NoHeaders, call).finish();
    db(&telemetry).start(|| DbCall::statement("SELECT a FROM b", true)).finish();
    let names: Vec<_> = capture.spans().into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["send orders", "SELECT b"]);
}

#[test]
fn a_call_of_a_database_without_names_is_named_after_the_server() {
    for blank in BLANKS {
        let capture = Capture::new();
        let db = db(&capture.telemetry());
        let call = || DbCall::new().operation(blank).collection(blank).namespace(blank);
        db.start(|| call().stored_procedure(blank).summary(blank)).finish();
        let facts = [("db.system.name", "mongodb"), ("server.address", "cache.example")];
        let name = "cache.example:6380";
        let port = ("server.port", 6380);
        let expected = span(name).client().attributes(facts).attribute(port.0, port.1);
        capture.assert_spans([expected]);
        let duration = metric("db.client.operation.duration");
        let facts = point().count(1).attributes(facts).attribute(port.0, port.1);
        capture.assert_metric(duration.point(facts));
        capture.clear();
        db.start(|| DbCall::new().operation("GET").collection(blank)).finish();
        assert_eq!(capture.spans()[0].name, format!("GET {name}"));
    }
}

#[test]
fn a_server_without_names_is_named_after_its_system() {
    for blank in BLANKS {
        let capture = Capture::new();
        let server = DbServer::new("redis").address(blank, Some(6380)).namespace(blank);
        assert_eq!(server.pool_name(), "redis");
        Db::<Stub>::new(&capture.telemetry(), server).start(DbCall::new).finish();
        capture.assert_spans([span("redis").client().attribute("db.system.name", "redis")]);
    }
}

/// Names are told as they are, but a name of a span ends with what can be seen.
#[test]
fn white_space_at_the_end_of_a_name() {
    let capture = Capture::new();
    let messaging = Messaging::<Stub>::new(&capture.telemetry(), MessagingServer::new("kafka"));
    let call = || MessagingCall::new("send", Destination::named("orders "));
    messaging.send(&mut NoHeaders, call).finish();
    db(&capture.telemetry()).start(|| DbCall::new().operation("GET").collection("a b ")).finish();
    let spans = capture.spans();
    let names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["send orders", "GET a b"]);
    let name = opentelemetry::KeyValue::new("messaging.destination.name", "orders ");
    assert!(spans[0].attributes.contains(&name));
}
