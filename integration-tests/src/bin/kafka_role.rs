//! A process of `tests/kafka_processes.rs`: a producer or a consumer, which tells what it did and
//! what was captured of it.
#![allow(clippy::panic, clippy::print_stdout, clippy::unwrap_used, reason = "a part of a test")]

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Read as _, stdin};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use integration_tests::told::{Handled, Role, Told, all, order_in_baggage};
use otel_kafka::consumer::{CommitMode, Consumer as _, StreamConsumer};
use otel_kafka::message::{Message as _, OwnedMessage};
use otel_kafka::producer::{FutureProducer, FutureRecord};
use otel_kafka::util::Timeout;
use otel_kafka::{ClientConfig, rdkafka};
use otel_testing::opentelemetry::baggage::BaggageExt as _;
use otel_testing::opentelemetry::trace::{
    FutureExt as _, SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
    Tracer as _,
};
use otel_testing::opentelemetry::{Context, KeyValue};
use otel_testing::otel_core::{Telemetry, TelemetryBuilder};
use otel_testing::{Capture, CaptureTracer};
use rdkafka::error::KafkaError;
use tokio::sync::{Notify, Semaphore};
use tokio::task::{JoinSet, yield_now};
use tokio::time::timeout;

/// Longer than any test, with the start of a server in it; a process that hangs says so by its code.
const PATIENCE: Duration = Duration::from_mins(10);
/// Messages on their way at a time.
const AT_ONCE: usize = 32;

#[tokio::main]
async fn main() {
    let role = std::env::args().nth(1).unwrap();
    let stopped = Arc::new(Notify::new());
    let stop = Arc::clone(&stopped);
    thread::spawn(move || {
        _ = stdin().read_to_end(&mut Vec::new());
        stop.notify_one();
    });
    // What messages carry, as `OTEL_PROPAGATORS` says; what is told goes to the test.
    let setup = otel_setup::builder().exporters([]).subscriber(false).init().unwrap();
    let capture = Capture::new();
    let played = async {
        match serde_json::from_str(&role).unwrap() {
            Role::Produce { brokers, topic, count, timeout } => {
                let mut config = config(&brokers, "role-producer");
                config.set("message.timeout.ms", timeout.to_string());
                config.set("enable.idempotence", "true");
                produce(&config, &topic, count, &stopped, &capture).await;
            }
            Role::Consume { brokers, topic, group, parent, ambient } => {
                let mut config = config(&brokers, "role-consumer");
                config.set("group.id", group).set("auto.offset.reset", "earliest");
                config.set("enable.auto.commit", "false");
                // Longer than a broker is down, or it would begin anew with what it has.
                config.set("session.timeout.ms", "180000");
                consume(&config, &topic, &parent, ambient, &stopped, &capture).await;
            }
        }
    };
    timeout(PATIENCE, played).await.unwrap();
    drop(setup);
    all(&capture).iter().for_each(tell);
}

/// What is captured, with the global propagator.
fn telemetry(capture: &Capture) -> TelemetryBuilder {
    let builder = Telemetry::builder().tracer_provider(capture.tracer_provider());
    builder.meter_provider(capture.meter_provider())
}

fn config(brokers: &str, id: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("client.id", id);
    // Some tests kill the broker.
    config.set("reconnect.backoff.max.ms", "200");
    config
}

fn tell(line: &Told) {
    let line = serde_json::to_string(line).unwrap();
    println!("{line}");
}

fn code(error: &KafkaError) -> String {
    error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| format!("{code:?}"))
}

async fn produce(
    config: &ClientConfig,
    topic: &str,
    count: Option<u64>,
    stopped: &Notify,
    capture: &Capture,
) {
    let producer = config.create::<rdkafka::producer::FutureProducer>().unwrap();
    let producer = FutureProducer::builder(producer).config(config);
    let producer = producer.telemetry(&telemetry(capture).build()).build();
    let (mut sending, permits) = (JoinSet::new(), Arc::new(Semaphore::new(AT_ONCE)));
    for number in 1..=count.unwrap_or(u64::MAX) {
        let permit = tokio::select! {
            permit = Arc::clone(&permits).acquire_owned() => permit.unwrap(),
            () = stopped.notified() => break,
        };
        let (producer, topic) = (producer.clone(), topic.to_owned());
        let send = async move {
            let text = number.to_string();
            let record = FutureRecord::to(&topic).key(&text).payload(&text);
            let sent = producer.send(record, Timeout::Never).await;
            let result = sent.map(|delivery| (delivery.partition, delivery.offset));
            tell(&Told::Sent { number, result: result.map_err(|(error, _)| code(&error)) });
            drop(permit);
        };
        sending.spawn(send.with_context(order(number)));
    }
    while let Some(sent) = sending.join_next().await {
        sent.unwrap();
    }
}

/// What another service, which is not part of the test, began.
fn order(number: u64) -> Context {
    let state = TraceState::from_key_value([("shop", number.to_string())]).unwrap();
    let trace = TraceId::from(u128::from(number) << 64 | 0xabc);
    let span = SpanContext::new(trace, SpanId::from(number), TraceFlags::SAMPLED, true, state);
    let context = Context::new().with_remote_span_context(span);
    context.with_baggage([KeyValue::new("order", order_in_baggage(number))])
}

async fn consume(
    config: &ClientConfig,
    topic: &str,
    parent: &str,
    ambient: bool,
    stopped: &Notify,
    capture: &Capture,
) {
    let telemetry = telemetry(capture).process_parent(parent.parse().unwrap()).build();
    let consumer = config.create::<rdkafka::consumer::StreamConsumer>().unwrap();
    let consumer = StreamConsumer::builder(consumer).config(config).telemetry(&telemetry).build();
    consumer.subscribe(&[topic]).unwrap();
    let mut handling = JoinSet::new();
    loop {
        let received = tokio::select! {
            received = consumer.recv() => received,
            () = stopped.notified() => break,
        };
        match received {
            Ok(message) => {
                let (message, tracer) = (message.detach(), capture.tracer("application"));
                let context = if ambient {
                    Context::new().with_span(tracer.start("worker"))
                } else {
                    Context::new()
                };
                handling.spawn(handle(message, tracer).with_context(context));
            }
            Err(error) => tell(&Told::NotReceived(code(&error))),
        }
    }
    while let Some(handled) = handling.join_next().await {
        handled.unwrap();
    }
    consumer.commit_consumer_state(CommitMode::Sync).unwrap();
}

/// What a handler fails with.
#[derive(Debug)]
struct Unwanted;

impl fmt::Display for Unwanted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("secret")
    }
}

async fn handle(message: OwnedMessage, tracer: CaptureTracer) {
    let handler = async |message: &OwnedMessage| {
        let seen = see(message);
        let mut steady = true;
        for _ in 0..seen.number % 4 {
            yield_now().await;
            let again = see(message);
            steady &= (&again.span, &again.baggage) == (&seen.span, &seen.baggage);
        }
        drop(tracer.start(format!("ship {}", seen.number)));
        let failed = seen.number % 10 == 3;
        tell(&Told::Handled(Handled { steady, failed, ..seen }));
        if failed { Err(Unwanted) } else { Ok(()) }
    };
    // What it fails with was told.
    _ = message.process(handler).await;
}

fn see(message: &OwnedMessage) -> Handled {
    let context = Context::current();
    let (span, baggage) = (context.span().span_context().clone(), context.baggage());
    let baggage = baggage.iter().map(|(key, (value, _))| (key.to_string(), value.to_string()));
    Handled {
        number: message.payload_view::<str>().unwrap().unwrap().parse().unwrap(),
        place: (message.partition(), message.offset()),
        trace: span.trace_id().to_string(),
        span: span.span_id().to_string(),
        state: span.trace_state().header(),
        baggage: baggage.collect::<BTreeMap<_, _>>(),
        steady: true,
        failed: false,
    }
}
