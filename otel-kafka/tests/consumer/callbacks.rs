//! What librdkafka tells a context: automatic commits are told of once, explicit ones not at all,
//! and the application's own context gets everything.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use otel_kafka::callbacks::{Callbacks, ReportingContext};
use otel_kafka::consumer::{
    BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance, StreamConsumer,
};
use otel_kafka::{ClientContext, TopicPartitionList};
use otel_testing::{Capture, Point};
use rdkafka::error::KafkaResult;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use crate::support::{BOUND, Broker, TOPIC, base, context, next, partitions, until, within};

#[derive(Default)]
struct Seen {
    before: AtomicUsize,
    after: AtomicUsize,
    commits: AtomicUsize,
}

/// A context of the application's own.
struct Shop(Arc<Seen>, Callbacks);

impl ClientContext for Shop {}

impl ConsumerContext for Shop {
    fn pre_rebalance(&self, _: &rdkafka::consumer::BaseConsumer<Self>, _: &Rebalance<'_>) {
        self.0.before.fetch_add(1, Ordering::SeqCst);
    }

    fn post_rebalance(&self, _: &rdkafka::consumer::BaseConsumer<Self>, _: &Rebalance<'_>) {
        self.0.after.fetch_add(1, Ordering::SeqCst);
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        self.1.commit_callback(&result, offsets);
        self.0.commits.fetch_add(1, Ordering::SeqCst);
    }
}

fn is_commit(point: &Point) -> bool {
    point.attribute("messaging.operation.name").is_some_and(|it| it.as_str() == "commit")
}

#[tokio::test]
async fn an_automatic_commit_has_a_span_and_no_duration() {
    let capture = Capture::new();
    let broker = Broker::new();
    broker.send(0, 1, &[]).await;
    let mut config = broker.config();
    config.set("enable.auto.commit", "true").set("auto.commit.interval.ms", "50");
    let (seen, callbacks) = (Arc::default(), Callbacks::with(&config, &capture.telemetry()));
    let context_of_ours = Shop(Arc::clone(&seen), callbacks.clone());
    let raw: rdkafka::consumer::BaseConsumer<Shop> =
        config.create_with_context(context_of_ours).unwrap();
    let consumer = BaseConsumer::with_callbacks(raw, &callbacks);
    let refused = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED];
    broker.cluster.request_errors(RDKafkaApiKey::OffsetCommit, &refused);
    consumer.assign(&partitions(&[0, 1])).unwrap();
    drop(consumer.poll(BOUND).unwrap().unwrap());
    let poll = || drop(consumer.poll(Duration::from_millis(10)));
    until(|| seen.commits.load(Ordering::SeqCst) == 2, poll);
    let expected = || {
        let expected = broker.call("commit", "settle").client().link(context(1));
        expected.attribute("messaging.destination.partition.id", "0")
    };
    let failed = expected().attribute("error.type", "GROUP_AUTHORIZATION_FAILED").error("");
    capture.assert_spans([broker.poll("0", 0, 1), failed, expected()]);
    let points = capture.assert_metric("messaging.client.operation.duration").points;
    assert_eq!(points.iter().filter(|point| is_commit(point)).count(), 0);
}

#[tokio::test]
async fn the_context_of_ours_links_by_itself() {
    let capture = Capture::new();
    let broker = Broker::new();
    broker.send(0, 1, &[]).await;
    let mut config = broker.config();
    config.set("enable.auto.commit", "true").set("auto.commit.interval.ms", "50");
    let reporting = ReportingContext::with(&config, &capture.telemetry());
    let consumer: StreamConsumer<ReportingContext> = config.create_with_context(reporting).unwrap();
    consumer.assign(&partitions(&[0])).unwrap();
    drop(within(consumer.recv()).await.unwrap());
    // The next commit comes while the consumer waits for another message.
    let committed = async {
        while capture.spans_named("commit orders").is_empty() {
            tokio::task::yield_now().await;
        }
    };
    let waiting = std::pin::pin!(consumer.recv());
    within(futures_util::future::select(waiting, std::pin::pin!(committed))).await;
    let commit = broker.call("commit", "settle").client().link(context(1));
    let commit = commit.attribute("messaging.destination.partition.id", "0");
    capture.assert_spans([broker.poll("0", 0, 1), commit]);
}

/// librdkafka does not call back for what it was asked for.
#[tokio::test]
async fn an_explicit_commit_is_told_of_once() {
    let capture = Capture::new();
    let broker = Broker::new();
    broker.send(0, 1, &[]).await;
    let config = broker.config();
    let (seen, callbacks) = (Arc::default(), Callbacks::with(&config, &capture.telemetry()));
    let raw: rdkafka::consumer::BaseConsumer<Shop> =
        config.create_with_context(Shop(Arc::clone(&seen), callbacks.clone())).unwrap();
    let consumer = BaseConsumer::with_callbacks(raw, &callbacks);
    consumer.assign(&partitions(&[0])).unwrap();
    let message = consumer.poll(BOUND).unwrap().unwrap();
    capture.clear();
    consumer.commit_message(&message, CommitMode::Async).unwrap();
    consumer.commit_message(&message, CommitMode::Sync).unwrap();
    // The answer to this comes after those to the commits.
    drop(consumer.committed(BOUND).unwrap());
    for _ in 0..3 {
        assert!(consumer.poll(Duration::ZERO).is_none());
    }
    assert_eq!(seen.commits.load(Ordering::SeqCst), 0);
    let expected = || broker.expected("commit", "settle", "0", 0).client().link(context(1));
    capture.assert_spans([expected(), expected()]);
}

#[tokio::test]
async fn rebalances_reach_the_applications_own_context() {
    let capture = Capture::new();
    let broker = Broker::new();
    broker.send(0, 1, &[]).await;
    let config = broker.config();
    let (seen, callbacks) = (Arc::default(), Callbacks::with(&config, &capture.telemetry()));
    let raw: rdkafka::consumer::BaseConsumer<Shop> =
        config.create_with_context(Shop(Arc::clone(&seen), callbacks.clone())).unwrap();
    let consumer = BaseConsumer::with_callbacks(raw, &callbacks);
    consumer.subscribe(&[TOPIC]).unwrap();
    let mut received = 0;
    until(
        || seen.after.load(Ordering::SeqCst) == 1,
        || received += usize::from(consumer.poll(Duration::from_millis(100)).is_some()),
    );
    assert_eq!(consumer.assignment().unwrap().count(), 2);
    consumer.unsubscribe();
    until(
        || seen.after.load(Ordering::SeqCst) == 2,
        || received += usize::from(consumer.poll(Duration::from_millis(100)).is_some()),
    );
    assert_eq!(seen.before.load(Ordering::SeqCst), 2);
    assert_eq!(capture.spans().len(), received);
}

/// The context of the application is the one that the consumer gives out.
#[tokio::test]
async fn the_context_is_the_applications_own() {
    let capture = Capture::new();
    let broker = Broker::new();
    broker.send(0, 1, &[]).await;
    let config = broker.config();
    let callbacks = Callbacks::with(&config, &capture.telemetry());
    let seen = Arc::default();
    let consumer: StreamConsumer<Shop> =
        config.create_with_context(Shop(Arc::clone(&seen), callbacks)).unwrap();
    assert!(Arc::ptr_eq(&consumer.context().0, &seen));
    let plain = base(&capture.telemetry(), &config);
    drop(next(&plain));
}
