//! The only file that knows sqlx's vocabulary: its servers, its transactions and its errors.

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
#[cfg(test)]
mod tests;

#[cfg(any(feature = "postgres", feature = "mysql"))]
use std::path::PathBuf;

#[cfg(any(feature = "any", feature = "postgres"))]
use otel_core::sql::{Dialect, Syntax};
use otel_core::{Classify, Client, DbCall, DbServer, Failure};
use sqlx::error::{DatabaseError, ErrorKind};
use sqlx::{Either, Execute, SqlStr};
use sqlx_core::connection::Connection;

/// Names this crate as the source of what it emits.
#[derive(Debug)]
pub(crate) enum Sqlx {}

impl Client for Sqlx {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
}

pub(crate) type Options<DB> = <<DB as sqlx::Database>::Connection as Connection>::Options;

pub(crate) type ManyOf<'e, DB> = BoxStream<
    'e,
    Result<Either<<DB as sqlx::Database>::QueryResult, <DB as sqlx::Database>::Row>, sqlx::Error>,
>;
pub(crate) type OptionalOf<'e, DB> =
    BoxFuture<'e, Result<Option<<DB as sqlx::Database>::Row>, sqlx::Error>>;

/// A database of sqlx that this crate instruments: `Postgres`, `MySql`, `Sqlite` and `Any`, each
/// behind the feature of its name. Code that is generic over the database needs it where it makes
/// queries or connects; for the types and the rest, sqlx's own trait is enough.
pub trait Database: sqlx::Database {
    /// The server that connect options point to; nothing is asked from it.
    #[doc(hidden)]
    fn server(options: &Options<Self>) -> DbServer;

    #[doc(hidden)]
    fn fetch_many<'e, 'q: 'e, E: 'q + Execute<'q, Self>>(
        connection: &'e mut Self::Connection,
        query: E,
    ) -> ManyOf<'e, Self>;

    #[doc(hidden)]
    fn fetch_optional<'e, 'q: 'e, E: 'q + Execute<'q, Self>>(
        connection: &'e mut Self::Connection,
        query: E,
    ) -> OptionalOf<'e, Self>;

    #[doc(hidden)]
    fn prepare_with<'e>(
        connection: &'e mut Self::Connection,
        sql: SqlStr,
        parameters: &'e [Self::TypeInfo],
    ) -> BoxFuture<'e, Result<Self::Statement, sqlx::Error>>;

    #[doc(hidden)]
    fn describe(
        connection: &mut Self::Connection,
        sql: SqlStr,
    ) -> BoxFuture<'_, Result<sqlx::Describe<Self>, sqlx::Error>>;

    #[doc(hidden)]
    fn pool_fetch_many<'e, 'q: 'e, E: 'q + Execute<'q, Self>>(
        pool: &sqlx::Pool<Self>,
        query: E,
    ) -> ManyOf<'e, Self>;

    #[doc(hidden)]
    fn pool_fetch_optional<'e, 'q: 'e, E: 'q + Execute<'q, Self>>(
        pool: &sqlx::Pool<Self>,
        query: E,
    ) -> OptionalOf<'e, Self>;
}

/// Writes what every implementation of [`Database`] forwards: per database, because a bound
/// `for<'c> &'c mut DB::Connection: Executor<'c>` sends the compiler into a loop.
#[cfg(any(feature = "any", feature = "mysql", feature = "postgres", feature = "sqlite"))]
macro_rules! forward {
    () => {
        fn fetch_many<'e, 'q: 'e, E: 'q + Execute<'q, Self>>(
            connection: &'e mut Self::Connection,
            query: E,
        ) -> ManyOf<'e, Self> {
            sqlx::Executor::fetch_many(connection, query)
        }

        fn fetch_optional<'e, 'q: 'e, E: 'q + Execute<'q, Self>>(
            connection: &'e mut Self::Connection,
            query: E,
        ) -> OptionalOf<'e, Self> {
            sqlx::Executor::fetch_optional(connection, query)
        }

        fn prepare_with<'e>(
            connection: &'e mut Self::Connection,
            sql: SqlStr,
            parameters: &'e [Self::TypeInfo],
        ) -> BoxFuture<'e, Result<Self::Statement, sqlx::Error>> {
            sqlx::Executor::prepare_with(connection, sql, parameters)
        }

        fn describe(
            connection: &mut Self::Connection,
            sql: SqlStr,
        ) -> BoxFuture<'_, Result<sqlx::Describe<Self>, sqlx::Error>> {
            sqlx::Executor::describe(connection, sql)
        }

        fn pool_fetch_many<'e, 'q: 'e, E: 'q + Execute<'q, Self>>(
            pool: &sqlx::Pool<Self>,
            query: E,
        ) -> ManyOf<'e, Self> {
            sqlx::Executor::fetch_many(pool, query)
        }

        fn pool_fetch_optional<'e, 'q: 'e, E: 'q + Execute<'q, Self>>(
            pool: &sqlx::Pool<Self>,
            query: E,
        ) -> OptionalOf<'e, Self> {
            sqlx::Executor::fetch_optional(pool, query)
        }
    };
}

#[cfg(feature = "postgres")]
impl Database for sqlx::Postgres {
    forward!();

    fn server(options: &Options<Self>) -> DbServer {
        let server = DbServer::new("postgresql");
        let server = reached(server, options.get_socket(), options.get_host(), options.get_port());
        // The server takes the user's name for a database that is not named.
        let database = options.get_database().unwrap_or_else(|| options.get_username());
        let started_with = options.get_options().unwrap_or_default();
        let schema = otel_core::address::search_path(started_with);
        with_strings(server, started_with).namespace(match schema {
            Some(schema) => format!("{database}|{schema}"),
            None => database.to_owned(),
        })
    }
}

/// How strings are to be read, where start-up options (or a URL with them) say so:
/// `-c standard_conforming_strings=off`, in all the words that PostgreSQL has for it.
#[cfg(any(feature = "any", feature = "postgres"))]
fn with_strings(server: DbServer, options: &str) -> DbServer {
    // As in a URL: `options[standard_conforming_strings]=off`.
    let options =
        options.to_ascii_lowercase().replace('-', "_").replace("%3d", "=").replace(']', "");
    let Some((_, value)) = options.rsplit_once("standard_conforming_strings=") else {
        return server;
    };
    let end = value.find(|end: char| !end.is_ascii_alphanumeric());
    let value = value.get(..end.unwrap_or(value.len())).unwrap_or_default();
    // PostgreSQL takes the beginning of a word for the word.
    let on =
        !matches!(value, "0" | "of" | "off" | "n" | "no" | "f" | "fa" | "fal" | "fals" | "false");
    server.syntax(Syntax::new(Dialect::PostgreSql).standard_conforming_strings(on))
}

/// The socket, or the host and port. PostgreSQL's host may be the folder of a socket.
#[cfg(any(feature = "postgres", feature = "mysql"))]
fn reached(server: DbServer, socket: Option<&PathBuf>, host: &str, port: u16) -> DbServer {
    match socket {
        Some(socket) => server.address(socket.display().to_string(), None),
        None => server.address(host.to_owned(), (!host.starts_with('/')).then_some(port)),
    }
}

#[cfg(feature = "mysql")]
impl Database for sqlx::MySql {
    forward!();

    fn server(options: &Options<Self>) -> DbServer {
        let server = DbServer::new("mysql");
        let server = reached(server, options.get_socket(), options.get_host(), options.get_port());
        match options.get_database() {
            Some(database) => server.namespace(database.to_owned()),
            None => server,
        }
    }
}

#[cfg(feature = "sqlite")]
impl Database for sqlx::Sqlite {
    forward!();

    fn server(options: &Options<Self>) -> DbServer {
        let server = DbServer::new("sqlite");
        let file = options.get_filename().to_string_lossy();
        // What sqlx names a database in memory, so that several connections may share it.
        if file.starts_with("file:sqlx-in-memory-") {
            return server.namespace(":memory:");
        }
        match otel_core::address::sqlite_file(&file) {
            Some(name) => server.namespace(name),
            None => server,
        }
    }
}

#[cfg(feature = "any")]
impl Database for sqlx::Any {
    forward!();

    fn server(options: &Options<Self>) -> DbServer {
        from_url(options.database_url.as_str())
    }
}

/// The server of a connection URL, where there are no options that know better.
#[cfg(feature = "any")]
fn from_url(url: &str) -> DbServer {
    let known = otel_core::address::Address::parse(url);
    let mut server = DbServer::new(known.system.unwrap_or("other_sql"));
    if known.system == Some("postgresql") {
        server = with_strings(server, url);
    }
    if let Some(address) = known.address {
        server = server.address(address, known.port);
    }
    if let Some(namespace) = known.namespace {
        server = server.namespace(namespace);
    }
    server
}

/// What is sent to begin a transaction at a depth: the user's own statement, or sqlx's.
pub(crate) fn begin(statement: Option<&SqlStr>, depth: usize) -> DbCall<'_> {
    match statement {
        Some(statement) => DbCall::statement(statement.as_str(), false),
        None => DbCall::new().operation(if depth == 0 { "BEGIN" } else { "SAVEPOINT" }),
    }
}

/// What sqlx sends to commit the transaction at a depth.
pub(crate) fn commit(depth: usize) -> DbCall<'static> {
    DbCall::new().operation(if depth <= 1 { "COMMIT" } else { "RELEASE SAVEPOINT" })
}

/// What sqlx sends to roll back the transaction at a depth.
pub(crate) fn rollback(depth: usize) -> DbCall<'static> {
    DbCall::new().operation(if depth <= 1 { "ROLLBACK" } else { "ROLLBACK TO SAVEPOINT" })
}

/// What is told of a statement that is only prepared.
pub(crate) fn prepare(sql: &SqlStr) -> DbCall<'_> {
    DbCall::statement(sql.as_str(), false).prefix("PREPARE")
}

#[cfg(feature = "migrate")]
impl Classify<sqlx::migrate::MigrateError> for Sqlx {
    /// What a migration fails with is an error of the database, and the others are sqlx's own.
    fn classify(error: &sqlx::migrate::MigrateError) -> Failure {
        use sqlx::migrate::MigrateError;
        match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
                Self::classify(error)
            }
            _ => Failure::default(),
        }
    }
}

impl Classify<sqlx::Error> for Sqlx {
    /// Texts of errors may quote data (`invalid input syntax for type integer: "…"`), so none is
    /// shown.
    fn classify(error: &sqlx::Error) -> Failure {
        use sqlx::Error;
        Failure::new(match error {
            Error::Database(error) => return of_server(&**error),
            // The kind says more than `Io` would, and is of low cardinality too.
            Error::Io(error) => return Failure::new(format!("{:?}", error.kind())),
            Error::AnyDriverError(_) => "AnyDriverError",
            Error::BeginFailed => "BeginFailed",
            Error::ColumnDecode { .. } => "ColumnDecode",
            Error::ColumnIndexOutOfBounds { .. } => "ColumnIndexOutOfBounds",
            Error::ColumnNotFound(_) => "ColumnNotFound",
            Error::ConfigFile(_) => "ConfigFile",
            Error::Configuration(_) => "Configuration",
            Error::Decode(_) => "Decode",
            Error::Encode(_) => "Encode",
            Error::InvalidArgument(_) => "InvalidArgument",
            Error::InvalidSavePointStatement => "InvalidSavePointStatement",
            Error::PoolClosed => "PoolClosed",
            Error::PoolTimedOut => "PoolTimedOut",
            Error::Protocol(_) => "Protocol",
            Error::RowNotFound => "RowNotFound",
            Error::Tls(_) => "Tls",
            Error::TypeNotFound { .. } => "TypeNotFound",
            Error::WorkerCrashed => "WorkerCrashed",
            _ => return Failure::default(),
        })
    }
}

/// SQLSTATE of PostgreSQL, number of MySQL and MariaDB, extended result code of SQLite.
fn of_server(error: &dyn DatabaseError) -> Failure {
    #[cfg(feature = "mysql")]
    if let Some(error) = error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
        return Failure::code(error.number().to_string()).description(kind(&error.kind()));
    }
    match error.code() {
        Some(code) => Failure::code(code.into_owned()),
        None => Failure::new("Database"),
    }
    .description(kind(&error.kind()))
}

/// The one thing that sqlx tells of a server's error which cannot quote data.
fn kind(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::CheckViolation => "check violation",
        ErrorKind::ExclusionViolation => "exclusion violation",
        ErrorKind::ForeignKeyViolation => "foreign key violation",
        ErrorKind::NotNullViolation => "not null violation",
        ErrorKind::UniqueViolation => "unique violation",
        _ => "",
    }
}
