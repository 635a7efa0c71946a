//! Traces on a terminal.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use opentelemetry::trace::{Span as _, SpanId, Status, TraceId};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use opentelemetry_semantic_conventions::attribute::{ERROR_TYPE, HTTP_RESPONSE_STATUS_CODE};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Sends each trace on once none of its spans is open. An exporter could not tell: it hears of spans
/// that have ended, a processor of those that start too.
#[derive(Debug)]
pub(crate) struct Collector {
    /// How many spans of a trace are open, and those that have ended.
    traces: Mutex<HashMap<TraceId, (usize, Vec<SpanData>)>>,
    finished: UnboundedSender<Vec<SpanData>>,
}

pub(crate) fn collector() -> (Collector, UnboundedReceiver<Vec<SpanData>>) {
    let (finished, receiver) = unbounded_channel();
    (Collector { traces: Mutex::default(), finished }, receiver)
}

/// The SDK calls these in the middle of the traced calls: they are quick, and never panic.
impl SpanProcessor for Collector {
    fn on_start(&self, span: &mut Span, _parent: &opentelemetry::Context) {
        let mut traces = self.traces.lock().unwrap_or_else(PoisonError::into_inner);
        traces.entry(span.span_context().trace_id()).or_default().0 += 1;
    }

    fn on_end(&self, span: SpanData) {
        let id = span.span_context.trace_id();
        let mut traces = self.traces.lock().unwrap_or_else(PoisonError::into_inner);
        let (open, mut spans) = traces.remove(&id).unwrap_or_default();
        spans.push(span);
        match open {
            0 | 1 => _ = self.finished.send(spans),
            _ => _ = traces.insert(id, (open - 1, spans)),
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: std::time::Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// The spans below a parent, as lines that are indented, in the order in which they started.
pub(crate) fn tree(spans: &[SpanData], parent: SpanId, depth: usize) -> String {
    let mut children: Vec<_> = spans.iter().filter(|span| span.parent_span_id == parent).collect();
    children.sort_by_key(|span| span.start_time);
    let below = |span: &SpanData| tree(spans, span.span_context.span_id(), depth + 1);
    children.into_iter().map(|span| line(span, depth) + &below(span)).collect()
}

fn line(span: &SpanData, depth: usize) -> String {
    let fact = |name, label| {
        let found = span.attributes.iter().find(|known| known.key.as_str() == name);
        found.map(|found| format!("  {label} {}", found.value)).unwrap_or_default()
    };
    let (status, error) = (fact(HTTP_RESPONSE_STATUS_CODE, "status"), fact(ERROR_TYPE, "error"));
    let description = match &span.status {
        Status::Error { description } if !description.is_empty() => format!(" ({description})"),
        _ => String::new(),
    };
    let kind = format!("{:?}", span.span_kind).to_uppercase();
    let name = format!("{:1$}{kind} {2}", "", 2 * depth, span.name);
    let duration = span.end_time.duration_since(span.start_time).unwrap_or_default();
    let milliseconds = duration.as_secs_f64() * 1e3;
    let line = format!("{name:46} {milliseconds:8.3} ms{status}{error}{description}");
    // Telemetry may hold what strangers sent, and to a terminal control characters are commands.
    line.escape_debug().to_string() + "\n"
}
