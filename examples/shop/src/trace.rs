//! Finished traces, and how they look on a terminal.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::{Span as _, SpanId, Status, TraceId};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use opentelemetry_semantic_conventions::attribute;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Sends each trace on once none of its spans is open. An exporter could not tell: it hears of a
/// span when it ends, a processor when it starts too.
#[derive(Debug)]
pub(crate) struct Collector {
    traces: Mutex<HashMap<TraceId, Trace>>,
    finished: UnboundedSender<Vec<SpanData>>,
}

#[derive(Debug, Default)]
struct Trace {
    open: usize,
    ended: Vec<SpanData>,
}

impl Collector {
    pub(crate) fn new() -> (Self, UnboundedReceiver<Vec<SpanData>>) {
        let (finished, receiver) = unbounded_channel();
        (Self { traces: Mutex::default(), finished }, receiver)
    }
}

/// The SDK calls these within the traced calls: they must be quick and must not panic.
impl SpanProcessor for Collector {
    fn on_start(&self, span: &mut Span, _parent: &Context) {
        let mut traces = self.traces.lock().unwrap_or_else(PoisonError::into_inner);
        traces.entry(span.span_context().trace_id()).or_default().open += 1;
    }

    fn on_end(&self, span: SpanData) {
        let id = span.span_context.trace_id();
        let mut traces = self.traces.lock().unwrap_or_else(PoisonError::into_inner);
        let trace = traces.entry(id).or_default();
        trace.ended.push(span);
        trace.open = trace.open.saturating_sub(1);
        if trace.open == 0
            && let Some(trace) = traces.remove(&id)
        {
            // Nobody listens any more when the shop is closing.
            _ = self.finished.send(trace.ended);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Prints the spans of a trace, each below its parent, in the order in which they started.
pub(crate) struct Tree<'a> {
    pub(crate) spans: &'a [SpanData],
    pub(crate) attributes: bool,
}

impl fmt::Display for Tree<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.below(SpanId::INVALID, 1, formatter)
    }
}

impl Tree<'_> {
    fn below(&self, parent: SpanId, depth: usize, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut children: Vec<_> =
            self.spans.iter().filter(|span| span.parent_span_id == parent).collect();
        children.sort_by_key(|span| span.start_time);
        for span in children {
            self.line(span, depth, out)?;
            self.below(span.span_context.span_id(), depth + 1, out)?;
        }
        Ok(())
    }

    fn line(&self, span: &SpanData, depth: usize, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let duration = span.end_time.duration_since(span.start_time).unwrap_or_default();
        let kind = format!("{:?}", span.span_kind).to_uppercase();
        let name = format!("{:indent$}{kind} {}", "", printable(&span.name), indent = 2 * depth);
        write!(out, "{name:48} {:8.3} ms", duration.as_secs_f64() * 1e3)?;
        let value = |name| {
            let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == name);
            found.map(|attribute| printable(&attribute.value.as_str()))
        };
        if let Some(status) = value(attribute::HTTP_RESPONSE_STATUS_CODE) {
            write!(out, "  HTTP {status}")?;
        }
        if let Status::Error { description } = &span.status {
            write!(out, "  error {}", value(attribute::ERROR_TYPE).unwrap_or_default())?;
            if !description.is_empty() {
                write!(out, " ({})", printable(description))?;
            }
        }
        writeln!(out)?;
        for attribute in span.attributes.iter().filter(|_| self.attributes) {
            let value = printable(&attribute.value.as_str());
            writeln!(
                out,
                "{:1$}{2} = {value}",
                "",
                2 * depth + 4,
                printable(attribute.key.as_str())
            )?;
        }
        Ok(())
    }
}

/// Telemetry holds what strangers sent. On a terminal its control characters are commands: they are
/// shown, not obeyed.
fn printable(text: &str) -> String {
    let escape = |letter: char| match letter {
        '\'' | '"' => letter.to_string(),
        _ => letter.escape_debug().to_string(),
    };
    text.chars().map(escape).collect()
}
