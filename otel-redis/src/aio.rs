//! The driver's module of the same name, with the connections of this crate.

mod pubsub;

use redis::{
    AsyncConnectionConfig, Cmd, Pipeline, RedisConnectionInfo, RedisFuture, RedisResult, Value,
};

pub use redis::aio::*;

pub use self::pubsub::{PubSub, PubSubSink, PubSubStream};
use crate::client::Client;
use crate::connection::{Connection, forward};
use crate::driver;
use crate::link::Link;

/// The driver's connection of that name, instrumented.
pub type MultiplexedConnection = Connection<redis::aio::MultiplexedConnection>;

/// The driver's connection of that name, instrumented.
#[cfg(feature = "connection-manager")]
pub type ConnectionManager = Connection<redis::aio::ConnectionManager>;

impl<C: ConnectionLike + Send> ConnectionLike for Connection<C> {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        let (inner, link) = (&mut self.inner, &self.link);
        if let Some(queue) = link.queue_of(cmd) {
            let database = inner.get_db();
            return Box::pin(async move {
                let (edited, started) = queue.start(link, cmd, database);
                started.run(inner.req_packed_command(edited.as_ref().unwrap_or(cmd))).await
            });
        }
        if link.passes(&cmd) {
            return inner.req_packed_command(cmd);
        }
        let database = inner.get_db();
        Box::pin(link.run(cmd, database, move |cmd| inner.req_packed_command(cmd)))
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        let (inner, link) = (&mut self.inner, &self.link);
        if let Some(queue) = link.queue_of(pipeline) {
            let database = inner.get_db();
            return Box::pin(async move {
                let (edited, started) = queue.start(link, pipeline, database);
                let pipeline = edited.as_ref().unwrap_or(pipeline);
                started.run(inner.req_packed_commands(pipeline, offset, count)).await
            });
        }
        if link.passes(&pipeline) {
            return inner.req_packed_commands(pipeline, offset, count);
        }
        let database = inner.get_db();
        Box::pin(link.run(pipeline, database, move |pipeline| {
            inner.req_packed_commands(pipeline, offset, count)
        }))
    }

    fn get_db(&self) -> i64 {
        self.inner.get_db()
    }
}

/// Calls the driver's method of the same name as the command that it sends.
macro_rules! forward_commands {
    ($($name:ident = $command:literal;)*) => {$(
        #[doc = concat!("As the driver's `", stringify!($name), "`.")]
        pub async fn $name(
            &mut self,
            channel_name: impl redis::ToRedisArgs,
        ) -> redis::RedisResult<()> {
            use redis::aio::ConnectionLike as _;
            let Self { inner, link } = self;
            if link.db.is_off() {
                return inner.$name(channel_name).await;
            }
            let cmd = redis::cmd($command).arg(&channel_name).take();
            let database = inner.get_db();
            link.run(cmd, database, |_| inner.$name(channel_name)).await
        }
    )*};
}
#[cfg(feature = "cluster-async")]
pub(crate) use forward_commands;

/// What both connections to one server have.
macro_rules! forward_both {
    ($connection:ty) => {
        impl Connection<$connection> {
            /// As the driver's `send_packed_command`.
            pub async fn send_packed_command(&mut self, cmd: &Cmd) -> RedisResult<Value> {
                self.req_packed_command(cmd).await
            }

            /// As the driver's `send_packed_commands`.
            pub async fn send_packed_commands(
                &mut self,
                cmd: &Pipeline,
                offset: usize,
                count: usize,
            ) -> RedisResult<Vec<Value>> {
                self.req_packed_commands(cmd, offset, count).await
            }

            forward_commands! {
                subscribe = "SUBSCRIBE";
                unsubscribe = "UNSUBSCRIBE";
                psubscribe = "PSUBSCRIBE";
                punsubscribe = "PUNSUBSCRIBE";
            }

            #[cfg(feature = "cache-aio")]
            forward! {
                get_cache_statistics() -> Option<redis::caching::CacheStatistics>;
            }
        }

        impl redis::AsyncHotkeysCommands for Connection<$connection> {}
    };
}

forward_both!(redis::aio::MultiplexedConnection);
#[cfg(feature = "connection-manager")]
forward_both!(redis::aio::ConnectionManager);

impl MultiplexedConnection {
    forward! { mut: set_response_timeout(timeout: std::time::Duration); }

    /// As the driver's `new`.
    pub async fn new<S>(
        connection_info: &RedisConnectionInfo,
        stream: S,
    ) -> RedisResult<(Self, impl Future<Output = ()>)>
    where
        S: Unpin + ::tokio::io::AsyncRead + ::tokio::io::AsyncWrite + Send + 'static,
    {
        Self::new_with_config(connection_info, stream, AsyncConnectionConfig::default()).await
    }

    /// As the driver's `new_with_config`.
    pub async fn new_with_config<S>(
        connection_info: &RedisConnectionInfo,
        stream: S,
        config: AsyncConnectionConfig,
    ) -> RedisResult<(Self, impl Future<Output = ()> + 'static)>
    where
        S: Unpin + ::tokio::io::AsyncRead + ::tokio::io::AsyncWrite + Send + 'static,
    {
        let new = redis::aio::MultiplexedConnection::new_with_config;
        let (inner, driver) = new(connection_info, stream, config).await?;
        let link = Link::of_client(&otel_core::Telemetry::global(), driver::unknown_server());
        Ok((Self { inner, link: link.connected(true) }, driver))
    }
}

#[cfg(feature = "connection-manager")]
impl ConnectionManager {
    /// As the driver's `new`.
    pub async fn new(client: Client) -> RedisResult<Self> {
        client.get_connection_manager().await
    }

    /// As the driver's `new_with_config`.
    pub async fn new_with_config(
        client: Client,
        config: ConnectionManagerConfig,
    ) -> RedisResult<Self> {
        client.get_connection_manager_with_config(config).await
    }

    /// As the driver's `new_lazy_with_config`.
    #[expect(clippy::needless_pass_by_value, reason = "as the driver has it")]
    pub fn new_lazy_with_config(
        client: Client,
        config: ConnectionManagerConfig,
    ) -> RedisResult<Self> {
        client.get_connection_manager_lazy(config)
    }
}

impl Client {
    /// As the driver's `get_multiplexed_async_connection`.
    pub async fn get_multiplexed_async_connection(&self) -> RedisResult<MultiplexedConnection> {
        self.raw().get_multiplexed_async_connection().await.map(|it| self.connected(it))
    }

    /// As the driver's `get_multiplexed_async_connection_with_config`.
    pub async fn get_multiplexed_async_connection_with_config(
        &self,
        config: &AsyncConnectionConfig,
    ) -> RedisResult<MultiplexedConnection> {
        let connecting = self.raw().get_multiplexed_async_connection_with_config(config);
        connecting.await.map(|it| self.connected(it))
    }
}

#[cfg(feature = "connection-manager")]
impl Client {
    /// As the driver's `get_connection_manager`.
    pub async fn get_connection_manager(&self) -> RedisResult<ConnectionManager> {
        self.raw().get_connection_manager().await.map(|it| self.wrap(it))
    }

    /// As the driver's `get_connection_manager_lazy`.
    pub fn get_connection_manager_lazy(
        &self,
        config: ConnectionManagerConfig,
    ) -> RedisResult<ConnectionManager> {
        self.raw().get_connection_manager_lazy(config).map(|it| self.wrap(it))
    }

    /// As the driver's `get_connection_manager_with_config`.
    pub async fn get_connection_manager_with_config(
        &self,
        config: ConnectionManagerConfig,
    ) -> RedisResult<ConnectionManager> {
        let connecting = self.raw().get_connection_manager_with_config(config);
        connecting.await.map(|it| self.wrap(it))
    }
}
