//! Setting up, with all that can be chosen in code.

use std::cell::RefCell;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use opentelemetry::{KeyValue, Value, global};
use opentelemetry_sdk::logs::LoggerProviderBuilder;
use opentelemetry_sdk::metrics::MeterProviderBuilder;
use opentelemetry_sdk::trace::{ShouldSample, SpanProcessor, TracerProviderBuilder};
use tracing::subscriber::{NoSubscriber, with_default};
use tracing_subscriber::{Layer, Registry};

use crate::environment::{self, Environment, Signal};
use crate::guard::{Error, Guard, Running, Turn};
use crate::otlp::{Protocol, Wanted};
use crate::providers::{Extend, Providers};
use crate::resource::{self, Known};
use crate::runtime::Background;
use crate::settings::{self, Exporter};
use crate::{current, health, html, propagation, subscriber};

/// Telemetry that is about to be set up. What is said here wins over the environment, as the
/// specification wants it, but for what is called a default.
#[must_use = "nothing is set up before `init`"]
pub struct Builder {
    known: Known,
    exporters: Option<Vec<Exporter>>,
    default_exporters: Vec<Exporter>,
    protocol: Option<Protocol>,
    endpoint: Option<String>,
    sampler: Option<Box<dyn ShouldSample>>,
    timeout: Duration,
    subscriber: bool,
    filter: String,
    layers: Vec<subscriber::Boxed<Registry>>,
    traces: Vec<Extend<TracerProviderBuilder>>,
    metrics: Vec<Extend<MeterProviderBuilder>>,
    logs: Vec<Extend<LoggerProviderBuilder>>,
}

impl fmt::Debug for Builder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Builder").field("known", &self.known).finish_non_exhaustive()
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            known: Known::default(),
            exporters: None,
            default_exporters: vec![Exporter::Otlp],
            protocol: None,
            endpoint: None,
            sampler: None,
            timeout: Duration::from_secs(5),
            subscriber: true,
            filter: "info".to_owned(),
            layers: Vec::new(),
            traces: Vec::new(),
            metrics: Vec::new(),
            logs: Vec::new(),
        }
    }
}

impl Builder {
    /// Name and version of the package, for `service.name` and `service.version` where nothing else
    /// says them. [`init!`](crate::init) gives those of the package it is called in.
    pub fn package(mut self, name: &'static str, version: &'static str) -> Self {
        self.known.package = Some((name, version));
        self
    }

    /// `service.name`. Without it: `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, the package.
    pub fn service_name(self, name: impl Into<Value>) -> Self {
        self.attributes([KeyValue::new("service.name", name)])
    }

    /// `service.version`. Without it: `OTEL_RESOURCE_ATTRIBUTES`, the package.
    pub fn service_version(self, version: impl Into<Value>) -> Self {
        self.attributes([KeyValue::new("service.version", version)])
    }

    /// `service.namespace`: the group of services that this one belongs to.
    pub fn service_namespace(self, namespace: impl Into<Value>) -> Self {
        self.attributes([KeyValue::new("service.namespace", namespace)])
    }

    /// `deployment.environment.name`: `production`, `staging`, …
    pub fn environment(self, name: impl Into<Value>) -> Self {
        self.attributes([KeyValue::new("deployment.environment.name", name)])
    }

    /// More attributes of the resource. They win over what is detected and over the environment.
    pub fn attributes(mut self, attributes: impl IntoIterator<Item = KeyValue>) -> Self {
        self.known.attributes.extend(attributes);
        self
    }

    /// Default: false. True asks the metadata services of EC2, ECS and EKS, for a second at most.
    /// Needs the feature `aws`.
    #[cfg(feature = "aws")]
    pub fn cloud_metadata(mut self, wanted: bool) -> Self {
        self.known.metadata = wanted;
        self
    }

    /// Where all signals go, whatever `OTEL_TRACES_EXPORTER` and its like say. None: nowhere.
    pub fn exporters(mut self, exporters: impl IntoIterator<Item = Exporter>) -> Self {
        self.exporters = Some(exporters.into_iter().collect());
        self
    }

    /// Where a signal goes whose variable is not set. Default: [`Exporter::Otlp`].
    pub fn default_exporters(mut self, exporters: impl IntoIterator<Item = Exporter>) -> Self {
        self.default_exporters = exporters.into_iter().collect();
        self
    }

    /// How OTLP is spoken, instead of `OTEL_EXPORTER_OTLP_PROTOCOL`.
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = Some(protocol);
        self
    }

    /// Where OTLP goes, instead of `OTEL_EXPORTER_OTLP_ENDPOINT` and those of the signals. With HTTP
    /// it is the base of `/v1/traces`, `/v1/metrics` and `/v1/logs`.
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }

    /// Which traces are kept, instead of `OTEL_TRACES_SAMPLER`. Wrap it in
    /// [`Sampler::ParentBased`](opentelemetry_sdk::trace::Sampler::ParentBased), or traces that other
    /// services began are torn apart.
    pub fn sampler(mut self, sampler: impl ShouldSample + 'static) -> Self {
        self.sampler = Some(Box::new(sampler));
        self
    }

    /// How long the end may take, over all signals. Default: 5 seconds.
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// One more processor of spans, beside the exporters and before them.
    pub fn span_processor(self, processor: impl SpanProcessor + 'static) -> Self {
        self.traces_with(|builder| builder.with_span_processor(processor))
    }

    /// Writes each finished trace to a page of HTML at `path`, beside the exporters.
    pub fn html(self, path: impl Into<PathBuf>) -> Self {
        self.span_processor(html::page(path))
    }

    /// The last word on the provider of tracers: an id generator, for example.
    pub fn traces_with(
        mut self,
        extend: impl FnOnce(TracerProviderBuilder) -> TracerProviderBuilder + Send + 'static,
    ) -> Self {
        self.traces.push(Box::new(extend));
        self
    }

    /// The last word on the provider of meters: views and further readers.
    pub fn metrics_with(
        mut self,
        extend: impl FnOnce(MeterProviderBuilder) -> MeterProviderBuilder + Send + 'static,
    ) -> Self {
        self.metrics.push(Box::new(extend));
        self
    }

    /// The last word on the provider of loggers: further processors.
    pub fn logs_with(
        mut self,
        extend: impl FnOnce(LoggerProviderBuilder) -> LoggerProviderBuilder + Send + 'static,
    ) -> Self {
        self.logs.push(Box::new(extend));
        self
    }

    /// Default: true. False installs no subscriber of `tracing`: add [`layer`](crate::layer()) to
    /// your own.
    pub fn subscriber(mut self, wanted: bool) -> Self {
        self.subscriber = wanted;
        self
    }

    /// What is logged without `RUST_LOG`, in its syntax. Default: `info`.
    pub fn filter(mut self, directives: impl Into<String>) -> Self {
        self.filter = directives.into();
        self
    }

    /// One more layer of the subscriber that is installed, in front of those of this crate. It sees
    /// everything: give it a filter.
    pub fn tracing_layer(mut self, layer: impl Layer<Registry> + Send + Sync) -> Self {
        self.layers.push(Box::new(layer));
        self
    }

    /// Sets the global providers, the global propagator and, unless there is one, the global
    /// subscriber of `tracing`. What is wrong in the environment is told on standard error.
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyInitialized`] if the guard of an earlier call is alive, [`Error::Thread`] if
    /// the system gives no thread. Never because of a collector: nobody waits for one here.
    pub fn init(self) -> Result<Guard, Error> {
        let turn = Turn::take()?;
        let environment = Environment::new(&environment::process);
        let guard = self.start(&environment, turn);
        environment.complaints().iter().for_each(health::warn);
        guard
    }

    /// As [`init`](Self::init), for who goes on without telemetry: an error is one line on standard
    /// error, and the guard ends nothing.
    pub fn init_or_warn(self) -> Guard {
        self.init().unwrap_or_else(|error| {
            health::warn(error);
            Guard::inert()
        })
    }

    fn start(mut self, environment: &Environment<'_>, turn: Turn) -> Result<Guard, Error> {
        global::set_text_map_propagator(propagation::propagator(environment));
        let directives = subscriber::directives(environment, &self.filter);
        let (installs, layers) = (self.subscriber, std::mem::take(&mut self.layers));
        let timeout = self.timeout;
        let mut running = Running::new(timeout, turn);
        let mut console_logs = false;
        if !environment.flag("OTEL_SDK_DISABLED") {
            // The SDK reads the same variables and has its own words for what is wrong in them.
            console_logs = with_default(NoSubscriber::default(), || {
                self.providers(environment, &mut running)
            })?;
        }
        current::set(running.tracers.as_ref(), running.loggers.as_ref());
        if installs {
            // On the terminal once, be it by this layer or by the exporter.
            subscriber::install(&directives, !console_logs, layers);
        }
        Ok(Guard::new(running))
    }

    /// Builds what the signals need, and makes it global. Tells whether logs go to the console.
    fn providers(
        self,
        environment: &Environment<'_>,
        running: &mut Running,
    ) -> Result<bool, Error> {
        let list = |signal| match &self.exporters {
            Some(exporters) => exporters.clone(),
            None => settings::exporters(environment, signal, &self.default_exporters),
        };
        let [traces, metrics, logs] = [Signal::Traces, Signal::Metrics, Signal::Logs].map(list);
        let background = Background::start().map_err(Error::Thread)?;
        // A channel of gRPC belongs to the runtime in which it is made.
        let entered = background.handle().enter();
        let providers = Providers {
            environment,
            wanted: Wanted { protocol: self.protocol, endpoint: self.endpoint.as_deref() },
            runtime: background.handle(),
            resource: resource::resource(environment, self.known),
            ledgers: &running.ledgers,
            endpoints: RefCell::default(),
        };
        // Without a destination there is no provider: what is instrumented then costs nothing.
        if !traces.is_empty() || !self.traces.is_empty() {
            let provider = providers.traces(&traces, self.sampler, self.traces);
            global::set_tracer_provider(provider.clone());
            running.tracers = Some(provider);
        }
        if !metrics.is_empty() || !self.metrics.is_empty() {
            let provider = providers.metrics(&metrics, self.metrics);
            global::set_meter_provider(provider.clone());
            running.meters = Some(provider);
        }
        if !logs.is_empty() || !self.logs.is_empty() {
            running.loggers = Some(providers.logs(&logs, self.logs));
        }
        let mut endpoints = providers.endpoints.take();
        endpoints.dedup();
        health::exporting_to(endpoints.join(" and "));
        drop(entered);
        running.runtime = Some(background);
        Ok(logs.contains(&Exporter::Console))
    }
}
