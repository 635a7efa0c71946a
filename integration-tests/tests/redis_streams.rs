//! `otel-redis` on streams: what one client adds is read, handled and acknowledged by another, in
//! one trace, and nobody is in the way.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test")]

mod redis_messages;

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use integration_tests::{PATIENCE, count, total, unique_name, whole};
use otel_redis::cluster::{ClusterClient, ClusterClientBuilder, cluster_pipe};
use otel_redis::{Client, Messaging};
use otel_testing::assert::ExpectedSpan;
use otel_testing::opentelemetry::Context;
use otel_testing::opentelemetry::baggage::BaggageExt as _;
use otel_testing::opentelemetry::trace::{
    FutureExt as _, SpanContext, SpanId, SpanKind, TraceContextExt as _, TraceFlags, TraceId,
    TraceState,
};
use otel_testing::opentelemetry_sdk::trace::SpanData;
use otel_testing::otel_core::ProcessParent;
use otel_testing::{Capture, live};
use redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};
use redis::streams::{StreamReadOptions, StreamReadReply};
use redis::{AsyncCommands as _, Commands as _, Value, cmd, pipe};
use tokio::task::block_in_place;

use crate::redis_messages::{GROUP, Side, names, order, read_group, remote, text_of};

fn group_of(span: ExpectedSpan) -> ExpectedSpan {
    span.attribute("messaging.consumer.group.name", GROUP)
}

fn trace_of(context: &Context) -> TraceId {
    context.span().span_context().trace_id()
}

/// The same words for each protocol: arrays of the one are maps of the other.
#[tokio::test]
async fn an_entry_carries_its_trace_to_who_handles_it() {
    let Some(url) = live::address("REDIS") else { return };
    for url in [url.clone(), format!("{url}/?protocol=resp3")] {
        let (from, to, stream) = (Side::new(&url), Side::new(&url), unique_name());
        let bare = redis::Client::open(&*url).unwrap();
        let mut bare = bare.get_multiplexed_async_connection().await.unwrap();
        let mut producer = from.connection().await;
        let mut consumer = to.connection().await;
        let made: bool = consumer.xgroup_create_mkstream(&stream, GROUP, 0).await.unwrap();
        assert!(made);
        to.capture.clear();

        let id: String = producer.xadd(&stream, "*", &[("item", "secret")]).await.unwrap();
        let sent = from.capture.spans().remove(0);
        from.capture.assert_spans([from
            .step("XADD", "send", &stream)
            .producer()
            .root()
            .attribute("messaging.message.id", id.clone())]);

        // What others see, by the documented names.
        let context = &sent.span_context;
        let parent = format!("00-{}-{}-01", context.trace_id(), context.span_id());
        let seen: StreamReadReply = bare.xread(&[&stream], &["0"]).await.unwrap();
        let seen = seen.keys[0].ids[0].map.clone();
        assert_eq!(seen.len(), 3);
        for (name, value) in [("item", "secret"), ("traceparent", &parent), ("otel.fields", "1")] {
            assert_eq!(seen[name], Value::BulkString(value.into()), "{name}");
        }

        // Ours are given what they would be given without.
        let read: Value = read_group(&stream, ">").query_async(&mut consumer).await.unwrap();
        let bulk = |text: &str| Value::BulkString(text.into());
        let fields = Value::Array(vec![bulk("item"), bulk("secret")]);
        let entries = Value::Array(vec![Value::Array(vec![bulk(&id), fields])]);
        let expected = if url.ends_with("resp3") {
            Value::Map(vec![(bulk(&stream), entries)])
        } else {
            Value::Array(vec![Value::Array(vec![bulk(&stream), entries])])
        };
        assert_eq!(read, expected);
        let received = consumer.received(&stream, &id);
        let inside = received.process(async || Ok::<_, ()>(trace_of(&Context::current()))).await;
        assert_eq!(inside, Ok(context.trace_id()));
        assert_eq!(consumer.xack(&stream, GROUP, &[&id]).await, Ok(1));
        let of_message = |span: ExpectedSpan| span.attribute("messaging.message.id", id.clone());
        let context = remote(context);
        to.capture.assert_spans([
            group_of(to.step("XREADGROUP", "receive", &stream))
                .client()
                .root()
                .attribute("messaging.batch.message_count", 1)
                .link_with(&context, [("messaging.message.id", id.clone())]),
            of_message(group_of(to.step("process", "process", &stream)))
                .consumer()
                .child_of(&context)
                .link(&context),
            of_message(group_of(to.step("XACK", "settle", &stream))).client().root().link(&context),
        ]);
        assert_eq!(total(&from.capture, "messaging.client.sent.messages"), 1);
        // Once, although it was received and handled.
        assert_eq!(total(&to.capture, "messaging.client.consumed.messages"), 1);
        let operations = |capture| count(capture, "messaging.client.operation.duration");
        assert_eq!((operations(&from.capture), operations(&to.capture)), (1, 2));
        assert_eq!(count(&to.capture, "messaging.process.duration"), 1);
        let () = bare.del(&stream).await.unwrap();
    }
}

/// By every handle, single and in pipelines: what is added by one is read by the other.
#[tokio::test(flavor = "multi_thread")]
async fn all_handles_write_and_read_alike() {
    let Some(url) = live::address("REDIS") else { return };
    let (from, to, stream) = (Side::new(&url), Side::new(&url), unique_name());
    let mut connection = from.connection().await;
    let mut manager = from.client.get_connection_manager().await.unwrap();
    let mut blocking = from.client.get_connection().unwrap();
    let add = cmd("XADD").arg(&stream).arg("*").arg("item").arg("1").take();
    let add = || add.clone();
    let several = || pipe().add_command(add()).add_command(add()).clone();
    let mixed = || pipe().incr(stream.repeat(2), 1).ignore().add_command(add()).clone();
    add().exec_async(&mut connection).await.unwrap();
    add().exec_async(&mut manager).await.unwrap();
    for mut pipeline in [several(), mixed()] {
        pipeline.exec_async(&mut connection).await.unwrap();
        pipeline.atomic().exec_async(&mut manager).await.unwrap();
    }
    block_in_place(|| {
        add().exec(&mut blocking).unwrap();
        add().exec(&mut from.client.clone()).unwrap();
        redis::ConnectionLike::req_packed_command(&mut blocking, &add().get_packed_command())
            .unwrap();
        for mut pipeline in [several(), mixed()] {
            pipeline.exec(&mut blocking).unwrap();
            pipeline.atomic().exec(&mut blocking).unwrap();
        }
    });
    let own = from.capture.spans();
    let created = own.iter().filter(|span| span.span_kind == SpanKind::Producer);
    let created: Vec<_> = created.map(|span| span.span_context.span_id()).collect();
    assert_eq!(created.len(), 17);

    // Each handle reads all of them.
    let read = cmd("XREAD").arg("STREAMS").arg(&stream).arg(0).take();
    let read = || read.clone();
    let both = || pipe().add_command(read()).clone();
    let (mut connection, client) = (to.connection().await, to.client.clone());
    let mut manager = to.client.get_connection_manager().await.unwrap();
    let mut blocking = to.client.get_connection().unwrap();
    let mut replies: Vec<StreamReadReply> =
        vec![read().query_async(&mut connection).await.unwrap()];
    replies.push(read().query_async(&mut manager).await.unwrap());
    for mut pipeline in [both(), pipe().get("live_none").ignore().add_command(read()).clone()] {
        replies.extend(pipeline.query_async::<Vec<_>>(&mut connection).await.unwrap());
        replies.extend(pipeline.atomic().query_async::<Vec<_>>(&mut manager).await.unwrap());
        replies.extend(block_in_place(|| pipeline.query::<Vec<_>>(&mut blocking)).unwrap());
    }
    block_in_place(|| {
        replies.push(read().query(&mut blocking).unwrap());
        replies.push(read().query(&mut client.clone()).unwrap());
    });
    assert_eq!(replies.len(), 10);
    for reply in &replies {
        let ids = &reply.keys[0].ids;
        assert_eq!(ids.len(), 17);
        let in_order = ids.iter().map(|entry| {
            assert_eq!(entry.map.keys().collect::<Vec<_>>(), ["item"]);
            let received = client.received(&stream, &entry.id);
            received.delivery().span_context().unwrap().span_id()
        });
        assert_eq!(in_order.collect::<HashSet<_>>(), created.iter().copied().collect());
    }
    for span in to.capture.spans() {
        let links: Vec<_> = span.links.iter().map(|link| link.span_context.span_id()).collect();
        match &*span.name {
            "PIPELINE" | "MULTI" => assert!(links.is_empty()),
            _ => assert_eq!(links.iter().collect::<HashSet<_>>(), created.iter().collect()),
        }
    }
    let () = connection.del(&[&stream, &stream.repeat(2)]).await.unwrap();
}

/// A pipeline of entries is a batch; one with other commands in it stays one of the database.
#[tokio::test]
async fn a_pipeline_of_entries_is_a_batch() {
    let Some(url) = live::address("REDIS") else { return };
    let (side, stream, other) = (Side::new(&url), unique_name(), unique_name());
    let mut connection = side.connection().await;
    let add = |stream: &str| cmd("XADD").arg(stream).arg("*").arg("item").arg(1).take();
    let mut pipeline = pipe();
    pipeline.add_command(add(&stream)).add_command(add(&stream));
    pipeline.exec_async(&mut connection).await.unwrap();
    let spans = side.capture.spans();
    let created = [0, 1].map(|at: usize| spans[at].span_context.clone());
    let send = || side.step("XADD", "send", &stream).client().root();
    let expected = send().attribute("messaging.batch.message_count", 2).links(&created);
    assert_eq!(names(&side.capture)[..2], [format!("create {stream}"), format!("create {stream}")]);
    side.capture.assert_spans_in_any_order([
        created_by(&side, &stream),
        created_by(&side, &stream),
        expected,
    ]);
    assert_eq!(total(&side.capture, "messaging.client.sent.messages"), 2);
    side.capture.clear();

    // Of which one fails: the others are sent.
    let () = connection.set(&other, 1).await.unwrap();
    side.capture.clear();
    let mut pipeline = pipe();
    pipeline.add_command(add(&stream)).add_command(add(&other)).add_command(add(&stream));
    pipeline.exec_async(&mut connection).await.unwrap_err();
    let spans = side.capture.spans_named("XADD");
    let spans = if spans.is_empty() { side.capture.spans() } else { spans };
    let failed = spans.last().unwrap();
    assert_eq!(text_of(failed, "error.type").as_deref(), Some("WRONGTYPE"));
    assert_eq!(text_of(failed, "messaging.batch.message_count").as_deref(), Some("3"));
    let metrics = side.capture.metrics();
    let counter = metrics.iter().find(|it| it.name == "messaging.client.sent.messages").unwrap();
    let of_error = |wanted: Option<&str>| {
        let has = |point: &&otel_testing::Point| {
            point.attribute("error.type").map(|it| it.as_str().into_owned()).as_deref() == wanted
        };
        counter.points.iter().filter(has).map(whole).sum::<i64>()
    };
    assert_eq!((of_error(None), of_error(Some("WRONGTYPE"))), (2, 1));
    side.capture.clear();

    // An entry beside something else.
    let mut pipeline = pipe();
    pipeline.add_command(add(&stream)).cmd("PING");
    pipeline.exec_async(&mut connection).await.unwrap();
    assert_eq!(names(&side.capture), [format!("create {stream}"), "PIPELINE".to_owned()]);
    let pipeline = &side.capture.spans()[1];
    assert_eq!(text_of(pipeline, "db.operation.batch.size").as_deref(), Some("2"));
    let () = connection.del(&[&stream, &other]).await.unwrap();
}

fn created_by(side: &Side, stream: &str) -> ExpectedSpan {
    let create = side.step("create", "create", stream).producer().root();
    create.without_attribute("network.peer.address").without_attribute("network.peer.port")
}

/// What is wrong is as wrong as it is without, and says the same.
#[tokio::test(flavor = "multi_thread")]
async fn errors_are_those_of_the_driver() {
    let Some(url) = live::address("REDIS") else { return };
    let (side, stream) = (Side::new(&url), unique_name());
    let text = format!("{stream}:text");
    let mut bare = redis::Client::open(&*url).unwrap().get_connection().unwrap();
    let () = bare.set(&text, 1).unwrap();
    let () = bare.xadd(&stream, "5-1", &[("a", 1)]).unwrap();
    let () = bare.xgroup_create(&stream, GROUP, 0).unwrap();
    let mut connection = side.connection().await;
    for (words, name, code) in [
        (format!("XADD {stream} *"), "XADD", "ERR"),
        (format!("XADD {stream} * a"), "XADD", "ERR"),
        (format!("XADD {stream} 5-1 a 1"), &*format!("XADD {stream}"), "ERR"),
        (format!("XADD {text} * a 1"), &*format!("XADD {text}"), "WRONGTYPE"),
        (format!("XADD {stream} MAXLEN x * a 1"), &*format!("XADD {stream}"), "ERR"),
        (format!("XREAD STREAMS {text} 0"), &*format!("XREAD {text}"), "WRONGTYPE"),
        (format!("XREADGROUP GROUP none c STREAMS {stream} >"), "XREADGROUP", "NOGROUP"),
        (format!("XACK {text} none 5-1"), &*format!("XACK {text}"), "WRONGTYPE"),
        (format!("XACK {stream} {GROUP} x"), &*format!("XACK {stream}"), "ERR"),
        (format!("XCLAIM {stream} none c 0 5-1"), &*format!("XCLAIM {stream}"), "NOGROUP"),
    ] {
        let command = cmd(words.split(' ').next().unwrap())
            .arg(words.split(' ').skip(1).collect::<Vec<_>>())
            .take();
        let expected = command.query::<Value>(&mut bare).unwrap_err();
        let found = command.query_async::<Value>(&mut connection).await.unwrap_err();
        assert_eq!(found.to_string(), expected.to_string());
        let spans = side.capture.spans();
        assert_eq!(spans.len(), 1, "{words}: {spans:?}");
        assert!(spans[0].name.starts_with(name), "{words}: {}", spans[0].name);
        assert_eq!(text_of(&spans[0], "error.type").as_deref(), Some(code), "{words}");
        side.capture.clear();
    }
    let () = bare.del(&[&stream, &text]).unwrap();
}

/// Nothing came: there is nothing to tell. A wait without an end is nobody's work.
#[tokio::test]
async fn a_read_that_finds_nothing_is_no_span() {
    let Some(url) = live::address("REDIS") else { return };
    let (side, stream) = (Side::new(&url), unique_name());
    let mut connection = side.connection().await;
    let _: String = connection.xadd(&stream, "5-1", &[("a", 1)]).await.unwrap();
    side.capture.clear();
    let read = |words: &str| {
        let words = words.replace("KEY", &stream);
        cmd("XREAD").arg(words.split(' ').collect::<Vec<_>>()).take()
    };
    let found: Value = read("STREAMS KEY $").query_async(&mut connection).await.unwrap();
    assert_eq!(found, Value::Nil);
    let found: Value = read("BLOCK 1 STREAMS KEY $").query_async(&mut connection).await.unwrap();
    assert_eq!(found, Value::Nil);
    let waits = read("BLOCK 0 STREAMS KEY $");
    let given_up = waits.query_async::<Value>(&mut connection);
    tokio::time::timeout(Duration::from_millis(20), given_up).await.unwrap_err();
    side.capture.assert_no_spans();
    // The connection still waits for what was given up.
    let mut connection = side.connection().await;
    let _: Value = read("BLOCK 0 STREAMS KEY 0").query_async(&mut connection).await.unwrap();
    assert_eq!(names(&side.capture), [format!("XREAD {stream}")]);
    let bounded = |capture| count(capture, "messaging.client.operation.duration");
    let before = bounded(&side.capture);
    let _: Value = read("BLOCK 9 STREAMS KEY 0").query_async(&mut connection).await.unwrap();
    assert_eq!(bounded(&side.capture), before + 1);
    // Entries of the past are looked at, and are nothing that was received.
    side.capture.clear();
    let past: Value = connection.xrange_all(&stream).await.unwrap();
    let bare = redis::Client::open(&*url).unwrap();
    let mut bare = bare.get_multiplexed_async_connection().await.unwrap();
    assert_eq!(names(&side.capture), ["XRANGE"]);
    let all: Value = bare.xrange_all(&stream).await.unwrap();
    assert_ne!(past, all);
    let back: Value = connection.xrevrange_all(&stream).await.unwrap();
    assert_eq!(past, back);
    let () = connection.del(&stream).await.unwrap();
}

/// Whoever writes the fields of W3C by hand is linked to, and keeps them.
#[tokio::test]
async fn fields_of_others_are_read_and_stay() {
    let Some(url) = live::address("REDIS") else { return };
    let (side, stream) = (Side::new(&url), unique_name());
    let mut connection = side.connection().await;
    let parent = "00-0000000000000000000000000000000a-000000000000000b-01";
    let own = [("traceparent", parent), ("item", "1")];
    let mut bare = connection.clone().into_inner();
    let _: String = bare.xadd(&stream, "5-1", &own).await.unwrap();
    // Through ours, it is the user's as well, and is linked to.
    let _: String = connection.xadd(&stream, "5-2", &own).await.unwrap();
    let theirs = SpanContext::new(
        TraceId::from(0xa),
        SpanId::from(0xb),
        TraceFlags::SAMPLED,
        true,
        TraceState::NONE,
    );
    side.capture.assert_spans([side
        .step("XADD", "send", &stream)
        .client()
        .attribute("messaging.message.id", "5-2")
        .link(&theirs)]);
    // What is no context does not keep it from being written.
    let broken = [("traceparent", "mine"), ("item", "1")];
    let _: String = connection.xadd(&stream, "5-3", &broken).await.unwrap();
    let third = remote(&side.capture.spans()[1].span_context);
    let read: StreamReadReply = connection.xread(&[&stream], &["0"]).await.unwrap();
    let ids = &read.keys[0].ids;
    for (entry, written) in ids.iter().zip([own, own, broken]) {
        assert_eq!(entry.map.len(), 2);
        for (name, value) in written {
            assert_eq!(entry.map[name], Value::BulkString(value.into()));
        }
    }
    let found = ids.iter().map(|entry| {
        connection.received(&stream, &entry.id).delivery().span_context().unwrap().span_id()
    });
    assert_eq!(found.collect::<Vec<_>>(), [&theirs, &theirs, &third].map(SpanContext::span_id));
    let () = connection.del(&stream).await.unwrap();
}

/// A consumer that died left entries behind: another one claims, handles and acknowledges them.
#[tokio::test]
async fn what_one_leaves_pending_another_handles() {
    let Some(url) = live::address("REDIS") else { return };
    let (side, other, stream) = (Side::new(&url), Side::new(&url), unique_name());
    let mut connection = side.connection().await;
    let _: bool = connection.xgroup_create_mkstream(&stream, GROUP, 0).await.unwrap();
    side.capture.clear();
    for number in 1..=4 {
        let _: String =
            connection.xadd(&stream, format!("5-{number}"), &[("n", number)]).await.unwrap();
    }
    let sent: Vec<_> =
        side.capture.spans().iter().map(|span| span.span_context.span_id()).collect();
    let _: Value = read_group(&stream, ">").query_async(&mut connection).await.unwrap();
    let mut next = other.connection().await;
    let ask = |words: &str| {
        let words = words.replace("KEY", &stream).replace("NAME", GROUP);
        let mut words = words.split(' ').map(str::to_owned).collect::<Vec<_>>();
        cmd(&words.remove(0)).arg(words).take()
    };
    let mut links = async |words: &str| -> (String, Vec<SpanId>, Value) {
        let answer: Value = ask(words).query_async(&mut next).await.unwrap();
        let span = other.capture.spans().pop().unwrap();
        let links = span.links.iter().map(|link| link.span_context.span_id()).collect();
        other.capture.clear();
        (span.name.to_string(), links, answer)
    };
    let named = |operation: &str| format!("{operation} {stream}");
    let (name, linked, _) = links("XCLAIM KEY NAME two 0 5-1 5-2").await;
    assert_eq!((name, &linked[..]), (named("XCLAIM"), &sent[..2]));
    let (name, linked, _) = links("XAUTOCLAIM KEY NAME two 0 5-3").await;
    assert_eq!((name, &linked[..]), (named("XAUTOCLAIM"), &sent[2..]));
    // Its own once more, of which one is gone by now.
    let _: i64 = connection.xdel(&stream, &["5-4"]).await.unwrap();
    let (name, linked, _) = links("XREADGROUP GROUP NAME two STREAMS KEY 0").await;
    assert_eq!((name, &linked[..]), (named("XREADGROUP"), &sent[..3]));
    let (name, linked, _) = links("XACK KEY NAME 5-1 5-3").await;
    assert_eq!((name, linked), (named("XACK"), vec![sent[0], sent[2]]));
    // Done with already, or read by nobody here: there is nothing to link to.
    let (_, linked, answer) = links("XACK KEY NAME 5-1 9-9").await;
    assert_eq!((linked, answer), (vec![], Value::Int(0)));
    // Ids alone are no entries.
    let (name, _, _) = links("XCLAIM KEY NAME three 0 5-2 JUSTID").await;
    assert_eq!(name, "XCLAIM");
    let () = connection.del(&stream).await.unwrap();
}

/// What a handler finds around it: its trace, the vendor's state, the order of the baggage.
fn found() -> (TraceId, String, String) {
    let context = Context::current();
    let span = context.span().span_context().clone();
    let state = span.trace_state().get("shop").unwrap_or_default().to_owned();
    let order = context.baggage().get("order").map(ToString::to_string).unwrap_or_default();
    (span.trace_id(), state, order)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_entries_are_each_handled_once_and_in_their_own_trace() {
    const ENTRIES: usize = 1000;
    let Some(url) = live::address("REDIS") else { return };
    let stream = unique_name();
    let from = Side::new(&url);
    let producer = from.connection().await;
    let added = join_all((1..=ENTRIES as u64).map(|number| {
        let (mut producer, stream) = (producer.clone(), stream.clone());
        tokio::spawn(async move {
            let fields = [("n", number)];
            let add = producer.xadd::<_, _, _, _, String>(stream, "*", &fields);
            add.with_context(order(number)).await
        })
    }));
    for added in added.await {
        added.unwrap().unwrap();
    }
    for span in from.capture.spans() {
        let number = u64::from_be_bytes(span.parent_span_id.to_bytes());
        assert_eq!(span.span_context.trace_id(), TraceId::from(u128::from(number)));
    }
    for parent in [ProcessParent::Ambient, ProcessParent::Message, ProcessParent::Link] {
        let capture = Capture::new();
        let telemetry = capture.telemetry_builder().process_parent(parent).build();
        let builder = Client::builder(redis::Client::open(&*url).unwrap());
        let builder = builder.messaging(Messaging::new()).telemetry(&telemetry);
        let to = Side { client: builder.build(), capture };
        let (mut consumer, group) = (to.connection().await, unique_name());
        let () = consumer.xgroup_create(&stream, &group, 0).await.unwrap();
        to.capture.clear();
        let mut handlers = Vec::new();
        while handlers.len() < ENTRIES {
            let options = StreamReadOptions::default().group(&group, "one").count(300).block(9000);
            let read: StreamReadReply =
                consumer.xread_options(&[&stream], &[">"], &options).await.unwrap();
            for entry in read.keys.into_iter().flat_map(|key| key.ids) {
                let (mut consumer, stream, group) =
                    (consumer.clone(), stream.clone(), group.clone());
                handlers.push(tokio::spawn(async move {
                    let number: u64 = entry.get("n").unwrap();
                    let received = consumer.received(&stream, &entry.id);
                    let handler = async || {
                        tokio::task::yield_now().await;
                        Ok::<_, ()>(found())
                    };
                    let found = received.process(handler).await.unwrap();
                    let () = consumer.xack(&stream, &group, &[&entry.id]).await.unwrap();
                    (number, found)
                }));
            }
        }
        let mut handled = HashSet::new();
        for handler in join_all(handlers).await {
            let (number, (trace, state, baggage)) = handler.unwrap();
            assert!(handled.insert(number));
            assert_eq!(baggage, number.to_string());
            if parent != ProcessParent::Link {
                assert_eq!(trace, TraceId::from(u128::from(number)));
                assert_eq!(state, number.to_string());
            }
        }
        assert_eq!(handled.len(), 1000);
        to.capture.check();
        let spans = to.capture.spans();
        let of = |step: &str| {
            let is = |span: &&SpanData| {
                text_of(span, "messaging.operation.type").as_deref() == Some(step)
            };
            spans.iter().filter(is).collect::<Vec<_>>()
        };
        for step in ["process", "settle"] {
            let linked: HashSet<_> = of(step)
                .iter()
                .map(|span| {
                    assert_eq!(span.links.len(), 1, "{span:?}");
                    span.links[0].span_context.trace_id()
                })
                .collect();
            assert_eq!((of(step).len(), linked.len()), (1000, 1000));
        }
        for span in of("process") {
            let is_root = span.parent_span_id == SpanId::INVALID;
            assert_eq!(is_root, parent == ProcessParent::Link);
        }
        assert_eq!(total(&to.capture, "messaging.client.consumed.messages"), 1000);
    }
    let () = producer.clone().del(&stream).await.unwrap();
}

fn cluster(url: &str, capture: &Capture) -> ClusterClient {
    let builder = ClusterClientBuilder::new([url]).telemetry(&capture.telemetry());
    let builder = builder.messaging(Messaging::new().stream_fields(true));
    builder.response_timeout(PATIENCE).connection_timeout(PATIENCE).build().unwrap()
}

/// It has a setting that it shows to nobody: whose answers are thrown away.
#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_of_a_cluster_gives_what_it_would_give() {
    let Some(url) = live::address("REDIS_CLUSTER") else { return };
    let (capture, stream) = (Capture::new(), unique_name());
    let client = cluster(&url, &capture);
    block_in_place(|| {
        let mut connection = client.get_connection().unwrap();
        let text = "ignored_commands: {2}, ignore_errors: true";
        let add = || cmd("XADD").arg(&stream).arg("*").arg(text).arg(1).take();
        let read = || cmd("XREAD").arg("STREAMS").arg(&stream).arg(0).take();
        let mut pipeline = cluster_pipe();
        pipeline.add_command(add()).ignore().add_command(add());
        pipeline.add_command(read()).ignore().add_command(read());
        let (id, read): (String, StreamReadReply) = connection.query(&pipeline).unwrap();
        let ids = &read.keys[0].ids;
        assert_eq!((ids.len(), &ids[1].id), (2, &id));
        let created = capture.spans_named(&format!("create {stream}"));
        assert_eq!(created.len(), 2);
        for (entry, created) in ids.iter().zip(created) {
            assert_eq!(entry.map.keys().collect::<Vec<_>>(), [text]);
            let received = connection.received(&stream, &entry.id);
            let found = received.delivery().span_context().unwrap();
            assert_eq!(found.span_id(), created.span_context.span_id());
        }
        // What is asked for in another type is an error of the program, not of the call.
        capture.clear();
        let mut bare = client.raw().get_connection().unwrap();
        for ask in ["TYPE", "XADD"] {
            let mut pipeline = cluster_pipe();
            pipeline
                .cmd(ask)
                .arg(&stream)
                .arg(&["*", "a", "1"][..if ask == "XADD" { 3 } else { 0 }]);
            let expected = pipeline.query::<Vec<i64>>(&mut bare).unwrap_err();
            let found = connection.query::<Vec<i64>>(&pipeline).unwrap_err();
            assert_eq!(found.kind(), expected.kind());
        }
        assert!(capture.spans().iter().all(|span| text_of(span, "error.type").is_none()));
        cmd("DEL").arg(&stream).exec(&mut connection).unwrap();
    });
}

/// A cluster knows streams by the same words; where they are, the driver does not say.
#[tokio::test(flavor = "multi_thread")]
async fn in_a_cluster_as_well() {
    let Some(url) = live::address("REDIS_CLUSTER") else { return };
    let (capture, stream) = (Capture::new(), unique_name());
    let client = cluster(&url, &capture);
    let mut connection = client.get_async_connection().await.unwrap();
    let add = || cmd("XADD").arg(&stream).arg("*").arg("a").arg(1).take();
    add().exec_async(&mut connection).await.unwrap();
    let two = || pipe().add_command(add()).add_command(add()).clone();
    two().exec_async(&mut connection).await.unwrap();
    two().atomic().exec_async(&mut connection).await.unwrap();
    // Each to the node that has the stream, and by one that it is not for.
    let one = || SingleNodeRoutingInfo::Random;
    let routing = RoutingInfo::SingleNode(one());
    connection.route_command(add(), routing).await.unwrap();
    connection.route_pipeline(two(), 0, 2, one()).await.unwrap();
    let mut blocking = client.get_connection().unwrap();
    block_in_place(|| {
        add().exec(&mut blocking).unwrap();
        let mut several = cluster_pipe();
        several.add_command(add()).add_command(add());
        blocking.query::<Value>(&several).unwrap();
        // Sent to the right node by the one that it is not for.
        let routing = RoutingInfo::SingleNode(SingleNodeRoutingInfo::Random);
        blocking.route_command(&add(), routing).unwrap();
    });
    let created = capture.spans();
    let created = created.iter().filter(|span| span.span_kind == SpanKind::Producer);
    let created: HashSet<_> = created.map(|span| span.span_context.span_id()).collect();
    assert_eq!(created.len(), 12);
    let () = connection.xgroup_create(&stream, GROUP, 0).await.unwrap();
    capture.clear();
    let read: StreamReadReply =
        read_group(&stream, ">").query_async(&mut connection).await.unwrap();
    let ids: Vec<_> = read.keys[0].ids.iter().map(|entry| &entry.id).collect();
    assert!(read.keys[0].ids.iter().all(|entry| entry.map.len() == 1));
    let _: i64 = connection.xack(&stream, GROUP, &ids).await.unwrap();
    for span in capture.spans() {
        let links = span.links.iter().map(|link| link.span_context.span_id());
        assert_eq!(links.collect::<HashSet<_>>(), created, "{}", span.name);
    }
    assert_eq!(names(&capture), ["XREADGROUP", "XACK"].map(|name| format!("{name} {stream}")));
    let again: StreamReadReply = block_in_place(|| blocking.xread(&[&stream], &["0"])).unwrap();
    assert_eq!(again.keys[0].ids.len(), 12);
    let () = connection.del(&stream).await.unwrap();
}
