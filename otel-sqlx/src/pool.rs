//! The instrumented pool, and the connections it hands out.

use std::fmt;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::TryStreamExt as _;
use otel_core::db::pool::{InUse, PoolMetrics, PoolState};
use otel_core::{Db, Telemetry};
use sqlx::pool::{self, CloseEvent};
use sqlx::{Either, Error, Execute, Executor, SqlSafeStr, SqlStr};
use sqlx_core::ext::async_stream::TryAsyncStream;

use crate::builder::Builder;
use crate::connection::{Connection, Raw};
use crate::driver::{Database, Options, Sqlx};
use crate::options::PoolOptions;
use crate::query::Query;
use crate::transaction::{Source, Transaction};

/// An instrumented pool: sqlx's `Pool`, with its constructors and its methods. A clone is another
/// handle of the same pool.
///
/// `&Pool` is an [`Executor`]. The pool of sqlx is one call away, at [`raw`](Self::raw): what needs
/// it, such as a `PgListener`, is not traced.
pub struct Pool<DB: sqlx::Database> {
    gauges: Arc<Gauges<DB>>,
    db: Db<Sqlx>,
    metrics: PoolMetrics,
}

/// The pool as its gauges read it.
pub(crate) struct Gauges<DB: sqlx::Database>(pub(crate) sqlx::Pool<DB>);

impl<DB: sqlx::Database> PoolState for Gauges<DB> {
    fn size(&self) -> u64 {
        self.0.size().into()
    }

    fn idle(&self) -> u64 {
        self.0.num_idle() as u64
    }

    fn max(&self) -> Option<u64> {
        Some(self.0.options().get_max_connections().into())
    }

    /// A pool of sqlx closes no connection for being idle beside too many others.
    fn idle_max(&self) -> Option<u64> {
        self.max()
    }

    fn idle_min(&self) -> Option<u64> {
        Some(self.0.options().get_min_connections().into())
    }

    /// All handles and connections of a pool share these.
    fn identity(&self) -> Option<usize> {
        Some(std::ptr::from_ref(self.0.options()).addr())
    }
}

impl<DB: Database> Pool<DB> {
    /// Instruments a pool, reporting to the global providers.
    pub fn new(pool: sqlx::Pool<DB>) -> Self {
        Self::builder(pool).build()
    }

    /// Instruments a pool, reporting to `telemetry`.
    pub fn with(pool: sqlx::Pool<DB>, telemetry: &Telemetry) -> Self {
        Self::builder(pool).telemetry(telemetry).build()
    }

    /// Instruments a pool, with the crate's own options.
    pub fn builder(pool: sqlx::Pool<DB>) -> Builder<sqlx::Pool<DB>> {
        let server = DB::server(&pool.connect_options());
        Builder::of(pool, server)
    }

    /// As sqlx's `Pool::connect`.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        PoolOptions::new().connect(url).await
    }

    /// As sqlx's `Pool::connect_with`.
    pub async fn connect_with(options: Options<DB>) -> Result<Self, Error> {
        PoolOptions::new().connect_with(options).await
    }

    /// As sqlx's `Pool::connect_lazy`.
    pub fn connect_lazy(url: &str) -> Result<Self, Error> {
        PoolOptions::new().connect_lazy(url)
    }

    /// As sqlx's `Pool::connect_lazy_with`.
    pub fn connect_lazy_with(options: Options<DB>) -> Self {
        PoolOptions::new().connect_lazy_with(options)
    }
}

impl<DB: sqlx::Database> Pool<DB> {
    pub(crate) fn from_parts(gauges: Arc<Gauges<DB>>, db: Db<Sqlx>, metrics: PoolMetrics) -> Self {
        Self { gauges, db, metrics }
    }

    /// The pool of sqlx. Nothing that is done with it is traced.
    pub fn raw(&self) -> &sqlx::Pool<DB> {
        &self.gauges.0
    }

    /// The pool of sqlx, without the instrumentation.
    pub fn into_inner(self) -> sqlx::Pool<DB> {
        self.raw().clone()
    }

    /// As sqlx's `Pool::acquire`. The wait is measured; it is no operation of the database.
    pub fn acquire(
        &self,
    ) -> impl Future<Output = Result<PoolConnection<DB>, Error>> + Send + 'static {
        let pool = self.clone();
        async move { pool.check_out().await }
    }

    /// As sqlx's `Pool::try_acquire`.
    pub fn try_acquire(&self) -> Option<PoolConnection<DB>> {
        let connection = self.raw().try_acquire()?;
        Some(self.checked_out(connection, self.metrics.in_use()))
    }

    /// As sqlx's `Pool::begin`; traced as `BEGIN`, with the wait for a connection.
    pub async fn begin(&self) -> Result<Transaction<'static, DB>, Error> {
        Transaction::begin(Source::Pool(self.clone()), None).await
    }

    /// As sqlx's `Pool::begin_with`; traced by the statement, with the wait for a connection.
    pub async fn begin_with(
        &self,
        statement: impl SqlSafeStr,
    ) -> Result<Transaction<'static, DB>, Error> {
        Transaction::begin(Source::Pool(self.clone()), Some(statement.into_sql_str())).await
    }

    /// As sqlx's `Pool::try_begin`; traced as `BEGIN`.
    pub async fn try_begin(&self) -> Result<Option<Transaction<'static, DB>>, Error> {
        let Some(connection) = self.try_acquire() else {
            return Ok(None);
        };
        Transaction::begin(Source::Pooled(connection), None).await.map(Some)
    }

    /// As sqlx's `Pool::try_begin_with`; traced by the statement.
    pub async fn try_begin_with(
        &self,
        statement: impl SqlSafeStr,
    ) -> Result<Option<Transaction<'static, DB>>, Error> {
        let Some(connection) = self.try_acquire() else {
            return Ok(None);
        };
        Transaction::begin(Source::Pooled(connection), Some(statement.into_sql_str()))
            .await
            .map(Some)
    }

    /// As sqlx's `Pool::close`.
    pub fn close(&self) -> impl Future<Output = ()> + '_ {
        self.raw().close()
    }

    /// As sqlx's `Pool::is_closed`.
    pub fn is_closed(&self) -> bool {
        self.raw().is_closed()
    }

    /// As sqlx's `Pool::close_event`.
    pub fn close_event(&self) -> CloseEvent {
        self.raw().close_event()
    }

    /// As sqlx's `Pool::size`.
    pub fn size(&self) -> u32 {
        self.raw().size()
    }

    /// As sqlx's `Pool::num_idle`.
    pub fn num_idle(&self) -> usize {
        self.raw().num_idle()
    }

    /// As sqlx's `Pool::connect_options`.
    pub fn connect_options(&self) -> Arc<Options<DB>> {
        self.raw().connect_options()
    }

    /// As sqlx's `Pool::set_connect_options`. What is told of the server stays as it was.
    pub fn set_connect_options(&self, options: Options<DB>) {
        self.raw().set_connect_options(options);
    }

    /// As sqlx's `Pool::options`.
    pub fn options(&self) -> &pool::PoolOptions<DB> {
        self.raw().options()
    }

    pub(crate) fn db(&self) -> &Db<Sqlx> {
        &self.db
    }

    /// Takes a connection out of the pool, on every path: the wait is measured, however it ends.
    pub(crate) async fn check_out(&self) -> Result<PoolConnection<DB>, Error> {
        let waiting = self.metrics.wait();
        match self.db.pool_wait().run(self.raw().acquire()).await {
            Ok(connection) => Ok(self.checked_out(connection, waiting.got())),
            Err(error) => {
                if matches!(error, Error::PoolTimedOut) {
                    waiting.timed_out();
                }
                Err(error)
            }
        }
    }

    fn checked_out(&self, raw: pool::PoolConnection<DB>, in_use: InUse) -> PoolConnection<DB> {
        let connection = Connection::from_parts(Raw::Pooled(raw), self.db.clone());
        PoolConnection { connection, in_use }
    }
}

impl<DB: sqlx::Database> Clone for Pool<DB> {
    fn clone(&self) -> Self {
        Self {
            gauges: Arc::clone(&self.gauges),
            db: self.db.clone(),
            metrics: self.metrics.clone(),
        }
    }
}

impl<DB: sqlx::Database> fmt::Debug for Pool<DB> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.raw().fmt(formatter)
    }
}

impl<DB: Database> From<sqlx::Pool<DB>> for Pool<DB> {
    fn from(pool: sqlx::Pool<DB>) -> Self {
        Self::new(pool)
    }
}

/// The methods that sqlx's pool implements; the others are defaults on top of these, as there.
impl<'c, DB: Database> Executor<'c> for &'_ Pool<DB> {
    type Database = DB;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<DB::QueryResult, DB::Row>, Error>>
    where
        E: 'q + Execute<'q, DB>,
    {
        if self.db.is_off() {
            return DB::pool_fetch_many(self.raw(), query);
        }
        let pool = self.clone();
        let rows = move |query: Query<DB>, operation: &_| {
            let query = query.commented(operation);
            TryAsyncStream::new(|yielder| async move {
                let mut connection = pool.check_out().await?;
                let mut rows = DB::fetch_many(connection.raw_mut(), query);
                while let Some(row) = rows.try_next().await? {
                    yielder.r#yield(row).await;
                }
                Ok(())
            })
        };
        Box::pin(self.db.stream(Query::take(query), Query::call, rows, Either::is_right))
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<DB::Row>, Error>>
    where
        E: 'q + Execute<'q, DB>,
    {
        if self.db.is_off() {
            return DB::pool_fetch_optional(self.raw(), query);
        }
        let pool = self.clone();
        Box::pin(self.db.run_with(
            Query::take(query),
            Query::call,
            |query, operation| {
                let query = query.commented(operation);
                async move { DB::fetch_optional(pool.check_out().await?.raw_mut(), query).await }
            },
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
        let pool = self.clone();
        Box::pin(async move { pool.check_out().await?.prepare_with(sql, parameters).await })
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<sqlx::Describe<DB>, Error>> {
        let pool = self.raw().clone();
        Box::pin(async move { DB::describe(&mut *pool.acquire().await?, sql).await })
    }
}

/// A connection that belongs to a pool and goes back to it when it is dropped: sqlx's
/// `PoolConnection`. It leads to a [`Connection`].
pub struct PoolConnection<DB: sqlx::Database> {
    connection: Connection<DB>,
    in_use: InUse,
}

impl<DB: sqlx::Database> PoolConnection<DB> {
    /// As sqlx's `PoolConnection::close`.
    pub async fn close(self) -> Result<(), Error> {
        match self.connection.into_raw() {
            (Raw::Pooled(connection), _) => connection.close().await,
            (Raw::Own(connection), _) => sqlx_core::connection::Connection::close(connection).await,
        }
    }

    /// As sqlx's `PoolConnection::close_on_drop`.
    pub fn close_on_drop(&mut self) {
        if let Some(connection) = self.connection.pooled() {
            connection.close_on_drop();
        }
    }

    /// As sqlx's `PoolConnection::detach`; the connection stays instrumented.
    pub fn detach(self) -> Connection<DB> {
        match self.connection.into_raw() {
            (Raw::Pooled(connection), db) => {
                Connection::from_parts(Raw::Own(connection.detach()), db)
            }
            (own, db) => Connection::from_parts(own, db),
        }
    }

    /// As sqlx's `PoolConnection::leak`; the connection stays instrumented.
    pub fn leak(self) -> Connection<DB> {
        match self.connection.into_raw() {
            (Raw::Pooled(connection), db) => {
                Connection::from_parts(Raw::Own(connection.leak()), db)
            }
            (own, db) => Connection::from_parts(own, db),
        }
    }
}

impl<DB: sqlx::Database> Deref for PoolConnection<DB> {
    type Target = Connection<DB>;

    fn deref(&self) -> &Connection<DB> {
        &self.connection
    }
}

impl<DB: sqlx::Database> DerefMut for PoolConnection<DB> {
    fn deref_mut(&mut self) -> &mut Connection<DB> {
        &mut self.connection
    }
}

impl<DB: sqlx::Database> AsRef<Connection<DB>> for PoolConnection<DB> {
    fn as_ref(&self) -> &Connection<DB> {
        self
    }
}

impl<DB: sqlx::Database> AsMut<Connection<DB>> for PoolConnection<DB> {
    fn as_mut(&mut self) -> &mut Connection<DB> {
        self
    }
}

impl<DB: sqlx::Database> fmt::Debug for PoolConnection<DB> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PoolConnection")
            .field("in_use", &self.in_use)
            .finish_non_exhaustive()
    }
}
