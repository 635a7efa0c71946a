//! With the driver itself.

pub use async_nats as driver;

#[path = "scenarios.rs"]
pub mod scenarios;

/// Nothing is told.
pub fn plain(options: driver::ConnectOptions) -> driver::ConnectOptions {
    options
}
