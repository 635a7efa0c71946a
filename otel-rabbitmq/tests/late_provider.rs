//! Global providers that come after the client was made. They belong to the process, so this is the
//! only test of its binary.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

#[path = "support/adapter.rs"]
mod adapter;
mod support;

use otel_testing::scenario::{self, messaging};

#[test]
fn providers_that_come_late_are_found() {
    scenario::execute(messaging::late_provider::<adapter::RabbitMq>());
}
