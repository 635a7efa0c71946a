//! What the processes of a test do, whatever the broker is, and what holds for all that they have told.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{Read as _, stdin};
use std::sync::Arc;
use std::thread;

use otel_testing::opentelemetry::baggage::BaggageExt as _;
use otel_testing::opentelemetry::trace::{
    FutureExt as _, SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
    Tracer as _,
};
use otel_testing::opentelemetry::{Context, KeyValue};
use otel_testing::{Capture, CaptureTracer};
use serde_json::json;
use tokio::sync::{Notify, Semaphore};
use tokio::task::{JoinSet, yield_now};

use crate::told::{Handled, NOBODY, Point, Role, Span, Told, order_in_baggage};

/// Messages on their way at a time.
const AT_ONCE: usize = 32;

/// Where a message lies: partition and offset, or what the broker has instead.
pub type Place = (i32, i64);

/// The role that the test gave to this process, and what is notified once its standard input is closed.
pub fn begin() -> (Role, Arc<Notify>) {
    let role = std::env::args().nth(1).unwrap_or_default();
    let role = serde_json::from_str(&role).unwrap_or_else(|error| panic!("{role}: {error}"));
    let stopped = Arc::new(Notify::new());
    let stop = Arc::clone(&stopped);
    thread::spawn(move || {
        _ = stdin().read_to_end(&mut Vec::new());
        stop.notify_one();
    });
    (role, stopped)
}

/// Tells the test.
#[expect(clippy::print_stdout, reason = "where the test reads")]
pub fn tell(line: &Told) {
    println!("{}", json!(line));
}

/// Sends so many messages, or until it is stopped, each in the trace of an order, and tells of each.
pub async fn produce<F>(count: Option<u64>, stopped: &Notify, send: impl Fn(u64) -> F)
where
    F: Future<Output = Result<Place, String>> + Send + 'static,
{
    let (mut sending, permits) = (JoinSet::new(), Arc::new(Semaphore::new(AT_ONCE)));
    for number in 1..=count.unwrap_or(u64::MAX) {
        let permit = tokio::select! {
            permit = Arc::clone(&permits).acquire_owned() => permit,
            () = stopped.notified() => break,
        };
        let stored = send(number);
        let told = async move {
            tell(&Told::Sent { number, result: stored.await });
            drop(permit);
        };
        sending.spawn(told.with_context(order(number)));
    }
    all_of(sending).await;
}

/// Waits for all of them, none of which may panic.
pub async fn all_of(mut tasks: JoinSet<()>) {
    while let Some(done) = tasks.join_next().await {
        done.unwrap_or_else(|error| panic!("{error}"));
    }
}

/// The context that a message with this number is sent in, with trace, state and baggage: what another
/// service began, which is not part of the test.
pub fn order(number: u64) -> Context {
    let state = TraceState::from_key_value([("shop", number.to_string())]);
    let trace = TraceId::from(u128::from(number) << 64 | 0xabc);
    let state = state.unwrap_or_else(|error| panic!("{error}"));
    let span = SpanContext::new(trace, SpanId::from(number), TraceFlags::SAMPLED, true, state);
    let context = Context::new().with_remote_span_context(span);
    context.with_baggage([KeyValue::new("order", order_in_baggage(number))])
}

/// The context of the task that handles a message.
pub fn worker(tracer: &CaptureTracer, ambient: bool) -> Context {
    if ambient { Context::new().with_span(tracer.start("worker")) } else { Context::new() }
}

/// Lets messages be handled at the same time, each in the context of a task, until it is stopped, and tells
/// of errors by their names.
pub async fn consume<M, E, F>(
    mut next: impl AsyncFnMut() -> Result<M, E>,
    stopped: &Notify,
    (capture, ambient): (&Capture, bool),
    process: impl Fn(M, CaptureTracer) -> F,
    name: impl Fn(&E) -> String,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut handling = JoinSet::new();
    loop {
        let received = tokio::select! {
            received = next() => received,
            () = stopped.notified() => break,
        };
        match received {
            Ok(message) => {
                let tracer = capture.tracer("application");
                let context = worker(&tracer, ambient);
                handling.spawn(process(message, tracer).with_context(context));
            }
            Err(error) => tell(&Told::NotReceived(name(&error))),
        }
    }
    all_of(handling).await;
}

/// What a handler fails with.
#[derive(Debug)]
pub struct Unwanted;

impl fmt::Display for Unwanted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("secret")
    }
}

/// Handles a message: tells what it sees, also after it has waited, and fails at some.
pub async fn handle(number: u64, place: Place, tracer: &CaptureTracer) -> Result<(), Unwanted> {
    let seen = see(number, place);
    let mut steady = true;
    for _ in 0..number % 4 {
        yield_now().await;
        let again = see(number, place);
        steady &= (&again.span, &again.baggage) == (&seen.span, &seen.baggage);
    }
    drop(tracer.start(format!("ship {number}")));
    let failed = is_unwanted(number);
    tell(&Told::Handled(Handled { steady, failed, ..seen }));
    if failed { Err(Unwanted) } else { Ok(()) }
}

fn is_unwanted(number: u64) -> bool {
    number % 10 == 3
}

fn see(number: u64, place: Place) -> Handled {
    let context = Context::current();
    let (span, baggage) = (context.span().span_context().clone(), context.baggage());
    let baggage = baggage.iter().map(|(key, (value, _))| (key.to_string(), value.to_string()));
    Handled {
        number,
        place,
        trace: span.trace_id().to_string(),
        span: span.span_id().to_string(),
        state: span.trace_state().header(),
        baggage: baggage.collect(),
        steady: true,
        failed: false,
    }
}

/// What a process told, by its kind.
#[derive(Debug, Default)]
pub struct All {
    /// What became of each message, by its number.
    pub sent: BTreeMap<u64, Result<Place, String>>,
    /// What came instead of a message.
    pub errors: Vec<String>,
    /// What handlers saw.
    pub handled: Vec<Handled>,
    /// Of all kinds.
    pub spans: Vec<Span>,
    /// Of all metrics.
    pub points: Vec<Point>,
}

impl From<Vec<Told>> for All {
    fn from(told: Vec<Told>) -> Self {
        let mut all = Self::default();
        for line in told {
            match line {
                Told::Sent { number, result } => {
                    assert!(all.sent.insert(number, result).is_none(), "{number} was sent twice");
                }
                Told::NotReceived(error) => all.errors.push(error),
                Told::Handled(handled) => all.handled.push(handled),
                Told::Span(span) => all.spans.push(span),
                Told::Point(point) => all.points.push(point),
            }
        }
        all
    }
}

impl All {
    /// The spans of a step.
    pub fn of_step(&self, step: &str) -> Vec<&Span> {
        let is = |span: &&Span| *span.says("messaging.operation.type") == json!(step);
        self.spans.iter().filter(is).collect()
    }

    /// The spans of a step by the place of their message, where they have one. No two may have the
    /// same.
    pub fn by_place(
        &self,
        step: &str,
        place: impl Fn(&Span) -> Option<Place>,
    ) -> BTreeMap<Place, &Span> {
        let mut places = BTreeMap::new();
        for span in self.of_step(step) {
            if let Some(place) = place(span) {
                assert!(places.insert(place, span).is_none(), "twice: {span:?}");
            }
        }
        places
    }
}

/// Panics unless this span is in the trace that [`produce`] began for the message.
pub fn assert_ordered(span: &Span, number: u64) {
    assert_eq!(span.trace, format!("{number:016x}{:016x}", 0xabc));
    let parent = (span.parent.as_str(), span.parent_is_remote);
    assert_eq!(parent, (&*format!("{number:016x}"), true));
    assert_eq!(span.state, format!("shop={number}"));
    assert!(span.links.is_empty(), "{span:?}");
}

/// How a consumer handles.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The option.
    pub parent: &'static str,
    /// Whether each handler runs in a span of its task.
    pub ambient: bool,
}

/// Panics unless each of the messages that came was handled once, within the span that `processes` has
/// for it, below and beside whom it is to be; `sent` has the span that it was sent with. Answers how many
/// spans the application made.
pub fn assert_handled(
    all: &All,
    processes: &BTreeMap<Place, &Span>,
    sent: &BTreeMap<Place, (u64, Span)>,
    Case { parent, ambient }: Case,
) -> usize {
    let known: BTreeMap<&str, &Span> = all.spans.iter().map(|it| (it.id.as_str(), it)).collect();
    assert_eq!(known.len(), all.spans.len(), "ids are unique");
    assert_eq!(all.of_step("process").len(), processes.len());
    let handled: BTreeMap<_, _> = all.handled.iter().map(|it| (it.place, it)).collect();
    assert_eq!(handled.len(), all.handled.len(), "none was handled twice");
    assert_eq!(handled.keys().collect::<Vec<_>>(), processes.keys().collect::<Vec<_>>());
    for (place, process) in processes {
        let ((number, origin), handled) = (&sent[place], handled[place]);
        assert_eq!(handled.number, *number);
        assert!(handled.steady, "the context changed below a handler: {handled:?}");
        let order = ("order".to_owned(), order_in_baggage(*number));
        assert_eq!(handled.baggage, BTreeMap::from([order]));
        assert_eq!((&handled.trace, &handled.span), (&process.trace, &process.id));
        let failed = is_unwanted(*number);
        let error = failed.then(std::any::type_name::<Unwanted>);
        assert_eq!((handled.failed, process.says("error.type")), (failed, &json!(error)));
        // What it says is not told.
        assert_eq!(process.error.as_deref(), failed.then_some(""));

        // Where the application had a span, that is of another trace.
        let worker = known.get(process.parent.as_str()).copied();
        let below_message = match parent {
            "ambient" => !ambient,
            parent => parent == "message",
        };
        if below_message {
            assert_eq!((&process.trace, &process.parent), (&origin.trace, &origin.id));
            assert!(process.parent_is_remote);
            assert_eq!(process.state, origin.state);
        } else if let Some(worker) = worker.filter(|_| ambient) {
            assert_eq!((worker.name.as_str(), &worker.trace), ("worker", &process.trace));
        } else {
            assert!(!ambient, "no worker: {process:?}");
            assert_eq!(process.parent, NOBODY);
            assert_ne!(process.trace, origin.trace);
        }
        assert_eq!(handled.state, process.state);
        assert_eq!(process.links.first(), Some(&origin.identity()));
        let beside = process.links.get(1).map(|link| known[link.1.as_str()].name.as_str());
        assert_eq!(beside, (below_message && ambient).then_some("worker"));
        assert!(process.links.len() <= 2);

        let ships = all.spans.iter().filter(|span| span.name == format!("ship {number}"));
        let ships: Vec<_> = ships.map(|ship| (&ship.trace, &ship.parent)).collect();
        assert_eq!(ships, [(&process.trace, &process.id)]);
    }
    let workers = all.spans.iter().filter(|span| span.name == "worker").count();
    assert_eq!(workers, if ambient { processes.len() } else { 0 });
    let parents: BTreeSet<_> = processes.values().map(|it| it.parent.as_str()).collect();
    if ambient && parent == "ambient" {
        assert_eq!(parents.len(), workers, "each worker has a message of its own");
    }
    workers + processes.len()
}
