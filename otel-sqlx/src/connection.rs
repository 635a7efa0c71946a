//! One instrumented connection, pooled or not: what `*connection` and `*transaction` lead to.

use std::fmt;

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use otel_core::{Db, Telemetry};
use sqlx::pool;
#[cfg(feature = "sqlite")]
use sqlx::sqlite::{LockedSqliteHandle, SqliteOwnedBuf};
use sqlx::{ConnectOptions as _, Either, Error, Execute, Executor, SqlSafeStr, SqlStr};
use sqlx_core::connection::Connection as _;
use sqlx_core::database::HasStatementCache;
use sqlx_core::transaction::TransactionManager;

use crate::builder::{Builder, Single};
use crate::driver::{self, Database, Options, Sqlx};
use crate::query::Query;
use crate::transaction::{Source, Transaction};

/// An instrumented connection: sqlx's `PgConnection`, `MySqlConnection`, `SqliteConnection` or
/// `AnyConnection`, made with the options it connects with.
///
/// `&mut Connection` is an [`Executor`]. The connection of sqlx is one call away, at
/// [`raw_mut`](Self::raw_mut): what needs it, such as `COPY`, is not traced.
pub struct Connection<DB: sqlx::Database> {
    raw: Raw<DB>,
    pub(crate) db: Db<Sqlx>,
}

pub(crate) enum Raw<DB: sqlx::Database> {
    Own(DB::Connection),
    Pooled(pool::PoolConnection<DB>),
}

impl<DB: Database> Connection<DB> {
    /// Instruments a connection that was made with these options, reporting to the global
    /// providers.
    pub fn new(connection: DB::Connection, options: &Options<DB>) -> Self {
        Self::with(connection, options, &Telemetry::global())
    }

    /// Instruments a connection that was made with these options, reporting to `telemetry`.
    pub fn with(connection: DB::Connection, options: &Options<DB>, telemetry: &Telemetry) -> Self {
        Self::builder(connection, options).telemetry(telemetry).build()
    }

    /// Instruments a connection, with facts that its options do not tell.
    pub fn builder(connection: DB::Connection, options: &Options<DB>) -> Builder<Single<DB>> {
        Builder::of(Single(connection), DB::server(options))
    }

    /// As sqlx's `Connection::connect`.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        let options: Options<DB> = url.parse()?;
        Ok(Self::builder(options.connect().await?, &options).url(url).build())
    }

    /// As sqlx's `Connection::connect_with`.
    pub async fn connect_with(options: &Options<DB>) -> Result<Self, Error> {
        Ok(Self::new(options.connect().await?, options))
    }
}

impl<DB: sqlx::Database> Connection<DB> {
    pub(crate) fn from_parts(raw: Raw<DB>, db: Db<Sqlx>) -> Self {
        Self { raw, db }
    }

    /// The connection of sqlx, for what only reads it.
    pub fn raw(&self) -> &DB::Connection {
        match &self.raw {
            Raw::Own(connection) => connection,
            Raw::Pooled(connection) => connection,
        }
    }

    /// The connection of sqlx. Nothing that is done with it is traced.
    pub fn raw_mut(&mut self) -> &mut DB::Connection {
        self.parts().0
    }

    /// The connection of sqlx, without the instrumentation; it leaves a pool it belonged to.
    pub fn into_inner(self) -> DB::Connection {
        match self.raw {
            Raw::Own(connection) => connection,
            Raw::Pooled(connection) => connection.detach(),
        }
    }

    /// The connection of sqlx, and what instruments it.
    pub(crate) fn parts(&mut self) -> (&mut DB::Connection, &Db<Sqlx>) {
        let raw = match &mut self.raw {
            Raw::Own(connection) => connection,
            Raw::Pooled(connection) => &mut **connection,
        };
        (raw, &self.db)
    }

    /// The pooled connection, where it is one.
    pub(crate) fn pooled(&mut self) -> Option<&mut pool::PoolConnection<DB>> {
        match &mut self.raw {
            Raw::Own(_) => None,
            Raw::Pooled(connection) => Some(connection),
        }
    }

    pub(crate) fn into_raw(self) -> (Raw<DB>, Db<Sqlx>) {
        (self.raw, self.db)
    }

    pub(crate) fn depth(&self) -> usize {
        DB::TransactionManager::get_transaction_depth(self.raw())
    }

    /// As sqlx's `Connection::begin`; traced as `BEGIN`, or `SAVEPOINT` within a transaction.
    pub async fn begin(&mut self) -> Result<Transaction<'_, DB>, Error> {
        Transaction::begin(Source::Borrowed(self), None).await
    }

    /// As sqlx's `Connection::begin_with`; traced by the statement.
    pub async fn begin_with(
        &mut self,
        statement: impl SqlSafeStr,
    ) -> Result<Transaction<'_, DB>, Error> {
        Transaction::begin(Source::Borrowed(self), Some(statement.into_sql_str())).await
    }

    /// As sqlx's `Connection::transaction`.
    pub async fn transaction<'a, F, R, E>(&'a mut self, callback: F) -> Result<R, E>
    where
        for<'c> F:
            FnOnce(&'c mut Transaction<'_, DB>) -> BoxFuture<'c, Result<R, E>> + 'a + Send + Sync,
        R: Send,
        E: From<Error> + Send,
    {
        let mut transaction = self.begin().await?;
        match callback(&mut transaction).await {
            Ok(value) => {
                transaction.commit().await?;
                Ok(value)
            }
            Err(error) => {
                transaction.rollback().await?;
                Err(error)
            }
        }
    }

    /// As sqlx's `Connection::is_in_transaction`.
    pub fn is_in_transaction(&self) -> bool {
        self.raw().is_in_transaction()
    }

    /// As sqlx's `Connection::close`.
    pub async fn close(self) -> Result<(), Error> {
        match self.raw {
            Raw::Own(connection) => connection.close().await,
            Raw::Pooled(connection) => connection.close().await,
        }
    }

    /// As sqlx's `Connection::ping`; not traced.
    pub async fn ping(&mut self) -> Result<(), Error> {
        self.raw_mut().ping().await
    }

    /// As sqlx's `Connection::shrink_buffers`.
    pub fn shrink_buffers(&mut self) {
        self.raw_mut().shrink_buffers();
    }

    /// As sqlx's `Connection::cached_statements_size`.
    pub fn cached_statements_size(&self) -> usize
    where
        DB: HasStatementCache,
    {
        self.raw().cached_statements_size()
    }

    /// As sqlx's `Connection::clear_cached_statements`.
    pub async fn clear_cached_statements(&mut self) -> Result<(), Error>
    where
        DB: HasStatementCache,
    {
        self.raw_mut().clear_cached_statements().await
    }
}

#[cfg(feature = "postgres")]
impl Connection<sqlx::Postgres> {
    /// As sqlx's `PgConnection::server_version_num`.
    pub fn server_version_num(&self) -> Option<u32> {
        self.raw().server_version_num()
    }
}

#[cfg(feature = "sqlite")]
impl Connection<sqlx::Sqlite> {
    /// As sqlx's `SqliteConnection::lock_handle`. What is done with the handle is not traced.
    pub async fn lock_handle(&mut self) -> Result<LockedSqliteHandle<'_>, Error> {
        self.raw_mut().lock_handle().await
    }

    /// As sqlx's `SqliteConnection::serialize`; not traced.
    pub async fn serialize(&mut self, schema: Option<&str>) -> Result<SqliteOwnedBuf, Error> {
        self.raw_mut().serialize(schema).await
    }

    /// As sqlx's `SqliteConnection::deserialize`; not traced.
    pub async fn deserialize(
        &mut self,
        schema: Option<&str>,
        data: SqliteOwnedBuf,
        read_only: bool,
    ) -> Result<(), Error> {
        self.raw_mut().deserialize(schema, data, read_only).await
    }
}

#[cfg(feature = "any")]
impl Connection<sqlx::Any> {
    /// As sqlx's `AnyConnection::backend_name`.
    pub fn backend_name(&self) -> &str {
        self.raw().backend_name()
    }
}

impl<DB: sqlx::Database> fmt::Debug for Connection<DB> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Connection").finish_non_exhaustive()
    }
}

/// The methods that the drivers implement; the others are defaults on top of these, as there.
impl<'c, DB: Database> Executor<'c> for &'c mut Connection<DB> {
    type Database = DB;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<DB::QueryResult, DB::Row>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, DB>,
    {
        if self.db.is_off() {
            return DB::fetch_many(self.raw_mut(), query);
        }
        let (raw, db) = self.parts();
        let query = Query::take(query);
        Box::pin(db.stream(
            query,
            Query::call,
            |query, operation| DB::fetch_many(raw, query.commented(operation)),
            Either::is_right,
        ))
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<DB::Row>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, DB>,
    {
        if self.db.is_off() {
            return DB::fetch_optional(self.raw_mut(), query);
        }
        let (raw, db) = self.parts();
        Box::pin(db.run_with(
            Query::take(query),
            Query::call,
            |query, operation| DB::fetch_optional(raw, query.commented(operation)),
            |row, operation| operation.rows(row.is_some().into()),
        ))
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [DB::TypeInfo],
    ) -> BoxFuture<'e, Result<DB::Statement, Error>>
    where
        'c: 'e,
    {
        let (raw, db) = self.parts();
        if !db.wants_prepare_spans() || db.is_off() {
            return DB::prepare_with(raw, sql, parameters);
        }
        Box::pin(db.run(sql, driver::prepare, |sql| DB::prepare_with(raw, sql, parameters)))
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<sqlx::Describe<DB>, Error>>
    where
        'c: 'e,
    {
        DB::describe(self.raw_mut(), sql)
    }
}
