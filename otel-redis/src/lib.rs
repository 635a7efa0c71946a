#![doc = include_str!("../README.md")]

#[cfg(feature = "aio")]
pub mod aio;
mod builder;
mod call;
mod carrier;
mod client;
#[cfg(feature = "cluster")]
pub mod cluster;
#[cfg(feature = "cluster-async")]
pub mod cluster_async;
mod connection;
mod driver;
mod edit;
mod link;
mod memory;
mod message;
#[cfg(any(feature = "bb8", feature = "deadpool", feature = "r2d2"))]
pub mod pool;
mod pubsub;
mod received;
mod request;
#[cfg(feature = "sentinel")]
pub mod sentinel;
mod stream;
mod text;

pub use otel_core::{self, Telemetry, opentelemetry};
pub use redis;
// All the rest is the driver's own, under its name.
pub use redis::*;

pub use self::builder::{Builder, Single};
pub use self::client::Client;
pub use self::connection::Connection;
pub use self::message::Messaging;
pub use self::pubsub::{Msg, PubSub, PubSubCommands};
pub use self::received::Received;

/// Name of the span and text of a command, by default. For `cargo xtask analyze redis`.
#[doc(hidden)]
pub fn analyze(arguments: &[String]) -> (String, String) {
    let mut text = text::Text::new(otel_core::db::TextWanted::DEFAULT);
    text.add(arguments.iter().map(String::as_bytes));
    (call::span_name(arguments.iter().map(String::as_bytes)), text.into_string())
}
