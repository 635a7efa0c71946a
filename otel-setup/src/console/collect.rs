//! When a trace is finished, and the thread that prints it.

use std::collections::{HashMap, VecDeque};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::Context;
use opentelemetry::trace::{Span as _, SpanId, SpanKind, TraceId};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use super::output::Output;
use super::span::{name_service, only_link, service, shrink, weight};
use super::style::Style;
use super::text;
use super::tree::{Seen, Tree};
use super::waterfall;

/// Open, and as many again that wait to be printed.
const TRACES: usize = 1000;
/// Of one trace; bytes of all together.
const SPANS_OF_TRACE: usize = 10_000;
const BYTES: usize = 64 << 20;
/// Of a text: more than the widest terminal shows.
const LONGEST: usize = 2048;
/// How long the thread stays when there is nothing to print: the next request starts no other.
const LINGER: Duration = Duration::from_secs(1);
const FLUSH: Duration = Duration::from_secs(5);
/// How long a trace that has sent or got a message is kept once none of its spans is open: if the message is
/// received in this process, too, the tree has its whole way.
const UNDER_WAY: Duration = Duration::from_secs(1);

/// Prints each trace as a tree with bars on a time axis, when it is finished: as soon as none of its
/// sampled spans is open in this process. A span processor, because an exporter hears of no starts.
///
/// The thread of the application that ends a span only puts it down; another thread draws and prints,
/// each trace in one piece. Where it cannot follow, traces are left out, and a line says how many: at
/// most 1000 are open and 1000 wait, with at most 10 000 spans each and 64 MiB together.
///
/// A trace that has sent or got a message is kept for a second more, for what follows in this process.
/// What receives it is no part of the trace, but a trace of its own with a link to it: one of a single
/// span is drawn where the link leads.
///
/// A flush prints what has ended of traces that are still open, and the shutdown all of them; their open
/// spans are marked `not finished`. What ends later is printed when its trace is finished.
///
/// Clones share one output: give one to each provider of a process that plays several services, and
/// the trace that crosses them is one tree, with a column that tells the service.
#[derive(Clone, Debug)]
pub struct Waterfall {
    shared: Arc<Shared>,
    service: Option<String>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Something was finished, or printed.
    changed: Condvar,
    output: Output,
}

#[derive(Debug, Default)]
struct State {
    open: HashMap<TraceId, Trace>,
    ready: VecDeque<(TraceId, Trace)>,
    /// Bytes of both.
    held: usize,
    /// Spans whose trace had no place among the open ones, and traces that nobody had time to print.
    dropped_spans: usize,
    dropped_traces: usize,
    /// There is a thread, and it has a trace in hand.
    working: bool,
    printing: bool,
    failed: Option<OTelSdkError>,
}

#[derive(Debug, Default)]
struct Trace {
    /// As they started.
    running: HashMap<SpanId, SpanData>,
    ended: Vec<SpanData>,
    bytes: usize,
    dropped: usize,
    /// When it was printed before its end.
    cut: Option<SystemTime>,
    /// When none of its spans was open for the first time, if a message may be under way: its own, or
    /// that of a trace before it.
    quiet: Option<Instant>,
}

impl Trace {
    fn len(&self) -> usize {
        self.running.len() + self.ended.len()
    }

    /// Whether there may be more of it: a consumer, or the commit after one.
    fn has_messages(&self) -> bool {
        let kinds = [SpanKind::Producer, SpanKind::Consumer];
        self.ended.iter().any(|span| kinds.contains(&span.span_kind))
    }

    /// Since when it is kept.
    fn kept(&self) -> Option<Instant> {
        self.quiet.filter(|_| self.running.is_empty())
    }
}

impl State {
    /// Puts down a trace that is finished.
    fn finish(&mut self, id: TraceId, trace: Trace) {
        if self.ready.len() < TRACES {
            self.ready.push_back((id, trace));
        } else {
            self.held -= trace.bytes;
            self.dropped_traces += 1;
        }
    }

    /// Draws the only span of a trace where its link leads, if that is not printed yet.
    fn adopt(&mut self, mut trace: Trace) -> Option<Trace> {
        let target = only_link(&trace.ended);
        let home = target.and_then(|(home, span)| Some((self.open.get_mut(&home)?, span)));
        let Some((home, span)) = home.filter(|(home, _)| home.len() < SPANS_OF_TRACE) else {
            return Some(trace);
        };
        trace.ended.iter_mut().for_each(|it| it.parent_span_id = span);
        home.ended.append(&mut trace.ended);
        home.bytes += trace.bytes;
        None
    }

    /// Finishes traces that were kept and are due, in the order of their start. When did the first of
    /// the others become quiet?
    fn finish_quiet(&mut self, is_due: impl Fn(Instant) -> bool) -> Option<Instant> {
        let due = self.open.extract_if(|_, trace| trace.kept().is_some_and(&is_due));
        let mut due: Vec<_> = due.collect();
        due.sort_by_key(|(_, trace)| trace.ended.iter().map(|span| span.start_time).min());
        for (id, trace) in due {
            self.finish(id, trace);
        }
        self.open.values().filter_map(Trace::kept).min()
    }
}

impl Waterfall {
    pub(crate) fn new() -> Self {
        Self::with(Output::stdout())
    }

    fn with(output: Output) -> Self {
        let shared = Shared { state: Mutex::default(), changed: Condvar::new(), output };
        Self { shared: Arc::new(shared), service: None }
    }

    /// Prints to this writer, in this style, and not to standard output. Call it before cloning.
    pub fn to(self, writer: impl Write + Send + 'static, style: Style) -> Self {
        Self { service: self.service, ..Self::with(Output::to(writer, style)) }
    }

    /// Prints all that has ended; with `all`, open traces of which nothing has, too.
    fn flush(&self, all: bool, timeout: Duration) -> OTelSdkResult {
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        let now = Some(SystemTime::now());
        state.finish_quiet(|_| true);
        for (id, trace) in &mut state.open {
            if all || !trace.ended.is_empty() {
                let running = trace.running.clone();
                let bytes = running.values().map(weight).sum();
                state.held += bytes;
                let rest = Trace { running, bytes, ..Trace::default() };
                let part = std::mem::replace(trace, rest);
                state.ready.push_back((*id, Trace { cut: now, ..part }));
            }
        }
        drop(guard);
        Shared::work(&self.shared);
        self.shared.wait(timeout)
    }
}

/// The SDK calls these in the middle of the traced calls.
impl SpanProcessor for Waterfall {
    fn on_start(&self, span: &mut Span, _context: &Context) {
        if !span.span_context().is_sampled() {
            return;
        }
        let Some(mut data) = span.exported_data() else { return };
        let (trace, id) = (data.span_context.trace_id(), data.span_context.span_id());
        shrink(&mut data, LONGEST);
        name_service(&mut data, self.service.as_deref());
        let bytes = weight(&data);
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        let is_full = |state: &State| {
            let no_place = state.open.len() >= TRACES && !state.open.contains_key(&trace);
            no_place || state.held >= BYTES
        };
        if is_full(state) {
            state.finish_quiet(|_| true);
        }
        if is_full(state) {
            state.dropped_spans += 1;
            drop(guard);
            // Told now: what keeps the place may never end.
            Shared::work(&self.shared);
            return;
        }
        let trace = state.open.entry(trace).or_default();
        if trace.len() < SPANS_OF_TRACE {
            state.held += bytes;
            trace.bytes += bytes;
            trace.running.insert(id, data);
        } else {
            trace.dropped += 1;
        }
    }

    fn on_end(&self, mut span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        shrink(&mut span, LONGEST);
        name_service(&mut span, self.service.as_deref());
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        let id = span.span_context.trace_id();
        let Some(trace) = state.open.get_mut(&id) else { return };
        // One that had no place when it started has none now.
        let Some(start) = trace.running.remove(&span.span_context.span_id()) else { return };
        let (before, after) = (weight(&start), weight(&span));
        trace.bytes = trace.bytes - before + after;
        state.held = state.held - before + after;
        trace.ended.push(span);
        if !trace.running.is_empty() {
            return;
        }
        let Some(trace) = state.open.remove(&id) else { return };
        if let Some(trace) = state.adopt(trace) {
            // The others wait behind it, so that the terminal shows them in their order.
            if trace.has_messages() || state.open.values().any(|it| it.kept().is_some()) {
                let quiet = trace.quiet.or_else(|| Some(Instant::now()));
                state.open.insert(id, Trace { quiet, ..trace });
            } else {
                state.finish(id, trace);
            }
        }
        drop(guard);
        Shared::work(&self.shared);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.flush(false, FLUSH)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.flush(true, timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.service = service(resource);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees to it that what is ready is printed: wakes the thread, or starts it.
    fn work(this: &Arc<Self>) {
        if std::mem::replace(&mut this.lock().working, true) {
            this.changed.notify_all();
            return;
        }
        let shared = Arc::clone(this);
        let thread = thread::Builder::new().name("otel-console".to_owned());
        if thread.spawn(move || shared.print_all()).is_err() {
            // No thread to be had: the next one who ends a trace tries again.
            this.lock().working = false;
        }
    }

    /// Until there has been nothing to print for a while.
    fn print_all(&self) {
        let mut state = self.lock();
        loop {
            let next = state.finish_quiet(|quiet| quiet.elapsed() >= UNDER_WAY);
            if state.ready.is_empty() && state.dropped_spans + state.dropped_traces == 0 {
                let idle = |state: &mut State| state.ready.is_empty();
                let left = next.map(|quiet| UNDER_WAY.saturating_sub(quiet.elapsed()));
                let waited = self.changed.wait_timeout_while(state, left.unwrap_or(LINGER), idle);
                let (guard, result) = waited.unwrap_or_else(PoisonError::into_inner);
                state = guard;
                if result.timed_out() && !state.open.values().any(|trace| trace.kept().is_some()) {
                    state.working = false;
                    return;
                }
                continue;
            }
            let next = state.ready.pop_front();
            state.held -= next.as_ref().map_or(0, |(_, trace)| trace.bytes);
            let dropped = (
                std::mem::take(&mut state.dropped_spans),
                std::mem::take(&mut state.dropped_traces),
            );
            state.printing = true;
            drop(state);
            // A writer of the application may panic; the thread that others wait for must not end.
            let printed = catch_unwind(AssertUnwindSafe(|| self.print(next, dropped)));
            state = self.lock();
            state.printing = false;
            if let Err(error) = printed.unwrap_or_else(|_| {
                Err(OTelSdkError::InternalFailure("the console's writer panicked".to_owned()))
            }) {
                state.failed = Some(error);
            }
            self.changed.notify_all();
        }
    }

    fn print(&self, trace: Option<(TraceId, Trace)>, dropped: (usize, usize)) -> OTelSdkResult {
        let mut text = String::new();
        if let Some((id, trace)) = trace {
            let ended = trace.ended.iter().map(Seen::new);
            let running = trace.running.values().map(|data| Seen { open: true, ..Seen::new(data) });
            let tree = Tree::new(ended.chain(running).collect(), trace.cut.map(text::nanoseconds));
            text += &waterfall::draw(id, &tree, trace.dropped, self.output.style);
            text.push('\n');
        }
        let left_out = [(dropped.0, "spans"), (dropped.1, "traces")].into_iter();
        let left_out = left_out.filter(|(count, _)| *count > 0);
        text.extend(
            left_out
                .map(|(count, what)| format!("({count} {what} left out: too many at once)\n\n")),
        );
        self.output.write(&text)
    }

    fn wait(&self, timeout: Duration) -> OTelSdkResult {
        let started = Instant::now();
        let busy = |state: &mut State| state.working && (state.printing || !state.ready.is_empty());
        let waited = self.changed.wait_timeout_while(self.lock(), timeout, busy);
        let (mut state, result) = waited.unwrap_or_else(PoisonError::into_inner);
        if result.timed_out() {
            return Err(OTelSdkError::Timeout(started.elapsed()));
        }
        if !state.ready.is_empty() {
            let reason = "there is no thread to print traces".to_owned();
            return Err(OTelSdkError::InternalFailure(reason));
        }
        state.failed.take().map_or(Ok(()), Err)
    }
}
