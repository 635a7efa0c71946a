//! Scenarios that are played with bare async-nats and with the instrumented one.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

pub mod bare;
pub mod ours;
