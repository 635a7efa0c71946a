//! One code for two drivers: rdkafka, and rdkafka instrumented. What differs is in `bare.rs` and
//! `ours.rs`: what the imports mean, how a client is made, and how a handler is called.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]
#![allow(unreachable_pub, reason = "two modules share it")]
#![allow(clippy::duplicate_mod, reason = "that is the point")]

pub mod bare;
mod itself;
pub mod ours;
pub mod played;

use otel_testing::otel_core::Telemetry;

/// Where a scenario plays.
#[derive(Clone, Debug)]
pub struct World {
    pub brokers: String,
    /// Nothing to the bare driver.
    pub telemetry: Telemetry,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// In words, without names that differ from run to run: the same for both drivers.
    pub seen: Vec<String>,
    pub topics: Vec<String>,
    pub groups: Vec<String>,
}

impl Outcome {
    pub fn see(&mut self, what: &str, seen: impl std::fmt::Debug) {
        let mut line = format!("{what}: {seen:?}");
        for (number, topic) in self.topics.iter().enumerate() {
            line = line.replace(topic, &format!("topic {number}"));
        }
        self.seen.push(line);
    }
}
