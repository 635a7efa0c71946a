//! What is left to async-nats's own handles, line by line of the README's table: nothing of it is
//! traced.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as such")]

mod support;

use async_nats::jetstream::consumer::{PullConsumer, pull};
use async_nats::jetstream::context::traits::ClientProvider;
use async_nats::jetstream::{self, stream};
use futures_util::StreamExt as _;
use otel_nats::Message;
use otel_testing::{Capture, live};
use support::{connect, unique_name};

/// As a library has it.
async fn announce(client: async_nats::Client, subject: String) {
    client.publish(subject, "order".into()).await.unwrap();
}

async fn store(context: jetstream::Context, subject: String) {
    context.publish(subject, "order".into()).await.unwrap().await.unwrap();
}

fn length(message: async_nats::Message) -> usize {
    message.payload.into_iter().count()
}

async fn settle(message: jetstream::Message) {
    message.double_ack().await.unwrap();
}

async fn last(stream: &stream::Stream, subject: &str) -> u64 {
    stream.get_last_raw_message_by_subject(subject).await.unwrap().sequence
}

async fn first(consumer: &PullConsumer) -> jetstream::Message {
    let mut batch = consumer.batch().max_messages(1).messages().await.unwrap();
    batch.next().await.unwrap().unwrap()
}

async fn listen(
    client: &impl async_nats::client::traits::Subscriber,
    subject: String,
) -> async_nats::Subscriber {
    client.subscribe(subject).await.unwrap()
}

fn server(context: &impl ClientProvider) -> u16 {
    context.client().server_info().port
}

#[tokio::test]
async fn each_line_of_the_table() {
    let Some(url) = live::address("NATS") else { return };
    let capture = Capture::new();
    let client = connect(&url, &capture.telemetry()).await;
    let (context, name) = (otel_nats::jetstream::new(client.clone()), unique_name());
    let subject = format!("{name}.new");
    let config = stream::Config {
        name: name.clone(),
        subjects: vec![subject.clone()],
        ..stream::Config::default()
    };
    let stream = context.create_stream(config).await.unwrap();
    let consumer = stream.create_consumer(pull::Config::default()).await.unwrap();
    let mut messages = listen(client.raw(), subject.clone()).await;

    announce(client.raw().clone(), subject.clone()).await;
    store(context.raw().clone(), subject.clone()).await;
    let raw = messages.next().await.unwrap();
    let message = Message::with(raw, &capture.telemetry());
    assert_eq!(length(message.clone().into_inner()), 5);
    assert_eq!(length(message.into()), 5);
    assert_eq!(last(stream.raw(), &subject).await, 2);
    let stored = first(consumer.raw()).await;
    settle(stored).await;
    assert!(server(context.raw()) > 0);
    capture.assert_silent();

    // What comes of ours may be handed on as well.
    let mut batch = consumer.batch().max_messages(1).messages().await.unwrap();
    let message = batch.next().await.unwrap().unwrap();
    settle(message.clone().into_inner()).await;
    assert_eq!(length(message.into()), 5);
    drop(batch);
    assert_eq!(capture.spans().len(), 1);
    context.delete_stream(&name).await.unwrap();
}
