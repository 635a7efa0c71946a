//! Consumers that ask JetStream for messages.

use std::future::Future;
use std::pin::Pin;
use std::task::{self, Poll, ready};
use std::time::Duration;

use async_nats::Subject;
use async_nats::jetstream::consumer::{StreamError, pull as raw};
use otel_core::messaging;

pub use async_nats::jetstream::consumer::pull::*;

use super::{Consumer, Gathered, Source, arriving};
use crate::driver::Nats;
use crate::forward::{debug, forward};
use crate::jetstream::Message;

impl Consumer<Config> {
    /// As async-nats's `Consumer::messages`.
    pub async fn messages(&self) -> Result<Stream, StreamError> {
        Ok(Stream { raw: self.raw.messages().await?, source: self.source.clone() })
    }

    /// As async-nats's `Consumer::stream`.
    pub fn stream(&self) -> StreamBuilder<'_> {
        StreamBuilder::new(self)
    }

    /// As async-nats's `Consumer::fetch`.
    pub fn fetch(&self) -> FetchBuilder<'_> {
        FetchBuilder::new(self)
    }

    /// As async-nats's `Consumer::batch`.
    pub fn batch(&self) -> BatchBuilder<'_> {
        BatchBuilder::new(self)
    }

    /// As async-nats's `Consumer::sequence`.
    pub fn sequence(&self, batch: usize) -> Result<Sequence, BatchError> {
        Ok(Sequence { raw: self.raw.sequence(batch)?, source: self.source.clone(), asked: None })
    }

    forward! { "Consumer"
        async fn request_batch[I: Into<BatchConfig>](&self, batch: I, inbox: Subject) -> Result<(), BatchRequestError>;
    }
}

impl Consumer<OrderedConfig> {
    /// As async-nats's `Consumer::messages`.
    pub async fn messages(self) -> Result<Ordered, StreamError> {
        Ok(Ordered { raw: self.raw.messages().await?, source: self.source })
    }
}

arriving! {
    /// The messages of a consumer, which asks for more by itself: async-nats's `Stream`. Each has a
    /// span that begins when the message is there.
    Stream: raw::Stream, MessagesError
}

arriving! {
    /// The messages of an ordered consumer: async-nats's `Ordered`.
    Ordered: raw::Ordered, OrderedError
}

/// A builder over async-nats's.
macro_rules! builder {
    ($(#[$doc:meta])* $name:ident, $of:literal; $($more:tt)*) => {
        $(#[$doc])*
        pub struct $name<'a> {
            raw: raw::$name<'a>,
            source: &'a Source,
        }

        debug!(['a] $name $name<'a>, source);

        impl<'a> $name<'a> {
            /// As async-nats's constructor of this name.
            pub fn new(consumer: &'a Consumer<Config>) -> Self {
                Self { raw: raw::$name::new(&consumer.raw), source: &consumer.source }
            }

            forward! { $of
                set heartbeat[](heartbeat: Duration);
                set expires[](expires: Duration);
                set min_pending[](min_pending: usize);
                set min_ack_pending[](min_ack_pending: usize);
                set group[T: Into<String>](group: T);
                $($more)*
            }
        }
    };
}

builder! {
    /// How a consumer's stream is made: async-nats's `StreamBuilder`.
    StreamBuilder, "StreamBuilder";
    set max_bytes_per_batch[](max_bytes: usize);
    set max_messages_per_batch[](batch: usize);
    set priority[](priority: usize);
}

builder! {
    /// How what is there is fetched: async-nats's `FetchBuilder`.
    FetchBuilder, "FetchBuilder";
    set max_bytes[](max_bytes: usize);
    set max_messages[](batch: usize);
    set priority[](priority: usize);
}

builder! {
    /// How a batch is waited for: async-nats's `BatchBuilder`.
    BatchBuilder, "BatchBuilder";
    set max_bytes[](max_bytes: usize);
    set max_messages[](batch: usize);
}

impl StreamBuilder<'_> {
    /// As async-nats's `StreamBuilder::messages`.
    pub async fn messages(self) -> Result<Stream, StreamError> {
        Ok(Stream { raw: self.raw.messages().await?, source: self.source.clone() })
    }
}

impl FetchBuilder<'_> {
    /// As async-nats's `FetchBuilder::messages`.
    pub async fn messages(self) -> Result<Batch, BatchError> {
        fetch(self.source, self.raw.messages()).await
    }
}

impl BatchBuilder<'_> {
    /// As async-nats's `BatchBuilder::messages`.
    pub async fn messages(self) -> Result<Batch, BatchError> {
        fetch(self.source, self.raw.messages()).await
    }
}

/// One call that asks for several messages, and is over when the last of them has come.
async fn fetch(
    source: &Source,
    asking: impl Future<Output = Result<raw::Batch, BatchError>>,
) -> Result<Batch, BatchError> {
    let poll = source.reception.messaging().poll();
    match asking.await {
        Ok(raw) => Ok(Batch { raw, gathered: source.gather(poll), source: source.clone() }),
        Err(error) => {
            poll.failed(&error, || source.reception.asking("fetch"));
            Err(error)
        }
    }
}

/// The messages of one call: async-nats's `Batch`. They have one span, over the call, which links to
/// each.
pub struct Batch {
    raw: raw::Batch,
    source: Source,
    gathered: Gathered,
}

debug!([] Batch Batch, source);

impl futures_core::Stream for Batch {
    type Item = Result<Message, async_nats::Error>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        task: &mut task::Context<'_>,
    ) -> Poll<Option<Self::Item>> {
        let Self { raw, source, gathered } = &mut *self;
        let item = ready!(Pin::new(raw).poll_next(task));
        let item = match item {
            Some(Ok(message)) => return Poll::Ready(Some(Ok(source.gathered(gathered, message)))),
            item => item,
        };
        if let Some(gathering) = gathered.take() {
            match &item {
                Some(Err(error)) => gathering.failed(error),
                _ => gathering.finish(),
            }
        }
        Poll::Ready(item.and_then(Result::err).map(Err))
    }
}

/// One batch after another: async-nats's `Sequence`. Each is a call of its own.
pub struct Sequence {
    raw: raw::Sequence,
    source: Source,
    /// The call that waits for the next one.
    asked: Option<messaging::Poll<Nats>>,
}

debug!([] Sequence Sequence, source);

impl futures_core::Stream for Sequence {
    type Item = Result<Batch, MessagesError>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        task: &mut task::Context<'_>,
    ) -> Poll<Option<Self::Item>> {
        let Self { raw, source, asked } = &mut *self;
        let poll = asked.take().unwrap_or_else(|| source.reception.messaging().poll());
        let Poll::Ready(batch) = Pin::new(raw).poll_next(task) else {
            *asked = Some(poll);
            return Poll::Pending;
        };
        Poll::Ready(batch.map(|batch| match batch {
            Ok(raw) => Ok(Batch { raw, gathered: source.gather(poll), source: source.clone() }),
            Err(error) => {
                poll.failed(&error, || source.reception.asking("fetch"));
                Err(error)
            }
        }))
    }
}
