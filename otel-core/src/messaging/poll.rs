//! Layer `messaging`: receiving: reported afterwards, because only then is known what there is to
//! report.

use std::fmt;
use std::pin::Pin;
use std::task;

use futures_core::Stream;
use opentelemetry::Context;
use opentelemetry::propagation::Extractor;
use opentelemetry::trace::Link;
use pin_project_lite::pin_project;

use super::call::{MessagingCall, Step};
use super::delivery::Delivery;
use super::handle::{Messaging, Start};
use super::page::MessagingOperation;
use crate::client::Client;
use crate::failure::Classify;
use crate::operation::Clock;

/// A call that asks for messages. Nothing is emitted until it is told what came of it; dropped
/// because nothing came, or because it was cancelled, it leaves nothing behind.
#[must_use = "a poll emits nothing until it is told what came of it"]
pub struct Poll<C> {
    pub(super) messaging: Messaging<C>,
    pub(super) clock: Option<Clock>,
    pub(super) timed: bool,
}

impl<C> fmt::Debug for Poll<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Poll").field("timed", &self.timed).finish_non_exhaustive()
    }
}

impl<C: Client> Messaging<C> {
    /// Notes the time before a call that asks for messages once, with a bound.
    pub fn poll(&self) -> Poll<C> {
        self.polled(true)
    }

    /// For a message that was waited for without a bound, once it is there: to wait for a message to
    /// exist is nobody's work, so its span begins now, and there is no duration to measure.
    pub fn arrival(&self) -> Poll<C> {
        self.polled(false)
    }

    fn polled(&self, timed: bool) -> Poll<C> {
        // Without counting as a question for a provider: the report is one.
        let listening = !self.shared.site.known().is_nothing();
        Poll { messaging: self.clone(), clock: listening.then(Clock::start), timed }
    }

    /// A consumer's stream, each of whose items is an [`arrival`](Self::arrival): `attach` gets item
    /// and poll, and answers what the caller gets. An item that is an error goes to
    /// [`Poll::failed`].
    pub fn stream<S, U, A>(&self, stream: S, attach: A) -> Messages<S, A, C>
    where
        S: Stream,
        A: FnMut(S::Item, Poll<C>) -> U,
    {
        Messages { stream, attach, messaging: self.clone() }
    }
}

impl<C: Client> Poll<C> {
    /// Reports one message of a call that gives single ones, by a CLIENT span over the call that
    /// links to what the message carries.
    pub fn received<'a>(
        self,
        message: &impl Extractor,
        describe: impl FnOnce() -> MessagingCall<'a>,
    ) -> Delivery {
        let off = self.messaging.is_off();
        let delivery = self.read(message, off);
        if !off {
            self.report(None, Vec::from_iter(delivery.link()), 1, describe).finish();
        }
        delivery
    }

    /// Reports a call that failed.
    pub fn failed<'a, E: ?Sized>(self, error: &E, describe: impl FnOnce() -> MessagingCall<'a>)
    where
        C: Classify<E>,
    {
        if !self.messaging.is_off() {
            self.report(None, Vec::new(), 0, describe).fail(error);
        }
    }

    pub(super) fn read(&self, message: &impl Extractor, off: bool) -> Delivery {
        Delivery::read(self.messaging.telemetry(), message, !off, !off)
    }

    /// Below the ambient context without a word.
    pub(super) fn report<'a>(
        &self,
        parent: Option<Context>,
        links: Vec<Link>,
        messages: usize,
        describe: impl FnOnce() -> MessagingCall<'a>,
    ) -> MessagingOperation<C> {
        let Self { messaging, clock, timed } = self;
        // Of what began while nobody listened is not known how long it took.
        let timed = *timed && clock.is_some();
        let start =
            Start { parent, clock: *clock, links, messages, timed, ..Start::of(Step::Receive) };
        messaging.start(start, describe)
    }
}

pin_project! {
    /// A consumer's stream, see [`Messaging::stream`].
    #[must_use = "streams do nothing unless polled"]
    pub struct Messages<S, A, C> {
        #[pin]
        stream: S,
        attach: A,
        messaging: Messaging<C>,
    }
}

impl<S, A, C> Messages<S, A, C> {
    /// The driver's own stream.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// The driver's own stream.
    pub fn into_inner(self) -> S {
        self.stream
    }
}

impl<S, U, A, C> Stream for Messages<S, A, C>
where
    S: Stream,
    A: FnMut(S::Item, Poll<C>) -> U,
    C: Client,
{
    type Item = U;

    fn poll_next(self: Pin<&mut Self>, task: &mut task::Context<'_>) -> task::Poll<Option<U>> {
        let this = self.project();
        this.stream.poll_next(task).map(|item| {
            let item = item?;
            Some((this.attach)(item, this.messaging.arrival()))
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.size_hint()
    }
}

impl<S, A, C> fmt::Debug for Messages<S, A, C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Messages")
            .field("messaging", &self.messaging)
            .finish_non_exhaustive()
    }
}
