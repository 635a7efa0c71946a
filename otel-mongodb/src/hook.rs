//! What becomes of the driver's events.
//!
//! The driver tells of a command's start in the caller's task, so the caller's context is current,
//! and of its end by another event, or not at all. A connection runs one command at a time; its id is
//! one of its node's pool.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use mongodb::bson::Document;
use mongodb::error::Error;
use mongodb::event::cmap::{CmapEvent, ConnectionCheckoutFailedReason};
use mongodb::event::command::CommandEvent;
use mongodb::options::ServerAddress;
use otel_core::opentelemetry::Context;
use otel_core::opentelemetry::trace::TraceContextExt as _;
use otel_core::{Db, DbOperation, Pending, Telemetry};

use crate::command::{Command, Reply};
use crate::driver::{self, Mongo};
use crate::polled::{self, Address};
use crate::pool::Pool;

/// More than the connections of any client: what is beyond would be ended as cancelled.
const RUNNING: usize = 100_000;
/// Of more cursors that are open at a time, the oldest ones lose their parents.
const CURSORS: usize = 10_000;

/// A connection of a client, or a cursor: its node, and its number there.
type Key<N> = (ServerAddress, N);

/// The events of one client, and the operations that they are told as.
pub(crate) struct Hook {
    pub(crate) db: Db<Mongo>,
    nodes: RwLock<HashMap<ServerAddress, Arc<Node>>>,
    running: Pending<Key<u32>, Running>,
    /// What opened the cursors, for commands about them that nobody waits for.
    cursors: Pending<Key<i64>, Context>,
}

struct Node {
    db: Db<Mongo>,
    address: Arc<Address>,
    /// One; two while an old one ends, where a node left and came back.
    pools: RwLock<Vec<Arc<Pool>>>,
}

struct Running {
    operation: DbOperation<Mongo>,
    cursor: Option<i64>,
}

impl Hook {
    pub(crate) fn new(telemetry: &Telemetry) -> Self {
        Self {
            db: Db::new(telemetry, driver::deployment()),
            nodes: RwLock::default(),
            running: Pending::new(RUNNING),
            cursors: Pending::new(CURSORS),
        }
    }

    pub(crate) fn command(&self, event: &CommandEvent) {
        match event {
            CommandEvent::Started(event) => {
                let (name, database, body) = (&*event.command_name, &*event.db, &event.command);
                let key = (event.connection.address.clone(), event.connection.id);
                self.started(key, Command { name, database, body });
            }
            CommandEvent::Succeeded(event) => {
                let key = (event.connection.address.clone(), event.connection.id);
                self.succeeded(&key, &event.command_name, event.duration, &event.reply);
            }
            CommandEvent::Failed(event) => {
                let key = (event.connection.address.clone(), event.connection.id);
                self.failed(&key, event.duration, &event.failure);
            }
            _ => {}
        }
    }

    pub(crate) fn started(&self, key: Key<u32>, command: Command<'_>) {
        // A call of ours tells itself.
        if self.db.is_off() || polled::is_call() {
            return;
        }
        let db = &self.node(&key.0).db;
        let cursor = command.cursor();
        let text = db.text_wanted().filter(|wanted| wanted.asked).map(|wanted| wanted.longest);
        let operation = db.start_in(&self.parent(&key.0, cursor), || command.call(text));
        if !operation.is_empty() {
            self.running.insert(key, Running { operation, cursor });
        }
    }

    /// The caller's context; of a command that goes on with a cursor, or ends it, where nobody
    /// waits, that of what opened it.
    fn parent(&self, node: &ServerAddress, cursor: Option<i64>) -> Context {
        let current = Context::current();
        let cursor = cursor.filter(|_| !current.has_active_span());
        let opened = cursor.and_then(|cursor| self.cursors.get(&(node.clone(), cursor)));
        opened.unwrap_or(current)
    }

    pub(crate) fn succeeded(
        &self,
        key: &Key<u32>,
        command: &str,
        took: Duration,
        reply: &Document,
    ) {
        let Some(Running { mut operation, cursor }) = self.running.take(key) else { return };
        let Reply { rows, cursor: opened, failure } = Reply::of(command, reply);
        match (cursor, opened) {
            (Some(cursor), None) => _ = self.cursors.take(&(key.0.clone(), cursor)),
            (None, Some(opened)) => {
                let context = operation.context();
                let span = context.span().span_context().clone();
                if span.is_valid() {
                    let context = Context::new().with_remote_span_context(span);
                    self.cursors.insert((key.0.clone(), opened), context);
                }
            }
            _ => {}
        }
        if let Some(rows) = rows {
            operation.rows(rows as u64);
        }
        if let Some(failure) = failure {
            operation.failed(failure);
        }
        operation.lasted(took);
        operation.finish();
    }

    pub(crate) fn failed(&self, key: &Key<u32>, took: Duration, error: &Error) {
        if let Some(Running { mut operation, .. }) = self.running.take(key) {
            operation.lasted(took);
            operation.fail(error);
        }
    }

    /// The connection runs nothing any more: what ran on it was cancelled.
    pub(crate) fn left(&self, key: &Key<u32>) {
        drop(self.running.take(key));
    }

    pub(crate) fn connection(&self, event: &CmapEvent) {
        match event {
            CmapEvent::PoolCreated(event) => {
                let node = self.node(&event.address);
                let name = driver::node(&event.address).pool_name();
                let pool = Arc::new(Pool::new(&node.db, name, event.options.as_ref()));
                node.pools.write().unwrap_or_else(PoisonError::into_inner).push(pool);
            }
            CmapEvent::PoolClosed(event) => self.closed(&event.address),
            CmapEvent::ConnectionReady(event) => self.in_pool(&event.address, |pool| {
                pool.metrics.created(event.duration);
                pool.ready(event.connection_id);
            }),
            CmapEvent::ConnectionCheckedOut(event) => {
                if polled::is_call() {
                    polled::sent_to(&self.node(&event.address).address);
                }
                self.in_pool(&event.address, |pool| {
                    pool.metrics.waited(event.duration);
                    pool.checked_out(event.connection_id);
                });
            }
            CmapEvent::ConnectionCheckedIn(event) => {
                self.left(&(event.address.clone(), event.connection_id));
                self.in_pool(&event.address, |pool| pool.ready(event.connection_id));
            }
            CmapEvent::ConnectionClosed(event) => {
                self.left(&(event.address.clone(), event.connection_id));
                self.in_pool(&event.address, |pool| pool.closed(event.connection_id));
            }
            CmapEvent::ConnectionCheckoutFailed(event)
                if event.reason == ConnectionCheckoutFailedReason::Timeout =>
            {
                self.in_pool(&event.address, |pool| pool.metrics.timed_out());
            }
            _ => {}
        }
    }

    /// The node of an address, from now on known.
    fn node(&self, address: &ServerAddress) -> Arc<Node> {
        let known = self.nodes.read().unwrap_or_else(PoisonError::into_inner).get(address).cloned();
        known.unwrap_or_else(|| {
            let make = || {
                let db = self.db.with_server(driver::node(address));
                let address = Arc::new(Address::of(address));
                Arc::new(Node { db, address, pools: RwLock::default() })
            };
            let mut nodes = self.nodes.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(nodes.entry(address.clone()).or_insert_with(make))
        })
    }

    /// Tells the pool of an address, if there is one, without a lock.
    fn in_pool(&self, address: &ServerAddress, tell: impl FnOnce(&Pool)) {
        let node = self.nodes.read().unwrap_or_else(PoisonError::into_inner).get(address).cloned();
        let last = |node: Arc<Node>| {
            node.pools.read().unwrap_or_else(PoisonError::into_inner).last().cloned()
        };
        if let Some(pool) = node.and_then(last) {
            tell(&pool);
        }
    }

    /// Of two pools the older one was closed; with its last one the node is forgotten.
    fn closed(&self, address: &ServerAddress) {
        let mut nodes = self.nodes.write().unwrap_or_else(PoisonError::into_inner);
        let Some(node) = nodes.get(address) else { return };
        let mut pools = node.pools.write().unwrap_or_else(PoisonError::into_inner);
        let _closed = (!pools.is_empty()).then(|| pools.remove(0));
        let is_last = pools.is_empty();
        drop(pools);
        let _forgotten = is_last.then(|| nodes.remove(address));
        // Neither is dropped under the lock.
        drop(nodes);
    }
}

#[cfg(test)]
mod tests;
