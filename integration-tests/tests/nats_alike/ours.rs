//! With the instrumented one.

pub use otel_nats as driver;

#[path = "scenarios.rs"]
pub mod scenarios;
