//! Code as rdkafka's users write it, with nothing but `rdkafka::` changed to `otel_kafka::`.
#![allow(
    clippy::expect_used,
    clippy::type_complexity,
    clippy::unwrap_used,
    clippy::uninlined_format_args,
    reason = "as in rdkafka's examples"
)]

mod support;

use std::any::type_name;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use otel_kafka::config::ClientConfig;
use otel_kafka::error::{KafkaError, KafkaResult};
use otel_kafka::message::{Header, Message, OwnedHeaders};
use otel_kafka::mocking::MockCluster;
use otel_kafka::producer::{
    BaseProducer, BaseRecord, DeliveryResult, FutureProducer, FutureRecord, NoCustomPartitioner,
    Partitioner, Producer, ProducerContext, ThreadedProducer,
};
use otel_kafka::util::Timeout;
use otel_kafka::{ClientContext, Statistics};
// What a producer hands back was not received, and is rdkafka's own.
use rdkafka::message::OwnedMessage;

/// From `examples/simple_producer.rs`.
async fn produce(brokers: &str, topic_name: &str) -> Vec<(i32, i64)> {
    let producer: &FutureProducer = &ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("message.timeout.ms", "5000")
        .create()
        .expect("Producer creation error");

    let futures = (0..5)
        .map(|i| async move {
            producer
                .send(
                    FutureRecord::to(topic_name)
                        .payload(&format!("Message {}", i))
                        .key(&format!("Key {}", i))
                        .headers(
                            OwnedHeaders::new()
                                .insert(Header { key: "header_key", value: Some("header_value") }),
                        ),
                    Duration::from_secs(0),
                )
                .await
        })
        .collect::<Vec<_>>();

    let mut delivered = Vec::new();
    for future in futures {
        let delivery = future.await.unwrap();
        delivered.push((delivery.partition, delivery.offset));
    }
    delivered
}

/// From `tests/test_low_producers.rs`.
#[derive(Clone)]
struct CollectingContext<Part: Partitioner = NoCustomPartitioner> {
    stats: Arc<Mutex<Vec<Statistics>>>,
    results: Arc<Mutex<Vec<(OwnedMessage, Option<KafkaError>, usize)>>>,
    partitioner: Option<Part>,
}

impl<Part: Partitioner + Send + Sync> ClientContext for CollectingContext<Part> {
    fn stats(&self, stats: Statistics) {
        let mut stats_vec = self.stats.lock().unwrap();
        (*stats_vec).push(stats);
    }
}

impl<Part: Partitioner + Send + Sync> ProducerContext<Part> for CollectingContext<Part> {
    type DeliveryOpaque = usize;

    fn delivery(&self, delivery_result: &DeliveryResult, delivery_opaque: Self::DeliveryOpaque) {
        let mut results = self.results.lock().unwrap();
        match *delivery_result {
            Ok(ref message) => (*results).push((message.detach(), None, delivery_opaque)),
            Err((ref err, ref message)) => {
                (*results).push((message.detach(), Some(err.clone()), delivery_opaque));
            }
        }
    }

    fn get_custom_partitioner(&self) -> Option<&Part> {
        self.partitioner.as_ref()
    }
}

/// Helpers that are generic over rdkafka's traits.
fn flush_all<C, Part, P>(producer: &P) -> KafkaResult<()>
where
    Part: Partitioner,
    C: ProducerContext<Part>,
    P: Producer<C, Part>,
{
    producer.flush(Timeout::After(Duration::from_secs(30)))
}

fn waiting<C: ProducerContext>(producer: &impl Producer<C>) -> i32 {
    producer.in_flight_count()
}

#[tokio::test]
async fn the_examples_run() {
    let mock_cluster = MockCluster::new(1).unwrap();
    mock_cluster.create_topic("test_topic", 1, 1).expect("Failed to create topic");
    let delivered = produce(&mock_cluster.bootstrap_servers(), "test_topic").await;
    assert_eq!(delivered, (0..5).map(|offset| (0, offset)).collect::<Vec<_>>());
}

#[test]
fn contexts_are_reached() {
    let mock_cluster = MockCluster::new(1).unwrap();
    let (stats, results) = <(Arc<Mutex<Vec<_>>>, Arc<Mutex<Vec<_>>>)>::default();
    let context = CollectingContext {
        stats: Arc::clone(&stats),
        results: Arc::clone(&results),
        partitioner: None::<NoCustomPartitioner>,
    };
    let producer: BaseProducer<CollectingContext> = ClientConfig::new()
        .set("bootstrap.servers", mock_cluster.bootstrap_servers())
        .set("statistics.interval.ms", "10")
        .create_with_context(context)
        .unwrap();
    for id in 0..10_usize {
        producer
            .send(BaseRecord::with_opaque_to("test_topic", id).payload("A").key("B"))
            .map_err(|(error, _)| error)
            .unwrap();
    }
    support::eventually(|| {
        producer.poll(Duration::from_millis(10));
        waiting(&producer) == 0 && !producer.context().stats.lock().unwrap().is_empty()
    });
    flush_all(&producer).unwrap();
    let results = results.lock().unwrap();
    let ids: Vec<usize> = results.iter().map(|(_, _, id)| *id).collect();
    assert_eq!(ids, (0..10).collect::<Vec<_>>());
    assert!(results.iter().all(
        |(message, error, _)| error.is_none() && message.payload_view::<str>() == Some(Ok("A"))
    ));
    let context: &Arc<CollectingContext> = Producer::context(&producer);
    assert!(!context.stats.lock().unwrap().is_empty());
}

#[test]
fn generic_helpers_take_all_producers() {
    let threaded: ThreadedProducer<otel_kafka::producer::DefaultProducerContext> =
        ClientConfig::new().create().unwrap();
    flush_all(&threaded).unwrap();
    let future: FutureProducer = ClientConfig::new().create().unwrap();
    flush_all(&future).unwrap();
    let _ = waiting(&future.clone()) + waiting(&threaded.clone());
}

/// A service's producers, with helpers that name the context: they take the driver's and ours.
mod shutdown {
    use std::time::Duration;

    // Was: use rdkafka::…
    use otel_kafka::error::KafkaResult;
    use otel_kafka::producer::{BaseProducer, DefaultProducerContext, Producer, ThreadedProducer};

    pub(super) fn flush(producer: &impl Producer<DefaultProducerContext>) -> KafkaResult<()> {
        producer.flush(Duration::from_secs(30))
    }

    /// By default it is the same context.
    pub(super) fn is_alive(producer: &impl Producer) -> bool {
        producer.client().fatal_error().is_none()
    }

    pub(super) struct Producers {
        pub(super) polled: BaseProducer,
        pub(super) threaded: ThreadedProducer<DefaultProducerContext>,
    }

    impl Producers {
        pub(super) fn shut_down(&self) -> KafkaResult<i32> {
            flush(&self.polled)?;
            flush(&self.threaded)?;
            Ok(self.polled.in_flight_count() + self.threaded.in_flight_count())
        }
    }
}

#[test]
fn helpers_that_name_the_context_take_the_drivers_producers_and_ours() {
    let cluster = MockCluster::new(1).unwrap();
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", cluster.bootstrap_servers());
    let producers = shutdown::Producers {
        polled: config.create().unwrap(),
        threaded: config.create().unwrap(),
    };
    let record = || BaseRecord::to("orders").payload("A").key("B");
    producers.polled.send(record()).map_err(|(error, _)| error).unwrap();
    producers.threaded.send(record()).map_err(|(error, _)| error).unwrap();
    assert_eq!(producers.shut_down().unwrap(), 0);
    assert!(shutdown::is_alive(&producers.polled) && shutdown::is_alive(&producers.threaded));

    let bare: rdkafka::producer::BaseProducer = config.create().unwrap();
    bare.send(record()).map_err(|(error, _)| error).unwrap();
    shutdown::flush(&bare).unwrap();
    assert_eq!(waiting(&bare), 0);
    assert!(shutdown::is_alive(&bare));
    let bare: rdkafka::producer::FutureProducer = config.create().unwrap();
    flush_all(&bare).unwrap();
}

/// Under no path is a producer that emits nothing.
#[test]
#[allow(unused_qualifications, reason = "it is about the paths")]
fn every_path_leads_to_ours() {
    use otel_kafka::producer::DefaultProducerContext as Context;
    use otel_kafka::producer::{base_producer, future_producer};

    for name in [
        type_name::<otel_kafka::FutureProducer>(),
        type_name::<otel_kafka::producer::FutureProducer>(),
        type_name::<future_producer::FutureProducer>(),
        type_name::<otel_kafka::producer::DeliveryFuture>(),
        type_name::<future_producer::DeliveryFuture>(),
        type_name::<otel_kafka::BaseProducer>(),
        type_name::<otel_kafka::producer::BaseProducer>(),
        type_name::<base_producer::BaseProducer>(),
        type_name::<otel_kafka::ThreadedProducer<Context>>(),
        type_name::<otel_kafka::producer::ThreadedProducer<Context>>(),
        type_name::<base_producer::ThreadedProducer<Context>>(),
    ] {
        assert!(name.starts_with("otel_kafka::"), "{name}");
    }
    // What is not wrapped is rdkafka's own.
    let _: base_producer::BaseRecord<'_> = rdkafka::producer::BaseRecord::to("orders");
    let _: otel_kafka::producer::BaseRecord<'_> = rdkafka::producer::BaseRecord::to("orders");
    let _: future_producer::FutureRecord<'_, str, str> =
        rdkafka::producer::FutureRecord::to("orders");
}

fn is_shared<T: Send + Sync>() {}
fn is_cloned<T: Clone>() {}
fn is_sent<T: Send>(_: &T) {}

#[test]
fn traits_are_those_of_rdkafka() {
    use otel_kafka::producer::{DefaultProducerContext, DeliveryFuture};

    is_shared::<FutureProducer>();
    is_shared::<BaseProducer>();
    is_shared::<ThreadedProducer<DefaultProducerContext>>();
    is_shared::<DeliveryFuture>();
    is_cloned::<FutureProducer>();
    is_cloned::<ThreadedProducer<DefaultProducerContext>>();
    let producer: FutureProducer = ClientConfig::new().create().unwrap();
    let record: FutureRecord<'_, str, str> = FutureRecord::to("orders");
    is_sent(&producer.send(record, Timeout::Never));
}
