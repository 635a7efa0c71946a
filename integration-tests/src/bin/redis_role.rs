//! A process of `tests/redis_processes.rs`: a producer or a consumer of a stream, which tells what it
//! did and what was captured of it.
#![allow(clippy::panic, clippy::print_stdout, clippy::unwrap_used, reason = "a part of a test")]

use std::collections::BTreeMap;
use std::io::{Read as _, stdin};
use std::sync::Arc;
use std::thread;

use integration_tests::PATIENCE;
use integration_tests::told::{Handled, Role, Told, all, order_in_baggage};
use otel_redis::aio::MultiplexedConnection;
use otel_redis::{Client, Messaging};
use otel_testing::Capture;
use otel_testing::opentelemetry::baggage::BaggageExt as _;
use otel_testing::opentelemetry::trace::{
    FutureExt as _, SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
    Tracer as _,
};
use otel_testing::opentelemetry::{Context, KeyValue};
use redis::streams::{StreamId, StreamReadOptions, StreamReadReply};
use redis::{AsyncCommands as _, AsyncConnectionConfig};
use tokio::sync::Notify;
use tokio::task::{JoinSet, yield_now};

#[tokio::main]
async fn main() {
    let role = std::env::args().nth(1).unwrap();
    let stopped = Arc::new(Notify::new());
    let stop = Arc::clone(&stopped);
    thread::spawn(move || {
        _ = stdin().read_to_end(&mut Vec::new());
        stop.notify_one();
    });
    let capture = Capture::new();
    match serde_json::from_str(&role).unwrap() {
        Role::Produce { brokers, topic, count, .. } => {
            let mut connection = connect(&brokers, "ambient", &capture).await;
            for number in 1..=count.unwrap() {
                let (id, fields) = (format!("1-{number}"), [("number", number)]);
                let adding = connection.xadd::<_, _, _, _, String>(&topic, id, &fields);
                adding.with_context(order(number)).await.unwrap();
            }
        }
        Role::Consume { brokers, topic, group, parent, ambient } => {
            let reader = connect(&brokers, &parent, &capture).await;
            consume(reader, &topic, &group, ambient, &stopped, &capture).await;
        }
    }
    all(&capture).iter().for_each(tell);
}

fn tell(line: &Told) {
    println!("{}", serde_json::to_string(line).unwrap());
}

async fn connect(url: &str, parent: &str, capture: &Capture) -> MultiplexedConnection {
    let telemetry = capture.telemetry_builder().process_parent(parent.parse().unwrap()).build();
    let client = Client::builder(redis::Client::open(url).unwrap()).telemetry(&telemetry);
    let client = client.messaging(Messaging::new().stream_fields(true)).build();
    let settings = AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
    client.get_multiplexed_async_connection_with_config(&settings).await.unwrap()
}

/// What another service, which is not part of the test, began.
fn order(number: u64) -> Context {
    let state = TraceState::from_key_value([("shop", number.to_string())]).unwrap();
    let (trace, id) = (TraceId::from(u128::from(number)), SpanId::from(number));
    let span = SpanContext::new(trace, id, TraceFlags::SAMPLED, true, state);
    let context = Context::new().with_remote_span_context(span);
    context.with_baggage([KeyValue::new("order", order_in_baggage(number))])
}

/// Handles entries at the same time, until it is stopped.
async fn consume(
    mut reader: MultiplexedConnection,
    stream: &str,
    group: &str,
    ambient: bool,
    stopped: &Notify,
    capture: &Capture,
) {
    let options = StreamReadOptions::default().group(group, "one").count(1).block(50);
    let (mut handling, streams) = (JoinSet::new(), [stream]);
    loop {
        let reading = reader.xread_options::<_, _, StreamReadReply>(&streams, &[">"], &options);
        let read = tokio::select! {
            read = reading => read.unwrap(),
            () = stopped.notified() => break,
        };
        for entry in read.keys.into_iter().flat_map(|key| key.ids) {
            let context = if ambient {
                Context::new().with_span(capture.tracer("application").start("worker"))
            } else {
                Context::new()
            };
            let names = (stream.to_owned(), group.to_owned());
            handling.spawn(handle(reader.clone(), names, entry).with_context(context));
        }
    }
    while let Some(handled) = handling.join_next().await {
        handled.unwrap();
    }
}

/// What a handler fails with.
struct Unwanted;

async fn handle(
    mut connection: MultiplexedConnection,
    (stream, group): (String, String),
    entry: StreamId,
) {
    let handler = async || {
        let seen = see(&entry);
        let mut steady = true;
        for _ in 0..seen.number % 4 {
            yield_now().await;
            let again = see(&entry);
            steady &= (&again.span, &again.baggage) == (&seen.span, &seen.baggage);
        }
        let failed = seen.number % 10 == 3;
        tell(&Told::Handled(Handled { steady, failed, ..seen }));
        if failed { Err(Unwanted) } else { Ok(()) }
    };
    let received = connection.received(&stream, &entry.id);
    if received.process(handler).await.is_ok() {
        let () = connection.xack(&stream, &group, &[&entry.id]).await.unwrap();
    }
}

fn see(entry: &StreamId) -> Handled {
    let context = Context::current();
    let (span, baggage) = (context.span().span_context().clone(), context.baggage());
    let baggage = baggage.iter().map(|(key, (value, _))| (key.to_string(), value.to_string()));
    let number: u64 = entry.get("number").unwrap();
    Handled {
        number,
        place: (1, i64::try_from(number).unwrap()),
        trace: span.trace_id().to_string(),
        span: span.span_id().to_string(),
        state: span.trace_state().header(),
        baggage: baggage.collect::<BTreeMap<_, _>>(),
        steady: true,
        failed: false,
    }
}
