//! The connections of one node, counted by the events of its pool.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use mongodb::event::cmap::ConnectionPoolOptions;
use otel_core::Db;
use otel_core::db::pool::{PoolMetrics, PoolState};

use crate::driver::Mongo;

/// What the driver allows where nothing is said.
const MAX_POOL_SIZE: u32 = 10;

pub(crate) struct Pool {
    connections: Arc<Connections>,
    metrics: PoolMetrics,
}

#[derive(Default)]
struct Connections {
    /// Those that are ready, by their ids, and since when one is in use.
    ready: Mutex<HashMap<u32, Option<Instant>>>,
    max: Option<u64>,
    min: Option<u64>,
}

impl Pool {
    pub(crate) fn new(
        db: &Db<Mongo>,
        name: String,
        options: Option<&ConnectionPoolOptions>,
    ) -> Self {
        let max = options.and_then(|options| options.max_pool_size).unwrap_or(MAX_POOL_SIZE);
        let min = options.and_then(|options| options.min_pool_size);
        let told = |size: u32| Some(u64::from(size)).filter(|size| *size > 0);
        let connections =
            Connections { max: told(max), min: min.and_then(told), ..Connections::default() };
        let connections = Arc::new(connections);
        Self { metrics: db.pool(name, &connections), connections }
    }

    pub(crate) fn metrics(&self) -> &PoolMetrics {
        &self.metrics
    }

    pub(crate) fn ready(&self, connection: u32) {
        self.connections.lock().insert(connection, None);
    }

    pub(crate) fn checked_out(&self, connection: u32) {
        self.connections.lock().insert(connection, Some(Instant::now()));
    }

    pub(crate) fn checked_in(&self, connection: u32) {
        let was = self.connections.lock().insert(connection, None);
        self.used(was);
    }

    /// Also of one that was never ready.
    pub(crate) fn closed(&self, connection: u32) {
        let was = self.connections.lock().remove(&connection);
        self.used(was);
    }

    fn used(&self, since: Option<Option<Instant>>) {
        if let Some(since) = since.flatten() {
            self.metrics.used(since.elapsed());
        }
    }
}

impl Connections {
    fn lock(&self) -> MutexGuard<'_, HashMap<u32, Option<Instant>>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PoolState for Connections {
    fn size(&self) -> u64 {
        self.lock().len() as u64
    }

    fn idle(&self) -> u64 {
        self.lock().values().filter(|since| since.is_none()).count() as u64
    }

    fn max(&self) -> Option<u64> {
        self.max
    }

    fn idle_min(&self) -> Option<u64> {
        self.min
    }

    /// Of a request that is dropped while it waits, the driver says nothing.
    fn tells_pending(&self) -> bool {
        false
    }
}
