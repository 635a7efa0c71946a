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
use crate::otlp::{Target, Wanted};
use crate::settings::{self, Batches, Exporter};

/// A last word on a provider that is about to be built.
pub(crate) type Extend<B> = Box<dyn FnOnce(B) -> B + Send>;

/// What all three have in common.
pub(crate) struct Providers<'a> {
    pub(crate) environment: &'a Environment<'a>,
    pub(crate) wanted: Wanted<'a>,
    pub(crate) runtime: &'a Handle,
    pub(crate) resource: Resource,
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
        if let Some(exporter) =
            self.otlp(exporters, Signal::Traces, batches.timeout, |it| it.spans(self.runtime))
        {
            let processor = BatchSpanProcessor::builder(Cut::new(exporter, length));
            let processor = processor.with_batch_config(batches.of_spans()).build();
            builder = builder.with_span_processor(processor);
        }
        builder.build()
    }

    pub(crate) fn metrics(
        &self,
        exporters: &[Exporter],
        extend: Vec<Extend<MeterProviderBuilder>>,
    ) -> SdkMeterProvider {
        let interval = self.environment.milliseconds("OTEL_METRIC_EXPORT_INTERVAL", 60_000);
        let limit = self.environment.milliseconds("OTEL_METRIC_EXPORT_TIMEOUT", 30_000);
        let temporality = settings::temporality(self.environment);
        let mut builder = SdkMeterProvider::builder().with_resource(self.resource.clone());
        builder = extend.into_iter().fold(builder, |builder, extend| extend(builder));
        if exporters.contains(&Exporter::Console) {
            let reader = PeriodicReader::builder(console::metrics()).with_interval(interval);
            builder = builder.with_reader(reader.build());
        }
        let build = |it: &Target| it.metrics(self.runtime, temporality);
        if let Some(exporter) = self.otlp(exporters, Signal::Metrics, limit, build) {
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
        if let Some(exporter) =
            self.otlp(exporters, Signal::Logs, batches.timeout, |it| it.logs(self.runtime))
        {
            let processor = BatchLogProcessor::builder(exporter);
            let processor = processor.with_batch_config(batches.of_logs()).build();
            builder = builder.with_log_processor(processor);
        }
        builder.build()
    }

    /// The exporter of OTLP, if the signal goes there. One that cannot be built is told of, and the
    /// application goes on without it.
    fn otlp<E>(
        &self,
        exporters: &[Exporter],
        signal: Signal,
        limit: Duration,
        build: impl FnOnce(&Target) -> Result<E, String>,
    ) -> Option<E> {
        if !exporters.contains(&Exporter::Otlp) {
            return None;
        }
        let target = Target::read(self.environment, signal, self.wanted, limit);
        self.endpoints.borrow_mut().push(target.shown(signal));
        let failed = |why| self.environment.say(format!("{signal} are not exported: {why}"));
        build(&target).map_err(failed).ok()
    }
}
