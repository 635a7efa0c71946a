//! A send ends when its report is there: once, with what the report says, whoever waits for it or
//! does not, and also where the producer goes away or a callback of the user's panics.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanProcessor};
use otel_kafka::Telemetry;
use otel_kafka::producer::{
    BaseProducer, BaseRecord, DeliveryContext, DeliveryResult, FutureProducer, FutureRecord,
    Partitioner, Producer as _, ProducerContext, PurgeConfig, ThreadedProducer,
};
use otel_testing::Capture;
use rdkafka::client::ClientContext;
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use support::{Cluster, LONG, TOPIC, eventually, failed, sending, unreachable};

/// An opaque that is told when it goes.
struct Numbered(usize, Arc<AtomicUsize>);

impl Drop for Numbered {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

type Report = (usize, Result<i64, KafkaError>);

/// The user's context.
struct Reporting<Part = rdkafka::producer::NoCustomPartitioner> {
    reports: Mutex<Sender<Report>>,
    panics: AtomicBool,
    partitioner: Option<Part>,
}

impl<Part: Send + Sync> ClientContext for Reporting<Part> {
    fn error(&self, _: KafkaError, _: &str) {}
    fn log(&self, _: rdkafka::config::RDKafkaLogLevel, _: &str, _: &str) {}
}

impl<Part: Partitioner + Send + Sync> ProducerContext<Part> for Reporting<Part> {
    type DeliveryOpaque = Box<Numbered>;

    fn delivery(&self, result: &DeliveryResult<'_>, opaque: Box<Numbered>) {
        assert!(!self.panics.swap(false, Ordering::SeqCst), "the callback's own panic");
        let told = result.as_ref().map(Message::offset).map_err(|it| it.0.clone());
        let _ = self.reports.lock().unwrap().send((opaque.0, told));
    }

    fn get_custom_partitioner(&self) -> Option<&Part> {
        self.partitioner.as_ref()
    }
}

fn reporting<Part>(partitioner: Option<Part>) -> (Reporting<Part>, Receiver<Report>) {
    let (sender, receiver) = channel();
    let (reports, panics) = (Mutex::new(sender), AtomicBool::new(false));
    (Reporting { reports, panics, partitioner }, receiver)
}

fn record(number: usize, dropped: &Arc<AtomicUsize>) -> BaseRecord<'_, str, str, Box<Numbered>> {
    let opaque = Box::new(Numbered(number, Arc::clone(dropped)));
    BaseRecord::with_opaque_to(TOPIC, opaque).payload("{}")
}

fn simple() -> FutureRecord<'static, str, str> {
    FutureRecord::to(TOPIC).payload("{}")
}

fn base(
    config: &rdkafka::ClientConfig,
    capture: &Capture,
) -> (BaseProducer<Reporting>, Receiver<Report>) {
    let (context, reports) = reporting(None);
    let raw = rdkafka::producer::BaseProducer::from_config_and_context(
        config,
        DeliveryContext::new(context),
    );
    let builder = BaseProducer::builder(raw.unwrap()).config(config);
    (builder.telemetry(&capture.telemetry()).build(), reports)
}

#[test]
fn a_polled_producer() {
    let (capture, cluster) = (Capture::new(), Cluster::new());
    let (producer, reports) = base(&cluster.config(), &capture);
    let id = Cluster::known_by(producer.client());
    let dropped = Arc::default();
    for number in 0..3 {
        assert!(producer.send(record(number, &dropped)).is_ok());
    }
    eventually(|| {
        producer.poll(Duration::ZERO);
        producer.in_flight_count() == 0
    });
    let reported: Vec<Report> = reports.try_iter().collect();
    assert_eq!(reported, [(0, Ok(0)), (1, Ok(1)), (2, Ok(2))]);
    assert_eq!(dropped.load(Ordering::SeqCst), 3);
    let sent = |offset| cluster.sent(offset).attribute("messaging.kafka.cluster.id", id.clone());
    capture.assert_spans((0..3).map(sent));
    capture.check();
}

#[test]
fn a_producer_with_a_thread() {
    let (capture, cluster) = (Capture::new(), Cluster::new());
    let (context, reports) = reporting(None);
    let raw = rdkafka::producer::ThreadedProducer::from_config_and_context(
        &cluster.config(),
        DeliveryContext::new(context),
    );
    let builder = ThreadedProducer::builder(raw.unwrap()).config(&cluster.config());
    let producer = builder.telemetry(&capture.telemetry()).build();
    let id = Cluster::known_by(producer.client());
    let dropped = Arc::default();
    for number in 0..3 {
        assert!(producer.clone().send(record(number, &dropped)).is_ok());
        let offset = i64::try_from(number).unwrap();
        assert_eq!(reports.recv_timeout(LONG), Ok((number, Ok(offset))));
    }
    let sent = |offset| cluster.sent(offset).attribute("messaging.kafka.cluster.id", id.clone());
    capture.assert_spans((0..3).map(sent));
    drop(producer);
    assert_eq!(dropped.load(Ordering::SeqCst), 3);
    assert!(reports.try_recv().is_err());
}

struct Last;

impl Partitioner for Last {
    fn partition(&self, _: &str, _: Option<&[u8]>, count: i32, _: impl Fn(i32) -> bool) -> i32 {
        count - 1
    }
}

#[test]
fn the_users_partitioner_is_asked() {
    let (capture, cluster) = (Capture::new(), Cluster::with_partitions(3));
    // rdkafka crashes if there is a partitioner, and nothing is configured for topics.
    let config = cluster.config().set("message.timeout.ms", "30000").clone();
    let (context, reports) = reporting(Some(Last));
    let context = DeliveryContext::new(context);
    let raw = rdkafka::producer::BaseProducer::from_config_and_context(&config, context);
    let builder = BaseProducer::builder(raw.unwrap()).config(&config);
    let producer = builder.telemetry(&capture.telemetry()).build();
    let id = Cluster::known_by(producer.client());
    let dropped = Arc::default();
    assert!(producer.send(record(7, &dropped).key("a")).is_ok());
    producer.flush(LONG).unwrap();
    assert_eq!(reports.try_recv(), Ok((7, Ok(0))));
    let expected = cluster.unanswered().attribute("messaging.destination.partition.id", "2");
    let expected = expected
        .attribute("messaging.kafka.offset", 0)
        .attribute("messaging.kafka.message.key", "a");
    capture.assert_spans([expected.attribute("messaging.kafka.cluster.id", id)]);
}

fn purged() -> KafkaError {
    KafkaError::MessageProduction(RDKafkaErrorCode::PurgeQueue)
}

#[test]
fn purged_messages() {
    let capture = Capture::new();
    let (producer, reports) = base(&unreachable(), &capture);
    let dropped = Arc::default();
    for number in 0..2 {
        assert!(producer.send(record(number, &dropped)).is_ok());
    }
    assert!(capture.spans().is_empty(), "no report yet");
    producer.purge(PurgeConfig::default().queue());
    producer.flush(LONG).unwrap();
    let reported: Vec<Report> = reports.try_iter().collect();
    assert_eq!(reported, [(0, Err(purged())), (1, Err(purged()))]);
    let expected = failed(sending("127.0.0.1".to_owned(), 1), "_PURGE_QUEUE");
    capture.assert_spans([expected.clone(), expected]);
}

#[test]
fn a_producer_that_goes_away() {
    let capture = Capture::new();
    let (producer, reports) = base(&unreachable(), &capture);
    let dropped = Arc::default();
    assert!(producer.send(record(7, &dropped)).is_ok());
    drop(producer);
    assert_eq!(reports.try_iter().collect::<Vec<_>>(), [(7, Err(purged()))]);
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
    capture.assert_spans([failed(sending("127.0.0.1".to_owned(), 1), "_PURGE_QUEUE")]);
}

/// rdkafka loses the reports that came together with the one whose callback panicked: what waited
/// for them goes with the producer.
#[test]
fn a_callback_that_panics() {
    let (capture, cluster) = (Capture::new(), Cluster::new());
    let config = cluster.config().set("linger.ms", "1000").clone();
    let (producer, reports) = base(&config, &capture);
    let id = Cluster::known_by(producer.client());
    let dropped = Arc::default();
    for number in 0..3 {
        assert!(producer.send(record(number, &dropped)).is_ok());
    }
    producer.context().panics.store(true, Ordering::SeqCst);
    let flushed = catch_unwind(AssertUnwindSafe(|| producer.flush(LONG)));
    assert!(flushed.is_err(), "the panic is the application's");
    let known = |expected: otel_testing::assert::ExpectedSpan| {
        expected.attribute("messaging.kafka.cluster.id", id.clone())
    };
    assert_eq!(capture.spans().len(), 1, "{:#?}", capture.spans());
    capture.assert_spans([known(cluster.sent(0))]);
    assert!(reports.try_recv().is_err());
    drop(producer);
    assert_eq!(dropped.load(Ordering::SeqCst), 3);
    capture.assert_spans([
        known(cluster.sent(0)),
        known(cluster.unanswered()),
        known(cluster.unanswered()),
    ]);
    capture.check();
}

fn future(config: &rdkafka::ClientConfig, capture: &Capture) -> FutureProducer {
    let raw = config.create().unwrap();
    FutureProducer::builder(raw).config(config).telemetry(&capture.telemetry()).build()
}

#[tokio::test]
async fn receipts() {
    let (capture, cluster) = (Capture::new(), Cluster::new());
    let producer = future(&cluster.config(), &capture);
    let id = Cluster::known_by(producer.client());
    let first = producer.send_result(simple()).map_err(|(error, _)| error).unwrap();
    let second = producer.send_result(simple()).map_err(|(error, _)| error).unwrap();
    // In another task, and out of order.
    let second = tokio::spawn(second).await.unwrap().unwrap().unwrap();
    let first = first.await.unwrap().unwrap();
    assert_eq!((first.partition, first.offset, second.offset), (0, 0, 1));
    let sent = |offset| cluster.sent(offset).attribute("messaging.kafka.cluster.id", id.clone());
    capture.assert_spans([sent(0), sent(1)]);
}

/// Nobody waits, and yet what the report says is told.
#[test]
fn dropped_receipts() {
    let (capture, cluster) = (Capture::new(), Cluster::new());
    let producer = future(&cluster.config(), &capture);
    let id = Cluster::known_by(producer.client());
    drop(producer.send_result(simple()));
    let kept = producer.send_result(simple());
    eventually(|| capture.spans().len() == 2);
    let sent = |offset| cluster.sent(offset).attribute("messaging.kafka.cluster.id", id.clone());
    capture.assert_spans([sent(0), sent(1)]);
    drop(kept);
    assert_eq!(capture.spans().len(), 2);
}

#[derive(Debug)]
struct Slow(Mutex<(Sender<bool>, Receiver<()>)>);

impl SpanProcessor for Slow {
    fn on_start(&self, _: &mut Span, _: &opentelemetry::Context) {}

    fn on_end(&self, _: SpanData) {
        let (entered, released) = &*self.0.lock().unwrap();
        entered.send(true).unwrap();
        entered.send(released.recv_timeout(LONG).is_ok()).unwrap();
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// A processor takes its time with the span: the thread that waits for the report goes on.
#[test]
fn a_processor_that_takes_its_time() {
    let cluster = Cluster::new();
    let ((entered, is_entered), (release, released)) = (channel(), channel());
    let slow = Slow(Mutex::new((entered, released)));
    let provider = SdkTracerProvider::builder().with_span_processor(slow).build();
    let producer: FutureProducer = FutureProducer::builder(cluster.config().create().unwrap())
        .telemetry(&Telemetry::builder().tracer_provider(provider).build())
        .build();
    let mut sending = pin!(producer.send(simple(), LONG));
    let mut polled = || sending.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled().is_pending());
    is_entered.recv_timeout(LONG).unwrap();
    assert!(polled().is_pending());
    release.send(()).unwrap();
    eventually(|| polled().is_ready());
    assert!(is_entered.recv_timeout(LONG).unwrap(), "the thread had to wait for the processor");
}

/// A send that is dropped once its message is queued has cancelled nothing.
#[test]
fn a_send_that_is_dropped_later() {
    let (capture, cluster) = (Capture::new(), Cluster::new());
    let producer = future(&cluster.config().set("linger.ms", "200").clone(), &capture);
    let id = Cluster::known_by(producer.client());
    {
        let sending = pin!(producer.send(simple(), LONG));
        assert!(sending.poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    assert!(capture.spans().is_empty(), "no report yet");
    eventually(|| !capture.spans().is_empty());
    capture.assert_spans([cluster.sent(0).attribute("messaging.kafka.cluster.id", id)]);
}

/// Neither has one that had to wait for room before.
#[tokio::test]
async fn a_send_that_waited_for_room_and_is_dropped_later() {
    let (capture, cluster) = (Capture::new(), Cluster::new());
    let config = cluster.config().set("queue.buffering.max.messages", "1").clone();
    let producer = future(&config, &capture);
    let id = Cluster::known_by(producer.client());
    cluster.mock().broker_round_trip_time(1, Duration::from_millis(500)).unwrap();
    drop(producer.send_result(simple()));
    let first_is_sent_and_second_queued = async {
        while capture.spans().len() != 1 || producer.in_flight_count() != 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        biased;
        sent = producer.send(simple(), LONG) => panic!("{sent:?}"),
        () = first_is_sent_and_second_queued => {}
        () = tokio::time::sleep(LONG) => panic!("no room"),
    }
    eventually(|| capture.spans().len() == 2);
    let sent = |offset| cluster.sent(offset).attribute("messaging.kafka.cluster.id", id.clone());
    capture.assert_spans([sent(0), sent(1)]);
}

/// A queue that stays full is an error after the time that was given, and not before.
#[tokio::test]
async fn a_send_that_gets_no_room_in_time() {
    let (capture, cluster) = (Capture::new(), Cluster::new());
    let config = cluster.config().set("queue.buffering.max.messages", "1").clone();
    let producer = future(&config, &capture);
    cluster.mock().broker_round_trip_time(1, LONG).unwrap();
    let kept = producer.send_result(simple());
    let start = Instant::now();
    let patience = Duration::from_millis(250);
    let (error, _) = producer.send(simple(), patience).await.unwrap_err();
    assert_eq!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull));
    assert!(start.elapsed() >= patience);
    let failures = capture.spans();
    let attribute = failures[0].attributes.iter().find(|it| it.key.as_str() == "error.type");
    assert_eq!((failures.len(), attribute.unwrap().value.as_str()), (1, "_QUEUE_FULL".into()));
    drop(kept);
}

#[tokio::test]
async fn receipts_that_outlive_the_producer() {
    let capture = Capture::new();
    let producer = future(&unreachable(), &capture);
    let receipt = producer.send_result(simple()).map_err(|(error, _)| error).unwrap();
    drop(producer);
    let expected = failed(sending("127.0.0.1".to_owned(), 1), "_PURGE_QUEUE");
    capture.assert_spans([expected]);
    let (error, message) = receipt.await.unwrap().unwrap_err();
    assert_eq!(error, purged());
    assert!(message.headers().is_none());
}
