//! Layer `db`: the pools of a client, read by gauges when somebody collects.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use opentelemetry::metrics::{AsyncInstrument, Meter};
use opentelemetry::{KeyValue, StringValue};

use crate::attribute::{self as names, metric};
use crate::contain::contain;

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
}

/// The pools of a client, observed by one callback per gauge: observable instruments cannot be
/// unregistered, so a callback per pool would outlive its pool.
#[derive(Default)]
pub struct Registry(Mutex<Pools>);

impl fmt::Debug for Registry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Registry").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Pools {
    registered: Vec<Registered>,
    names: HashSet<StringValue>,
}

impl Pools {
    fn forget_dropped(&mut self) {
        let names = &mut self.names;
        self.registered.retain(|pool| {
            let lives = pool.state.strong_count() > 0;
            if !lives {
                names.remove(&pool.name);
            }
            lives
        });
    }

    /// Two pools under one name would overwrite each other's gauges: the second becomes `name#2`.
    fn unique(&mut self, name: &str) -> StringValue {
        let mut unique = StringValue::from(Arc::<str>::from(name));
        let mut number = 1_u64;
        while !self.names.insert(unique.clone()) {
            number += 1;
            unique = Arc::<str>::from(format!("{name}#{number}")).into();
        }
        unique
    }
}

struct Registered {
    state: Weak<dyn PoolState>,
    pending: Weak<AtomicI64>,
    name: StringValue,
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
                |pool, put| put(pool.pending, &[pool.label()]),
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
            pools.forget_dropped();
            pools
                .registered
                .iter()
                .filter_map(|pool| {
                    let pending = pool.pending.upgrade()?.load(Ordering::Relaxed);
                    Some((pool.state.upgrade()?, pending, pool.name.clone()))
                })
                .collect()
        };
        for (state, pending, name) in &pools {
            contain(|| read(&Seen { state: &**state, pending: *pending, name }, &mut put));
        }
    }

    /// Has a pool, whose gauges live as long as its state, and answers the name that it got.
    pub(super) fn register(
        &self,
        name: &str,
        state: Weak<dyn PoolState>,
        pending: Weak<AtomicI64>,
    ) -> StringValue {
        let mut pools = self.lock();
        // Also here, so that pools made and dropped without a reader leave nothing behind.
        pools.forget_dropped();
        let name = pools.unique(name);
        pools.registered.push(Registered { state, pending, name: name.clone() });
        name
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Pools> {
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
