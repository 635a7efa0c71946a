//! librdkafka counts headers for the size of a message: one that fits only without a trace is sent
//! without, as a producer without instrumentation sends it, and one byte more is refused as ever.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as such")]

mod support;

use std::sync::{Arc, Mutex};

use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use otel_kafka::Telemetry;
use otel_kafka::producer::{
    BaseProducer, BaseRecord, DeliveryResult, FutureProducer, FutureRecord, Producer as _,
    ProducerContext, ThreadedProducer,
};
use otel_testing::Capture;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Message as _, OwnedHeaders};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use support::{Cluster, LONG, Listed, TOPIC, failed, headers, listed};

const LIMIT: usize = 5000;

fn limited(cluster: &Cluster) -> ClientConfig {
    cluster.config().set("message.max.bytes", LIMIT.to_string()).clone()
}

/// The longest payload that bare rdkafka sends with these headers.
fn longest(cluster: &Cluster, headers: Option<&OwnedHeaders>) -> usize {
    let bare: rdkafka::producer::BaseProducer = limited(cluster).create().unwrap();
    let fits = |length: &usize| {
        let payload = vec![b'x'; *length];
        let record = BaseRecord::<str, _>::to("elsewhere").payload(&payload);
        bare.send(BaseRecord { headers: headers.cloned(), ..record }).is_ok()
    };
    (0..LIMIT).rev().find(fits).unwrap()
}

fn reader(cluster: &Cluster) -> BaseConsumer {
    let consumer: BaseConsumer = cluster.config().set("group.id", "readers").create().unwrap();
    let mut all = TopicPartitionList::new();
    all.add_partition_offset(TOPIC, 0, Offset::Beginning).unwrap();
    consumer.assign(&all).unwrap();
    consumer
}

fn arrived(reader: &BaseConsumer) -> Listed {
    listed(reader.poll(LONG).unwrap().unwrap().detach().headers())
}

fn too_large() -> KafkaError {
    KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge)
}

fn record<'a>(payload: &'a [u8], headers: Option<&OwnedHeaders>) -> FutureRecord<'a, str, [u8]> {
    FutureRecord { headers: headers.cloned(), ..FutureRecord::to(TOPIC).payload(payload) }
}

#[tokio::test]
async fn by_receipts() {
    let cluster = Cluster::new();
    let raw: rdkafka::producer::FutureProducer = limited(&cluster).create().unwrap();
    let id = Cluster::known_by(raw.client());
    let reader = reader(&cluster);
    let own: &[(&str, Option<&[u8]>)] = &[("twice", Some(b"1")), ("twice", None)];
    for (sent, own) in (0_i64..).zip([None, Some(headers(own))]) {
        let capture = Capture::new();
        let builder = FutureProducer::builder(raw.clone()).config(&limited(&cluster));
        let producer = builder.telemetry(&capture.telemetry()).build();
        let length = longest(&cluster, own.as_ref());
        let (fits, more) = (vec![b'x'; length], vec![b'x'; length + 1]);
        let handed = listed(own.as_ref());

        let delivery = producer.send(record(&fits, own.as_ref()), LONG).await.unwrap();
        assert_eq!(delivery.offset, sent * 2);
        let (error, back) = producer.send(record(&more, own.as_ref()), LONG).await.unwrap_err();
        assert_eq!((error, listed(back.headers())), (too_large(), handed.clone()));
        let receipt = producer.send_result(record(&fits, own.as_ref()));
        receipt.map_err(|(error, _)| error).unwrap().await.unwrap().unwrap();
        let (error, back) = producer.send_result(record(&more, own.as_ref())).err().unwrap();
        assert_eq!((error, listed(back.headers.as_ref())), (too_large(), handed.clone()));

        for _ in 0..2 {
            assert_eq!(arrived(&reader), handed);
        }
        let known = |span: otel_testing::assert::ExpectedSpan| {
            span.attribute("messaging.kafka.cluster.id", id.clone())
        };
        let refused = || failed(known(cluster.unanswered()), "MESSAGE_TOO_LARGE");
        let done = |offset| known(cluster.sent(offset));
        capture.assert_spans([done(sent * 2), refused(), done(sent * 2 + 1), refused()]);
    }
}

/// Nobody listens, and the ambient context has no room. What was replaced comes back.
#[tokio::test]
async fn where_nobody_listens() {
    let cluster = Cluster::new();
    let raw: rdkafka::producer::FutureProducer = limited(&cluster).create().unwrap();
    let reader = reader(&cluster);
    let parent = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let own = headers(&[("traceparent", Some(parent)), ("last", Some(b""))]);
    let state = TraceState::from_key_value([("vendor", "7")]).unwrap();
    let (trace, span) = (TraceId::from(7), SpanId::from(7));
    let ambient = SpanContext::new(trace, span, TraceFlags::SAMPLED, true, state);
    let _ambient = opentelemetry::Context::new().with_remote_span_context(ambient).attach();
    let telemetry = Telemetry::builder()
        .propagator(TraceContextPropagator::new())
        .replace_trace_headers(true)
        .enabled(false)
        .build();
    let producer = FutureProducer::with(raw, &telemetry);
    for own in [None, Some(own)] {
        let fits = vec![b'x'; longest(&cluster, own.as_ref())];
        producer.send(record(&fits, own.as_ref()), LONG).await.unwrap();
        assert_eq!(arrived(&reader), listed(own.as_ref()));
    }
}

/// Notes the opaques that it got back.
#[derive(Clone, Default)]
struct Noting(Arc<Mutex<Vec<usize>>>);

impl ClientContext for Noting {}

impl ProducerContext for Noting {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, opaque: usize) {
        assert!(result.is_ok());
        self.0.lock().unwrap().push(opaque);
    }
}

#[test]
fn by_callbacks() {
    let cluster = Cluster::new();
    let config = limited(&cluster);
    let length = longest(&cluster, None);
    let (fits, more) = (vec![b'x'; length], vec![b'x'; length + 1]);
    let reader = reader(&cluster);
    let record = |payload, opaque| BaseRecord::<str, Vec<u8>, usize> {
        payload: Some(payload),
        ..BaseRecord::with_opaque_to(TOPIC, opaque)
    };
    let noting = Noting::default();

    let capture = Capture::new();
    let raw: BaseProducer<Noting> = config.create_with_context(noting.clone()).unwrap();
    let builder = BaseProducer::builder(raw.into_inner()).config(&config);
    let polled = builder.telemetry(&capture.telemetry()).build();
    let id = Cluster::known_by(polled.client());
    assert!(polled.send(record(&fits, 1)).is_ok());
    let (error, back) = polled.send(record(&more, 2)).unwrap_err();
    assert_eq!((error, back.delivery_opaque, back.headers.is_none()), (too_large(), 2, true));
    polled.flush(LONG).unwrap();

    let raw: ThreadedProducer<Noting> = config.create_with_context(noting.clone()).unwrap();
    let builder = ThreadedProducer::builder(raw.into_inner()).config(&config);
    let threaded = builder.telemetry(&capture.telemetry()).build();
    Cluster::known_by(threaded.client());
    let (error, back) = threaded.send(record(&more, 3)).unwrap_err();
    assert_eq!((error, back.delivery_opaque, back.headers.is_none()), (too_large(), 3, true));
    assert!(threaded.send(record(&fits, 4)).is_ok());
    threaded.flush(LONG).unwrap();

    for _ in 0..2 {
        assert_eq!(arrived(&reader), None);
    }
    assert_eq!(*noting.0.lock().unwrap(), [1, 4]);
    let known = |span: otel_testing::assert::ExpectedSpan| {
        span.attribute("messaging.kafka.cluster.id", id.clone())
    };
    let refused = || failed(known(cluster.unanswered()), "MESSAGE_TOO_LARGE");
    let expected = [known(cluster.sent(0)), refused(), refused(), known(cluster.sent(1))];
    capture.assert_spans_in_any_order(expected);
}
