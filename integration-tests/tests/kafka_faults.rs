//! What may happen to a client of Kafka: each ends as with bare rdkafka, and with true spans.
//!
//! Every test plays one scenario with bare rdkafka and with the instrumented one, and compares.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod kafka_suite;
mod kafka_support;

use std::hash::{BuildHasher as _, RandomState};
use std::net::TcpListener;
use std::sync::Mutex;

use integration_tests::ledger::Watch;
use integration_tests::ledger::kafka::Stored;
use integration_tests::{assert_nowhere, private};
use native::{Extra, Server};
use otel_kafka::ClientConfig;
use otel_testing::assert::ExpectedSpan;
use otel_testing::ledger::Traced;
use otel_testing::opentelemetry::trace::Link;
use otel_testing::opentelemetry_sdk::trace::SpanData;
use otel_testing::otel_core::Telemetry;
use otel_testing::{Capture, live};
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio::task::block_in_place;

use crate::kafka_suite::played::{GROUP, Played, at, brought, failed, in_partition, with_key};
use crate::kafka_suite::{World, bare, ours};
use crate::kafka_support::{cluster, config, topic};

/// Plays one scenario with both. What the broker has stored of ours is what was traced.
macro_rules! play {
    ($brokers:expr, $scenario:ident $(, $argument:expr)*) => {{
        let (brokers, capture): (&str, _) = ($brokers, Capture::new());
        let world = |telemetry| World { brokers: brokers.to_owned(), telemetry };
        // The bare driver has nothing to tell it to.
        let bare = world(Telemetry::builder().enabled(false).build());
        let bare = bare::scenarios::$scenario(&bare $(, $argument)*).await;
        let traced = Traced::new();
        let telemetry = capture.telemetry_builder();
        let telemetry = telemetry.tracer_provider(traced.watch(capture.tracer_provider())).build();
        let ours = ours::scenarios::$scenario(&world(telemetry) $(, $argument)*).await;
        Watch::new(Stored::sent(brokers, &ours.topics), traced).balance(0).await;
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
async fn what_a_silent_broker_does_not_answer_ends_in_time() {
    // Longer than it is silent, or it is no part of its cluster for a moment, and a client that asks
    // then for the first time asks again after minutes.
    let session = "broker.session.timeout.ms=60000";
    let extra = Extra::new().argument("--override").argument(session);
    let server = block_in_place(|| private(Server::kafka(), extra));
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

/// A port that nobody has now: none of those that are given to whoever connects, which may be taken
/// at any moment.
fn free_port() -> u16 {
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let chance = RandomState::new().hash_one(()).to_le_bytes();
    let start = u16::from_le_bytes([chance[0], chance[1]]) % 8000;
    (0..8000).map(|step| 11_000 + (start + step) % 8000).find(is_free).unwrap()
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
