//! The same with this crate.

pub(crate) use otel_rabbitmq as driver;

#[path = "examples.rs"]
pub(crate) mod examples;
