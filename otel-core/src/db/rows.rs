//! Layer `db`: streams of rows that end an operation.

use std::fmt;
use std::pin::Pin;
use std::task::{self, Poll};

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::page::DbOperation;
use crate::failure::Classify;
use crate::instrument::within;

impl<C> DbOperation<C> {
    /// Drives a stream: the operation's context is current while it is polled, and the operation
    /// ends with its end or its first error. Dropped after an item it ends as a success: the caller
    /// had enough. Dropped before the first one, or while it waits for another, it counts as
    /// cancelled. The items are counted as rows.
    pub fn stream<S, T, E>(self, stream: S) -> Rows<S, C, fn(&T) -> bool>
    where
        S: Stream<Item = Result<T, E>>,
        C: Classify<E>,
    {
        self.stream_of(stream, |_| true)
    }

    /// As [`stream`](Self::stream), where not every item is a row.
    pub fn stream_of<S, T, E, R>(mut self, stream: S, is_row: R) -> Rows<S, C, R>
    where
        S: Stream<Item = Result<T, E>>,
        C: Classify<E>,
        R: FnMut(&T) -> bool,
    {
        self.set_inside(false);
        let operation = EndedByItems { operation: Some(self), after_item: false, rows: 0 };
        Rows { stream: Some(stream), operation, is_row }
    }
}

pin_project! {
    /// A driver's stream with its operation: see [`DbOperation::stream`](crate::DbOperation::stream).
    #[must_use = "streams do nothing unless polled"]
    pub struct Rows<S, C, R> {
        #[pin]
        stream: Option<S>,
        operation: EndedByItems<C>,
        is_row: R,
    }

    impl<S, C, R> PinnedDrop for Rows<S, C, R> {
        // As in `Run`.
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(operation) = this.operation.operation.as_ref() {
                within(operation, || this.stream.set(None));
            }
        }
    }
}

/// An operation whose outcome on drop depends on what was seen: a caller that has enough rows and
/// drops the stream has not cancelled anything.
struct EndedByItems<C> {
    operation: Option<DbOperation<C>>,
    /// Whether the last thing that came of the stream was an item.
    after_item: bool,
    rows: u64,
}

impl<C> Drop for EndedByItems<C> {
    fn drop(&mut self) {
        if let Some(mut operation) =
            self.operation.take_if(|operation| self.after_item && !operation.is_inside())
        {
            operation.rows(self.rows);
            operation.finish();
        }
    }
}

impl<S, C, R, T, E> Stream for Rows<S, C, R>
where
    S: Stream<Item = Result<T, E>>,
    C: Classify<E>,
    R: FnMut(&T) -> bool,
{
    type Item = Result<T, E>;

    fn poll_next(self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        // It is taken only when this is dropped.
        let Some(stream) = this.stream.as_pin_mut() else { return Poll::Ready(None) };
        let ended = this.operation;
        let Some(operation) = ended.operation.as_mut().filter(|operation| !operation.is_empty())
        else {
            return stream.poll_next(task);
        };
        operation.set_inside(true);
        let polled = within(operation, || stream.poll_next(task));
        operation.set_inside(false);
        match &polled {
            Poll::Pending => ended.after_item = false,
            Poll::Ready(Some(Ok(item))) => {
                ended.after_item = true;
                ended.rows += u64::from((this.is_row)(item));
            }
            Poll::Ready(Some(Err(error))) => {
                if let Some(operation) = ended.operation.take() {
                    operation.fail(error);
                }
            }
            Poll::Ready(None) => {
                if let Some(mut operation) = ended.operation.take() {
                    operation.rows(ended.rows);
                    operation.finish();
                }
            }
        }
        polled
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.as_ref().map_or((0, Some(0)), Stream::size_hint)
    }
}

impl<S, C, R> fmt::Debug for Rows<S, C, R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Rows")
            .field("operation", &self.operation.operation)
            .field("rows", &self.operation.rows)
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// A stream that is made at its first poll.
    #[project = LateProjection]
    pub(crate) enum Late<M, S> {
        Unpolled { make: Option<M> },
        Running { #[pin] stream: S },
    }
}

impl<M, S> Late<M, S> {
    pub(crate) fn new(make: M) -> Self {
        Self::Unpolled { make: Some(make) }
    }
}

impl<M, S> Stream for Late<M, S>
where
    M: FnOnce() -> S,
    S: Stream,
{
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<Option<S::Item>> {
        loop {
            match self.as_mut().project() {
                LateProjection::Running { stream } => return stream.poll_next(task),
                LateProjection::Unpolled { make } => match make.take() {
                    Some(make) => self.set(Self::Running { stream: make() }),
                    // The making panicked once; there is nothing to go on with.
                    None => return Poll::Ready(None),
                },
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Self::Unpolled { .. } => (0, None),
            Self::Running { stream } => stream.size_hint(),
        }
    }
}
