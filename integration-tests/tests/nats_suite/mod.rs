//! Scenarios that are played with bare async-nats and with the instrumented one.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]
#![allow(unreachable_pub, reason = "two that say the same")]

pub mod bare;
pub mod ours;
