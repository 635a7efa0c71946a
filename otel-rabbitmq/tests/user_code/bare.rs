//! The examples with the driver itself.

pub(crate) use lapin as driver;

#[path = "examples.rs"]
pub(crate) mod examples;
