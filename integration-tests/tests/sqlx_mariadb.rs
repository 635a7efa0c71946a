//! otel-sqlx on MariaDB, through sqlx's MySQL driver.

mod sqlx_servers;
mod sqlx_suite;

mod backend {
    use integration_tests::unique_name;
    use otel_testing::live;
    use sqlx::mysql::MySqlConnectOptions;

    use crate::sqlx_servers::{self, Undo};
    use crate::sqlx_suite;

    pub(crate) type DB = sqlx::MySql;

    pub(crate) const SYSTEM: &str = "mariadb";
    pub(crate) const DEFAULT_PORT: Option<u16> = Some(3306);
    pub(crate) const BEGIN_WITH: (&str, &str) =
        ("START TRANSACTION READ ONLY", "START TRANSACTION");
    pub(crate) const SLOW: &str = "SELECT SLEEP(1)";
    pub(crate) const SLOW_SHOWN: (&str, &str) = ("SELECT", "SELECT SLEEP(?)");
    pub(crate) const LOGS_INSIDE: bool = true;
    pub(crate) const CODES: sqlx_suite::Codes =
        sqlx_suite::Codes { unique: "1062", not_null: "1048", no_table: "1146", syntax: "1064" };
    pub(crate) const LIMITS: sqlx_servers::Codes =
        sqlx_servers::Codes { deadlock: "1213", timeout: "1969", login: "1045" };
    pub(crate) const TIMEOUT: &str = "SET max_statement_time = 0.05";
    pub(crate) const SLEEPS: &str = "SELECT SLEEP(600)";
    pub(crate) const RUNNING: &str =
        "SELECT count(*) FROM information_schema.processlist WHERE info = 'SELECT SLEEP(600)'";

    pub(crate) fn native() -> &'static native::Server {
        native::Server::mariadb()
    }

    pub(crate) fn placeholder(_number: usize) -> String {
        "?".to_owned()
    }

    pub(crate) struct Scratch {
        pub(crate) options: MySqlConnectOptions,
        pub(crate) namespace: String,
        pub(crate) address: Option<(String, Option<u16>)>,
        _database: Undo,
    }

    /// A database of one test's own.
    pub(crate) async fn scratch() -> Option<Scratch> {
        let whole: MySqlConnectOptions = live::address("MARIADB")?.parse().unwrap();
        let name = unique_name();
        let make = format!("CREATE DATABASE {name}");
        let undo = ["SET lock_wait_timeout = 5".to_owned(), format!("DROP DATABASE {name}")];
        Some(Scratch {
            _database: Undo::after(&whole, make, undo).await,
            address: Some((whole.get_host().to_owned(), Some(whole.get_port()))),
            options: whole.database(&name),
            namespace: name,
        })
    }
}
