//! What becomes of the messages that a channel publishes: each ends with the broker's word for it, also
//! where nobody waits for that.
//!
//! lapin tells a confirm's future under locks that a poll of it takes again, so its waker only notes
//! which one it was, in lapin's order. It is looked at by whoever comes by: who polls or drops a confirm,
//! publishes, waits for all of them, closes or drops the channel.
//!
//! What the broker returns, because no queue takes it, lapin gives to the confirm that is told next, and
//! that may be another message's. The one whose it is fails.

mod undecided;

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{self, Poll, Wake, Waker};

use lapin::message::BasicReturnMessage;
use lapin::{Confirmation, Result};
use otel_core::messaging::Receipt;
use otel_core::{Classify as _, Failure, Messaging, MessagingOperation};

pub(crate) use self::undecided::Identity;
use self::undecided::{Answer, Ending, Kept, State};
use crate::driver::RabbitMq;
use crate::publisher_confirm::PublisherConfirm;

/// A confirm that nobody holds is looked at now and then; of more than these lapin has the oldest back.
const MOST_DROPPED: usize = 1024;

/// What is watched of a message.
pub(crate) type Watched = Receipt<Marked, RabbitMq, fn(MessagingOperation<RabbitMq>, &Answered)>;

/// The confirms of a channel, for as long as a handle of it or one of them is there.
pub(crate) struct Confirms(Arc<Inner>);

struct Inner {
    messaging: Messaging<RabbitMq>,
    fresh: Arc<Fresh>,
    state: Mutex<State>,
}

/// The confirms that lapin has told and nobody has looked at, in lapin's order. Never locked while
/// anything else is called.
type Fresh = Mutex<Vec<u64>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// lapin's confirm, which notes that it was told.
pub(crate) struct Marked {
    raw: lapin::PublisherConfirm,
    mark: Arc<Mark>,
    inner: Arc<Inner>,
}

struct Mark {
    number: u64,
    fresh: Arc<Fresh>,
    is_noted: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Mark {
    fn note(&self) {
        if !self.is_noted.swap(true, Ordering::Relaxed) {
            lock(&self.fresh).push(self.number);
        }
    }
}

impl Wake for Mark {
    fn wake(self: Arc<Self>) {
        let waker = lock(&self.waker).take();
        if let Some(waker) = waker {
            waker.wake();
        }
        // Not before: whoever finds it here looks at once, and sees only what was woken.
        self.note();
    }
}

/// What the broker said of a message.
pub(crate) struct Answered {
    pub(crate) result: Result<Confirmation>,
    number: u64,
    inner: Arc<Inner>,
}

impl Future for Marked {
    type Output = Answered;

    fn poll(mut self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<Answered> {
        let mark = Arc::clone(&self.mark);
        drop(lock(&mark.waker).replace(task.waker().clone()));
        let waker = Waker::from(Arc::clone(&mark));
        loop {
            let is_noted = mark.is_noted.load(Ordering::Relaxed);
            match Pin::new(&mut self.raw).poll(&mut task::Context::from_waker(&waker)) {
                Poll::Ready(result) => {
                    // If it was there before it was waited for.
                    mark.note();
                    let (number, inner) = (mark.number, Arc::clone(&self.inner));
                    return Poll::Ready(Answered { result, number, inner });
                }
                // Woken for nothing: to be noted anew, also if it was told right now.
                Poll::Pending if is_noted => mark.is_noted.store(false, Ordering::Relaxed),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// Keeps an operation, with what was said of its message, until it is known whether that came back.
fn answer(operation: MessagingOperation<RabbitMq>, answered: &Answered) {
    let Answered { result, number, inner } = answered;
    let (failure, message) = match result {
        Ok(Confirmation::Ack(message)) => (None, message.as_ref()),
        Ok(Confirmation::Nack(message)) => (Some(Failure::new("nack")), message.as_ref()),
        Ok(Confirmation::NotRequested) => (None, None),
        Err(error) => (Some(RabbitMq::classify(error)), None),
    };
    let carried = message.map(|message| {
        let delivery = &message.delivery;
        let place = (&delivery.exchange, &delivery.routing_key);
        let properties = &delivery.properties;
        let identity = Identity::new(&inner.messaging, place, properties, delivery.data.len());
        (identity, message.reply_code)
    });
    let answer = Answer { operation, failure, carried, is_lost: result.is_err() };
    let left = lock(&inner.state).answered(*number, answer);
    if let Some(left) = left {
        left.tell();
    }
}

impl Confirms {
    pub(crate) fn new(messaging: &Messaging<RabbitMq>) -> Arc<Self> {
        Arc::new(Self(Arc::new(Inner {
            messaging: messaging.clone(),
            fresh: Arc::default(),
            state: Mutex::default(),
        })))
    }

    /// Watches a message that is written. `identity` is what it is known by if it may come back.
    pub(crate) fn watch(
        self: &Arc<Self>,
        raw: lapin::PublisherConfirm,
        operation: MessagingOperation<RabbitMq>,
        identity: Option<Identity>,
    ) -> PublisherConfirm {
        let Inner { fresh, state, .. } = &*self.0;
        let number = lock(state).open(identity);
        let mark = Arc::new(Mark {
            number,
            fresh: Arc::clone(fresh),
            is_noted: AtomicBool::new(false),
            waker: Mutex::default(),
        });
        let marked = Marked { raw, mark, inner: Arc::clone(&self.0) };
        let receipt: Arc<Watched> = Arc::new(Receipt::watch_later(marked, operation, answer));
        lock(state).watched(number, &receipt);
        // It may have been told before it could be found.
        receipt.sweep();
        self.sweep();
        PublisherConfirm::watched(number, receipt, self)
    }

    /// Looks at what lapin has told, and ends what is known.
    pub(crate) fn sweep(&self) {
        self.0.sweep();
    }

    /// A confirm that is let go of: its message is under way.
    pub(crate) fn dropped(&self, number: u64, receipt: &Watched) {
        self.sweep();
        // The user may have had it.
        let message = receipt.take().and_then(message_of);
        let given_back = lock(&self.0.state).dropped(number, message);
        drop(given_back);
        // What was looked at just now.
        self.sweep();
    }

    /// The messages that came back with confirms that nobody held, as lapin's own `wait_for_confirms`
    /// has them: it was told that these are not let go of.
    pub(crate) fn take_returned(&self) -> Vec<BasicReturnMessage> {
        self.sweep();
        let (returned, endings) = {
            let mut state = lock(&self.0.state);
            (state.take_returned(), state.no_more_returned())
        };
        endings.into_iter().for_each(Ending::tell);
        returned.into_iter().filter_map(Kept::message).collect()
    }
}

impl Inner {
    fn sweep(&self) {
        let looked = {
            let mut state = lock(&self.state);
            let fresh = mem::take(&mut *lock(&self.fresh));
            if fresh.is_empty() && state.is_decided() {
                return;
            }
            state.told(fresh)
        };
        for (number, receipt) in looked {
            if !receipt.sweep() {
                lock(&self.state).not_yet(number);
            }
        }
        let endings = lock(&self.state).decide();
        // Without the lock: a processor may take its time.
        endings.into_iter().for_each(Ending::tell);
    }
}

/// What is not confirmed by then, lapin has back.
impl Drop for Confirms {
    fn drop(&mut self) {
        self.sweep();
        let (endings, left) = {
            let mut state = lock(&self.0.state);
            (state.no_more_returned(), mem::take(&mut *state))
        };
        endings.into_iter().for_each(Ending::tell);
        drop(left);
    }
}

/// The message that came with an answer.
fn message_of(answered: Answered) -> Option<BasicReturnMessage> {
    answered.result.ok().and_then(Confirmation::take_message)
}
