//! The same with this crate.

pub(crate) use otel_nats as driver;

#[path = "examples.rs"]
pub(crate) mod examples;
