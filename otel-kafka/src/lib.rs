#![doc = include_str!("../README.md")]

mod carrier;
mod driver;

pub use otel_core::{self, Telemetry, opentelemetry};
pub use rdkafka;
