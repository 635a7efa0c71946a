#![doc = include_str!("../README.md")]

mod acker;
mod builder;
mod carrier;
mod channel;
mod confirms;
mod connection;
mod connection_builder;
mod connection_properties;
mod consumer;
mod delegate;
mod driver;
mod forward;
pub mod message;
mod publisher_confirm;
mod reception;

// What is defined here stands in the place of what it wraps, under the same path.
pub use lapin::*;
pub use otel_core::{self, Telemetry, opentelemetry};
pub use {self::builder::Builder, lapin};

pub use self::acker::Acker;
pub use self::channel::Channel;
pub use self::connection::{Connect, Connection};
pub use self::connection_builder::{ConnectionBuilder, DefaultConnectionBuilder};
pub use self::connection_properties::ConnectionProperties;
pub use self::consumer::Consumer;
pub use self::delegate::ConsumerDelegate;
pub use self::publisher_confirm::PublisherConfirm;

/// A function that takes lapin's own channel does not take ours by coercion: every span would be lost
/// without a word.
///
/// ```compile_fail,E0308
/// fn publish(channel: &lapin::Channel) {}
/// fn wrapped(channel: &otel_rabbitmq::Channel) {
///     publish(channel);
/// }
/// ```
#[cfg(doctest)]
struct ChannelNotByCoercion;
