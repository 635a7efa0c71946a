//! What otel-sqlx must do on every database, compiled into the test of each: that file's module
//! `backend` says what differs.

mod comments;
mod errors;
pub(crate) mod ledger;
mod life;
pub(crate) mod migrations;
pub(crate) mod nesting;
mod parity;
mod pool;
mod server;
mod transactions;
mod trouble;

pub(crate) use errors::Codes;
pub(crate) use ledger::Capture;

use integration_tests::{total, whole};
use opentelemetry::trace::{FutureExt as _, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue};
use otel_sqlx::{Connection, Pool, Telemetry};
use otel_testing::assert::{ExpectedPoint, ExpectedSpan};
use otel_testing::{point, span};
use sqlx::{ConnectOptions as _, Executor as _};

use crate::backend::{self, DB, SYSTEM, Scratch};

pub(crate) const DURATION: &str = "db.client.operation.duration";
pub(crate) const ROWS: &str = "db.client.response.returned_rows";
pub(crate) const PENDING: &str = "db.client.connection.pending_requests";
pub(crate) const TIMEOUTS: &str = "db.client.connection.timeouts";

/// A query without values.
pub(crate) const ALL: &str = "SELECT id, name FROM users ORDER BY id";

/// A text with `?` for its values, as this database wants it.
pub(crate) fn sql(text: &str) -> &'static str {
    let mut parts = text.split('?');
    let mut sql = parts.next().unwrap_or_default().to_owned();
    for (number, part) in (1..).zip(parts) {
        sql += &backend::placeholder(number);
        sql += part;
    }
    sql.leak()
}

/// A query with one value.
pub(crate) fn by_id() -> &'static str {
    sql("SELECT name FROM users WHERE id = ?")
}

/// A database of one test's own, with three users in it.
pub(crate) struct Live(pub(crate) Scratch);

impl Live {
    /// Nothing where there is no server.
    pub(crate) async fn new() -> Option<Self> {
        let live = Self(backend::scratch().await?);
        let mut connection = live.bare().await;
        for statement in [
            "CREATE TABLE users (id INT PRIMARY KEY, name VARCHAR(40) NOT NULL, UNIQUE (name))",
            "INSERT INTO users (id, name) VALUES (1, 'ann'), (2, 'bob'), (3, 'cid')",
        ] {
            connection.execute(statement).await.unwrap();
        }
        Some(live)
    }

    /// The driver alone, which no ledger sees.
    pub(crate) async fn bare(&self) -> <DB as sqlx::Database>::Connection {
        self.0.bare.connect().await.unwrap()
    }

    /// The driver alone, and yet the ledger's: for what is wrapped then, or goes past the wrapper.
    pub(crate) async fn connect(&self) -> <DB as sqlx::Database>::Connection {
        self.0.options.connect().await.unwrap()
    }

    /// A connection that belongs to no pool.
    pub(crate) async fn connection(&self, telemetry: &Telemetry) -> Connection<DB> {
        Connection::builder(self.connect().await, &self.0.options)
            .system(SYSTEM)
            .telemetry(telemetry)
            .build()
    }

    pub(crate) fn pool(&self, telemetry: &Telemetry) -> Pool<DB> {
        self.pool_of(sqlx::pool::PoolOptions::new().max_connections(3), telemetry)
    }

    pub(crate) fn pool_of(
        &self,
        options: sqlx::pool::PoolOptions<DB>,
        telemetry: &Telemetry,
    ) -> Pool<DB> {
        let pool = options.connect_lazy_with(self.0.options.clone());
        Pool::builder(pool).system(SYSTEM).telemetry(telemetry).build()
    }

    /// What is told of the server on every span and with every duration.
    pub(crate) fn server(&self) -> Vec<KeyValue> {
        let mut server = vec![
            KeyValue::new("db.system.name", SYSTEM),
            KeyValue::new("db.namespace", self.0.namespace.clone()),
        ];
        if let Some((address, port)) = &self.0.address {
            server.push(KeyValue::new("server.address", address.clone()));
            if let Some(port) = port.filter(|port| Some(*port) != backend::DEFAULT_PORT) {
                server.push(KeyValue::new("server.port", i64::from(port)));
            }
        }
        server
    }

    /// The span of a statement.
    pub(crate) fn statement(&self, summary: &'static str, text: &'static str) -> ExpectedSpan {
        span(summary)
            .client()
            .scope("otel-sqlx")
            .attributes(self.server())
            .attribute("db.query.summary", summary)
            .attribute("db.query.text", text)
    }

    /// The span of what has no text: `COMMIT`.
    pub(crate) fn operation(&self, name: &'static str) -> ExpectedSpan {
        span(format!("{name} {}", self.0.namespace))
            .client()
            .scope("otel-sqlx")
            .attributes(self.server())
            .attribute("db.operation.name", name)
    }

    /// The durations of a statement.
    pub(crate) fn statement_point(&self, summary: &'static str) -> ExpectedPoint {
        point().attributes(self.server()).attribute("db.query.summary", summary)
    }

    /// The durations of what has no text.
    pub(crate) fn operation_point(&self, name: &'static str) -> ExpectedPoint {
        point().attributes(self.server()).attribute("db.operation.name", name)
    }
}

/// Runs a future below a span of the test's own.
pub(crate) async fn below<T>(
    capture: &otel_testing::Capture,
    parent: &'static str,
    future: impl Future<Output = T>,
) -> T {
    let context = Context::current_with_span(capture.tracer("test").start(parent));
    let value = future.with_context(context.clone()).await;
    context.span().end();
    value
}

/// Connections of all pools that are in use.
pub(crate) fn used(capture: &otel_testing::Capture) -> i64 {
    let metrics = capture.metrics().into_iter();
    let counts = metrics.filter(|metric| metric.name == "db.client.connection.count");
    let used = counts
        .flat_map(|metric| metric.points)
        .filter(|point| point.attribute("db.client.connection.state") == Some(&"used".into()));
    used.map(|point| whole(&point)).sum()
}

/// Waits until nothing is in use and nothing waits, as it is once all is over.
pub(crate) async fn at_rest(capture: &otel_testing::Capture) {
    integration_tests::eventually("the pool is at rest", async || {
        used(capture) == 0 && total(capture, PENDING) == 0
    })
    .await;
}
