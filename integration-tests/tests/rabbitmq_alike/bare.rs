//! With the driver itself.

pub use lapin as driver;

#[path = "scenarios.rs"]
pub mod scenarios;

/// Nothing is told.
pub fn plain(properties: driver::ConnectionProperties) -> driver::ConnectionProperties {
    properties
}
