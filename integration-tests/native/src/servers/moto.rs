//! SQS and SNS as moto plays them, in memory: a restart has lost everything.

use crate::build::Build;
use crate::server::{PLAIN, Server};
use crate::wire::ask;

pub(crate) static MOTO: Server = Server {
    name: "moto",
    title: "moto 5.2.5",
    packages: &["python3-pip"],
    programs: &["python3", "pip3"],
    build: Some(Build::python(&[("requirements.txt", include_str!("../../python/moto.txt"))])),
    ports: &[24566],
    command: |place| place.command("bin/python -m moto.server -H 127.0.0.1 -p {port}"),
    // It loads what it needs for a service with the first request to it.
    ready: |place| {
        ask(place.port(0), &list("sqs", "ListQueues"), b" 200 OK")?;
        ask(place.port(0), &list("sns", "ListTopics"), b" 200 OK")
    },
    url: "http://127.0.0.1:{port}",
    ..PLAIN
};

/// A call in the query protocol; what it is for is read off the signature, which nobody checks.
fn list(service: &str, action: &str) -> Vec<u8> {
    let body = format!("Action={action}");
    let length = body.len();
    format!(
        "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAuthorization: \
         AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}
