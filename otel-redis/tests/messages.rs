//! What is written into commands of streams and pub/sub, and taken out of answers, without a server:
//! what a server would never say, and commands of later servers.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::future::{pending, ready};

use futures_util::FutureExt as _;
use otel_redis::{Connection, Messaging};
use otel_testing::Capture;
use otel_testing::opentelemetry::Context;
use otel_testing::opentelemetry::trace::{
    FutureExt as _, SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use redis::{Cmd, Pipeline, RedisFuture, RedisResult, Value, cmd};
use support::stub::{Answers, Stub};

/// Keeps what it was sent, and answers the same again and again.
#[derive(Clone, Debug, Default)]
struct Echo {
    sent: Vec<Vec<String>>,
    answer: Value,
}

impl Echo {
    fn take(&mut self, command: &Cmd) -> Value {
        let text = |argument| match argument {
            redis::Arg::Simple(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            _ => "cursor".to_owned(),
        };
        self.sent.push(command.args_iter().map(text).collect());
        self.answer.clone()
    }
}

impl Answers for Echo {
    fn one(&mut self, cmd: Option<&Cmd>) -> RedisResult<Value> {
        Ok(self.take(cmd.unwrap()))
    }

    fn many(&mut self, pipeline: Option<&Pipeline>) -> RedisResult<Vec<Value>> {
        Ok(pipeline.unwrap().cmd_iter().map(|cmd| self.take(cmd)).collect())
    }
}

fn connection(capture: &Capture, answer: Value) -> Connection<Stub<Echo>> {
    let messaging = Messaging::new().stream_fields(true).envelopes(true);
    let echo = Stub(Echo { answer, ..Echo::default() });
    let builder = Connection::builder(echo).messaging(messaging);
    builder.telemetry(&capture.telemetry()).build()
}

fn words(text: &str) -> Cmd {
    let mut words = text.split(' ');
    let mut command = cmd(words.next().unwrap());
    words.for_each(|word| _ = command.arg(word));
    command
}

#[tokio::test]
async fn fields_come_behind_those_of_an_entry_and_into_no_other_command() {
    for (command, carries) in [
        ("XADD s * a 1", true),
        ("xadd s * a 1 b 2", true),
        ("XADD s 5-* a 1", true),
        ("XADD s 5 a 1", true),
        ("XADD s NOMKSTREAM * a 1", true),
        ("XADD s NOMKSTREAM MAXLEN ~ 10 LIMIT 5 * a 1", true),
        ("XADD s maxlen 10 * a 1", true),
        ("XADD s MINID = 5-1 * a 1", true),
        ("XADD s KEEPREF MINID 5 LIMIT 1 7-1 NOMKSTREAM 1", true),
        ("XADD s IDMP p i * a 1", true),
        // The server would not know the entry again.
        ("XADD s IDMPAUTO p * a 1", false),
        ("XADD s ACKED IDMPAUTO p MAXLEN 5 * a 1", false),
        // What is an error stays one.
        ("XADD s *", false),
        ("XADD s * a", false),
        ("XADD s * a 1 b", false),
        ("XADD s", false),
        ("XADD", false),
        ("XADD s NOMKSTREAM", false),
        ("XADD s MAXLEN", false),
        ("XADD s MAXLEN 5 * a", false),
        // What is not known is not touched.
        ("XADD s LATER * a 1", false),
        ("XADD s - a 1", false),
        ("XSETID s 5-1 * a 1", false),
        ("SET a 1", false),
        ("EVAL XADD 0 s * a 1", false),
    ] {
        let capture = Capture::new();
        let mut connection = connection(&capture, Value::Nil);
        let _: Value = words(command).query_async(&mut connection).await.unwrap();
        let sent = connection.into_inner().0.sent.concat();
        let own: Vec<_> = command.split(' ').map(str::to_owned).collect();
        assert_eq!(sent[..own.len()], own, "{command}");
        let added: Vec<_> = sent[own.len()..].iter().map(String::as_str).collect();
        if carries {
            let span = capture.spans().remove(0).span_context;
            let parent = format!("00-{}-{}-01", span.trace_id(), span.span_id());
            assert_eq!(added, ["traceparent", &parent, "otel.fields", "1"], "{command}");
        } else {
            assert_eq!(added, [""; 0], "{command}");
        }
    }
}

#[tokio::test]
async fn an_envelope_is_around_what_is_published_and_nothing_else() {
    for (command, carries) in [
        ("PUBLISH c m", true),
        ("spublish c m", true),
        ("PUBLISH c", false),
        ("PUBLISH c m n", false),
        ("PUBSUB NUMSUB c", false),
    ] {
        let capture = Capture::new();
        let mut connection = connection(&capture, Value::Int(1));
        let _: Value = words(command).query_async(&mut connection).await.unwrap();
        let sent = connection.into_inner().0.sent.concat().join(" ");
        if carries {
            let span = capture.spans().remove(0).span_context;
            let parent = format!("00-{}-{}-01", span.trace_id(), span.span_id());
            let (command, message) = command.rsplit_once(' ').unwrap();
            assert_eq!(sent, format!("{command} \0otel/1\ntraceparent:{parent}\n\n{message}"));
        } else {
            assert_eq!(sent, command);
        }
    }
}

fn bulk(text: &str) -> Value {
    Value::BulkString(text.into())
}

fn bulks<const N: usize>(texts: [&str; N]) -> Value {
    Value::Array(texts.map(bulk).into())
}

fn array<const N: usize>(values: [Value; N]) -> Value {
    Value::Array(values.into())
}

const PARENT: &str = "00-0000000000000000000000000000000a-000000000000000b-01";

/// An answer to `XREAD` with one entry.
fn streams(fields: Value) -> Value {
    array([array([bulk("s"), array([array([bulk("5-1"), fields])])])])
}

#[tokio::test]
async fn what_nobody_expects_is_passed_on_unchanged() {
    let read = words("XREAD STREAMS s 0");
    let odd = || bulks(["a", "1", "traceparent", PARENT, "otel.fields"]);
    let many = |count| bulks(["a", "1", "traceparent", PARENT, "otel.fields", count]);
    let wrapped = |value| Value::Attribute { data: Box::new(value), attributes: vec![] };
    for answer in [
        Value::Nil,
        Value::Okay,
        Value::Int(3),
        bulk("text"),
        array([]),
        array([Value::Nil]),
        array([array([])]),
        array([array([bulk("s")])]),
        array([array([bulk("s"), Value::Nil])]),
        array([array([Value::Int(1), array([bulks(["5-1", "a"])])])]),
        array([array([bulk("s"), array([Value::Nil, Value::Int(1), bulks(["5-1"])])])]),
        array([array([bulk("s"), array([array([bulk("5-1"), Value::Nil])])])]),
        array([array([bulk("s"), array([array([Value::Int(5), many("1")])])])]),
        Value::Map(vec![(bulk("s"), Value::Nil), (Value::Nil, array([]))]),
        Value::Set(vec![bulk("s")]),
        streams(Value::Map(vec![(bulk("otel.fields"), bulk("1"))])),
        streams(odd()),
        streams(array([])),
        streams(bulks(["otel.fields", "1"])),
        streams(bulks(["otel.fields", "0"])),
        streams(many("0")),
        // Somebody else's field would be taken away.
        streams(many("2")),
        streams(many("3")),
        streams(many("17")),
        streams(many("-1")),
        streams(many("x")),
        streams(many("")),
        streams(many("18446744073709551616")),
        streams(bulks(["a", "1", "OTEL.FIELDS", "1"])),
        streams(bulks(["traceparent", PARENT])),
        streams(array([bulk("a"), Value::Int(1), bulk("otel.fields"), Value::Nil])),
    ] {
        let capture = Capture::new();
        let mut connection = connection(&capture, answer.clone());
        let got: Value = read.query_async(&mut connection).await.unwrap();
        assert_eq!(got, answer);
    }
    // The same entry, as the two versions of the protocol have it, and as others might.
    let left = || bulks(["a", "1"]);
    for (answer, expected) in [
        (streams(many("1")), streams(left())),
        (wrapped(streams(many("1"))), wrapped(streams(left()))),
        (streams(wrapped(many("1"))), streams(wrapped(left()))),
        (
            Value::Map(vec![(bulk("s"), array([array([bulk("5-1"), many("1")])]))]),
            Value::Map(vec![(bulk("s"), array([array([bulk("5-1"), left()])]))]),
        ),
        (
            array([array([bulk("s"), array([array([bulk("5-1"), many("1"), Value::Int(9)])])])]),
            array([array([bulk("s"), array([array([bulk("5-1"), left(), Value::Int(9)])])])]),
        ),
    ] {
        let capture = Capture::new();
        let mut connection = connection(&capture, answer);
        let got: Value = read.query_async(&mut connection).await.unwrap();
        // `query_async` takes attributes away, at the top.
        let expected = if let Value::Attribute { data, .. } = expected { *data } else { expected };
        let got = if let Value::Attribute { data, .. } = got { *data } else { got };
        assert_eq!(got, expected);
        let links = &capture.spans_named("XREAD s")[0].links;
        assert_eq!(links[0].span_context.span_id(), SpanId::from(0xb));
    }
}

#[tokio::test]
async fn answers_that_are_not_one_for_each_command_are_passed_on_unchanged() {
    let capture = Capture::new();
    let fields = bulks(["a", "1", "traceparent", PARENT, "otel.fields", "1"]);
    let entries = array([array([bulk("5-1"), fields])]);
    let two = array([entries.clone(), entries]);
    let mut connection = connection(&capture, two.clone());
    let mut pipeline = redis::pipe();
    pipeline.atomic().add_command(words("XRANGE s - +"));
    let answers = redis::aio::ConnectionLike::req_packed_commands(&mut connection, &pipeline, 2, 1);
    assert_eq!(answers.await.unwrap(), [two]);
}

/// Broken in each way, a context is as if it were not there, and what is around it is handed on.
#[tokio::test]
async fn a_broken_context_is_none() {
    let long = "x".repeat(1 << 20);
    for broken in [
        "",
        "00",
        "00-00000000000000000000000000000000-000000000000000b-01",
        "00-0000000000000000000000000000000a-0000000000000000-01",
        "00-0000000000000000000000000000000A-000000000000000b-01",
        "ff-0000000000000000000000000000000a-000000000000000b-01",
        "00-0000000000000000000000000000000a-000000000000000b",
        "00-0000000000000000000000000000000a-000000000000000b-01-x",
        "00_0000000000000000000000000000000a_000000000000000b_01",
        " 00-0000000000000000000000000000000a-000000000000000b-zz",
        "\u{fffd}\0\r\n",
        &long,
    ] {
        let capture = Capture::new();
        let fields = bulks(["a", "1", "traceparent", broken, "tracestate", "x=1", "b", "2"]);
        let mut connection = connection(&capture, streams(fields.clone()));
        let got: Value = words("XREAD STREAMS s 0").query_async(&mut connection).await.unwrap();
        assert_eq!(got, streams(fields));
        let spans = capture.spans();
        assert!(spans[0].links.is_empty(), "{broken}");
        let received = connection.received("s", "5-1");
        received.process_blocking(|| Ok::<_, ()>(())).unwrap();
        assert!(capture.spans()[1].links.is_empty(), "{broken}");
    }
    // Names and values that are no text.
    let capture = Capture::new();
    let bytes = |bytes: &[u8]| Value::BulkString(bytes.into());
    let fields = array([
        bytes(b"\xff\0"),
        bytes(b"\xfe"),
        bulk("traceparent"),
        bytes(b"\xff"),
        Value::BulkString(vec![0; 1 << 20]),
        Value::BulkString(vec![b'v'; 1 << 20]),
    ]);
    let mut connection = connection(&capture, streams(fields.clone()));
    let got: Value = words("XREAD STREAMS s 0").query_async(&mut connection).await.unwrap();
    assert_eq!(got, streams(fields));
    assert!(capture.spans()[0].links.is_empty());
}

/// The context that is around a call goes with a message also where nobody listens; and where there
/// is neither, the command is the user's own.
#[tokio::test]
async fn a_context_travels_without_a_provider() {
    let telemetry = || {
        let capture = Capture::builder().check_on_drop(false).build();
        let telemetry = capture.telemetry_builder().enabled(false).build();
        (capture, telemetry)
    };
    let (_capture, telemetry) = telemetry();
    let messaging = Messaging::new().stream_fields(true).envelopes(true);
    let builder = Connection::builder(Stub(Echo::default())).messaging(messaging);
    let mut connection = builder.telemetry(&telemetry).build();
    let _: Value = words("XADD s * a 1").query_async(&mut connection).await.unwrap();
    let span = SpanContext::new(
        TraceId::from(0xa),
        SpanId::from(0xb),
        TraceFlags::SAMPLED,
        true,
        TraceState::NONE,
    );
    let around = Context::new().with_remote_span_context(span);
    let add = words("XADD s * a 1");
    let publish = words("PUBLISH c m");
    let sending = async {
        let _: Value = add.query_async(&mut connection).await.unwrap();
        let _: Value = publish.query_async(&mut connection).await.unwrap();
    };
    sending.with_context(around).await;
    // What would be taken for an envelope gets one.
    let _: Value =
        cmd("PUBLISH").arg("c").arg("\0otel/1\n\nx").query_async(&mut connection).await.unwrap();
    let sent: Vec<_> = connection.raw().0.sent.iter().map(|words| words.join(" ")).collect();
    assert_eq!(
        sent,
        [
            "XADD s * a 1",
            &format!("XADD s * a 1 traceparent {PARENT} otel.fields 1"),
            &format!("PUBLISH c \0otel/1\ntraceparent:{PARENT}\n\nm"),
            "PUBLISH c \0otel/1\n\n\0otel/1\n\nx",
        ]
    );
}

/// Acknowledges with its second answer.
struct Slow(usize);

impl Answers for Slow {
    fn future(&mut self, cmd: &Cmd) -> RedisFuture<'static, Value> {
        if cmd.args_iter().next() != Some(redis::Arg::Simple(b"XACK")) {
            let fields = bulks(["a", "1", "traceparent", PARENT]);
            return Box::pin(ready(Ok(streams(fields))));
        }
        self.0 += 1;
        if self.0 == 1 { Box::pin(pending()) } else { Box::pin(ready(Ok(Value::Int(1)))) }
    }
}

/// Nobody knows whether it was: the entry is known until somebody does.
#[tokio::test]
async fn an_acknowledgement_that_was_given_up_is_made_again() {
    let capture = Capture::new();
    let builder = Connection::builder(Stub(Slow(0))).messaging(Messaging::new());
    let mut connection = builder.telemetry(&capture.telemetry()).build();
    let read = words("XREADGROUP GROUP g c STREAMS s >");
    let _: Value = read.query_async(&mut connection).await.unwrap();
    let ack = words("XACK s g 5-1");
    assert!(ack.exec_async(&mut connection).now_or_never().is_none());
    for _ in 0..2 {
        let _: Value = ack.query_async(&mut connection).await.unwrap();
    }
    let links: Vec<_> = capture.spans().iter().map(|span| span.links.len()).collect();
    assert_eq!(links, [1, 1, 1, 0]);
}

/// Keys may name persons, may be long, and may be no text.
#[tokio::test]
async fn names_that_are_not_to_be_told_are_not() {
    let capture = Capture::new();
    let telemetry = capture.telemetry_builder().keys(false).build();
    let echo = Stub(Echo { answer: streams(bulks(["a", "1"])), ..Echo::default() });
    let builder = Connection::builder(echo).messaging(Messaging::new());
    let mut quiet = builder.telemetry(&telemetry).build();
    let _: Value = words("PUBLISH secret m").query_async(&mut quiet).await.unwrap();
    let _: Value = words("XREAD STREAMS secret 0").query_async(&mut quiet).await.unwrap();
    let _: Value = words("XACK secret g 5-1").query_async(&mut quiet).await.unwrap();
    quiet.received("secret", "5-1").process_blocking(|| Ok::<_, ()>(())).unwrap();
    let push = |channel: &[u8]| redis::PushInfo {
        kind: redis::PushKind::Message,
        data: vec![Value::BulkString(channel.into()), bulk("m")],
    };
    assert!(quiet.message(push(b"secret")).is_some());
    let told: Vec<_> = capture.spans().iter().map(|span| span.name.to_string()).collect();
    assert_eq!(told, ["PUBLISH", "XREAD", "XACK", "process", "receive"]);
    let telling = format!("{:?} {:?}", capture.spans(), capture.metrics());
    assert!(!telling.contains("secret"));

    let capture = Capture::new();
    let mut connection = connection(&capture, Value::Nil);
    for name in [&b"\xff\0"[..], &vec![b'k'; 1 << 20]] {
        let _: Value =
            cmd("PUBLISH").arg(name).arg("m").query_async(&mut connection).await.unwrap();
        let mut ack = cmd("XACK");
        let _: Value =
            ack.arg(name).arg(name).arg(name).query_async(&mut connection).await.unwrap();
        connection.received(name, name).process_blocking(|| Ok::<_, ()>(())).unwrap();
        assert_eq!(connection.message(push(name)).unwrap().get_channel::<Vec<u8>>().unwrap(), name);
    }
    for span in capture.spans() {
        assert!(["PUBLISH", "XACK", "process", "receive"].contains(&&*span.name), "{span:?}");
        assert!(span.attributes.iter().all(|it| it.value.as_str().len() < 100));
    }
}
