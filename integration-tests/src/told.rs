//! What a process of a test tells the one that started it: a JSON object on each line.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use otel_testing::ledger::Traced;
use otel_testing::opentelemetry::trace::{SpanKind, Status};
use otel_testing::opentelemetry::{KeyValue, Value};
use otel_testing::opentelemetry_sdk::trace::SpanData;
use otel_testing::{Capture, PointValue};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::eventually;
use crate::otlp::{self, Attributes};

/// What a process does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Role {
    /// Sends messages whose number is key, payload and baggage, each in a trace of its own.
    Produce {
        /// Where the brokers are.
        brokers: String,
        /// Where to.
        topic: String,
        /// How many; without a number, until its standard input is closed.
        count: Option<u64>,
        /// After how many milliseconds a message is given up.
        timeout: u32,
    },
    /// Handles messages at the same time, until its standard input is closed.
    Consume {
        /// Where the brokers are.
        brokers: String,
        /// Where from.
        topic: String,
        /// The group.
        group: String,
        /// The option, by the name that the environment variable has for it.
        parent: String,
        /// Whether each handler runs in a span of its task.
        ambient: bool,
    },
}

/// A line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Told {
    /// A message was sent, or was not.
    Sent {
        /// Of the message.
        number: u64,
        /// Partition and offset, or the error's code by the name of its variant.
        result: Result<(i32, i64), String>,
    },
    /// A consumer got no message but an error, by the name of its variant.
    NotReceived(String),
    /// What a handler saw.
    Handled(Handled),
    /// A finished span.
    Span(Span),
    /// What was measured.
    Point(Point),
}

/// What a handler saw.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Handled {
    /// Of the message, by its payload.
    pub number: u64,
    /// Where the message lies.
    pub place: (i32, i64),
    /// The current span.
    pub trace: String,
    /// The current span.
    pub span: String,
    /// The state of the trace.
    pub state: String,
    /// The baggage, with [`order_in_baggage`] under `order`.
    pub baggage: BTreeMap<String, String>,
    /// Whether all that was the same after each time that the handler waited.
    pub steady: bool,
    /// Whether it failed.
    pub failed: bool,
}

/// A finished span.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// Its name.
    pub name: String,
    /// Its kind, in capitals.
    pub kind: String,
    /// 32 digits.
    pub trace: String,
    /// 16 digits.
    pub id: String,
    /// 16 digits; of a root zeros.
    pub parent: String,
    /// Whether the parent is another process's.
    pub parent_is_remote: bool,
    /// The state of the trace.
    pub state: String,
    /// Of the status, if that is an error.
    pub error: Option<String>,
    /// Trace and span of each link.
    pub links: Vec<(String, String)>,
    /// What it says.
    pub attributes: Attributes,
}

/// A point of a metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The metric.
    pub metric: String,
    /// What tells it from the others.
    pub attributes: Attributes,
    /// The value, or how many values a histogram has.
    pub number: f64,
}

/// The baggage `order` of this message: what the formats escape, each in its way.
pub fn order_in_baggage(number: u64) -> String {
    format!("n°{number};=,")
}

/// The parent of a root.
pub const NOBODY: &str = "0000000000000000";

impl From<SpanData> for Span {
    fn from(span: SpanData) -> Self {
        let (own, links) = (&span.span_context, span.links.iter().map(|link| &link.span_context));
        Self {
            name: span.name.into_owned(),
            kind: format!("{:?}", span.span_kind).to_uppercase(),
            trace: own.trace_id().to_string(),
            id: own.span_id().to_string(),
            parent: span.parent_span_id.to_string(),
            parent_is_remote: span.parent_span_is_remote,
            state: own.trace_state().header(),
            error: error(span.status),
            links: links.map(|it| (it.trace_id().to_string(), it.span_id().to_string())).collect(),
            attributes: attributes(&span.attributes),
        }
    }
}

impl From<otlp::Span> for Span {
    fn from(span: otlp::Span) -> Self {
        let is_root = span.parent_id.is_empty();
        Self {
            name: span.name,
            kind: format!("{:?}", span.kind).to_uppercase(),
            trace: span.trace_id,
            id: span.span_id,
            parent: if is_root { NOBODY.to_owned() } else { span.parent_id },
            parent_is_remote: span.parent_is_remote,
            state: span.state,
            error: error(span.status),
            links: span.links,
            attributes: span.attributes,
        }
    }
}

fn error(status: Status) -> Option<String> {
    match status {
        Status::Error { description } => Some(description.into_owned()),
        _ => None,
    }
}

impl Span {
    /// What it says under this name; null if nothing.
    pub fn says(&self, name: &str) -> &serde_json::Value {
        self.attributes.get(name).unwrap_or(&serde_json::Value::Null)
    }

    /// Trace and span, as others link to it.
    pub fn identity(&self) -> (String, String) {
        (self.trace.clone(), self.id.clone())
    }
}

fn attributes(all: &[KeyValue]) -> Attributes {
    let value = |value: &Value| match value {
        Value::Bool(value) => (*value).into(),
        Value::I64(value) => (*value).into(),
        Value::F64(value) => (*value).into(),
        value => value.as_str().into(),
    };
    all.iter().map(|pair| (pair.key.to_string(), value(&pair.value))).collect()
}

/// What spans of another process told, for a ledger.
pub fn traced(spans: &[Span]) -> Traced {
    let traced = Traced::new();
    for span in spans {
        let attributes = span.attributes.iter().map(|(name, value)| match value.as_i64() {
            Some(number) => KeyValue::new(name.clone(), number),
            None => KeyValue::new(name.clone(), value.as_str().unwrap_or_default().to_owned()),
        });
        // A ledger of messages goes by their step.
        traced.note(SpanKind::Internal, attributes);
    }
    traced
}

/// The spans that were captured.
pub fn spans(capture: &Capture) -> Vec<Span> {
    capture.spans().into_iter().map(Span::from).collect()
}

/// The points that were captured.
#[expect(clippy::cast_precision_loss, reason = "tests count few")]
pub fn points(capture: &Capture) -> Vec<Point> {
    let of_metric = |metric: otel_testing::Metric| {
        metric.points.into_iter().map(move |point| Point {
            metric: metric.name.clone(),
            attributes: attributes(&point.attributes),
            number: match point.value {
                PointValue::Histogram { count, .. } => count as f64,
                _ => point.sum(),
            },
        })
    };
    capture.metrics().into_iter().flat_map(of_metric).collect()
}

/// All that was captured.
pub fn all(capture: &Capture) -> Vec<Told> {
    let spans = spans(capture).into_iter().map(Told::Span);
    spans.chain(points(capture).into_iter().map(Told::Point)).collect()
}

/// Panics unless the metrics of messages say what their spans say: as many operations, as many
/// messages, with the same attributes and errors. Each message must have a span for its receipt;
/// `timed` are those receipts that were asked for with a bound.
#[track_caller]
pub fn assert_agreement(spans: &[Span], points: &[Point], timed: impl Fn(&Span) -> bool) {
    type Counts = BTreeMap<(String, String), u64>;
    const NAME: &str = "messaging.destination.name";
    const TEMPLATE: &str = "messaging.destination.template";
    const ON_POINTS: [&str; 10] = [
        "messaging.system",
        "messaging.operation.name",
        NAME,
        TEMPLATE,
        "messaging.destination.subscription.name",
        "messaging.consumer.group.name",
        "messaging.destination.partition.id",
        "server.address",
        "server.port",
        "error.type",
    ];

    let shown = |attributes: &Attributes| serde_json::to_string(attributes).unwrap_or_default();
    let mut expected = Counts::new();
    for span in spans {
        let Some(step) = span.attributes.get("messaging.operation.type") else { continue };
        let step = step.as_str().unwrap_or_default();
        let mut told = span.attributes.clone();
        told.retain(|name, _| ON_POINTS.contains(&name.as_str()));
        if told.contains_key(TEMPLATE) {
            told.remove(NAME);
        }
        let mut with_step = told.clone();
        with_step.insert("messaging.operation.type".to_owned(), step.into());
        let is_error = told.contains_key("error.type");
        let mut expect = |metric: &str, attributes: &Attributes| {
            *expected.entry((metric.to_owned(), shown(attributes))).or_default() += 1;
        };
        match step {
            "process" => expect("messaging.process.duration", &told),
            "receive" if !timed(span) => {}
            _ => expect("messaging.client.operation.duration", &with_step),
        }
        match step {
            "send" => expect("messaging.client.sent.messages", &told),
            "receive" if !is_error => expect("messaging.client.consumed.messages", &told),
            _ => {}
        }
    }
    let mut measured = Counts::new();
    for point in points.iter().filter(|point| point.metric.starts_with("messaging.")) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole")]
        let number = point.number as u64;
        let key = (point.metric.clone(), shown(&point.attributes));
        assert!(measured.insert(key, number).is_none(), "twice the same point: {point:?}");
    }
    let differ = |one: &Counts, other: &Counts| {
        let lines = one.iter().filter(|(key, count)| other.get(*key) != Some(count));
        lines.map(|it| format!("\n  {it:?}")).collect::<Vec<_>>().concat()
    };
    assert!(
        expected == measured,
        "spans say:{}\nmetrics say:{}",
        differ(&expected, &measured),
        differ(&measured, &expected)
    );
}

/// A process that plays a role, and the lines that it has told so far. Killed when dropped.
#[derive(Debug)]
pub struct Process<T = Told> {
    child: Child,
    input: Option<ChildStdin>,
    told: Arc<Mutex<Vec<T>>>,
    reader: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts a program of this crate.
    pub fn start(program: &str, role: &Role) -> Self {
        Self::start_with(program, role, "")
    }

    /// As [`Process::start`], with a value of `OTEL_PROPAGATORS`.
    pub fn start_with(program: &str, role: &Role, propagators: &str) -> Self {
        let mut command = Command::new(program);
        Self::run(command.stdin(Stdio::piped()).env("OTEL_PROPAGATORS", propagators), role)
    }
}

impl<T: DeserializeOwned + Send + 'static> Process<T> {
    /// Starts this command with its role as the last argument.
    pub fn run(command: &mut Command, role: &impl Serialize) -> Self {
        let role = serde_json::to_string(role).unwrap_or_else(|error| panic!("{error}"));
        let child = command.arg(role).stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let told = Arc::<Mutex<Vec<T>>>::default();
        let kept = Arc::clone(&told);
        let reader = thread::spawn(move || {
            for line in output.into_iter().flat_map(|output| BufReader::new(output).lines()) {
                let line = line.unwrap_or_else(|error| panic!("{error}"));
                let told = serde_json::from_str(&line);
                lock(&kept).push(told.unwrap_or_else(|error| panic!("{error} in {line}")));
            }
        });
        Self { child, input, told, reader: Some(reader) }
    }

    /// How many lines so far are of this kind.
    pub fn count(&self, is: impl Fn(&T) -> bool) -> usize {
        lock(&self.told).iter().filter(|line| is(line)).count()
    }

    /// Lets it end, which must be soon and well, and gives all that it told.
    pub async fn finish(mut self) -> Vec<T> {
        drop(self.input.take());
        let mut status = None;
        eventually("the process has ended", async || {
            status = self.child.try_wait().unwrap_or_else(|error| panic!("{error}"));
            status.is_some()
        })
        .await;
        let read = self.reader.take().map(JoinHandle::join);
        assert!(matches!(read, Some(Ok(()))), "what it told was not understood");
        assert!(status.is_some_and(|status| status.success()), "it failed: {status:?}");
        std::mem::take(&mut *lock(&self.told))
    }
}

fn lock<T>(told: &Mutex<Vec<T>>) -> MutexGuard<'_, Vec<T>> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Drop for Process<T> {
    fn drop(&mut self) {
        // Of one that has ended, nothing is left to do.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
