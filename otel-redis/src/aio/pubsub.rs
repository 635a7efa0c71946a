//! Messages of pub/sub as a stream: the driver's handles, instrumented.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use redis::{FromRedisValue, RedisConnectionInfo, RedisResult, ToRedisArgs};

use crate::link::Link;
use crate::pubsub::Msg;

/// The driver's handle of that name, instrumented.
#[derive(Debug)]
pub struct PubSub {
    sink: PubSubSink,
    stream: PubSubStream,
}

/// The driver's handle of that name, instrumented.
#[derive(Clone, Debug)]
pub struct PubSubSink {
    inner: redis::aio::PubSubSink,
    link: Link,
    database: i64,
}

/// The driver's stream of that name, whose messages are received.
pub struct PubSubStream {
    inner: redis::aio::PubSubStream,
    link: Link,
}

impl fmt::Debug for PubSubStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PubSubStream").field("link", &self.link).finish_non_exhaustive()
    }
}

impl Stream for PubSubStream {
    type Item = Msg;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Msg>> {
        let Self { inner, link } = &mut *self;
        Pin::new(inner).poll_next(task).map(|message| Some(link.arrived(message?)))
    }
}

/// Calls the driver's method of the same name as the command that it sends.
macro_rules! forward_subscriptions {
    ($($name:ident = $command:literal;)*) => {
        impl PubSubSink {$(
            #[doc = concat!("As the driver's `", stringify!($name), "`.")]
            pub async fn $name(&mut self, channel_name: impl ToRedisArgs) -> RedisResult<()> {
                let Self { inner, link, database } = self;
                if link.db.is_off() {
                    return inner.$name(channel_name).await;
                }
                let cmd = redis::cmd($command).arg(&channel_name).take();
                link.run(cmd, *database, |_| inner.$name(channel_name)).await
            }
        )*}

        impl PubSub {$(
            #[doc = concat!("As the driver's `", stringify!($name), "`.")]
            pub async fn $name(&mut self, channel_name: impl ToRedisArgs) -> RedisResult<()> {
                self.sink.$name(channel_name).await
            }
        )*}
    };
}

forward_subscriptions! {
    subscribe = "SUBSCRIBE";
    unsubscribe = "UNSUBSCRIBE";
    psubscribe = "PSUBSCRIBE";
    punsubscribe = "PUNSUBSCRIBE";
}

impl PubSubSink {
    /// As the driver's `ping`.
    pub async fn ping<T: FromRedisValue>(&mut self) -> RedisResult<T> {
        self.inner.ping().await
    }

    /// As the driver's `ping_message`.
    pub async fn ping_message<T: FromRedisValue>(
        &mut self,
        message: impl ToRedisArgs,
    ) -> RedisResult<T> {
        self.inner.ping_message(message).await
    }
}

impl PubSub {
    pub(crate) fn of(raw: redis::aio::PubSub, link: &Link, database: i64) -> Self {
        let (sink, stream) = raw.split();
        let sink = PubSubSink { inner: sink, link: link.clone(), database };
        Self { sink, stream: PubSubStream { inner: stream, link: link.clone() } }
    }

    /// As the driver's `new`.
    pub async fn new<C>(connection_info: &RedisConnectionInfo, stream: C) -> RedisResult<Self>
    where
        C: Unpin + ::tokio::io::AsyncRead + ::tokio::io::AsyncWrite + Send + 'static,
    {
        let raw = redis::aio::PubSub::new(connection_info, stream).await?;
        let server = crate::driver::unknown_server();
        let link = Link::of_client(&otel_core::Telemetry::global(), server);
        Ok(Self::of(raw, &link, connection_info.db()))
    }

    /// As the driver's `ping`.
    pub async fn ping<T: FromRedisValue>(&mut self) -> RedisResult<T> {
        self.sink.ping().await
    }

    /// As the driver's `ping_message`.
    pub async fn ping_message<T: FromRedisValue>(
        &mut self,
        message: impl ToRedisArgs,
    ) -> RedisResult<T> {
        self.sink.ping_message(message).await
    }

    /// As the driver's `on_message`.
    pub fn on_message(&mut self) -> impl Stream<Item = Msg> + '_ {
        &mut self.stream
    }

    /// As the driver's `into_on_message`.
    pub fn into_on_message(self) -> PubSubStream {
        self.stream
    }

    /// As the driver's `split`.
    pub fn split(self) -> (PubSubSink, PubSubStream) {
        (self.sink, self.stream)
    }
}
