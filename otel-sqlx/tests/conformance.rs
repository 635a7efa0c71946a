//! The scenarios that all database adapters share, on SQLite in memory.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]
#![cfg(feature = "sqlite")]

use std::sync::Mutex;
use std::time::Duration;

use futures_util::stream::{BoxStream, StreamExt as _};
use otel_sqlx::{PoolConnection, SqlitePool, SqlitePoolOptions};
use otel_testing::assert::ExpectedSpan;
use otel_testing::scenario::{Call, Capability, Database};
use otel_testing::span;
use sqlx::Sqlite;

struct Client {
    pool: SqlitePool,
    /// What makes the next call on the pool wait.
    taken: Mutex<Option<PoolConnection<Sqlite>>>,
}

impl Database for Client {
    const CAPABILITIES: &'static [Capability] =
        &[Capability::Cancel, Capability::Stream, Capability::Unpolled];

    async fn connect(telemetry: &otel_sqlx::Telemetry) -> Option<Self> {
        let options =
            SqlitePoolOptions::new().max_connections(1).acquire_timeout(Duration::from_mins(10));
        let raw = options.into_inner().connect("sqlite::memory:").await.unwrap();
        for statement in
            ["CREATE TABLE users (id INTEGER)", "INSERT INTO users VALUES (1), (2), (3)"]
        {
            sqlx::query(statement).execute(&raw).await.unwrap();
        }
        Some(Self { pool: SqlitePool::with(raw, telemetry), taken: Mutex::default() })
    }

    async fn succeed(&self) {
        sqlx::query("SELECT id FROM users WHERE id = ?")
            .bind(1)
            .fetch_one(&self.pool)
            .await
            .unwrap();
    }

    async fn fail(&self) {
        sqlx::query("SELECT id FROM nothing").fetch_all(&self.pool).await.unwrap_err();
    }

    async fn hang(&self) {
        let taken = self.pool.acquire().await.unwrap();
        *self.taken.lock().unwrap() = Some(taken);
        self.succeed().await;
    }

    fn rows(&self) -> BoxStream<'_, ()> {
        sqlx::query("SELECT id FROM users").fetch(&self.pool).map(|row| drop(row.unwrap())).boxed()
    }

    fn unpolled(&self) {
        drop(sqlx::Executor::fetch_optional(&self.pool, "SELECT id FROM users"));
        drop(self.rows());
    }

    fn expected(&self, call: Call) -> ExpectedSpan {
        let expected = |summary: &'static str, text: &'static str| {
            span(summary)
                .client()
                .attribute("db.system.name", "sqlite")
                .attribute("db.namespace", ":memory:")
                .attribute("db.query.summary", summary)
                .attribute("db.query.text", text)
        };
        match call {
            Call::Fail => expected("SELECT nothing", "SELECT id FROM nothing")
                .attribute("error.type", "1")
                .attribute("db.response.status_code", "1")
                .error(""),
            Call::Rows(_) => expected("SELECT users", "SELECT id FROM users"),
            _ => expected("SELECT users", "SELECT id FROM users WHERE id = ?"),
        }
    }
}

otel_testing::database_scenarios!(Client);
