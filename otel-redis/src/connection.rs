//! One wrapper for every connection of the driver, and of others that are like one.

use std::fmt;
use std::time::Duration;

use otel_core::Telemetry;
use redis::{Cmd, ConnectionLike, RedisResult, ToRedisArgs, Value};

use crate::builder::{Builder, Single};
use crate::driver;
use crate::link::Link;
use crate::pubsub::PubSub;
use crate::request::{Packed, PackedBatch};

/// A connection whose calls are seen. One that is a [`ConnectionLike`] of the driver, blocking or in
/// its module `aio`, has all of the driver's traits here too. The driver's own are made by our
/// [`Client`](crate::Client), that of a pool by [`Client::wrap`](crate::Client::wrap).
///
/// A clone is another handle of the same connection, where the driver's is.
#[derive(Clone)]
pub struct Connection<C = redis::Connection> {
    pub(crate) inner: C,
    pub(crate) link: Link,
}

impl<C: fmt::Debug> fmt::Debug for Connection<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Connection").field(&self.inner).finish()
    }
}

/// With the global telemetry.
impl<C> From<C> for Connection<C> {
    fn from(connection: C) -> Self {
        Self::with(connection, &Telemetry::global())
    }
}

impl<C> Connection<C> {
    /// Instruments a connection whose server is not known. Better is
    /// [`Client::wrap`](crate::Client::wrap), which knows it.
    pub fn with(connection: C, telemetry: &Telemetry) -> Self {
        Self::builder(connection).telemetry(telemetry).build()
    }

    /// Instruments a connection, with its server.
    pub fn builder(connection: C) -> Builder<Single<C>> {
        Builder::of(Single(connection), driver::unknown_server())
    }

    /// The driver's connection: what is done with it is not seen.
    pub fn raw(&self) -> &C {
        &self.inner
    }

    /// As [`raw`](Self::raw), to be used.
    pub fn raw_mut(&mut self) -> &mut C {
        &mut self.inner
    }

    /// The driver's connection alone.
    pub fn into_inner(self) -> C {
        self.inner
    }
}

impl<C: ConnectionLike> ConnectionLike for Connection<C> {
    fn req_packed_command(&mut self, cmd: &[u8]) -> RedisResult<Value> {
        let Self { inner, link } = self;
        let request = Packed(cmd);
        if let Some(queue) = link.queue_of(&request) {
            let (edited, started) = queue.start(link, &request, inner.get_db());
            return started.call(|| inner.req_packed_command(edited.as_deref().unwrap_or(cmd)));
        }
        if link.passes(&request) {
            return inner.req_packed_command(cmd);
        }
        link.call(request, inner.get_db(), |_| inner.req_packed_command(cmd))
    }

    fn req_packed_commands(
        &mut self,
        cmd: &[u8],
        offset: usize,
        count: usize,
    ) -> RedisResult<Vec<Value>> {
        let Self { inner, link } = self;
        let batch = PackedBatch { bytes: cmd, offset };
        if let Some(queue) = link.queue_of(&batch) {
            let (edited, started) = queue.start(link, &batch, inner.get_db());
            let cmd = edited.as_deref().unwrap_or(cmd);
            return started.call(|| inner.req_packed_commands(cmd, offset, count));
        }
        if link.passes(&batch) {
            return inner.req_packed_commands(cmd, offset, count);
        }
        link.call(batch, inner.get_db(), |_| inner.req_packed_commands(cmd, offset, count))
    }

    fn req_command(&mut self, cmd: &Cmd) -> RedisResult<Value> {
        let Self { inner, link } = self;
        if let Some(queue) = link.queue_of(cmd) {
            let (edited, started) = queue.start(link, cmd, inner.get_db());
            return started.call(|| inner.req_command(edited.as_ref().unwrap_or(cmd)));
        }
        if link.passes(&cmd) {
            return inner.req_command(cmd);
        }
        link.call(cmd, inner.get_db(), |cmd| inner.req_command(cmd))
    }

    fn get_db(&self) -> i64 {
        self.inner.get_db()
    }

    fn supports_pipelining(&self) -> bool {
        self.inner.supports_pipelining()
    }

    fn check_connection(&mut self) -> bool {
        self.inner.check_connection()
    }

    fn is_open(&self) -> bool {
        self.inner.is_open()
    }
}

/// Forwards to the driver's methods of the same names.
macro_rules! forward {
    ($($name:ident($($argument:ident: $type:ty),*) $(-> $output:ty)?;)*) => {$(
        #[doc = concat!("As the driver's `", stringify!($name), "`.")]
        pub fn $name(&self $(, $argument: $type)*) $(-> $output)? {
            self.inner.$name($($argument),*)
        }
    )*};
    (mut: $($name:ident($($argument:ident: $type:ty),*) $(-> $output:ty)?;)*) => {$(
        #[doc = concat!("As the driver's `", stringify!($name), "`.")]
        pub fn $name(&mut self $(, $argument: $type)*) $(-> $output)? {
            self.inner.$name($($argument),*)
        }
    )*};
}
#[cfg(any(feature = "aio", feature = "cluster"))]
pub(crate) use forward;

/// Calls the driver's method of the same name as the command that it sends.
macro_rules! forward_commands {
    ($($name:ident = $command:literal;)*) => {$(
        #[doc = concat!("As the driver's `", stringify!($name), "`.")]
        pub fn $name<T: ToRedisArgs>(&mut self, channel: T) -> RedisResult<()> {
            let Self { inner, link } = self;
            if link.db.is_off() {
                return inner.$name(channel);
            }
            let cmd = redis::cmd($command).arg(&channel).take();
            link.call(cmd, inner.get_db(), |_| inner.$name(channel))
        }
    )*};
}

impl Connection<redis::Connection> {
    /// As the driver's `as_pubsub`.
    pub fn as_pubsub(&mut self) -> PubSub<'_> {
        let Self { inner, link } = self;
        let database = inner.get_db();
        PubSub { inner: inner.as_pubsub(), link, database }
    }

    /// As the driver's `send_packed_command`: a call that ends when it is sent, whatever the answer
    /// that `recv_response` gets.
    pub fn send_packed_command(&mut self, cmd: &[u8]) -> RedisResult<()> {
        let Self { inner, link } = self;
        link.call(Packed(cmd), inner.get_db(), |_| inner.send_packed_command(cmd))
    }

    forward! {
        set_write_timeout(dur: Option<Duration>) -> RedisResult<()>;
        set_read_timeout(dur: Option<Duration>) -> RedisResult<()>;
    }

    forward! {
        mut:
        recv_response() -> RedisResult<Value>;
        set_push_sender(sender: std::sync::mpsc::Sender<redis::PushInfo>);
    }

    forward_commands! {
        subscribe_resp3 = "SUBSCRIBE";
        psubscribe_resp3 = "PSUBSCRIBE";
        unsubscribe_resp3 = "UNSUBSCRIBE";
        punsubscribe_resp3 = "PUNSUBSCRIBE";
    }
}

impl redis::HotkeysCommands for Connection<redis::Connection> {}
