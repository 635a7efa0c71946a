//! What the tests of NATS have in common.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]
#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test takes what it needs")]

use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use integration_tests::{soon, unique_name};
use otel_nats::jetstream::consumer::{PullConsumer, pull};
use otel_nats::jetstream::{self, stream};
use otel_nats::{Client, ConnectOptions, ServerAddr, Telemetry};
use otel_testing::assert::{ExpectedSpan, span};
use otel_testing::{Capture, CaptureTracer};

pub use integration_tests::{PATIENCE, carried, sent};

/// The driver itself does not look at the user and the password of a URL.
pub fn options(url: &str) -> ConnectOptions {
    let server: ServerAddr = url.parse().unwrap();
    let (user, password) = (server.username().unwrap(), server.password().unwrap());
    let options = ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned());
    // By default the waits between attempts grow up to four seconds.
    let options = options.reconnect_delay_callback(|_| Duration::from_millis(20));
    // By default it gives up after seconds, which a busy machine may need.
    options.connection_timeout(PATIENCE).request_timeout(Some(PATIENCE))
}

/// A client named `live`.
pub async fn connect(url: &str, telemetry: &Telemetry) -> Client {
    options(url).name("live").telemetry(telemetry).connect(url).await.unwrap()
}

pub async fn captured(url: &str) -> (Capture, Client) {
    let capture = Capture::new();
    let client = connect(url, &capture.telemetry()).await;
    (capture, client)
}

/// What [`heard`] publishes to begins with this.
pub const HEARD: &str = "heard.";

/// Returns once the server has heard of all that this client subscribed to: what it flushes is sent, and
/// not answered.
pub async fn heard(client: &Client) {
    let (client, subject) = (client.raw(), format!("{HEARD}{}", unique_name()));
    let mut echo = client.subscribe(subject.clone()).await.unwrap();
    client.publish(subject, "".into()).await.unwrap();
    next(&mut echo).await;
}

pub fn jetstream(client: Client) -> jetstream::Context {
    let mut context = jetstream::new(client);
    context.set_timeout(PATIENCE);
    context
}

/// A stream of one test's own, whose subjects begin with its name.
pub async fn stream(context: &jetstream::Context, name: &str) -> stream::Stream {
    let subjects = vec![format!("{name}.>")];
    let config = stream::Config { name: name.to_owned(), subjects, ..stream::Config::default() };
    context.create_stream(config).await.unwrap()
}

/// Its consumer.
pub async fn worker(stream: &stream::Stream) -> PullConsumer {
    let durable_name = Some("worker".to_owned());
    stream.create_consumer(pull::Config { durable_name, ..pull::Config::default() }).await.unwrap()
}

pub async fn next<S: Stream + Unpin>(messages: &mut S) -> S::Item {
    soon("a message is there", messages.next()).await.unwrap()
}

/// What all spans of a client have that [`connect`] made.
pub fn call(
    url: &str,
    name: impl Into<String>,
    operation: &'static str,
    step: &'static str,
) -> ExpectedSpan {
    let server: ServerAddr = url.parse().unwrap();
    span(name.into())
        .attribute("messaging.system", "nats")
        .attribute("messaging.operation.name", operation)
        .attribute("messaging.operation.type", step)
        .attribute("messaging.client.id", "live")
        .attribute("server.address", server.host().to_owned())
        .attribute("server.port", i64::from(server.port()))
}

/// A call about a subject of few.
pub fn about(
    url: &str,
    operation: &'static str,
    step: &'static str,
    subject: &str,
) -> ExpectedSpan {
    call(url, format!("{operation} {subject}"), operation, step)
        .attribute("messaging.destination.name", subject.to_owned())
}

/// A call about a subject of many.
pub fn of_many(
    url: &str,
    operation: &'static str,
    step: &'static str,
    (template, subject): (&str, &str),
) -> ExpectedSpan {
    call(url, format!("{operation} {template}"), operation, step)
        .attribute("messaging.destination.template", template.to_owned())
        .attribute("messaging.destination.name", subject.to_owned())
}

pub fn tracer(capture: &Capture) -> CaptureTracer {
    capture.tracer("application")
}
