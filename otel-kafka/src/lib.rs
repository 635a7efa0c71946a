#![doc = include_str!("../README.md")]

mod builder;
mod carrier;
mod driver;
pub mod producer;

// What is defined here stands in the place of what it wraps, under the same path.
pub use otel_core::{self, Telemetry, opentelemetry};
pub use rdkafka::*;
pub use {self::builder::Builder, rdkafka};

pub use self::producer::{BaseProducer, DeliveryContext, FutureProducer, ThreadedProducer};
