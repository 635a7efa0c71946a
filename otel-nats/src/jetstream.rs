//! JetStream: async-nats's module of this name, with the instrumented types in place of its own.
//!
//! The key-value and the object store are async-nats's own: see the crate's documentation.

pub mod consumer;
pub mod context;
pub mod message;
mod publish_ack;
pub mod stream;

pub use async_nats::jetstream::*;

pub use self::context::{Context, ContextBuilder};
pub use self::message::Message;
use crate::client::Client;

/// As async-nats's `jetstream::new`.
pub fn new(client: Client) -> Context {
    ContextBuilder::default().build(client)
}

/// As async-nats's `jetstream::with_domain`.
pub fn with_domain<T: AsRef<str>>(client: Client, domain: T) -> Context {
    ContextBuilder::default().domain(domain.as_ref()).build(client)
}

/// As async-nats's `jetstream::with_prefix`.
pub fn with_prefix(client: Client, prefix: &str) -> Context {
    ContextBuilder::default().api_prefix(prefix).build(client)
}
