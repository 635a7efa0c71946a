//! Futures, streams and blocking calls that end an operation, and the only place that makes a
//! context current.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{self, Poll};

use futures_core::Stream;
use pin_project_lite::pin_project;

use crate::contain::contain;
use crate::failure::{Classify, Failure};
use crate::operation::Operation;

/// Runs code of the call itself inside the call's context; never across an await.
fn within<C, T>(operation: &Operation<C>, code: impl FnOnce() -> T) -> T {
    // Contained: the thread's contexts are gone when a thread-local value of the user is dropped.
    let _guard = operation.attached().and_then(|context| contain(|| context.attach()));
    code()
}

/// What ends an operation by its result.
type ByResult<C, T, E> = fn(Operation<C>, &Result<T, E>);

impl<C> Operation<C> {
    /// Drives a future: the operation's context is current while it is polled, and the operation
    /// ends with its result. Dropped before that, the operation counts as cancelled.
    pub fn run<F, T, E>(self, future: F) -> Run<F, C, ByResult<C, T, E>>
    where
        F: Future<Output = Result<T, E>>,
        C: Classify<E>,
    {
        self.run_to_end(future, Self::finish_with)
    }

    /// As [`run`](Self::run), and shows a success to `inspect`, which may add facts learnt from it
    /// or mark it as [`failed`](Self::failed).
    pub fn run_with<F, T, E, I>(
        self,
        future: F,
        inspect: I,
    ) -> Run<F, C, impl FnOnce(Self, &Result<T, E>) + use<F, T, E, I, C>>
    where
        F: Future<Output = Result<T, E>>,
        C: Classify<E>,
        I: FnOnce(&T, &mut Self),
    {
        self.run_to_end(future, |mut operation: Self, result: &Result<T, E>| {
            if let Ok(value) = result {
                contain(|| inspect(value, &mut operation));
            }
            operation.finish_with(result);
        })
    }

    /// Drives the first future of a call that ends by another one, as a message that is written now
    /// and confirmed later. A success is given back with the operation, which goes on; an error ends
    /// it. Otherwise as [`run`](Self::run).
    pub async fn run_part<F, T, E>(self, future: F) -> Result<(T, Self), E>
    where
        F: Future<Output = Result<T, E>>,
        C: Classify<E>,
    {
        let mut kept = Self::empty();
        let ending = |operation: Self, result: &Result<T, E>| match result {
            Ok(_) => kept = operation,
            Err(error) => operation.fail(error),
        };
        let value = self.run_to_end(future, ending).await?;
        Ok((value, kept))
    }

    /// Drives the future of a handler, whose error may be of any type: the name of that type is the
    /// type of the error. Otherwise as [`run`](Self::run).
    pub fn handle<F, T, E>(self, future: F) -> Run<F, C, ByResult<C, T, E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        self.run_to_end(future, Self::finish_handled)
    }

    /// Drives any future, and hands the operation and what came out to `ending`, which ends it:
    /// for a handler whose errors are told by more than their type, or that answers no `Result`.
    pub fn run_to_end<F, I>(mut self, future: F, ending: I) -> Run<F, C, I>
    where
        F: Future,
        I: FnOnce(Self, &F::Output),
    {
        self.set_inside(false);
        Run { future: Some(future), ending: Some((self, ending)) }
    }

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

    /// Runs a blocking call: the operation's context is current meanwhile, and the operation ends
    /// with its result.
    pub fn call<T, E>(self, blocking: impl FnOnce() -> Result<T, E>) -> Result<T, E>
    where
        C: Classify<E>,
    {
        let result = within(&self, blocking);
        self.finish_with(&result);
        result
    }

    /// Runs a blocking handler, whose error may be of any type: see [`handle`](Self::handle).
    pub fn handle_blocking<T, E>(self, handler: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let result = within(&self, handler);
        self.finish_handled(&result);
        result
    }

    fn finish_handled<T, E>(self, result: &Result<T, E>) {
        match result {
            Ok(_) => self.finish(),
            Err(_) => self.fail_with(Failure::new(std::any::type_name::<E>())),
        }
    }
}

pin_project! {
    /// A driver's future with its operation: see [`Operation::run`].
    #[must_use = "futures do nothing unless polled"]
    pub struct Run<F, C, I> {
        #[pin]
        future: Option<F>,
        ending: Option<(Operation<C>, I)>,
    }

    impl<F, C, I> PinnedDrop for Run<F, C, I> {
        // What the future does when it is dropped, such as logging, still belongs to the call.
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some((operation, _)) = this.ending.as_ref() {
                within(operation, || this.future.set(None));
            }
        }
    }
}

impl<F, C, I> Future for Run<F, C, I>
where
    F: Future,
    I: FnOnce(Operation<C>, &F::Output),
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // It is taken only when this is dropped.
        let Some(future) = this.future.as_pin_mut() else { return Poll::Pending };
        let live = |(operation, _): &&mut (Operation<C>, I)| !operation.is_empty();
        let Some((operation, _)) = this.ending.as_mut().filter(live) else {
            return future.poll(task);
        };
        operation.set_inside(true);
        let polled = within(operation, || future.poll(task));
        operation.set_inside(false);
        if let Poll::Ready(output) = &polled
            && let Some((operation, ending)) = this.ending.take()
        {
            contain(|| ending(operation, output));
        }
        polled
    }
}

impl<F, C, I> fmt::Debug for Run<F, C, I> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operation = self.ending.as_ref().map(|(operation, _)| operation);
        formatter.debug_struct("Run").field("operation", &operation).finish_non_exhaustive()
    }
}

pin_project! {
    /// A driver's stream with its operation: see [`Operation::stream`].
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
    operation: Option<Operation<C>>,
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
