//! Pools: what they hand out is instrumented, and waits, uses and numbers of connections are measured.
//! Clients are the managers of pools too. What a pool asks to see whether a connection is alive is not
//! seen.

use std::borrow::Cow;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

#[cfg(any(feature = "bb8", feature = "r2d2"))]
use otel_core::db::pool::Creating;
use otel_core::db::pool::{InUse, PoolMetrics, PoolState, Waiting};
#[cfg(any(feature = "bb8", feature = "r2d2"))]
use redis::RedisError;

use crate::connection::Connection;
use crate::link::Link;

/// A pool that says how many connections it has.
pub trait Status: Send + Sync + 'static {
    /// All open connections.
    fn size(&self) -> u64;
    /// Open connections that nobody uses.
    fn idle(&self) -> u64;
    /// The most connections allowed, if the pool says it.
    fn max(&self) -> Option<u64> {
        None
    }
    /// The least idle connections kept, if the pool says it.
    fn idle_min(&self) -> Option<u64> {
        None
    }
}

#[cfg(feature = "r2d2")]
impl<M: r2d2::ManageConnection> Status for r2d2::Pool<M> {
    fn size(&self) -> u64 {
        self.state().connections.into()
    }

    fn idle(&self) -> u64 {
        self.state().idle_connections.into()
    }

    fn max(&self) -> Option<u64> {
        Some(self.max_size().into())
    }

    fn idle_min(&self) -> Option<u64> {
        self.min_idle().map(u64::from)
    }
}

#[cfg(feature = "bb8")]
impl<M: bb8::ManageConnection> Status for bb8::Pool<M> {
    fn size(&self) -> u64 {
        self.state().connections.into()
    }

    fn idle(&self) -> u64 {
        self.state().idle_connections.into()
    }
}

#[cfg(feature = "deadpool")]
impl<M, W> Status for deadpool::managed::Pool<M, W>
where
    M: deadpool::managed::Manager<Type: Send> + Send + Sync + 'static,
    W: From<deadpool::managed::Object<M>> + 'static,
{
    fn size(&self) -> u64 {
        self.status().size as u64
    }

    fn idle(&self) -> u64 {
        self.status().available as u64
    }

    fn max(&self) -> Option<u64> {
        Some(self.status().max_size as u64)
    }
}

/// A connection as a pool holds it.
pub trait Held {
    /// How it is handed out, in the pool's own guard: one of the driver's is instrumented by then.
    type Taken<G>;

    /// How long it took to make it, if that is known and nobody has asked yet.
    #[doc(hidden)]
    fn created(&mut self) -> Option<Duration> {
        None
    }

    #[doc(hidden)]
    fn take<G>(
        taken: Taken<G>,
        wrap: impl FnOnce(Taken<G>) -> Connection<Taken<G>>,
    ) -> Self::Taken<G>;
}

impl<C> Held for Connection<C> {
    type Taken<G> = Taken<G>;

    fn created(&mut self) -> Option<Duration> {
        self.link.created.take()
    }

    fn take<G>(taken: Taken<G>, _: impl FnOnce(Taken<G>) -> Connection<Taken<G>>) -> Taken<G> {
        taken
    }
}

macro_rules! held_by_the_driver {
    ($($(#[$when:meta])* $connection:ty;)*) => {$(
        $(#[$when])*
        impl Held for $connection {
            // Code that reaches through the pool's guard reaches through this one.
            type Taken<G> = Box<Connection<Taken<G>>>;

            fn take<G>(
                taken: Taken<G>,
                wrap: impl FnOnce(Taken<G>) -> Connection<Taken<G>>,
            ) -> Self::Taken<G> {
                Box::new(wrap(taken))
            }
        }
    )*};
}

held_by_the_driver! {
    redis::Connection;
    #[cfg(feature = "aio")]
    redis::aio::MultiplexedConnection;
    #[cfg(feature = "connection-manager")]
    redis::aio::ConnectionManager;
    #[cfg(feature = "cluster")]
    redis::cluster::ClusterConnection;
    #[cfg(feature = "cluster-async")]
    redis::cluster_async::ClusterConnection;
}

/// The guard of a pool, whose use is timed until this is dropped.
pub struct Taken<G> {
    guard: G,
    _use: InUse,
}

impl<G: fmt::Debug> fmt::Debug for Taken<G> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.guard.fmt(formatter)
    }
}

impl<G: Deref> Deref for Taken<G> {
    type Target = G::Target;

    fn deref(&self) -> &G::Target {
        &self.guard
    }
}

impl<G: DerefMut> DerefMut for Taken<G> {
    fn deref_mut(&mut self) -> &mut G::Target {
        &mut self.guard
    }
}

/// Blocking, the driver has this for all that is reached in that way.
#[cfg(feature = "aio")]
impl<G: DerefMut<Target: redis::aio::ConnectionLike> + Send> redis::aio::ConnectionLike
    for Taken<G>
{
    fn req_packed_command<'a>(
        &'a mut self,
        cmd: &'a redis::Cmd,
    ) -> redis::RedisFuture<'a, redis::Value> {
        redis::aio::ConnectionLike::req_packed_command(&mut **self, cmd)
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        cmd: &'a redis::Pipeline,
        offset: usize,
        count: usize,
    ) -> redis::RedisFuture<'a, Vec<redis::Value>> {
        redis::aio::ConnectionLike::req_packed_commands(&mut **self, cmd, offset, count)
    }

    fn get_db(&self) -> i64 {
        redis::aio::ConnectionLike::get_db(&**self)
    }
}

struct Counted<P>(P);

impl<P: Status> PoolState for Counted<P> {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn idle(&self) -> u64 {
        self.0.idle()
    }

    fn max(&self) -> Option<u64> {
        self.0.max()
    }

    fn idle_min(&self) -> Option<u64> {
        self.0.idle_min()
    }
}

/// A pool of which is told, as long as this or a clone lives, how many connections it has, who waits
/// for one and how long, and how long each is used. What it hands out is instrumented, whether it
/// holds connections of this crate or of the driver.
pub struct Pool<P> {
    counted: Arc<Counted<P>>,
    metrics: PoolMetrics,
    link: Link,
}

impl<P> Clone for Pool<P> {
    fn clone(&self) -> Self {
        let (counted, link) = (Arc::clone(&self.counted), self.link.clone());
        Self { counted, metrics: self.metrics.clone(), link }
    }
}

impl<P> fmt::Debug for Pool<P> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Pool").field(&self.metrics).finish()
    }
}

impl<P> Pool<P> {
    /// The pool itself: what is taken from it here is not timed, and not instrumented if the pool
    /// holds connections of the driver.
    pub fn raw(&self) -> &P {
        &self.counted.0
    }

    fn take<H: Held, G>(&self, guard: G, in_use: InUse) -> H::Taken<G> {
        let wrap = |taken| Connection { inner: taken, link: self.link.connected(false) };
        H::take(Taken { guard, _use: in_use }, wrap)
    }

    fn end<H: Held, G, E>(
        &self,
        waiting: Waiting,
        got: Result<G, E>,
        is_timeout: impl FnOnce(&E) -> bool,
        created: impl FnOnce(&mut G) -> Option<Duration>,
    ) -> Result<H::Taken<G>, E> {
        match got {
            Ok(mut guard) => {
                // Told with the first use: the manager that made it does not know the pool.
                if let Some(elapsed) = created(&mut guard) {
                    self.metrics.created(elapsed);
                }
                Ok(self.take::<H, G>(guard, waiting.got()))
            }
            Err(error) => {
                if is_timeout(&error) {
                    waiting.timed_out();
                }
                Err(error)
            }
        }
    }
}

/// What is handed out of a pool of these connections, in its guard.
type Given<C, G> = <C as Held>::Taken<G>;

#[cfg(feature = "r2d2")]
impl<M: r2d2::ManageConnection<Connection: Held>> Pool<r2d2::Pool<M>> {
    /// As the pool's `get`.
    pub fn get(&self) -> Result<Given<M::Connection, r2d2::PooledConnection<M>>, r2d2::Error> {
        self.get_timeout(self.raw().connection_timeout())
    }

    /// As the pool's `get_timeout`.
    pub fn get_timeout(
        &self,
        timeout: Duration,
    ) -> Result<Given<M::Connection, r2d2::PooledConnection<M>>, r2d2::Error> {
        let waiting = self.metrics.wait();
        // It has no other error.
        let is_timeout = |_: &_| true;
        let got = self.raw().get_timeout(timeout);
        self.end::<M::Connection, _, _>(waiting, got, is_timeout, |guard| guard.created())
    }

    /// As the pool's `try_get`.
    pub fn try_get(&self) -> Option<Given<M::Connection, r2d2::PooledConnection<M>>> {
        let mut guard = self.raw().try_get()?;
        if let Some(elapsed) = guard.created() {
            self.metrics.created(elapsed);
        }
        Some(self.take::<M::Connection, _>(guard, self.metrics.in_use()))
    }
}

#[cfg(feature = "bb8")]
impl<M: bb8::ManageConnection<Connection: Held>> Pool<bb8::Pool<M>> {
    /// As the pool's `get`.
    pub async fn get(
        &self,
    ) -> Result<Given<M::Connection, bb8::PooledConnection<'_, M>>, bb8::RunError<M::Error>> {
        let waiting = self.metrics.wait();
        let is_timeout = |error: &_| matches!(error, bb8::RunError::TimedOut);
        let got = self.raw().get().await;
        self.end::<M::Connection, _, _>(waiting, got, is_timeout, |guard| guard.created())
    }

    /// As the pool's `get_owned`.
    pub async fn get_owned(
        &self,
    ) -> Result<Given<M::Connection, bb8::PooledConnection<'static, M>>, bb8::RunError<M::Error>>
    {
        let waiting = self.metrics.wait();
        let is_timeout = |error: &_| matches!(error, bb8::RunError::TimedOut);
        let got = self.raw().get_owned().await;
        self.end::<M::Connection, _, _>(waiting, got, is_timeout, |guard| guard.created())
    }
}

#[cfg(feature = "deadpool")]
impl<M, W> Pool<deadpool::managed::Pool<M, W>>
where
    M: deadpool::managed::Manager<Type: Held>,
    W: From<deadpool::managed::Object<M>>,
{
    /// As the pool's `get`.
    pub async fn get(&self) -> Result<Given<M::Type, W>, deadpool::managed::PoolError<M::Error>> {
        self.timeout_get(&self.raw().timeouts()).await
    }

    /// As the pool's `timeout_get`.
    pub async fn timeout_get(
        &self,
        timeouts: &deadpool::managed::Timeouts,
    ) -> Result<Given<M::Type, W>, deadpool::managed::PoolError<M::Error>> {
        let waiting = self.metrics.wait();
        let is_timeout = |error: &_| matches!(error, deadpool::managed::PoolError::Timeout(_));
        let got = self.raw().timeout_get(timeouts).await;
        self.end::<M::Type, _, _>(waiting, got, is_timeout, |_| None)
    }
}

impl Link {
    fn pool<P: Status>(&self, name: impl Into<Cow<'static, str>>, pool: P) -> Pool<P> {
        let counted = Arc::new(Counted(pool));
        Pool { metrics: self.db.pool(name, &counted), counted, link: self.clone() }
    }
}

impl crate::Client {
    /// Measures a pool of connections to this client's server, under a name. A second pool of one
    /// name in the process becomes `name#2`.
    pub fn pool<P: Status>(&self, name: impl Into<Cow<'static, str>>, pool: P) -> Pool<P> {
        self.inner.link.pool(name, pool)
    }
}

#[cfg(feature = "cluster")]
impl crate::cluster::ClusterClient {
    /// Measures a pool of connections to this cluster, as [`Client::pool`](crate::Client::pool).
    pub fn pool<P: Status>(&self, name: impl Into<Cow<'static, str>>, pool: P) -> Pool<P> {
        self.link.pool(name, pool)
    }
}

/// Makes the driver's manager of the same name one of this crate's connections.
#[cfg(feature = "r2d2")]
macro_rules! forward_r2d2 {
    ($client:ty, $connection:ty) => {
        impl r2d2::ManageConnection for $client {
            type Connection = $connection;
            type Error = RedisError;

            fn connect(&self) -> Result<Self::Connection, RedisError> {
                let creating = Creating::start();
                let mut connection = self.get_connection()?;
                connection.link.created = Some(creating.done());
                Ok(connection)
            }

            fn is_valid(&self, connection: &mut Self::Connection) -> Result<(), RedisError> {
                r2d2::ManageConnection::is_valid(self.raw(), &mut connection.inner)
            }

            fn has_broken(&self, connection: &mut Self::Connection) -> bool {
                r2d2::ManageConnection::has_broken(self.raw(), &mut connection.inner)
            }
        }
    };
}

#[cfg(feature = "r2d2")]
forward_r2d2!(crate::Client, Connection);
#[cfg(all(feature = "r2d2", feature = "cluster"))]
forward_r2d2!(crate::cluster::ClusterClient, crate::cluster::ClusterConnection);

/// The same for asynchronous pools.
#[cfg(feature = "bb8")]
macro_rules! forward_bb8 {
    ($client:ty, $connection:ty, $connect:ident) => {
        impl bb8::ManageConnection for $client {
            type Connection = $connection;
            type Error = RedisError;

            async fn connect(&self) -> Result<Self::Connection, RedisError> {
                let creating = Creating::start();
                let mut connection = self.$connect().await?;
                connection.link.created = Some(creating.done());
                Ok(connection)
            }

            async fn is_valid(&self, connection: &mut Self::Connection) -> Result<(), RedisError> {
                bb8::ManageConnection::is_valid(self.raw(), &mut connection.inner).await
            }

            fn has_broken(&self, connection: &mut Self::Connection) -> bool {
                bb8::ManageConnection::has_broken(self.raw(), &mut connection.inner)
            }
        }
    };
}

#[cfg(feature = "bb8")]
forward_bb8!(crate::Client, crate::aio::MultiplexedConnection, get_multiplexed_async_connection);
#[cfg(all(feature = "bb8", feature = "cluster-async"))]
forward_bb8!(
    crate::cluster::ClusterClient,
    crate::cluster_async::ClusterConnection,
    get_async_connection
);
