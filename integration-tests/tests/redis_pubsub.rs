//! `otel-redis` on pub/sub: what is published is received and handled, with an envelope in one trace.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test")]

mod redis_messages;

use std::collections::HashSet;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use integration_tests::{count, eventually, soon, total, unique_name};
use otel_redis::{Client, ControlFlow, Messaging, Msg, PubSubCommands as _};
use otel_testing::opentelemetry::Context;
use otel_testing::opentelemetry::baggage::BaggageExt as _;
use otel_testing::opentelemetry::trace::{FutureExt as _, SpanKind, TraceContextExt as _, TraceId};
use otel_testing::{Capture, live};
use redis::{AsyncCommands as _, AsyncConnectionConfig, Commands as _, PushInfo, cmd, pipe};
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::{block_in_place, spawn_blocking};

use crate::redis_messages::{Side, names, order, remote, text_of};

fn enveloped() -> Messaging {
    Messaging::new().envelopes(true)
}

#[tokio::test]
async fn a_message_in_an_envelope_carries_its_trace_to_who_handles_it() {
    let Some(url) = live::address("REDIS") else { return };
    let (from, to, channel) = (Side::new(&url), Side::new(&url), unique_name());
    let bare = redis::Client::open(&*url).unwrap();
    let mut others = bare.get_async_pubsub().await.unwrap();
    others.subscribe(&channel).await.unwrap();
    let mut pubsub = to.client.get_async_pubsub().await.unwrap();
    pubsub.subscribe(&channel).await.unwrap();
    assert_eq!(names(&to.capture), ["SUBSCRIBE"]);
    to.capture.clear();
    let mut publisher = from.connection().await;
    assert_eq!(publisher.publish(&channel, b"hello\xff\n").await, Ok(2));
    from.capture.assert_spans([from.step("PUBLISH", "send", &channel).producer().root()]);
    let sent = from.capture.spans().remove(0).span_context;

    let message = soon("it comes", pubsub.on_message().next()).await.unwrap();
    assert_eq!(message.get_payload_bytes(), b"hello\xff\n");
    assert_eq!(message.get_channel_name(), channel);
    assert!(!message.from_pattern());
    let inside = message.process(async |message: &Msg| {
        let trace = Context::current().span().span_context().trace_id();
        message.get_payload::<Vec<u8>>().map(|_| trace)
    });
    assert_eq!(inside.await, Ok(sent.trace_id()));
    let link = remote(&sent);
    to.capture.assert_spans([
        to.step("receive", "receive", &channel).client().root().link(&link),
        to.step("process", "process", &channel).consumer().child_of(&link).link(&link),
    ]);
    assert_eq!(total(&from.capture, "messaging.client.sent.messages"), 1);
    assert_eq!(total(&to.capture, "messaging.client.consumed.messages"), 1);
    assert_eq!(count(&to.capture, "messaging.process.duration"), 1);
    to.capture.assert_no_metric("messaging.client.operation.duration");

    // What others see, as it is documented.
    let seen = soon("it comes", others.on_message().next()).await.unwrap();
    let head = format!("\0otel/1\ntraceparent:00-{}-{}-01\n\n", sent.trace_id(), sent.span_id());
    assert_eq!(seen.get_payload_bytes(), [head.as_bytes(), b"hello\xff\n"].concat());
}

/// Without envelopes nothing is written, and nothing is opened.
#[tokio::test]
async fn without_an_envelope_a_message_is_what_was_published() {
    let Some(url) = live::address("REDIS") else { return };
    let sealed =
        &b"\0otel/1\ntraceparent:00-0000000000000000000000000000000a-000000000000000b-01\n\nx"[..];
    let long = vec![b'v'; 1 << 20];
    let payloads = [&b""[..], b"hello", b"\0", b"\0otel/1\n", b"\0otel/1\nx", sealed, &long];
    for (from, to, opened) in [
        (Messaging::new(), Messaging::new(), false),
        (Messaging::new(), enveloped(), true),
        (enveloped(), enveloped(), false),
    ] {
        let (from, to, channel) = (Side::with(&url, from), Side::with(&url, to), unique_name());
        let mut pubsub = to.client.get_async_pubsub().await.unwrap();
        pubsub.subscribe(&channel).await.unwrap();
        let mut publisher = from.connection().await;
        for payload in payloads {
            let () = publisher.publish(&channel, payload).await.unwrap();
            let message = soon("it comes", pubsub.on_message().next()).await.unwrap();
            // Only what has one, of somebody who publishes without, is taken for it.
            let expected = if opened && payload == sealed { b"x" } else { payload };
            assert!(message.get_payload_bytes() == expected);
        }
        assert!(names(&from.capture).iter().all(|name| *name == format!("PUBLISH {channel}")));
    }
}

/// By each handle and each protocol.
#[tokio::test(flavor = "multi_thread")]
async fn all_handles_open_what_all_handles_sealed() {
    let Some(url) = live::address("REDIS") else { return };
    let (from, to, channel) = (Side::new(&url), Side::new(&url), unique_name());
    let resp3 = Side::new(&format!("{url}/?protocol=resp3"));
    let mut pubsub = to.client.get_async_pubsub().await.unwrap();
    pubsub.psubscribe(format!("{channel}*")).await.unwrap();
    let (mut sink, mut stream) = pubsub.split();
    let (sender, mut pushed) = unbounded_channel::<PushInfo>();
    let settings = AsyncConnectionConfig::new().set_push_sender(sender);
    let pushing = resp3.client.get_multiplexed_async_connection_with_config(&settings);
    let mut pushing = pushing.await.unwrap();
    pushing.subscribe(&channel).await.unwrap();
    let blocking = {
        let (client, channel) = (to.client.clone(), channel.clone());
        spawn_blocking(move || {
            let mut connection = client.get_connection().unwrap();
            let mut pubsub = connection.as_pubsub();
            pubsub.subscribe(&channel).unwrap();
            let message = pubsub.get_message().unwrap();
            message.process_blocking(|_| Ok::<_, ()>(())).unwrap();
            let first: String = message.get_payload().unwrap();
            drop(pubsub);
            let second = connection.subscribe(&channel, |message: Msg| {
                let trace = Context::current().span().span_context().trace_id();
                ControlFlow::Break((message.get_payload::<String>().unwrap(), trace))
            });
            let third = redis::PubSubCommands::psubscribe(&mut connection, &channel, |message| {
                ControlFlow::Break(message.get_payload::<String>().unwrap())
            });
            (first, second.unwrap(), third.unwrap())
        })
    };
    let mut asynchronous = from.connection().await;
    let mut other = from.client.get_connection().unwrap();
    let mut published = 0;
    eventually("all were heard", async || {
        let () = asynchronous.publish(&channel, "hello").await.unwrap();
        let () = block_in_place(|| other.publish(&channel, "hello")).unwrap();
        let mut both = pipe();
        both.publish(&channel, "hello").publish(&channel, "hello");
        both.exec_async(&mut asynchronous).await.unwrap();
        published += 4;
        blocking.is_finished()
    })
    .await;
    let (first, (second, trace), third) = blocking.await.unwrap();
    assert_eq!([first, second, third], ["hello"; 3]);
    let sent: HashSet<_> = from
        .capture
        .spans()
        .iter()
        .filter(|span| span.span_kind == SpanKind::Producer)
        .map(|span| span.span_context.span_id())
        .collect();
    assert_eq!(sent.len(), published);
    assert!(from.capture.spans().iter().any(|span| span.span_context.trace_id() == trace));
    for _ in 0..published {
        let message = soon("it comes", stream.next()).await.unwrap();
        assert_eq!(message.get_payload::<String>().unwrap(), "hello");
        assert_eq!(message.get_pattern::<String>().unwrap(), format!("{channel}*"));
    }
    let mut heard = 0;
    while heard < published {
        let push = soon("it is pushed", pushed.recv()).await.unwrap();
        let is_message = push.kind == redis::PushKind::Message;
        let message = pushing.message(push);
        assert_eq!(message.is_some(), is_message);
        if let Some(message) = message {
            assert_eq!(message.get_payload::<String>().unwrap(), "hello");
            heard += 1;
        }
    }
    sink.punsubscribe(format!("{channel}*")).await.unwrap();
    for (capture, received) in [(&to.capture, published + 1), (&resp3.capture, published)] {
        let spans = capture.spans();
        let received_spans: Vec<_> =
            spans.iter().filter(|span| span.name.starts_with("receive ")).collect();
        assert_eq!(received_spans.len(), received);
        for span in spans.iter().filter(|span| !span.name.ends_with("SUBSCRIBE")) {
            assert!(sent.contains(&span.links[0].span_context.span_id()), "{span:?}");
        }
        capture.check();
    }
    // A pattern stands for the channels that it fits.
    let by_pattern = to.capture.spans_named(&format!("receive {channel}*"));
    assert_eq!(by_pattern.len(), published);
    let template = text_of(&by_pattern[0], "messaging.destination.template");
    assert_eq!(template, Some(format!("{channel}*")));
    assert_eq!(text_of(&by_pattern[0], "messaging.destination.name"), Some(channel.clone()));
    // What callbacks get is handled, and not received.
    assert_eq!(to.capture.spans_named(&format!("process {channel}")).len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_messages_are_each_handled_once_and_in_their_own_trace() {
    let Some(url) = live::address("REDIS") else { return };
    let (from, to, channel) = (Side::new(&url), Side::new(&url), unique_name());
    let mut pubsub = to.client.get_async_pubsub().await.unwrap();
    pubsub.subscribe(&channel).await.unwrap();
    to.capture.clear();
    let publisher = from.connection().await;
    let publishing = join_all((1..=1000_u64).map(|number| {
        let (mut publisher, channel) = (publisher.clone(), channel.clone());
        tokio::spawn(async move {
            publisher.publish::<_, _, ()>(channel, number).with_context(order(number)).await
        })
    }));
    let mut messages = pubsub.into_on_message();
    let mut handlers = Vec::new();
    let handling = async {
        while handlers.len() < 1000 {
            let message = soon("all come", messages.next()).await.unwrap();
            handlers.push(tokio::spawn(async move {
                let handled = message.process(async |message: &Msg| {
                    tokio::task::yield_now().await;
                    let context = Context::current();
                    let span = context.span().span_context().clone();
                    let number: u64 = message.get_payload()?;
                    assert_eq!(span.trace_id(), TraceId::from(u128::from(number)));
                    assert_eq!(span.trace_state().get("shop"), Some(&*number.to_string()));
                    let order = context.baggage().get("order").map(ToString::to_string);
                    assert_eq!(order, Some(number.to_string()));
                    Ok::<_, redis::RedisError>(number)
                });
                handled.await.unwrap()
            }));
        }
    };
    let (results, ()) = futures_util::future::join(publishing, handling).await;
    for result in results {
        result.unwrap().unwrap();
    }
    let handled = join_all(handlers).await.into_iter().map(Result::unwrap);
    assert_eq!(handled.collect::<HashSet<_>>(), (1..=1000).collect());
    to.capture.check();
    assert_eq!(to.capture.spans().len(), 2000);
    assert_eq!(total(&to.capture, "messaging.client.consumed.messages"), 1000);
    assert_eq!(total(&from.capture, "messaging.client.sent.messages"), 1000);
}

/// Off by default: publishing is a call of the database, and what is subscribed to is the driver's.
#[tokio::test]
async fn by_default_nothing_is_messaging() {
    let Some(url) = live::address("REDIS") else { return };
    let capture = Capture::new();
    let client = Client::with(redis::Client::open(&*url).unwrap(), &capture.telemetry());
    let (mut pubsub, channel) = (client.get_async_pubsub().await.unwrap(), unique_name());
    pubsub.subscribe(&channel).await.unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let sealed =
        "\0otel/1\ntraceparent:00-0000000000000000000000000000000a-000000000000000b-01\n\nx";
    let () = connection.publish(&channel, sealed).await.unwrap();
    let message = soon("it comes", pubsub.on_message().next()).await.unwrap();
    assert_eq!(message.get_payload::<String>().unwrap(), sealed);
    message.process(async |_: &Msg| Ok::<_, ()>(())).await.unwrap();
    assert!(message.received().delivery().span_context().is_none());
    let _: String = connection.xadd(&channel, "5-1", &[("a", 1)]).await.unwrap();
    let _: redis::Value = connection.xread(&[&channel], &["0"]).await.unwrap();
    connection.received(&channel, "5-1").process(async || Ok::<_, ()>(())).await.unwrap();
    let _: i64 = connection.del(&channel).await.unwrap();
    let all = ["SUBSCRIBE", "PUBLISH", "XADD", "XREAD", "DEL"];
    assert_eq!(names(&capture), all);
}

/// What the server pushes besides is none of a subscription.
#[tokio::test]
async fn other_pushes_are_no_messages() {
    let Some(url) = live::address("REDIS") else { return };
    let side = Side::new(&format!("{url}/?protocol=resp3"));
    let (sender, mut pushed) = unbounded_channel::<PushInfo>();
    let settings = AsyncConnectionConfig::new().set_push_sender(sender);
    let connecting = side.client.get_multiplexed_async_connection_with_config(&settings);
    let (mut connection, key) = (connecting.await.unwrap(), unique_name());
    cmd("CLIENT").arg("TRACKING").arg("ON").exec_async(&mut connection).await.unwrap();
    let _: Option<String> = connection.get(&key).await.unwrap();
    let () = side.connection().await.set(&key, 1).await.unwrap();
    let push = soon("it is told", pushed.recv()).await.unwrap();
    assert_eq!(push.kind, redis::PushKind::Invalidate);
    assert!(connection.message(push).is_none());
    let () = connection.del(&key).await.unwrap();
    assert_eq!(names(&side.capture), ["CLIENT", "GET", "SET", "DEL"]);
}
