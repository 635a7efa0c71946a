//! With the instrumented one.

pub use otel_rabbitmq as driver;

#[path = "scenarios.rs"]
pub mod scenarios;
