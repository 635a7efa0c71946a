//! Transactions and savepoints.

use std::fmt;
use std::ops::{Deref, DerefMut};

use otel_core::opentelemetry::Context;
use otel_core::{Classify as _, Db, DbOperation};
use sqlx::{Error, SqlStr};
use sqlx_core::transaction::TransactionManager;

use crate::connection::Connection;
use crate::driver::{self, Sqlx};
use crate::pool::{Pool, PoolConnection};

/// An instrumented transaction: sqlx's `Transaction`. It leads to a [`Connection`], so `&mut *tx`
/// is an executor that is traced.
///
/// Dropped before [`commit`](Self::commit) or [`rollback`](Self::rollback) it is rolled back, which
/// the driver only queues: a `ROLLBACK` span tells that it was, without a measurement, because
/// nobody learns how long the server takes for it.
pub struct Transaction<'c, DB: sqlx::Database> {
    connection: Held<'c, DB>,
    /// The handle of the connection as it was before, for after this transaction.
    outside: Db<Sqlx>,
    /// The span over the whole transaction, if the user asked for one.
    whole: Option<DbOperation<Sqlx>>,
    state: State,
    /// What was current at the beginning: the parent of a rollback when a task is dropped.
    beginning: Context,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// `BEGIN` has not been answered: the server may or may not know of the transaction.
    Beginning,
    Open,
    Ended,
}

enum Held<'c, DB: sqlx::Database> {
    Borrowed(&'c mut Connection<DB>),
    Pooled(PoolConnection<DB>),
}

/// Where the connection of a new transaction comes from.
pub(crate) enum Source<'c, DB: sqlx::Database> {
    Borrowed(&'c mut Connection<DB>),
    Pooled(PoolConnection<DB>),
    /// To be waited for, as part of the call.
    Pool(Pool<DB>),
}

impl<'c, DB: sqlx::Database> Source<'c, DB> {
    fn db(&self) -> &Db<Sqlx> {
        match self {
            Self::Borrowed(connection) => &connection.db,
            Self::Pooled(connection) => &connection.db,
            Self::Pool(pool) => pool.db(),
        }
    }

    fn depth(&self) -> usize {
        match self {
            Self::Borrowed(connection) => connection.depth(),
            Self::Pooled(connection) => connection.depth(),
            Self::Pool(_) => 0,
        }
    }

    async fn take(self) -> Result<Held<'c, DB>, Error> {
        Ok(match self {
            Self::Borrowed(connection) => Held::Borrowed(connection),
            Self::Pooled(connection) => Held::Pooled(connection),
            Self::Pool(pool) => Held::Pooled(pool.check_out().await?),
        })
    }
}

impl<'c, DB: sqlx::Database> Transaction<'c, DB> {
    pub(crate) async fn begin(
        source: Source<'c, DB>,
        statement: Option<SqlStr>,
    ) -> Result<Self, Error> {
        let outside = source.db().clone();
        let (whole, db) = outside.enclose("transaction");
        let depth = source.depth();
        let beginning = if outside.is_off() { Context::new() } else { Context::current() };
        let enter = async |statement| {
            let mut connection = source.take().await?;
            connection.db = db.clone();
            // Made before the server is asked, so that it is rolled back if that is cancelled.
            let state = State::Beginning;
            let mut transaction = Self { connection, outside, whole: None, state, beginning };
            DB::TransactionManager::begin(transaction.raw_mut(), statement).await?;
            transaction.state = State::Open;
            Ok(transaction)
        };
        let begun = db.run(statement, |sent| driver::begin(sent.as_ref(), depth), enter);
        match begun.await {
            Ok(mut transaction) => {
                transaction.whole = Some(whole);
                Ok(transaction)
            }
            Err(error) => {
                whole.fail(&error);
                Err(error)
            }
        }
    }

    /// As sqlx's `Transaction::commit`; traced as `COMMIT`, or `RELEASE SAVEPOINT` within another.
    pub async fn commit(mut self) -> Result<(), Error> {
        let (db, depth) = (self.db.clone(), self.depth());
        let raw = self.raw_mut();
        let ended = db.run(raw, |_| driver::commit(depth), DB::TransactionManager::commit).await;
        self.end(ended)
    }

    /// As sqlx's `Transaction::rollback`; traced as `ROLLBACK`, or `ROLLBACK TO SAVEPOINT` within
    /// another.
    pub async fn rollback(mut self) -> Result<(), Error> {
        let (db, depth) = (self.db.clone(), self.depth());
        let raw = self.raw_mut();
        let ended =
            db.run(raw, |_| driver::rollback(depth), DB::TransactionManager::rollback).await;
        self.end(ended)
    }

    fn end(&mut self, ended: Result<(), Error>) -> Result<(), Error> {
        match &ended {
            Ok(()) => self.state = State::Ended,
            Err(error) => {
                if let Some(whole) = &mut self.whole {
                    whole.failed(Sqlx::classify(error));
                }
            }
        }
        ended
    }
}

impl<DB: sqlx::Database> Drop for Transaction<'_, DB> {
    fn drop(&mut self) {
        if self.state != State::Ended {
            let rollback = if self.state == State::Open {
                let depth = self.depth();
                Some(self.db.hand_over(&self.beginning, || driver::rollback(depth)))
            } else {
                None
            };
            DB::TransactionManager::start_rollback(self.raw_mut());
            rollback.into_iter().for_each(DbOperation::finish);
        }
        // After the rollback, which belongs to it.
        self.whole.take().into_iter().for_each(DbOperation::finish);
        self.connection.db = self.outside.clone();
    }
}

impl<DB: sqlx::Database> Deref for Held<'_, DB> {
    type Target = Connection<DB>;

    fn deref(&self) -> &Connection<DB> {
        match self {
            Self::Borrowed(connection) => connection,
            Self::Pooled(connection) => connection,
        }
    }
}

impl<DB: sqlx::Database> DerefMut for Held<'_, DB> {
    fn deref_mut(&mut self) -> &mut Connection<DB> {
        match self {
            Self::Borrowed(connection) => connection,
            Self::Pooled(connection) => connection,
        }
    }
}

impl<DB: sqlx::Database> Deref for Transaction<'_, DB> {
    type Target = Connection<DB>;

    fn deref(&self) -> &Connection<DB> {
        &self.connection
    }
}

impl<DB: sqlx::Database> DerefMut for Transaction<'_, DB> {
    fn deref_mut(&mut self) -> &mut Connection<DB> {
        &mut self.connection
    }
}

impl<DB: sqlx::Database> AsMut<Connection<DB>> for Transaction<'_, DB> {
    fn as_mut(&mut self) -> &mut Connection<DB> {
        self
    }
}

impl<DB: sqlx::Database> fmt::Debug for Transaction<'_, DB> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Transaction").finish_non_exhaustive()
    }
}
