//! Clients of other languages as a part of a test: see [`native::Foreign`].

use std::collections::BTreeMap;

use native::Foreign;
use otel_testing::opentelemetry::Context;
use otel_testing::opentelemetry::baggage::BaggageExt as _;
use otel_testing::opentelemetry::trace::TraceContextExt as _;
use otel_testing::opentelemetry_sdk::trace::SpanData;
use serde::{Deserialize, Serialize};
use tokio::task::block_in_place;

use crate::or_skipped;
use crate::otlp::Line;
use crate::told::{Process, Span, order_in_baggage};

/// What such a client does.
#[derive(Clone, Debug, Serialize)]
pub enum Task {
    /// Sends messages.
    Produce {
        /// Of the broker.
        address: String,
        /// Where to.
        destination: String,
        /// In this order.
        messages: Vec<Outgoing>,
    },
    /// Receives messages.
    Consume {
        /// Of the broker.
        address: String,
        /// Where from, beginning with the oldest message.
        destination: String,
        /// Of consumers that share the messages.
        group: String,
        /// How many.
        count: u64,
    },
}

/// A message that is to be sent.
#[derive(Clone, Debug, Serialize)]
pub struct Outgoing {
    /// All of it, and its key where there are keys.
    pub body: String,
    /// Where it is sent in, as W3C's headers have it, whatever the message will carry.
    pub context: BTreeMap<String, String>,
}

/// What such a client got, and what its instrumentation emitted.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// In the order in which they came.
    pub messages: Vec<Incoming>,
    /// In the order in which they ended.
    pub spans: Vec<Span>,
}

/// A message as it was received.
#[derive(Clone, Debug, Deserialize)]
pub struct Incoming {
    /// All of it.
    pub body: String,
    /// In their order.
    pub headers: Vec<(String, String)>,
    /// Of the span that it carries: 32 digits, of none zeros.
    pub trace: String,
    /// Of the span that it carries: 16 digits, of none zeros.
    pub span: String,
    /// The state of that trace.
    pub state: String,
    /// The baggage that it carries.
    pub baggage: BTreeMap<String, String>,
}

/// A line.
#[derive(Deserialize)]
#[serde(untagged)]
enum Told {
    Received { received: Incoming },
    // All of its parts may be missing, so it comes last.
    Emitted(Line),
}

/// Lets the client do its task, which must be soon done. Messages carry what these propagators write,
/// and are read by them: names of `OTEL_PROPAGATORS`. None, which is then said, where its environment
/// cannot be made; `OTEL_TEST_REQUIRE` demands it.
pub async fn play(client: &'static Foreign, task: &Task, propagators: &str) -> Option<Heard> {
    // Made once, in a minute.
    let command = block_in_place(|| client.command());
    let mut command = or_skipped(client.title(), command)?;
    let process = Process::run(command.env("OTEL_PROPAGATORS", propagators), task);
    let (mut heard, mut spans) = (Heard::default(), Vec::new());
    for line in process.finish().await {
        match line {
            Told::Received { received } => heard.messages.push(received),
            Told::Emitted(line) => line.add_to(&mut spans, &mut Vec::new(), &mut Vec::new()),
        }
    }
    heard.spans = spans.into_iter().map(Span::from).collect();
    Some(heard)
}

/// Messages of each task.
pub const MESSAGES: u64 = 20;
/// What a client of another language reads and writes.
pub const FORMATS: &str = "tracecontext,baggage";

/// The messages of another client, each in a context that says the same.
pub fn outgoing() -> Vec<Outgoing> {
    let messages = (1..=MESSAGES).map(|number| Outgoing {
        body: number.to_string(),
        context: BTreeMap::from([
            ("traceparent".to_owned(), format!("00-{number:016x}{:016x}-{number:016x}-01", 0xabc)),
            ("tracestate".to_owned(), format!("shop={number}")),
            ("baggage".to_owned(), format!("order=n%C2%B0{number}%3B%3D%2C")),
        ]),
    });
    messages.collect()
}

/// Panics unless another client read of each of our messages what it was sent with: in the context
/// of its number, by these spans. Answers the trace and span that each carried.
pub fn assert_read(heard: &Heard, sent: &[SpanData]) -> Vec<(String, String)> {
    assert_eq!(heard.messages.len(), sent.len());
    let both = (1..).zip(heard.messages.iter().zip(sent));
    let carried = both.map(|(number, (message, span))| {
        assert_eq!(message.body, number.to_string());
        let span = &span.span_context;
        let theirs = (message.trace.clone(), message.span.clone());
        assert_eq!(theirs, (span.trace_id().to_string(), span.span_id().to_string()));
        assert_eq!(theirs.0, format!("{number:016x}{:016x}", 0xabc));
        assert_eq!(message.state, format!("shop={number}"));
        let baggage = BTreeMap::from([("order".to_owned(), order_in_baggage(number))]);
        assert_eq!(message.baggage, baggage);
        theirs
    });
    carried.collect()
}

/// Panics unless a handler of the message with this number, which another client sent within `send`, runs in
/// what that carried.
pub fn assert_current(number: u64, body: &[u8], send: &Span) {
    assert_eq!(*body, *number.to_string().as_bytes());
    let current = Context::current();
    assert_eq!(current.span().span_context().trace_state().header(), send.state);
    let order = current.baggage().get("order").map(ToString::to_string);
    assert_eq!(order, Some(order_in_baggage(number)));
}

/// Panics unless a message of another client, sent within `send`, was received, handled and settled in
/// these spans: all link to that, and the handling is below it.
pub fn assert_goes_on(spans: &[SpanData], send: &Span) {
    let [receive, process, settle] = spans else { panic!("not three spans: {spans:#?}") };
    for span in [receive, process, settle] {
        let link = span.links.iter().next().map(|link| &link.span_context);
        let link = link.map(|link| (link.trace_id().to_string(), link.span_id().to_string()));
        assert_eq!(link, Some((send.trace.clone(), send.id.clone())));
    }
    assert_eq!(process.span_context.trace_id().to_string(), send.trace);
    assert_eq!(process.parent_span_id.to_string(), send.id);
}
