//! The driver's module of the same name, with the clients of this crate.

use std::fmt;

use otel_core::Telemetry;
use redis::{ConnectionAddr, IntoConnectionInfo, RedisResult};

pub use redis::sentinel::*;

use crate::client::Client;
use crate::connection::Connection;
use crate::link::Link;
use crate::message::Messaging;

/// Makes clients of this crate from the driver's. Those of one node, one after the other, share
/// what is kept of their calls.
#[derive(Debug)]
struct Clients {
    telemetry: Telemetry,
    messaging: Option<Messaging>,
    last: Option<(ConnectionAddr, Link)>,
}

impl Clients {
    fn new(telemetry: &Telemetry) -> Self {
        Self { telemetry: telemetry.clone(), messaging: None, last: None }
    }

    fn client(&mut self, client: redis::Client) -> Client {
        let address = client.get_connection_info().addr();
        if let Some((_, link)) = self.last.as_ref().filter(|(last, _)| last == address) {
            return Client { inner: Connection { inner: client, link: link.clone() } };
        }
        let address = address.clone();
        let client = Client::builder(client).telemetry(&self.telemetry);
        let client = client.messaging_as(self.messaging).build();
        self.last = Some((address, client.inner.link.clone()));
        client
    }
}

/// The driver's methods that give a client.
macro_rules! forward_clients {
    ($($name:ident)*) => {$(
        #[doc = concat!("As the driver's `", stringify!($name), "`.")]
        pub fn $name(
            &mut self,
            service_name: &str,
            node_connection_info: Option<&SentinelNodeConnectionInfo>,
        ) -> RedisResult<Client> {
            let client = self.inner.$name(service_name, node_connection_info)?;
            Ok(self.clients.client(client))
        }
    )*};
    (async: $($name:ident)*) => {$(
        #[doc = concat!("As the driver's `", stringify!($name), "`.")]
        #[cfg(feature = "aio")]
        pub async fn $name(
            &mut self,
            service_name: &str,
            node_connection_info: Option<&SentinelNodeConnectionInfo>,
        ) -> RedisResult<Client> {
            let client = self.inner.$name(service_name, node_connection_info).await?;
            Ok(self.clients.client(client))
        }
    )*};
}

/// The driver's `Sentinel`, whose clients are instrumented. What it asks the sentinels is not seen.
pub struct Sentinel {
    inner: redis::sentinel::Sentinel,
    clients: Clients,
}

/// The driver's `SentinelClient`, whose clients and connections are instrumented. What it asks the
/// sentinels is not seen.
pub struct SentinelClient {
    inner: redis::sentinel::SentinelClient,
    clients: Clients,
}

macro_rules! made {
    ($($type:ident)*) => {$(
        impl fmt::Debug for $type {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut shown = formatter.debug_struct(stringify!($type));
                shown.field("clients", &self.clients).finish_non_exhaustive()
            }
        }

        /// With the global telemetry.
        impl From<redis::sentinel::$type> for $type {
            fn from(sentinel: redis::sentinel::$type) -> Self {
                Self::with(sentinel, &Telemetry::global())
            }
        }

        impl $type {
            /// Instruments what it makes.
            pub fn with(sentinel: redis::sentinel::$type, telemetry: &Telemetry) -> Self {
                Self { inner: sentinel, clients: Clients::new(telemetry) }
            }

            /// Default: none. Makes streams and pub/sub of its clients messaging, as it says.
            #[must_use]
            pub fn messaging(mut self, messaging: Messaging) -> Self {
                self.clients.messaging = Some(messaging);
                self.clients.last = None;
                self
            }

            /// The driver's own alone.
            pub fn into_inner(self) -> redis::sentinel::$type {
                self.inner
            }
        }
    )*};
}

made!(Sentinel SentinelClient);

impl Sentinel {
    /// As the driver's `build`.
    pub fn build<T: IntoConnectionInfo>(params: Vec<T>) -> RedisResult<Self> {
        redis::sentinel::Sentinel::build(params).map(Self::from)
    }

    forward_clients! { master_for replica_for replica_rotate_for }
    forward_clients! { async: async_master_for async_replica_for async_replica_rotate_for }

    /// As the driver's `get_replica_clients`.
    pub fn get_replica_clients(
        &mut self,
        service_name: &str,
        node_connection_info: Option<&SentinelNodeConnectionInfo>,
    ) -> RedisResult<Vec<Client>> {
        let clients = self.inner.get_replica_clients(service_name, node_connection_info)?;
        Ok(clients.into_iter().map(|client| self.clients.client(client)).collect())
    }

    /// As the driver's `async_get_replica_clients`.
    #[cfg(feature = "aio")]
    pub async fn async_get_replica_clients(
        &mut self,
        service_name: &str,
        node_connection_info: Option<&SentinelNodeConnectionInfo>,
    ) -> RedisResult<Vec<Client>> {
        let asked = self.inner.async_get_replica_clients(service_name, node_connection_info);
        Ok(asked.await?.into_iter().map(|client| self.clients.client(client)).collect())
    }
}

impl SentinelClient {
    /// As the driver's `build`.
    pub fn build<T: IntoConnectionInfo>(
        params: Vec<T>,
        service_name: impl AsRef<str>,
        node_connection_info: Option<SentinelNodeConnectionInfo>,
        server_type: SentinelServerType,
    ) -> RedisResult<Self> {
        // A feature of the driver decides which of the two it takes.
        let name = service_name.as_ref().to_owned();
        let build = redis::sentinel::SentinelClient::build;
        build(params, name, node_connection_info, server_type).map(Self::from)
    }

    /// As the driver's `get_client`.
    pub fn get_client(&mut self) -> RedisResult<Client> {
        self.inner.get_client().map(|client| self.clients.client(client))
    }

    /// As the driver's `get_sentinel_client`.
    pub fn get_sentinel_client(&mut self) -> RedisResult<Client> {
        self.inner.get_sentinel_client().map(|client| self.clients.client(client))
    }

    /// As the driver's `get_connection`.
    pub fn get_connection(&mut self) -> RedisResult<Connection> {
        self.get_client()?.get_connection()
    }
}

#[cfg(feature = "aio")]
impl SentinelClient {
    /// As the driver's `async_get_client`.
    pub async fn async_get_client(&mut self) -> RedisResult<Client> {
        self.inner.async_get_client().await.map(|client| self.clients.client(client))
    }

    /// As the driver's `async_get_sentinel_client`.
    pub async fn async_get_sentinel_client(&mut self) -> RedisResult<Client> {
        self.inner.async_get_sentinel_client().await.map(|client| self.clients.client(client))
    }

    /// As the driver's `get_async_connection`.
    pub async fn get_async_connection(&mut self) -> RedisResult<crate::aio::MultiplexedConnection> {
        self.async_get_client().await?.get_multiplexed_async_connection().await
    }

    /// As the driver's `get_async_connection_with_config`.
    pub async fn get_async_connection_with_config(
        &mut self,
        config: &redis::AsyncConnectionConfig,
    ) -> RedisResult<crate::aio::MultiplexedConnection> {
        let client = self.async_get_client().await?;
        client.get_multiplexed_async_connection_with_config(config).await
    }
}

/// The driver's `SentinelClientBuilder`.
#[derive(Debug)]
pub struct SentinelClientBuilder {
    inner: redis::sentinel::SentinelClientBuilder,
    telemetry: Telemetry,
}

/// Forwards to the driver's method of the same name.
macro_rules! forward_settings {
    ($($(#[$when:meta])* $name:ident($argument:ident: $type:ty);)*) => {$(
        #[doc = concat!("As the driver's `", stringify!($name), "`.")]
        $(#[$when])*
        pub fn $name(self, $argument: $type) -> Self {
            Self { inner: self.inner.$name($argument), ..self }
        }
    )*};
}

impl SentinelClientBuilder {
    /// As the driver's `new`.
    pub fn new<T: IntoIterator<Item = ConnectionAddr>>(
        sentinels: T,
        service_name: impl AsRef<str>,
        server_type: SentinelServerType,
    ) -> RedisResult<Self> {
        let new = redis::sentinel::SentinelClientBuilder::new;
        let inner = new(sentinels, service_name, server_type)?;
        Ok(Self { inner, telemetry: Telemetry::global() })
    }

    /// Default: [`Telemetry::global`].
    pub fn telemetry(mut self, telemetry: &Telemetry) -> Self {
        self.telemetry = telemetry.clone();
        self
    }

    /// As the driver's `build`.
    pub fn build(self) -> RedisResult<SentinelClient> {
        Ok(SentinelClient::with(self.inner.build()?, &self.telemetry))
    }

    forward_settings! {
        set_client_to_redis_tls_mode(tls_mode: redis::TlsMode);
        set_client_to_redis_db(db: i64);
        set_client_to_redis_username(username: impl AsRef<str>);
        set_client_to_redis_password(password: impl AsRef<str>);
        set_client_to_redis_protocol(protocol: redis::ProtocolVersion);
        #[cfg(feature = "tokio-rustls-comp")]
        set_client_to_redis_certificates(certificates: redis::TlsCertificates);
        set_client_to_redis_tcp_settings(tcp_settings: redis::io::tcp::TcpSettings);
        set_client_to_sentinel_tls_mode(tls_mode: redis::TlsMode);
        set_client_to_sentinel_username(username: impl AsRef<str>);
        set_client_to_sentinel_password(password: impl AsRef<str>);
        #[cfg(feature = "tokio-rustls-comp")]
        set_client_to_sentinel_certificates(certificates: redis::TlsCertificates);
        set_client_to_sentinel_tcp_settings(tcp_settings: redis::io::tcp::TcpSettings);
        set_client_to_sentinel_protocol(protocol: redis::ProtocolVersion);
    }
}
