//! A message that was received, on its way to whoever handles it.

use std::future::Future;
use std::sync::Arc;

use otel_core::MessagingCall;
use otel_core::messaging::{Delivery, Destination, fact};
use otel_core::opentelemetry::Context;

use crate::client::Client;
use crate::connection::Connection;
use crate::link::Link;
use crate::message::{Queue, is_name};

/// The context of a message that was received: of an entry of a stream, see
/// [`Connection::received`], or of a [`Msg`](crate::Msg). A clone is another handle of the same.
///
/// Where streams and pub/sub are no messaging, and where nothing is known of the message, handlers
/// run as they are, or in a span without a link.
#[derive(Clone, Debug, Default)]
pub struct Received {
    pub(crate) queue: Option<Arc<Queue>>,
    pub(crate) place: Vec<u8>,
    /// The pattern of a subscription that the channel fits.
    pub(crate) pattern: Option<String>,
    pub(crate) group: Option<Arc<[u8]>>,
    pub(crate) id: Option<String>,
    pub(crate) delivery: Delivery,
}

impl Received {
    /// Handles the message, in a span that ends with the handler's result. The error may be of any
    /// type, whose name is told. Nothing starts before the first poll.
    ///
    /// The handler runs in the context that the message carries, also where no span is made.
    pub async fn process<H, F, T, E>(&self, handler: H) -> Result<T, E>
    where
        H: FnOnce() -> F,
        F: Future<Output = Result<T, E>>,
    {
        let Some(queue) = &self.queue else { return handler().await };
        let describe = |(): &()| self.describe(queue, "process");
        queue.messaging.handle(&self.delivery, &(), describe, |()| handler()).await
    }

    /// As [`process`](Self::process), for a handler that blocks.
    pub fn process_blocking<T, E>(&self, handler: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let Some(queue) = &self.queue else { return handler() };
        let describe = || self.describe(queue, "process");
        queue.messaging.process(&self.delivery, describe).handle_blocking(handler)
    }

    /// The current context with what the message carries: its trace as the remote parent, its
    /// baggage. For handlers with spans of their own.
    pub fn context(&self) -> Context {
        self.delivery.context()
    }

    /// Runs a future in [`context`](Self::context).
    pub fn instrument<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        self.delivery.instrument(future)
    }

    /// What the message carries, for otel-core.
    pub fn delivery(&self) -> &Delivery {
        &self.delivery
    }

    pub(crate) fn describe<'r>(
        &'r self,
        queue: &Queue,
        operation: &'static str,
    ) -> MessagingCall<'r> {
        let mut place = queue.place(Some(&self.place));
        if let Some(pattern) = self.pattern.as_deref().filter(|_| place != Destination::none()) {
            place = place.template(pattern);
        }
        let mut call = MessagingCall::new(operation, place);
        if let Some(group) = self.group.as_deref().and_then(is_name) {
            call = call.consumer_group(group);
        }
        match &self.id {
            Some(id) => call.with(fact::MESSAGE_ID, id.clone()),
            None => call,
        }
    }
}

impl Link {
    fn received(&self, stream: &[u8], id: &[u8]) -> Received {
        let Some(queue) = &self.queue else { return Received::default() };
        let read = queue.find(stream, id);
        Received {
            queue: Some(Arc::clone(queue)),
            place: stream.to_owned(),
            pattern: None,
            id: is_name(id).map(str::to_owned),
            group: read.as_ref().and_then(|read| read.group.clone()),
            delivery: read.map(|read| read.delivery).unwrap_or_default(),
        }
    }
}

impl<C> Connection<C> {
    /// The context of an entry of a stream that was read, by any connection of the same client; of
    /// those the last 8192 that were not acknowledged are known.
    ///
    /// ```no_run
    /// # use otel_redis::{AsyncCommands as _, RedisResult, Value, aio::MultiplexedConnection};
    /// # async fn ship(id: &str) -> RedisResult<()> { Ok(()) }
    /// # async fn example(con: &mut MultiplexedConnection, id: String) -> RedisResult<()> {
    /// // `id` is that of an entry in the answer to `XREADGROUP`.
    /// con.received("orders", &id).process(async || ship(&id).await).await?;
    /// let _: i64 = con.xack("orders", "shop", &[&id]).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn received(&self, stream: impl AsRef<[u8]>, id: impl AsRef<[u8]>) -> Received {
        self.link.received(stream.as_ref(), id.as_ref())
    }
}

impl Client {
    /// As [`Connection::received`].
    pub fn received(&self, stream: impl AsRef<[u8]>, id: impl AsRef<[u8]>) -> Received {
        self.inner.received(stream, id)
    }
}
