//! otel-sqlx on MariaDB, through sqlx's MySQL driver.
#![allow(
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking"
)]

mod sqlx_servers;
mod sqlx_suite;

use otel_sqlx::otel_core::sql::{Dialect, Syntax};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, Row as _};
use sqlx_suite::{ALL, Capture, Live, by_id};

mod backend {
    use integration_tests::ledger::mariadb::MariaDb;
    use integration_tests::{as_user, unique_name};
    use otel_testing::live;
    use sqlx::mysql::MySqlConnectOptions;

    use crate::sqlx_servers::{self, Undo};
    use crate::sqlx_suite;
    use crate::sqlx_suite::ledger::Audit;

    pub(crate) type DB = sqlx::MySql;

    pub(crate) const SYSTEM: &str = "mariadb";
    /// What the driver is for, and says where it is not told better.
    pub(crate) const OTHER_SYSTEM: Option<&str> = Some("mysql");
    pub(crate) const DEFAULT_PORT: Option<u16> = Some(3306);
    pub(crate) const BEGIN_WITH: (&str, &str) =
        ("START TRANSACTION READ ONLY", "START TRANSACTION");
    pub(crate) const SLOW: &str = "SELECT SLEEP(0.3)";
    pub(crate) const SLOW_SHOWN: (&str, &str) = ("SELECT", "SELECT SLEEP(?)");
    /// How many statements the driver runs to describe one, which is not traced, and which are not told
    /// from an application's.
    pub(crate) const DESCRIBES: u64 = 0;
    pub(crate) const LOGS_INSIDE: bool = true;
    pub(crate) const CODES: sqlx_suite::Codes =
        sqlx_suite::Codes { unique: "1062", not_null: "1048", no_table: "1146", syntax: "1064" };
    pub(crate) const LIMITS: sqlx_servers::Codes =
        sqlx_servers::Codes { deadlock: "1213", timeout: "1969", login: "1045" };
    pub(crate) const TIMEOUT: &str = "SET max_statement_time = 0.05";
    pub(crate) const SLEEPS: &str = "SELECT SLEEP(600)";
    pub(crate) const SEEN: &str =
        "SELECT info FROM information_schema.processlist WHERE id = connection_id()";
    /// How many statements it holds prepared: the sum of these, each with its sign.
    pub(crate) const PREPARED: &[(&str, i64)] = &[
        (
            "SELECT variable_value FROM information_schema.session_status WHERE variable_name = 'COM_STMT_PREPARE'",
            1,
        ),
        (
            "SELECT variable_value FROM information_schema.session_status WHERE variable_name = 'COM_STMT_CLOSE'",
            -1,
        ),
    ];
    /// What ends a transaction that it runs in, and its summary.
    pub(crate) const NOT_IN_TRANSACTION: (&str, &str) =
        ("ANALYZE TABLE accounts", "ANALYZE TABLE accounts");
    /// Something that is stored, and what of it is.
    pub(crate) const VIEW: &str =
        "CREATE TRIGGER named BEFORE INSERT ON users FOR EACH ROW SET @users = NEW.name";
    pub(crate) const LAST_DEFINITION: &str = "SELECT action_statement FROM \
        information_schema.triggers WHERE trigger_schema = database()";
    pub(crate) const RUNNING: &str =
        "SELECT count(*) FROM information_schema.processlist WHERE info = 'SELECT SLEEP(600)'";

    pub(crate) fn native() -> &'static native::Server {
        native::Server::mariadb()
    }

    pub(crate) fn placeholder(_number: usize) -> String {
        "?".to_owned()
    }

    pub(crate) struct Scratch {
        pub(crate) audit: Audit<MariaDb>,
        pub(crate) server: MariaDb,
        pub(crate) options: MySqlConnectOptions,
        /// Of a user that the ledger does not look at.
        pub(crate) bare: MySqlConnectOptions,
        pub(crate) url: String,
        pub(crate) namespace: String,
        pub(crate) address: Option<(String, Option<u16>)>,
        _database: Undo,
    }

    /// A database of one test's own, and a user.
    pub(crate) async fn scratch() -> Option<Scratch> {
        let url = live::address("MARIADB")?;
        let whole: MySqlConnectOptions = url.parse().unwrap();
        let name = unique_name();
        let make = [
            format!("CREATE DATABASE {name}"),
            format!("CREATE USER {name} IDENTIFIED BY '{name}'"),
            format!("GRANT ALL ON *.* TO {name}"),
        ];
        let undo = [
            "SET lock_wait_timeout = 5".to_owned(),
            format!("DROP DATABASE {name}"),
            format!("DROP USER {name}"),
        ];
        let database = Undo::after(&whole, make, undo).await;
        let server = MariaDb::new(whole.clone(), &name).await.unwrap();
        Some(Scratch {
            audit: Audit::new(server.clone(), name.clone()),
            server,
            url: url_of(&as_user(&url, &name), &name),
            address: Some((whole.get_host().to_owned(), Some(whole.get_port()))),
            options: whole.clone().username(&name).password(&name).database(&name),
            bare: whole.database(&name),
            namespace: name,
            _database: database,
        })
    }

    /// The same server by another name, and another database.
    fn url_of(url: &str, database: &str) -> String {
        let (_, rest) = url.split_once("://").unwrap();
        let (server, _) = rest.rsplit_once('/').unwrap();
        format!("mariadb://{server}/{database}")
    }
}

/// The same calls on the driver's connection and on ours: how often the server was asked what.
macro_rules! asked_of_the_server {
    ($connection:expr) => {{
        let connection = $connection;
        for _ in 0..2 {
            sqlx::query(by_id()).bind(1).fetch_one(&mut *connection).await.unwrap();
            connection.execute(ALL).await.unwrap();
            let unkept = sqlx::query("SELECT name FROM users WHERE id < ?").persistent(false);
            unkept.bind(3).fetch_all(&mut *connection).await.unwrap();
        }
        let mut transaction = connection.begin().await.unwrap();
        sqlx::query("DELETE FROM users WHERE id = ?").bind(9).execute(&mut *transaction).await.unwrap();
        transaction.rollback().await.unwrap();
        let counts = "SHOW SESSION STATUS WHERE variable_name IN \
            ('Com_stmt_prepare', 'Com_stmt_execute', 'Com_stmt_close', 'Com_begin', 'Com_rollback', 'Questions')";
        let counts = sqlx::raw_sql(counts).fetch_all(&mut *connection).await.unwrap();
        counts.iter().map(|row| (row.get(0), row.get(1))).collect::<Vec<(String, String)>>()
    }};
}

#[tokio::test]
async fn the_server_is_asked_the_same_as_without_the_wrapper() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let bare = asked_of_the_server!(&mut live.bare().await);
    assert_eq!(bare.len(), 6, "{bare:?}");
    assert!(bare.contains(&("Com_stmt_prepare".to_owned(), "4".to_owned())), "{bare:?}");
    let ours = asked_of_the_server!(&mut live.connection(&capture.telemetry()).await);
    assert_eq!(ours, bare);
}

#[tokio::test]
async fn a_url_of_mysql_tells_mysql() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let raw = sqlx::MySqlPool::connect(&live.0.url.replacen("mariadb", "mysql", 1)).await.unwrap();
    otel_sqlx::MySqlPool::with(raw, &capture.telemetry()).execute(ALL).await.unwrap();
    let expected = live.statement("SELECT users", ALL).attribute("db.system.name", "mysql");
    capture.assert_spans([expected]);
}

/// Runs a statement in a mode of the server, and tells what is shown of it by a syntax.
async fn shown(live: &Live, mode: &str, syntax: Syntax, text: &'static str) -> Capture {
    let capture = Capture::new();
    let mut raw = live.connect().await;
    live.0.audit.goes_past(1);
    raw.execute(AssertSqlSafe(format!("SET SESSION sql_mode = '{mode}'"))).await.unwrap();
    let builder = otel_sqlx::MySqlConnection::builder(raw, &live.0.options).syntax(syntax);
    let mut connection = builder.system("mariadb").telemetry(&capture.telemetry()).build();
    connection.fetch_all(text).await.unwrap();
    capture
}

#[tokio::test]
async fn quotes_and_backslashes_are_read_as_the_server_does() {
    let Some(live) = Live::new().await else { return };
    let syntax = Syntax::new(Dialect::MariaDb);
    // A name that ends with a backslash.
    let text = r#"SELECT 'secret' AS "a\", 'secret' AS "b""#;
    let capture = shown(&live, "ANSI_QUOTES", syntax.ansi_quotes(), text).await;
    capture.assert_spans([live.statement("SELECT", r#"SELECT ? AS "a\", ? AS "b""#)]);
    // A string that ends with one: where it is an escape, the word is no literal.
    let text = r"SELECT 'a\', 'secret' /* \' ' */";
    let capture = shown(&live, "NO_BACKSLASH_ESCAPES", syntax.no_backslash_escapes(), text).await;
    capture.assert_spans([live.statement("SELECT", "SELECT ?, ? ")]);
}

/// The status counters have no texts, and one session has its own: a ledger reads the log instead.
#[tokio::test]
async fn the_log_has_what_the_status_counters_count() {
    let Some(mut live) = Live::new().await else { return };
    let capture = Capture::new();
    let mut connection = live.connection(&capture.telemetry()).await;
    // Prepared ones count when they run; refused ones, too.
    let before = questions(&mut connection).await;
    for id in 1..4 {
        sqlx::query(by_id()).bind(id).fetch_one(&mut connection).await.unwrap();
    }
    connection.execute("UPDATE users SET name = 'dan' WHERE id = 3").await.unwrap();
    connection.execute("SELECT * FROM nowhere").await.unwrap_err();
    let mut transaction = connection.begin().await.unwrap();
    transaction.execute(ALL).await.unwrap();
    transaction.rollback().await.unwrap();
    let counted = questions(&mut connection).await - before;
    // Of the two that ask, the first came before.
    assert_eq!(live.0.audit.balance().await.counted, counted + 1);
}

async fn questions(connection: &mut otel_sqlx::MySqlConnection) -> u64 {
    let row = connection.fetch_one("SHOW SESSION STATUS LIKE 'Questions'").await.unwrap();
    row.get::<String, _>(1).parse().unwrap()
}
