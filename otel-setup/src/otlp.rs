//! OTLP exporters, by the variables of the specification.

use std::collections::HashMap;
use std::error::Error;
use std::fmt::Display;
use std::time::Duration;

use http::Uri;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{
    LogExporter, MetricExporter, SpanExporter, WithExportConfig, WithHttpConfig,
};
use opentelemetry_sdk::metrics::Temporality;
use tokio::runtime::Handle;

use crate::environment::{Environment, Signal, parse_flag};
use crate::health;
use crate::tls::Tls;

/// How OTLP is spoken. The names are those of `OTEL_EXPORTER_OTLP_PROTOCOL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// `http/protobuf`, by default to port 4318.
    HttpProtobuf,
    /// `grpc`, by default to port 4317.
    #[cfg(feature = "grpc")]
    Grpc,
}

/// What code says of the exporters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) protocol: Option<Protocol>,
    pub(crate) endpoint: Option<&'a str>,
}

/// All that an exporter of one signal needs to know.
#[derive(Debug)]
pub(crate) struct Target {
    protocol: Protocol,
    endpoint: String,
    timeout: Duration,
    /// Those of the variable for all signals, where the signal's own is there but empty: the
    /// exporter would send none.
    headers: HashMap<String, String>,
    tls: Tls,
}

impl Target {
    /// `limit` is how long the signal's processor lets an export take.
    pub(crate) fn read(
        environment: &Environment<'_>,
        signal: Signal,
        wanted: Wanted<'_>,
        limit: Duration,
    ) -> Self {
        let protocol = wanted.protocol.unwrap_or_else(|| protocol(environment, signal));
        let endpoint = endpoint(environment, signal, protocol, wanted.endpoint);
        let timeout = otlp(environment, signal, "TIMEOUT", "10000", |value| {
            value.parse().ok().filter(|it| *it > 0)
        });
        // The exporter reads it itself, and takes what it does not know for none.
        otlp(environment, signal, "COMPRESSION", "none", |value| {
            ["gzip", "none"].contains(&value.to_ascii_lowercase().as_str()).then_some(())
        });
        Self {
            timeout: Duration::from_millis(timeout.unwrap_or(10_000)).min(limit),
            headers: headers(environment, signal),
            tls: Tls::read(environment, signal, endpoint.starts_with("https:")),
            protocol,
            endpoint,
        }
    }

    /// For a human: without what may be secret in a URL, and without what differs between signals.
    pub(crate) fn shown(&self, signal: Signal) -> String {
        let url = self.endpoint.split('?').next().unwrap_or_default();
        url.strip_suffix(&format!("/v1/{signal}")).unwrap_or(url).to_owned()
    }

    pub(crate) fn spans(&self, runtime: &Handle) -> Result<SpanExporter, String> {
        let builder = SpanExporter::builder();
        let built = match self.protocol {
            Protocol::HttpProtobuf => self.http(builder.with_http(), runtime)?.build(),
            #[cfg(feature = "grpc")]
            Protocol::Grpc => self.grpc(builder.with_tonic()).build(),
        };
        built.map_err(|error| error.to_string())
    }

    pub(crate) fn metrics(
        &self,
        runtime: &Handle,
        temporality: Temporality,
    ) -> Result<MetricExporter, String> {
        let builder = MetricExporter::builder().with_temporality(temporality);
        let built = match self.protocol {
            Protocol::HttpProtobuf => self.http(builder.with_http(), runtime)?.build(),
            #[cfg(feature = "grpc")]
            Protocol::Grpc => self.grpc(builder.with_tonic()).build(),
        };
        built.map_err(|error| error.to_string())
    }

    pub(crate) fn logs(&self, runtime: &Handle) -> Result<LogExporter, String> {
        let builder = LogExporter::builder();
        let built = match self.protocol {
            Protocol::HttpProtobuf => self.http(builder.with_http(), runtime)?.build(),
            #[cfg(feature = "grpc")]
            Protocol::Grpc => self.grpc(builder.with_tonic()).build(),
        };
        built.map_err(|error| error.to_string())
    }

    fn http<B>(&self, builder: B, runtime: &Handle) -> Result<B, String>
    where
        B: WithExportConfig + WithHttpConfig,
    {
        let client = reqwest::Client::builder().timeout(self.timeout);
        let client = self.tls.of_http(client)?.build().map_err(|error| chain(&error))?;
        let client = OnRuntime { client, runtime: runtime.clone() };
        let builder = builder.with_endpoint(&self.endpoint).with_timeout(self.timeout);
        Ok(builder.with_headers(self.headers.clone()).with_http_client(client))
    }

    #[cfg(feature = "grpc")]
    fn grpc<B>(&self, builder: B) -> B
    where
        B: WithExportConfig + opentelemetry_otlp::WithTonicConfig,
    {
        let builder = builder.with_endpoint(&self.endpoint).with_timeout(self.timeout);
        let metadata = (&self.headers).try_into().unwrap_or_default();
        let metadata =
            opentelemetry_otlp::tonic_types::metadata::MetadataMap::from_headers(metadata);
        self.tls.of_grpc(builder.with_metadata(metadata))
    }
}

/// The value of the signal's variable; where that one is bad, it is said and the default holds.
pub(crate) fn otlp<T>(
    environment: &Environment<'_>,
    signal: Signal,
    option: &str,
    default: impl Display,
    parse: impl Fn(&str) -> Option<T>,
) -> Option<T> {
    let (name, value) = environment.otlp(signal, option)?;
    let parsed = parse(&value);
    if parsed.is_none() {
        environment.complain(&name, &value, "is unknown or out of range", default);
    }
    parsed
}

fn protocol(environment: &Environment<'_>, signal: Signal) -> Protocol {
    let default = Protocol::HttpProtobuf;
    otlp(environment, signal, "PROTOCOL", "http/protobuf", |value| match value {
        "http/protobuf" => Some(Protocol::HttpProtobuf),
        #[cfg(feature = "grpc")]
        "grpc" => Some(Protocol::Grpc),
        _ => None,
    })
    .unwrap_or(default)
}

/// In code and in the variable for all signals, an endpoint of HTTP is the base of the signal's own.
fn endpoint(
    environment: &Environment<'_>,
    signal: Signal,
    protocol: Protocol,
    in_code: Option<&str>,
) -> String {
    let (default, path) = match protocol {
        Protocol::HttpProtobuf => ("http://localhost:4318", format!("/v1/{signal}")),
        #[cfg(feature = "grpc")]
        Protocol::Grpc => ("http://localhost:4317", String::new()),
    };
    let general = "OTEL_EXPORTER_OTLP_ENDPOINT";
    let found = in_code.map(|value| ("endpoint".to_owned(), value.to_owned()));
    let Some((name, value)) = found.or_else(|| environment.otlp(signal, "ENDPOINT")) else {
        return format!("{default}{path}");
    };
    let whole = with_scheme(environment, signal, protocol, &value);
    let valid = whole.parse::<Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some()
    });
    // Of the two, this one sees that `user:pass/word@host` is none.
    let valid = valid && reqwest::Url::parse(&whole).is_ok();
    if !valid {
        environment.complain(&name, &without_user(&value), "is no URL", default);
        return format!("{default}{path}");
    }
    // Neither exporter sends them, but what the libraries below log would show them.
    let clean = without_credentials(&whole);
    if clean != whole {
        environment.say(format!(
            "{name} holds credentials, which are not sent: put them into OTEL_EXPORTER_OTLP_HEADERS"
        ));
    }
    if name == general || in_code.is_some() {
        let (before, query) = clean.split_at(clean.find('?').unwrap_or(clean.len()));
        return format!("{}{path}{query}", before.trim_end_matches('/'));
    }
    clean
}

/// Of a URL that is one.
fn without_credentials(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    match url[start..end].rfind('@') {
        Some(at) => format!("{}{}", &url[..start], &url[start + at + 1..]),
        None => url.to_owned(),
    }
}

/// Only gRPC may go without `http:` or `https:`, and `INSECURE` decides between them.
fn with_scheme(
    environment: &Environment<'_>,
    signal: Signal,
    protocol: Protocol,
    value: &str,
) -> String {
    if protocol == Protocol::HttpProtobuf || value.contains("://") {
        return value.to_owned();
    }
    let insecure = otlp(environment, signal, "INSECURE", "false", parse_flag).unwrap_or(false);
    format!("{}://{value}", if insecure { "http" } else { "https" })
}

/// The exporter reads these itself, and silently leaves out what it cannot read.
fn headers(environment: &Environment<'_>, signal: Signal) -> HashMap<String, String> {
    let Some((name, value)) = environment.otlp(signal, "HEADERS") else { return HashMap::new() };
    let mut headers = HashMap::new();
    for pair in value.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some((key, value)) if key.trim().parse::<http::HeaderName>().is_ok() => {
                let value = percent_encoding::percent_decode_str(value.trim());
                let value = value.decode_utf8_lossy().into_owned();
                if http::HeaderValue::from_str(&value).is_ok() {
                    headers.insert(key.trim().to_ascii_lowercase(), value);
                } else {
                    environment.say(format!(
                        "{name} has a value with characters that no header can hold, such as a line \
                         break; it is left out (values are not shown)"
                    ));
                }
            }
            // Never the value: it may be a key to somebody's account.
            _ => environment.say(format!(
                "{name} has an entry that is not key=value; it is left out (values are not shown)"
            )),
        }
    }
    headers
}

/// Of a text that should have been a URL: a password that holds a `/` is why it is none.
fn without_user(url: &str) -> String {
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    match url.rfind('@') {
        Some(at) => format!("{scheme}://…{}", &url[at..]),
        None => url.to_owned(),
    }
}

/// Sends on our own runtime, whatever thread the SDK calls from.
#[derive(Debug)]
struct OnRuntime {
    client: reqwest::Client,
    runtime: Handle,
}

#[async_trait::async_trait]
impl HttpClient for OnRuntime {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move { client.send_bytes(request).await }).await?;
        sent.inspect_err(|error| {
            // The outermost error quotes the URL; its sources say what happened.
            let inner = error.source().map_or_else(|| "no answer".to_owned(), chain);
            health::failed_because(inner);
        })
    }
}

/// An error with its sources: the outermost alone says "client error (Connect)".
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
