//! Each way to receive: a span for what came, and nothing for what did not.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use futures_util::StreamExt as _;
use otel_kafka::consumer::{BaseConsumer, Consumer as _};
use otel_kafka::message::{Headers as _, Message as _, OwnedHeaders};
use otel_testing::{Capture, metric, point};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Header;
use rdkafka::producer::FutureRecord;
use rdkafka::util::Timeout;

use crate::support::{BOUND, Broker, TOPIC, base, next, traceparent, within};

const DURATION: &str = "messaging.client.operation.duration";
const CONSUMED: &str = "messaging.client.consumed.messages";

#[tokio::test]
async fn a_call_with_a_bound_is_timed() {
    let capture = Capture::new();
    let broker = Broker::new();
    broker.send(0, 1, &[]).await;
    let consumer = base(&capture.telemetry(), &broker.config());
    assert_eq!(next(&consumer).payload(), Some(&b"a box"[..]));
    capture.assert_spans([broker.poll("0", 0, 1)]);
    let measured = capture.assert_metric(metric(DURATION).unit("s"));
    assert_eq!(measured.points.len(), 1);
    assert_eq!(measured.points[0].count(), Some(1));
    let servers = broker.cluster.bootstrap_servers();
    let (address, port) = servers.rsplit_once(':').unwrap();
    capture.assert_metric(
        metric(CONSUMED).point(
            point()
                .attribute("messaging.system", "kafka")
                .attribute("messaging.operation.name", "poll")
                .attribute("messaging.destination.name", TOPIC)
                .attribute("messaging.destination.partition.id", "0")
                .attribute("messaging.consumer.group.name", "warehouse")
                .attribute("server.address", address.to_owned())
                .attribute("server.port", port.parse::<i64>().unwrap())
                .value(1),
        ),
    );
}

#[tokio::test]
async fn waits_without_a_bound_are_not_timed() {
    let capture = Capture::new();
    let broker = Broker::new();
    for trace in 1..=3 {
        broker.send(0, trace, &[]).await;
    }
    let consumer = base(&capture.telemetry(), &broker.config());
    drop(consumer.poll(Timeout::Never).unwrap().unwrap());
    drop(consumer.iter().next().unwrap().unwrap());
    for (offset, message) in (2..3).zip(&consumer) {
        assert_eq!(message.unwrap().offset(), offset);
    }
    drop(consumer);
    let expected = [1, 2, 3].map(|trace| broker.poll("0", i64::from(trace) - 1, trace));
    capture.assert_spans(expected);
    capture.assert_no_metric(DURATION);
    capture.assert_metric(metric(CONSUMED));
}

#[tokio::test]
async fn a_stream_and_its_single_messages() {
    let capture = Capture::new();
    let broker = Broker::new();
    for trace in 1..=3 {
        broker.send(0, trace, &[]).await;
    }
    let consumer = broker.stream(&capture.telemetry());
    assert_eq!(within(consumer.recv()).await.unwrap().offset(), 0);
    let mut stream = consumer.stream();
    for offset in 1..=2 {
        assert_eq!(within(stream.next()).await.unwrap().unwrap().offset(), offset);
    }
    let expected = [1, 2, 3].map(|trace| broker.poll("0", i64::from(trace) - 1, trace));
    capture.assert_spans(expected);
    capture.assert_no_metric(DURATION);
}

#[tokio::test]
async fn queues_of_partitions() {
    let capture = Capture::new();
    let broker = Broker::new();
    broker.send(1, 1, &[]).await;
    broker.send(1, 2, &[]).await;
    let consumer = Arc::new(base(&capture.telemetry(), &broker.config()));
    let queue = consumer.split_partition_queue(TOPIC, 1).unwrap();
    // The consumer serves the assignment, the queue the messages.
    assert!(consumer.poll(Duration::ZERO).is_none());
    assert_eq!(queue.poll(BOUND).unwrap().unwrap().offset(), 0);
    assert_eq!(queue.poll(None).unwrap().unwrap().offset(), 1);
    capture.assert_spans([broker.poll("1", 0, 1), broker.poll("1", 1, 2)]);
    assert_eq!(capture.assert_metric(DURATION).points[0].count(), Some(1));
    drop((queue, consumer));
    capture.clear();

    let consumer = Arc::new(broker.stream(&capture.telemetry()));
    let queue = consumer.split_partition_queue(TOPIC, 1).unwrap();
    let serve = async {
        let _ = consumer.recv().await;
        panic!("the queue has the messages");
    };
    let read = async {
        assert_eq!(queue.recv().await.unwrap().offset(), 0);
        assert_eq!(queue.stream().next().await.unwrap().unwrap().offset(), 1);
    };
    within(futures_util::future::select(pin!(serve), pin!(read))).await.factor_first();
    capture.assert_spans([broker.poll("1", 0, 1), broker.poll("1", 1, 2)]);
}

#[tokio::test]
async fn nothing_came() {
    let capture = Capture::new();
    let broker = Broker::new();
    let mut config = broker.config();
    let config = config.set("enable.partition.eof", "true");
    let consumer = base(&capture.telemetry(), config);
    assert!(consumer.poll(Duration::ZERO).is_none());
    // The end of a partition is an error to rdkafka, and none to those who watch.
    let end = consumer.poll(BOUND).unwrap();
    assert!(matches!(end, Err(KafkaError::PartitionEOF(_))));

    let consumer = broker.stream(&capture.telemetry());
    let mut task = Context::from_waker(Waker::noop());
    assert!(pin!(consumer.recv()).poll(&mut task).is_pending());
    assert!(consumer.stream().poll_next_unpin(&mut task).is_pending());
    capture.assert_silent();
}

/// Nobody is there. One span for each error that rdkafka tells, and none in between.
#[tokio::test]
async fn errors() {
    let capture = Capture::new();
    let mut config = rdkafka::ClientConfig::new();
    // The port of the echo service, which nobody runs.
    config.set("bootstrap.servers", "127.0.0.1:7").set("group.id", "warehouse");
    let raw: rdkafka::consumer::BaseConsumer = config.create().unwrap();
    let builder = BaseConsumer::builder(raw).config(&config);
    let consumer = builder.telemetry(&capture.telemetry()).build();
    consumer.subscribe(&[TOPIC]).unwrap();
    let errors: Vec<_> = (0..2).map(|_| consumer.poll(BOUND).unwrap().err().unwrap()).collect();
    let expected = errors.iter().map(|error| {
        let error_type = match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::BrokerTransportFailure) => "_TRANSPORT",
            Some(RDKafkaErrorCode::AllBrokersDown) => "_ALL_BROKERS_DOWN",
            other => panic!("{other:?}"),
        };
        otel_testing::span("poll 127.0.0.1:7")
            .client()
            .attribute("messaging.system", "kafka")
            .attribute("server.address", "127.0.0.1")
            .attribute("server.port", 7)
            .attribute("messaging.client.id", "rdkafka")
            .attribute("messaging.consumer.group.name", "warehouse")
            .attribute("messaging.operation.name", "poll")
            .attribute("messaging.operation.type", "receive")
            .attribute("error.type", error_type)
            .error("")
    });
    capture.assert_spans(expected);
    capture.assert_no_metric(CONSUMED);
}

/// The reader sees what was sent, and the span what of it is text.
#[tokio::test]
async fn messages_are_as_they_were_sent() {
    let capture = Capture::new();
    let broker = Broker::new();
    let headers = || {
        let traceparent = traceparent(1);
        OwnedHeaders::new()
            .insert(Header { key: "traceparent", value: Some(traceparent.as_str()) })
            .insert(Header { key: "null", value: None::<&str> })
            .insert(Header { key: "twice", value: Some("first") })
            .insert(Header { key: "twice", value: Some("second") })
            .insert(Header { key: "bytes", value: Some(&[0xff_u8, 0xfe][..]) })
    };
    let tombstone = FutureRecord::<str, str>::to(TOPIC).partition(0).headers(headers());
    broker.send_record(tombstone).await;
    let consumer = base(&capture.telemetry(), &broker.config());
    let message = next(&consumer);
    assert_eq!((message.key(), message.payload()), (None, None));
    let sent = headers();
    let (got, sent) = (message.headers().unwrap(), sent.as_borrowed());
    assert!(got.iter().eq(sent.iter()));
    assert_eq!(message.detach().headers().unwrap().count(), 5);
    let expected = broker.poll("0", 0, 1).without_attribute("messaging.kafka.message.key");
    capture.assert_spans([expected.attribute("messaging.kafka.message.tombstone", true)]);
}
