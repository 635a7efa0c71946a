#![doc = include_str!("../README.md")]

mod builder;
pub mod callbacks;
mod carrier;
pub mod consumer;
mod driver;
pub mod message;
pub mod producer;

// What is defined here stands in the place of what it wraps, under the same path.
pub use otel_core::{self, Telemetry, opentelemetry};
pub use rdkafka::*;
pub use {self::builder::Builder, rdkafka};

pub use self::consumer::{BaseConsumer, StreamConsumer};
pub use self::message::Message;
pub use self::producer::{BaseProducer, DeliveryContext, FutureProducer, ThreadedProducer};

/// A function that takes rdkafka's own producer does not take ours by coercion: every span would be
/// lost without a word.
///
/// ```compile_fail
/// fn send(producer: &rdkafka::producer::FutureProducer) {}
/// fn wrapped(producer: &otel_kafka::FutureProducer) {
///     send(producer);
/// }
/// ```
#[cfg(doctest)]
struct ProducerNotByCoercion;
