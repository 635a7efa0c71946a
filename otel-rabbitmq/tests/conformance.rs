//! The scenarios that all adapters of brokers share, with the channel and the consumer of this crate on a
//! real server. lapin has no calls that send a batch, and none whose drop takes a message back.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

#[path = "support/adapter.rs"]
mod adapter;
mod support;

otel_testing::messaging_scenarios!(adapter::RabbitMq);
