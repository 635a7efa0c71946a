//! PostgreSQL counts in `pg_stat_statements`, which needs `shared_preload_libraries`.

use otel_testing::ledger::{Count, Counted, Unit};
use otel_testing::otel_core::sql::Dialect;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Error, Executor as _};

/// What PostgreSQL counted of one role.
///
/// It counts a statement when that is done: what it refused has no count. Of one text with several
/// statements, each counts. `BEGIN`, `COMMIT` and savepoints count; to prepare, to close and to ping
/// are no statements. It keeps one text of those that differ in nothing but literals, aliases, letter
/// case and comments. A server that is killed forgets all: it writes its counts when it is stopped.
#[derive(Clone, Debug)]
pub struct Postgres {
    options: PgConnectOptions,
    role: String,
}

impl Postgres {
    /// Of a role; the options are of another one, which may read what others do.
    pub async fn new(options: PgConnectOptions, role: &str) -> Result<Self, Error> {
        // Two that do it at the same time are in each other's way: what fails here is told by the
        // first reading, if it is still not there.
        let mut connection = options.connect().await?;
        _ = connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements").await;
        connection.close().await?;
        Ok(Self { options, role: role.to_owned() })
    }
}

impl Counted for Postgres {
    type Error = Error;

    async fn counted(&mut self) -> Result<Vec<Count>, Error> {
        let mut connection = self.options.connect().await?;
        let counts = "SELECT query, calls FROM pg_stat_statements JOIN pg_roles ON pg_roles.oid = userid \
                      WHERE toplevel AND rolname = $1";
        let counts = sqlx::query_as(counts).bind(&self.role).fetch_all(&mut connection).await?;
        connection.close().await?;
        let count = |(text, times): (String, i64)| Count::new(text, times.try_into().unwrap_or(0));
        Ok(counts.into_iter().map(count).collect())
    }

    fn unit(&self) -> Unit {
        Unit::Statements(Dialect::PostgreSql)
    }

    /// The driver looks up types that it does not know, and plans what it is to describe.
    fn ignores(&self, text: &str) -> bool {
        text.contains("pg_catalog.")
            || text.starts_with("EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE sqlx_s_")
    }

    fn counts_refused(&self) -> Option<bool> {
        Some(false)
    }
}
