//! otel-sqlx on PostgreSQL.
#![allow(
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking"
)]

mod sqlx_servers;
mod sqlx_suite;

use integration_tests::{eventually, soon};
use otel_sqlx::migrate::{Migrate as _, Migration, MigrationType, Migrator};
use otel_sqlx::otel_core::sql::{Dialect, Syntax};
use sqlx::Type;
use sqlx::{
    Column as _, Connection as _, Executor as _, Row as _, SqlSafeStr as _, Statement as _,
};
use sqlx_suite::migrations::is_the_migrators;
use sqlx_suite::{ALL, Capture, Live, by_id};

mod backend {
    use integration_tests::ledger::postgres::Postgres;
    use integration_tests::{as_user, unique_name};
    use otel_testing::live;
    use sqlx::postgres::PgConnectOptions;

    use crate::sqlx_servers::{self, Undo};
    use crate::sqlx_suite;
    use crate::sqlx_suite::ledger::Audit;

    pub(crate) type DB = sqlx::Postgres;

    pub(crate) const SYSTEM: &str = "postgresql";
    pub(crate) const OTHER_SYSTEM: Option<&str> = None;
    pub(crate) const DEFAULT_PORT: Option<u16> = Some(5432);
    pub(crate) const BEGIN_WITH: (&str, &str) = ("BEGIN ISOLATION LEVEL SERIALIZABLE", "BEGIN");
    pub(crate) const SLOW: &str = "SELECT pg_sleep(0.3)";
    pub(crate) const SLOW_SHOWN: (&str, &str) = ("SELECT", "SELECT pg_sleep(?)");
    /// How many statements the driver runs to describe one, which is not traced, and which are not told
    /// from an application's.
    pub(crate) const DESCRIBES: u64 = 0;
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
    pub(crate) const SEEN: &str = "SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()";
    /// How many statements it holds prepared: the sum of these, each with its sign.
    pub(crate) const PREPARED: &[(&str, i64)] =
        &[("SELECT count(*)::text FROM pg_prepared_statements", 1)];
    /// What refuses to run in a transaction, and its summary.
    pub(crate) const NOT_IN_TRANSACTION: (&str, &str) = ("VACUUM accounts", "VACUUM");
    /// Something that is stored, and what of it is.
    pub(crate) const VIEW: &str = "CREATE VIEW ids AS SELECT id FROM users";
    pub(crate) const LAST_DEFINITION: &str = "SELECT pg_get_viewdef('ids'::regclass)";
    pub(crate) const RUNNING: &str =
        "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'";

    pub(crate) fn native() -> &'static native::Server {
        native::Server::postgres()
    }

    pub(crate) fn placeholder(number: usize) -> String {
        format!("${number}")
    }

    pub(crate) struct Scratch {
        pub(crate) audit: Audit<Postgres>,
        pub(crate) server: Postgres,
        pub(crate) options: PgConnectOptions,
        /// Of a role that the ledger does not look at.
        pub(crate) bare: PgConnectOptions,
        pub(crate) url: String,
        pub(crate) namespace: String,
        pub(crate) address: Option<(String, Option<u16>)>,
        _schema: Undo,
    }

    /// A schema of one test's own, and a role.
    pub(crate) async fn scratch() -> Option<Scratch> {
        let url = live::address("POSTGRES")?;
        let whole: PgConnectOptions = url.parse().unwrap();
        let name = unique_name();
        let make = [
            format!("CREATE SCHEMA {name}"),
            format!("CREATE ROLE {name} LOGIN PASSWORD '{name}' IN ROLE CURRENT_USER"),
        ];
        let undo = [
            "SET lock_timeout = 5000".to_owned(),
            format!("DROP SCHEMA {name} CASCADE"),
            format!("DROP ROLE {name}"),
        ];
        let schema = Undo::after(&whole, make, undo).await;
        let server = Postgres::new(whole.clone(), &name).await.unwrap();
        let url = format!("{}?options[search_path]={name}", as_user(&url, &name));
        Some(Scratch {
            audit: Audit::new(server.clone(), name.clone()),
            server,
            namespace: format!("{}|{name}", whole.get_database().unwrap()),
            address: Some((whole.get_host().to_owned(), Some(whole.get_port()))),
            options: whole
                .clone()
                .username(&name)
                .password(&name)
                .options([("search_path", &name)]),
            bare: whole.options([("search_path", &name)]),
            url,
            _schema: schema,
        })
    }
}

/// The same calls on the driver's connection and on ours: what the server holds afterwards.
macro_rules! held_by_the_server {
    ($connection:expr) => {{
        let connection = $connection;
        for _ in 0..2 {
            sqlx::query(by_id()).bind(1).fetch_one(&mut *connection).await.unwrap();
            connection.execute(ALL).await.unwrap();
            let unkept = sqlx::query("SELECT name FROM users WHERE id < $1").persistent(false);
            unkept.bind(3).fetch_all(&mut *connection).await.unwrap();
            let typed = sqlx::query_as::<_, (i32,)>("SELECT id FROM users WHERE name = $1");
            typed.bind("ann").fetch_optional(&mut *connection).await.unwrap();
        }
        let mut transaction = connection.begin().await.unwrap();
        sqlx::query("DELETE FROM users WHERE id = $1")
            .bind(9)
            .execute(&mut *transaction)
            .await
            .unwrap();
        transaction.rollback().await.unwrap();
        let held = "SELECT statement FROM pg_prepared_statements ORDER BY prepare_time";
        let held = sqlx::raw_sql(held).fetch_all(&mut *connection).await.unwrap();
        held.iter().map(|row| row.get(0)).collect::<Vec<String>>()
    }};
}

#[tokio::test]
async fn the_server_holds_the_same_statements_as_without_the_wrapper() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let bare = held_by_the_server!(&mut live.bare().await);
    assert_eq!(bare.len(), 3, "{bare:?}");
    let ours = held_by_the_server!(&mut live.connection(&capture.telemetry()).await);
    assert_eq!(ours, bare);
    let pool = live.pool(&capture.telemetry());
    let pooled = held_by_the_server!(&mut *pool.acquire().await.unwrap());
    assert_eq!(pooled, bare);
}

/// What a prepared statement says of its columns, once the server has forgotten it: the driver goes
/// by the statement that it is given, although the value is of another type by now.
macro_rules! columns_of_a_statement {
    ($connection:expr) => {{
        let connection = $connection;
        let types = [<i64 as Type<sqlx::Postgres>>::type_info()];
        let text = "SELECT $1 AS value".into_sql_str();
        let statement = (&mut *connection).prepare_with(text, &types).await.unwrap();
        connection.clear_cached_statements().await.unwrap();
        let row = statement.query().bind(7_i32).fetch_one(&mut *connection).await.unwrap();
        row.column(0).type_info().to_string()
    }};
}

#[tokio::test]
async fn a_prepared_statement_is_handed_on() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let bare = columns_of_a_statement!(&mut live.bare().await);
    assert_eq!(bare, "INT8");
    let ours = columns_of_a_statement!(&mut live.connection(&capture.telemetry()).await);
    assert_eq!(ours, bare);
}

#[tokio::test]
async fn without_a_schema_the_database_is_the_namespace() {
    let Some(url) = otel_testing::live::address("POSTGRES") else { return };
    let capture = Capture::new();
    let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
    let raw = sqlx::PgPool::connect_lazy_with(options.clone());
    otel_sqlx::PgPool::with(raw, &capture.telemetry())
        .begin()
        .await
        .unwrap()
        .commit()
        .await
        .unwrap();
    let database = options.get_database().unwrap();
    let names: Vec<_> = capture.spans().into_iter().map(|span| span.name).collect();
    assert_eq!(names, [format!("BEGIN {database}"), format!("COMMIT {database}")]);
}

/// To a server that knows backslashes in strings it is one literal; to any other, a name stands
/// between two of them.
const BACKSLASHES: &str = r"SELECT 'a\' AS secret, \' b' AS c";

#[tokio::test]
async fn strings_with_backslashes_are_read_as_the_server_does() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    let expected = || live.statement("SELECT", "SELECT ? AS c");
    let value = "a' AS secret, ' b";

    let by_options = live.0.options.clone().options([("standard_conforming_strings", "off")]);
    let raw = sqlx::PgPool::connect_lazy_with(by_options);
    let pool = otel_sqlx::PgPool::with(raw, &capture.telemetry());
    assert_eq!(pool.fetch_one(BACKSLASHES).await.unwrap().get::<&str, _>(0), value);

    // Said to the session alone: the connect options know nothing of it.
    let mut connection = live.connect().await;
    live.0.audit.goes_past(1);
    connection.execute("SET standard_conforming_strings = off").await.unwrap();
    let syntax = Syntax::new(Dialect::PostgreSql).standard_conforming_strings(false);
    let builder = otel_sqlx::PgConnection::builder(connection, &live.0.options).syntax(syntax);
    let mut connection = builder.telemetry(&capture.telemetry()).build();
    assert_eq!(connection.fetch_one(BACKSLASHES).await.unwrap().get::<&str, _>(0), value);
    capture.assert_spans([expected(), expected()]);

    sqlx::any::install_default_drivers();
    let url = format!("{}&options=-c%20standard_conforming_strings%3Doff", live.0.url);
    let raw = sqlx::AnyPool::connect(&url).await.unwrap();
    let pool = otel_sqlx::AnyPool::with(raw, &capture.telemetry());
    assert_eq!(pool.fetch_one(BACKSLASHES).await.unwrap().get::<String, _>(0), value);
    integration_tests::assert_nowhere(&capture, "secret");
    assert_eq!(capture.spans().len(), 3);
}

/// A lock of the driver's own, which holds as long as it has not let go.
#[tokio::test]
async fn a_migrator_waits_for_the_drivers_own() {
    let Some(live) = Live::new().await else { return };
    let capture = Capture::new();
    live.0.audit.leaves_out(is_the_migrators);
    let pool = live.pool(&capture.telemetry());
    let text = "CREATE TABLE accounts (id INT)";
    let (kind, sql) = (MigrationType::Simple, text.into_sql_str());
    let migration = Migration::new(1, "accounts".into(), kind, sql, false);
    let migrator = Migrator::with_migrations(vec![migration]);

    let mut first = live.bare().await;
    first.lock().await.unwrap();
    let second = tokio::spawn(async move { migrator.run(&pool).await });
    let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    let mut other = live.bare().await;
    eventually("the second waits", async || {
        assert!(!second.is_finished());
        let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(&mut other).await.unwrap();
        waiting > 0
    })
    .await;
    capture.assert_no_spans();
    first.unlock().await.unwrap();
    soon("the second is ready", second).await.unwrap().unwrap();
    capture.assert_spans([live.statement("CREATE TABLE accounts", text)]);
}
