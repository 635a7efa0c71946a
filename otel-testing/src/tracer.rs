//! A watch over spans: what the SDK lets pass in silence is written down.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use opentelemetry::trace::{Span, SpanBuilder, SpanContext, Status, Tracer, TracerProvider};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

/// The SDK's provider, watched.
#[derive(Clone, Debug)]
pub struct CaptureTracerProvider {
    inner: SdkTracerProvider,
    ledger: Arc<Ledger>,
}

impl CaptureTracerProvider {
    pub(crate) fn new(inner: SdkTracerProvider) -> Self {
        Self { inner, ledger: Arc::default() }
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }
}

impl TracerProvider for CaptureTracerProvider {
    type Tracer = CaptureTracer;

    fn tracer_with_scope(&self, scope: InstrumentationScope) -> CaptureTracer {
        CaptureTracer {
            inner: self.inner.tracer_with_scope(scope),
            ledger: Arc::clone(&self.ledger),
        }
    }
}

/// The SDK's tracer, watched.
#[derive(Clone, Debug)]
pub struct CaptureTracer {
    inner: SdkTracer,
    ledger: Arc<Ledger>,
}

impl Tracer for CaptureTracer {
    type Span = CaptureSpan;

    fn build_with_context(&self, builder: SpanBuilder, parent: &Context) -> CaptureSpan {
        let name = builder.name.clone();
        let inner = self.inner.build_with_context(builder, parent);
        let number = self.ledger.open(&name, inner.span_context());
        CaptureSpan { inner, ledger: Arc::clone(&self.ledger), number, name, ended: false }
    }
}

/// The SDK's span, watched.
#[derive(Debug)]
pub struct CaptureSpan {
    inner: opentelemetry_sdk::trace::Span,
    ledger: Arc<Ledger>,
    number: u64,
    name: Cow<'static, str>,
    ended: bool,
}

impl CaptureSpan {
    fn change(&mut self, what: impl FnOnce() -> String) -> &mut opentelemetry_sdk::trace::Span {
        if self.ended {
            let (name, what) = (&self.name, what());
            self.ledger.fault(format!("span `{name}`: {what} came after its end and was lost"));
        }
        &mut self.inner
    }
}

impl Span for CaptureSpan {
    fn add_event_with_timestamp<T: Into<Cow<'static, str>>>(
        &mut self,
        name: T,
        timestamp: SystemTime,
        attributes: Vec<KeyValue>,
    ) {
        let name = name.into();
        self.change(|| format!("the event `{name}`"));
        self.inner.add_event_with_timestamp(name, timestamp, attributes);
    }

    fn span_context(&self) -> &SpanContext {
        self.inner.span_context()
    }

    fn is_recording(&self) -> bool {
        self.inner.is_recording()
    }

    fn set_attribute(&mut self, attribute: KeyValue) {
        self.change(|| format!("the attribute `{}`", attribute.key)).set_attribute(attribute);
    }

    fn set_status(&mut self, status: Status) {
        self.change(|| format!("the status {status:?}")).set_status(status);
    }

    fn update_name<T: Into<Cow<'static, str>>>(&mut self, name: T) {
        let name = name.into();
        self.change(|| format!("the name `{name}`")).update_name(name.clone());
        self.ledger.rename(self.number, &name);
        self.name = name;
    }

    fn add_link(&mut self, context: SpanContext, attributes: Vec<KeyValue>) {
        self.change(|| "a link".to_owned()).add_link(context, attributes);
    }

    fn end_with_timestamp(&mut self, timestamp: SystemTime) {
        if self.ended {
            self.ledger.fault(format!("span `{}` was ended twice", self.name));
        }
        self.ended = true;
        self.inner.end_with_timestamp(timestamp);
        self.ledger.close(self.number);
    }
}

impl Drop for CaptureSpan {
    fn drop(&mut self) {
        // To drop a span is a way of ending it.
        if !self.ended {
            self.ledger.close(self.number);
        }
    }
}

/// The spans that are open, and what was done wrong.
#[derive(Default)]
pub(crate) struct Ledger(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    started: u64,
    open: BTreeMap<u64, (String, SpanContext)>,
    faults: Vec<String>,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Ledger").field("faults", &self.faults()).finish()
    }
}

impl Ledger {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, name: &str, context: &SpanContext) -> u64 {
        let mut entries = self.entries();
        entries.started += 1;
        let number = entries.started;
        entries.open.insert(number, (name.to_owned(), context.clone()));
        number
    }

    fn rename(&self, number: u64, name: &str) {
        if let Some(open) = self.entries().open.get_mut(&number) {
            name.clone_into(&mut open.0);
        }
    }

    fn close(&self, number: u64) {
        self.entries().open.remove(&number);
    }

    fn fault(&self, fault: String) {
        self.entries().faults.push(fault);
    }

    /// Name and identity of the spans that are open, in order of starting.
    pub(crate) fn open_spans(&self) -> Vec<(String, SpanContext)> {
        self.entries().open.values().cloned().collect()
    }

    pub(crate) fn faults(&self) -> Vec<String> {
        let entries = self.entries();
        let open = entries.open.values();
        let open = open.map(|(name, _)| format!("span `{name}` was left open: it never ended"));
        entries.faults.iter().cloned().chain(open).collect()
    }
}
