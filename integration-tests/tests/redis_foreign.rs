//! Redis between languages: what we write into entries of streams and around messages of pub/sub, a
//! program in Python reads by its official propagators, and the other way round.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod redis_messages;

use std::cell::Cell;
use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use integration_tests::foreign::{Heard, Incoming, Outgoing, Task, play};
use integration_tests::told::{Span, spans};
use integration_tests::{eventually, soon, unique_name};
use native::Foreign;
use otel_redis::Msg;
use otel_testing::live;
use otel_testing::opentelemetry::Context;
use otel_testing::opentelemetry::baggage::BaggageExt as _;
use otel_testing::opentelemetry::trace::FutureExt as _;
use redis::streams::StreamReadReply;
use redis::{AsyncCommands as _, cmd};

use crate::redis_messages::{GROUP, Side, order, read_group};

const MESSAGES: u64 = 20;
const FORMAT: &str = "tracecontext,baggage";

/// What stands in a message of this number whose span is this one.
fn headers(number: u64, trace: &str, span: &str) -> BTreeMap<String, String> {
    let headers = [
        ("traceparent", format!("00-{trace}-{span}-01")),
        ("tracestate", format!("shop={number}")),
        ("baggage", format!("order={number}")),
    ];
    headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The trace and the span that a message of this number is sent in.
fn origin(number: u64) -> (String, String) {
    (format!("{number:032x}"), format!("{number:016x}"))
}

async fn consumed(address: &str, destination: String, count: u64) -> Option<Heard> {
    let (address, group) = (address.to_owned(), GROUP.to_owned());
    let task = Task::Consume { address, destination, group, count };
    play(Foreign::redis_py(), &task, FORMAT).await
}

/// The spans of sending by them, each below where it was sent in.
async fn produced(address: &str, destination: String) -> Option<Vec<Span>> {
    let messages = (1..=MESSAGES).map(|number| {
        let (trace, span) = origin(number);
        Outgoing { body: number.to_string(), context: headers(number, &trace, &span) }
    });
    let (address, messages) = (address.to_owned(), messages.collect());
    let task = Task::Produce { address, destination, messages };
    let heard = play(Foreign::redis_py(), &task, FORMAT).await?;
    assert_eq!(heard.spans.len() as u64, MESSAGES);
    for (number, span) in (1..).zip(&heard.spans) {
        assert_eq!((span.trace.clone(), span.parent.clone()), origin(number));
    }
    Some(heard.spans)
}

/// What they read is what our spans of sending are.
fn assert_read(sent: &[Span], messages: &[Incoming], more: &[(&str, &str)]) {
    assert_eq!((sent.len() as u64, messages.len() as u64), (MESSAGES, MESSAGES));
    for ((number, span), message) in (1..).zip(sent).zip(messages) {
        assert_eq!((span.trace.clone(), span.parent.clone()), origin(number));
        assert_eq!((message.body.clone(), &*span.kind), (number.to_string(), "PRODUCER"));
        assert_eq!((&message.trace, &message.span), (&span.trace, &span.id));
        assert_eq!(message.state, format!("shop={number}"));
        assert_eq!(message.baggage, BTreeMap::from([("order".to_owned(), number.to_string())]));
        let mut expected = headers(number, &span.trace, &span.id);
        expected.extend(more.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        assert_eq!(message.headers.len(), expected.len(), "none twice");
        assert_eq!(message.headers.iter().cloned().collect::<BTreeMap<_, _>>(), expected);
    }
}

/// Our handling of each is below their sending, and linked to it.
fn assert_handled(spans: &[Span], sent: &[Span], name: &str) {
    let handled: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
    assert_eq!(handled.len(), sent.len());
    for (handled, sent) in handled.into_iter().zip(sent) {
        assert_eq!((&handled.trace, &handled.parent), (&sent.trace, &sent.id));
        assert!(handled.parent_is_remote && handled.kind == "CONSUMER");
        assert_eq!((&handled.state, &handled.links[..]), (&sent.state, &[sent.identity()][..]));
    }
}

fn baggage() -> String {
    Context::current().baggage().get("order").map(ToString::to_string).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_py_goes_on_with_the_entries_that_we_add() {
    let Some(url) = live::address("REDIS") else { return };
    let (side, stream) = (Side::new(&url), unique_name());
    let mut connection = side.connection().await;
    for number in 1..=MESSAGES {
        let fields = [("body", number)];
        let adding = connection.xadd::<_, _, _, _, String>(&stream, "*", &fields);
        adding.with_context(order(number)).await.unwrap();
    }
    let heard = consumed(&url, format!("stream:{stream}"), MESSAGES).await;
    if let Some(heard) = heard {
        assert_read(&spans(&side.capture), &heard.messages, &[("otel.fields", "3")]);
    }
    let () = connection.del(&stream).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn we_go_on_with_the_entries_that_redis_py_adds() {
    let Some(url) = live::address("REDIS") else { return };
    let (side, stream) = (Side::new(&url), unique_name());
    let Some(sent) = produced(&url, format!("stream:{stream}")).await else { return };
    let mut connection = side.connection().await;
    let () = connection.xgroup_create(&stream, GROUP, 0).await.unwrap();
    let read = read_group(&stream, ">");
    let reply: StreamReadReply = read.query_async(&mut connection).await.unwrap();
    for entry in &reply.keys[0].ids {
        let number: String = entry.get("body").unwrap();
        // They are no fields of ours, so they stay.
        assert_eq!(entry.map.len(), 4);
        let received = connection.received(&stream, &entry.id);
        let found = received.process(async || Ok::<_, ()>(baggage())).await;
        assert_eq!(found, Ok(number));
    }
    assert_handled(&spans(&side.capture), &sent, &format!("process {stream}"));
    let () = connection.del(&stream).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_py_goes_on_with_the_messages_that_we_publish() {
    let Some(url) = live::address("REDIS") else { return };
    let (side, channel) = (Side::new(&url), unique_name());
    let over = Cell::new(false);
    let hearing = async {
        let heard = consumed(&url, format!("channel:{channel}"), MESSAGES).await;
        over.set(true);
        heard
    };
    let mut connection = side.connection().await;
    let mut bare = connection.clone().into_inner();
    let asked = cmd("PUBSUB").arg("NUMSUB").arg(&channel).take();
    let publishing = async {
        eventually("it listens", async || {
            let (_, listeners): (String, u64) = asked.query_async(&mut bare).await.unwrap();
            listeners == 1 || over.get()
        })
        .await;
        for number in 1..=MESSAGES {
            let publishing = connection.publish::<_, _, ()>(&channel, number);
            publishing.with_context(order(number)).await.unwrap();
        }
    };
    let (heard, ()) = tokio::join!(hearing, publishing);
    if let Some(heard) = heard {
        assert_read(&spans(&side.capture), &heard.messages, &[]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn we_go_on_with_the_messages_that_redis_py_publishes() {
    let Some(url) = live::address("REDIS") else { return };
    let (side, channel) = (Side::new(&url), unique_name());
    let mut pubsub = side.client.get_async_pubsub().await.unwrap();
    pubsub.subscribe(&channel).await.unwrap();
    let Some(sent) = produced(&url, format!("channel:{channel}")).await else { return };
    let mut messages = pubsub.on_message();
    for number in 1..=MESSAGES {
        let message = soon("it comes", messages.next()).await.unwrap();
        assert_eq!(message.get_payload::<u64>().unwrap(), number);
        let found = message.process(async |_: &Msg| Ok::<_, ()>(baggage())).await;
        assert_eq!(found, Ok(number.to_string()));
    }
    assert_handled(&spans(&side.capture), &sent, &format!("process {channel}"));
}
