//! Metrics of connection pools: gauges read when somebody collects, waits and uses by guards.
//!
//! Source: <https://opentelemetry.io/docs/specs/semconv/database/database-metrics/#connection-pools>.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use opentelemetry::metrics::{AsyncInstrument, Meter};
use opentelemetry::{Context, KeyValue, StringValue};

use super::{Instruments, shared};
use crate::attribute::{self as names, metric};
use crate::contain::contain;
use crate::late::Scope;

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
    /// What tells this pool from all others as long as it, or a connection of it, lives: the address
    /// of what its handles share, for example. A pool that is registered again, for another handle
    /// of it, is then known by it, and counted once.
    fn identity(&self) -> Option<usize> {
        None
    }
}

/// The pools that live, by their names. By default one for the process: two pools under one name
/// would overwrite each other's gauges, and which meter providers are the same cannot be told.
#[doc(hidden)]
#[derive(Clone, Default)]
pub struct PoolNames(Arc<Mutex<Taken>>);

/// All by the client, which is the scope of its metrics.
#[derive(Default)]
struct Taken {
    names: HashSet<(&'static str, StringValue)>,
    /// The number to try first for a name that was asked for; 1 without a word.
    lowest: HashMap<(&'static str, String), u64>,
    pools: HashMap<(&'static str, usize), Weak<Named>>,
}

impl fmt::Debug for PoolNames {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("PoolNames").field(&self.lock().names).finish()
    }
}

impl PoolNames {
    /// Those of the process.
    pub(crate) fn shared() -> Self {
        static SHARED: LazyLock<PoolNames> = LazyLock::new(PoolNames::default);
        SHARED.clone()
    }

    /// A pool that is known keeps its name; of two, the second becomes `name#2`.
    fn name(&self, client: &'static str, name: &str, identity: Option<usize>) -> Arc<Named> {
        let mut taken = self.lock();
        let identity = identity.map(|identity| (client, identity));
        let known = identity.and_then(|identity| taken.pools.get(&identity)?.upgrade());
        if let Some(known) = known {
            return known;
        }
        let asked = (client, name.to_owned());
        let mut number = taken.lowest.get(&asked).copied().unwrap_or(1);
        let name = loop {
            let text = if number == 1 { name.to_owned() } else { format!("{name}#{number}") };
            let unique = shared(text);
            if taken.names.insert((client, unique.clone())) {
                break unique;
            }
            number += 1;
        };
        taken.lowest.insert(asked.clone(), number + 1);
        let pending = AtomicI64::new(0);
        let named = Named { name, asked, number, identity, pending, names: self.clone() };
        let named = Arc::new(named);
        taken.pools.extend(identity.map(|identity| (identity, Arc::downgrade(&named))));
        named
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pool, and what all its registrations share. Its name is free again when this is dropped.
struct Named {
    name: StringValue,
    asked: (&'static str, String),
    number: u64,
    identity: Option<(&'static str, usize)>,
    pending: AtomicI64,
    names: PoolNames,
}

impl Drop for Named {
    fn drop(&mut self) {
        let mut taken = self.names.lock();
        taken.names.remove(&(self.asked.0, self.name.clone()));
        if self.number == 1 {
            taken.lowest.remove(&self.asked);
        } else if let Some(lowest) = taken.lowest.get_mut(&self.asked) {
            *lowest = self.number.min(*lowest);
        }
        // Unless another pool has come to this place meanwhile.
        if let Some(identity) = self.identity
            && taken.pools.get(&identity).is_some_and(|pool| pool.strong_count() == 0)
        {
            taken.pools.remove(&identity);
        }
    }
}

/// The pools of a client, observed by one callback per gauge: observable instruments cannot be
/// unregistered, so a callback per pool would outlive its pool.
#[derive(Default)]
pub(crate) struct Registry(Mutex<Vec<Registered>>);

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

/// The metrics of one pool. A clone is another handle of the same pool.
#[derive(Clone)]
pub struct PoolMetrics(Arc<Inner>);

struct Inner {
    scope: Arc<Scope>,
    label: [KeyValue; 1],
    pool: Arc<Named>,
}

impl fmt::Debug for PoolMetrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("PoolMetrics").field(&self.0.label[0].value).finish()
    }
}

impl PoolMetrics {
    pub(super) fn register(
        scope: Arc<Scope>,
        (taken, client): (&PoolNames, &'static str),
        name: &str,
        state: &Arc<impl PoolState>,
    ) -> Self {
        let identity = contain(|| state.identity()).flatten();
        let pool = taken.name(client, name, identity);
        let weak = Arc::downgrade(state);
        let state: Weak<dyn PoolState> = weak;
        {
            let mut pools = scope.pools.lock();
            forget_dropped(&mut pools);
            match pools.iter_mut().find(|known| known.pool.as_ptr() == Arc::as_ptr(&pool)) {
                Some(known) => known.states.push(state),
                None => pools.push(Registered { pool: Arc::downgrade(&pool), states: vec![state] }),
            }
        }
        let label = [KeyValue::new(names::DB_CLIENT_CONNECTION_POOL_NAME, pool.name.clone())];
        Self(Arc::new(Inner { scope, label, pool }))
    }

    /// Starts a wait for a connection. Dropped without an outcome, it was cancelled: the request is
    /// no longer pending and no time is recorded.
    pub fn wait(&self) -> Waiting {
        Waiting(self.timed().inspect(|_| {
            self.0.pool.pending.fetch_add(1, Ordering::Relaxed);
        }))
    }

    /// A connection that was there at once, without a wait.
    pub fn in_use(&self) -> InUse {
        InUse(self.timed())
    }

    fn timed(&self) -> Option<Timed> {
        if Context::map_current(Context::is_telemetry_suppressed) || self.0.scope.is_silent() {
            return None;
        }
        let instruments = self.0.scope.known().instruments?.db.clone();
        Some(Timed { pool: self.clone(), instruments, since: Instant::now() })
    }
}

struct Timed {
    pool: PoolMetrics,
    instruments: Instruments,
    since: Instant,
}

/// A request that waits for a connection; see [`PoolMetrics::wait`].
#[must_use = "a wait that is dropped counts as cancelled"]
pub struct Waiting(Option<Timed>);

impl Waiting {
    /// The wait is over, a connection was handed out.
    pub fn got(mut self) -> InUse {
        InUse(self.end().map(|mut timed| {
            let now = Instant::now();
            contain(|| timed.instruments.waited(now - timed.since, &timed.pool.0.label));
            timed.since = now;
            timed
        }))
    }

    /// The wait was given up by the pool.
    pub fn timed_out(mut self) {
        if let Some(timed) = self.end() {
            contain(|| timed.instruments.timed_out(&timed.pool.0.label));
        }
    }

    /// Lowers the counter, however the wait ends.
    fn end(&mut self) -> Option<Timed> {
        let timed = self.0.take()?;
        timed.pool.0.pool.pending.fetch_sub(1, Ordering::Relaxed);
        Some(timed)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Waiting").field(&self.0.is_some()).finish()
    }
}

/// A connection in use; its time is recorded when this is dropped.
#[must_use = "the use ends when this is dropped"]
#[derive(Default)]
pub struct InUse(Option<Timed>);

impl Drop for InUse {
    fn drop(&mut self) {
        if let Some(Timed { pool, instruments, since }) = self.0.take() {
            contain(|| instruments.used(since.elapsed(), &pool.0.label));
        }
    }
}

impl fmt::Debug for InUse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("InUse").field(&self.0.is_some()).finish()
    }
}
