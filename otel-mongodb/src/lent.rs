//! Transactions that the driver runs by itself, as often as it takes. It hands its own session to the
//! callback, and a user's callback takes one of ours: so for the time of the callback, the driver's
//! session is in ours, and another one where it was.

use std::future::poll_fn;
use std::mem;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mongodb::error::{Error, Result, TRANSIENT_TRANSACTION_ERROR};
use otel_core::{Db, DbCall, DbOperation, Failure};

use crate::driver::Mongo;
use crate::polled;

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
#[derive(Default)]
pub(crate) struct Ending(Mutex<Option<State>>);

struct State {
    operation: DbOperation<Mongo>,
    commits: bool,
}

impl Ending {
    /// A callback ended; if it ended the transaction as well, nothing follows.
    pub(crate) fn begin<T>(&self, session: &mut impl Session, result: &Result<T>) {
        if *session.in_transaction() {
            let commits = result.is_ok();
            let command = if commits { "commitTransaction" } else { "abortTransaction" };
            let describe = || DbCall::new().operation(command).namespace("admin");
            let operation = session.db().start(describe);
            if !operation.is_empty() {
                polled::begins();
                *self.state() = Some(State { operation, commits });
            }
        }
    }

    /// The whole is done once more.
    pub(crate) fn again(&self) {
        let Some(State { mut operation, commits }) = self.state().take() else { return };
        if let Some(address) = polled::ends() {
            address.tell(&mut operation);
        }
        if commits {
            operation.fail_with(Failure::new(TRANSIENT_TRANSACTION_ERROR));
        } else {
            operation.finish();
        }
    }

    /// An error after an abort is what led to it.
    fn end<T>(&self, result: &Result<T>) {
        let Some(State { operation, commits }) = self.state().take() else { return };
        if commits {
            operation.finish_with::<_, Error>(result);
        } else {
            operation.finish();
        }
    }

    /// Runs the whole to its end.
    pub(crate) async fn of<T>(&self, whole: impl Future<Output = Result<T>>) -> Result<T> {
        let mut whole = pin!(whole);
        let result = poll_fn(|task| self.piece(|| whole.as_mut().poll(task))).await;
        self.end(&result);
        result
    }

    /// The same, in this thread.
    #[cfg(feature = "sync")]
    pub(crate) fn of_blocking<T>(&self, whole: impl FnOnce() -> Result<T>) -> Result<T> {
        let result = self.piece(whole);
        self.end(&result);
        result
    }

    /// A piece of the whole: what the driver sends in it belongs to the commit or abort.
    fn piece<T>(&self, piece: impl FnOnce() -> T) -> T {
        let is_call = self.state().is_some();
        let (output, sent) = polled::within(is_call, piece);
        if let (Some(address), Some(state)) = (sent, &mut *self.state()) {
            address.tell(&mut state.operation);
        }
        output
    }

    fn state(&self) -> MutexGuard<'_, Option<State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
