//! The driver's module of the same name, with the connections of this crate.

use redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};
use redis::{Cmd, Pipeline, RedisResult, Value};

pub use redis::cluster_async::*;

use crate::aio::forward_commands;
use crate::cluster::{ClusterClient, ClusterConfig};
use crate::connection::Connection;
#[cfg(feature = "cache-aio")]
use crate::connection::forward;

/// The driver's connection of that name, instrumented.
pub type ClusterConnection<C = redis::aio::MultiplexedConnection> =
    Connection<redis::cluster_async::ClusterConnection<C>>;

impl ClusterClient {
    /// As the driver's `get_async_connection`.
    pub async fn get_async_connection(&self) -> RedisResult<ClusterConnection> {
        self.raw().get_async_connection().await.map(|it| self.wrap(it))
    }

    /// As the driver's `get_async_connection_with_config`.
    pub async fn get_async_connection_with_config(
        &self,
        config: ClusterConfig,
    ) -> RedisResult<ClusterConnection> {
        self.raw().get_async_connection_with_config(config).await.map(|it| self.wrap(it))
    }

    /// As the driver's `get_pending_async_connection_with_config`.
    pub fn get_pending_async_connection_with_config(
        &self,
        config: ClusterConfig,
    ) -> ClusterConnection {
        self.wrap(self.raw().get_pending_async_connection_with_config(config))
    }
}

impl<C> ClusterConnection<C>
where
    C: redis::aio::ConnectionLike + Connect + Clone + Send + Sync + Unpin + 'static,
{
    /// As the driver's `route_command`.
    pub async fn route_command(&mut self, cmd: Cmd, routing: RoutingInfo) -> RedisResult<Value> {
        let Self { inner, link } = self;
        if let Some(queue) = link.queue_of(&cmd) {
            let (edited, started) = queue.start(link, &cmd, 0);
            let sent = edited.unwrap_or_else(|| cmd.clone());
            return started.run(inner.route_command(sent, routing)).await;
        }
        link.run(cmd, 0, |cmd| inner.route_command(cmd, routing)).await
    }

    /// As the driver's `route_pipeline`.
    pub async fn route_pipeline(
        &mut self,
        pipeline: Pipeline,
        offset: usize,
        count: usize,
        route: SingleNodeRoutingInfo,
    ) -> RedisResult<Vec<Value>> {
        let Self { inner, link } = self;
        if let Some(queue) = link.queue_of(&pipeline) {
            let (edited, started) = queue.start(link, &pipeline, 0);
            let sent = edited.unwrap_or_else(|| pipeline.clone());
            return started.run(inner.route_pipeline(sent, offset, count, route)).await;
        }
        let call = |pipeline| inner.route_pipeline(pipeline, offset, count, route);
        link.run(pipeline, 0, call).await
    }
}

impl ClusterConnection {
    forward_commands! {
        subscribe = "SUBSCRIBE";
        unsubscribe = "UNSUBSCRIBE";
        psubscribe = "PSUBSCRIBE";
        punsubscribe = "PUNSUBSCRIBE";
        ssubscribe = "SSUBSCRIBE";
        sunsubscribe = "SUNSUBSCRIBE";
    }

    #[cfg(feature = "cache-aio")]
    forward! {
        get_cache_statistics() -> Option<redis::caching::CacheStatistics>;
    }
}
