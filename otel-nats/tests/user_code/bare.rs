//! The examples with the driver itself.

pub(crate) use async_nats as driver;

#[path = "examples.rs"]
pub(crate) mod examples;
