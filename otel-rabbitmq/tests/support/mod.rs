//! What the tests of this crate have in common.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::hash::{BuildHasher as _, RandomState};

use otel_rabbitmq::options::{ConfirmSelectOptions, QueueDeclareOptions};
use otel_rabbitmq::types::{FieldTable, ShortString};
use otel_rabbitmq::uri::AMQPUri;
use otel_rabbitmq::{Channel, Connection, ConnectionProperties, Telemetry};
use otel_testing::assert::{ExpectedSpan, span};

/// A name that no other test has, and no earlier run had.
pub(crate) fn unique_name() -> String {
    // As `integration_tests::unique_name`, which the pages of what is emitted know.
    format!("live_{:016x}", RandomState::new().hash_one(()))
}

pub(crate) async fn connect(url: &str, telemetry: &Telemetry) -> Connection {
    let properties = ConnectionProperties::default().with_connection_name("tests".into());
    Connection::connect(url, properties.with_telemetry(telemetry)).await.unwrap()
}

/// A channel whose messages are confirmed.
pub(crate) async fn channel(connection: &Connection) -> Channel {
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    channel
}

/// A queue of one test's own, which goes with the connection.
pub(crate) async fn queue(channel: &Channel) -> ShortString {
    let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    let declared = channel.queue_declare(unique_name().into(), options, FieldTable::default());
    declared.await.unwrap().name().clone()
}

/// A span of a call, with what all have.
pub(crate) fn call(url: &str, name: &'static str, step: &'static str, place: &str) -> ExpectedSpan {
    let server: AMQPUri = url.parse().unwrap();
    span(format!("{name} {place}"))
        .attribute("messaging.system", "rabbitmq")
        .attribute("messaging.operation.name", name)
        .attribute("messaging.operation.type", step)
        .attribute("messaging.destination.name", place.to_owned())
        .attribute("messaging.client.id", "tests")
        .attribute("server.address", server.authority.host)
        .attribute("server.port", i64::from(server.authority.port))
}
