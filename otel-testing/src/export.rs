//! What is captured, also written to a file: OTLP in JSON, an object a line.

use std::collections::HashSet;
use std::env;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric::Data};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::logs::tonic::group_logs_by_resource_and_scope;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogProcessor, SdkLogRecord};
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use serde::Serialize;

const FOLDER: &str = "OTEL_TEST_EXPORT";

/// Where one capture is written to.
#[derive(Clone, Debug)]
pub(crate) struct Export(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: &'static Mutex<File>,
    /// Who wrote: the test, and which of its captures.
    resource: ResourceAttributesWithSchema,
    points: Mutex<Points>,
}

#[derive(Debug, Default)]
struct Points {
    /// Metric and attributes of each that was written.
    written: HashSet<String>,
    /// The test's, where the next reading is the last one.
    result: Option<&'static str>,
}

impl Export {
    /// Nothing where no export is asked for.
    ///
    /// # Panics
    ///
    /// If it is asked for and the folder cannot be written.
    pub(crate) fn from_env() -> Option<Self> {
        static FILE: OnceLock<Option<Mutex<File>>> = OnceLock::new();
        static CAPTURES: AtomicU64 = AtomicU64::new(1);

        let opened = || {
            let folder = PathBuf::from(env::var_os(FOLDER).filter(|folder| !folder.is_empty())?);
            match create(&folder) {
                Ok(file) => Some(Mutex::new(file)),
                Err(error) => panic!(
                    "no file can be made in {FOLDER}={}: {error}; make the folder, or unset the \
                     variable",
                    folder.display()
                ),
            }
        };
        let file = FILE.get_or_init(opened).as_ref()?;
        let test = thread::current().name().unwrap_or_default().to_owned();
        let number = CAPTURES.fetch_add(1, Ordering::Relaxed);
        let facts = [
            KeyValue::new("service.name", env::var("CARGO_PKG_NAME").unwrap_or_default()),
            KeyValue::new("service.instance.id", format!("{}.{number}", process::id())),
            KeyValue::new("test.suite.name", program()),
            KeyValue::new("test.case.name", test),
        ];
        let resource = opentelemetry_sdk::Resource::builder_empty().with_attributes(facts).build();
        let (resource, points) = ((&resource).into(), Mutex::default());
        Some(Self(Arc::new(Inner { file, resource, points })))
    }

    /// The capture is dropped: the next reading of the metrics is written as a whole, with the last
    /// state of each point and with the test's result.
    pub(crate) fn finish(&self) {
        let result = if thread::panicking() { "fail" } else { "pass" };
        lock(&self.0.points).result = Some(result);
    }

    /// Points are written when they are first seen, for observed ones may be gone at the end, and
    /// at the end.
    pub(crate) fn metrics(&self, metrics: &ResourceMetrics) {
        let mut request = ExportMetricsServiceRequest::from(metrics);
        let mut points = lock(&self.0.points);
        let mut is_new = false;
        for group in &mut request.resource_metrics {
            let mut attributes = self.0.resource.attributes.0.clone();
            if let Some(result) = points.result {
                attributes.push((&KeyValue::new("test.case.result.status", result)).into());
            }
            group.resource = Some(Resource { attributes, ..Resource::default() });
            for scope in &group.scope_metrics {
                for key in scope.metrics.iter().flat_map(keys) {
                    is_new |= points.written.insert(key);
                }
            }
        }
        // Once: the provider reads once more when it is shut down.
        if is_new | points.result.take().is_some() {
            self.write(&request);
        }
    }

    fn write(&self, line: &impl Serialize) {
        let result = serde_json::to_vec(line).map_err(io::Error::from).and_then(|mut line| {
            line.push(b'\n');
            lock(self.0.file).write_all(&line)
        });
        // Half an export would be taken for a whole one; and a panic here could be contained.
        if let Err(error) = result {
            _ = writeln!(io::stderr(), "{FOLDER}: {error}");
            process::exit(101);
        }
    }
}

fn lock<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The metric and the attributes of each of its points.
fn keys(metric: &Metric) -> Vec<String> {
    let key = |attributes| format!("{} {attributes:?}", metric.name);
    match &metric.data {
        Some(Data::Gauge(it)) => it.data_points.iter().map(|it| key(&it.attributes)).collect(),
        Some(Data::Sum(it)) => it.data_points.iter().map(|it| key(&it.attributes)).collect(),
        Some(Data::Histogram(it)) => it.data_points.iter().map(|it| key(&it.attributes)).collect(),
        Some(Data::ExponentialHistogram(it)) => {
            it.data_points.iter().map(|it| key(&it.attributes)).collect()
        }
        Some(Data::Summary(_)) | None => Vec::new(),
    }
}

/// A file that nobody else has, whatever runs at the same time or ran before.
fn create(folder: &Path) -> io::Result<File> {
    // Tests run in the folder of their crate; a relative path was meant from where cargo was called,
    // at or above it.
    let here = env::current_dir()?;
    let folder = here.ancestors().map(|up| up.join(folder)).find(|up| up.is_dir());
    let folder = folder.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    let (program, process) = (program(), process::id());
    for number in 1.. {
        let path = folder.join(format!("{program}-{process}-{number}.jsonl"));
        match OpenOptions::new().append(true).create_new(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => return result,
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// The program's name, without the hash that cargo puts behind it.
fn program() -> String {
    let path = env::current_exe().unwrap_or_default();
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    match name.rsplit_once('-') {
        Some((name, hash)) if hash.len() == 16 => name.to_owned(),
        _ => name,
    }
}

impl SpanProcessor for Export {
    fn on_start(&self, _span: &mut Span, _context: &opentelemetry::Context) {}

    fn on_end(&self, span: SpanData) {
        // As an exporter would: what is recorded but not sampled goes nowhere.
        if span.span_context.is_sampled() {
            let resource_spans = vec![ResourceSpans::new(span, &self.0.resource)];
            self.write(&ExportTraceServiceRequest { resource_spans });
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl LogProcessor for Export {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        let records = [(&*record, scope)];
        let batch = LogBatch::new(&records);
        let resource_logs = group_logs_by_resource_and_scope(&batch, &self.0.resource);
        self.write(&ExportLogsServiceRequest { resource_logs });
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}
