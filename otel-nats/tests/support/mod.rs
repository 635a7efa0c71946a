//! What the tests of this crate have in common.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::hash::{BuildHasher as _, RandomState};

use otel_nats::{Client, ConnectOptions, ServerAddr, Telemetry};
use otel_testing::assert::{ExpectedSpan, span};

/// A name that no other test has, and no earlier run had.
pub(crate) fn unique_name() -> String {
    // As `integration_tests::unique_name`, which the pages of what is emitted know.
    format!("live_{:016x}", RandomState::new().hash_one(()))
}

pub(crate) fn options(url: &str) -> ConnectOptions {
    let server: ServerAddr = url.parse().unwrap();
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    ConnectOptions::with_user_and_password(text(server.username()), text(server.password()))
}

pub(crate) async fn connect(url: &str, telemetry: &Telemetry) -> Client {
    options(url).name("tests").telemetry(telemetry).connect(url).await.unwrap()
}

/// A span of a call, with what all have.
pub(crate) fn call(url: &str, name: &'static str, step: &'static str, place: &str) -> ExpectedSpan {
    let server: ServerAddr = url.parse().unwrap();
    span(format!("{name} {place}"))
        .attribute("messaging.system", "nats")
        .attribute("messaging.operation.name", name)
        .attribute("messaging.operation.type", step)
        .attribute("messaging.client.id", "tests")
        .attribute("server.address", server.host().to_owned())
        .attribute("server.port", i64::from(server.port()))
}
