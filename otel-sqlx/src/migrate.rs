//! Migrations: sqlx's module `migrate`, with a [`Migrator`] that takes the handles of this crate.

use std::borrow::Cow;
use std::ops::Deref;
use std::time::Duration;

use futures_core::future::BoxFuture;
use otel_core::DbCall;
pub use sqlx::migrate::*;

use crate::acquire::Acquire;
use crate::connection::Connection;

/// A set of migrations: sqlx's `Migrator`, whose `run`, `run_to`, `skip` and `undo` take the pool,
/// the connection or the transaction of this crate. It leads to sqlx's own for the rest.
///
/// Made by [`migrate!`](crate::migrate!) of this crate, by [`new`](Self::new), or from sqlx's:
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # async fn example(pool: otel_sqlx::SqlitePool) -> Result<(), sqlx::migrate::MigrateError> {
/// use otel_sqlx::migrate::Migrator; // was: use sqlx::migrate::Migrator;
///
/// Migrator::new(std::path::Path::new("./migrations")).await?.run(&pool).await
/// # }
/// ```
#[derive(Debug)]
pub struct Migrator {
    /// The migrator of sqlx. Public, so that a constant can be made of it.
    pub raw: sqlx::migrate::Migrator,
}

/// Embeds the migrations of a folder: sqlx's `migrate!`, for the [`Migrator`] of this crate.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # async fn example(pool: otel_sqlx::SqlitePool) -> Result<(), sqlx::migrate::MigrateError> {
/// otel_sqlx::migrate!("tests/migrations").run(&pool).await // was: sqlx::migrate!
/// # }
/// ```
#[macro_export]
macro_rules! migrate {
    ($($folder:literal)?) => {
        $crate::migrate::Migrator { raw: $crate::sqlx::migrate!($($folder)?) }
    };
}

impl Migrator {
    /// As sqlx's `Migrator::new`.
    pub async fn new<'s, S: MigrationSource<'s>>(source: S) -> Result<Self, MigrateError> {
        sqlx::migrate::Migrator::new(source).await.map(Self::from)
    }

    /// As sqlx's `Migrator::with_migrations`.
    pub fn with_migrations(migrations: Vec<Migration>) -> Self {
        sqlx::migrate::Migrator::with_migrations(migrations).into()
    }

    /// As sqlx's `Migrator::dangerous_set_table_name`.
    pub fn dangerous_set_table_name(&mut self, table_name: impl Into<Cow<'static, str>>) -> &Self {
        self.raw.dangerous_set_table_name(table_name);
        self
    }

    /// As sqlx's `Migrator::create_schema`.
    pub fn create_schema(&mut self, schema_name: impl Into<Cow<'static, str>>) -> &Self {
        self.raw.create_schema(schema_name);
        self
    }

    /// As sqlx's `Migrator::set_ignore_missing`.
    pub fn set_ignore_missing(&mut self, ignore_missing: bool) -> &mut Self {
        self.raw.set_ignore_missing(ignore_missing);
        self
    }

    /// As sqlx's `Migrator::set_locking`.
    pub fn set_locking(&mut self, locking: bool) -> &mut Self {
        self.raw.set_locking(locking);
        self
    }

    /// As sqlx's `Migrator::run`; each migration that is applied is traced.
    pub async fn run<'a, A>(&self, migrator: A) -> Result<(), MigrateError>
    where
        A: Acquire<'a>,
        <A::Connection as Deref>::Target: Migrate,
    {
        self.raw.run_direct(None, &mut *migrator.acquire().await?, false).await
    }

    /// As sqlx's `Migrator::run_to`; each migration that is applied is traced.
    pub async fn run_to<'a, A>(&self, target: i64, migrator: A) -> Result<(), MigrateError>
    where
        A: Acquire<'a>,
        <A::Connection as Deref>::Target: Migrate,
    {
        self.raw.run_direct(Some(target), &mut *migrator.acquire().await?, false).await
    }

    /// As sqlx's `Migrator::skip`.
    pub async fn skip<'a, A>(&self, migrator: A, target: Option<i64>) -> Result<(), MigrateError>
    where
        A: Acquire<'a>,
        <A::Connection as Deref>::Target: Migrate,
    {
        self.raw.run_direct(target, &mut *migrator.acquire().await?, true).await
    }

    /// As sqlx's `Migrator::undo`; each migration that is reverted is traced.
    pub async fn undo<'a, A>(&self, migrator: A, target: i64) -> Result<(), MigrateError>
    where
        A: Acquire<'a>,
        <A::Connection as Deref>::Target: Migrate,
    {
        let mut acquired = migrator.acquire().await?;
        let (connection, table) = (&mut *acquired, &*self.raw.table_name);
        if self.raw.locking {
            connection.lock().await?;
        }
        connection.ensure_migrations_table(table).await?;
        if let Some(version) = connection.dirty_version(table).await? {
            return Err(MigrateError::Dirty(version));
        }
        let applied = connection.list_applied_migrations(table).await?;
        let is_missing = |one: &&AppliedMigration| !self.version_exists(one.version);
        match applied.iter().find(is_missing) {
            Some(missing) if !self.raw.ignore_missing => {
                return Err(MigrateError::VersionMissing(missing.version));
            }
            _ => {}
        }
        let is_applied =
            |one: &&Migration| applied.iter().any(|known| known.version == one.version);
        let down = self.iter().rev().filter(|one| one.migration_type.is_down_migration());
        for migration in down.filter(is_applied).filter(|one| one.version > target) {
            connection.revert(table, migration).await?;
        }
        if self.raw.locking {
            connection.unlock().await?;
        }
        Ok(())
    }
}

impl From<sqlx::migrate::Migrator> for Migrator {
    fn from(raw: sqlx::migrate::Migrator) -> Self {
        Self { raw }
    }
}

impl Deref for Migrator {
    type Target = sqlx::migrate::Migrator;

    fn deref(&self) -> &Self::Target {
        &self.raw
    }
}

/// What sqlx keeps its own table with: not traced.
macro_rules! forward {
    ($($method:ident($($argument:ident: $type:ty),*) -> $output:ty;)*) => {
        $(
            fn $method<'e>(
                &'e mut self,
                $($argument: &'e $type),*
            ) -> BoxFuture<'e, Result<$output, MigrateError>> {
                self.raw_mut().$method($($argument),*)
            }
        )*
    };
}

/// What runs a migration, with sqlx's own note of it.
macro_rules! run_in_span {
    ($($method:ident),*) => {
        $(
            fn $method<'e>(
                &'e mut self,
                table_name: &'e str,
                migration: &'e Migration,
            ) -> BoxFuture<'e, Result<Duration, MigrateError>> {
                let (raw, db) = self.parts();
                if db.is_off() {
                    return raw.$method(table_name, migration);
                }
                Box::pin(db.run(
                    raw,
                    |_| DbCall::statement(migration.sql.as_str(), false),
                    |raw| raw.$method(table_name, migration),
                ))
            }
        )*
    };
}

/// So that sqlx's migrator runs over our connection, which sees each migration.
impl<DB: sqlx::Database> Migrate for Connection<DB>
where
    DB::Connection: Migrate,
{
    forward! {
        create_schema_if_not_exists(schema_name: str) -> ();
        ensure_migrations_table(table_name: str) -> ();
        dirty_version(table_name: str) -> Option<i64>;
        list_applied_migrations(table_name: str) -> Vec<AppliedMigration>;
        skip(table_name: str, migration: Migration) -> ();
    }

    fn lock(&mut self) -> BoxFuture<'_, Result<(), MigrateError>> {
        self.raw_mut().lock()
    }

    fn unlock(&mut self) -> BoxFuture<'_, Result<(), MigrateError>> {
        self.raw_mut().unlock()
    }

    run_in_span!(apply, revert);
}
