//! What is played by both; each answers what it saw, line by line.

use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use integration_tests::{PATIENCE, eventually, eventually_ok, soon, unique_name};
use native::Private;
use tokio::task::block_in_place;

use super::driver as async_nats;

use async_nats::connection::State;
use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{self, AckKind, stream};
use async_nats::{Client, ConnectOptions, HeaderMap, Request, ServerAddr};

async fn connect(url: &str, told: impl Fn(ConnectOptions) -> ConnectOptions) -> Client {
    let server: ServerAddr = url.parse().unwrap();
    let (user, password) = (server.username().unwrap(), server.password().unwrap());
    let options = ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned())
        .name("live")
        .reconnect_delay_callback(|_| Duration::from_millis(20))
        .connection_timeout(PATIENCE)
        .request_timeout(Some(PATIENCE));
    told(options).connect(url).await.unwrap()
}

fn impatient() -> Request {
    Request::new().payload("order".into()).timeout(Some(Duration::from_millis(100)))
}

async fn stored(context: &jetstream::Context, name: &str) -> stream::Stream {
    let subjects = vec![format!("{name}.>")];
    let config = stream::Config { name: name.to_owned(), subjects, ..Default::default() };
    context.create_stream(config).await.unwrap()
}

/// Under load: what fails meanwhile, and what is there afterwards.
pub async fn killed(
    server: &mut Private,
    told: impl Fn(ConnectOptions) -> ConnectOptions,
) -> Vec<String> {
    let url = server.url().to_owned();
    let client = connect(&url, told).await;
    let mut context = jetstream::new(client.clone());
    context.set_timeout(Duration::from_millis(200));
    let name = unique_name();
    stored(&context, &name).await;
    let mut messages = client.subscribe("life").await.unwrap();
    context.publish(format!("{name}.first"), "first".into()).await.unwrap().await.unwrap();
    // One that is asked, and will not answer.
    let mut silent = client.subscribe("silent").await.unwrap();
    let open = tokio::spawn({
        let client = client.clone();
        async move { client.send_request("silent", impatient()).await.map(|_| ()) }
    });
    soon("it is asked", silent.next()).await.unwrap();
    block_in_place(|| server.kill()).unwrap();
    eventually("it is noticed", async || client.connection_state() != State::Connected).await;
    let mut seen = vec![format!("open: {:?}", open.await.unwrap().unwrap_err().kind())];
    // They wait in the client, and nobody answers.
    let error = client.send_request("life", impatient()).await.unwrap_err();
    seen.push(format!("request: {:?}", error.kind()));
    let receipt = context.publish(format!("{name}.lost"), "lost".into()).await.unwrap();
    seen.push(format!("publish: {:?}", receipt.await.unwrap_err().kind()));
    drop(context.publish(format!("{name}.dropped"), "dropped".into()).await.unwrap());
    client.publish("life", "queued".into()).await.unwrap();
    block_in_place(|| server.restart()).unwrap();
    eventually("it is there", async || client.connection_state() == State::Connected).await;
    let publish = async || {
        let receipt = context.publish(format!("{name}.second"), "second".into()).await?;
        receipt.await
    };
    eventually_ok("it stores again", publish).await;
    client.publish("life", "again".into()).await.unwrap();
    loop {
        let message = soon("a message is there", messages.next()).await.unwrap();
        if message.payload == "again" {
            break;
        }
    }
    let answered = connect_and_answer(&client).await;
    seen.push(format!("answer: {answered}"));
    let stream = context.get_stream(&name).await.unwrap();
    let first = stream.get_raw_message(1).await.unwrap();
    seen.push(format!("first: {:?}", first.payload));
    seen
}

async fn connect_and_answer(client: &Client) -> String {
    let subject = unique_name();
    let mut requests = client.subscribe(subject.clone()).await.unwrap();
    let (asked, ()) = tokio::join!(client.request(subject, "price".into()), async {
        let request = soon("it is asked", requests.next()).await.unwrap();
        client.publish(request.reply.unwrap(), "7".into()).await.unwrap();
    });
    String::from_utf8_lossy(&asked.unwrap().payload).into_owned()
}

/// The connection stays, and nothing comes of it.
pub async fn stopped(
    server: &mut Private,
    told: impl Fn(ConnectOptions) -> ConnectOptions,
) -> Vec<String> {
    let url = server.url().to_owned();
    let client = connect(&url, told).await;
    let mut context = jetstream::new(client.clone());
    let name = unique_name();
    stored(&context, &name).await;
    context.set_timeout(Duration::from_millis(100));
    server.pause().unwrap();
    let mut seen = Vec::new();
    let error = client.send_request("life", impatient()).await.unwrap_err();
    seen.push(format!("request: {:?}", error.kind()));
    let receipt = context.publish(format!("{name}.late"), "late".into()).await.unwrap();
    seen.push(format!("publish: {:?}", receipt.await.unwrap_err().kind()));
    client.publish("life", "queued".into()).await.unwrap();
    server.resume().unwrap();
    context.set_timeout(PATIENCE);
    soon("it goes on", client.flush()).await.unwrap();
    seen.push(format!("answer: {}", connect_and_answer(&client).await));
    let state = context.get_stream(&name).await.unwrap().cached_info().state.messages;
    seen.push(format!("stored: {state}"));
    seen
}

/// Results, errors, order and back-pressure.
pub async fn alike(url: &str, told: impl Fn(ConnectOptions) -> ConnectOptions) -> Vec<String> {
    let client = connect(url, told).await;
    let name = unique_name();
    let mut seen = Vec::new();
    let mut all = client.subscribe(format!("{name}.>")).await.unwrap();
    let large = vec![b'x'; 1_000_000];
    let mut headers = HeaderMap::new();
    headers.append("Own", "first");
    headers.append("Own", "second");
    headers.append("own", "");
    for (place, payload) in [("a", &b"body"[..]), ("b", b""), ("c", &[0, 0xff]), ("d", &large)] {
        let payload = bytes(payload);
        client
            .publish_with_headers(format!("{name}.{place}"), headers.clone(), payload)
            .await
            .unwrap();
        let message = soon("a message is there", all.next()).await.unwrap();
        let sizes = (message.payload.len(), message.status, message.reply);
        let own: Vec<_> = message.headers.as_ref().unwrap().get_all("Own").cloned().collect();
        let empty = message.headers.as_ref().unwrap().get("own").cloned();
        seen.push(format!("{} {sizes:?} {own:?} {empty:?}", message.subject.replace(&name, "")));
    }
    for subject in ["", "a b", "a\r\nb"] {
        let error = client.publish(subject.to_owned(), "".into()).await.unwrap_err();
        seen.push(format!("{subject:?}: {error}"));
        let error =
            client.publish_with_reply("a", subject.to_owned(), "".into()).await.unwrap_err();
        seen.push(format!("{subject:?}: {error}"));
        let error = client.subscribe(subject.to_owned()).await.map(|_| ()).unwrap_err();
        seen.push(format!("{subject:?}: {error}"));
    }
    let order: Vec<_> = (0..100).map(|number| number.to_string()).collect();
    for number in &order {
        client.publish(format!("{name}.order"), number.clone().into()).await.unwrap();
    }
    let mut came = Vec::new();
    for _ in 0..100 {
        came.push(soon("a message is there", all.next()).await.unwrap().payload);
    }
    seen.push(format!("in order: {}", came.iter().zip(&order).all(|(came, sent)| came == sent)));
    assert!(all.next().now_or_never().is_none());

    seen.extend(stored_alike(&client, &name).await);

    // What ends by itself, and what is left.
    let subject = format!("{name}.last");
    let mut two = client.subscribe(subject.clone()).await.unwrap();
    two.unsubscribe_after(2).await.unwrap();
    let mut drained = client.subscribe(subject.clone()).await.unwrap();
    for _ in 0..3 {
        client.publish(subject.clone(), "".into()).await.unwrap();
    }
    seen.push(format!("two of three: {}", soon("it ends", two.count()).await));
    drained.drain().await.unwrap();
    seen.push(format!("drained: {}", soon("it ends", drained.count()).await));
    client.drain().await.unwrap();
    seen.push(format!("all drained: {}", soon("it ends", all.count()).await));
    seen
}

/// The same of JetStream.
async fn stored_alike(client: &Client, name: &str) -> Vec<String> {
    let mut seen = Vec::new();
    // Receipts that are held hold their places.
    let few = jetstream::ContextBuilder::new().max_ack_inflight(2).backpressure_on_inflight(false);
    let few = few.build(client.clone());
    let stream = stored(&few, &format!("{name}_s")).await;
    let publish = async || few.publish(format!("{name}_s.a"), "order".into()).await;
    let held = (publish().await.unwrap(), publish().await.unwrap());
    soon("they are stored", async { while stream.get_info().await.unwrap().state.messages < 2 {} })
        .await;
    seen.push(format!("{:?}", publish().await.unwrap_err().kind()));
    // One that nobody waits for frees its place with the answer.
    drop(held.0.into_future());
    let third = eventually_ok("there is a place", publish).await;
    seen.push(format!("{:?}", publish().await.unwrap_err().kind()));
    seen.push(format!("{:?}", held.1.await.unwrap().sequence));
    seen.push(format!("{:?}", third.await.unwrap().sequence));
    drop(publish().await.unwrap());
    soon("nothing is in flight", few.wait_for_acks()).await;

    let consumer = stream
        .create_consumer(pull::Config {
            durable_name: Some("worker".to_owned()),
            ..Default::default()
        })
        .await
        .unwrap();
    let mut messages = consumer.messages().await.unwrap();
    let first = soon("a message is there", messages.next()).await.unwrap().unwrap();
    first.ack_with(AckKind::Nak(None)).await.unwrap();
    let mut delivered = Vec::new();
    while delivered.len() < 4 {
        let message = soon("a message is there", messages.next()).await.unwrap().unwrap();
        let info = message.info().unwrap();
        delivered.push(format!("{} {}", info.stream_sequence, info.delivered));
        message.double_ack().await.unwrap();
    }
    delivered.sort();
    seen.push(format!("delivered: {delivered:?}"));
    // What goes to the server, to the byte.
    let mut acks = client.subscribe(format!("$JS.ACK.{name}_s.>")).await.unwrap();
    first.ack().await.unwrap();
    first.double_ack().await.unwrap();
    let delayed = AckKind::Nak(Some(Duration::from_secs(1)));
    for kind in [AckKind::Ack, AckKind::Nak(None), delayed, AckKind::Progress, AckKind::Term] {
        first.ack_with(kind).await.unwrap();
    }
    for _ in 0..7 {
        let ack = soon("an acknowledgement is there", acks.next()).await.unwrap();
        seen.push(format!("ack: {:?} {:?}", ack.payload, ack.headers));
    }
    let mut message = first;
    message.message.reply = None;
    seen.push(format!("no reply: {}", message.ack().await.unwrap_err()));
    seen.push(format!("no reply: {}", message.double_ack().await.unwrap_err()));
    seen.push(format!("no reply: {}", message.info().unwrap_err()));
    drop(messages);
    let brief = Duration::from_millis(50);
    let batch = consumer.batch().max_messages(3).expires(brief).messages().await.unwrap();
    seen.push(format!("batch: {}", soon("it is over", batch.count()).await));
    let fetched = consumer.fetch().max_messages(3).expires(brief).messages().await.unwrap();
    seen.push(format!("fetch: {}", soon("it is over", fetched.count()).await));
    let wrong = PublishMessage::build().expected_last_subject_sequence(99);
    let error = few.send_publish(format!("{name}_s.a"), wrong).await.unwrap().await.unwrap_err();
    seen.push(error.to_string());
    let error = few.get_stream("none").await.map(|_| ()).unwrap_err();
    seen.push(error.to_string());
    few.delete_stream(format!("{name}_s")).await.unwrap();
    seen
}

fn bytes<T: for<'a> From<Vec<u8>>>(bytes: &[u8]) -> T {
    bytes.to_vec().into()
}
