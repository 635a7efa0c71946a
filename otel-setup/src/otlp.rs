//! OTLP exporters, by the variables of the specification.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{
    Compression, LogExporter, MetricExporter, SpanExporter, WithExportConfig, WithHttpConfig,
};
use opentelemetry_sdk::metrics::Temporality;
use tokio::runtime::Handle;

use crate::environment::{Environment, Signal, limit};
use crate::lost::Ledger;
use crate::runtime::LONGEST;
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

/// All that an exporter of one signal needs to know. It is given all of it, or it would read the
/// variables once more, by rules of its own.
#[derive(Debug)]
pub(crate) struct Target {
    protocol: Protocol,
    endpoint: String,
    /// None: no limit.
    timeout: Option<Duration>,
    gzip: bool,
    headers: HeaderMap,
    tls: Tls,
}

impl Target {
    /// `bound` is how long the signal's processor lets an export take.
    pub(crate) fn read(
        environment: &Environment<'_>,
        signal: Signal,
        wanted: Wanted<'_>,
        bound: Option<Duration>,
    ) -> Self {
        let protocol = wanted.protocol.unwrap_or_else(|| protocol(environment, signal));
        let endpoint = endpoint(environment, signal, protocol, wanted.endpoint);
        let timeout =
            environment.parse_otlp(signal, "TIMEOUT", "10000", |value| value.parse().ok());
        let gzip = environment.parse_otlp(signal, "COMPRESSION", "none", |value| {
            match value.to_ascii_lowercase().as_str() {
                "gzip" => Some(true),
                "none" => Some(false),
                _ => None,
            }
        });
        let timeouts = [limit(timeout.unwrap_or(10_000)), bound];
        Self {
            timeout: timeouts.into_iter().flatten().min(),
            gzip: gzip.unwrap_or(false),
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

    pub(crate) fn spans(&self, means: Means<'_>) -> Result<SpanExporter, String> {
        let builder = SpanExporter::builder();
        let built = match self.protocol {
            Protocol::HttpProtobuf => self.http(builder.with_http(), means)?.build(),
            #[cfg(feature = "grpc")]
            Protocol::Grpc => self.grpc(builder.with_tonic()).build(),
        };
        built.map_err(|error| error.to_string())
    }

    pub(crate) fn metrics(
        &self,
        means: Means<'_>,
        temporality: Temporality,
    ) -> Result<MetricExporter, String> {
        let builder = MetricExporter::builder().with_temporality(temporality);
        let built = match self.protocol {
            Protocol::HttpProtobuf => self.http(builder.with_http(), means)?.build(),
            #[cfg(feature = "grpc")]
            Protocol::Grpc => self.grpc(builder.with_tonic()).build(),
        };
        built.map_err(|error| error.to_string())
    }

    pub(crate) fn logs(&self, means: Means<'_>) -> Result<LogExporter, String> {
        let builder = LogExporter::builder();
        let built = match self.protocol {
            Protocol::HttpProtobuf => self.http(builder.with_http(), means)?.build(),
            #[cfg(feature = "grpc")]
            Protocol::Grpc => self.grpc(builder.with_tonic()).build(),
        };
        built.map_err(|error| error.to_string())
    }

    fn http<B>(&self, builder: B, means: Means<'_>) -> Result<B, String>
    where
        B: WithExportConfig + WithHttpConfig,
    {
        let mut client = reqwest::Client::builder();
        if let Some(timeout) = self.timeout {
            client = client.timeout(timeout);
        }
        let client = self.tls.of_http(client)?.build().map_err(|error| chain(&error))?;
        let builder = self.common(builder).with_protocol(opentelemetry_otlp::Protocol::HttpBinary);
        let builder = builder.with_http_client(OnRuntime {
            client,
            runtime: means.runtime.clone(),
            headers: self.headers.clone(),
            ledger: Arc::clone(means.ledger),
        });
        Ok(if self.gzip { builder.with_compression(Compression::Gzip) } else { builder })
    }

    #[cfg(feature = "grpc")]
    fn grpc<B>(&self, builder: B) -> B
    where
        B: WithExportConfig + opentelemetry_otlp::WithTonicConfig,
    {
        use opentelemetry_otlp::tonic_types::metadata::MetadataMap;

        let builder = self.common(builder).with_protocol(opentelemetry_otlp::Protocol::Grpc);
        let builder = builder.with_metadata(MetadataMap::from_headers(self.headers.clone()));
        let builder = if self.gzip { builder.with_compression(Compression::Gzip) } else { builder };
        self.tls.of_grpc(builder)
    }

    fn common<B: WithExportConfig>(&self, builder: B) -> B {
        builder.with_endpoint(&self.endpoint).with_timeout(self.timeout.unwrap_or(LONGEST))
    }
}

/// What an exporter works with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Means<'a> {
    pub(crate) runtime: &'a Handle,
    pub(crate) ledger: &'a Arc<Ledger>,
}

fn protocol(environment: &Environment<'_>, signal: Signal) -> Protocol {
    let found = environment.parse_otlp(signal, "PROTOCOL", "http/protobuf", |value| {
        match value.to_ascii_lowercase().as_str() {
            "http/protobuf" => Some(Protocol::HttpProtobuf),
            #[cfg(feature = "grpc")]
            "grpc" => Some(Protocol::Grpc),
            _ => None,
        }
    });
    found.unwrap_or(Protocol::HttpProtobuf)
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

/// With the scheme in small letters, as those who look for `https` expect it. Only gRPC may go without
/// one, and `INSECURE` decides then.
fn with_scheme(
    environment: &Environment<'_>,
    signal: Signal,
    protocol: Protocol,
    value: &str,
) -> String {
    if let Some((scheme, rest)) = value.split_once("://") {
        return format!("{}://{rest}", scheme.to_ascii_lowercase());
    }
    if protocol == Protocol::HttpProtobuf {
        return value.to_owned();
    }
    let insecure =
        environment.otlp(signal, "INSECURE").is_some_and(|(name, _)| environment.flag(&name));
    format!("{}://{value}", if insecure { "http" } else { "https" })
}

/// With gRPC, the exporter adds what it reads itself, which is the same.
fn headers(environment: &Environment<'_>, signal: Signal) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let Some((name, value)) = environment.otlp(signal, "HEADERS") else { return headers };
    for pair in value.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let named = pair.split_once('=');
        let named = named.and_then(|(key, value)| Some((key.trim().parse().ok()?, value.trim())));
        // Never the value: it may be a key to somebody's account.
        let Some((key, value)): Option<(HeaderName, _)> = named else {
            environment.say(format!(
                "{name} has an entry that is not key=value; it is left out (values are not shown)"
            ));
            continue;
        };
        let value = percent_encoding::percent_decode_str(value).decode_utf8_lossy();
        match HeaderValue::from_str(&value) {
            Ok(mut value) => {
                value.set_sensitive(true);
                headers.insert(key, value);
            }
            Err(_) => environment.say(format!(
                "{name} has a value with characters that no header can hold, such as a line \
                 break; it is left out (values are not shown)"
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
    headers: HeaderMap,
    ledger: Arc<Ledger>,
}

#[async_trait::async_trait]
impl HttpClient for OnRuntime {
    async fn send_bytes(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        for (name, value) in &self.headers {
            request.headers_mut().insert(name, value.clone());
        }
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move { client.send_bytes(request).await }).await?;
        // The outermost error quotes the URL; its sources say what happened.
        let cause =
            |error: &HttpError| error.source().map_or_else(|| "no answer".to_owned(), chain);
        self.ledger.because(sent.as_ref().err().map(cause));
        sent
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

#[cfg(test)]
mod tests {
    use super::*;

    fn timeout(pairs: &[(&str, &str)], bound: Option<u64>) -> Option<Duration> {
        let variable = |name: &str| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        let environment = Environment::new(&variable);
        let wanted = Wanted { protocol: None, endpoint: None };
        let bound = bound.map(Duration::from_millis);
        let timeout = Target::read(&environment, Signal::Logs, wanted, bound).timeout;
        assert_eq!(environment.complaints(), Vec::<String>::new());
        timeout
    }

    #[test]
    fn the_shorter_timeout_holds_and_zero_is_none() {
        let milliseconds = |it| Some(Duration::from_millis(it));
        assert_eq!(timeout(&[], None), milliseconds(10_000));
        assert_eq!(timeout(&[], Some(30)), milliseconds(30));
        let none = [("OTEL_EXPORTER_OTLP_TIMEOUT", "0")];
        assert_eq!(timeout(&none, Some(30)), milliseconds(30));
        assert_eq!(timeout(&none, None), None);
        let own = ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "40");
        assert_eq!(timeout(&[none[0], own], Some(50)), milliseconds(40));
    }
}
