//! A process of `tests/nats_processes.rs`: a producer or a consumer of JetStream, which tells what it did
//! and what was captured of it.
#![allow(clippy::unwrap_used, reason = "a part of a test")]

use std::time::Duration;

use futures_util::StreamExt as _;
use integration_tests::roles::{self, Place, begin, handle, produce, tell};
use integration_tests::told::{Role, all};
use otel_nats::jetstream::consumer::pull::MessagesError;
use otel_nats::jetstream::consumer::{PullConsumer, pull};
use otel_nats::jetstream::{self, Context, Message};
use otel_nats::{ConnectOptions, ServerAddr, Telemetry};
use otel_testing::{Capture, CaptureTracer};
use tokio::sync::Notify;
use tokio::time::timeout;

/// Longer than any test, with the start of a server in it; a process that hangs says so by its code.
const PATIENCE: Duration = Duration::from_mins(10);

#[tokio::main]
async fn main() {
    let (role, stopped) = begin();
    let capture = Capture::new();
    let played = async {
        match role {
            Role::Produce { brokers, topic, count, timeout } => {
                let mut context = connect(&brokers, "role-producer", &capture.telemetry()).await;
                context.set_timeout(Duration::from_millis(timeout.into()));
                let send = |number| send(context.clone(), format!("{topic}.new"), number);
                produce(count, &stopped, send).await;
            }
            Role::Consume { brokers, topic, group, parent, ambient } => {
                let telemetry = capture.telemetry_builder();
                let telemetry = telemetry.process_parent(parent.parse().unwrap()).build();
                let context = connect(&brokers, "role-consumer", &telemetry).await;
                consume(&context, &topic, group, ambient, &stopped, &capture).await;
            }
        }
    };
    timeout(PATIENCE, played).await.unwrap();
    all(&capture).iter().for_each(tell);
}

async fn connect(url: &str, name: &str, telemetry: &Telemetry) -> Context {
    let server: ServerAddr = url.parse().unwrap();
    let (user, password) = (server.username().unwrap(), server.password().unwrap());
    let options = ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned());
    // Some tests kill the server.
    let options = options.reconnect_delay_callback(|_| Duration::from_millis(20));
    let options = options.connection_timeout(PATIENCE);
    jetstream::new(options.name(name).telemetry(telemetry).connect(url).await.unwrap())
}

/// Answers where the message lies in its stream.
async fn send(context: Context, subject: String, number: u64) -> Result<Place, String> {
    let publishing = async { context.publish(subject, number.to_string().into()).await?.await };
    let stored = publishing.await.map_err(|error| format!("{:?}", error.kind()))?;
    Ok((0, stored.sequence.try_into().unwrap()))
}

async fn consume(
    context: &Context,
    stream: &str,
    durable: String,
    ambient: bool,
    stopped: &Notify,
    capture: &Capture,
) {
    let stream = context.get_stream(stream).await.unwrap();
    let config = pull::Config { durable_name: Some(durable), ..pull::Config::default() };
    let consumer: PullConsumer = stream.create_consumer(config).await.unwrap();
    let mut messages = consumer.messages().await.unwrap();
    let next = async || messages.next().await.unwrap();
    let name = |error: &MessagesError| format!("{:?}", error.kind());
    roles::consume(next, stopped, (capture, ambient), process, name).await;
}

async fn process(message: Message, tracer: CaptureTracer) {
    let number = String::from_utf8_lossy(&message.payload).parse().unwrap();
    let place = (0, message.info().unwrap().stream_sequence.try_into().unwrap());
    // What it fails with was told.
    _ = message.process(|_| handle(number, place, &tracer)).await;
    message.double_ack().await.unwrap();
}
