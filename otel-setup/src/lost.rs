//! What did not arrive: counted where the SDK hands it over, because its processors keep the results
//! of exports to themselves.

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::logs::Severity;
use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{LogBatch, LogExporter, LogProcessor, SdkLogRecord};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};

use crate::environment::Signal;

/// What of one signal did not arrive, from the setup to the end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lost {
    /// The kind of telemetry.
    pub signal: Signal,
    /// How many spans or log records. None where nobody counts them: metrics, and what processors and
    /// exporters of your own lose.
    pub count: Option<u64>,
    /// Why, as the export that failed last has it: a status, a gRPC code, an error of the network. It
    /// holds no headers, and nothing of what the collector answered.
    pub reason: String,
}

impl fmt::Display for Lost {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { signal, count, reason } = self;
        write!(out, "{signal}: {reason}")?;
        let one = if *signal == Signal::Logs { "log record" } else { "span" };
        match count {
            None => Ok(()),
            Some(1) => write!(out, " (1 {one})"),
            Some(count) => write!(out, " ({count} {one}s)"),
        }
    }
}

/// The books of one signal that leaves by OTLP.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Spans or log records that the processor was given.
    given: AtomicU64,
    arrived: AtomicU64,
    failures: AtomicU64,
    /// Why an export failed. With metrics that are told since the start, the next one makes up for it.
    last: Mutex<Option<String>>,
    /// What the exporter of HTTP reduces to "network error".
    cause: Mutex<Option<String>>,
}

/// One for each signal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledgers {
    traces: Arc<Ledger>,
    metrics: Arc<Ledger>,
    logs: Arc<Ledger>,
}

impl Ledgers {
    pub(crate) fn of(&self, signal: Signal) -> &Arc<Ledger> {
        match signal {
            Signal::Traces => &self.traces,
            Signal::Metrics => &self.metrics,
            Signal::Logs => &self.logs,
        }
    }
}

impl Ledger {
    /// Why the network failed, or that it did not.
    pub(crate) fn because(&self, cause: Option<String>) {
        *lock(&self.cause) = cause;
    }

    /// What is lost when nothing is under way any more.
    pub(crate) fn lost(&self, signal: Signal) -> Option<Lost> {
        let (count, reason) = (self.missing(), lock(&self.last).clone());
        let full = || "there was no place left in its queue".to_owned();
        match (count, reason) {
            (None, None) => None,
            (count, reason) => Some(Lost { signal, count, reason: reason.unwrap_or_else(full) }),
        }
    }

    /// How many have not arrived, if any.
    pub(crate) fn missing(&self) -> Option<u64> {
        let arrived = self.arrived.load(Ordering::Acquire);
        let missing = self.given.load(Ordering::Acquire).saturating_sub(arrived);
        (missing > 0).then_some(missing)
    }

    /// Enters what became of a batch. The error is told in full: what the SDK makes of it is an event.
    fn enter(&self, count: usize, result: OTelSdkResult) -> OTelSdkResult {
        let cause = lock(&self.cause).take();
        let refused = REFUSED.take();
        let error = match result {
            Ok(()) => {
                let count = u64::try_from(count).unwrap_or(u64::MAX);
                self.arrived.fetch_add(count.saturating_sub(refused), Ordering::AcqRel);
                if refused > 0 {
                    self.failed("the collector refused a part of it".to_owned());
                }
                return Ok(());
            }
            Err(error) => error,
        };
        let reason = match error {
            OTelSdkError::InternalFailure(reason) => reason,
            error => error.to_string(),
        };
        let reason = cause.into_iter().fold(reason, |reason, cause| format!("{reason} ({cause})"));
        self.failed(reason.clone());
        Err(OTelSdkError::InternalFailure(reason))
    }

    pub(crate) fn failed(&self, reason: String) {
        *lock(&self.last) = Some(reason);
        self.failures.fetch_add(1, Ordering::AcqRel);
    }

    /// Makes an error of each export that fails meanwhile: the SDK tells of the last batch at most.
    fn during(&self, act: impl FnOnce() -> OTelSdkResult) -> OTelSdkResult {
        let before = self.failures.load(Ordering::Acquire);
        act()?;
        if self.failures.load(Ordering::Acquire) == before {
            return Ok(());
        }
        Err(OTelSdkError::InternalFailure(lock(&self.last).clone().unwrap_or_default()))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

thread_local! {
    /// How much of the batch that is exported on this thread the collector refuses.
    static REFUSED: Cell<u64> = const { Cell::new(0) };
}

/// The collector took a batch but for this many. The exporters say so in an event only.
pub(crate) fn refused(count: u64) {
    REFUSED.set(REFUSED.get().saturating_add(count));
}

/// A processor, or an exporter, whose ledger is kept.
#[derive(Debug)]
pub(crate) struct Counted<T> {
    inner: T,
    ledger: Arc<Ledger>,
}

impl<T> Counted<T> {
    pub(crate) fn new(inner: T, ledger: &Arc<Ledger>) -> Self {
        Self { inner, ledger: Arc::clone(ledger) }
    }
}

impl<P: SpanProcessor> SpanProcessor for Counted<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        self.ledger.given.fetch_add(1, Ordering::AcqRel);
        self.inner.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.ledger.during(|| self.inner.force_flush())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.ledger.during(|| self.inner.shutdown_with_timeout(timeout))
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<P: LogProcessor> LogProcessor for Counted<P> {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        self.ledger.given.fetch_add(1, Ordering::AcqRel);
        self.inner.emit(record, scope);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.ledger.during(|| self.inner.force_flush())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.ledger.during(|| self.inner.shutdown_with_timeout(timeout))
    }

    fn event_enabled(&self, level: Severity, target: &str, name: Option<&str>) -> bool {
        self.inner.event_enabled(level, target, name)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        self.ledger.enter(count, self.inner.export(batch).await)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<E: LogExporter> LogExporter for Counted<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let count = batch.iter().count();
        self.ledger.enter(count, self.inner.export(batch).await)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn event_enabled(&self, level: Severity, target: &str, name: Option<&str>) -> bool {
        self.inner.event_enabled(level, target, name)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Counted<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let before = self.ledger.failures.load(Ordering::Acquire);
        let result = self.ledger.enter(0, self.inner.export(metrics).await);
        let arrived = self.ledger.failures.load(Ordering::Acquire) == before;
        if arrived && self.temporality() == Temporality::Cumulative {
            // All that was measured is in it.
            *lock(&self.ledger.last) = None;
        }
        result
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.inner.temporality()
    }
}
