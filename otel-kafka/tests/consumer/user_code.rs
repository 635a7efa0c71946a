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
// What a context gets was: BaseConsumer.
use otel_kafka::consumer::{
    BaseConsumer, CommitMode, Consumer, ConsumerContext, DefaultConsumerContext, MessageStream,
    RawBaseConsumer, Rebalance,
};
use otel_kafka::error::KafkaResult;
use otel_kafka::message::{BorrowedMessage, Headers, Message, OwnedMessage};

use crate::support::{Broker, TOPIC, partitions, within};

struct CustomContext;

impl ClientContext for CustomContext {}

impl ConsumerContext for CustomContext {
    fn pre_rebalance(&self, _: &RawBaseConsumer<Self>, rebalance: &Rebalance) {
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

/// A service in the manner of several that were moved: what is assigned is up to its context, its
/// helpers are generic over messages and consumers, and another thread does the work.
mod dispatcher {
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::thread;

    use otel_kafka::types::RDKafkaRespErr;

    use super::*;

    #[derive(Default)]
    pub(super) struct Watcher {
        pub(super) assigned: Mutex<Vec<String>>,
    }

    impl ClientContext for Watcher {}

    impl ConsumerContext for Watcher {
        fn rebalance(
            &self,
            base_consumer: &RawBaseConsumer<Self>,
            err: RDKafkaRespErr,
            tpl: &mut TopicPartitionList,
        ) {
            let result = match err {
                RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => base_consumer.assign(tpl),
                _ => base_consumer.unassign(),
            };
            result.expect("Cannot rebalance");
            let places = tpl.elements();
            let places = places.iter().map(|e| format!("{}/{}", e.topic(), e.partition()));
            *self.assigned.lock().unwrap() = places.collect();
        }
    }

    /// What is logged of any message.
    pub(super) fn show<M: Message>(message: &M) -> String {
        let text =
            |bytes: Option<Result<&str, _>>| bytes.and_then(Result::ok).unwrap_or("-").to_owned();
        let headers = message.headers().map_or(0, Headers::count);
        format!(
            "{}/{}@{} {}={} +{headers} {}",
            message.topic(),
            message.partition(),
            message.offset(),
            text(message.key_view::<str>()),
            text(message.payload_view::<str>()),
            message.timestamp().to_millis().is_some(),
        )
    }

    fn work(jobs: Receiver<OwnedMessage>) -> Vec<String> {
        jobs.into_iter().map(|job| show(&job)).collect()
    }

    fn acknowledge<C: ConsumerContext>(
        consumer: &impl Consumer<C>,
        message: &BorrowedMessage<'_>,
    ) -> KafkaResult<()> {
        consumer.commit_message(message, CommitMode::Sync)
    }

    fn dispatch<C, K>(
        consumer: &K,
        message: KafkaResult<BorrowedMessage<'_>>,
        jobs: &Sender<OwnedMessage>,
    ) -> KafkaResult<String>
    where
        C: ConsumerContext,
        K: Consumer<C>,
    {
        let message = message?;
        jobs.send(message.detach()).expect("The worker is gone");
        acknowledge(consumer, &message)?;
        Ok(show(&message))
    }

    pub(super) fn run(
        config: &ClientConfig,
    ) -> KafkaResult<(Vec<String>, Vec<String>, Vec<String>)> {
        let consumer: BaseConsumer<Watcher> = config.create_with_context(Watcher::default())?;
        consumer.subscribe(&[TOPIC])?;
        let (jobs, worker) = channel();
        let worker = thread::spawn(move || work(worker));
        let shown = consumer.iter().take(2).map(|message| dispatch(&consumer, message, &jobs));
        let shown = shown.collect::<KafkaResult<_>>()?;
        drop(jobs);
        let assigned = consumer.context().assigned.lock().unwrap().clone();
        Ok((assigned, shown, worker.join().unwrap()))
    }
}

#[tokio::test]
async fn a_dispatcher() {
    let broker = Broker::new();
    broker.send(0, 1, &[]).await;
    broker.send(0, 2, &[("priority", b"high")]).await;
    let config = broker.config();
    let (assigned, shown, done) =
        tokio::task::spawn_blocking(move || dispatcher::run(&config)).await.unwrap().unwrap();
    assert_eq!(assigned, [format!("{TOPIC}/0"), format!("{TOPIC}/1")]);
    assert_eq!(shown, ["orders/0@0 7=a box +1 true", "orders/0@1 7=a box +2 true"]);
    assert_eq!(done, shown);
}

/// The same helper takes the driver's messages, which a producer hands back, and what was its own
/// before.
#[tokio::test]
async fn helpers_take_the_drivers_messages_and_ours() {
    let broker = Broker::new();
    broker.send(0, 1, &[]).await;
    let consumer: BaseConsumer = broker.config().create().unwrap();
    consumer.assign(&partitions(&[0])).unwrap();
    let message = crate::support::next(&consumer);
    let expected = dispatcher::show(&message);
    assert_eq!(dispatcher::show(&*message), expected);
    assert_eq!(dispatcher::show(&message.detach()), expected);
    let drivers: rdkafka::message::OwnedMessage = message.detach().into_inner();
    assert_eq!(dispatcher::show(&drivers), expected);
    let drivers: rdkafka::message::BorrowedMessage<'_> = message.into_inner();
    assert_eq!(dispatcher::show(&drivers), expected);
}
