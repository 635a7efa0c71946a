//! The crate's own options, and facts that the driver hides.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use otel_core::sql::Syntax;
use otel_core::{Db, DbServer, Telemetry};

use crate::connection::{Connection, Raw};
use crate::pool::{Gauges, Pool};

/// A connection that belongs to no pool, as a [`Builder`] holds it.
pub struct Single<DB: sqlx::Database>(pub(crate) DB::Connection);

impl<DB: sqlx::Database> fmt::Debug for Single<DB> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Single").finish_non_exhaustive()
    }
}

/// Instruments a handle with more than [`Pool::new`] or [`Connection::new`] can tell.
#[must_use]
pub struct Builder<H> {
    handle: H,
    server: DbServer,
    telemetry: Telemetry,
    pool_name: Option<Cow<'static, str>>,
}

impl<H> fmt::Debug for Builder<H> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Builder")
            .field("server", &self.server)
            .field("telemetry", &self.telemetry)
            .field("pool_name", &self.pool_name)
            .finish_non_exhaustive()
    }
}

impl<H> Builder<H> {
    pub(crate) fn of(handle: H, server: DbServer) -> Self {
        Self { handle, server, telemetry: Telemetry::global(), pool_name: None }
    }

    /// The scheme of a URL tells MariaDB from MySQL, which the connect options forget.
    pub(crate) fn url(self, url: &str) -> Self {
        match url.split_once(':') {
            Some(("mariadb", _)) => self.system("mariadb"),
            _ => self,
        }
    }

    /// Default: [`Telemetry::global`].
    pub fn telemetry(mut self, telemetry: &Telemetry) -> Self {
        self.telemetry = telemetry.clone();
        self
    }

    /// Default: `postgresql`, `mysql` or `sqlite`, as the driver is; for `Any` by its URL. Give
    /// `mariadb` where the MySQL driver speaks to MariaDB, which it does not tell.
    pub fn system(mut self, system: &'static str) -> Self {
        self.server = self.server.with_system(system);
        self
    }

    /// Default: as the server of that system reads SQL. What its settings change of that: without
    /// this, an analysis by the wrong rules may take a piece of a literal for something else.
    /// PostgreSQL's connect options are read for `standard_conforming_strings`.
    ///
    /// ```
    /// # #[cfg(feature = "mysql")]
    /// # fn instrumented(pool: sqlx::MySqlPool) -> otel_sqlx::MySqlPool {
    /// use otel_sqlx::MySqlPool;
    /// use otel_sqlx::otel_core::sql::{Dialect, Syntax};
    ///
    /// // A server with `sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'`.
    /// let syntax = Syntax::new(Dialect::MySql).ansi_quotes().no_backslash_escapes();
    /// MySqlPool::builder(pool).syntax(syntax).build()
    /// # }
    /// ```
    pub fn syntax(mut self, syntax: impl Into<Syntax>) -> Self {
        self.server = self.server.syntax(syntax);
        self
    }

    /// Default: what the connect options name. The namespace that the connections work in, where an
    /// `after_connect` hook changes it.
    pub fn namespace(mut self, namespace: impl Into<Cow<'static, str>>) -> Self {
        self.server = self.server.namespace(namespace);
        self
    }

    /// Default: `address:port/namespace`, as far as these are known. The name of the pool in its
    /// metrics. A second pool of one name in the process becomes `name#2`; a pool that is
    /// instrumented again keeps its first name.
    pub fn pool_name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.pool_name = Some(name.into());
        self
    }
}

impl<DB: sqlx::Database> Builder<sqlx::Pool<DB>> {
    /// Makes the instrumented pool.
    pub fn build(self) -> Pool<DB> {
        let name = self.pool_name.unwrap_or_else(|| self.server.pool_name().into());
        let db = Db::new(&self.telemetry, self.server);
        let gauges = Arc::new(Gauges(self.handle));
        let metrics = db.pool(name, &gauges);
        Pool::from_parts(gauges, db, metrics)
    }
}

impl<DB: sqlx::Database> Builder<Single<DB>> {
    /// Makes the instrumented connection.
    pub fn build(self) -> Connection<DB> {
        Connection::from_parts(Raw::Own(self.handle.0), Db::new(&self.telemetry, self.server))
    }
}
