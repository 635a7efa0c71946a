//! The operation of a cursor, which goes on until its last document.

use std::future::poll_fn;
use std::mem;
use std::pin::pin;
use std::task::Poll;

use mongodb::error::Result;
use otel_core::{Classify as _, DbOperation, Failure};

use crate::driver::Mongo;
use crate::polled;

/// An operation that was opened, and whose documents are read. It lasts until the last answer of the
/// server: how long the caller looks at a document that is there already, is not the database's
/// time.
#[derive(Debug)]
pub(crate) struct Reading {
    operation: Option<DbOperation<Mongo>>,
    /// None of what is no document.
    rows: Option<u64>,
    /// Whether an answer is waited for, or something went wrong meanwhile.
    waits: bool,
    /// Whether to drop it is to give it up.
    unfinished: bool,
}

/// What came of a cursor.
pub(crate) enum Came {
    /// So many documents.
    Rows(u64),
    /// A piece of a file.
    Bytes,
    End,
    Failed(Failure),
    Waits,
}

impl Reading {
    pub(crate) fn of(operation: DbOperation<Mongo>) -> Self {
        Self::new(operation, Some(0), false)
    }

    /// Of a file, of which no documents are counted.
    pub(crate) fn of_file(operation: DbOperation<Mongo>) -> Self {
        Self::new(operation, None, false)
    }

    /// Of what is only whole when it ends.
    pub(crate) fn of_upload(operation: DbOperation<Mongo>) -> Self {
        Self::new(operation, None, true)
    }

    fn new(operation: DbOperation<Mongo>, rows: Option<u64>, unfinished: bool) -> Self {
        let mut operation = Some(operation).filter(|operation| !operation.is_empty());
        operation.iter_mut().for_each(DbOperation::answered);
        Self { operation, rows, waits: false, unfinished }
    }

    /// A piece of the reading, such as the next document of a blocking cursor.
    pub(crate) fn step<T>(
        &mut self,
        piece: impl FnOnce() -> T,
        came: impl FnOnce(&T) -> Came,
    ) -> T {
        let Some(operation) = &mut self.operation else { return piece() };
        let waited = mem::replace(&mut self.waits, true);
        let (output, sent) = polled::step(operation, piece);
        let came = came(&output);
        if matches!(came, Came::Waits) {
            operation.waits();
            return output;
        }
        self.waits = false;
        if waited || sent {
            operation.answered();
        }
        match came {
            Came::Rows(rows) => self.rows.iter_mut().for_each(|sum| *sum += rows),
            Came::Bytes | Came::Waits => {}
            Came::End => self.close(),
            Came::Failed(failure) => {
                if let Some(operation) = self.operation.take() {
                    operation.fail_with(failure);
                }
            }
        }
        output
    }

    /// A piece that may have to wait.
    pub(crate) fn poll<T>(
        &mut self,
        poll: impl FnOnce() -> Poll<T>,
        came: impl FnOnce(&T) -> Came,
    ) -> Poll<T> {
        self.step(poll, |polled| match polled {
            Poll::Ready(output) => came(output),
            Poll::Pending => Came::Waits,
        })
    }

    /// A future that advances the cursor.
    pub(crate) async fn advance(
        &mut self,
        advance: impl Future<Output = Result<bool>>,
    ) -> Result<bool> {
        let mut advance = pin!(advance);
        poll_fn(|task| self.poll(|| advance.as_mut().poll(task), advanced)).await
    }

    fn close(&mut self) {
        if let Some(mut operation) = self.operation.take() {
            self.rows.into_iter().for_each(|rows| operation.rows(rows));
            operation.finish();
        }
    }
}

/// Who has enough has not cancelled anything, but who does not wait for what was asked for.
impl Drop for Reading {
    fn drop(&mut self) {
        if !self.waits && !self.unfinished {
            self.close();
        }
    }
}

pub(crate) fn advanced(result: &Result<bool>) -> Came {
    match result {
        Ok(true) => Came::Rows(1),
        Ok(false) => Came::End,
        Err(error) => Came::Failed(Mongo::classify(error)),
    }
}

#[expect(clippy::ref_option, reason = "what a stream gives, as it is")]
pub(crate) fn next<T>(item: &Option<Result<T>>) -> Came {
    match item {
        Some(Ok(_)) => Came::Rows(1),
        Some(Err(error)) => Came::Failed(Mongo::classify(error)),
        None => Came::End,
    }
}
