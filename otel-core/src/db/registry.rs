//! Layer `db`: the pools of a client, read by gauges when somebody collects.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use opentelemetry::metrics::{AsyncInstrument, Meter};
use opentelemetry::{KeyValue, StringValue};

use crate::attribute::{self as names, metric};
use crate::contain::contain;
use crate::pool_names::Named;

/// What a pool tells about itself whenever metrics are collected. Everything is optional; nothing
/// may block.
pub trait PoolState: Send + Sync + 'static {
    /// All open connections.
    fn size(&self) -> u64;
    /// Open connections that nobody uses. More than [`size`](Self::size), which a pool that counts
    /// without a lock may claim for a moment, counts as all of them.
    fn idle(&self) -> u64;
    /// The most connections allowed.
    fn max(&self) -> Option<u64> {
        None
    }
    /// The most idle connections allowed.
    fn idle_max(&self) -> Option<u64> {
        None
    }
    /// The least idle connections kept.
    fn idle_min(&self) -> Option<u64> {
        None
    }
    /// Whether the pool knows when a request that waits for a connection is given up. Of one that
    /// does not, nobody learns how many wait.
    fn tells_pending(&self) -> bool {
        true
    }
    /// What tells this pool from all others as long as it, or a connection of it, lives: the address
    /// of what its handles share, for example. A pool that is registered again, for another handle
    /// of it, is then known by it, and counted once.
    fn identity(&self) -> Option<usize> {
        None
    }
}

/// The pools of a client, observed by one callback per gauge: observable instruments cannot be
/// unregistered, so a callback per pool would outlive its pool.
#[derive(Default)]
pub struct Registry(Mutex<Vec<Registered>>);

impl fmt::Debug for Registry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Registry").finish_non_exhaustive()
    }
}

struct Registered {
    pool: Weak<Named>,
    /// Those of the handles that it was registered for.
    states: Vec<Weak<dyn PoolState>>,
}

/// Also when a pool is registered, so that pools made and dropped without a reader leave nothing
/// behind.
fn forget_dropped(pools: &mut Vec<Registered>) {
    pools.retain_mut(|Registered { pool, states }| {
        states.retain(|state| state.strong_count() > 0);
        pool.strong_count() > 0 && !states.is_empty()
    });
}

/// One pool as a gauge reads it.
struct Seen<'p> {
    state: &'p dyn PoolState,
    pending: i64,
    name: &'p StringValue,
}

type Read = fn(&Seen<'_>, &mut dyn FnMut(i64, &[KeyValue]));

impl Registry {
    /// Makes the gauges. They read the registry, so pools may come and go afterwards.
    pub(super) fn observe(self: &Arc<Self>, meter: &Meter) {
        let gauges: [(&'static str, &str, &str, Read); 5] = [
            (
                metric::DB_CLIENT_CONNECTION_COUNT,
                "{connection}",
                "The number of connections that are currently in the state described by the state attribute.",
                |pool, put| {
                    let size = pool.state.size();
                    let idle = pool.state.idle().min(size);
                    for (state, count) in [("idle", idle), ("used", size - idle)] {
                        let state = KeyValue::new(names::DB_CLIENT_CONNECTION_STATE, state);
                        put(signed(count), &[pool.label(), state]);
                    }
                },
            ),
            (
                metric::DB_CLIENT_CONNECTION_MAX,
                "{connection}",
                "The maximum number of open connections allowed.",
                |pool, put| pool.put(pool.state.max(), put),
            ),
            (
                metric::DB_CLIENT_CONNECTION_IDLE_MAX,
                "{connection}",
                "The maximum number of idle open connections allowed.",
                |pool, put| pool.put(pool.state.idle_max(), put),
            ),
            (
                metric::DB_CLIENT_CONNECTION_IDLE_MIN,
                "{connection}",
                "The minimum number of idle open connections allowed.",
                |pool, put| pool.put(pool.state.idle_min(), put),
            ),
            (
                metric::DB_CLIENT_CONNECTION_PENDING_REQUESTS,
                "{request}",
                "The number of current pending requests for an open connection.",
                |pool, put| {
                    if pool.state.tells_pending() {
                        put(pool.pending, &[pool.label()]);
                    }
                },
            ),
        ];
        for (name, unit, description, read) in gauges {
            let registry = Arc::clone(self);
            meter
                .i64_observable_up_down_counter(name)
                .with_unit(unit.to_owned())
                .with_description(description.to_owned())
                .with_callback(move |observer| registry.read(read, observer))
                .build();
        }
    }

    fn read(&self, read: Read, observer: &dyn AsyncInstrument<i64>) {
        let mut put = |value: i64, attributes: &[KeyValue]| observer.observe(value, attributes);
        // Nothing of the pool's own may run under the lock: it could be what registers a pool.
        let pools: Vec<_> = {
            let mut pools = self.lock();
            forget_dropped(&mut pools);
            let seen = |Registered { pool, states }: &Registered| {
                Some((pool.upgrade()?, states.iter().find_map(Weak::upgrade)?))
            };
            pools.iter().filter_map(seen).collect()
        };
        for (pool, state) in &pools {
            let pending = pool.pending.load(Ordering::Relaxed);
            contain(|| read(&Seen { state: &**state, pending, name: &pool.name }, &mut put));
        }
    }

    /// Has a pool, for one more handle of it whose state is told as long as that lives.
    pub(super) fn register(&self, pool: &Arc<Named>, state: Weak<dyn PoolState>) {
        let mut pools = self.lock();
        forget_dropped(&mut pools);
        match pools.iter_mut().find(|known| known.pool.as_ptr() == Arc::as_ptr(pool)) {
            Some(known) => known.states.push(state),
            None => pools.push(Registered { pool: Arc::downgrade(pool), states: vec![state] }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Registered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen<'_> {
    fn label(&self) -> KeyValue {
        KeyValue::new(names::DB_CLIENT_CONNECTION_POOL_NAME, self.name.clone())
    }

    fn put(&self, value: Option<u64>, put: &mut dyn FnMut(i64, &[KeyValue])) {
        if let Some(value) = value {
            put(signed(value), &[self.label()]);
        }
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
