//! A record that could not be sent comes back as it was, whatever was written into its headers.
#![allow(
    clippy::unwrap_used,
    clippy::type_complexity,
    reason = "helpers of tests, which clippy does not see as such"
)]

mod support;

use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use otel_kafka::Telemetry;
use otel_kafka::producer::{BaseProducer, BaseRecord, FutureProducer, FutureRecord};
use otel_testing::Capture;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Message as _, OwnedHeaders};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use support::{Cluster, LONG, TOPIC, headers, listed, unreachable};

const TRACE_PARENT: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Headers as they may come.
fn all() -> Vec<Option<OwnedHeaders>> {
    let odd: &[(&str, Option<&[u8]>)] = &[
        ("null", None),
        ("empty", Some(b"")),
        ("twice", Some(b"1")),
        ("no text", Some(b"\xff\xfe")),
        ("twice", Some(b"2")),
        ("", Some(b"no name")),
    ];
    let own: &[(&str, Option<&[u8]>)] = &[
        ("null", None),
        ("TraceParent", Some(TRACE_PARENT)),
        ("baggage", Some(b"tenant=blue")),
        ("traceparent", Some(b"broken")),
        ("last", Some(b"")),
        ("tracestate", None),
    ];
    vec![None, Some(OwnedHeaders::new()), Some(headers(odd)), Some(headers(own))]
}

/// Listened to or not, and with what a message has of its own kept or replaced.
fn telemetries(capture: &Capture) -> [Telemetry; 4] {
    [
        capture.telemetry(),
        capture.telemetry_builder().replace_trace_headers(true).build(),
        Telemetry::builder().propagator(TraceContextPropagator::new()).build(),
        Telemetry::builder()
            .propagator(TraceContextPropagator::new())
            .replace_trace_headers(true)
            .build(),
    ]
}

/// Something to write also where nobody listens.
fn ambient() -> Context {
    let (trace, span) = (TraceId::from(7), SpanId::from(7));
    let state = TraceState::from_key_value([("vendor", "7")]).unwrap();
    let parent = SpanContext::new(trace, span, TraceFlags::SAMPLED, true, state);
    Context::new()
        .with_remote_span_context(parent)
        .with_baggage([opentelemetry::KeyValue::new("tenant", "red")])
}

fn record<'a>(topic: &'a str, headers: Option<&OwnedHeaders>) -> FutureRecord<'a, str, str> {
    let headers = headers.cloned();
    FutureRecord { headers, ..FutureRecord::to(topic).key("7").payload("{}").timestamp(7) }
}

#[tokio::test]
async fn a_record_that_cannot_be_queued() {
    let capture = Capture::builder().check_on_drop(false).build();
    let _ambient = ambient().attach();
    for telemetry in telemetries(&capture) {
        let config = unreachable().set("queue.buffering.max.messages", "1").clone();
        let raw: rdkafka::producer::FutureProducer = config.create().unwrap();
        let _fills = raw.send_result(record(TOPIC, None)).map_err(|(error, _)| error).unwrap();
        let producer = FutureProducer::with(raw, &telemetry);
        for headers in all() {
            let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
            for (topic, expected) in [(TOPIC, Some(full)), ("or\0ders", None)] {
                let handed = listed(headers.as_ref());
                let (error, back) =
                    producer.send_result(record(topic, headers.as_ref())).err().unwrap();
                assert!(expected.as_ref().is_none_or(|expected| error == *expected), "{error}");
                assert_eq!(listed(back.headers.as_ref()), handed);
                assert_eq!((back.topic, back.partition, back.timestamp), (topic, None, Some(7)));
                assert_eq!((back.key, back.payload), (Some("7"), Some("{}")));

                let sending = producer.send(record(topic, headers.as_ref()), Duration::ZERO);
                let (second, back) = sending.await.unwrap_err();
                assert_eq!(second, error);
                assert_eq!(listed(back.headers()), handed);
            }
        }
    }
}

#[test]
fn a_record_with_an_opaque() {
    let capture = Capture::builder().check_on_drop(false).build();
    let _ambient = ambient().attach();
    for telemetry in telemetries(&capture) {
        let producer: BaseProducer = unreachable().create().unwrap();
        let producer = BaseProducer::with(producer.into_inner(), &telemetry);
        for headers in all() {
            let handed = listed(headers.as_ref());
            let record =
                BaseRecord { headers, ..BaseRecord::to("or\0ders").key("7").payload("{}") };
            let (_, back) = producer.send(record.partition(3)).unwrap_err();
            assert_eq!(listed(back.headers.as_ref()), handed);
            assert_eq!((back.topic, back.partition, back.timestamp), ("or\0ders", Some(3), None));
            assert_eq!((back.key, back.payload), (Some("7"), Some("{}")));
        }
    }
}

#[tokio::test]
async fn a_message_that_was_refused() {
    let capture = Capture::builder().check_on_drop(false).build();
    let cluster = Cluster::new();
    let refused = || {
        let refused = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_POLICY_VIOLATION];
        cluster.mock().request_errors(RDKafkaApiKey::Produce, &refused);
    };
    let _ambient = ambient().attach();
    let raw: rdkafka::producer::FutureProducer = cluster.config().create().unwrap();
    for telemetry in telemetries(&capture) {
        let producer = FutureProducer::with(raw.clone(), &telemetry);
        for headers in all() {
            // What rdkafka itself hands back is the measure: it takes an empty list for none.
            refused();
            let bare = raw.send(record(TOPIC, headers.as_ref()), LONG).await;
            let (error, bare) = bare.unwrap_err();
            let handed = listed(headers.as_ref()).filter(|list| !list.is_empty());
            assert_eq!(listed(bare.headers()).filter(|list| !list.is_empty()), handed);

            refused();
            let back = producer.send(record(TOPIC, headers.as_ref()), LONG).await;
            let (same, back) = back.unwrap_err();
            assert_eq!(same, error);
            assert_eq!(listed(back.headers()), listed(headers.as_ref()));
            assert_eq!(back.payload(), bare.payload());

            refused();
            let receipt = producer.send_result(record(TOPIC, headers.as_ref()));
            let (same, back) =
                receipt.map_err(|(error, _)| error).unwrap().await.unwrap().unwrap_err();
            assert_eq!(same, error);
            assert_eq!(listed(back.headers()), listed(headers.as_ref()));
        }
    }
}

/// What was written is there when the message arrives, and all the rest as it was.
#[tokio::test]
async fn headers_survive_the_way() {
    use rdkafka::consumer::Consumer as _;

    let capture = Capture::builder().check_on_drop(false).build();
    let cluster = Cluster::new();
    let raw: rdkafka::producer::FutureProducer = cluster.config().create().unwrap();
    let producer = FutureProducer::with(raw, &capture.telemetry());
    let consumer: rdkafka::consumer::BaseConsumer =
        cluster.config().set("group.id", "readers").create().unwrap();
    let mut assigned = rdkafka::TopicPartitionList::new();
    assigned.add_partition_offset(TOPIC, 0, rdkafka::Offset::Beginning).unwrap();
    consumer.assign(&assigned).unwrap();
    for headers in all() {
        producer.send(record(TOPIC, headers.as_ref()), LONG).await.unwrap();
        let arrived = consumer.poll(LONG).unwrap().unwrap().detach();
        let ours = |name: &str| {
            ["traceparent", "tracestate", "baggage"].contains(&&*name.to_ascii_lowercase())
        };
        let arrived = listed(arrived.headers()).unwrap_or_default();
        let (written, arrived): (Vec<_>, Vec<_>) =
            arrived.into_iter().partition(|(name, _)| ours(name));
        let own = listed(headers.as_ref()).unwrap_or_default();
        let own: Vec<_> = own.into_iter().filter(|(name, _)| !ours(name)).collect();
        assert_eq!(arrived, own);
        let parents = written.iter().filter(|(name, _)| name.eq_ignore_ascii_case("traceparent"));
        assert_eq!(parents.count(), 1, "{written:?}");
    }
    assert_eq!(capture.spans().len(), all().len());
}
