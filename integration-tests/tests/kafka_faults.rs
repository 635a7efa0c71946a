//! What may happen to a client of Kafka: each ends as with bare rdkafka, and with true spans.
//!
//! Every test plays one scenario with bare rdkafka and with the instrumented one, and compares.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod kafka_suite;
mod kafka_support;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Mutex;
use std::time::Duration;

use integration_tests::told::{Span, assert_agreement, points, spans};
use integration_tests::{assert_nowhere, eventually, private, soon, unique_name};
use native::{Extra, Server};
use otel_kafka::ClientConfig;
use otel_kafka::callbacks::ReportingContext;
use otel_kafka::consumer::{Consumer as _, StreamConsumer};
use otel_kafka::message::Message as _;
use otel_testing::assert::ExpectedSpan;
use otel_testing::opentelemetry::trace::{Link, SpanContext};
use otel_testing::opentelemetry_sdk::trace::SpanData;
use otel_testing::otel_core::Telemetry;
use otel_testing::{Capture, live, span};
use rdkafka::Offset;
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::json;
use tokio::task::block_in_place;
use tokio::time::timeout;

use crate::kafka_suite::{Outcome, World, bare, ours};
use crate::kafka_support::{PATIENCE, cluster, config, host_and_port, in_group, topic};

const GROUP: &str = "messaging.consumer.group.name";

/// One scenario, with both.
struct Played {
    capture: Capture,
    brokers: String,
    cluster: String,
    bare: Outcome,
    ours: Outcome,
}

macro_rules! play {
    ($brokers:expr, $scenario:ident $(, $argument:expr)*) => {{
        let (brokers, capture): (&str, _) = ($brokers, Capture::new());
        let world = |telemetry| World { brokers: brokers.to_owned(), telemetry };
        // The bare driver has nothing to tell it to.
        let bare = world(Telemetry::builder().enabled(false).build());
        let bare = bare::scenarios::$scenario(&bare $(, $argument)*).await;
        let ours = ours::scenarios::$scenario(&world(capture.telemetry()) $(, $argument)*).await;
        let (cluster, brokers) = (cluster(brokers), brokers.to_owned());
        let played = Played { capture, brokers, cluster, bare, ours };
        assert_eq!(played.ours.seen, played.bare.seen);
        played
    }};
}

/// What one saw, line by line.
macro_rules! assert_seen {
    ($played:expr, $($line:expr),* $(,)?) => {
        assert_eq!($played.bare.seen, [$($line),*]);
    };
}

impl Played {
    /// A span with what all of them say.
    fn told(&self, operation: &'static str, step: &'static str) -> ExpectedSpan {
        self.told_in(0, operation, step)
    }

    fn told_in(&self, topic: usize, operation: &'static str, step: &'static str) -> ExpectedSpan {
        let topic = &self.ours.topics[topic];
        self.told_of(topic, operation, step).attribute("messaging.destination.name", topic.clone())
    }

    /// Of a topic, or of the brokers where it is about none.
    fn told_of(&self, place: &str, operation: &'static str, step: &'static str) -> ExpectedSpan {
        let (host, port) = host_and_port(&self.brokers);
        let told = span(format!("{operation} {place}"));
        let told = if step == "send" { told.producer() } else { told.client() };
        told.attribute("messaging.system", "kafka")
            .attribute("messaging.operation.name", operation)
            .attribute("messaging.operation.type", step)
            .attribute("messaging.client.id", "rdkafka")
            .attribute("messaging.kafka.cluster.id", self.cluster.clone())
            .attribute("server.address", host.to_owned())
            .attribute("server.port", i64::from(port))
    }

    fn topic(&self) -> &str {
        &self.ours.topics[0]
    }

    fn sent(&self) -> ExpectedSpan {
        self.told("send", "send")
    }

    fn received(&self) -> ExpectedSpan {
        self.told("poll", "receive").attribute(GROUP, self.group(0))
    }

    fn group(&self, number: usize) -> String {
        self.ours.groups[number].clone()
    }

    /// A failure to receive anything: no topic's, and before a message told the cluster.
    fn not_received(&self, error: &'static str) -> ExpectedSpan {
        let told = self.told_of(&self.brokers, "poll", "receive");
        let told = told.attribute(GROUP, self.group(0));
        failed(told.without_attribute("messaging.kafka.cluster.id"), error)
    }

    /// The spans of this name, in order of ending.
    fn named(&self, name: &str) -> Vec<SpanData> {
        self.capture.spans_named(&format!("{name} {}", self.topic()))
    }

    fn assert_metrics(&self, timed: impl Fn(&Span) -> bool) {
        assert_agreement(&spans(&self.capture), &points(&self.capture), timed);
    }
}

/// Of a message, at its place.
fn at(span: ExpectedSpan, partition: i64, offset: i64) -> ExpectedSpan {
    in_partition(span, partition).attribute("messaging.kafka.offset", offset)
}

fn in_partition(span: ExpectedSpan, partition: i64) -> ExpectedSpan {
    span.attribute("messaging.destination.partition.id", partition.to_string())
}

fn with_key(span: ExpectedSpan, key: &'static str) -> ExpectedSpan {
    span.attribute("messaging.kafka.message.key", key)
}

fn failed(span: ExpectedSpan, error: &'static str) -> ExpectedSpan {
    span.attribute("error.type", error).error("")
}

/// As a message brings it.
fn brought(span: &SpanData) -> SpanContext {
    let own = &span.span_context;
    let (trace, id, flags) = (own.trace_id(), own.span_id(), own.trace_flags());
    SpanContext::new(trace, id, flags, true, own.trace_state().clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_all_sorts_come_as_they_were_sent() {
    let Some(brokers) = live::address("KAFKA") else { return };
    let played = play!(&brokers, bodies);
    assert_seen!(
        played,
        "sent: Ok((0, 0))",
        "sent: Ok((0, 1))",
        "sent: Ok((0, 2))",
        "sent: Ok((0, 3))",
        "sent: Ok((0, 4))",
        r#"received: "(0, 0), Some(\"whole\"), Some(\"a body\"), [(\"note\", Some([102, 105, 114, 115, 116])), (\"note\", None)]""#,
        r#"received: "(0, 1), Some(\"tombstone\"), None, []""#,
        r#"received: "(0, 2), Some(\"empty\"), Some(\"\"), []""#,
        r#"received: "(0, 3), None, Some(\"\\0�\"), []""#,
        r#"received: "(0, 4), Some(\"large\"), Some(\"1000000 bytes\"), [(\"note\", Some([108, 97, 114, 103, 101]))]""#,
        "committed: Ok(())",
        r#"committed: [TopicPartitionListElem { topic: "topic 0", partition: 0, offset: Offset(5), metadata: "", error: Ok(()) }]"#,
    );
    let sends = played.named("send");
    let message = |span: ExpectedSpan, offset| {
        let span = at(span, 0, offset);
        match offset {
            0 => with_key(span, "whole"),
            1 => with_key(span, "tombstone").attribute("messaging.kafka.message.tombstone", true),
            2 => with_key(span, "empty"),
            4 => with_key(span, "large"),
            _ => span,
        }
    };
    let sent = (0..5).map(|offset| message(played.sent(), offset));
    let links: Vec<_> = sends.iter().map(brought).collect();
    let received = (0..)
        .zip(links.clone())
        .map(|(offset, link)| message(played.received(), offset).link(link));
    let committed =
        at(played.told("commit", "settle"), 0, 4).attribute(GROUP, played.group(0)).links(links);
    played.capture.assert_spans(sent.chain(received).chain([committed]));
    played.assert_metrics(|_| false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_received_once_by_each_way() {
    let Some(brokers) = live::address("KAFKA") else { return };
    let played = play!(&brokers, ways);
    assert_eq!(played.bare.seen.len(), 7);
    for line in &played.bare.seen[1..] {
        assert!(line.ends_with(r#": "(0, 0), Some(\"key\"), Some(\"body\"), []""#), "{line}");
    }
    let carried = brought(&played.named("send")[0]);
    let sent = with_key(at(played.sent(), 0, 0), "key");
    let received = (0..6).map(|group| {
        let received = played.told("poll", "receive").attribute(GROUP, played.group(group));
        with_key(at(received, 0, 0), "key").link(carried.clone())
    });
    played.capture.assert_spans([sent].into_iter().chain(received));
    // Those that ask with a bound.
    let bounded = [4, 5].map(|group| played.group(group));
    played.assert_metrics(|span| bounded.iter().any(|group| span.says(GROUP) == group));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_large_is_refused_and_handed_back() {
    let Some(brokers) = live::address("KAFKA") else { return };
    let played = play!(&brokers, too_large);
    assert_eq!(played.bare.seen.len(), 4);
    for line in &played.bare.seen {
        assert!(
            line.contains("Err(\"KafkaError (Message production error: MessageSizeTooLarge"),
            "{line}"
        );
        assert!(line.contains("2000000 bytes"), "{line}");
    }
    let refused = |span| failed(span, "MESSAGE_TOO_LARGE");
    let of_broker = || in_partition(played.sent(), 0);
    played.capture.assert_spans([
        refused(with_key(played.sent(), "large")),
        refused(played.sent()),
        refused(with_key(of_broker(), "large")),
        refused(of_broker()),
    ]);
    played.assert_metrics(|_| false);
}

/// The longest payload that a limit lets out.
async fn longest(brokers: &str, limit: usize) -> usize {
    let topic = topic(brokers, 1).await;
    let mut config: ClientConfig = config(brokers);
    config.set("message.max.bytes", limit.to_string());
    let producer: FutureProducer = config.create().unwrap();
    let fits = |length: &usize| {
        let payload = vec![b'x'; *length];
        producer.send_result(FutureRecord::<str, _>::to(&topic).payload(&payload)).is_ok()
    };
    (0..limit).rev().find(fits).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_just_fits_is_sent() {
    let Some(brokers) = live::address("KAFKA") else { return };
    let limit = 5000;
    let longest = longest(&brokers, limit).await;
    assert!((4000..limit).contains(&longest), "{longest}");
    let played = play!(&brokers, just_fits, limit, longest);
    let refused = "Err((KafkaError (Message production error: MessageSizeTooLarge (Broker: Message size too large))";
    let some = refused.replace("Err(", "Some(");
    assert_seen!(
        played,
        "send: Ok((0, 0))".to_owned(),
        format!(
            r#"send: Err("KafkaError (Message production error: MessageSizeTooLarge (Broker: Message size too large)), (-1, 0), None, Some(\"{} bytes\"), []")"#,
            longest + 1
        ),
        "send_result: Ok(1)".to_owned(),
        format!("send_result: {some}, false))"),
        "polled: Ok(())".to_owned(),
        format!("polled: {refused}, 2, false))"),
        "flushed: Ok(())".to_owned(),
        "threaded: Ok(())".to_owned(),
        format!("threaded: {refused}, 4, false))"),
        "flushed: Ok(())".to_owned(),
        r#"reports: ["1: Ok(2)", "3: Ok(3)"]"#.to_owned(),
    );
    // Those that fit have no room for a trace.
    let spans = (0..4).flat_map(|offset| {
        [at(played.sent(), 0, offset), failed(played.sent(), "MESSAGE_TOO_LARGE")]
    });
    // The polled ones end at their report.
    played.capture.assert_spans_in_any_order(spans);
    played.assert_metrics(|_| false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_of_an_empty_topic_ends_empty_and_leaves_no_span() {
    let Some(brokers) = live::address("KAFKA") else { return };
    let played = play!(&brokers, empty);
    assert_seen!(played, "no message: None", "nothing: true");
    played.capture.assert_silent();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_nobody_made_is_an_error_of_both_sides() {
    let Some(brokers) = live::address("KAFKA") else { return };
    let played = play!(&brokers, unknown);
    assert_seen!(
        played,
        r#"not sent: Err("KafkaError (Message production error: UnknownTopicOrPartition (Broker: Unknown topic or partition)), (-1, -1001), Some(\"key\"), Some(\"first\"), []")"#,
        r#"not sent: Err("KafkaError (Message production error: UnknownTopic (Local: Unknown topic)), (-1, 0), Some(\"key\"), Some(\"again\"), []")"#,
        "not received: Err(KafkaError (Message consumption error: UnknownTopicOrPartition (Broker: Unknown topic or partition)))",
    );
    let sent = || with_key(played.sent(), "key");
    played.capture.assert_spans([
        failed(sent(), "UNKNOWN_TOPIC_OR_PARTITION"),
        failed(sent(), "_UNKNOWN_TOPIC"),
        played.not_received("UNKNOWN_TOPIC_OR_PARTITION"),
    ]);
    played.assert_metrics(|_| true);
}

#[tokio::test(flavor = "multi_thread")]
async fn handlers_that_run_while_partitions_go_end_well() {
    let Some(brokers) = live::address("KAFKA") else { return };
    let played = play!(&brokers, rebalance);
    assert_seen!(
        played,
        "sent: Ok((0, 0))",
        "sent: Ok((1, 0))",
        "again: [(0, 0), (1, 0)]",
        "assigned: [1, 1]",
        "handled: Ok(0)",
        "handled: Ok(0)",
        "committed: Ok(())",
        r#"first: ["before 2 assigned", "after 2 assigned", "before 2 revoked", "after 2 revoked", "before 1 assigned", "after 1 assigned"]"#,
        r#"second: ["before 1 assigned", "after 1 assigned"]"#,
    );
    let sends = played.named("send");
    let mut expected = Vec::new();
    for (partition, send) in (0..).zip(&sends) {
        let link = brought(send);
        expected.push(at(played.sent(), partition, 0));
        for _ in 0..2 {
            expected.push(at(played.received(), partition, 0).link(link.clone()));
        }
        let handled = at(played.told("process", "process"), partition, 0).consumer();
        let handled = handled.attribute(GROUP, played.group(0));
        expected.push(handled.child_of(link.clone()).link(link));
    }
    // In the order in which it got them, which is nobody's choice.
    let mut links: Vec<_> = sends.iter().map(brought).collect();
    let commit = &played.named("commit")[0];
    links.sort_by_key(|link| {
        let same = |other: &Link| other.span_context.span_id() == link.span_id();
        commit.links.iter().position(same)
    });
    expected.push(played.told("commit", "settle").attribute(GROUP, played.group(0)).links(links));
    played.capture.assert_spans_in_any_order(expected);
    played.assert_metrics(|_| false);
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_are_made_given_up_and_taken_over() {
    let Some(brokers) = live::address("KAFKA") else { return };
    let played = play!(&brokers, transactions);
    assert_seen!(
        played,
        "sent: Ok((0, 0))",
        r#"received: "(0, 0), None, Some(\"order\"), []""#,
        "init: Ok(())",
        "begin: Ok(())",
        "sent: Ok((0, 0))",
        "ended: Ok(())",
        r#"committed: [TopicPartitionListElem { topic: "topic 0", partition: 0, offset: Invalid, metadata: "", error: Ok(()) }]"#,
        "begin: Ok(())",
        "sent: Ok((0, 2))",
        "ended: Ok(())",
        r#"committed: [TopicPartitionListElem { topic: "topic 0", partition: 0, offset: Offset(1), metadata: "", error: Ok(()) }]"#,
        r#"read: "(0, 2), None, Some(\"made\"), []""#,
        "init: Ok(())",
        "begin: Ok(())",
        r#"sent: Err("KafkaError (Message production error: PurgeQueue (Local: Purged in queue)), (0, -1001), None, Some(\"late\"), []")"#,
        "offsets: Err(Some(Fenced))",
        "commit: Err(Some(Fenced))",
    );
    let to = || played.told_in(1, "send", "send");
    let from = |topic, send: &SpanData| {
        let received = played.told_in(topic, "poll", "receive");
        received.attribute(GROUP, played.group(topic)).link(brought(send))
    };
    let made = played.capture.spans_named(&format!("send {}", played.ours.topics[1]));
    let offsets = || in_partition(played.told("send_offsets_to_transaction", "settle"), 0);
    played.capture.assert_spans([
        at(played.sent(), 0, 0),
        at(from(0, &played.named("send")[0]), 0, 0),
        at(to(), 0, 0),
        offsets(),
        at(to(), 0, 2),
        offsets(),
        at(from(1, &made[1]), 0, 2),
        failed(in_partition(to(), 0), "_PURGE_QUEUE"),
        failed(offsets(), "_FENCED"),
    ]);
    played.assert_metrics(|_| false);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lag_of_a_consumer_that_falls_behind_is_true() {
    let Some(brokers) = live::address("KAFKA") else { return };
    let (topic, capture) = (topic(&brokers, 2).await, Capture::new());
    let producer: FutureProducer = config(&brokers).create().unwrap();
    for (partition, messages) in [(0, 7), (1, 5)] {
        for _ in 0..messages {
            let record = FutureRecord::<str, str>::to(&topic).partition(partition).payload("late");
            producer.send(record, PATIENCE).await.unwrap();
        }
    }
    let mut config = in_group(&brokers, &unique_name());
    config.set("statistics.interval.ms", "50").set("client.id", "late");
    let context = ReportingContext::with(&config, &capture.telemetry());
    let consumer: StreamConsumer<_> = config.create_with_context(context).unwrap();
    consumer.subscribe(&[&topic]).unwrap();
    let mut given = BTreeMap::from([(0, 0), (1, 0)]);
    // First some of each partition, then all.
    for total in [2, 12] {
        while given.values().any(|given| *given == 0) || given.values().sum::<i64>() < total {
            let message = soon("a message is there", consumer.recv()).await.unwrap();
            *given.get_mut(&message.partition()).unwrap() += 1;
        }
        // Statistics come to who receives.
        consumer.pause(&consumer.assignment().unwrap()).unwrap();
        let lag = |(partition, given): (&i32, &i64)| {
            let ends = block_in_place(|| consumer.fetch_watermarks(&topic, *partition, PATIENCE));
            (partition.to_string(), ends.unwrap().1 - given)
        };
        let expected: BTreeMap<_, _> = given.iter().map(lag).collect();
        assert_eq!(expected.values().any(|lag| *lag > 0), total < 12);
        let mut told = BTreeMap::new();
        eventually("the lag is told", async || {
            let none = timeout(Duration::from_millis(20), consumer.recv()).await;
            assert!(none.is_err(), "it is paused");
            told = lags(&capture, &topic);
            told == expected
        })
        .await;
        consumer.resume(&consumer.assignment().unwrap()).unwrap();
    }
    assert_agreement(&spans(&capture), &points(&capture), |_| false);
}

/// The lag of each partition.
fn lags(capture: &Capture, topic: &str) -> BTreeMap<String, i64> {
    let told = points(capture).into_iter();
    let told = told.filter(|point| point.metric == "kafka.consumer.records_lag");
    told.map(|point| {
        let text = |name: &str| point.attributes[name].as_str().unwrap().to_owned();
        assert_eq!((text("topic").as_str(), text("client-id").as_str()), (topic, "late"));
        assert_eq!(point.attributes.len(), 3, "{point:?}");
        #[expect(clippy::cast_possible_truncation, reason = "whole")]
        let lag = point.number as i64;
        (text("partition"), lag)
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_silent_broker_does_not_answer_ends_in_time() {
    let server = block_in_place(|| private(Server::kafka(), Extra::new()));
    let Some(server) = server else { return };
    let (brokers, server) = (server.url().to_owned(), Mutex::new(server));
    let played = play!(&brokers, paused, &server);
    let timed_out = |key| {
        format!(
            r#"not sent: Err((KafkaError (Message production error: MessageTimedOut (Local: Message timed out)), "(0, -1001), Some(\"{key}\"), Some(\"body\"), []"))"#
        )
    };
    assert_seen!(
        played,
        "sent: Ok((0, 0))".to_owned(),
        r#"refused: Err((KafkaError (Message production error: QueueFull (Local: Queue full)), "(-1, 0), Some(\"too many\"), Some(\"body\"), []"))"#.to_owned(),
        "given up: true".to_owned(),
        "nothing: true".to_owned(),
        timed_out("first"),
        timed_out("third"),
        "waiting: Ok(())".to_owned(),
        "sent: true".to_owned(),
    );
    let sent = |key| with_key(played.sent(), key);
    let timed_out = |key| failed(in_partition(sent(key), 0), "_MSG_TIMED_OUT");
    played.capture.assert_spans([
        at(sent("before"), 0, 0),
        failed(sent("too many"), "_QUEUE_FULL"),
        failed(sent("given up"), "cancelled"),
        timed_out("first"),
        timed_out("second"),
        timed_out("third"),
        in_partition(sent("after"), 0).any_attribute("messaging.kafka.offset"),
    ]);
    played.assert_metrics(|_| true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_the_client_makes_by_itself_is_told() {
    let Some(brokers) = live::address("KAFKA") else { return };
    let (topic, group, capture) = (topic(&brokers, 1).await, unique_name(), Capture::new());
    let producer_config = config(&brokers);
    let producer: FutureProducer = producer_config.create().unwrap();
    let producer = otel_kafka::FutureProducer::builder(producer).config(&producer_config);
    let producer = producer.telemetry(&capture.telemetry()).build();
    for _ in 0..3 {
        let record = FutureRecord::<str, str>::to(&topic).payload("work");
        producer.send(record, PATIENCE).await.unwrap();
    }
    let mut config = in_group(&brokers, &group);
    config.set("enable.auto.commit", "true").set("auto.commit.interval.ms", "100");
    let context = ReportingContext::with(&config, &capture.telemetry());
    let consumer: StreamConsumer<_> = config.create_with_context(context).unwrap();
    consumer.subscribe(&[&topic]).unwrap();
    for _ in 0..3 {
        soon("a message is there", consumer.recv()).await.unwrap();
    }
    // By any number of commits, each message by one of them.
    let name = format!("commit {topic}");
    eventually("all is committed", async || {
        let none = timeout(Duration::from_millis(20), consumer.recv()).await;
        assert!(none.is_err(), "there is no other message");
        let commits = capture.spans_named(&name);
        commits.iter().map(|commit| commit.links.len()).sum::<usize>() >= 3
    })
    .await;
    let committed = block_in_place(|| consumer.committed(PATIENCE)).unwrap();
    assert_eq!(committed.find_partition(&topic, 0).unwrap().offset(), Offset::Offset(3));
    let sends = capture.spans_named(&format!("send {topic}"));
    let commits = capture.spans_named(&name);
    let links = commits.iter().flat_map(|commit| commit.links.iter());
    let links: Vec<_> = links.map(|link| link.span_context.clone()).collect();
    assert_eq!(links, sends.iter().map(brought).collect::<Vec<_>>());
    let (host, port) = host_and_port(&brokers);
    for commit in spans(&capture).iter().filter(|span| span.name == name) {
        let mut expected = json!({
            "messaging.system": "kafka",
            "messaging.operation.name": "commit",
            "messaging.operation.type": "settle",
            "messaging.destination.name": topic,
            "messaging.destination.partition.id": "0",
            "messaging.client.id": "rdkafka",
            "server.address": host,
            "server.port": port,
        });
        expected[GROUP] = group.as_str().into();
        // As soon as it is known.
        if let Some(told) = commit.attributes.get("messaging.kafka.cluster.id") {
            expected["messaging.kafka.cluster.id"] = cluster(&brokers).into();
            assert_eq!(*told, expected["messaging.kafka.cluster.id"]);
        }
        assert_eq!(json!(commit.attributes), expected);
        assert_eq!((commit.kind.as_str(), &commit.error), ("CLIENT", &None));
    }
}

/// A port that nobody has now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_accepted_or_refused_and_never_told() {
    let port = free_port();
    let settings = [
        format!(
            "listeners=PLAINTEXT://127.0.0.1:{{port}},GUARDED://127.0.0.1:{port},\
             CONTROLLER://127.0.0.1:{{port2}}"
        ),
        format!("advertised.listeners=PLAINTEXT://127.0.0.1:{{port}},GUARDED://127.0.0.1:{port}"),
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,\
         GUARDED:SASL_PLAINTEXT"
            .to_owned(),
        "sasl.enabled.mechanisms=PLAIN".to_owned(),
        "listener.name.guarded.plain.sasl.jaas.config=\
         org.apache.kafka.common.security.plain.PlainLoginModule required \
         user_alice=\"right-password\";"
            .to_owned(),
    ];
    let extra = settings
        .into_iter()
        .fold(Extra::new(), |extra, setting| extra.argument("--override").argument(setting));
    let server = block_in_place(|| private(Server::kafka(), extra));
    let Some(server) = server else { return };
    let listener = format!("127.0.0.1:{port}");

    let played = play!(server.url(), authentication, &listener, "right-password");
    assert_seen!(
        played,
        "sent: Ok((0, 0))",
        "refused: false",
        r#"received: Ok("(0, 0), Some(\"key\"), Some(\"body\"), [(\"note\", Some([98, 97, 99, 107]))]")"#,
    );
    played.assert_metrics(|_| false);
    assert_nowhere(&played.capture, "right-password");

    let played = play!(server.url(), authentication, &listener, "wrong-password");
    assert_seen!(
        played,
        r#"sent: Err("KafkaError (Message production error: MessageTimedOut (Local: Message timed out)), (-1, -1001), Some(\"key\"), Some(\"body\"), [(\"note\", Some([98, 97, 99, 107]))]")"#,
        "refused: true",
        "received: Err(Some(Authentication))",
    );
    let played = Played { brokers: listener, ..played };
    let sent = with_key(played.sent().without_attribute("messaging.kafka.cluster.id"), "key");
    let sent = failed(sent, "_MSG_TIMED_OUT");
    let spans = played.capture.spans();
    let all_down = spans
        .iter()
        .filter(|span| span.attributes.iter().any(|it| it.value.as_str() == "_ALL_BROKERS_DOWN"));
    let all_down = all_down.map(|_| played.not_received("_ALL_BROKERS_DOWN"));
    let expected =
        [sent].into_iter().chain(all_down).chain([played.not_received("_AUTHENTICATION")]);
    played.capture.assert_spans(expected);
    played.assert_metrics(|_| false);
    assert_nowhere(&played.capture, "wrong-password");
}
