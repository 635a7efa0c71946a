//! The driver's module of the same name, with the client and the connections of this crate.

use std::fmt;

use otel_core::{DbServer, Telemetry};
use redis::cluster_routing::RoutingInfo;
use redis::{Cmd, ConnectionInfo, FromRedisValue, IntoConnectionInfo, RedisResult, Value};

pub use redis::cluster::*;

use crate::connection::{Connection, forward};
use crate::driver;
use crate::edit::Clustered;
use crate::link::Link;
use crate::message::Messaging;

/// The driver's connection of that name, instrumented.
pub type ClusterConnection<C = redis::Connection> =
    Connection<redis::cluster::ClusterConnection<C>>;

/// The driver's client of a cluster, whose connections are instrumented. Of several nodes that it
/// is given the first is told: which one a command goes to, the driver does not say.
#[derive(Clone)]
pub struct ClusterClient {
    inner: redis::cluster::ClusterClient,
    pub(crate) link: Link,
}

impl fmt::Debug for ClusterClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(formatter)
    }
}

/// With the global telemetry, and without a server, which the driver's client does not tell.
impl From<redis::cluster::ClusterClient> for ClusterClient {
    fn from(client: redis::cluster::ClusterClient) -> Self {
        Self::with(client, &Telemetry::global())
    }
}

impl ClusterClient {
    /// Instruments a client, whose nodes the driver does not tell.
    pub fn with(client: redis::cluster::ClusterClient, telemetry: &Telemetry) -> Self {
        Self { inner: client, link: Link::of_client(telemetry, driver::unknown_server()) }
    }

    /// As the driver's `new`.
    pub fn new<T: IntoConnectionInfo>(
        initial_nodes: impl IntoIterator<Item = T>,
    ) -> RedisResult<Self> {
        Self::builder(initial_nodes).build()
    }

    /// As the driver's `builder`.
    pub fn builder<T: IntoConnectionInfo>(
        initial_nodes: impl IntoIterator<Item = T>,
    ) -> ClusterClientBuilder {
        ClusterClientBuilder::new(initial_nodes)
    }

    /// Instruments a connection to this cluster that was made elsewhere, such as that of a pool.
    pub fn wrap<C>(&self, connection: C) -> Connection<C> {
        Connection { inner: connection, link: self.link.connected(false) }
    }

    /// The driver's client: what is done with it is not seen.
    pub fn raw(&self) -> &redis::cluster::ClusterClient {
        &self.inner
    }

    /// The driver's client alone.
    pub fn into_inner(self) -> redis::cluster::ClusterClient {
        self.inner
    }

    /// As the driver's `get_connection`.
    pub fn get_connection(&self) -> RedisResult<ClusterConnection> {
        self.inner.get_connection().map(|it| self.wrap(it))
    }

    /// As the driver's `get_connection_with_config`.
    pub fn get_connection_with_config(
        &self,
        config: ClusterConfig,
    ) -> RedisResult<ClusterConnection> {
        self.inner.get_connection_with_config(config).map(|it| self.wrap(it))
    }
}

/// A node as the driver wants it, or why there is none.
struct Node(RedisResult<ConnectionInfo>);

impl IntoConnectionInfo for Node {
    fn into_connection_info(self) -> RedisResult<ConnectionInfo> {
        self.0
    }
}

/// The driver's builder of a client of a cluster.
#[must_use]
pub struct ClusterClientBuilder {
    inner: redis::cluster::ClusterClientBuilder,
    server: DbServer,
    telemetry: Telemetry,
    messaging: Option<Messaging>,
    database: i64,
}

impl fmt::Debug for ClusterClientBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(formatter)
    }
}

/// Forwards to the driver's method of the same name.
macro_rules! forward_settings {
    ($($(#[$when:meta])* $name:ident($($argument:ident: $type:ty),*);)*) => {$(
        #[doc = concat!("As the driver's `", stringify!($name), "`.")]
        $(#[$when])*
        pub fn $name(self, $($argument: $type),*) -> Self {
            Self { inner: self.inner.$name($($argument),*), ..self }
        }
    )*};
}

impl ClusterClientBuilder {
    /// As the driver's `new`.
    pub fn new<T: IntoConnectionInfo>(initial_nodes: impl IntoIterator<Item = T>) -> Self {
        let nodes = initial_nodes.into_iter().map(|node| Node(node.into_connection_info()));
        let nodes: Vec<Node> = nodes.collect();
        let first = nodes.first().and_then(|node| node.0.as_ref().ok());
        let server = first.map_or_else(driver::unknown_server, driver::seed);
        let inner = redis::cluster::ClusterClientBuilder::new(nodes);
        Self { inner, server, telemetry: Telemetry::global(), messaging: None, database: 0 }
    }

    /// Default: [`Telemetry::global`].
    pub fn telemetry(mut self, telemetry: &Telemetry) -> Self {
        self.telemetry = telemetry.clone();
        self
    }

    /// Default: none. Makes streams and pub/sub messaging, as it says.
    pub fn messaging(mut self, messaging: Messaging) -> Self {
        self.messaging = Some(messaging);
        self
    }

    /// As the driver's `database_id`.
    pub fn database_id(self, database_id: i64) -> Self {
        Self { inner: self.inner.database_id(database_id), database: database_id, ..self }
    }

    /// As the driver's `build`.
    pub fn build(self) -> RedisResult<ClusterClient> {
        let mut link = Link::of_broker(&self.telemetry, self.server, self.messaging);
        link.first = self.database;
        Ok(ClusterClient { inner: self.inner.build()?, link })
    }

    forward_settings! {
        password(password: impl AsRef<str>);
        username(username: impl AsRef<str>);
        retries(retries: u32);
        max_retry_wait(max_wait: u64);
        min_retry_wait(min_wait: u64);
        retry_wait_formula(factor: u64, exponent_base: u64);
        #[deprecated(note = "use `read_routing_strategy(RandomReplicaStrategy)` instead")]
        #[expect(deprecated, reason = "forwarded as long as the driver has it")]
        read_from_replicas();
        read_routing_strategy(
            factory: impl redis::cluster_read_routing::ReadRoutingStrategyFactory + 'static
        );
        connection_timeout(connection_timeout: std::time::Duration);
        response_timeout(response_timeout: std::time::Duration);
        #[cfg(feature = "cluster-async")]
        overall_response_timeout(timeout: Option<std::time::Duration>);
        use_protocol(protocol: redis::ProtocolVersion);
        #[cfg(feature = "cluster-async")]
        push_sender(push_sender: impl redis::aio::AsyncPushSender);
        tcp_settings(tcp_settings: redis::io::tcp::TcpSettings);
        node_address_map(map: std::collections::HashMap<NodeAddress, NodeAddress>);
        #[cfg(feature = "tokio-rustls-comp")]
        tls(tls: TlsMode);
        #[cfg(feature = "tokio-rustls-comp")]
        certs(certificates: redis::TlsCertificates);
        #[cfg(feature = "tls-rustls-insecure")]
        danger_accept_invalid_hostnames(insecure: bool);
        #[cfg(feature = "cluster-async")]
        async_dns_resolver(resolver: impl redis::io::AsyncDNSResolver);
        #[cfg(all(feature = "cache-aio", feature = "cluster-async"))]
        cache_config(cache_config: redis::caching::CacheConfig);
        #[cfg(feature = "cluster-async")]
        connection_concurrency_limit(limit: usize);
        #[cfg(feature = "cluster-async")]
        write_backpressure_boundary(boundary: usize);
        #[cfg(all(feature = "token-based-authentication", feature = "cluster-async"))]
        set_credentials_provider(provider: impl redis::StreamingCredentialsProvider + 'static);
        #[cfg(feature = "cluster-async")]
        max_connection_attempts(max_attempts: std::num::NonZeroUsize);
    }
}

impl<C: Connect + redis::ConnectionLike> ClusterConnection<C> {
    /// As the driver's `route_command`.
    pub fn route_command(&mut self, cmd: &Cmd, routing: RoutingInfo) -> RedisResult<Value> {
        let Self { inner, link } = self;
        if let Some(queue) = link.queue_of(cmd) {
            let (edited, started) = queue.start(link, cmd, 0);
            return started.call(|| inner.route_command(edited.as_ref().unwrap_or(cmd), routing));
        }
        link.call(cmd, 0, |cmd| inner.route_command(cmd, routing))
    }

    forward! {
        set_auto_reconnect(value: bool);
        set_write_timeout(dur: Option<std::time::Duration>) -> RedisResult<()>;
        set_read_timeout(dur: Option<std::time::Duration>) -> RedisResult<()>;
    }

    forward! { mut: check_connection() -> bool; }
}

impl ClusterConnection {
    /// Sends a pipeline, which the driver's [`ClusterPipeline::query`] does for the driver's own
    /// connection only.
    pub fn query<T: FromRedisValue>(&mut self, pipeline: &ClusterPipeline) -> RedisResult<T> {
        let Self { inner, link } = self;
        let queue = link.queue_of(pipeline);
        let answers = match queue.zip(queue.and_then(|_| Clustered::new(pipeline))) {
            Some((queue, request)) => {
                let (edited, started) = queue.start(link, &request, 0);
                let pipeline = edited.as_ref().unwrap_or(pipeline);
                started.call(|| pipeline.query::<Vec<Value>>(inner))
            }
            None => link.call(pipeline, 0, |pipeline| pipeline.query(inner)),
        };
        Ok(redis::from_redis_value(Value::Array(answers?))?)
    }
}
