//! Traces as one page for a browser: the file is all there is to it, and it loads nothing.
//!
//! A list of traces, their waterfalls, and the attributes of a span; for mouse and keyboard, in light
//! and dark, with a search through names, attributes and ids.

mod data;
mod file;

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::TraceId;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use crate::console::span::{name_service, service, shrink, weight};

/// What a browser still opens at once.
const SPANS: usize = 20_000;
const BYTES: usize = 64 << 20;
/// Of a text.
const LONGEST: usize = 16 << 10;

/// A span processor that keeps finished spans and writes them as one HTML page to `path`, at each
/// flush and at the shutdown. See [`Page`].
pub fn page(path: impl Into<PathBuf>) -> Page {
    let shared = Shared { path: path.into(), kept: Mutex::default(), writing: Mutex::new(false) };
    Page { shared: Arc::new(shared), service: None }
}

/// Keeps the spans that have ended, and writes them as one page at each flush and at the shutdown.
///
/// The page is written beside its place and then renamed: who opens it sees a whole one, the last or
/// the one before. It holds at most 20 000 spans and 64 MiB; beyond that the oldest traces are left
/// out, and the page says how many. Texts end after 16 KiB.
///
/// Clones share one page: give one to each provider of a process that plays several services.
#[derive(Clone, Debug)]
pub struct Page {
    shared: Arc<Shared>,
    service: Option<String>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    kept: Mutex<Kept>,
    /// One writes at a time; whether the page was written before.
    writing: Mutex<bool>,
}

#[derive(Debug, Default)]
struct Kept {
    traces: HashMap<TraceId, Trace>,
    /// Oldest first.
    order: VecDeque<TraceId>,
    spans: usize,
    bytes: usize,
    dropped_traces: usize,
    changed: bool,
}

#[derive(Debug, Default)]
struct Trace {
    spans: Vec<SpanData>,
    bytes: usize,
    dropped: usize,
}

impl Kept {
    fn add(&mut self, span: SpanData) {
        self.changed = true;
        let id = span.span_context.trace_id();
        let bytes = weight(&span);
        let trace = self.traces.entry(id).or_insert_with(|| {
            self.order.push_back(id);
            Trace::default()
        });
        // A trace that fills the page alone keeps its first spans.
        if trace.spans.len() >= SPANS || trace.bytes + bytes > BYTES {
            trace.dropped += 1;
            return;
        }
        trace.spans.push(span);
        trace.bytes += bytes;
        self.spans += 1;
        self.bytes += bytes;
        while self.spans > SPANS || self.bytes > BYTES {
            let Some(oldest) = self.order.pop_front() else { break };
            if oldest == id && !self.order.is_empty() {
                self.order.push_back(oldest);
            } else if let Some(oldest) = self.traces.remove(&oldest) {
                self.spans -= oldest.spans.len();
                self.bytes -= oldest.bytes;
                self.dropped_traces += 1;
            }
        }
    }

    fn in_order(&self) -> impl Iterator<Item = (TraceId, &Trace)> {
        self.order.iter().filter_map(|id| Some((*id, self.traces.get(id)?)))
    }
}

impl Page {
    fn write(&self) -> OTelSdkResult {
        let mut was_written = self.shared.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = || self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // The threads of the application go on meanwhile, into an empty store.
        let taken = std::mem::take(&mut *kept());
        let written = if taken.changed || !*was_written {
            file::replace(&self.shared.path, &data::page(&taken))
        } else {
            Ok(())
        };
        let mut now = kept();
        let new = std::mem::replace(&mut *now, taken);
        now.changed = written.is_err();
        now.dropped_traces += new.dropped_traces;
        for (_, trace) in new.traces {
            trace.spans.into_iter().for_each(|span| now.add(span));
        }
        *was_written |= written.is_ok();
        written.map_err(|error| {
            let path = self.shared.path.display();
            OTelSdkError::InternalFailure(format!("{path} cannot be written: {error}"))
        })
    }
}

impl SpanProcessor for Page {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, mut span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        shrink(&mut span, LONGEST);
        name_service(&mut span, self.service.as_deref());
        self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner).add(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.write()
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        self.write()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.service = service(resource);
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceState};
    use opentelemetry::{InstrumentationScope, KeyValue};
    use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};

    use super::*;

    fn span(trace: u128) -> SpanData {
        let (trace, id) = (TraceId::from(trace), SpanId::from(1));
        SpanData {
            span_context: SpanContext::new(trace, id, TraceFlags::SAMPLED, false, TraceState::NONE),
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: "one".into(),
            start_time: std::time::UNIX_EPOCH,
            end_time: std::time::UNIX_EPOCH,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: InstrumentationScope::default(),
        }
    }

    fn check(kept: &Kept) {
        let spans = kept.traces.values().map(|trace| trace.spans.len()).sum::<usize>();
        let bytes = kept.traces.values().flat_map(|trace| &trace.spans).map(weight).sum::<usize>();
        assert_eq!((spans, bytes), (kept.spans, kept.bytes));
        assert_eq!(kept.order.len(), kept.traces.len());
        assert!(spans <= SPANS && bytes <= BYTES, "{spans} {bytes}");
    }

    #[test]
    fn the_oldest_traces_make_room() {
        let mut kept = Kept::default();
        (1..=20_010).for_each(|id| kept.add(span(id)));
        check(&kept);
        assert_eq!((kept.spans, kept.dropped_traces), (SPANS, 10));
        assert_eq!(kept.order.front(), Some(&TraceId::from(11)));
        // Also where the oldest is the one that grows.
        kept.add(span(11));
        check(&kept);
        assert_eq!(
            (kept.order.front(), kept.order.back()),
            (Some(&TraceId::from(13)), Some(&TraceId::from(11)))
        );
        assert!(data::page(&kept).contains(r#"{"dropped":11,"#));
    }

    #[test]
    fn bytes_are_bounded_and_a_trace_that_is_alone_keeps_its_start() {
        let mut kept = Kept::default();
        let big = |trace| {
            let mut big = span(trace);
            big.attributes.push(KeyValue::new("big", "x".repeat(1 << 20)));
            big
        };
        for _ in 0..100 {
            kept.add(big(1));
        }
        check(&kept);
        assert_eq!((kept.spans, kept.traces[&TraceId::from(1)].dropped), (63, 37));
        kept.add(big(2));
        check(&kept);
        assert_eq!((kept.spans, kept.dropped_traces), (1, 1));
    }

    #[test]
    fn what_is_kept_is_cut() {
        let mut long = span(1);
        let text = || "ö".repeat(1 << 20);
        long.name = text().into();
        long.attributes.push(KeyValue::new(text(), text()));
        long.attributes.push(KeyValue::new(
            "list",
            opentelemetry::Value::Array(opentelemetry::Array::String(
                (0..1000).map(|_| "ö".repeat(1000).into()).collect(),
            )),
        ));
        long.attributes.extend((0..1000).map(|_| KeyValue::new("many", 1)));
        long.status = Status::error(text());
        let event = opentelemetry::trace::Event::new(text(), long.start_time, Vec::new(), 0);
        long.events.events = vec![event; 300];
        shrink(&mut long, 1001);
        assert_eq!(long.name.len(), 1000 + "…".len(), "between letters");
        assert_eq!((long.attributes.len(), long.dropped_attributes_count), (256, 746));
        assert_eq!(long.events.len(), 256);
        assert!(weight(&long) < 400_000, "{}", weight(&long));
    }
}
