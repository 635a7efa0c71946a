//! Transactions that the driver runs by itself, as often as it takes. It hands its own session to the
//! callback, and a user's callback takes one of ours: so for the time of the callback, the driver's
//! session is in ours, and another one where it was.

use std::mem;

use mongodb::error::{Error, Result, TRANSIENT_TRANSACTION_ERROR};
use otel_core::{Db, DbCall, DbOperation, Failure};

use crate::driver::Mongo;

/// A session of ours.
pub(crate) trait Session {
    type Raw;

    fn raw(&mut self) -> &mut Self::Raw;
    fn db(&self) -> &Db<Mongo>;
    fn in_transaction(&mut self) -> &mut bool;
}

/// A session of the driver's in one of ours, until this is dropped.
pub(crate) struct Lent<'b, S: Session> {
    raw: &'b mut S::Raw,
    pub(crate) ours: &'b mut S,
}

impl<'b, S: Session> Lent<'b, S> {
    pub(crate) fn new(raw: &'b mut S::Raw, ours: &'b mut S) -> Self {
        mem::swap(raw, ours.raw());
        *ours.in_transaction() = true;
        Self { raw, ours }
    }
}

impl<S: Session> Drop for Lent<'_, S> {
    fn drop(&mut self) {
        mem::swap(self.raw, self.ours.raw());
    }
}

/// The commit or abort that the driver makes after a callback: begins with the end of the one, and
/// ends with the beginning of the next, or with the whole.
pub(crate) struct Ending {
    operation: DbOperation<Mongo>,
    commits: bool,
}

impl Default for Ending {
    fn default() -> Self {
        Self { operation: DbOperation::empty(), commits: false }
    }
}

impl Ending {
    /// A callback ended; if it ended the transaction as well, nothing follows.
    pub(crate) fn begin<T>(&mut self, session: &mut impl Session, result: &Result<T>) {
        if *session.in_transaction() {
            self.commits = result.is_ok();
            let command = if self.commits { "commitTransaction" } else { "abortTransaction" };
            let describe = || DbCall::new().operation(command).namespace("admin");
            self.operation = session.db().start(describe);
        }
    }

    /// The whole is done once more.
    pub(crate) fn again(&mut self) {
        let operation = self.take();
        if self.commits {
            operation.fail_with(Failure::new(TRANSIENT_TRANSACTION_ERROR));
        } else {
            operation.finish();
        }
    }

    /// An error after an abort is what led to it.
    pub(crate) fn end<T>(&mut self, result: &Result<T>) {
        let operation = self.take();
        if self.commits {
            operation.finish_with::<_, Error>(result);
        } else {
            operation.finish();
        }
    }

    fn take(&mut self) -> DbOperation<Mongo> {
        mem::replace(&mut self.operation, DbOperation::empty())
    }
}
