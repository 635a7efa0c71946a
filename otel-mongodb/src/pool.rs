//! The connections of one node, counted by the events of its pool.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mongodb::event::cmap::ConnectionPoolOptions;
use otel_core::Db;
use otel_core::db::pool::{InUse, PoolMetrics, PoolState};

use crate::driver::Mongo;

/// What the driver allows where nothing is said.
const MAX_POOL_SIZE: u32 = 10;

pub(crate) struct Pool {
    connections: Arc<Connections>,
    pub(crate) metrics: PoolMetrics,
}

#[derive(Default)]
struct Connections {
    /// Those that are ready, by their ids, and whether one is in use.
    ready: Mutex<HashMap<u32, Option<InUse>>>,
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

    /// It is there, or there again.
    pub(crate) fn ready(&self, connection: u32) {
        // What a guard tells when it is dropped is told without the lock.
        let was = self.connections.lock().insert(connection, None);
        drop(was);
    }

    pub(crate) fn checked_out(&self, connection: u32) {
        let was = self.connections.lock().insert(connection, Some(self.metrics.in_use()));
        drop(was);
    }

    /// Also of one that was never ready.
    pub(crate) fn closed(&self, connection: u32) {
        let was = self.connections.lock().remove(&connection);
        drop(was);
    }
}

impl Connections {
    fn lock(&self) -> MutexGuard<'_, HashMap<u32, Option<InUse>>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PoolState for Connections {
    fn size(&self) -> u64 {
        self.lock().len() as u64
    }

    fn idle(&self) -> u64 {
        self.lock().values().filter(|used| used.is_none()).count() as u64
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
