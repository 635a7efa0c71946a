//! Clients of other languages as a part of a test: see [`native::Foreign`].

use std::collections::BTreeMap;

use native::Foreign;
use serde::{Deserialize, Serialize};
use tokio::task::block_in_place;

use crate::or_skipped;
use crate::otlp::Line;
use crate::told::{Process, Span};

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
