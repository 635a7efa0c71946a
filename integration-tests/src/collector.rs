//! A collector of one test's own, and what it received.

use std::ffi::OsString;
use std::path::Path;

use native::{Extra, Private, Server};

use crate::private;
use crate::received::Received;

/// How the collector is configured; plain by default.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Setup {
    extra: Extra,
    tls: bool,
}

/// What [`Setup::tail_sampling`] keeps.
#[derive(Clone, Copy, Debug)]
pub struct TailSampling {
    /// How long a trace is waited for. The collector looks once a second.
    pub decision_wait_ms: u32,
    /// Traces that last longer are kept.
    pub slow_ms: u32,
    /// How many of a hundred others are kept.
    pub keep_percent: u32,
}

impl Setup {
    /// OTLP in plain text, and everything is kept.
    pub fn new() -> Self {
        Self::default()
    }

    /// Both receivers speak TLS with this certificate and key, files in PEM.
    pub fn tls(self, certificate: &Path, key: &Path) -> Self {
        let setup = Self { tls: true, ..self }.file("tls.yaml");
        setup.variable("OTELCOL_CERTIFICATE", certificate).variable("OTELCOL_KEY", key)
    }

    /// With [`Setup::tls`]: only clients with a certificate of this authority are let in.
    pub fn client_ca(self, authority: &Path) -> Self {
        self.variable("OTELCOL_CLIENT_CA", authority)
    }

    /// Keeps errors, slow traces and a share of the rest.
    pub fn tail_sampling(self, keep: TailSampling) -> Self {
        self.file("tail-sampling.yaml")
            .variable("OTELCOL_DECISION_WAIT", format!("{}ms", keep.decision_wait_ms))
            .variable("OTELCOL_SLOW_MS", keep.slow_ms.to_string())
            .variable("OTELCOL_KEEP_PERCENT", keep.keep_percent.to_string())
    }

    fn file(self, name: &str) -> Self {
        let extra = self.extra.argument("--config").argument(format!("{{data}}/{name}"));
        Self { extra, ..self }
    }

    fn variable(self, name: &str, value: impl Into<OsString>) -> Self {
        Self { extra: self.extra.variable(name, value), ..self }
    }
}

/// A collector that runs, on free ports which it keeps.
#[derive(Debug)]
pub struct Collector {
    /// To kill, stop, restart, pause and resume it.
    pub server: Private,
    /// What came so far.
    pub received: Received,
    http: String,
    grpc: String,
}

impl Collector {
    /// Starts one and waits until it answers; without one says so, as
    /// [`otel_testing::live::address`] does. Blocks the thread.
    pub fn start(setup: Setup) -> Option<Self> {
        let server = private(Server::collector(), setup.extra)?;
        let address = |name: &str| {
            server.address(name).unwrap_or_else(|error| panic!("the collector: {error:#}"))
        };
        let scheme = if setup.tls { "https:" } else { "http:" };
        let url = |url: &str| url.replacen("http:", scheme, 1);
        let (http, grpc) = (url(server.url()), url(&address("GRPC")));
        let received = Received::in_folder(address("OUT"));
        Some(Self { server, received, http, grpc })
    }

    /// Where OTLP over HTTP goes, without a path.
    pub fn http(&self) -> &str {
        &self.http
    }

    /// Where OTLP over gRPC goes.
    pub fn grpc(&self) -> &str {
        &self.grpc
    }
}
