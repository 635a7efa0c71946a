//! Layer `messaging`: receipts of messages that are out of the caller's hands: their operation ends
//! with the broker's word, whoever waits for it or does not.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use super::page::MessagingOperation;
use crate::contain::contain;

/// A driver's receipt, with the operation of the message that it is for. What comes out of the
/// receipt is given to `ending`, which ends the operation, and then to whoever polls this.
///
/// The operation needs neither a task nor a thread of its own: what the driver wakes is this. Where
/// no answer comes, because the client is gone, it ends without an error when the driver lets go of
/// the waker.
pub struct Receipt<F: Future, C, E>(Arc<Watch<F, C, E>>);

/// When the receipt is looked at that the driver has woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// At once, within the driver's call to the waker.
    InWaker,
    /// By whoever polls or sweeps it: the waker only notes the time.
    Later,
}

struct Watch<F: Future, C, E> {
    look: Look,
    watched: Mutex<Watched<F, C, E>>,
    /// Never held while anything else is called: a driver may wake under its own locks.
    woken: Mutex<Woken>,
}

/// An operation, and what ends it.
type Open<C, E> = (MessagingOperation<C>, E);

/// What came, the operation that ends with it, and when the driver woke us.
type Answer<F, C, E> = (Open<C, E>, <F as Future>::Output, Option<Instant>);

struct Watched<F: Future, C, E> {
    /// Until this is dropped.
    receipt: Option<F>,
    /// Until the answer is there.
    operation: Option<Open<C, E>>,
    /// The answer is there, and being told.
    ending: bool,
    output: Option<F::Output>,
}

#[derive(Default)]
struct Woken {
    at: Option<Instant>,
    /// Who waits for the output.
    waker: Option<Waker>,
    /// Whether the receipt is polled right now: who wakes it then does not look, and is not waited
    /// for. It may be the poll itself, as with tokio where the budget of a task is used up.
    polled: bool,
    /// Whether it wants to be polled once more, and nobody does.
    again: bool,
}

/// How often a receipt that wakes whoever polls it is polled in a row.
const IN_A_ROW: usize = 3;

impl<F, C, E> Receipt<F, C, E>
where
    F: Future<Output: Send> + Unpin + Send + 'static,
    C: 'static,
    E: FnOnce(MessagingOperation<C>, &F::Output) + Send + 'static,
{
    /// Watches a receipt whose driver holds no lock when it wakes, as those do that are made of
    /// oneshot channels: it is looked at in the driver's own call, so that the operation ends exactly
    /// then. Nothing slow may run in `ending` but what a span processor does.
    ///
    /// One of tokio's is to be given as `tokio::task::unconstrained(receipt)`. Else, where the budget
    /// of the caller's task is used up, the answer is heard only by who polls this, and a receipt
    /// that is dropped ends the operation at once.
    pub fn watch(receipt: F, operation: MessagingOperation<C>, ending: E) -> Self {
        Self::start(Look::InWaker, receipt, operation, ending)
    }

    /// Watches a receipt whose driver wakes under a lock that a look would take again. The waker
    /// notes the time, which is the operation's end, and forwards. Keep what the caller dropped, and
    /// [`sweep`](Self::sweep) it now and then: with this, the driver's receipt is dropped.
    pub fn watch_later(receipt: F, operation: MessagingOperation<C>, ending: E) -> Self {
        Self::start(Look::Later, receipt, operation, ending)
    }

    fn start(look: Look, receipt: F, mut operation: MessagingOperation<C>, ending: E) -> Self {
        operation.handed_over();
        let operation = Some((operation, ending));
        let receipt = Some(receipt);
        let watched = Watched { receipt, operation, ending: false, output: None };
        let watch = Watch { look, watched: Mutex::new(watched), woken: Mutex::default() };
        let this = Self(Arc::new(watch));
        this.0.look();
        this
    }

    /// Looks whether the answer is there, ends the operation if so, and tells. The output waits for
    /// whoever polls this.
    pub fn sweep(&self) -> bool {
        let woken = lock(&self.0.woken).at.is_some();
        if woken && let Some(waker) = self.0.look() {
            waker.wake();
        }
        lock(&self.0.watched).operation.is_none()
    }

    /// As its `poll`, for a receipt that whoever sweeps it has as well.
    pub fn poll_shared(&self, task: &mut Context<'_>) -> Poll<F::Output> {
        let looks = self.0.look == Look::Later || lock(&self.0.woken).again;
        if looks {
            // Noted before it is looked: it may be woken at any time from then on.
            drop(lock(&self.0.woken).waker.replace(task.waker().clone()));
            drop(self.0.look());
        }
        let mut watched = lock(&self.0.watched);
        if let Some(output) = watched.output.take() {
            return Poll::Ready(output);
        }
        if watched.operation.is_none() && !watched.ending {
            // The output was taken: as the driver's.
            let Some(receipt) = watched.receipt.as_mut() else { return Poll::Pending };
            return Pin::new(receipt).poll(task);
        }
        let mut woken = lock(&self.0.woken);
        if self.0.look == Look::InWaker {
            woken.waker = Some(task.waker().clone());
        }
        let again = woken.again;
        drop((woken, watched));
        if again {
            task.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// The output, if it is there and nobody had it.
    pub fn take(&self) -> Option<F::Output> {
        self.sweep();
        lock(&self.0.watched).output.take()
    }
}

impl<F, C, E> Watch<F, C, E>
where
    F: Future<Output: Send> + Unpin + Send + 'static,
    C: 'static,
    E: FnOnce(MessagingOperation<C>, &F::Output) + Send + 'static,
{
    /// Asks to be woken by the answer, or ends the operation if it is there; answers who is to be
    /// told then.
    fn look(self: &Arc<Self>) -> Option<Waker> {
        let ((mut operation, ending), output, woken_at) = self.answer()?;
        if let Some(at) = woken_at.filter(|_| self.look == Look::Later) {
            operation.ended_at(at);
        }
        // Without the lock: a processor may take its time, and who waits for the answer must not
        // wait for that with its thread.
        contain(|| ending(operation, &output));
        let mut watched = lock(&self.watched);
        watched.ending = false;
        watched.output = Some(output);
        lock(&self.woken).waker.take()
    }

    /// Polls the receipt; answers once.
    fn answer(self: &Arc<Self>) -> Option<Answer<F, C, E>> {
        let mut watched = lock(&self.watched);
        let Watched { receipt: Some(receipt), operation, ending, .. } = &mut *watched else {
            return None;
        };
        operation.as_ref()?;
        let waker = Waker::from(Arc::clone(self));
        let mut task = Context::from_waker(&waker);
        for _ in 0..IN_A_ROW {
            let woken_at = {
                let mut woken = lock(&self.woken);
                (woken.polled, woken.again) = (true, false);
                // An answer that comes from now on wakes anew.
                woken.at.take()
            };
            // Contained: who wakes has not asked, as a runtime that ends and wakes its timers.
            let Some(polled) = contain(|| Pin::new(&mut *receipt).poll(&mut task)) else {
                let left = operation.take();
                drop(watched);
                return contain(|| drop(left)).and(None);
            };
            let mut woken = lock(&self.woken);
            woken.polled = false;
            if let Poll::Ready(output) = polled {
                *ending = true;
                return Some((operation.take()?, output, woken_at.or(woken.at)));
            }
            if !woken.again {
                return None;
            }
        }
        None
    }
}

impl<F, C, E> Wake for Watch<F, C, E>
where
    F: Future<Output: Send> + Unpin + Send + 'static,
    C: 'static,
    E: FnOnce(MessagingOperation<C>, &F::Output) + Send + 'static,
{
    fn wake(self: Arc<Self>) {
        let mut woken = lock(&self.woken);
        let waker = match self.look {
            Look::InWaker if woken.polled => {
                woken.again = true;
                return;
            }
            Look::InWaker => {
                drop(woken);
                self.look()
            }
            Look::Later => {
                woken.at.get_or_insert_with(Instant::now);
                let waker = mem::take(&mut woken.waker);
                drop(woken);
                waker
            }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<F, C, E> Future for Receipt<F, C, E>
where
    F: Future<Output: Send> + Unpin + Send + 'static,
    C: 'static,
    E: FnOnce(MessagingOperation<C>, &F::Output) + Send + 'static,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<F::Output> {
        self.poll_shared(task)
    }
}

/// What is to be looked at later has nobody to do so any more, and must not be let go of within the
/// driver's call to the waker. Its message is under way: the operation ends without an error.
impl<F: Future, C, E> Drop for Receipt<F, C, E> {
    fn drop(&mut self) {
        if self.0.look == Look::Later {
            let mut watched = lock(&self.0.watched);
            let left = (watched.receipt.take(), watched.operation.take());
            drop(watched);
            contain(|| drop(left));
        }
    }
}

impl<F: Future, C, E> fmt::Debug for Receipt<F, C, E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Receipt").field("look", &self.0.look).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
