//! Clients of OTLP that are small enough to be understood, with certificates of a test's own.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use integration_tests::authority::Authority;
use integration_tests::{PATIENCE, unique_name};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};

/// A kind of frame in HTTP/2.
pub(crate) const SETTINGS: u8 = 4;

/// An export of so many spans of this name.
pub(crate) fn spans(name: &str, count: usize) -> Value {
    let id = || unique_name().trim_start_matches("live_").to_owned();
    let span = |_| json!({"traceId": id() + &id(), "spanId": id(), "name": name});
    let spans: Value = (0..count).map(span).collect();
    json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})
}

/// Sends JSON by HTTP.
#[derive(Clone)]
pub(crate) struct Client {
    address: String,
    tls: Option<Arc<ClientConfig>>,
    patience: Duration,
}

impl Client {
    pub(crate) fn plain(url: &str) -> Self {
        let address = url.split_once("://").unwrap().1.to_owned();
        Self { address, tls: None, patience: PATIENCE }
    }

    /// Trusts one authority, and shows a certificate if it has one.
    pub(crate) fn tls(
        url: &str,
        trusts: &Authority,
        identity: Option<&(PathBuf, PathBuf)>,
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(trusts.certificate()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.unwrap().with_root_certificates(roots);
        let config = match identity {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
                let key = PrivateKeyDer::from_pem_file(key).unwrap();
                config.with_client_auth_cert(chain, key).unwrap()
            }
        };
        Self { tls: Some(Arc::new(config)), ..Self::plain(url) }
    }

    pub(crate) fn impatient(&self) -> Self {
        Self { patience: Duration::from_millis(200), ..self.clone() }
    }

    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &Value) {
        assert_eq!(self.try_post(path, body), Ok(200));
    }

    /// The kind of the first frame of a server of HTTP/2, which it sends unasked to those it lets in.
    pub(crate) fn greeting(&self) -> Result<u8, String> {
        let stream = TcpStream::connect(&self.address).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(self.patience)).unwrap();
        let mut config = ClientConfig::clone(self.tls.as_ref().unwrap());
        config.alpn_protocols = vec![b"h2".to_vec()];
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut frame = [0; 9];
        let read = StreamOwned::new(connection, stream).read_exact(&mut frame);
        read.map(|()| frame[3]).map_err(|error| error.to_string())
    }

    /// The status of the answer, or what went wrong.
    pub(crate) fn try_post(&self, path: &str, body: &Value) -> Result<u16, String> {
        let stream = TcpStream::connect(&self.address).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(self.patience)).unwrap();
        let answer = match &self.tls {
            None => exchange(stream, path, body),
            Some(config) => {
                let name = ServerName::try_from("127.0.0.1").unwrap();
                let connection = ClientConnection::new(config.clone(), name).unwrap();
                exchange(StreamOwned::new(connection, stream), path, body)
            }
        };
        answer.map_err(|error| error.to_string())
    }
}

fn exchange(mut stream: impl Read + Write, path: &str, body: &Value) -> std::io::Result<u16> {
    let body = body.to_string();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    stream.flush()?;
    let mut line = [0; 12];
    stream.read_exact(&mut line)?;
    let line = String::from_utf8_lossy(&line).into_owned();
    let status = line.strip_prefix("HTTP/1.1 ").and_then(|status| status.parse().ok());
    status.ok_or_else(|| std::io::Error::other(format!("an answer that is not HTTP: {line:?}")))
}

/// One span by gRPC, frame by frame; returns when the call has ended.
pub(crate) fn grpc_export(url: &str, name: &str) {
    let address = url.strip_prefix("http://").unwrap();
    // Protocol buffers: field number and length, then the field.
    let field = |number: u8, bytes: &[u8]| {
        [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
    };
    let ids = [field(1, &[7; 16]), field(2, &[7; 8])].concat();
    let span = [ids, field(5, name.as_bytes())].concat();
    let request = field(1, &field(2, &field(2, &span)));
    let length = u32::try_from(request.len()).unwrap();
    let message = [&[0], &length.to_be_bytes()[..], &request].concat();
    let headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/opentelemetry.proto.collector.trace.v1.TraceService/Export"),
        (":authority", address),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    // Each a literal that is not remembered.
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let header = |(name, value)| [vec![0], text(name), text(value)].concat();
    let headers: Vec<u8> = headers.into_iter().flat_map(header).collect();

    let (data, headers_kind, end_stream, end_headers) = (0, 1, 1, 4);
    let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    };
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let opening = [preface.to_vec(), frame(SETTINGS, 0, 0, &[])].concat();
    let call =
        [frame(headers_kind, end_headers, 1, &headers), frame(data, end_stream, 1, &message)];
    stream.write_all(&[opening, call.concat()].concat()).unwrap();
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut payload).unwrap();
        if head[3] == headers_kind && head[4] & end_stream != 0 {
            return;
        }
    }
}
