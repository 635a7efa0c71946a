//! That all three signals arrive, by each protocol, with and without TLS and gzip.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as such")]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use opentelemetry::{KeyValue, global};
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
                ("OTEL_EXPORTER_OTLP_TIMEOUT", &"500"),
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
