//! pulsar on Pulsar, without instrumentation: what an adapter of it may rely on.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]
#![allow(clippy::large_futures, reason = "those of the driver are")]

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use futures_util::future::try_join_all;
use integration_tests::{eventually, private, soon, unique_name};
use native::{Extra, Server};
use otel_testing::live;
use pulsar::consumer::{InitialPosition, Message};
use pulsar::error::{ConnectionError, ConsumerError, ProducerError, ServiceDiscoveryError};
use pulsar::message::proto::schema::Type;
use pulsar::message::proto::{Schema, ServerError};
use pulsar::producer;
use pulsar::{
    ConnectionRetryOptions, Consumer, ConsumerOptions, Error, OperationRetryOptions, Producer,
    ProducerOptions, Pulsar, SubType, TokioExecutor,
};
use tokio::task::block_in_place;

async fn connect(url: &str) -> Pulsar<TokioExecutor> {
    // By default the waits between attempts grow up to half a minute.
    let connections = ConnectionRetryOptions {
        max_backoff: Duration::from_millis(200),
        max_retries: u32::MAX,
        ..ConnectionRetryOptions::default()
    };
    // By default what is refused for now is tried again for ever.
    let operations =
        OperationRetryOptions { max_retries: Some(0), ..OperationRetryOptions::default() };
    let builder = Pulsar::builder(url, TokioExecutor).with_connection_retry_options(connections);
    builder.with_operation_retry_options(operations).build().await.unwrap()
}

async fn producer(client: &Pulsar<TokioExecutor>, topic: &str) -> Producer<TokioExecutor> {
    client.producer().with_topic(topic).build().await.unwrap()
}

type Subscribed = Result<Consumer<Vec<u8>, TokioExecutor>, Error>;

/// Of the subscription `worker`, which begins with the oldest message.
async fn subscribe(client: &Pulsar<TokioExecutor>, topic: &str, kind: SubType) -> Subscribed {
    let options = ConsumerOptions::default().with_initial_position(InitialPosition::Earliest);
    let builder = client.consumer().with_topic(topic).with_subscription("worker");
    builder.with_subscription_type(kind).with_options(options).build().await
}

async fn send(producer: &mut Producer<TokioExecutor>, payload: &str) {
    let sent = async { producer.send_non_blocking(payload).await.unwrap().await.unwrap() };
    soon("the message is stored", sent).await;
}

async fn receive(consumer: &mut Consumer<Vec<u8>, TokioExecutor>) -> Message<Vec<u8>> {
    soon("a message is there", consumer.try_next()).await.unwrap().unwrap()
}

fn text(message: &Message<Vec<u8>>) -> String {
    String::from_utf8(message.deserialize()).unwrap()
}

fn properties(message: &Message<Vec<u8>>) -> BTreeMap<&str, &str> {
    let properties = message.metadata().properties.iter();
    properties.map(|property| (&*property.key, &*property.value)).collect()
}

/// What the server has sent to nobody who has acknowledged it.
async fn backlog(consumer: &mut Consumer<Vec<u8>, TokioExecutor>) -> Option<u64> {
    consumer.get_stats().await.unwrap()[0].msg_backlog
}

/// The code that the server gave.
fn code(error: &Error) -> Option<ServerError> {
    match error {
        Error::Connection(error)
        | Error::Consumer(ConsumerError::Connection(error))
        | Error::Producer(ProducerError::Connection(error))
        | Error::ServiceDiscovery(ServiceDiscoveryError::Connection(error)) => match error {
            ConnectionError::PulsarError(code, _) => *code,
            _ => None,
        },
        Error::ServiceDiscovery(ServiceDiscoveryError::Query(code, _)) => *code,
        _ => None,
    }
}

#[tokio::test]
async fn a_message_comes_as_it_was_sent() {
    let Some(url) = live::address("PULSAR") else { return };
    let (client, topic) = (connect(&url).await, unique_name());
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let sent = BTreeMap::from([("traceparent", traceparent), ("empty", ""), ("other", "ä b")]);
    let owned = |(key, value): (&&str, &&str)| ((*key).to_owned(), (*value).to_owned());
    let message = producer::Message {
        payload: vec![0, 0xff],
        properties: sent.iter().map(owned).collect(),
        partition_key: Some("key".to_owned()),
        event_time: Some(1_700_000_000_123),
        ..producer::Message::default()
    };
    let mut producer = producer(&client, &topic).await;
    let receipt = producer.send_non_blocking(message).await.unwrap().await.unwrap();
    let mut consumer = subscribe(&client, &topic, SubType::Exclusive).await.unwrap();
    let message = receive(&mut consumer).await;
    assert_eq!(message.payload.data, [0, 0xff]);
    assert_eq!(properties(&message), sent);
    assert_eq!(message.key().as_deref(), Some("key"));
    assert_eq!(message.metadata().event_time, Some(1_700_000_000_123));
    // As the consumer names it, not as the server does.
    assert_eq!(message.topic, topic);
    let id = receipt.message_id.unwrap();
    let received = message.message_id();
    assert_eq!((received.ledger_id, received.entry_id), (id.ledger_id, id.entry_id));
}

#[tokio::test]
async fn a_message_without_properties_has_none() {
    let Some(url) = live::address("PULSAR") else { return };
    let (client, topic) = (connect(&url).await, unique_name());
    send(&mut producer(&client, &topic).await, "order").await;
    let mut consumer = subscribe(&client, &topic, SubType::Exclusive).await.unwrap();
    let message = receive(&mut consumer).await;
    assert_eq!((text(&message), properties(&message)), ("order".to_owned(), BTreeMap::new()));
    assert_eq!(message.key(), None);
}

#[tokio::test]
async fn each_message_of_a_batch_keeps_its_properties() {
    let Some(url) = live::address("PULSAR") else { return };
    let (client, topic) = (connect(&url).await, unique_name());
    let options = ProducerOptions { batch_size: Some(3), ..ProducerOptions::default() };
    let builder = client.producer().with_topic(&topic).with_options(options);
    let mut producer = builder.build().await.unwrap();
    let mut receipts = Vec::new();
    for number in ["0", "1", "2"] {
        let message = producer.create_message().with_content(number);
        let message = message.with_property("number", number);
        receipts.push(message.send_non_blocking().await.unwrap());
    }
    let receipts = soon("the batch is stored", try_join_all(receipts)).await.unwrap();
    let mut consumer = subscribe(&client, &topic, SubType::Exclusive).await.unwrap();
    for (number, receipt) in ["0", "1", "2"].into_iter().zip(receipts) {
        let message = receive(&mut consumer).await;
        assert_eq!(text(&message), number);
        assert_eq!(properties(&message), BTreeMap::from([("number", number)]));
        // One entry for all of them.
        assert_eq!(message.message_id().entry_id, receipt.message_id.unwrap().entry_id);
        assert_eq!(message.message_id().batch_index.unwrap().to_string(), number);
    }
}

#[tokio::test]
async fn only_what_was_acknowledged_is_not_delivered_again() {
    let Some(url) = live::address("PULSAR") else { return };
    let (client, topic) = (connect(&url).await, unique_name());
    let mut consumer = subscribe(&client, &topic, SubType::Shared).await.unwrap();
    let mut producer = producer(&client, &topic).await;
    for payload in ["acknowledged", "given back"] {
        send(&mut producer, payload).await;
    }
    let first = receive(&mut consumer).await;
    let second = receive(&mut consumer).await;
    assert_eq!((&*text(&first), &*text(&second)), ("acknowledged", "given back"));
    consumer.ack(&first).await.unwrap();
    consumer.nack(&second).await.unwrap();
    let again = receive(&mut consumer).await;
    assert_eq!(text(&again), "given back");
    eventually("the first is done with", async || backlog(&mut consumer).await == Some(1)).await;
    consumer.close().await.unwrap();

    let mut next = subscribe(&client, &topic, SubType::Shared).await.unwrap();
    let again = receive(&mut next).await;
    assert_eq!(text(&again), "given back");
    next.ack(&again).await.unwrap();
    eventually("nothing is left", async || backlog(&mut next).await == Some(0)).await;
}

#[tokio::test]
async fn a_second_exclusive_consumer_is_an_error_with_its_code() {
    let Some(url) = live::address("PULSAR") else { return };
    let (client, topic) = (connect(&url).await, unique_name());
    let _first = subscribe(&client, &topic, SubType::Exclusive).await.unwrap();
    let error = subscribe(&client, &topic, SubType::Exclusive).await.err().unwrap();
    assert_eq!(code(&error), Some(ServerError::ConsumerBusy), "{error:?}");
}

#[tokio::test]
async fn a_topic_that_nobody_may_make_is_an_error_with_its_code() {
    let Some(url) = live::address("PULSAR") else { return };
    let client = connect(&url).await;
    let topic = format!("persistent://public/{}/orders", unique_name());
    let error = client.producer().with_topic(topic).build().await.err().unwrap();
    assert_eq!(code(&error), Some(ServerError::TopicNotFound), "{error:?}");
}

#[tokio::test]
async fn a_schema_that_does_not_fit_is_an_error_with_its_code() {
    let Some(url) = live::address("PULSAR") else { return };
    let (client, topic) = (connect(&url).await, unique_name());
    let with = |kind: Type| {
        let schema = Schema { r#type: kind.into(), ..Schema::default() };
        let options = ProducerOptions { schema: Some(schema), ..ProducerOptions::default() };
        client.producer().with_topic(&topic).with_options(options).build()
    };
    let _first = with(Type::String).await.unwrap();
    let error = with(Type::Int64).await.err().unwrap();
    assert_eq!(code(&error), Some(ServerError::IncompatibleSchema), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_broker_comes_back_with_what_it_stored_and_clients_go_on() {
    let server = block_in_place(|| private(Server::pulsar(), Extra::new()));
    let Some(mut server) = server else { return };
    let (client, topic) = (connect(server.url()).await, unique_name());
    let mut producer = producer(&client, &topic).await;
    let mut consumer = subscribe(&client, &topic, SubType::Exclusive).await.unwrap();
    for payload in ["received before", "stored"] {
        send(&mut producer, payload).await;
    }
    assert_eq!(text(&receive(&mut consumer).await), "received before");

    block_in_place(|| server.kill()).unwrap();
    block_in_place(|| server.restart()).unwrap();
    send(&mut producer, "sent afterwards").await;
    // What was not acknowledged comes again, also what the consumer had in its hands.
    let mut received = vec!["received before".to_owned()];
    while received.last().is_none_or(|last| last != "sent afterwards") {
        received.push(text(&receive(&mut consumer).await));
    }
    let again = received.iter().rposition(|text| text == "received before").unwrap();
    assert_eq!(received[again..], ["received before", "stored", "sent afterwards"]);
    assert!(again > 0, "{received:?}");
}
