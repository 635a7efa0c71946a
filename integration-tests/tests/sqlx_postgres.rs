//! otel-sqlx on PostgreSQL.

mod sqlx_servers;
mod sqlx_suite;

use otel_sqlx::{AnyPool, Pool};
use otel_testing::{Capture, span};
use sqlx::{Executor as _, PgConnection, Row as _};
use sqlx_suite::{ALL, Live, by_id};

mod backend {
    use integration_tests::unique_name;
    use otel_testing::live;
    use sqlx::postgres::PgConnectOptions;

    use crate::sqlx_servers::{self, Undo};
    use crate::sqlx_suite;

    pub(crate) type DB = sqlx::Postgres;

    pub(crate) const SYSTEM: &str = "postgresql";
    pub(crate) const DEFAULT_PORT: Option<u16> = Some(5432);
    pub(crate) const BEGIN_WITH: (&str, &str) = ("BEGIN ISOLATION LEVEL SERIALIZABLE", "BEGIN");
    pub(crate) const SLOW: &str = "SELECT pg_sleep(1)";
    pub(crate) const SLOW_SHOWN: (&str, &str) = ("SELECT", "SELECT pg_sleep(?)");
    pub(crate) const LOGS_INSIDE: bool = true;
    pub(crate) const CODES: sqlx_suite::Codes = sqlx_suite::Codes {
        unique: "23505",
        not_null: "23502",
        no_table: "42P01",
        syntax: "42601",
    };
    pub(crate) const LIMITS: sqlx_servers::Codes =
        sqlx_servers::Codes { deadlock: "40P01", timeout: "57014", login: "28P01" };
    pub(crate) const TIMEOUT: &str = "SET statement_timeout = 50";
    pub(crate) const SLEEPS: &str = "SELECT pg_sleep(600)";
    pub(crate) const RUNNING: &str =
        "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'";

    pub(crate) fn native() -> &'static native::Server {
        native::Server::postgres()
    }

    pub(crate) fn placeholder(number: usize) -> String {
        format!("${number}")
    }

    pub(crate) struct Scratch {
        pub(crate) options: PgConnectOptions,
        pub(crate) namespace: String,
        pub(crate) address: Option<(String, Option<u16>)>,
        _schema: Undo,
    }

    /// A schema of one test's own.
    pub(crate) async fn scratch() -> Option<Scratch> {
        let whole: PgConnectOptions = live::address("POSTGRES")?.parse().unwrap();
        let schema = unique_name();
        let make = format!("CREATE SCHEMA {schema}");
        let undo = ["SET lock_timeout = 5000".to_owned(), format!("DROP SCHEMA {schema} CASCADE")];
        Some(Scratch {
            _schema: Undo::after(&whole, make, undo).await,
            namespace: format!("{}|{schema}", whole.get_database().unwrap()),
            address: Some((whole.get_host().to_owned(), Some(whole.get_port()))),
            options: whole.options([("search_path", schema)]),
        })
    }
}
