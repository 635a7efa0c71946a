//! Layer `operation`: a call while it runs: its span, its clock and its measurement, ended exactly
//! once. It knows no page of the conventions.

use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::trace::{Span as _, SpanBuilder, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue, StringValue, Value};

use crate::address::host;
use crate::attribute as names;
use crate::contain::contain;
use crate::failure::{Classify, Failure};
use crate::page::{Ended, Page};

/// A call while it runs. It ends exactly once: by [`finish`](Self::finish), by
/// [`fail`](Self::fail), with the future or stream it was given to, or when it is dropped, which
/// means that the call was cancelled (or, while a panic unwinds, that it panicked).
///
/// Empty, and free, when nobody listens.
///
/// What else can be told of it depends on its page `P`: a [`DbOperation`](crate::DbOperation) is a
/// call of a database, a [`MessagingOperation`](crate::MessagingOperation) a step on a message's way.
#[must_use = "an operation that is dropped counts as cancelled"]
pub struct Operation<C, P: Page> {
    live: Option<Live<P>>,
    client: PhantomData<fn() -> C>,
}

#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and all are small")]
pub(crate) struct Live<P> {
    clock: Clock,
    context: Context,
    /// Whether `context` carries a span of ours, and whether that span takes attributes.
    span: SpanState,
    /// `None` where the operation only carries a context.
    page: Option<P>,
    /// What was learnt during the call: the last word counts, so it is emitted at the end.
    learnt: Vec<KeyValue>,
    /// Boxed, because an operation is moved often, and few have any of it.
    rare: Option<Box<Rare>>,
    cancelled_is_error: bool,
    /// Whether its duration is that of what it is about.
    measured: bool,
    /// Whether `context` is made current although there is no span in it: a message brought it.
    carries: bool,
    /// Whether a drop ends it without an error: see [`Operation::hand_over`].
    handed_over: bool,
    /// Whether the call's own code runs right now: an operation dropped meanwhile saw a panic.
    /// `None` where only the thread can tell, because the operation is not driven by us.
    inside: Option<bool>,
}

#[derive(Default)]
struct Rare {
    failure: Option<Failure>,
    /// When the call was over, where that is told later.
    over: Option<Instant>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum SpanState {
    None,
    NotRecording,
    Recording,
}

/// The start of an operation on both clocks: spans want the time of day, durations a steady one.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    time: SystemTime,
    steady: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { time: SystemTime::now(), steady: Instant::now() }
    }

    /// The clock of an operation that has just ended after `elapsed`.
    pub(crate) fn ended(elapsed: Duration) -> Self {
        let now = Self::start();
        Self {
            time: now.time.checked_sub(elapsed).unwrap_or(now.time),
            steady: now.steady.checked_sub(elapsed).unwrap_or(now.steady),
        }
    }
}

impl<P: Page> Live<P> {
    /// Starts what somebody listens to. `wanted` is what the page's own options say of its span, and
    /// `span` makes it but for name and start.
    pub(crate) fn start(
        clock: Clock,
        parent: &Context,
        mut page: P,
        wanted: bool,
        span: impl FnOnce(&mut P) -> SpanBuilder,
    ) -> Self {
        let site = page.site();
        let options = site.telemetry().options();
        let cancelled_is_error = options.cancelled_is_error;
        // Asked in any case, because this counts the call.
        let wanted = site.found().tracer.is_some()
            && wanted
            && (!options.require_parent || parent.span().span_context().is_valid());
        let name = wanted.then(|| page.name()).filter(|name| options.wants_span(name));
        // Not through closures: a builder is large to move.
        let (context, span) = 'started: {
            let Some(name) = name else { break 'started (parent.clone(), SpanState::None) };
            let start_time = Some(clock.time);
            let builder = SpanBuilder { name, start_time, ..span(&mut page) };
            let Some(tracer) = page.site().known().tracer else {
                break 'started (parent.clone(), SpanState::None);
            };
            let span = tracer.build_with_context(builder, parent);
            let recording = span.is_recording();
            let state = if recording { SpanState::Recording } else { SpanState::NotRecording };
            (parent.with_span(span), state)
        };
        Self { cancelled_is_error, page: Some(page), span, ..Self::around(clock, context) }
    }

    /// What tells nothing, and only makes a context current.
    pub(crate) fn carrying(context: Context) -> Self {
        Self { carries: true, ..Self::around(Clock::start(), context) }
    }

    fn around(clock: Clock, context: Context) -> Self {
        Self {
            clock,
            context,
            span: SpanState::None,
            page: None,
            learnt: Vec::new(),
            rare: None,
            cancelled_is_error: true,
            measured: true,
            carries: false,
            handed_over: false,
            inside: None,
        }
    }

    /// Makes the context current also where it has no span.
    pub(crate) fn and_carries(mut self) -> Self {
        self.carries = true;
        self
    }

    /// Has a span and no measurement.
    pub(crate) fn without_measurement(self) -> Self {
        Self { measured: false, ..self }
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// The failure that was told before its end.
    fn failure(&mut self) -> Option<Failure> {
        self.rare.as_mut()?.failure.take()
    }

    fn knows(&self, name: &str) -> bool {
        self.page.as_ref().is_none_or(|page| page.knows(name))
    }

    fn learn(&mut self, name: &'static str, value: impl Into<Value>) {
        self.learnt.retain(|known| known.key.as_str() != name);
        self.learnt.push(KeyValue::new(name, value));
    }

    /// Notes that the call itself failed, and not only a part of what it was about.
    fn give_up(&mut self) {
        self.page.iter_mut().for_each(Page::gave_up);
    }

    fn elapsed(&self) -> Duration {
        let over = self.rare.as_ref().and_then(|rare| rare.over).unwrap_or_else(Instant::now);
        over.saturating_duration_since(self.clock.steady)
    }

    /// Apart from the drop of an operation, most of which are empty by then.
    #[inline(never)]
    fn dropped(mut self) {
        let elapsed = self.elapsed();
        let failure = if self.inside.unwrap_or_else(std::thread::panicking) {
            self.give_up();
            Some(Failure::panicked())
        } else if self.handed_over {
            self.failure()
        } else if self.cancelled_is_error {
            self.give_up();
            Some(Failure::cancelled())
        } else {
            // What was told before stays true.
            self.page.iter_mut().for_each(Page::cut_short);
            self.failure()
        };
        self.end(failure, elapsed);
    }

    /// Ends the span and records the measurement, with one duration and one failure for both.
    fn end(mut self, mut failure: Option<Failure>, elapsed: Duration) {
        contain(|| {
            let Some(page) = self.page.as_ref().filter(|_| self.measured) else { return };
            if let Some(instruments) = page.site().instruments() {
                let ended = Ended { elapsed, failure: failure.as_ref(), learnt: &self.learnt };
                page.measure(instruments, &ended);
            }
        });
        contain(|| {
            if self.span == SpanState::None {
                return;
            }
            let span = self.context.span();
            if self.span == SpanState::Recording {
                if !self.learnt.is_empty() {
                    span.set_attributes(self.learnt);
                }
                if let Some(page) = &mut self.page {
                    page.tell(failure.as_mut(), &mut |attribute| span.set_attribute(attribute));
                }
                if let Some(failure) = failure {
                    span.set_attribute(KeyValue::new(names::ERROR_TYPE, failure.error_type));
                    span.set_status(Status::error(failure.description));
                }
            }
            span.end_with_timestamp(self.clock.time + elapsed);
        });
    }
}

impl<C, P: Page> Operation<C, P> {
    /// Starts an operation of a page, below a context. Asks the page's [`site`](crate::page::Site)
    /// before whether anybody listens: it makes no sense else.
    ///
    /// `span` makes the span but for its name and its start; it is not run where the span is not
    /// wanted. A panic in it leaves the operation without a span and a measurement.
    pub fn start(parent: &Context, page: P, span: impl FnOnce(&mut P) -> SpanBuilder) -> Self {
        contain(|| Live::start(Clock::start(), parent, page, true, span))
            .map_or_else(Self::empty, Self::live)
    }

    /// What nobody listens to.
    pub fn empty() -> Self {
        Self { live: None, client: PhantomData }
    }

    pub(crate) fn live(live: Live<P>) -> Self {
        Self { live: Some(live), client: PhantomData }
    }

    /// Whether nobody listens, so that there is nothing to keep until it ends.
    pub fn is_empty(&self) -> bool {
        self.live.is_none()
    }

    /// The context that work belonging to this call runs in; the current one if the call is not
    /// traced.
    pub fn context(&self) -> Context {
        self.live.as_ref().map_or_else(Context::current, |live| live.context.clone())
    }

    /// The context to make current while the call's own code runs; none where there is no span.
    pub(crate) fn attached(&self) -> Option<Context> {
        let live =
            self.live.as_ref().filter(|live| live.carries || live.span != SpanState::None)?;
        Some(live.context.clone())
    }

    /// The context with this call's own span, if it has one.
    pub(crate) fn own_span(&self) -> Option<&Context> {
        let live = self.live.as_ref().filter(|live| live.span != SpanState::None)?;
        Some(&live.context)
    }

    /// What its page keeps of it while it runs, for facts of that page; none where nothing is told.
    pub fn page(&self) -> Option<&P> {
        self.live.as_ref()?.page.as_ref()
    }

    /// As [`page`](Self::page), to be changed.
    pub fn page_mut(&mut self) -> Option<&mut P> {
        self.live.as_mut()?.page.as_mut()
    }

    /// Whether the span takes attributes; false as well when there is none.
    pub fn is_recording(&self) -> bool {
        self.live.as_ref().is_some_and(|live| live.span == SpanState::Recording)
    }

    /// Sets the server, for clients that learn it only during the call. One that was configured
    /// stays, because the conventions ask for that one. The port is left out where the page leaves
    /// out such a one.
    pub fn server(&mut self, address: impl Into<StringValue>, port: Option<u16>) {
        let learns = |live: &&mut Live<P>| !live.knows(names::SERVER_ADDRESS);
        if let Some(live) = self.live.as_mut().filter(learns) {
            live.learn(names::SERVER_ADDRESS, host(address.into()));
            let tells = |port: &u16| live.page.as_ref().is_some_and(|page| page.tells_port(*port));
            if let Some(port) = port.filter(tells) {
                live.learn(names::SERVER_PORT, i64::from(port));
            }
        }
    }

    /// Sets the node that was really contacted; of several, the last one set is told.
    pub fn peer(&mut self, address: impl Into<StringValue>, port: Option<u16>) {
        let learns = |live: &&mut Live<P>| !live.knows(names::NETWORK_PEER_ADDRESS);
        if let Some(live) = self.live.as_mut().filter(learns) {
            live.learn(names::NETWORK_PEER_ADDRESS, host(address.into()));
            if let Some(port) = port {
                live.learn(names::NETWORK_PEER_PORT, i64::from(port));
            }
        }
    }

    /// Tells an attribute of the page that is learnt during the call.
    pub(crate) fn put(&mut self, name: &'static str, value: impl Into<Value>) {
        if let Some(live) = &mut self.live {
            live.learn(name, value);
        }
    }

    /// Marks as failed what the driver answers with `Ok`: an HTTP 404, a partial batch. The
    /// operation goes on and ends in its usual way.
    pub fn failed(&mut self, failure: Failure) {
        if let Some(live) = &mut self.live {
            live.rare().failure = Some(failure);
        }
    }

    /// Whether it was marked as [`failed`](Self::failed).
    pub(crate) fn has_failed(&self) -> bool {
        let rare = self.live.as_ref().and_then(|live| live.rare.as_ref());
        rare.is_some_and(|rare| rare.failure.is_some())
    }

    /// Tells that what is done is out of the caller's hands: to drop it is not to cancel, and ends
    /// it without an error.
    pub(crate) fn hand_over(&mut self) {
        if let Some(live) = &mut self.live {
            live.handed_over = true;
        }
    }

    /// Notes that the server has answered: unless it [waits](Self::waits) again, that is how long it
    /// lasted, for a cursor whose documents are read later.
    pub fn answered(&mut self) {
        self.ended_at(Instant::now());
    }

    /// Notes that another answer is waited for.
    pub fn waits(&mut self) {
        if let Some(live) = &mut self.live {
            live.rare().over = None;
        }
    }

    /// Notes when the call was over, where its end is told later than it was.
    pub fn ended_at(&mut self, moment: Instant) {
        if let Some(live) = &mut self.live {
            live.rare().over = Some(moment);
        }
    }

    /// Notes how long the call lasted, where a driver says so when it tells of the end.
    pub fn lasted(&mut self, elapsed: Duration) {
        if let Some(live) = &mut self.live {
            live.rare().over = live.clock.steady.checked_add(elapsed);
        }
    }

    /// Ends the operation as a success, or as the failure that [`failed`](Self::failed) told.
    pub fn finish(mut self) {
        if let Some(mut live) = self.live.take() {
            let elapsed = live.elapsed();
            let failure = live.failure();
            live.end(failure, elapsed);
        }
    }

    /// Ends the operation with an error of the driver.
    pub fn fail<E: ?Sized>(self, error: &E)
    where
        C: Classify<E>,
    {
        if self.live.is_some() {
            let failure = contain(|| C::classify(error)).unwrap_or_default();
            self.fail_with(failure);
        }
    }

    /// Ends the operation with a failure that no error value stands for.
    pub fn fail_with(mut self, failure: Failure) {
        if let Some(mut live) = self.live.take() {
            let elapsed = live.elapsed();
            live.give_up();
            live.end(Some(failure), elapsed);
        }
    }

    /// Ends the operation by a result.
    pub fn finish_with<T, E>(self, result: &Result<T, E>)
    where
        C: Classify<E>,
    {
        match result {
            Ok(_) => self.finish(),
            Err(error) => self.fail(error),
        }
    }

    /// Ends an operation that was over after `elapsed`.
    pub(crate) fn finish_after<T, E>(mut self, elapsed: Duration, result: &Result<T, E>)
    where
        C: Classify<E>,
    {
        if let Some(live) = self.live.take() {
            let failure = result
                .as_ref()
                .err()
                .map(|error| contain(|| C::classify(error)).unwrap_or_default());
            live.end(failure, elapsed);
        }
    }

    /// Tells whether the call's own code runs right now, for [`Drop`].
    pub(crate) fn set_inside(&mut self, inside: bool) {
        if let Some(live) = &mut self.live {
            live.inside = Some(inside);
        }
    }

    pub(crate) fn is_inside(&self) -> bool {
        self.live.as_ref().is_some_and(|live| live.inside == Some(true))
    }
}

/// Ends what was neither finished nor failed: as cancelled, or as panicked when the call's own code
/// was left by a panic.
impl<C, P: Page> Drop for Operation<C, P> {
    #[inline]
    fn drop(&mut self) {
        if let Some(live) = self.live.take() {
            live.dropped();
        }
    }
}

impl<C, P: Page> fmt::Debug for Operation<C, P> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Operation")
            .field("is_recording", &self.is_recording())
            .finish_non_exhaustive()
    }
}
