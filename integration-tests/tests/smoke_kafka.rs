//! rdkafka on Kafka, without instrumentation: what an adapter of it may rely on.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use integration_tests::{private, soon, unique_name};
use native::{Extra, Server};
use otel_testing::live;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{CommitMode, Consumer as _, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Header, Headers as _, Message as _, OwnedHeaders};
use rdkafka::producer::future_producer::Delivery;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;
use rdkafka::{ClientConfig, Offset, Timestamp, TopicPartitionList};
use tokio::task::block_in_place;

/// Keys may repeat, and a value may be missing, which is not the same as empty.
type Pairs<'a> = Vec<(&'a str, Option<&'a [u8]>)>;

fn config(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    // It is down for a moment in some tests; by default a client waits up to ten seconds.
    config.set("reconnect.backoff.max.ms", "200");
    config
}

fn producer(brokers: &str) -> FutureProducer {
    config(brokers).create().unwrap()
}

/// One that begins with the oldest message, unless its group has committed.
fn consumer(brokers: &str, group: &str, topic: &str) -> StreamConsumer {
    let mut config = config(brokers);
    config.set("group.id", group).set("auto.offset.reset", "earliest");
    config.set("enable.auto.commit", "false");
    // Longer than a broker is down, or it would begin anew with what it has.
    config.set("session.timeout.ms", "180000");
    let consumer: StreamConsumer = config.create().unwrap();
    consumer.subscribe(&[topic]).unwrap();
    consumer
}

fn admin(brokers: &str) -> AdminClient<DefaultClientContext> {
    config(brokers).create().unwrap()
}

/// A topic of one test's own, with one partition.
async fn topic(brokers: &str) -> String {
    let name = unique_name();
    let topic = NewTopic::new(&name, 1, TopicReplication::Fixed(1));
    let made = admin(brokers).create_topics([&topic], &AdminOptions::new()).await.unwrap();
    assert_eq!(made, [Ok(name.clone())]);
    name
}

/// Returns once the broker has it.
async fn send(producer: &FutureProducer, topic: &str, payload: &str) -> Delivery {
    let record: FutureRecord<'_, str, str> = FutureRecord::to(topic).payload(payload);
    soon("the message is stored", producer.send(record, Timeout::Never)).await.unwrap()
}

/// The next message; what is told of connections in between is not of interest.
async fn receive(consumer: &StreamConsumer) -> BorrowedMessage<'_> {
    let received = async {
        loop {
            match consumer.recv().await {
                Ok(message) => break message,
                Err(KafkaError::MessageConsumption(
                    RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown,
                )) => {}
                Err(error) => panic!("{error}"),
            }
        }
    };
    soon("a message is there", received).await
}

fn text<'a>(message: &'a BorrowedMessage<'_>) -> &'a str {
    message.payload_view().unwrap().unwrap()
}

fn pairs<'a>(message: &'a BorrowedMessage<'_>) -> Pairs<'a> {
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    headers.map(|header| (header.key, header.value)).collect()
}

#[tokio::test]
async fn a_message_comes_as_it_was_sent() {
    let Some(brokers) = live::address("KAFKA") else { return };
    let topic = topic(&brokers).await;
    let sent: Pairs<'_> = vec![
        ("traceparent", Some(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")),
        ("again", Some(b"first")),
        ("again", Some(b"second")),
        ("missing", None),
        ("empty", Some(b"")),
        ("not text", Some(&[0, 0xff])),
    ];
    let headers = sent.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
        headers.insert(Header { key, value: *value })
    });
    let record = FutureRecord::to(&topic).key("key").payload(&[0, 0xff]).headers(headers);
    let record = record.partition(0).timestamp(1_700_000_000_123);
    let delivery = producer(&brokers).send(record, Timeout::Never).await.unwrap();
    let timestamp = Timestamp::CreateTime(1_700_000_000_123);
    assert_eq!(delivery, Delivery { partition: 0, offset: 0, timestamp });

    let consumer = consumer(&brokers, &unique_name(), &topic);
    let message = receive(&consumer).await;
    assert_eq!(message.payload(), Some(&[0, 0xff][..]));
    assert_eq!(message.key(), Some(&b"key"[..]));
    assert_eq!(pairs(&message), sent);
    assert_eq!((message.topic(), message.partition(), message.offset()), (&*topic, 0, 0));
    assert_eq!(message.timestamp(), timestamp);
}

#[tokio::test]
async fn a_message_without_payload_key_and_headers_has_none() {
    let Some(brokers) = live::address("KAFKA") else { return };
    let topic = topic(&brokers).await;
    let record: FutureRecord<'_, str, str> = FutureRecord::to(&topic);
    producer(&brokers).send(record, Timeout::Never).await.unwrap();
    let consumer = consumer(&brokers, &unique_name(), &topic);
    let message = receive(&consumer).await;
    assert_eq!((message.payload(), message.key()), (None, None));
    assert!(message.headers().is_none());
}

#[tokio::test]
async fn what_was_committed_is_not_delivered_again() {
    let Some(brokers) = live::address("KAFKA") else { return };
    let (topic, group) = (topic(&brokers).await, unique_name());
    let producer = producer(&brokers);
    for payload in ["committed", "not committed"] {
        send(&producer, &topic, payload).await;
    }
    {
        let consumer = consumer(&brokers, &group, &topic);
        let first = receive(&consumer).await;
        assert_eq!(text(&first), "committed");
        consumer.commit_message(&first, CommitMode::Sync).unwrap();
        assert_eq!(text(&receive(&consumer).await), "not committed");
    }
    let next = consumer(&brokers, &group, &topic);
    assert_eq!(text(&receive(&next).await), "not committed");
    let others = consumer(&brokers, &unique_name(), &topic);
    assert_eq!(text(&receive(&others).await), "committed");
}

#[tokio::test]
async fn a_topic_that_nobody_made_is_an_error_of_the_producer() {
    let Some(brokers) = live::address("KAFKA") else { return };
    let topic = unique_name();
    let mut config = config(&brokers);
    // By default it waits half a minute for the topic to be known everywhere.
    let producer: FutureProducer =
        config.set("topic.metadata.propagation.max.ms", "1").create().unwrap();
    // The broker says so first, then the client knows it.
    let codes = [RDKafkaErrorCode::UnknownTopicOrPartition, RDKafkaErrorCode::UnknownTopic];
    for code in codes {
        let record: FutureRecord<'_, str, str> = FutureRecord::to(&topic).payload("lost");
        let sent = soon("an error", producer.send(record, Timeout::Never)).await;
        let (error, message) = sent.unwrap_err();
        assert_eq!(error, KafkaError::MessageProduction(code));
        // It is handed back.
        assert_eq!(message.payload(), Some(&b"lost"[..]));
    }
}

#[tokio::test]
async fn a_topic_that_nobody_made_is_an_error_of_the_consumer() {
    let Some(brokers) = live::address("KAFKA") else { return };
    let consumer = consumer(&brokers, &unique_name(), &unique_name());
    let error = soon("an error", consumer.recv()).await.unwrap_err();
    let unknown = RDKafkaErrorCode::UnknownTopicOrPartition;
    assert_eq!(error, KafkaError::MessageConsumption(unknown));
    assert_eq!(error.rdkafka_error_code(), Some(unknown));
}

#[tokio::test]
async fn a_topic_that_is_there_already_is_an_error_of_its_own() {
    let Some(brokers) = live::address("KAFKA") else { return };
    let name = topic(&brokers).await;
    let topic = NewTopic::new(&name, 1, TopicReplication::Fixed(1));
    let made = admin(&brokers).create_topics([&topic], &AdminOptions::new()).await.unwrap();
    assert_eq!(made, [Err((name, RDKafkaErrorCode::TopicAlreadyExists))]);
}

#[tokio::test]
async fn a_message_that_is_not_delivered_in_time_is_an_error_with_its_code() {
    // No port of this number is in use: it is reserved.
    let mut config = config("127.0.0.1:1");
    let producer: FutureProducer = config.set("message.timeout.ms", "100").create().unwrap();
    let record: FutureRecord<'_, str, str> = FutureRecord::to("nowhere").payload("lost");
    let sent = soon("an error", producer.send(record, Timeout::Never)).await;
    let code = RDKafkaErrorCode::MessageTimedOut;
    assert_eq!(sent.unwrap_err().0, KafkaError::MessageProduction(code));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_broker_comes_back_with_what_it_stored_and_clients_go_on() {
    let server = block_in_place(|| private(Server::kafka(), Extra::new()));
    let Some(mut server) = server else { return };
    let brokers = server.url().to_owned();
    let (topic, group) = (topic(&brokers).await, unique_name());
    let producer = producer(&brokers);
    let consumer = consumer(&brokers, &group, &topic);
    for payload in ["committed", "stored"] {
        send(&producer, &topic, payload).await;
    }
    let first = receive(&consumer).await;
    assert_eq!(text(&first), "committed");
    consumer.commit_message(&first, CommitMode::Sync).unwrap();

    block_in_place(|| server.kill()).unwrap();
    // It waits in the producer.
    let record: FutureRecord<'_, str, str> = FutureRecord::to(&topic).payload("sent meanwhile");
    let waiting = producer.send_result(record).map_err(|(error, _)| error).unwrap();
    block_in_place(|| server.restart()).unwrap();
    let delivery = soon("the message is stored", waiting).await.unwrap().unwrap();
    assert_eq!(delivery.offset, 2);
    assert_eq!(send(&producer, &topic, "sent afterwards").await.offset, 3);
    for payload in ["stored", "sent meanwhile", "sent afterwards"] {
        assert_eq!(text(&receive(&consumer).await), payload);
    }
    // By assignment, which asks for what was committed without joining: the first one is a member yet.
    let next: StreamConsumer = config(&brokers).set("group.id", &group).create().unwrap();
    let mut committed = TopicPartitionList::new();
    committed.add_partition_offset(&topic, 0, Offset::Stored).unwrap();
    next.assign(&committed).unwrap();
    assert_eq!(text(&receive(&next).await), "stored");
    drop(first);
    // librdkafka may wait for ever for the thread of a broker that was away, when it destroys a
    // consumer: seen in a debugger, in rd_kafka_destroy_internal. The process ends without that.
    std::mem::forget(consumer);
}
