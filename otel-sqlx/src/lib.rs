#![doc = include_str!("../README.md")]

mod acquire;
mod builder;
mod connection;
mod driver;
#[cfg(feature = "migrate")]
pub mod migrate;
mod options;
mod pool;
mod query;
mod transaction;

pub use otel_core::{self, Telemetry, opentelemetry};
pub use sqlx;

pub use self::acquire::Acquire;
pub use self::builder::{Builder, Single};
pub use self::connection::Connection;
pub use self::driver::Database;
pub use self::options::PoolOptions;
pub use self::pool::{Pool, PoolConnection};
pub use self::transaction::Transaction;

/// How an error of sqlx is told, for adapters of what is built on sqlx: the table of Errors above.
///
/// ```
/// use otel_sqlx::otel_core::Failure;
///
/// assert_eq!(otel_sqlx::failure(&sqlx::Error::PoolTimedOut), Failure::new("PoolTimedOut"));
/// ```
pub fn failure(error: &sqlx::Error) -> otel_core::Failure {
    <driver::Sqlx as otel_core::Classify<sqlx::Error>>::classify(error)
}

/// The names that sqlx gives to the types of one database, for the types of this crate.
macro_rules! aliases {
    ($feature:literal, $database:ty: $($alias:ident = $type:ident $(<$lifetime:lifetime>)?),*) => {
        $(
            #[cfg(feature = $feature)]
            #[doc = concat!("Alias of [`", stringify!($type), "`], under the name of sqlx.")]
            pub type $alias $(<$lifetime>)? = $type<$($lifetime,)? $database>;
        )*
    };
}

aliases!("postgres", sqlx::Postgres: PgPool = Pool, PgPoolOptions = PoolOptions,
    PgConnection = Connection, PgTransaction = Transaction<'c>);
aliases!("mysql", sqlx::MySql: MySqlPool = Pool, MySqlPoolOptions = PoolOptions,
    MySqlConnection = Connection, MySqlTransaction = Transaction<'c>);
aliases!("sqlite", sqlx::Sqlite: SqlitePool = Pool, SqlitePoolOptions = PoolOptions,
    SqliteConnection = Connection, SqliteTransaction = Transaction<'c>);
aliases!("any", sqlx::Any: AnyPool = Pool, AnyPoolOptions = PoolOptions,
    AnyConnection = Connection, AnyTransaction = Transaction<'c>);

/// A function that takes sqlx's own pool does not take ours by coercion: every span would be lost
/// without a word.
///
/// ```compile_fail
/// # #[cfg(feature = "sqlite")]
/// fn count(pool: &sqlx::SqlitePool) {}
/// # #[cfg(feature = "sqlite")]
/// fn wrapped(pool: &otel_sqlx::SqlitePool) {
///     count(pool);
/// }
/// # #[cfg(not(feature = "sqlite"))]
/// # compile_error!("the test needs a database");
/// ```
///
/// ```compile_fail
/// # #[cfg(feature = "sqlite")]
/// fn count(connection: &mut sqlx::SqliteConnection) {}
/// # #[cfg(feature = "sqlite")]
/// fn wrapped(connection: &mut otel_sqlx::SqliteConnection) {
///     count(connection);
/// }
/// # #[cfg(not(feature = "sqlite"))]
/// # compile_error!("the test needs a database");
/// ```
#[cfg(doctest)]
struct NotByCoercion;
