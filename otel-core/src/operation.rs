//! A call while it runs: its span, its clock and its measurement, ended exactly once.

use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::global::BoxedTracer;
use opentelemetry::trace::{Span as _, SpanBuilder, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue, StringValue, Value};

use crate::address::host;
use crate::attribute as names;
use crate::contain::contain;
use crate::failure::{Classify, Failure};
use crate::messaging::Fact;
use crate::options::Options;
use crate::telemetry::Telemetry;
use crate::{db, messaging};

/// A call while it runs. It ends exactly once: by [`finish`](Self::finish), by
/// [`fail`](Self::fail), with the future or stream it was given to, or when it is dropped, which
/// means that the call was cancelled (or, while a panic unwinds, that it panicked).
///
/// Empty, and free, when nobody listens.
#[must_use = "an operation that is dropped counts as cancelled"]
pub struct Operation<C> {
    live: Option<Live>,
    client: PhantomData<fn() -> C>,
}

pub(crate) struct Live {
    clock: Clock,
    context: Context,
    /// Whether `context` carries a span of ours, and whether that span takes attributes.
    span: SpanState,
    measure: Measure,
    /// Server and peer, where they are learnt during the call: the last word counts, so it is
    /// emitted at the end.
    late: Vec<KeyValue>,
    /// Boxed, because an operation is moved often and fails seldom.
    failure: Option<Box<Failure>>,
    rows: Option<u64>,
    ending: Ending,
    /// Whether `context` is made current although there is no span in it: a message brought it.
    carries: bool,
    /// Whether a drop ends it without an error: see [`Operation::handed_over`].
    handed_over: bool,
    /// Whether the call's own code runs right now: an operation dropped meanwhile saw a panic.
    /// `None` where only the thread can tell, because the operation is not driven by us.
    inside: Option<bool>,
}

/// What is measured of an operation, by the metrics page it belongs to.
pub(crate) enum Measure {
    /// Of an operation that only carries a context.
    Nothing(Telemetry),
    Db(db::Measure),
    /// Boxed, because an operation is moved often.
    Messaging(Box<messaging::Measure>),
}

impl Measure {
    fn options(&self) -> &Options {
        match self {
            Self::Nothing(telemetry) => telemetry.options(),
            Self::Db(measure) => measure.options(),
            Self::Messaging(measure) => measure.options(),
        }
    }

    /// Whether a server that is learnt during the call is told.
    fn learns_server(&self) -> bool {
        match self {
            Self::Nothing(_) => false,
            Self::Db(measure) => !measure.server().has_address(),
            Self::Messaging(measure) => !measure.server().has_address(),
        }
    }

    /// Whether this port of a server is told.
    fn tells_port(&self, port: u16) -> bool {
        !matches!(self, Self::Db(measure) if measure.server().is_default(port))
    }

    fn record(
        &self,
        elapsed: Duration,
        failure: Option<&Failure>,
        rows: Option<u64>,
        late: &[KeyValue],
    ) {
        match self {
            Self::Nothing(_) => {}
            Self::Db(measure) => measure.record(elapsed, failure, rows, late),
            Self::Messaging(measure) => measure.record(elapsed, failure, late),
        }
    }
}

/// The options that count when an operation ends.
#[derive(Clone, Copy)]
pub(crate) struct Ending {
    rows_on_span: bool,
    cancelled_is_error: bool,
}

impl Ending {
    pub(crate) fn of(options: &Options) -> Self {
        Self { rows_on_span: options.returned_rows, cancelled_is_error: options.cancelled_is_error }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum SpanState {
    None,
    NotRecording,
    Recording,
}

/// Starts a span, and makes a context of it.
pub(crate) fn start_span(
    tracer: &BoxedTracer,
    builder: SpanBuilder,
    parent: &Context,
) -> (Context, SpanState) {
    let span = tracer.build_with_context(builder, parent);
    let state = if span.is_recording() { SpanState::Recording } else { SpanState::NotRecording };
    (parent.with_span(span), state)
}

/// The start of an operation on both clocks: spans want the time of day, durations a steady one.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    pub(crate) time: SystemTime,
    steady: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { time: SystemTime::now(), steady: Instant::now() }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.steady.elapsed()
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

impl Live {
    pub(crate) fn new(
        clock: Clock,
        context: Context,
        span: SpanState,
        measure: Measure,
        ending: Ending,
    ) -> Self {
        Self {
            clock,
            context,
            span,
            measure,
            late: Vec::new(),
            failure: None,
            rows: None,
            ending,
            carries: false,
            handed_over: false,
            inside: None,
        }
    }

    /// Makes the context current also where it has no span.
    pub(crate) fn carrying(mut self) -> Self {
        self.carries = true;
        self
    }

    fn has_told(&self, name: &str) -> bool {
        matches!(&self.measure, Measure::Messaging(measure) if measure.has_told(name))
    }

    /// Notes that the call itself failed, and not only some of its messages.
    fn give_up(&mut self) {
        if let Measure::Messaging(measure) = &mut self.measure {
            measure.give_up();
        }
    }

    fn learn(&mut self, name: &'static str, value: impl Into<Value>) {
        self.late.retain(|known| known.key.as_str() != name);
        self.late.push(KeyValue::new(name, value));
    }

    /// Ends the span and records the measurement, with one duration and one failure for both.
    fn end(self, failure: Option<Failure>, elapsed: Duration) {
        contain(|| self.measure.record(elapsed, failure.as_ref(), self.rows, &self.late));
        contain(|| {
            if self.span != SpanState::None {
                let span = self.context.span();
                if self.span == SpanState::Recording {
                    if !self.late.is_empty() {
                        span.set_attributes(self.late);
                    }
                    let is_db = matches!(self.measure, Measure::Db(_));
                    let wanted = self.ending.rows_on_span && is_db;
                    if let Some(rows) = self.rows.filter(|_| wanted) {
                        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
                        span.set_attribute(KeyValue::new(names::DB_RESPONSE_RETURNED_ROWS, rows));
                    }
                    if let Some(failure) = failure {
                        span.set_attribute(KeyValue::new(names::ERROR_TYPE, failure.error_type));
                        // Messaging has no attribute for it.
                        if let Some(code) = failure.status_code.filter(|_| is_db) {
                            span.set_attribute(KeyValue::new(names::DB_RESPONSE_STATUS_CODE, code));
                        }
                        span.set_status(Status::error(failure.description));
                    }
                }
                span.end_with_timestamp(self.clock.time + elapsed);
            }
        });
    }
}

impl<C> Operation<C> {
    pub(crate) fn empty() -> Self {
        Self { live: None, client: PhantomData }
    }

    pub(crate) fn live(live: Live) -> Self {
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

    /// The context with this call's own span, if it has one, and the options that hold for it.
    pub(crate) fn own_span(&self) -> Option<(&Context, &Options)> {
        let live = self.live.as_ref().filter(|live| live.span != SpanState::None)?;
        Some((&live.context, live.measure.options()))
    }

    /// Whether the span takes attributes; false as well when there is none.
    pub fn is_recording(&self) -> bool {
        self.live.as_ref().is_some_and(|live| live.span == SpanState::Recording)
    }

    /// Sets the server, for clients that learn it only during the call. One that was configured
    /// stays, because the conventions ask for that one. The port is left out where it is the
    /// system's default one.
    pub fn server(&mut self, address: impl Into<StringValue>, port: Option<u16>) {
        if let Some(live) = self.live.as_mut().filter(|live| live.measure.learns_server()) {
            live.learn(names::SERVER_ADDRESS, host(address.into()));
            if let Some(port) = port.filter(|port| live.measure.tells_port(*port)) {
                live.learn(names::SERVER_PORT, i64::from(port));
            }
        }
    }

    /// Sets the node that was really contacted; of several, the last one set is told.
    pub fn peer(&mut self, address: impl Into<StringValue>, port: Option<u16>) {
        let unknown = |live: &&mut Live| !live.has_told(names::NETWORK_PEER_ADDRESS);
        if let Some(live) = self.live.as_mut().filter(unknown) {
            live.learn(names::NETWORK_PEER_ADDRESS, host(address.into()));
            if let Some(port) = port {
                live.learn(names::NETWORK_PEER_PORT, i64::from(port));
            }
        }
    }

    /// Sets the number of rows that the call has returned so far.
    pub fn rows(&mut self, rows: u64) {
        if let Some(live) = &mut self.live {
            live.rows = Some(rows);
        }
    }

    /// Marks as failed what the driver answers with `Ok`: an HTTP 404, a partial batch. The
    /// operation goes on and ends in its usual way.
    pub fn failed(&mut self, failure: Failure) {
        if let Some(live) = &mut self.live {
            live.failure = Some(Box::new(failure));
        }
    }

    /// Tells a fact of messaging that is learnt during the call: the id or the offset that the
    /// broker gave to a message. What the call told already stays; of what is learnt twice the last
    /// word counts.
    pub fn learn<T: Into<Value>>(&mut self, fact: Fact<T>, value: impl Into<T>) {
        if let Some(live) = &mut self.live
            && let Measure::Messaging(measure) = &live.measure
            && let (Some(value), template) = measure.learnt(fact, value.into().into())
        {
            live.learn(fact.name(), value);
            if let Some(template) = template {
                live.learn(names::MESSAGING_DESTINATION_TEMPLATE, template);
            }
        }
    }

    /// Tells that of the messages of a batch so many failed in this way. May be called once for each
    /// way; the first one is the operation's failure. The others of the batch count as done, unless
    /// the operation itself then fails or is dropped: they share its error.
    pub fn failed_messages(&mut self, messages: usize, failure: Failure) {
        let Some(live) = self.live.as_mut().filter(|_| messages > 0) else { return };
        if let Measure::Messaging(measure) = &mut live.measure {
            measure.failed(messages, failure.error_type.clone());
        }
        if live.failure.is_none() {
            live.failure = Some(Box::new(failure));
        }
    }

    /// Tells that what is done is out of the caller's hands, as a message in the client's queue: to
    /// drop the receipt is not to cancel, and ends the operation without an error.
    pub fn handed_over(&mut self) {
        if let Some(live) = &mut self.live {
            live.handed_over = true;
        }
    }

    /// Ends the operation as a success, or as the failure that [`failed`](Self::failed) told.
    pub fn finish(mut self) {
        if let Some(mut live) = self.live.take() {
            let elapsed = live.clock.elapsed();
            let failure = live.failure.take().map(|failure| *failure);
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
            let elapsed = live.clock.elapsed();
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

    pub(crate) fn is_inside(&self) -> bool {
        self.live.as_ref().is_some_and(|live| live.inside == Some(true))
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
}

/// Ends what was neither finished nor failed: as cancelled, or as panicked when the call's own code
/// was left by a panic.
impl<C> Drop for Operation<C> {
    fn drop(&mut self) {
        if let Some(mut live) = self.live.take() {
            let elapsed = live.clock.elapsed();
            let failure = if live.inside.unwrap_or_else(std::thread::panicking) {
                live.give_up();
                Some(Failure::panicked())
            } else if live.handed_over {
                live.failure.take().map(|failure| *failure)
            } else if live.ending.cancelled_is_error {
                live.give_up();
                Some(Failure::cancelled())
            } else {
                // What was told before stays true. How many rows there would have been is not known.
                live.rows = None;
                live.failure.take().map(|failure| *failure)
            };
            live.end(failure, elapsed);
        }
    }
}

impl<C> fmt::Debug for Operation<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Operation")
            .field("is_recording", &self.is_recording())
            .finish_non_exhaustive()
    }
}
