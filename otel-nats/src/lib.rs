#![doc = include_str!("../README.md")]

mod builder;
mod carrier;
pub mod client;
mod driver;
mod forward;
#[cfg(feature = "jetstream")]
pub mod jetstream;
pub mod message;
mod options;
mod reception;
#[cfg(feature = "service")]
pub mod service;
mod subscriber;

// What is defined here stands in the place of what it wraps, under the same path.
pub use async_nats::*;
pub use otel_core::{self, Telemetry, opentelemetry};
pub use {self::builder::Builder, async_nats};

pub use self::client::Client;
pub use self::message::Message;
pub use self::options::{ConnectOptions, connect, connect_with_options};
pub use self::subscriber::Subscriber;

/// A function that takes async-nats's own client does not take ours by coercion: every span would be
/// lost without a word.
///
/// ```compile_fail,E0308
/// fn publish(client: &async_nats::Client) {}
/// fn wrapped(client: &otel_nats::Client) {
///     publish(client);
/// }
/// ```
#[cfg(doctest)]
struct ClientNotByCoercion;
