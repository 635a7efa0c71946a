//! That all three signals arrive, by each protocol, with and without TLS and gzip.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use opentelemetry::{KeyValue, global};
use otel_setup::Signal;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use support::{Finished, Receiver, run, text};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

fn application() {
    let _guard = otel_setup::init!();
    tracing::info_span!("work").in_scope(|| tracing::info!("hello"));
    global::meter("shop").u64_counter("orders").build().add(3, &[KeyValue::new("item", "lamp")]);
}

#[track_caller]
fn arrived(receiver: &Receiver, finished: &Finished) {
    assert!(finished.success, "{finished:?}");
    assert_eq!(finished.warnings, Vec::<String>::new());
    let (spans, logs, metrics) = (receiver.spans(), receiver.logs(), receiver.metrics());
    assert_eq!(receiver.span_names(), ["work"]);
    assert_eq!(text(&spans[0].0, "service.name"), Some("otel-setup"));
    assert_eq!(text(&spans[0].0, "service.version"), Some(env!("CARGO_PKG_VERSION")));
    let names: Vec<_> = metrics.iter().map(|metric| metric.name.as_str()).collect();
    assert_eq!(names, ["orders"]);
    assert_eq!(receiver.log_bodies(), ["hello"]);
    assert_eq!(text(&logs[0].0, "service.name"), Some("otel-setup"));
    assert_eq!(logs[0].1.trace_id, spans[0].1.trace_id);
    assert_eq!(logs[0].1.span_id, spans[0].1.span_id);
}

#[test]
fn http_is_the_default() {
    let receiver = Receiver::start();
    let variables: [(&str, &dyn ToString); 1] = [("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url())];
    arrived(&receiver, &run("http_is_the_default", &variables, application));
    let mut paths: Vec<_> = receiver.got().into_iter().map(|got| got.path).collect();
    paths.sort();
    assert_eq!(paths, ["/v1/logs", "/v1/metrics", "/v1/traces"]);
}

#[test]
fn grpc() {
    let receiver = Receiver::start();
    let finished = run(
        "grpc",
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", &"grpc"),
        ],
        application,
    );
    arrived(&receiver, &finished);
    assert!(receiver.got().iter().all(|got| got.path.ends_with("/Export")));
}

#[test]
fn grpc_without_a_scheme() {
    let receiver = Receiver::start();
    let finished = run(
        "grpc_without_a_scheme",
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.address),
            ("OTEL_EXPORTER_OTLP_INSECURE", &"true"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", &"grpc"),
        ],
        application,
    );
    arrived(&receiver, &finished);
}

#[test]
fn gzip() {
    for protocol in ["grpc", "http/protobuf"] {
        let receiver = Receiver::start();
        let finished = run(
            "gzip",
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url()),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", &protocol),
                ("OTEL_EXPORTER_OTLP_COMPRESSION", &"gzip"),
                // That of a signal wins.
                ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", &"none"),
            ],
            application,
        );
        arrived(&receiver, &finished);
        for got in receiver.got() {
            assert_eq!(got.length < got.body.len(), !got.is("logs"), "{protocol}: {got:?}");
        }
    }
}

/// An authority of the test, what it signed, and where the files lie.
struct Certificates {
    folder: TempDir,
    authority: String,
    server: (String, String),
}

impl Certificates {
    fn new() -> Self {
        let mut parameters = CertificateParams::new([]).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap());
        let authority = authority.unwrap();
        let sign = |name: &str| {
            let key = KeyPair::generate().unwrap();
            let parameters = CertificateParams::new([name.to_owned()]).unwrap();
            (parameters.signed_by(&key, &authority).unwrap().pem(), key.serialize_pem())
        };
        let (server, client) = (sign("localhost"), sign("client"));
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
        };
        write("authority", &authority.pem());
        write("client", &client.0);
        write("key", &client.1);
        Self { authority: authority.pem(), server, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Lets in who shows a certificate of the authority.
    fn receiver(&self) -> Receiver {
        let read = |text: &str| {
            CertificateDer::pem_slice_iter(text.as_bytes()).map(Result::unwrap).collect::<Vec<_>>()
        };
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(read(&self.authority));
        let provider = Arc::new(ring::default_provider());
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let key = PrivateKeyDer::from_pem_slice(self.server.1.as_bytes()).unwrap();
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients.build().unwrap())
            .with_single_cert(read(&self.server.0), key)
            .unwrap();
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Receiver::with_tls(Some(TlsAcceptor::from(Arc::new(server))))
    }
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[test]
fn tls_with_an_authority_and_a_certificate_of_the_client() {
    let certificates = Certificates::new();
    for protocol in ["grpc", "http/protobuf"] {
        let receiver = certificates.receiver();
        let finished = run(
            "tls_with_an_authority_and_a_certificate_of_the_client",
            &[
                (
                    "OTEL_EXPORTER_OTLP_ENDPOINT",
                    &format!("https://localhost:{}", receiver.address.port()),
                ),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", &protocol),
                ("OTEL_EXPORTER_OTLP_CERTIFICATE", &shown(&certificates.path("authority"))),
                ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &shown(&certificates.path("client"))),
                ("OTEL_EXPORTER_OTLP_CLIENT_KEY", &shown(&certificates.path("key"))),
            ],
            application,
        );
        arrived(&receiver, &finished);
    }
}

fn with_an_endpoint() {
    let builder = otel_setup::builder();
    let builder = match std::env::var("IN_CODE") {
        Ok(endpoint) => builder.endpoint(endpoint),
        Err(_) => builder,
    };
    let _guard = builder.init().unwrap();
    tracing::info_span!("work").in_scope(|| tracing::info!("hello"));
    global::meter("shop").u64_counter("orders").build().add(3, &[KeyValue::new("item", "lamp")]);
}

/// One that is not read as `https` goes without the certificates, or without TLS.
#[test]
fn the_scheme_of_an_endpoint_has_no_letter_case() {
    let certificates = Certificates::new();
    let names =
        ["", "TRACES_", "METRICS_", "LOGS_"].map(|it| format!("OTEL_EXPORTER_OTLP_{it}ENDPOINT"));
    for protocol in ["grpc", "http/protobuf"] {
        for scheme in ["HTTPS", "Https"] {
            let [general, own @ ..] = &names;
            for set in [std::slice::from_ref(general), own, &["IN_CODE".to_owned()]] {
                let receiver = certificates.receiver();
                let base = format!("{scheme}://localhost:{}", receiver.address.port());
                let url = |name: &str| match name.split('_').nth(3) {
                    Some(signal @ ("TRACES" | "METRICS" | "LOGS")) if protocol != "grpc" => {
                        format!("{base}/v1/{}", signal.to_lowercase())
                    }
                    _ => base.clone(),
                };
                let file = |name| shown(&certificates.path(name));
                let mut variables = vec![
                    ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_owned()),
                    ("OTEL_EXPORTER_OTLP_CERTIFICATE", file("authority")),
                    ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", file("client")),
                    ("OTEL_EXPORTER_OTLP_CLIENT_KEY", file("key")),
                ];
                variables.extend(set.iter().map(|name| (name.as_str(), url(name))));
                let variables: Vec<(&str, &dyn ToString)> =
                    variables.iter().map(|(name, value)| (*name, value as &dyn ToString)).collect();
                let test = "the_scheme_of_an_endpoint_has_no_letter_case";
                let finished = run(test, &variables, with_an_endpoint);
                assert!(finished.success, "{finished:?}");
                assert_eq!(finished.warnings, Vec::<String>::new(), "{protocol} {scheme} {set:?}");
                assert_eq!(receiver.got().len(), 3, "{protocol} {scheme} {set:?}");
            }
        }
    }
}

#[test]
fn the_certificate_of_one_signal() {
    let certificates = Certificates::new();
    let receiver = certificates.receiver();
    let endpoint = format!("https://localhost:{}/v1/traces", receiver.address.port());
    let finished = run(
        "the_certificate_of_one_signal",
        &[
            ("OTEL_METRICS_EXPORTER", &"none"),
            ("OTEL_LOGS_EXPORTER", &"none"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &endpoint),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", &"/nowhere"),
            ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", &shown(&certificates.path("authority"))),
            ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", &shown(&certificates.path("client"))),
            ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", &shown(&certificates.path("key"))),
        ],
        application,
    );
    assert_eq!(finished.warnings, Vec::<String>::new());
    assert_eq!(receiver.span_names(), ["work"]);
}

#[test]
fn a_wrong_authority_is_one_warning_with_its_reason() {
    let (certificates, others) = (Certificates::new(), Certificates::new());
    for protocol in ["grpc", "http/protobuf"] {
        let receiver = certificates.receiver();
        let finished = run(
            "a_wrong_authority_is_one_warning_with_its_reason",
            &[
                (
                    "OTEL_EXPORTER_OTLP_ENDPOINT",
                    &format!("https://localhost:{}", receiver.address.port()),
                ),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", &protocol),
                ("OTEL_EXPORTER_OTLP_CERTIFICATE", &shown(&others.path("authority"))),
                // Less than the shutdown takes at most, and enough for a handshake on a busy machine.
                ("OTEL_EXPORTER_OTLP_TIMEOUT", &"4000"),
            ],
            application,
        );
        assert!(finished.success, "{finished:?}");
        assert_eq!(finished.warnings.len(), 1, "{protocol}: {:?}", finished.warnings);
        // The certificates of the test are of one name, so it is the signature that is wrong.
        let warning = &finished.warnings[0];
        assert!(warning.contains("invalid peer certificate"), "{protocol}: {warning}");
        assert_eq!(receiver.got().len(), 0);
    }
}

fn that_hears_of_it() {
    let guard = otel_setup::builder().init().unwrap();
    tracing::info_span!("work").in_scope(|| tracing::info!("hello"));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    match runtime.block_on(guard.shutdown()) {
        Err(otel_setup::Error::Incomplete(lost)) => {
            let signals: Vec<_> = lost.iter().map(|lost| (lost.signal, lost.count)).collect();
            let [traces, metrics, logs] = [Signal::Traces, Signal::Metrics, Signal::Logs];
            assert_eq!(signals, [(traces, None), (metrics, None), (logs, None)], "{lost:?}");
        }
        other => panic!("{other:?}"),
    }
}

/// All is lost, and nobody counts it.
#[test]
fn an_exporter_that_cannot_be_made_is_told_of() {
    let (certificates, others) = (Certificates::new(), Certificates::new());
    for protocol in ["grpc", "http/protobuf"] {
        let finished = run(
            "an_exporter_that_cannot_be_made_is_told_of",
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", &"https://localhost:1"),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", &protocol),
                ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &shown(&certificates.path("client"))),
                ("OTEL_EXPORTER_OTLP_CLIENT_KEY", &shown(&others.path("key"))),
            ],
            that_hears_of_it,
        );
        assert!(finished.success, "{protocol}: {finished:?}");
        assert_eq!(finished.warnings.len(), 3, "{protocol}: {finished:?}");
        assert!(finished.warnings[0].starts_with("traces are not exported: "), "{finished:?}");
    }
}
