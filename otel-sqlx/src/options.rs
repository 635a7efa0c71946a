//! sqlx's `PoolOptions`, whose constructors make the instrumented pool.

use std::time::Duration;

use futures_core::future::BoxFuture;
use log::LevelFilter;
use otel_core::Telemetry;
use sqlx::Error;
use sqlx::pool::{self, PoolConnectionMetadata};

use crate::driver::{Database, Options};
use crate::pool::Pool;

/// Options of a pool: sqlx's `PoolOptions`. Its hooks get sqlx's own connection, as they do there:
/// what they do with it is not traced.
#[derive(Debug)]
pub struct PoolOptions<DB: sqlx::Database> {
    options: pool::PoolOptions<DB>,
    telemetry: Telemetry,
}

/// Forwards to the method of the same name.
macro_rules! forward {
    ($($method:ident($argument:ty)),* $(,)?) => {
        $(
            #[doc = concat!("As sqlx's `PoolOptions::", stringify!($method), "`.")]
            pub fn $method(self, value: $argument) -> Self {
                Self { options: self.options.$method(value), ..self }
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
                Self { options: self.options.$method(callback), ..self }
            }
        )*
    };
    (get: $($method:ident -> $output:ty),* $(,)?) => {
        $(
            #[doc = concat!("As sqlx's `PoolOptions::", stringify!($method), "`.")]
            pub fn $method(&self) -> $output {
                self.options.$method()
            }
        )*
    };
}

impl<DB: sqlx::Database> PoolOptions<DB> {
    /// As sqlx's `PoolOptions::new`.
    pub fn new() -> Self {
        pool::PoolOptions::new().into()
    }

    /// Default: [`Telemetry::global`]. Where the pool's telemetry goes.
    pub fn telemetry(self, telemetry: &Telemetry) -> Self {
        Self { telemetry: telemetry.clone(), ..self }
    }

    forward! {
        max_connections(u32),
        min_connections(u32),
        acquire_time_level(LevelFilter),
        acquire_slow_level(LevelFilter),
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
        self.options
    }
}

impl<DB: Database> PoolOptions<DB> {
    /// As sqlx's `PoolOptions::connect`.
    pub async fn connect(self, url: &str) -> Result<Pool<DB>, Error> {
        let pool = self.options.connect(url).await?;
        Ok(Pool::builder(pool).telemetry(&self.telemetry).url(url).build())
    }

    /// As sqlx's `PoolOptions::connect_with`.
    pub async fn connect_with(self, options: Options<DB>) -> Result<Pool<DB>, Error> {
        Ok(Pool::with(self.options.connect_with(options).await?, &self.telemetry))
    }

    /// As sqlx's `PoolOptions::connect_lazy`.
    pub fn connect_lazy(self, url: &str) -> Result<Pool<DB>, Error> {
        let pool = self.options.connect_lazy(url)?;
        Ok(Pool::builder(pool).telemetry(&self.telemetry).url(url).build())
    }

    /// As sqlx's `PoolOptions::connect_lazy_with`.
    pub fn connect_lazy_with(self, options: Options<DB>) -> Pool<DB> {
        Pool::with(self.options.connect_lazy_with(options), &self.telemetry)
    }
}

impl<DB: sqlx::Database> Default for PoolOptions<DB> {
    fn default() -> Self {
        Self::new()
    }
}

impl<DB: sqlx::Database> Clone for PoolOptions<DB> {
    fn clone(&self) -> Self {
        Self { options: self.options.clone(), telemetry: self.telemetry.clone() }
    }
}

impl<DB: sqlx::Database> From<pool::PoolOptions<DB>> for PoolOptions<DB> {
    fn from(options: pool::PoolOptions<DB>) -> Self {
        Self { options, telemetry: Telemetry::global() }
    }
}
