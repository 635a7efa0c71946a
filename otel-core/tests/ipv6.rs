//! An IPv6 address is told without the brackets that a URL has around it, whoever hands it over.

mod support;

use opentelemetry::KeyValue;
use otel_core::messaging::{Destination, MessagingCall, MessagingServer};
use otel_core::propagation::NoHeaders;
use otel_core::{Db, DbCall, DbServer, Messaging};
use otel_testing::Capture;
use support::Stub;

const SOURCES: [(&str, &str); 4] = [
    ("[::1]", "::1"),
    ("[fe80::1%eth0]", "fe80::1%eth0"),
    ("2001:db8::7", "2001:db8::7"),
    // Whatever this is, it is no address with brackets around it.
    ("[host]", "[host]"),
];

fn has(capture: &Capture, name: &'static str, address: &'static str) {
    let span = &capture.spans()[0];
    assert!(span.attributes.contains(&KeyValue::new(name, address)), "{span:?}");
}

#[test]
fn a_server_as_it_is_configured() {
    for (source, address) in SOURCES {
        let capture = Capture::new();
        let joined =
            if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
        let server = DbServer::new("mongodb").address(source, Some(6380));
        assert_eq!(server.clone().namespace("7").pool_name(), format!("{joined}:6380/7"));
        let db = Db::<Stub>::new(&capture.telemetry(), server);
        db.start(|| DbCall::new().operation("GET")).finish();
        has(&capture, "server.address", address);
        assert_eq!(capture.spans()[0].name, format!("GET {joined}:6380"));

        capture.clear();
        let server = MessagingServer::new("kafka").address(source, Some(9092));
        let messaging = Messaging::<Stub>::new(&capture.telemetry(), server);
        let call = || MessagingCall::new("send", Destination::none());
        messaging.send(&mut NoHeaders, call).finish();
        has(&capture, "server.address", address);
        assert_eq!(capture.spans()[0].name, format!("send {joined}:9092"));
    }
}

#[test]
fn a_server_and_a_node_that_are_learnt() {
    for (source, address) in SOURCES {
        let capture = Capture::new();
        let db = Db::<Stub>::new(&capture.telemetry(), DbServer::new("redis"));
        let mut operation = db.start(DbCall::new);
        operation.server(source, None);
        operation.peer(source, None);
        operation.finish();
        has(&capture, "server.address", address);
        has(&capture, "network.peer.address", address);

        capture.clear();
        let messaging = Messaging::<Stub>::new(&capture.telemetry(), MessagingServer::new("kafka"));
        let call = || MessagingCall::new("send", Destination::none()).peer(source, None);
        messaging.send(&mut NoHeaders, call).finish();
        has(&capture, "network.peer.address", address);
    }
}
