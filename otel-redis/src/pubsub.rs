//! Messages of pub/sub, and the handles that give them.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use otel_core::messaging::{Delivery, Destination, MessagingCall, fact};
use otel_core::propagation::ByteCarrier;
use redis::{ControlFlow, FromRedisValue, PushInfo, RedisError, RedisResult, ToRedisArgs, Value};

use crate::carrier::{self, Headers};
use crate::client::Client;
use crate::connection::Connection;
use crate::link::Link;
use crate::message::{LONGEST, Queue};
use crate::received::Received;

/// The driver's message of that name, to which it leads, with the context that it carries.
#[derive(Clone, Debug)]
pub struct Msg {
    raw: redis::Msg,
    received: Received,
}

/// Without a context.
impl From<redis::Msg> for Msg {
    fn from(raw: redis::Msg) -> Self {
        Self { raw, received: Received::default() }
    }
}

impl Deref for Msg {
    type Target = redis::Msg;

    fn deref(&self) -> &redis::Msg {
        &self.raw
    }
}

impl Msg {
    /// As the driver's `from_value`.
    pub fn from_value(value: &Value) -> Option<Self> {
        redis::Msg::from_value(value).map(Self::from)
    }

    /// As the driver's `from_owned_value`.
    pub fn from_owned_value(value: Value) -> Option<Self> {
        redis::Msg::from_owned_value(value).map(Self::from)
    }

    /// As the driver's `from_push_info`. It is received by [`Connection::message`].
    pub fn from_push_info(push_info: PushInfo) -> Option<Self> {
        redis::Msg::from_push_info(push_info).map(Self::from)
    }

    /// Handles the message: see [`Received::process`].
    pub async fn process<'m, H, F, T, E>(&'m self, handler: H) -> Result<T, E>
    where
        H: FnOnce(&'m Self) -> F,
        F: Future<Output = Result<T, E>>,
    {
        self.received.process(|| handler(self)).await
    }

    /// As [`process`](Self::process), for a handler that blocks.
    pub fn process_blocking<T, E>(
        &self,
        handler: impl FnOnce(&Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.received.process_blocking(|| handler(self))
    }

    /// The context that the message carries.
    pub fn received(&self) -> &Received {
        &self.received
    }

    /// The driver's message, without its context.
    pub fn into_inner(self) -> redis::Msg {
        self.raw
    }
}

/// A message with another payload.
fn with_payload(message: &redis::Msg, payload: Vec<u8>) -> Option<redis::Msg> {
    let channel = Value::BulkString(message.get_channel().ok()?);
    let payload = Value::BulkString(payload);
    let text = |text: &str| Value::BulkString(text.into());
    redis::Msg::from_owned_value(Value::Array(match message.get_pattern().ok()? {
        Some(pattern) => vec![text("pmessage"), Value::BulkString(pattern), channel, payload],
        None => vec![text("message"), channel, payload],
    }))
}

impl Link {
    /// Takes a message that came, out of its envelope if it has one, and reads what it carries.
    fn open(
        &self,
        message: redis::Msg,
        read: impl FnOnce(&Queue, &ByteCarrier<&Headers<'_>>, &Received, i64) -> Delivery,
    ) -> Msg {
        let Some(queue) = &self.queue else { return message.into() };
        let envelope = Some(message.get_payload_bytes()).filter(|_| queue.options.envelopes);
        let opened = envelope.and_then(carrier::open);
        if opened.is_none() && queue.messaging.is_off() {
            return message.into();
        }
        let mut received = Received {
            queue: Some(Arc::clone(queue)),
            place: message.get_channel().unwrap_or_default(),
            pattern: message.get_pattern().ok().flatten().filter(|it: &String| it.len() <= LONGEST),
            ..Received::default()
        };
        let (headers, payload) = match opened {
            Some((headers, payload)) => (headers, Some(payload)),
            None => (Headers(Vec::new()), None),
        };
        let size = payload.unwrap_or_else(|| message.get_payload_bytes()).len();
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        received.delivery = read(queue, &ByteCarrier::new(&headers), &received, size);
        let other = payload.and_then(|payload| with_payload(&message, payload.to_owned()));
        Msg { raw: other.unwrap_or(message), received }
    }

    /// Receives a message that came when it wanted.
    pub(crate) fn arrived(&self, message: redis::Msg) -> Msg {
        self.open(message, |queue, headers, received, size| {
            let describe = || received.describe(queue, "receive").with(fact::BODY_SIZE, size);
            queue.messaging.arrival().received(headers, describe)
        })
    }

    /// No message can come any more; one that did not come in time is none.
    fn lost(&self, error: &RedisError) {
        if let Some(queue) = self.queue.as_ref().filter(|_| !error.is_timeout()) {
            let describe = || MessagingCall::new("receive", Destination::none());
            queue.messaging.arrival().failed(error, describe);
        }
    }
}

impl<C> Connection<C> {
    /// Receives a message that the server pushed, if it is one: for the receivers of a push sender.
    pub fn message(&self, push_info: PushInfo) -> Option<Msg> {
        redis::Msg::from_push_info(push_info).map(|message| self.link.arrived(message))
    }
}

impl Client {
    /// As [`Connection::message`].
    pub fn message(&self, push_info: PushInfo) -> Option<Msg> {
        self.inner.message(push_info)
    }
}

/// The driver's handle of that name, instrumented.
pub struct PubSub<'c> {
    pub(crate) inner: redis::PubSub<'c>,
    pub(crate) link: &'c Link,
    pub(crate) database: i64,
}

impl fmt::Debug for PubSub<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PubSub").finish_non_exhaustive()
    }
}

/// Calls the driver's method of the same name as the command that it sends.
macro_rules! forward_subscriptions {
    ($($name:ident = $command:literal;)*) => {$(
        #[doc = concat!("As the driver's `", stringify!($name), "`.")]
        pub fn $name<T: ToRedisArgs>(&mut self, channel: T) -> RedisResult<()> {
            let Self { inner, link, database } = self;
            if link.db.is_off() {
                return inner.$name(channel);
            }
            let cmd = redis::cmd($command).arg(&channel).take();
            link.call(cmd, *database, |_| inner.$name(channel))
        }
    )*};
}

impl PubSub<'_> {
    forward_subscriptions! {
        subscribe = "SUBSCRIBE";
        psubscribe = "PSUBSCRIBE";
        unsubscribe = "UNSUBSCRIBE";
        punsubscribe = "PUNSUBSCRIBE";
    }

    /// As the driver's `ping`.
    pub fn ping<T: FromRedisValue>(&mut self) -> RedisResult<T> {
        self.inner.ping()
    }

    /// As the driver's `ping_message`.
    pub fn ping_message<T: FromRedisValue>(&mut self, message: impl ToRedisArgs) -> RedisResult<T> {
        self.inner.ping_message(message)
    }

    /// As the driver's `get_message`.
    pub fn get_message(&mut self) -> RedisResult<Msg> {
        let message = self.inner.get_message().inspect_err(|error| self.link.lost(error))?;
        Ok(self.link.arrived(message))
    }

    /// As the driver's `set_read_timeout`.
    pub fn set_read_timeout(&self, dur: Option<Duration>) -> RedisResult<()> {
        self.inner.set_read_timeout(dur)
    }

    /// Hands over messages, each in a span of its handling, until one of them is the last.
    fn listen<U>(&mut self, mut func: impl FnMut(Msg) -> ControlFlow<U>) -> RedisResult<U> {
        loop {
            let message = self.inner.get_message().inspect_err(|error| self.link.lost(error))?;
            let mut operation = None;
            let message = self.link.open(message, |queue, headers, received, size| {
                let delivery = queue.messaging.delivery(headers);
                let describe = || received.describe(queue, "process").with(fact::BODY_SIZE, size);
                operation = Some(queue.messaging.process(&delivery, describe));
                delivery
            });
            let handled = match operation {
                Some(operation) => {
                    let handled = operation.carried().run(|| func(message));
                    operation.finish();
                    handled
                }
                None => func(message),
            };
            if let ControlFlow::Break(value) = handled {
                return Ok(value);
            }
        }
    }
}

/// The driver's trait of that name, with messages of this crate: each is handled in a span.
pub trait PubSubCommands: Sized {
    /// As the driver's `subscribe`.
    fn subscribe<C, F, U>(&mut self, channels: C, func: F) -> RedisResult<U>
    where
        F: FnMut(Msg) -> ControlFlow<U>,
        C: ToRedisArgs;

    /// As the driver's `psubscribe`.
    fn psubscribe<P, F, U>(&mut self, patterns: P, func: F) -> RedisResult<U>
    where
        F: FnMut(Msg) -> ControlFlow<U>,
        P: ToRedisArgs;
}

impl PubSubCommands for Connection<redis::Connection> {
    fn subscribe<C, F, U>(&mut self, channels: C, func: F) -> RedisResult<U>
    where
        F: FnMut(Msg) -> ControlFlow<U>,
        C: ToRedisArgs,
    {
        let mut pubsub = self.as_pubsub();
        pubsub.subscribe(channels)?;
        pubsub.listen(func)
    }

    fn psubscribe<P, F, U>(&mut self, patterns: P, func: F) -> RedisResult<U>
    where
        F: FnMut(Msg) -> ControlFlow<U>,
        P: ToRedisArgs,
    {
        let mut pubsub = self.as_pubsub();
        pubsub.psubscribe(patterns)?;
        pubsub.listen(func)
    }
}

/// For helpers that are generic over the driver's trait.
impl redis::PubSubCommands for Connection<redis::Connection> {
    fn subscribe<C, F, U>(&mut self, channels: C, mut func: F) -> RedisResult<U>
    where
        F: FnMut(redis::Msg) -> ControlFlow<U>,
        C: ToRedisArgs,
    {
        PubSubCommands::subscribe(self, channels, |message| func(message.into_inner()))
    }

    fn psubscribe<P, F, U>(&mut self, patterns: P, mut func: F) -> RedisResult<U>
    where
        F: FnMut(redis::Msg) -> ControlFlow<U>,
        P: ToRedisArgs,
    {
        PubSubCommands::psubscribe(self, patterns, |message| func(message.into_inner()))
    }
}
