//! The twin of sqlx's `Acquire`, which is bound to the raw connection and would lose every span.

use futures_core::future::BoxFuture;
use sqlx::Error;

use std::ops::DerefMut;

use crate::connection::Connection;
use crate::driver::Database;
use crate::pool::{Pool, PoolConnection};
use crate::transaction::{Source, Transaction};

/// What a connection or a transaction can be had from: sqlx's `Acquire`, for the types of this
/// crate. Helpers that are generic over it change nothing but the import.
pub trait Acquire<'c> {
    /// The database of the connection.
    type Database: Database;
    /// The connection, or what leads to it.
    type Connection: DerefMut<Target = Connection<Self::Database>> + Send;

    /// Takes a connection.
    fn acquire(self) -> BoxFuture<'c, Result<Self::Connection, Error>>;

    /// Begins a transaction.
    fn begin(self) -> BoxFuture<'c, Result<Transaction<'c, Self::Database>, Error>>;
}

impl<'c, DB: Database> Acquire<'c> for &'_ Pool<DB> {
    type Database = DB;
    type Connection = PoolConnection<DB>;

    fn acquire(self) -> BoxFuture<'c, Result<Self::Connection, Error>> {
        Box::pin(self.acquire())
    }

    fn begin(self) -> BoxFuture<'c, Result<Transaction<'c, DB>, Error>> {
        Box::pin(Transaction::begin(Source::Pool(self.clone()), None))
    }
}

impl<'c, DB: Database> Acquire<'c> for &'c mut Connection<DB> {
    type Database = DB;
    type Connection = Self;

    fn acquire(self) -> BoxFuture<'c, Result<Self::Connection, Error>> {
        Box::pin(std::future::ready(Ok(self)))
    }

    fn begin(self) -> BoxFuture<'c, Result<Transaction<'c, DB>, Error>> {
        Box::pin(Transaction::begin(Source::Borrowed(self), None))
    }
}

impl<'c, DB: Database> Acquire<'c> for &'c mut PoolConnection<DB> {
    type Database = DB;
    type Connection = &'c mut Connection<DB>;

    fn acquire(self) -> BoxFuture<'c, Result<Self::Connection, Error>> {
        (&mut **self).acquire()
    }

    fn begin(self) -> BoxFuture<'c, Result<Transaction<'c, DB>, Error>> {
        Acquire::begin(&mut **self)
    }
}

impl<'c, DB: Database> Acquire<'c> for &'c mut Transaction<'_, DB> {
    type Database = DB;
    type Connection = &'c mut Connection<DB>;

    fn acquire(self) -> BoxFuture<'c, Result<Self::Connection, Error>> {
        (&mut **self).acquire()
    }

    fn begin(self) -> BoxFuture<'c, Result<Transaction<'c, DB>, Error>> {
        Acquire::begin(&mut **self)
    }
}
