//! Whatever headers bring, the message is delivered, within bounds.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::TraceContextExt as _;
use otel_kafka::message::{Header, Headers as _, Message as _, OwnedHeaders};
use otel_testing::Capture;
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};

use crate::support::{BOUND, Broker, TOPIC, base, context, header, next, traceparent};

#[tokio::test]
async fn values_that_no_propagator_writes() {
    let long = vec![b'a'; 1 << 19];
    let long_baggage = [b"tenant=", &long[..]].concat();
    let other_version = [traceparent(1).as_bytes(), b"-more"].concat();
    for (name, value) in [
        ("traceparent", &b"00-short"[..]),
        ("traceparent", &[0xff; 55]),
        ("traceparent", b"00-00000000000000000000000000000000-0000000000000000-01"),
        ("traceparent", b"00-1-b7ad6b7169203331-01"),
        ("traceparent", b"00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("traceparent", &long),
        ("traceparent", &other_version),
        ("baggage", &long_baggage),
        ("tracestate", &long),
        ("baggage", b"%ff%00=;;,,==\0"),
    ] {
        let capture = Capture::new();
        let broker = Broker::new();
        broker.send_with(0, OwnedHeaders::new().insert(header(name, value))).await;
        let consumer = base(&capture.telemetry(), &broker.config());
        let message = next(&consumer);
        assert_eq!(message.headers().unwrap().get(0).value, Some(value));
        let [span] = &capture.spans()[..] else { panic!("one span") };
        assert!(span.links.links.is_empty(), "{name}");
        assert_eq!(message.process(async |_| Ok::<_, ()>(())).await, Ok(()));
    }
}

/// The formats have them be one list, however a client or a proxy split it.
#[tokio::test]
async fn several_headers_of_one_list() {
    let capture = Capture::new();
    let broker = Broker::new();
    let headers = OwnedHeaders::new()
        .insert(header("baggage", b"user=7"))
        .insert(header("tracestate", b"rojo=1,congo=2"))
        .insert(header("traceparent", traceparent(1).as_bytes()))
        .insert(header("TraceState", b"baz=3"))
        .insert(Header::<&[u8]> { key: "tracestate", value: None })
        .insert(header("Baggage", b"token=YWJjZA=="))
        .insert(header("tracestate", b""))
        .insert(header("baggage", b""));
    broker.send_with(0, headers).await;
    let consumer = base(&capture.telemetry(), &broker.config());
    let message = next(&consumer);
    let context = message.context();
    let state = context.span().span_context().trace_state().header();
    assert_eq!(state, "rojo=1,congo=2,baz=3");
    let baggage = |name: &str| context.baggage().get(name).map(ToString::to_string);
    assert_eq!(baggage("user").as_deref(), Some("7"));
    assert_eq!(baggage("token").as_deref(), Some("YWJjZA=="));
}

#[tokio::test]
async fn thousands_of_headers() {
    let capture = Capture::new();
    let broker = Broker::new();
    let filling: Vec<(&str, &[u8])> = vec![("filling", b"x"); 10_000];
    broker.send(0, 1, &filling).await;
    let consumer = base(&capture.telemetry(), &broker.config());
    assert_eq!(next(&consumer).headers().unwrap().count(), 10_001);
    capture.assert_spans([broker.poll("0", 0, 1)]);
}

/// What a client that is not rdkafka may send: rdkafka panics where it is read.
#[tokio::test]
async fn a_name_that_is_no_text() {
    let capture = Capture::new();
    let broker = Broker::new();
    let port = broker.cluster.bootstrap_servers().rsplit_once(':').unwrap().1.parse().unwrap();
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", format!("127.0.0.1:{}", garbling(port)));
    let producer: FutureProducer = config.create().unwrap();
    let headers = OwnedHeaders::new().insert(header(TEXT, b"x"));
    let headers = headers.insert(header("traceparent", traceparent(1).as_bytes()));
    let record = FutureRecord::to(TOPIC).partition(0).key("7").payload("a box").headers(headers);
    producer.send(record, BOUND).await.unwrap();
    let consumer = base(&capture.telemetry(), &broker.config());
    let message = next(&consumer);
    let read = std::panic::AssertUnwindSafe(|| message.headers().unwrap().get(0).key == TEXT);
    assert!(std::panic::catch_unwind(read).is_err());
    assert_eq!(message.payload(), Some(&b"a box"[..]));
    assert_eq!(message.process(async |message| Ok::<_, ()>(message.offset())).await, Ok(0));
    // Which trace it belongs to cannot be read either.
    let [poll, process] = &capture.spans()[..] else { panic!("two spans") };
    assert_eq!(poll.name, "poll orders");
    assert!(poll.links.links.is_empty() && process.links.links.is_empty());
    assert_ne!(process.span_context.trace_id(), context(1).trace_id());
}

const TEXT: &str = "it-was-text";
const NO_TEXT: [u8; TEXT.len()] = [0xff; TEXT.len()];

/// The port of a broker that forwards to another, and garbles the names of headers on the way.
fn garbling(port: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    let at = |port: u16| [b"127.0.0.1", &u32::from(port).to_be_bytes()[..]].concat();
    // The client goes where the broker says it is.
    let (theirs, ours) = (at(port), at(own));
    thread::spawn(move || {
        for client in listener.incoming() {
            let (client, broker) =
                (client.unwrap(), TcpStream::connect(("127.0.0.1", port)).unwrap());
            let (back, to) = (broker.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || forward(client, broker, TEXT.as_bytes(), &NO_TEXT));
            let (theirs, ours) = (theirs.clone(), ours.clone());
            thread::spawn(move || forward(back, to, &theirs, &ours));
        }
    });
    own
}

fn forward(mut from: TcpStream, mut to: TcpStream, what: &[u8], by: &[u8]) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let bytes = &mut buffer[..length];
        while let Some(place) = bytes.windows(what.len()).position(|bytes| bytes == what) {
            bytes[place..place + what.len()].copy_from_slice(by);
        }
        if to.write_all(bytes).is_err() {
            return;
        }
    }
}
