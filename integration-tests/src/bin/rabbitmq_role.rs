//! A process of `tests/rabbitmq_processes.rs`: a producer or a consumer, which tells what it did and what
//! was captured of it.
#![allow(clippy::unwrap_used, reason = "a part of a test")]

use std::time::Duration;

use futures_util::StreamExt as _;
use integration_tests::roles::{self, Place, begin, handle, produce, tell};
use integration_tests::told::{Role, all};
use otel_rabbitmq::message::Delivery;
use otel_rabbitmq::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions,
};
use otel_rabbitmq::types::{FieldTable, ShortString};
use otel_rabbitmq::{
    BasicProperties, Channel, Connection, ConnectionProperties, Error, ErrorKind, Telemetry,
};
use otel_testing::{Capture, CaptureTracer};
use tokio::sync::Notify;
use tokio::time::timeout;

/// Longer than any test, with the start of a server in it; a process that hangs says so by its code.
const PATIENCE: Duration = Duration::from_mins(10);
/// It survives the broker.
const PERSISTENT: u8 = 2;

#[tokio::main]
async fn main() {
    let (role, stopped) = begin();
    let capture = Capture::new();
    let played = async {
        match role {
            // What is refused is told at once, and what is not confirmed once the connection is lost.
            Role::Produce { brokers, topic, count, .. } => {
                let connection = connect(&brokers, "role-producer", &capture.telemetry()).await;
                let channel = connection.create_channel().await.unwrap();
                channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
                let exchange = ShortString::from(topic);
                let send = |number| send(channel.clone(), exchange.clone(), number);
                produce(count, &stopped, send).await;
            }
            Role::Consume { brokers, group, parent, ambient, .. } => {
                let telemetry = capture.telemetry_builder();
                let telemetry = telemetry.process_parent(parent.parse().unwrap()).build();
                let connection = connect(&brokers, "role-consumer", &telemetry).await;
                let channel = connection.create_channel().await.unwrap();
                consume(&channel, group.into(), ambient, &stopped, &capture).await;
            }
        }
    };
    timeout(PATIENCE, played).await.unwrap();
    all(&capture).iter().for_each(tell);
}

async fn connect(url: &str, name: &str, telemetry: &Telemetry) -> Connection {
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    // Some tests kill the server.
    let properties = properties.enable_auto_recover().configure_backoff(|backoff| {
        backoff.with_max_delay(Duration::from_millis(200)).with_max_times(10_000)
    });
    Connection::connect(url, properties.with_telemetry(telemetry)).await.unwrap()
}

/// A message is known by its number. One that is lost is told once the channel is back, so that a producer
/// without a broker does not run in circles.
async fn send(channel: Channel, exchange: ShortString, number: u64) -> Result<Place, String> {
    let text = number.to_string();
    let properties = BasicProperties::default()
        .with_message_id(text.as_str().into())
        .with_delivery_mode(PERSISTENT);
    let options = BasicPublishOptions::default();
    let publishing = async {
        let (exchange, key) = (exchange, "new".into());
        channel.basic_publish(exchange, key, options, text.as_bytes(), properties).await?.await
    };
    match publishing.await {
        Ok(confirmation) if confirmation.is_ack() => Ok((0, number.try_into().unwrap())),
        Ok(_) => Err("nack".to_owned()),
        Err(error) => {
            let name = name(&error);
            channel.wait_for_recovery(error).await.unwrap();
            Err(name)
        }
    }
}

/// By its code, or the name of its kind.
fn name(error: &Error) -> String {
    match error.kind() {
        ErrorKind::ProtocolError(error) => format!("{:?}", error.kind()),
        ErrorKind::IOError(error) => format!("{:?}", error.kind()),
        kind => format!("{kind:?}").split('(').next().unwrap().to_owned(),
    }
}

async fn consume(
    channel: &Channel,
    queue: ShortString,
    ambient: bool,
    stopped: &Notify,
    capture: &Capture,
) {
    let options = BasicConsumeOptions::default();
    let consuming = channel.basic_consume(queue, "".into(), options, FieldTable::default());
    let mut messages = consuming.await.unwrap();
    let next = async || messages.next().await.unwrap();
    roles::consume(next, stopped, (capture, ambient), process, name).await;
}

async fn process(message: Delivery, tracer: CaptureTracer) {
    let number: u64 = String::from_utf8_lossy(&message.data).parse().unwrap();
    let place = (0, number.try_into().unwrap());
    // What it fails with was told.
    _ = message.process(|_| handle(number, place, &tracer)).await;
    assert!(message.ack(BasicAckOptions::default()).await.unwrap());
}
