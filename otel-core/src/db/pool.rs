//! Layer `db`: metrics of connection pools: gauges read when somebody collects, times told by
//! guards or afterwards.
//!
//! Source: <https://opentelemetry.io/docs/specs/semconv/database/database-metrics/#connection-pools>.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;

use super::instruments::Instruments;
pub use super::registry::{PoolState, Registry};
use crate::attribute as names;
use crate::contain::contain;
use crate::page::Site;
use crate::pool_names::Named;
#[doc(hidden)]
pub use crate::pool_names::PoolNames;

/// The metrics of one pool. A clone is another handle of the same pool.
#[derive(Clone)]
pub struct PoolMetrics(Arc<Inner>);

struct Inner {
    site: Site<Instruments>,
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
        site: Site<Instruments>,
        client: &'static str,
        name: &str,
        state: &Arc<impl PoolState>,
    ) -> Self {
        let identity = contain(|| state.identity()).flatten();
        let pool = site.telemetry().pool_names().name(client, name, identity);
        let state = Arc::downgrade(state);
        site.before().register(&pool, state);
        let label = [KeyValue::new(names::DB_CLIENT_CONNECTION_POOL_NAME, pool.name.clone())];
        Self(Arc::new(Inner { site, label, pool }))
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

    /// Tells of a wait that is over and got a connection, for pools that tell of it afterwards; not
    /// among the pending requests.
    pub fn waited(&self, elapsed: Duration) {
        self.tell(|instruments, pool| instruments.waited(elapsed, pool));
    }

    /// Tells of a wait that the pool gave up, for pools that tell of it afterwards.
    pub fn timed_out(&self) {
        self.tell(Instruments::timed_out);
    }

    /// Tells how long a connection was in use, for pools that tell of it afterwards.
    pub fn used(&self, elapsed: Duration) {
        self.tell(|instruments, pool| instruments.used(elapsed, pool));
    }

    /// Tells how long it took to make a connection.
    pub fn created(&self, elapsed: Duration) {
        self.tell(|instruments, pool| instruments.created(elapsed, pool));
    }

    fn tell(&self, tell: impl FnOnce(&Instruments, &[KeyValue])) {
        if let Some(instruments) = self.instruments() {
            contain(|| tell(instruments, &self.0.label));
        }
    }

    /// Where somebody measures.
    fn instruments(&self) -> Option<&Instruments> {
        if self.0.site.is_off() { None } else { self.0.site.instruments() }
    }

    fn timed(&self) -> Option<Timed> {
        let instruments = self.instruments()?.clone();
        Some(Timed { pool: self.clone(), instruments, since: Instant::now() })
    }
}

/// A connection that is being made, by what does not know its pool yet.
#[derive(Clone, Copy, Debug)]
pub struct Creating(Instant);

impl Creating {
    /// It begins now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// It is done: what to tell by [`PoolMetrics::created`].
    pub fn done(self) -> Duration {
        self.0.elapsed()
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
