//! A receiver of OTLP in this process, and the application under test in another one, because the
//! environment and the globals belong to a process.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test kit has nobody to give its errors to")]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{env, io, thread};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::{Router, routing};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Names the test whose application a child process has to be.
const CHILD: &str = "OTEL_SETUP_TEST_CHILD";

/// What became of the application.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) success: bool,
    pub(crate) output: String,
    /// The lines that the crate wrote to standard error.
    pub(crate) warnings: Vec<String>,
    pub(crate) errors: String,
    pub(crate) took: Duration,
}

/// Runs `application` in a process of its own, in which nothing but `variables` is set. `test` is the
/// name of the calling test, which the other process calls too, up to this line.
pub(crate) fn run(test: &str, variables: &[(&str, &dyn ToString)], application: fn()) -> Finished {
    let start = Instant::now();
    let output = command(test, variables, application).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let ours = errors.lines().filter_map(|line| line.strip_prefix("otel-setup: "));
    Finished {
        success: output.status.success(),
        output: String::from_utf8_lossy(&output.stdout).into_owned(),
        warnings: ours.map(ToOwned::to_owned).collect(),
        took: start.elapsed(),
        errors,
    }
}

/// As `run`, before it is started.
pub(crate) fn command(
    test: &str,
    variables: &[(&str, &dyn ToString)],
    application: fn(),
) -> Command {
    if env::var(CHILD).as_deref() == Ok(test) {
        application();
        std::process::exit(0);
    }
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env_clear();
    command.envs(variables.iter().map(|(name, value)| (name, value.to_string()))).env(CHILD, test);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// One request, as it came over the network.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// Length before it was unpacked.
    pub(crate) length: usize,
}

/// What a collector says to a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Taken,
    /// All but so many of the spans, metrics or log records.
    TakenWithout(i64),
    /// A status of HTTP, also where gRPC is spoken, as by a proxy.
    Status(u16),
    /// A code of gRPC.
    Code(u16),
}

#[derive(Debug, Default)]
struct Shared {
    got: Mutex<Vec<Got>>,
    /// To the next requests; the last one stays.
    answers: Mutex<VecDeque<Answer>>,
}

/// A collector that keeps what it gets.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    _runtime: tokio::runtime::Runtime,
}

impl Receiver {
    /// One that says this to its requests, in this order, and the last of it to all further ones.
    pub(crate) fn answering(answers: impl IntoIterator<Item = Answer>) -> Self {
        let receiver = Self::start();
        receiver.shared.answers.lock().unwrap().extend(answers);
        receiver
    }

    pub(crate) fn start() -> Self {
        Self::with_tls(None)
    }

    pub(crate) fn with_tls(tls: Option<TlsAcceptor>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let shared = Arc::new(Shared::default());
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(routing::post(receive));
        let router = router.with_state(Arc::clone(&shared));
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (router, tls) = (router.clone(), tls.clone());
                tokio::spawn(async move {
                    let service = TowerToHyperService::new(router);
                    let server = auto::Builder::new(TokioExecutor::new());
                    // A client that leaves is no failure of the test.
                    _ = match tls {
                        Some(tls) => {
                            let Ok(stream) = tls.accept(stream).await else { return };
                            server.serve_connection(TokioIo::new(stream), service).await
                        }
                        None => server.serve_connection(TokioIo::new(stream), service).await,
                    };
                });
            }
        });
        Self { address, shared, _runtime: runtime }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.shared.got.lock().unwrap().clone()
    }

    /// Forgets what came so far.
    pub(crate) fn take(&self) -> Vec<Got> {
        std::mem::take(&mut self.shared.got.lock().unwrap())
    }

    pub(crate) fn spans(&self) -> Vec<(Vec<KeyValue>, Span)> {
        let mut spans = spans(&self.got());
        // An exporter groups them by scope, in no order.
        spans.sort_by_key(|(_, span)| span.end_time_unix_nano);
        spans
    }

    pub(crate) fn logs(&self) -> Vec<(Vec<KeyValue>, LogRecord)> {
        let mut logs = logs(&self.got());
        // As above, by target.
        logs.sort_by_key(|(_, record)| record.observed_time_unix_nano);
        logs
    }

    pub(crate) fn metrics(&self) -> Vec<Metric> {
        let of = |got: Got| ExportMetricsServiceRequest::decode(&*got.body).unwrap();
        let requests = self.got().into_iter().filter(|got| got.is("metrics")).map(of);
        let resources = requests.flat_map(|request| request.resource_metrics);
        let scopes = resources.flat_map(|resource| resource.scope_metrics);
        scopes.flat_map(|scope| scope.metrics).collect()
    }

    /// The names of the spans, in the order of their ends.
    pub(crate) fn span_names(&self) -> Vec<String> {
        self.spans().into_iter().map(|(_, span)| span.name).collect()
    }

    /// The texts of the log records.
    pub(crate) fn log_bodies(&self) -> Vec<String> {
        let body = |record: LogRecord| match record.body {
            Some(AnyValue { value: Some(Value::StringValue(text)) }) => text,
            other => format!("{other:?}"),
        };
        self.logs().into_iter().map(|(_, record)| body(record)).collect()
    }
}

pub(crate) fn spans(got: &[Got]) -> Vec<(Vec<KeyValue>, Span)> {
    let of = |got: &Got| ExportTraceServiceRequest::decode(&*got.body).unwrap();
    let requests = got.iter().filter(|got| got.is("traces")).map(of);
    let resources = requests.flat_map(|request| request.resource_spans);
    let with = |resource: Option<Vec<KeyValue>>, span| (resource.unwrap_or_default(), span);
    resources
        .flat_map(|one| {
            let resource = one.resource.map(|resource| resource.attributes);
            let spans = one.scope_spans.into_iter().flat_map(|scope| scope.spans);
            spans.map(move |span| with(resource.clone(), span))
        })
        .collect()
}

pub(crate) fn logs(got: &[Got]) -> Vec<(Vec<KeyValue>, LogRecord)> {
    let of = |got: &Got| ExportLogsServiceRequest::decode(&*got.body).unwrap();
    let requests = got.iter().filter(|got| got.is("logs")).map(of);
    let resources = requests.flat_map(|request| request.resource_logs);
    resources
        .flat_map(|one| {
            let resource = one.resource.unwrap_or_default().attributes;
            let records = one.scope_logs.into_iter().flat_map(|scope| scope.log_records);
            records.map(move |record| (resource.clone(), record))
        })
        .collect()
}

impl Got {
    /// Whether it is of a signal, by either protocol.
    pub(crate) fn is(&self, signal: &str) -> bool {
        let service = match signal {
            "traces" => "TraceService/Export",
            "metrics" => "MetricsService/Export",
            _ => "LogsService/Export",
        };
        self.path.ends_with(&format!("/v1/{signal}")) || self.path.ends_with(service)
    }
}

async fn receive(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> axum::response::Response {
    let is_grpc = headers.get("content-type").is_some_and(|it| it == "application/grpc");
    let (packed, content) = if is_grpc {
        // One byte tells whether the message is compressed, four its length.
        (body.first() == Some(&1), &body[5..])
    } else {
        (headers.get("content-encoding").is_some_and(|it| it == "gzip"), &body[..])
    };
    let mut unpacked = Vec::new();
    if packed {
        io::copy(&mut flate2::read::GzDecoder::new(content), &mut unpacked).unwrap();
    } else {
        unpacked.extend_from_slice(content);
    }
    let path = uri.path().to_owned();
    shared.got.lock().unwrap().push(Got { path, headers, body: unpacked, length: content.len() });
    let answer = {
        let mut answers = shared.answers.lock().unwrap();
        if answers.len() > 1 { answers.pop_front() } else { answers.front().copied() }
    };
    respond(answer.unwrap_or(Answer::Taken), is_grpc)
}

fn respond(answer: Answer, is_grpc: bool) -> axum::response::Response {
    let kind = if is_grpc { "application/grpc" } else { "application/x-protobuf" };
    let response = axum::response::Response::builder().header("content-type", kind);
    let rejected = match answer {
        Answer::Taken => 0,
        Answer::TakenWithout(rejected) => rejected,
        Answer::Status(status) => return response.status(status).body(Body::empty()).unwrap(),
        Answer::Code(code) => {
            return response.header("grpc-status", code).body(Body::empty()).unwrap();
        }
    };
    // On the wire, the answers of all signals are the same.
    let partial = ExportTracePartialSuccess {
        rejected_spans: rejected,
        error_message: "too many".to_owned(),
    };
    let partial_success = (rejected > 0).then_some(partial);
    let message = ExportTraceServiceResponse { partial_success }.encode_to_vec();
    if !is_grpc {
        return response.body(Body::from(message)).unwrap();
    }
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    framed.extend_from_slice(&message);
    let ok = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
    let body = Full::new(Bytes::from(framed)).with_trailers(async { Some(Ok(ok)) });
    response.body(Body::new(body)).unwrap()
}

pub(crate) fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match &found.value {
        Some(AnyValue { value: Some(Value::StringValue(text)) }) => Some(text),
        _ => None,
    }
}

/// Waits until `ready` answers, with a bound.
pub(crate) fn until<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{what} never came");
        thread::yield_now();
    }
}
