//! otel-sqlx on SQLite.
#![allow(
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking"
)]

mod sqlx_suite;

use otel_testing::{Capture, span};
use sqlx::Executor as _;

mod backend {
    use integration_tests::unique_name;
    use otel_testing::ledger::SqlxLog;
    use sqlx::ConnectOptions as _;
    use sqlx::sqlite::SqliteConnectOptions;
    use tempfile::TempDir;
    use tracing::span::EnteredSpan;

    use crate::sqlx_suite;
    use crate::sqlx_suite::ledger::Audit;
    use crate::sqlx_suite::nesting;

    pub(crate) type DB = sqlx::Sqlite;

    pub(crate) const SYSTEM: &str = "sqlite";
    pub(crate) const OTHER_SYSTEM: Option<&str> = None;
    pub(crate) const DEFAULT_PORT: Option<u16> = None;
    pub(crate) const BEGIN_WITH: (&str, &str) = ("BEGIN IMMEDIATE", "BEGIN");
    pub(crate) const SLOW: &str = "WITH RECURSIVE n(i) AS \
        (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) SELECT count(*) FROM n";
    pub(crate) const SLOW_SHOWN: (&str, &str) = (
        "SELECT SELECT SELECT",
        "WITH RECURSIVE n(i) AS \
        (SELECT ? UNION ALL SELECT i + ? FROM n WHERE i < ?) SELECT count(*) FROM n",
    );
    /// What refuses to run in a transaction, and its summary.
    pub(crate) const NOT_IN_TRANSACTION: (&str, &str) = ("VACUUM", "VACUUM");
    /// Something that is stored, and what of it is.
    pub(crate) const VIEW: &str = "CREATE VIEW ids AS SELECT id FROM users";
    pub(crate) const LAST_DEFINITION: &str = "SELECT sql FROM sqlite_schema WHERE name = 'ids'";
    /// How many statements the driver runs to describe one, which is not traced, and which are not told
    /// from an application's.
    pub(crate) const DESCRIBES: u64 = 2;
    /// Its log comes from a thread of the connection's own, to which only spans of `tracing` are
    /// handed on.
    pub(crate) const LOGS_INSIDE: bool = false;
    pub(crate) const CODES: sqlx_suite::Codes =
        sqlx_suite::Codes { unique: "2067", not_null: "1299", no_table: "1", syntax: "1" };

    pub(crate) fn placeholder(_number: usize) -> String {
        "?".to_owned()
    }

    pub(crate) struct Scratch {
        pub(crate) audit: Audit<SqlxLog>,
        pub(crate) server: SqlxLog,
        pub(crate) options: SqliteConnectOptions,
        /// Whose statements are not logged.
        pub(crate) bare: SqliteConnectOptions,
        pub(crate) url: String,
        pub(crate) namespace: String,
        pub(crate) address: Option<(String, Option<u16>)>,
        /// All that the test does is in here, for it has one thread.
        _scope: EnteredSpan,
        _folder: TempDir,
    }

    /// A file of one test's own.
    #[expect(clippy::unused_async, reason = "as that of a server is")]
    pub(crate) async fn scratch() -> Option<Scratch> {
        nesting::subscribe();
        let folder = tempfile::tempdir().unwrap();
        let namespace = unique_name();
        let file = folder.path().join(&namespace);
        let url = format!("sqlite://{}", file.display());
        let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
        let (scope, server) = nesting::LOG.scope();
        Some(Scratch {
            audit: Audit::new(server.clone(), namespace.clone()),
            server,
            bare: options.clone().disable_statement_logging(),
            options,
            url,
            namespace,
            address: None,
            _scope: scope.entered(),
            _folder: folder,
        })
    }
}

#[tokio::test]
async fn a_database_in_memory_is_named_so() {
    let capture = Capture::new();
    let pool = sqlx::SqlitePool::connect("sqlite::memory:").await.unwrap();
    otel_sqlx::SqlitePool::with(pool, &capture.telemetry()).execute("SELECT 1").await.unwrap();
    capture.assert_spans([span("SELECT").client().attributes([
        ("db.system.name", "sqlite"),
        ("db.namespace", ":memory:"),
        ("db.query.summary", "SELECT"),
        ("db.query.text", "SELECT ?"),
    ])]);
}
