//! Code written for rdkafka, with nothing changed but the imports.
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unnecessary_semicolon,
    reason = "as in rdkafka's examples"
)]

use std::sync::Arc;
use std::time::Duration;

use otel_kafka::TopicPartitionList;
use otel_kafka::client::ClientContext;
use otel_kafka::config::ClientConfig;
use otel_kafka::consumer::base_consumer::PartitionQueue;
use otel_kafka::consumer::stream_consumer::{StreamConsumer, StreamPartitionQueue};
use otel_kafka::consumer::{
    BaseConsumer, CommitMode, Consumer, ConsumerContext, DefaultConsumerContext, MessageStream,
    Rebalance,
};
use otel_kafka::error::KafkaResult;
use otel_kafka::message::{BorrowedMessage, Headers, Message, OwnedMessage};

use crate::support::{Broker, TOPIC, partitions, within};

struct CustomContext;

impl ClientContext for CustomContext {}

impl ConsumerContext for CustomContext {
    fn pre_rebalance(&self, _: &rdkafka::consumer::BaseConsumer<Self>, rebalance: &Rebalance) {
        println!("Pre rebalance {rebalance:?}");
    }

    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        println!("Committing offsets: {result:?}");
    }
}

type LoggingConsumer = StreamConsumer<CustomContext>;

/// rdkafka's example `simple_consumer`, up to its second message.
async fn consume_and_print(config: &ClientConfig) {
    let context = CustomContext;
    let consumer: LoggingConsumer =
        config.create_with_context(context).expect("Consumer creation failed");
    consumer.assign(&partitions(&[0])).expect("Can't assign");
    for _ in 0..2 {
        match consumer.recv().await {
            Err(e) => panic!("Kafka error: {e}"),
            Ok(m) => {
                let payload = match m.payload_view::<str>() {
                    None => "",
                    Some(Ok(s)) => s,
                    Some(Err(e)) => panic!("Error while deserializing message payload: {e:?}"),
                };
                println!(
                    "key: '{:?}', payload: '{payload}', topic: {}, partition: {}, offset: {}, timestamp: {:?}",
                    m.key(),
                    m.topic(),
                    m.partition(),
                    m.offset(),
                    m.timestamp()
                );
                if let Some(headers) = m.headers() {
                    for header in headers.iter() {
                        println!("  Header {:#?}: {:?}", header.key, header.value);
                    }
                }
                consumer.commit_message(&m, CommitMode::Async).unwrap();
            }
        };
    }
}

/// A helper over any consumer.
fn lag<C: ConsumerContext>(consumer: &impl Consumer<C>) -> KafkaResult<i64> {
    let (_, high) = consumer.fetch_watermarks(TOPIC, 0, Duration::from_secs(30))?;
    Ok(high)
}

/// A helper over rdkafka's own message.
fn print(message: &rdkafka::message::BorrowedMessage<'_>) -> usize {
    message.payload_len()
}

/// The types under their names, with their parameters.
#[allow(dead_code, reason = "it compiles")]
struct Types<'a> {
    borrowed: BorrowedMessage<'a>,
    owned: OwnedMessage,
    stream: MessageStream<'a, DefaultConsumerContext>,
    queue: PartitionQueue<DefaultConsumerContext>,
    stream_queue: StreamPartitionQueue<DefaultConsumerContext>,
}

fn is_send_and_sync<T: Send + Sync>() {}

#[tokio::test]
async fn compiles_and_runs() {
    let broker = Broker::new();
    broker.send(0, 1, &[]).await;
    broker.send(0, 2, &[]).await;
    within(consume_and_print(&broker.config())).await;

    let consumer: BaseConsumer = broker.config().create().unwrap();
    consumer.assign(&partitions(&[0])).unwrap();
    assert_eq!(lag(&consumer).unwrap(), 2);
    for message in consumer.iter().take(1) {
        assert_eq!(print(&message.unwrap()), 5);
    }
    let mut consumer: BaseConsumer = broker.config().create().unwrap();
    let (told, hears) = std::sync::mpsc::channel();
    consumer.set_nonempty_callback(move || {
        let _ = told.send(());
    });
    consumer.assign(&partitions(&[0])).unwrap();
    hears.recv_timeout(Duration::from_secs(60)).unwrap();
    let consumer = Arc::new(consumer);
    let queue = consumer.split_partition_queue(TOPIC, 0).unwrap();
    drop(consumer);
    drop(queue);

    is_send_and_sync::<BaseConsumer>();
    is_send_and_sync::<StreamConsumer>();
    is_send_and_sync::<BorrowedMessage<'_>>();
    is_send_and_sync::<OwnedMessage>();
}
