//! RabbitMQ between languages: what we write into messages is what Python's pika reads with its official
//! instrumentation, and the other way round.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod rabbitmq_support;

use std::convert::Infallible;

use integration_tests::foreign::{
    FORMATS, MESSAGES, Task, assert_current, assert_goes_on, assert_read, outgoing, play,
};
use integration_tests::roles::order;
use integration_tests::told::Span;
use integration_tests::unique_name;
use native::Foreign;
use otel_rabbitmq::options::{BasicAckOptions, QueueDeclareOptions, QueueDeleteOptions};
use otel_rabbitmq::types::{FieldTable, ShortString};
use otel_rabbitmq::{Channel, Confirmation};
use otel_testing::live;
use otel_testing::opentelemetry::trace::FutureExt as _;

use crate::rabbitmq_support::{captured, confirming, consume, next, publish};

/// A queue that another connection may use.
async fn shared_queue(channel: &Channel) -> ShortString {
    let name = ShortString::from(unique_name());
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(name.clone(), options, FieldTable::default()).await.unwrap();
    name
}

#[tokio::test(flavor = "multi_thread")]
async fn pika_reads_what_we_write() {
    let Some(url) = live::address("RABBITMQ") else { return };
    let (capture, connection) = captured(&url).await;
    let channel = confirming(&connection).await;
    let queue = shared_queue(&channel).await;
    for number in 1..=MESSAGES {
        let body = number.to_string();
        let confirm = publish(&channel, &queue, body.as_bytes()).with_context(order(number)).await;
        assert_eq!(confirm.await.unwrap(), Confirmation::Ack(None));
    }
    let sent = capture.spans();
    let (destination, group) = (queue.to_string(), unique_name());
    let task = Task::Consume { address: url, destination, group, count: MESSAGES };
    let Some(heard) = play(Foreign::pika(), &task, FORMATS).await else { return };
    for carried in assert_read(&heard, &sent) {
        let receive = heard.spans.iter().find(|receive| receive.parent == carried.1).unwrap();
        assert_eq!(receive.trace, carried.0);
    }
    channel.queue_delete(queue, QueueDeleteOptions::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_pika_sends_goes_on_with_us() {
    let Some(url) = live::address("RABBITMQ") else { return };
    let (capture, connection) = captured(&url).await;
    let channel = confirming(&connection).await;
    let queue = shared_queue(&channel).await;
    let destination = queue.to_string();
    let task = Task::Produce { address: url, destination, messages: outgoing() };
    let Some(heard) = play(Foreign::pika(), &task, FORMATS).await else { return };
    // pika's two layers are both instrumented: the message carries the inner one.
    let is_inner = |span: &&Span| heard.spans.iter().all(|other| other.parent != span.id);
    let sends: Vec<_> = heard.spans.iter().filter(is_inner).collect();
    assert_eq!(sends.len() as u64, MESSAGES);
    let mut messages = consume(&channel, &queue).await;
    for (number, send) in (1..).zip(sends) {
        capture.clear();
        let message = next(&mut messages).await.unwrap();
        let handled = message.process(async |message| {
            assert_current(number, &message.data, send);
            Ok::<_, Infallible>(())
        });
        handled.await.unwrap();
        message.ack(BasicAckOptions::default()).await.unwrap();
        assert_goes_on(&capture.spans(), send);
    }
    channel.queue_delete(queue, QueueDeleteOptions::default()).await.unwrap();
}
