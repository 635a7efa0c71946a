//! Clients as the managers of pools, whose connections are then those of this crate, and gauges of
//! pools. What a pool asks to see whether a connection is alive is not seen.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use otel_core::db::pool::{PoolMetrics, PoolState};
#[cfg(any(feature = "bb8", feature = "r2d2"))]
use redis::RedisError;

/// A pool that says how many connections it has. A clone is another handle of the same pool.
pub trait Pool: Clone + Send + Sync + 'static {
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
impl<M: r2d2::ManageConnection> Pool for r2d2::Pool<M> {
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
impl<M: bb8::ManageConnection> Pool for bb8::Pool<M> {
    fn size(&self) -> u64 {
        self.state().connections.into()
    }

    fn idle(&self) -> u64 {
        self.state().idle_connections.into()
    }
}

#[cfg(feature = "deadpool")]
impl<M> Pool for deadpool::managed::Pool<M>
where
    M: deadpool::managed::Manager<Type: Send> + Send + Sync + 'static,
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

struct Counted<P>(P);

impl<P: Pool> PoolState for Counted<P> {
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

/// The gauges of a pool, which are read as long as this lives.
#[must_use = "the gauges are read as long as this lives"]
pub struct Gauges {
    metrics: PoolMetrics,
    _state: Arc<dyn Any + Send + Sync>,
}

impl fmt::Debug for Gauges {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Gauges").field(&self.metrics).finish()
    }
}

impl crate::Client {
    /// Counts the connections of a pool of this client's server, under a name. A second pool of one
    /// name in the process becomes `name#2`.
    pub fn pool_gauges(&self, name: impl Into<Cow<'static, str>>, pool: &impl Pool) -> Gauges {
        let state = Arc::new(Counted(pool.clone()));
        let metrics = self.inner.link.db.pool(name, &state);
        Gauges { metrics, _state: state }
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
                self.get_connection()
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
forward_r2d2!(crate::Client, crate::Connection);
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
                self.$connect().await
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
