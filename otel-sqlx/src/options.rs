//! sqlx's `PoolOptions`, whose constructors make the instrumented pool.

use std::time::Duration;

use futures_core::future::BoxFuture;
use sqlx::Error;
use sqlx::pool::{self, PoolConnectionMetadata};

use crate::driver::{Database, Options};
use crate::pool::Pool;

/// Options of a pool: sqlx's `PoolOptions`. Its hooks get sqlx's own connection, as they do there:
/// what they do with it is not traced.
#[derive(Debug)]
pub struct PoolOptions<DB: Database>(pool::PoolOptions<DB>);

/// Forwards to the method of the same name.
macro_rules! forward {
    ($($method:ident($argument:ty)),* $(,)?) => {
        $(
            #[doc = concat!("As sqlx's `PoolOptions::", stringify!($method), "`.")]
            pub fn $method(self, value: $argument) -> Self {
                Self(self.0.$method(value))
            }
        )*
    };
    (hooks: $($method:ident -> $output:ty),* $(,)?) => {
        $(
            #[doc = concat!("As sqlx's `PoolOptions::", stringify!($method), "`.")]
            pub fn $method<F>(self, callback: F) -> Self
            where
                for<'c> F: Fn(
                        &'c mut DB::Connection,
                        PoolConnectionMetadata,
                    ) -> BoxFuture<'c, Result<$output, Error>>
                    + 'static
                    + Send
                    + Sync,
            {
                Self(self.0.$method(callback))
            }
        )*
    };
    (get: $($method:ident -> $output:ty),* $(,)?) => {
        $(
            #[doc = concat!("As sqlx's `PoolOptions::", stringify!($method), "`.")]
            pub fn $method(&self) -> $output {
                self.0.$method()
            }
        )*
    };
}

impl<DB: Database> PoolOptions<DB> {
    /// As sqlx's `PoolOptions::new`.
    pub fn new() -> Self {
        Self(pool::PoolOptions::new())
    }

    forward! {
        max_connections(u32),
        min_connections(u32),
        acquire_slow_threshold(Duration),
        acquire_timeout(Duration),
        max_lifetime(impl Into<Option<Duration>>),
        idle_timeout(impl Into<Option<Duration>>),
        test_before_acquire(bool),
    }

    forward! { hooks: after_connect -> (), before_acquire -> bool, after_release -> bool }

    forward! {
        get:
        get_max_connections -> u32,
        get_min_connections -> u32,
        get_acquire_slow_threshold -> Duration,
        get_acquire_timeout -> Duration,
        get_max_lifetime -> Option<Duration>,
        get_idle_timeout -> Option<Duration>,
        get_test_before_acquire -> bool,
    }

    /// The options of sqlx, for what is not forwarded: `PgPool::new(options.into_inner().connect(…))`.
    pub fn into_inner(self) -> pool::PoolOptions<DB> {
        self.0
    }

    /// As sqlx's `PoolOptions::connect`.
    pub async fn connect(self, url: &str) -> Result<Pool<DB>, Error> {
        Ok(of_url(self.0.connect(url).await?, url))
    }

    /// As sqlx's `PoolOptions::connect_with`.
    pub async fn connect_with(self, options: Options<DB>) -> Result<Pool<DB>, Error> {
        Ok(Pool::new(self.0.connect_with(options).await?))
    }

    /// As sqlx's `PoolOptions::connect_lazy`.
    pub fn connect_lazy(self, url: &str) -> Result<Pool<DB>, Error> {
        Ok(of_url(self.0.connect_lazy(url)?, url))
    }

    /// As sqlx's `PoolOptions::connect_lazy_with`.
    pub fn connect_lazy_with(self, options: Options<DB>) -> Pool<DB> {
        Pool::new(self.0.connect_lazy_with(options))
    }
}

/// The scheme of a URL tells MariaDB from MySQL, which the connect options forget.
fn of_url<DB: Database>(pool: sqlx::Pool<DB>, url: &str) -> Pool<DB> {
    let builder = Pool::builder(pool);
    match url.split_once(':') {
        Some(("mariadb", _)) => builder.system("mariadb").build(),
        _ => builder.build(),
    }
}

impl<DB: Database> Default for PoolOptions<DB> {
    fn default() -> Self {
        Self::new()
    }
}

impl<DB: Database> Clone for PoolOptions<DB> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<DB: Database> From<pool::PoolOptions<DB>> for PoolOptions<DB> {
    fn from(options: pool::PoolOptions<DB>) -> Self {
        Self(options)
    }
}
