//! Layer `operation`: futures and blocking calls that end an operation, and the only place that
//! makes a context current.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{self, Poll};

use opentelemetry::Context;
use pin_project_lite::pin_project;

use crate::contain::contain;
use crate::failure::{Classify, Failure};
use crate::operation::Operation;
use crate::page::Page;

/// Runs code of the call itself inside the call's context; never across an await.
pub(crate) fn within<C, P: Page, T>(operation: &Operation<C, P>, code: impl FnOnce() -> T) -> T {
    within_context(operation.attached(), code)
}

fn within_context<T>(context: Option<Context>, code: impl FnOnce() -> T) -> T {
    // Contained: the thread's contexts are gone when a thread-local value of the user is dropped.
    let _guard = context.and_then(|context| contain(|| context.attach()));
    code()
}

/// What ends an operation by its result.
type ByResult<C, P, T, E> = fn(Operation<C, P>, &Result<T, E>);

impl<C, P: Page> Operation<C, P> {
    /// Drives a future: the operation's context is current while it is polled, and the operation
    /// ends with its result. Dropped before that, the operation counts as cancelled.
    pub fn run<F, T, E>(self, future: F) -> Run<F, C, P, ByResult<C, P, T, E>>
    where
        F: Future<Output = Result<T, E>>,
        C: Classify<E>,
    {
        self.run_to_end(future, Self::finish_with)
    }

    /// As [`run`](Self::run), and shows a success to `inspect`, which may add facts learnt from it
    /// or mark it as [`failed`](Self::failed).
    #[expect(clippy::type_complexity, reason = "no alias can name the closure")]
    pub fn run_with<F, T, E, I>(
        self,
        future: F,
        inspect: I,
    ) -> Run<F, C, P, impl FnOnce(Self, &Result<T, E>) + use<F, T, E, I, C, P>>
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
    pub fn handle<F, T, E>(self, future: F) -> Run<F, C, P, ByResult<C, P, T, E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        self.run_to_end(future, Self::finish_handled)
    }

    /// Drives any future, and hands the operation and what came out to `ending`, which ends it:
    /// for a handler whose errors are told by more than their type, or that answers no `Result`.
    pub fn run_to_end<F, I>(mut self, future: F, ending: I) -> Run<F, C, P, I>
    where
        F: Future,
        I: FnOnce(Self, &F::Output),
    {
        self.set_inside(false);
        Run { future: Some(future), ending: Some((self, ending)) }
    }

    /// Runs a piece of the call's own code in its context: one poll of it, for a future or a stream
    /// that ends its operation itself. Never across an await. A panic in it is told as one.
    pub fn step<T>(&mut self, piece: impl FnOnce() -> T) -> T {
        // What a panic leaves behind it may take a piece to drop.
        let outer = self.is_inside();
        self.set_inside(true);
        let output = within(self, piece);
        self.set_inside(outer);
        output
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

    /// The context of the call, for code of it that another thread runs.
    pub fn carried(&self) -> Carried {
        Carried(self.attached())
    }

    fn finish_handled<T, E>(self, result: &Result<T, E>) {
        match result {
            Ok(_) => self.finish(),
            Err(_) => self.fail_with(Failure::new(std::any::type_name::<E>())),
        }
    }
}

/// The context of a call on its way to another thread, such as that of a pool for blocking work. A
/// clone is another handle of the same context.
#[derive(Clone, Debug)]
pub struct Carried(Option<Context>);

impl Carried {
    /// Runs code within the call's context; the operation ends where it was started.
    pub fn run<T>(&self, code: impl FnOnce() -> T) -> T {
        within_context(self.0.clone(), code)
    }
}

pin_project! {
    /// A driver's future with its operation: see [`Operation::run`].
    #[must_use = "futures do nothing unless polled"]
    pub struct Run<F, C, P: Page, I> {
        #[pin]
        future: Option<F>,
        ending: Option<(Operation<C, P>, I)>,
    }

    impl<F, C, P: Page, I> PinnedDrop for Run<F, C, P, I> {
        // What the future does when it is dropped, such as logging, still belongs to the call.
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some((operation, _)) = this.ending.as_ref() {
                within(operation, || this.future.set(None));
            }
        }
    }
}

impl<F, C, P, I> Future for Run<F, C, P, I>
where
    P: Page,
    F: Future,
    I: FnOnce(Operation<C, P>, &F::Output),
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // It is taken only when this is dropped.
        let Some(future) = this.future.as_pin_mut() else { return Poll::Pending };
        let live = |(operation, _): &&mut (Operation<C, P>, I)| !operation.is_empty();
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

impl<F, C, P: Page, I> fmt::Debug for Run<F, C, P, I> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operation = self.ending.as_ref().map(|(operation, _)| operation);
        formatter.debug_struct("Run").field("operation", &operation).finish_non_exhaustive()
    }
}
