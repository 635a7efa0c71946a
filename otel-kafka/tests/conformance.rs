//! The scenarios that all adapters of brokers share, with producers and a consumer of this crate on
//! the cluster inside of librdkafka. rdkafka has no calls for batches.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

#[path = "support/adapter.rs"]
mod adapter;
mod support;

otel_testing::messaging_scenarios!(adapter::Kafka);
