//! The providers of the SDK, with what the environment and the code want of them.

use std::cell::RefCell;
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{BatchLogProcessor, LoggerProviderBuilder, SdkLoggerProvider};
use opentelemetry_sdk::metrics::{MeterProviderBuilder, PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{
    BatchSpanProcessor, SdkTracerProvider, ShouldSample, TracerProviderBuilder,
};
use tokio::runtime::Handle;

use crate::console;
use crate::environment::{Environment, Signal};
use crate::limits::Cut;
use crate::lost::{Counted, Ledgers};
use crate::otlp::{Means, Target, Wanted};
use crate::settings::{self, Batches, Exporter};

/// A last word on a provider that is about to be built.
pub(crate) type Extend<B> = Box<dyn FnOnce(B) -> B + Send>;

/// What all three have in common.
pub(crate) struct Providers<'a> {
    pub(crate) environment: &'a Environment<'a>,
    pub(crate) wanted: Wanted<'a>,
    pub(crate) runtime: &'a Handle,
    pub(crate) resource: Resource,
    pub(crate) ledgers: &'a Ledgers,
    /// Where OTLP goes, for a human.
    pub(crate) endpoints: RefCell<Vec<String>>,
}

impl Providers<'_> {
    pub(crate) fn traces(
        &self,
        exporters: &[Exporter],
        sampler: Option<Box<dyn ShouldSample>>,
        extend: Vec<Extend<TracerProviderBuilder>>,
    ) -> SdkTracerProvider {
        let sampler = sampler.unwrap_or_else(|| Box::new(settings::sampler(self.environment)));
        let mut builder = SdkTracerProvider::builder()
            .with_resource(self.resource.clone())
            .with_span_limits(settings::span_limits(self.environment))
            .with_sampler(sampler);
        builder = extend.into_iter().fold(builder, |builder, extend| extend(builder));
        if exporters.contains(&Exporter::Console) {
            builder = builder.with_span_processor(console::spans());
        }
        let batches = Batches::read(self.environment, "OTEL_BSP", 5_000);
        let length = settings::attribute_length(self.environment);
        let build = |target: &Target, means: Means<'_>| target.spans(means);
        if let Some(exporter) = self.otlp(exporters, Signal::Traces, batches.timeout, build) {
            let ledger = self.ledgers.of(Signal::Traces);
            let exporter = Counted::new(Cut::new(exporter, length), ledger);
            let processor = BatchSpanProcessor::builder(exporter);
            let processor = processor.with_batch_config(batches.of_spans()).build();
            builder = builder.with_span_processor(Counted::new(processor, ledger));
        }
        builder.build()
    }

    pub(crate) fn metrics(
        &self,
        exporters: &[Exporter],
        extend: Vec<Extend<MeterProviderBuilder>>,
    ) -> SdkMeterProvider {
        let interval = self.environment.number("OTEL_METRIC_EXPORT_INTERVAL", 1, 60_000);
        let interval = Duration::from_millis(interval);
        let bound = self.environment.timeout("OTEL_METRIC_EXPORT_TIMEOUT", 30_000);
        let temporality = settings::temporality(self.environment);
        let mut builder = SdkMeterProvider::builder().with_resource(self.resource.clone());
        builder = extend.into_iter().fold(builder, |builder, extend| extend(builder));
        if exporters.contains(&Exporter::Console) {
            let reader = PeriodicReader::builder(console::metrics()).with_interval(interval);
            builder = builder.with_reader(reader.build());
        }
        let build = |target: &Target, means: Means<'_>| target.metrics(means, temporality);
        if let Some(exporter) = self.otlp(exporters, Signal::Metrics, bound, build) {
            let exporter = Counted::new(exporter, self.ledgers.of(Signal::Metrics));
            let reader = PeriodicReader::builder(exporter).with_interval(interval);
            builder = builder.with_reader(reader.build());
        }
        builder.build()
    }

    pub(crate) fn logs(
        &self,
        exporters: &[Exporter],
        extend: Vec<Extend<LoggerProviderBuilder>>,
    ) -> SdkLoggerProvider {
        let mut builder = SdkLoggerProvider::builder().with_resource(self.resource.clone());
        builder = extend.into_iter().fold(builder, |builder, extend| extend(builder));
        if exporters.contains(&Exporter::Console) {
            builder = builder.with_simple_exporter(console::logs());
        }
        let batches = Batches::read(self.environment, "OTEL_BLRP", 1_000);
        let build = |target: &Target, means: Means<'_>| target.logs(means);
        if let Some(exporter) = self.otlp(exporters, Signal::Logs, batches.timeout, build) {
            let ledger = self.ledgers.of(Signal::Logs);
            let processor = BatchLogProcessor::builder(Counted::new(exporter, ledger));
            let processor = processor.with_batch_config(batches.of_logs()).build();
            builder = builder.with_log_processor(Counted::new(processor, ledger));
        }
        builder.build()
    }

    /// The exporter of OTLP, if the signal goes there. One that cannot be built is told of, and the
    /// application goes on without it.
    fn otlp<E>(
        &self,
        exporters: &[Exporter],
        signal: Signal,
        bound: Option<Duration>,
        build: impl FnOnce(&Target, Means<'_>) -> Result<E, String>,
    ) -> Option<E> {
        if !exporters.contains(&Exporter::Otlp) {
            return None;
        }
        let target = Target::read(self.environment, signal, self.wanted, bound);
        self.endpoints.borrow_mut().push(target.shown(signal));
        let ledger = self.ledgers.of(signal);
        build(&target, Means { runtime: self.runtime, ledger })
            .map_err(|why| {
                self.environment.say(format!("{signal} are not exported: {why}"));
                ledger.failed(why);
            })
            .ok()
    }
}
