//! async-nats on NATS, without instrumentation: what an adapter of it may rely on, with and without
//! JetStream.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::time::Duration;

use async_nats::client::RequestErrorKind;
use async_nats::connection::State;
use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::context::traits::Publisher as _;
use async_nats::jetstream::context::{GetStreamErrorKind, PublishErrorKind};
use async_nats::jetstream::{self, AckKind, Context, ErrorCode, stream};
use async_nats::{
    Client, ConnectErrorKind, ConnectOptions, HeaderMap, ServerAddr, StatusCode, Subscriber,
};
use futures_util::stream::select_all;
use futures_util::{StreamExt as _, TryStreamExt as _};
use integration_tests::{PATIENCE, eventually, private, soon, unique_name};
use native::{Extra, Server};
use otel_testing::live;
use tokio::task::block_in_place;

/// The driver itself does not look at the user and the password of a URL.
fn options(url: &str) -> ConnectOptions {
    let server: ServerAddr = url.parse().unwrap();
    let (user, password) = (server.username().unwrap(), server.password().unwrap());
    let options = ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned());
    // By default the waits between attempts grow up to four seconds.
    let options = options.reconnect_delay_callback(|_| Duration::from_millis(20));
    // By default it gives up after seconds, which a busy machine may need.
    options.connection_timeout(PATIENCE).request_timeout(Some(PATIENCE))
}

async fn connect(url: &str) -> Client {
    options(url).connect(url).await.unwrap()
}

fn jetstream(client: Client) -> Context {
    let mut context = jetstream::new(client);
    context.set_timeout(PATIENCE);
    context
}

async fn next(subscriber: &mut Subscriber) -> async_nats::Message {
    soon("a message is there", subscriber.next()).await.unwrap()
}

/// Keys that differ by case, repeated and empty ones: what there is of kinds.
fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    headers.insert("Traceparent", "another");
    headers.append("again", "first");
    headers.append("again", "second");
    headers.insert("empty", "");
    headers
}

#[tokio::test]
async fn a_message_comes_as_it_was_sent() {
    let Some(url) = live::address("NATS") else { return };
    let (client, subject) = (connect(&url).await, unique_name());
    let mut subscriber = client.subscribe(subject.clone()).await.unwrap();
    let payload: &[u8] = &[0, 0xff];
    client.publish_with_headers(subject.clone(), headers(), payload.into()).await.unwrap();
    let message = next(&mut subscriber).await;
    assert_eq!(&*message.payload, payload);
    assert_eq!(message.headers, Some(headers()));
    assert_eq!((message.subject.as_str(), message.reply), (&*subject, None));
}

#[tokio::test]
async fn a_message_without_headers_has_none() {
    let Some(url) = live::address("NATS") else { return };
    let (client, subject) = (connect(&url).await, unique_name());
    let mut subscriber = client.subscribe(subject.clone()).await.unwrap();
    client.publish(subject, "order".into()).await.unwrap();
    assert_eq!(next(&mut subscriber).await.headers, None);
}

#[tokio::test]
async fn one_member_of_a_group_has_each_message() {
    let Some(url) = live::address("NATS") else { return };
    let (client, subject) = (connect(&url).await, unique_name());
    let mut members = Vec::new();
    for _ in 0..2 {
        let member = client.queue_subscribe(subject.clone(), "group".to_owned()).await.unwrap();
        members.push(member);
    }
    for payload in ["first", "second", "third"] {
        client.publish(subject.clone(), payload.into()).await.unwrap();
    }
    let mut group = select_all(members);
    let mut received = Vec::new();
    for _ in 0..3 {
        received.push(soon("a message is there", group.next()).await.unwrap().payload);
    }
    received.sort_unstable();
    assert_eq!(received, ["first", "second", "third"]);
    // Nothing is behind them: a second copy would come before this.
    client.publish(subject, "fourth".into()).await.unwrap();
    assert_eq!(soon("a message is there", group.next()).await.unwrap().payload, "fourth");
}

#[tokio::test]
async fn a_request_is_answered() {
    let Some(url) = live::address("NATS") else { return };
    let (client, subject) = (connect(&url).await, unique_name());
    let mut subscriber = client.subscribe(subject.clone()).await.unwrap();
    let answering = client.clone();
    let service = tokio::spawn(async move {
        let request = subscriber.next().await.unwrap();
        let reply = request.reply.unwrap();
        answering.publish_with_headers(reply, headers(), request.payload).await.unwrap();
    });
    let answer = client.request(subject, "order".into()).await.unwrap();
    assert_eq!((&*answer.payload, answer.headers), (&b"order"[..], Some(headers())));
    service.await.unwrap();
}

#[tokio::test]
async fn a_request_to_nobody_is_an_error_of_its_own() {
    let Some(url) = live::address("NATS") else { return };
    let client = connect(&url).await;
    let error = client.request(unique_name(), "order".into()).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::NoResponders);

    // What the driver makes it of.
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.unwrap();
    client.publish_with_reply(unique_name(), inbox, "order".into()).await.unwrap();
    let answer = next(&mut answers).await;
    assert_eq!(answer.status, Some(StatusCode::NO_RESPONDERS));
    assert_eq!(StatusCode::NO_RESPONDERS.as_u16(), 503);
}

#[tokio::test]
async fn a_request_that_nobody_answers_is_an_error_of_its_own() {
    let Some(url) = live::address("NATS") else { return };
    let (client, subject) = (connect(&url).await, unique_name());
    let _silent = client.subscribe(subject.clone()).await.unwrap();
    let request = async_nats::Request::new().payload("order".into());
    let request = request.timeout(Some(Duration::from_millis(50)));
    let error = client.send_request(subject, request).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::TimedOut);
}

#[tokio::test]
async fn a_wrong_password_is_an_error_of_its_own() {
    let Some(url) = live::address("NATS") else { return };
    let options = options(&url).user_and_password("otel".to_owned(), "wrong".to_owned());
    let error = options.connect(url).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::AuthorizationViolation);
}

/// A stream of one test's own, which takes its name as the one subject, and a consumer of it.
async fn stream(context: &Context, name: &str) -> PullConsumer {
    let config = stream::Config {
        name: name.to_owned(),
        subjects: vec![name.to_owned()],
        ..stream::Config::default()
    };
    let stream = context.create_stream(config).await.unwrap();
    let durable_name = Some("worker".to_owned());
    stream.create_consumer(pull::Config { durable_name, ..pull::Config::default() }).await.unwrap()
}

async fn store(context: &Context, name: &str, payload: &'static str) -> u64 {
    let publishing = context.publish(name.to_owned(), payload.into()).await.unwrap();
    let stored = soon("the message is stored", publishing.into_future()).await.unwrap();
    assert_eq!(stored.stream, name);
    stored.sequence
}

async fn fetch(consumer: &PullConsumer) -> jetstream::Message {
    let fetching = async {
        let mut batch = consumer.batch().max_messages(1).messages().await.unwrap();
        batch.next().await
    };
    soon("a message is there", fetching).await.unwrap().unwrap()
}

/// What is there at this moment.
async fn fetch_all(consumer: &PullConsumer) -> Vec<jetstream::Message> {
    let batch = consumer.fetch().max_messages(10).messages().await.unwrap();
    soon("all are there", batch.try_collect()).await.unwrap()
}

#[tokio::test]
async fn a_stored_message_comes_as_it_was_sent() {
    let Some(url) = live::address("NATS") else { return };
    let (context, name) = (jetstream(connect(&url).await), unique_name());
    let consumer = stream(&context, &name).await;
    let publishing = context.publish_with_headers(name.clone(), headers(), "order".into());
    let stored = publishing.await.unwrap().await.unwrap();
    assert_eq!((&*stored.stream, stored.sequence, stored.duplicate), (&*name, 1, false));
    let message = fetch(&consumer).await;
    assert_eq!((&*message.payload, &message.headers), (&b"order"[..], &Some(headers())));
    assert_eq!(message.subject.as_str(), name);
    let info = message.info().unwrap();
    assert_eq!((info.stream, info.consumer), (&*name, "worker"));
    assert_eq!((info.stream_sequence, info.consumer_sequence, info.delivered), (1, 1, 1));
}

#[tokio::test]
async fn only_what_was_acknowledged_is_not_delivered_again() {
    let Some(url) = live::address("NATS") else { return };
    let (context, name) = (jetstream(connect(&url).await), unique_name());
    let mut consumer = stream(&context, &name).await;
    for payload in ["acknowledged", "given back"] {
        store(&context, &name, payload).await;
    }
    let [first, second] = &fetch_all(&consumer).await[..] else { panic!("not two messages") };
    assert_eq!((&*first.payload, &*second.payload), (&b"acknowledged"[..], &b"given back"[..]));
    first.double_ack().await.unwrap();
    second.double_ack_with(AckKind::Nak(None)).await.unwrap();
    let [again] = &fetch_all(&consumer).await[..] else { panic!("not one message") };
    assert_eq!(&*again.payload, b"given back");
    assert_eq!(again.info().unwrap().delivered, 2);
    again.double_ack().await.unwrap();
    let info = consumer.info().await.unwrap();
    assert_eq!((info.num_pending, info.num_ack_pending), (0, 0));
}

#[tokio::test]
async fn a_stream_that_nobody_made_is_an_error_with_its_code() {
    let Some(url) = live::address("NATS") else { return };
    let context = jetstream(connect(&url).await);
    let error = context.get_stream(unique_name()).await.unwrap_err();
    let GetStreamErrorKind::JetStream(error) = error.kind() else { panic!("{error:?}") };
    assert_eq!((error.error_code(), error.code()), (ErrorCode::STREAM_NOT_FOUND, 404));
    assert_eq!(ErrorCode::STREAM_NOT_FOUND.0, 10059);
}

#[tokio::test]
async fn a_subject_of_no_stream_is_an_error_of_its_own() {
    let Some(url) = live::address("NATS") else { return };
    let context = jetstream(connect(&url).await);
    let publishing = context.publish(unique_name(), "lost".into()).await.unwrap();
    assert_eq!(publishing.await.unwrap_err().kind(), PublishErrorKind::StreamNotFound);
}

#[tokio::test]
async fn a_message_behind_another_than_expected_is_an_error_of_its_own() {
    let Some(url) = live::address("NATS") else { return };
    let (context, name) = (jetstream(connect(&url).await), unique_name());
    stream(&context, &name).await;
    let message = jetstream::message::PublishMessage::build().payload("lost".into());
    let publishing = message.expected_last_sequence(7).outbound_message(name);
    let publishing = context.publish_message(publishing).await.unwrap();
    assert_eq!(publishing.await.unwrap_err().kind(), PublishErrorKind::WrongLastSequence);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_comes_back_with_what_it_stored_and_clients_go_on() {
    let server = block_in_place(|| private(Server::nats(), Extra::new()));
    let Some(mut server) = server else { return };
    let (client, name) = (connect(server.url()).await, unique_name());
    let context = jetstream(client.clone());
    let consumer = stream(&context, &name).await;
    let plain = unique_name();
    let mut subscriber = client.subscribe(plain.clone()).await.unwrap();
    for payload in ["first", "second"] {
        store(&context, &name, payload).await;
    }

    block_in_place(|| server.kill()).unwrap();
    eventually("the client notices", async || client.connection_state() == State::Disconnected)
        .await;
    block_in_place(|| server.restart()).unwrap();
    eventually("the client is back", async || client.connection_state() == State::Connected).await;
    client.publish(plain, "subscribed again".into()).await.unwrap();
    assert_eq!(&*next(&mut subscriber).await.payload, b"subscribed again");
    assert_eq!(store(&context, &name, "third").await, 3);
    // Nothing was acknowledged before: that may be forgotten in a kill, even where it was confirmed.
    for payload in ["first", "second", "third"] {
        assert_eq!(fetch(&consumer).await.payload, payload);
    }
}
