//! Clients as the managers of pools, whose connections are then those of this crate. What a pool
//! asks to see whether a connection is alive is not seen.

use redis::RedisError;

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
