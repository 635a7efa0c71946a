//! The client, which makes connections and is one itself.

use std::time::Duration;

use otel_core::Telemetry;
use redis::{Cmd, ConnectionInfo, ConnectionLike, IntoConnectionInfo, RedisResult, Value};

use crate::builder::Builder;
use crate::connection::Connection;
use crate::driver;

/// The driver's client, whose connections are instrumented. A command that is sent to the client
/// itself gets a connection of its own, which is a part of that call.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) inner: Connection<redis::Client>,
}

impl From<redis::Client> for Client {
    fn from(client: redis::Client) -> Self {
        Self::new(client)
    }
}

impl Builder<redis::Client> {
    /// Makes the instrumented client.
    pub fn build(self) -> Client {
        let link = self.link();
        Client { inner: Connection { inner: self.handle, link } }
    }
}

impl Client {
    /// Instruments a client, with the global telemetry.
    pub fn new(client: redis::Client) -> Self {
        Self::builder(client).build()
    }

    /// Instruments a client.
    pub fn with(client: redis::Client, telemetry: &Telemetry) -> Self {
        Self::builder(client).telemetry(telemetry).build()
    }

    /// Instruments a client with more than the others can tell.
    pub fn builder(client: redis::Client) -> Builder<redis::Client> {
        let server = driver::server(client.get_connection_info());
        Builder::of(client, server)
    }

    /// As the driver's `open`.
    pub fn open<T: IntoConnectionInfo>(params: T) -> RedisResult<Self> {
        redis::Client::open(params).map(Self::new)
    }

    /// As the driver's `build_with_tls`.
    #[cfg(feature = "tokio-rustls-comp")]
    pub fn build_with_tls<C: IntoConnectionInfo>(
        conn_info: C,
        tls_certs: redis::TlsCertificates,
    ) -> RedisResult<Self> {
        redis::Client::build_with_tls(conn_info, tls_certs).map(Self::new)
    }

    /// Instruments a connection to this client's server that was made elsewhere, such as that of a
    /// pool.
    pub fn wrap<C>(&self, connection: C) -> Connection<C> {
        Connection { inner: connection, link: self.inner.link.connected(false) }
    }

    /// A connection that the driver made, and does not make anew.
    pub(crate) fn connected<C>(&self, connection: C) -> Connection<C> {
        Connection { inner: connection, link: self.inner.link.connected(true) }
    }

    /// As the driver's `get_connection`.
    pub fn get_connection(&self) -> RedisResult<Connection> {
        self.raw().get_connection().map(|connection| self.connected(connection))
    }

    /// As the driver's `get_connection_with_timeout`.
    pub fn get_connection_with_timeout(&self, timeout: Duration) -> RedisResult<Connection> {
        let connection = self.raw().get_connection_with_timeout(timeout)?;
        Ok(self.connected(connection))
    }

    /// The driver's client: what is done with it is not seen.
    pub fn raw(&self) -> &redis::Client {
        &self.inner.inner
    }

    /// The driver's client alone.
    pub fn into_inner(self) -> redis::Client {
        self.inner.inner
    }

    /// As the driver's `get_connection_info`.
    pub fn get_connection_info(&self) -> &ConnectionInfo {
        self.raw().get_connection_info()
    }

    /// As the driver's `get_async_pubsub`.
    #[cfg(feature = "aio")]
    pub async fn get_async_pubsub(&self) -> RedisResult<crate::aio::PubSub> {
        let raw = self.raw().get_async_pubsub().await?;
        let database = ConnectionLike::get_db(self.raw());
        Ok(crate::aio::PubSub::of(raw, &self.inner.link, database))
    }

    /// As the driver's `get_async_monitor`.
    #[cfg(feature = "aio")]
    pub async fn get_async_monitor(&self) -> RedisResult<redis::aio::Monitor> {
        self.raw().get_async_monitor().await
    }
}

/// A call of the client itself: see [`Client`].
impl ConnectionLike for Client {
    fn req_packed_command(&mut self, cmd: &[u8]) -> RedisResult<Value> {
        self.inner.req_packed_command(cmd)
    }

    fn req_packed_commands(
        &mut self,
        cmd: &[u8],
        offset: usize,
        count: usize,
    ) -> RedisResult<Vec<Value>> {
        self.inner.req_packed_commands(cmd, offset, count)
    }

    fn req_command(&mut self, cmd: &Cmd) -> RedisResult<Value> {
        self.inner.req_command(cmd)
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
