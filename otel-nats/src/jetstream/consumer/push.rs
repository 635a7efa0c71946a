//! Consumers that JetStream sends messages to.

use async_nats::jetstream::consumer::{StreamError, push as raw};

pub use async_nats::jetstream::consumer::push::*;

use super::{Consumer, arriving};

arriving! {
    /// The messages of a consumer: async-nats's `Messages`. Each has a span that begins when the
    /// message is there.
    Messages: raw::Messages, MessagesError
}

arriving! {
    /// The messages of an ordered consumer: async-nats's `Ordered`.
    Ordered: raw::Ordered, OrderedError
}

impl Consumer<Config> {
    /// As async-nats's `Consumer::messages`.
    pub async fn messages(&self) -> Result<Messages, StreamError> {
        Ok(Messages { raw: self.raw.messages().await?, source: self.source.clone() })
    }
}

impl Consumer<OrderedConfig> {
    /// As async-nats's `Consumer::messages`.
    pub async fn messages(self) -> Result<Ordered, StreamError> {
        Ok(Ordered { raw: self.raw.messages().await?, source: self.source })
    }
}
