//! Metrics of connection pools: gauges read when somebody collects, waits and uses by guards.
//!
//! Source: <https://opentelemetry.io/docs/specs/semconv/database/database-metrics/#connection-pools>.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use opentelemetry::metrics::{AsyncInstrument, Meter};
use opentelemetry::{Context, KeyValue, StringValue};

use super::Instruments;
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
}

/// The pools of a client, observed by one callback per gauge: observable instruments cannot be
/// unregistered, so a callback per pool would outlive its pool.
#[derive(Default)]
pub(crate) struct Registry(Mutex<Vec<Registered>>);

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
            pools.retain(|pool| pool.state.strong_count() > 0);
            pools
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

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Registered>> {
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
pub struct Pool(Arc<Inner>);

struct Inner {
    scope: Arc<Scope>,
    label: [KeyValue; 1],
    pending: Arc<AtomicI64>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Pool").field(&self.0.label[0].value).finish()
    }
}

impl Pool {
    pub(super) fn register(scope: Arc<Scope>, name: &str, state: &Arc<impl PoolState>) -> Self {
        let pending = Arc::new(AtomicI64::new(0));
        let weak = Arc::downgrade(state);
        let state: Weak<dyn PoolState> = weak;
        let name = {
            let mut pools = scope.pools.lock();
            // Also here, so that pools made and dropped without a reader leave nothing behind.
            pools.retain(|pool| pool.state.strong_count() > 0);
            let name = unique(name, |name| pools.iter().any(|pool| pool.name.as_str() == name));
            let pending = Arc::downgrade(&pending);
            pools.push(Registered { state, pending, name: name.clone() });
            name
        };
        // The gauges tell of a pool before it is used, if there is a provider already.
        scope.found();
        let label = [KeyValue::new(names::DB_CLIENT_CONNECTION_POOL_NAME, name)];
        Self(Arc::new(Inner { scope, label, pending }))
    }

    /// Starts a wait for a connection. Dropped without an outcome, it was cancelled: the request is
    /// no longer pending and no time is recorded.
    pub fn wait(&self) -> Waiting {
        if Context::map_current(Context::is_telemetry_suppressed) {
            return Waiting(None);
        }
        let Some(instruments) = self.0.scope.found().instruments else {
            return Waiting(None);
        };
        self.0.pending.fetch_add(1, Ordering::Relaxed);
        let timed =
            Timed { pool: self.clone(), instruments: instruments.clone(), since: Instant::now() };
        Waiting(Some(Raised(timed)))
    }

    /// A connection that was there at once, without a wait.
    pub fn held(&self) -> Held {
        if Context::map_current(Context::is_telemetry_suppressed) {
            return Held(None);
        }
        let Some(instruments) = self.0.scope.found().instruments else {
            return Held(None);
        };
        Held(Some(Timed {
            pool: self.clone(),
            instruments: instruments.clone(),
            since: Instant::now(),
        }))
    }
}

/// Two pools under one name would overwrite each other's gauges: the second becomes `name#2`.
fn unique(name: &str, taken: impl Fn(&str) -> bool) -> StringValue {
    let mut unique = name.to_owned();
    let mut number = 1_u64;
    while taken(&unique) {
        number += 1;
        unique = format!("{name}#{number}");
    }
    Arc::<str>::from(unique).into()
}

struct Timed {
    pool: Pool,
    instruments: Instruments,
    since: Instant,
}

/// A pending request; lowers the counter however it ends.
struct Raised(Timed);

impl Drop for Raised {
    fn drop(&mut self) {
        self.0.pool.0.pending.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request that waits for a connection; see [`Pool::wait`].
#[must_use = "a wait that is dropped counts as cancelled"]
pub struct Waiting(Option<Raised>);

impl Waiting {
    /// The wait is over, a connection was handed out.
    pub fn got(self) -> Held {
        Held(self.0.map(|raised| {
            let Timed { pool, instruments, since } = &raised.0;
            contain(|| instruments.waited(since.elapsed(), &pool.0.label));
            Timed { pool: pool.clone(), instruments: instruments.clone(), since: Instant::now() }
        }))
    }

    /// The wait was given up by the pool.
    pub fn timed_out(self) {
        if let Some(Raised(timed)) = &self.0 {
            contain(|| timed.instruments.timed_out(&timed.pool.0.label));
        }
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
pub struct Held(Option<Timed>);

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(Timed { pool, instruments, since }) = self.0.take() {
            contain(|| instruments.used(since.elapsed(), &pool.0.label));
        }
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Held").field(&self.0.is_some()).finish()
    }
}
