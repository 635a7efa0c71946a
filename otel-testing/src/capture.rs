//! Telemetry kept in memory, through providers that are handed out instead of set globally.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry::propagation::TextMapCompositePropagator;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogProcessor, SdkLogRecord, SdkLoggerProvider};
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use opentelemetry_sdk::trace::{
    Sampler, SdkTracerProvider, ShouldSample, Span, SpanData, SpanProcessor,
};
use otel_core::db::pool::PoolNames;
use otel_core::{Telemetry, TelemetryBuilder};

use crate::context::Home;
use crate::export::Export;
use crate::metric::{Metric, flatten};
use crate::tracer::{CaptureTracer, CaptureTracerProvider, Ledger};

/// Keeps all telemetry that is sent to its providers, and watches how the spans are used.
///
/// Nothing is global: each test makes its own `Capture`, and tests run in parallel. Dropping it is
/// a [`check`](Self::check), unless the thread is already panicking or the builder said otherwise.
pub struct Capture {
    tracer_provider: CaptureTracerProvider,
    meter_provider: SdkMeterProvider,
    logger_provider: SdkLoggerProvider,
    spans: Kept<SpanData>,
    metrics: Kept<Metric>,
    logs: Kept<Log>,
    /// A pool has the same name, whichever pools other tests have.
    pool_names: PoolNames,
    /// What the counters showed at the last [`clear`](Self::clear): the SDK cannot reset them.
    metrics_before: Kept<Metric>,
    home: Home,
    check_on_drop: bool,
    export: Option<Export>,
}

impl fmt::Debug for Capture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Capture")
            .field("spans", &self.spans.lock().len())
            .field("check_on_drop", &self.check_on_drop)
            .finish_non_exhaustive()
    }
}

impl Default for Capture {
    fn default() -> Self {
        Self::new()
    }
}

impl Capture {
    /// Every span is sampled, and dropping is a check.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// No span is sampled.
    pub fn not_sampled() -> Self {
        Self::builder().sampler(Sampler::AlwaysOff).build()
    }

    /// For another sampler, or to leave out the check on drop.
    pub fn builder() -> CaptureBuilder {
        CaptureBuilder { sampler: Box::new(Sampler::AlwaysOn), check_on_drop: true }
    }

    /// Telemetry that goes here, with the default options.
    pub fn telemetry(&self) -> Telemetry {
        self.telemetry_builder().build()
    }

    /// Telemetry that goes here, with options to add. Its propagator is W3C trace context and
    /// baggage.
    pub fn telemetry_builder(&self) -> TelemetryBuilder {
        Telemetry::builder()
            .tracer_provider(self.tracer_provider())
            .meter_provider(self.meter_provider())
            .pool_names(&self.pool_names)
            .propagator(TextMapCompositePropagator::new(vec![
                Box::new(TraceContextPropagator::new()),
                Box::new(BaggagePropagator::new()),
            ]))
    }

    /// The SDK's provider, and around it a watch over the use of each span.
    pub fn tracer_provider(&self) -> CaptureTracerProvider {
        self.tracer_provider.clone()
    }

    /// A meter provider whose metrics [`metrics`](Self::metrics) shows.
    pub fn meter_provider(&self) -> SdkMeterProvider {
        self.meter_provider.clone()
    }

    /// A logger provider whose records [`logs`](Self::logs) shows.
    pub fn logger_provider(&self) -> SdkLoggerProvider {
        self.logger_provider.clone()
    }

    /// A tracer for the test's own spans.
    pub fn tracer(&self, name: impl Into<Cow<'static, str>>) -> CaptureTracer {
        self.tracer_provider.tracer(name)
    }

    /// The sampled spans, in order of ending.
    pub fn spans(&self) -> Vec<SpanData> {
        self.spans.lock().clone()
    }

    /// The sampled spans of one name, in order of ending.
    pub fn spans_named(&self, name: &str) -> Vec<SpanData> {
        self.spans().into_iter().filter(|span| span.name == name).collect()
    }

    /// The metrics since the last [`clear`](Self::clear), in order of their names.
    ///
    /// Sums that go up and down, and gauges, tell a state: `clear` leaves them.
    pub fn metrics(&self) -> Vec<Metric> {
        let before = self.metrics_before.lock();
        self.read_metrics().into_iter().filter_map(|metric| metric.since(&before)).collect()
    }

    /// The log records, in order of emission.
    pub fn logs(&self) -> Vec<Log> {
        self.logs.lock().clone()
    }

    /// Forgets spans, measurements and logs, but no fault and no open span.
    pub fn clear(&self) {
        self.spans.lock().clear();
        self.logs.lock().clear();
        let metrics = self.read_metrics();
        *self.metrics_before.lock() = metrics;
    }

    /// What is wrong with the use of spans and contexts, a sentence each: a span left open, ended
    /// twice or changed after its end, a context left attached.
    ///
    /// Attached contexts are a thread's own: only calls from the thread that made the `Capture`
    /// look at them.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = self.ledger().faults();
        faults.extend(self.home.fault());
        faults
    }

    /// Panics if there are [`faults`](Self::faults).
    #[track_caller]
    pub fn check(&self) {
        let faults = self.faults();
        assert!(faults.is_empty(), "faults in the use of telemetry:\n  {}", faults.join("\n  "));
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        self.tracer_provider.ledger()
    }

    fn read_metrics(&self) -> Vec<Metric> {
        // The reader exports nothing at all when there is nothing, so the last export must go.
        self.metrics.lock().clear();
        // Fails after a shutdown only, and then there is nothing to read.
        _ = self.meter_provider.force_flush();
        self.metrics.lock().clone()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        if let Some(export) = &self.export {
            export.finish();
            _ = self.meter_provider.force_flush();
        }
        // A second panic would abort the process and hide the first.
        if self.check_on_drop && !thread::panicking() {
            self.check();
        }
    }
}

/// Builds a [`Capture`].
#[must_use]
pub struct CaptureBuilder {
    sampler: Box<dyn ShouldSample>,
    check_on_drop: bool,
}

impl fmt::Debug for CaptureBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("CaptureBuilder")
            .field("sampler", &self.sampler)
            .field("check_on_drop", &self.check_on_drop)
            .finish()
    }
}

impl CaptureBuilder {
    /// Default: every span is sampled.
    pub fn sampler(mut self, sampler: impl ShouldSample + 'static) -> Self {
        self.sampler = Box::new(sampler);
        self
    }

    /// Default: true. False is for tests that leave something open on purpose.
    pub fn check_on_drop(mut self, check: bool) -> Self {
        self.check_on_drop = check;
        self
    }

    /// Builds the capture.
    pub fn build(self) -> Capture {
        let (spans, metrics, logs) = (Kept::default(), Kept::default(), Kept::default());
        let export = Export::from_env();
        let mut tracer_provider = SdkTracerProvider::builder()
            .with_sampler(self.sampler)
            .with_span_processor(spans.clone());
        let mut logger_provider = SdkLoggerProvider::builder().with_log_processor(logs.clone());
        if let Some(export) = &export {
            tracer_provider = tracer_provider.with_span_processor(export.clone());
            logger_provider = logger_provider.with_log_processor(export.clone());
        }
        // Metrics are read on demand; the thread of the reader must not export in between.
        let reading = Reading { metrics: metrics.clone(), export: export.clone() };
        let reader = PeriodicReader::builder(reading).with_interval(NEVER).build();
        Capture {
            tracer_provider: CaptureTracerProvider::new(tracer_provider.build()),
            meter_provider: SdkMeterProvider::builder().with_reader(reader).build(),
            logger_provider: logger_provider.build(),
            spans,
            metrics,
            logs,
            pool_names: PoolNames::default(),
            metrics_before: Kept::default(),
            home: Home::here(),
            check_on_drop: self.check_on_drop,
            export,
        }
    }
}

const NEVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A log record and the scope of its logger.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Log {
    /// What was emitted.
    pub record: SdkLogRecord,
    /// Who emitted it.
    pub scope: InstrumentationScope,
}

/// What a provider hands over, kept. The SDK's in-memory exporters forget everything at a shutdown,
/// and the processors before them run an executor, which fails below some others.
#[derive(Debug)]
struct Kept<T>(Arc<Mutex<Vec<T>>>);

impl<T> Kept<T> {
    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl SpanProcessor for Kept<SpanData> {
    fn on_start(&self, _span: &mut Span, _context: &opentelemetry::Context) {}

    fn on_end(&self, span: SpanData) {
        // As an exporter would: what is recorded but not sampled goes nowhere.
        if span.span_context.is_sampled() {
            self.lock().push(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Where a reading of the metrics goes.
#[derive(Debug)]
struct Reading {
    metrics: Kept<Metric>,
    export: Option<Export>,
}

impl PushMetricExporter for Reading {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        *self.metrics.lock() = flatten(metrics);
        if let Some(export) = &self.export {
            export.metrics(metrics);
        }
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

impl LogProcessor for Kept<Log> {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        self.lock().push(Log { record: record.clone(), scope: scope.clone() });
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}
