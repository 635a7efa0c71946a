//! In the manner of async-nats's examples, with the server's address and names of a run's own.

use std::collections::HashMap;
use std::str::from_utf8;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::driver as async_nats;

use async_nats::jetstream::consumer::{self, AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::consumer::{OrderedPullConsumer, PullConsumer, PushConsumer};
use async_nats::jetstream::message::{Acker, PublishMessage};
use async_nats::jetstream::{self, AckKind};
use async_nats::service::error::Error as ServiceError;
use async_nats::service::{self, ServiceExt};
use async_nats::{Client, ConnectOptions, Error, Event, HeaderMap, Message, Subject, Subscriber};

/// What each of them saw.
pub(crate) type Seen = Vec<String>;

pub(crate) async fn all(url: &str, run: &str) -> Result<Seen, Error> {
    let client = connect(url).await?;
    let mut seen = Vec::new();
    let subject = |name: &str| format!("{run}_{}.{name}", std::process::id());
    seen.extend(concurrent(&client, &subject("greet")).await?);
    seen.extend(json(&client, &subject("json")).await?);
    seen.extend(wildcards(&client, &subject("time")).await?);
    seen.extend(queue_groups(&client, &subject("orders")).await?);
    seen.extend(request_reply(&client, &subject("calc")).await?);
    seen.extend(scatter_gather(&client, &subject("quote")).await?);
    seen.extend(services(&client, &subject("service")).await?);
    let name = subject("stream").replace('.', "_");
    seen.extend(publishing(&client, &name).await?);
    seen.extend(pull_consumers(&client, &format!("{name}_pull")).await?);
    seen.extend(push_consumers(&client, &format!("{name}_push")).await?);
    seen.extend(key_value(&client, &format!("{name}_kv")).await?);
    // Names of a run differ.
    Ok(seen.into_iter().map(|line| line.replace(&subject(""), "").replace(&name, "")).collect())
}

/// `local_address.rs`, and what the documentation of `ConnectOptions` has.
async fn connect(url: &str) -> Result<Client, Error> {
    let client = ConnectOptions::with_user_and_password("otel".to_string(), "otel".to_string())
        .name("shop")
        .local_address("127.0.0.1:0".parse()?)
        .ping_interval(Duration::from_secs(10))
        .request_timeout(Some(Duration::from_secs(10)))
        .subscription_capacity(1024)
        .retry_on_initial_connect()
        .event_callback(|event| async move {
            match event {
                Event::Disconnected => println!("disconnected"),
                Event::Connected => println!("reconnected"),
                Event::ClientError(err) => println!("client error occurred: {err}"),
                other => println!("other event happened: {other}"),
            }
        })
        .connect(url)
        .await?;
    client.flush().await?;
    Ok(client)
}

/// `concurrent.rs`, `pub.rs`, `sub.rs`, `multiple_subs.rs`.
async fn concurrent(client: &Client, name: &str) -> Result<Seen, Error> {
    let subscription = client.subscribe(format!("{name}.*")).await?.take(50);
    let subject = Subject::from(format!("{name}.joe"));
    let data = Bytes::from("hello");
    let publishing = tokio::task::spawn({
        let client = client.clone();
        async move {
            for _ in 0..50 {
                client.publish(subject.clone(), data.clone()).await?;
            }
            client.flush().await?;
            Ok::<(), Error>(())
        }
    });
    let count = std::sync::atomic::AtomicUsize::new(0);
    subscription
        .for_each_concurrent(25, |message| {
            let count = &count;
            async move {
                assert_eq!(from_utf8(&message.payload).unwrap(), "hello");
                count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        })
        .await;
    publishing.await??;
    Ok(vec![format!("{count:?} greetings")])
}

#[derive(Serialize, Deserialize)]
struct Payload {
    foo: String,
    bar: u8,
}

/// `json.rs`; and a message as a whole.
async fn json(client: &Client, subject: &str) -> Result<Seen, Error> {
    let mut subscriber = client.subscribe(subject.to_string()).await?.take(1);
    let payload = Payload { foo: "bar".to_string(), bar: 27 };
    client.publish(subject.to_string(), serde_json::to_vec(&payload)?.into()).await?;
    let mut seen = Vec::new();
    while let Some(message) = subscriber.next().await {
        if let Ok(payload) = serde_json::from_slice::<Payload>(&message.payload) {
            seen.push(format!("received payload: foo={:?} bar={:?}", payload.foo, payload.bar));
        }
        let text = serde_json::to_string(&message)?;
        let back: Message = serde_json::from_str(&text)?;
        let Message { subject, payload, reply, status, description, .. } = back;
        seen.push(format!("{subject} {} {reply:?} {status:?} {description:?}", payload.len()));
    }
    Ok(seen)
}

/// `docs_subjects_*.rs`.
async fn wildcards(client: &Client, name: &str) -> Result<Seen, Error> {
    let mut single = client.subscribe(format!("{name}.*.east")).await?;
    let mut multi: Subscriber = client.subscribe(format!("{name}.us.>")).await?;
    client.publish(format!("{name}.us.east"), "a".into()).await?;
    client.publish(format!("{name}.us.east.atlanta"), "b".into()).await?;
    client.publish(format!("{name}.eu.east"), "c".into()).await?;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let msg = single.next().await.unwrap();
        seen.push(format!("{}: {}", msg.subject, String::from_utf8_lossy(&msg.payload)));
        let msg = multi.next().await.unwrap();
        seen.push(format!("{}: {}", msg.subject, String::from_utf8_lossy(&msg.payload)));
    }
    single.unsubscribe().await?;
    multi.unsubscribe_after(10).await?;
    multi.drain().await?;
    Ok(seen)
}

/// `docs_queue_groups_*.rs`.
async fn queue_groups(client: &Client, subject: &str) -> Result<Seen, Error> {
    let mut audit_sub = client.subscribe(format!("{subject}.>")).await?;
    let worker = client.queue_subscribe(format!("{subject}.new"), "workers".to_string()).await?;
    let mut workers = futures_util::stream::select_all([worker]);
    client.publish(format!("{subject}.new"), "Order 123".into()).await?;
    let order = workers.next().await.unwrap();
    let audited = audit_sub.next().await.unwrap();
    Ok(vec![format!("{:?} {:?}", order.payload, audited.payload)])
}

/// `docs_request_reply_*.rs`.
async fn request_reply(client: &Client, subject: &str) -> Result<Seen, Error> {
    let mut sub = client.subscribe(subject.to_string()).await?;
    let service_client = client.clone();
    tokio::spawn(async move {
        while let Some(msg) = sub.next().await {
            let Some(reply) = msg.reply else { continue };
            let mut headers = HeaderMap::new();
            if let Some(request_id) = msg.headers.as_ref().and_then(|h| h.get("X-Request-ID")) {
                headers.insert("X-Response-ID", request_id.as_str());
            }
            service_client.publish_with_headers(reply, headers, msg.payload).await.ok();
        }
    });
    let mut headers = HeaderMap::new();
    headers.insert("X-Request-ID", "123");
    let response = client.request_with_headers(subject.to_string(), headers, "data".into()).await?;
    let id = response.headers.as_ref().and_then(|h| h.get("X-Response-ID"));
    let mut seen = vec![format!("{:?} {id:?}", response.payload)];
    let response = client.request(subject.to_string(), "again".into()).await?;
    seen.push(format!("{:?}", response.payload));
    let request = async_nats::Request::new()
        .payload("own".into())
        .inbox(client.new_inbox())
        .timeout(Some(Duration::from_secs(5)));
    seen.push(format!("{:?}", client.send_request(subject.to_string(), request).await?.payload));
    let error = client.request(format!("{subject}.none"), "data".into()).await.unwrap_err();
    assert_eq!(error.kind(), async_nats::client::RequestErrorKind::NoResponders);
    seen.push(error.to_string());
    Ok(seen)
}

/// `docs_learn_core_nats_scatter_gather_*.rs`.
async fn scatter_gather(client: &Client, subject: &str) -> Result<Seen, Error> {
    for price in [7, 9] {
        let mut requests = client.subscribe(subject.to_string()).await?;
        let provider = client.clone();
        tokio::spawn(async move {
            while let Some(request) = requests.next().await {
                if let Some(reply) = request.reply {
                    provider.publish(reply, format!("{price}").into()).await.ok();
                }
            }
        });
    }
    let inbox = client.new_inbox();
    let mut sub = client.subscribe(inbox.clone()).await?;
    client.publish_with_reply(subject.to_string(), inbox.clone(), "order".into()).await?;
    client.flush().await?;
    let mut quotes = Vec::new();
    while quotes.len() < 2 {
        let Ok(Some(msg)) = timeout(Duration::from_secs(20), sub.next()).await else { break };
        quotes.push(String::from_utf8_lossy(&msg.payload).to_string());
    }
    quotes.sort();
    Ok(vec![format!("gathered {} quotes: {:?}", quotes.len(), quotes)])
}

/// The documentation of the module `service`.
async fn services(client: &Client, subject: &str) -> Result<Seen, Error> {
    let service: service::Service = client
        .service_builder()
        .description("some service")
        .metadata(HashMap::from([("team".to_string(), "orders".to_string())]))
        .stats_handler(
            |endpoint, stats| serde_json::json!({ "endpoint": endpoint, "n": stats.requests }),
        )
        .queue_group("workers")
        .start("generator", "1.0.0")
        .await?;
    let group = service.group(subject.to_string());
    let inner = group.group_with_queue_group("v1", "inner");
    let mut endpoint = inner.endpoint_builder().name("products").add("get.*").await?;
    let answering = tokio::spawn(async move {
        while let Some(request) = endpoint.next().await {
            let response = match request.message.subject.ends_with(".7") {
                true => Ok(request.message.payload.clone()),
                false => Err(ServiceError { code: 404, status: "no such product".to_string() }),
            };
            request.respond(response).await?;
        }
        Ok::<(), Error>(())
    });
    let mut seen = Vec::new();
    let product = client.request(format!("{subject}.v1.get.7"), "seven".into()).await?;
    seen.push(format!("{:?}", product.payload));
    let missing = client.request(format!("{subject}.v1.get.8"), "eight".into()).await?;
    let headers = missing.headers.unwrap();
    let code = headers.get(service::NATS_SERVICE_ERROR_CODE).unwrap();
    seen.push(format!("{} {code}", headers.get(service::NATS_SERVICE_ERROR).unwrap()));
    let stats = service.stats().await;
    let stats = stats.get("products").unwrap();
    seen.push(format!("{} {} {}", stats.queue_group, stats.requests, stats.errors));
    seen.push(format!("{} {}", service.info().await.name, service.info().await.version));
    service.stop().await?;
    answering.await??;
    let other = client
        .add_service(service::Config {
            name: "other".to_string(),
            version: "1.0.0".to_string(),
            description: None,
            stats_handler: None,
            metadata: None,
            queue_group: None,
        })
        .await?;
    other.stop().await?;
    Ok(seen)
}

fn stream(name: &str) -> jetstream::stream::Config {
    jetstream::stream::Config {
        name: name.to_string(),
        subjects: vec![format!("{name}.>")],
        ..Default::default()
    }
}

/// `docs_learn_jetstream_publishing_*.rs`, `docs_learn_jetstream_advanced_publishing_async.rs`.
async fn publishing(client: &Client, name: &str) -> Result<Seen, Error> {
    let js = jetstream::ContextBuilder::new()
        .timeout(Duration::from_secs(10))
        .max_ack_inflight(100)
        .build(client.clone());
    js.create_stream(stream(name)).await?;
    let ack = js.publish(format!("{name}.created"), "order".into()).await?.await?;
    let mut seen = vec![format!("{} {} {}", ack.stream, ack.sequence, ack.duplicate)];
    for _ in 0..2 {
        let publish = PublishMessage::build().payload("once".into()).message_id("ord_8w2k");
        let ack = js.send_publish(format!("{name}.created"), publish).await?.await?;
        seen.push(format!("{} {}", ack.sequence, ack.duplicate));
    }
    let mut acks = Vec::new();
    for _ in 0..4 {
        acks.push(js.publish(format!("{name}.created"), "order".into()).await?);
    }
    for future in acks {
        match future.await {
            Ok(ack) => seen.push(format!("stored at sequence {}", ack.sequence)),
            Err(err) => seen.push(format!("failed, re-publish it: {err}")),
        }
    }
    js.publish(format!("{name}.created"), "nobody waits".into()).await?;
    js.wait_for_acks().await;
    let futures =
        futures_util::future::join_all((0..3).map(|_| async {
            js.publish(format!("{name}.a"), "b".into()).await?.into_future().await
        }));
    let stored: Vec<_> = futures.await.into_iter().collect::<Result<_, _>>()?;
    seen.push(format!("{}", stored.len()));
    let wrong = PublishMessage::build().expected_last_sequence(1);
    let error = js.send_publish(format!("{name}.a"), wrong).await?.await.unwrap_err();
    seen.push(error.to_string());
    let error = js.publish(format!("none.{name}"), "b".into()).await?.await.unwrap_err();
    seen.push(error.to_string());
    let mut stream = js.get_stream(name).await?;
    seen.push(format!("{}", stream.info().await?.state.messages));
    seen.push(format!("{:?}", stream.get_raw_message(2).await?.payload));
    let last = stream.get_last_raw_message_by_subject(&format!("{name}.a")).await?;
    seen.push(format!("{}", last.sequence));
    seen.push(format!("{}", stream.purge().filter(format!("{name}.a")).await?.purged));
    let streams: Vec<String> = js.stream_names().try_collect().await?;
    assert!(streams.contains(&name.to_string()));
    js.delete_stream(name).await?;
    Ok(seen)
}

/// `jetstream_pull.rs`, `docs_learn_jetstream_{your_first_consumer,pull_consumers,acknowledgment}_*.rs`.
async fn pull_consumers(client: &Client, name: &str) -> Result<Seen, Error> {
    let jetstream = jetstream::new(client.clone());
    let made: PullConsumer = jetstream
        .create_stream(stream(name))
        .await?
        .create_consumer(pull::Config {
            durable_name: Some("consumer".into()),
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::Explicit,
            ..Default::default()
        })
        .await?;
    for i in 0..10 {
        jetstream.publish(format!("{name}.{i}"), "data".into()).await?.await?;
    }
    let mut seen = Vec::new();
    assert_eq!(made.cached_info().name, "consumer");
    let stream = jetstream.get_stream(name).await?;
    // What it fetched and nobody took would be delivered to others in half a minute.
    let reader: PullConsumer = stream.create_consumer(pull::Config::default()).await?;
    let mut messages = reader.messages().await?.take(10);
    while let Some(message) = messages.next().await {
        let message = message?;
        seen.push(format!("got message on subject {}", message.subject));
        message.ack().await?;
    }
    drop(messages);
    let consumer: PullConsumer = stream.get_consumer("consumer").await?;
    let mut messages =
        consumer.fetch().max_messages(3).expires(Duration::from_secs(20)).messages().await?;
    while let Some(msg) = messages.next().await {
        let msg = msg?;
        let info = msg.info()?;
        seen.push(format!("{} {} {}", msg.subject, info.consumer, info.delivered));
        match info.stream_sequence % 3 {
            0 => msg.double_ack().await?,
            1 => msg.ack_with(AckKind::Term).await?,
            _ => {
                msg.ack_with(AckKind::Progress).await?;
                let (message, acker): (_, Acker) = msg.split();
                assert_eq!(&*message.payload, b"data");
                acker.double_ack().await?;
            }
        }
    }
    let mut batches = consumer.sequence(2)?.take(1);
    while let Ok(Some(mut batch)) = batches.try_next().await {
        while let Some(Ok(message)) = batch.next().await {
            seen.push(format!("message received: {}", message.subject));
            message.ack().await?;
        }
    }
    let batch =
        consumer.batch().max_messages(1).expires(Duration::from_secs(20)).messages().await?;
    let batch: Vec<jetstream::Message> = batch.try_collect().await?;
    batch[0].ack_with(AckKind::Nak(None)).await?;
    seen.push(format!("{} {:?}", batch[0].subject, batch[0].payload));
    let plain: Message = batch[0].clone().into();
    seen.push(format!("{}", plain.subject));
    let mut ordered: OrderedPullConsumer =
        stream.create_consumer(pull::OrderedConfig::default()).await?;
    seen.push(format!("{}", ordered.info().await?.num_pending));
    let ordered = ordered.messages().await?;
    let all: Vec<_> = ordered.take(10).try_collect().await?;
    seen.push(format!("{}", all.len()));
    let mut named = stream
        .get_or_create_consumer(
            "other",
            pull::Config {
                durable_name: Some("other".to_string()),
                filter_subject: format!("{name}.3"),
                ..Default::default()
            },
        )
        .await?;
    let mut messages = named
        .stream()
        .max_messages_per_batch(10)
        .expires(Duration::from_secs(20))
        .heartbeat(Duration::from_secs(1))
        .messages()
        .await?;
    seen.push(format!("{}", messages.next().await.unwrap()?.subject));
    assert!(messages.next().now_or_never().is_none());
    seen.push(format!("{:?}", named.cached_info().config.durable_name));
    seen.push(format!("{}", named.info().await?.num_ack_pending));
    stream.delete_consumer("other").await?;
    jetstream.delete_stream(name).await?;
    Ok(seen)
}

/// `jetstream_push.rs`.
async fn push_consumers(client: &Client, name: &str) -> Result<Seen, Error> {
    let jetstream = jetstream::new(client.clone());
    let stream = jetstream.get_or_create_stream(stream(name)).await?;
    let consumer: PushConsumer = stream
        .create_consumer(consumer::push::Config {
            deliver_subject: client.new_inbox(),
            inactive_threshold: Duration::from_secs(60),
            ..Default::default()
        })
        .await?;
    for i in 0..3 {
        jetstream.publish(format!("{name}.{i}"), "data".into()).await?.await?;
    }
    let mut seen = Vec::new();
    let mut messages = consumer.messages().await?.take(3);
    while let Some(message) = messages.next().await {
        let message = message?;
        seen.push(format!("{} {}", message.subject, from_utf8(&message.payload)?));
        message.ack().await?;
    }
    let consumer = jetstream
        .create_consumer_on_stream(
            consumer::push::OrderedConfig {
                deliver_subject: client.new_inbox(),
                ..Default::default()
            },
            name,
        )
        .await?;
    let mut messages = consumer.messages().await?.take(3);
    while let Some(message) = messages.try_next().await? {
        seen.push(format!("{}", message.info()?.stream_sequence));
    }
    drop(messages);
    jetstream.delete_stream(name).await?;
    Ok(seen)
}

/// `kv.rs`.
async fn key_value(client: &Client, bucket: &str) -> Result<Seen, Error> {
    let jetstream = jetstream::new(client.clone());
    let config = jetstream::kv::Config { bucket: bucket.to_string(), ..Default::default() };
    let kv = jetstream.create_key_value(config).await?;
    kv.put("sue.color", "blue".into()).await?;
    let mut seen = Vec::new();
    if let Some(entry) = kv.entry("sue.color").await? {
        seen.push(format!("{} @ {} -> {}", entry.key, entry.revision, from_utf8(&entry.value)?));
    }
    let stream = jetstream.get_stream(format!("KV_{bucket}")).await?;
    let consumer = stream.create_consumer(pull::Config::default()).await?;
    let mut messages = consumer.messages().await?;
    let message = messages.next().await.unwrap()?;
    seen.push(format!("{} @ {}", message.subject, message.info()?.stream_sequence));
    jetstream.delete_key_value(bucket).await?;
    Ok(seen)
}
