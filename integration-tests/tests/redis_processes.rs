//! Streams between processes: what one adds is handled by others, each entry in its own trace.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::collections::BTreeMap;

use integration_tests::told::{
    Handled, NOBODY, Point, Process, Role, Span, Told, assert_agreement, order_in_baggage,
};
use integration_tests::{eventually, unique_name};
use otel_testing::live;
use redis::AsyncCommands as _;
use serde_json::json;

const PROGRAM: &str = env!("CARGO_BIN_EXE_redis_role");
const ENTRIES: u64 = 300;

/// What a process told.
#[derive(Default)]
struct All {
    handled: Vec<Handled>,
    spans: Vec<Span>,
    points: Vec<Point>,
}

impl From<Vec<Told>> for All {
    fn from(told: Vec<Told>) -> Self {
        let mut all = Self::default();
        for line in told {
            match line {
                Told::Handled(handled) => all.handled.push(handled),
                Told::Span(span) => all.spans.push(span),
                Told::Point(point) => all.points.push(point),
                other => panic!("{other:?}"),
            }
        }
        // All reads have a bound.
        assert_agreement(&all.spans, &all.points, |_| true);
        all
    }
}

fn is_handled(line: &Told) -> bool {
    matches!(line, Told::Handled(_))
}

/// The spans of one kind of step.
fn steps<'a>(all: &'a All, step: &str) -> Vec<&'a Span> {
    let is = |span: &&Span| *span.says("messaging.operation.type") == json!(step);
    all.spans.iter().filter(is).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_each_handled_once_and_in_their_own_trace() {
    let Some(url) = live::address("REDIS") else { return };
    let (stream, client) = (unique_name(), redis::Client::open(&*url).unwrap());
    let mut bare = client.get_multiplexed_async_connection().await.unwrap();
    let cases = [("ambient", false), ("ambient", true), ("message", true), ("link", false)];
    let mut consumers = Vec::new();
    for (parent, ambient) in cases {
        let (brokers, topic, group) = (url.clone(), stream.clone(), unique_name());
        let () = bare.xgroup_create_mkstream(&stream, &group, 0).await.unwrap();
        let role = Role::Consume { brokers, topic, group, parent: parent.to_owned(), ambient };
        consumers.push((parent, ambient, Process::start(PROGRAM, &role)));
    }
    let (brokers, topic, count) = (url.clone(), stream.clone(), Some(ENTRIES));
    let role = Role::Produce { brokers, topic, count, timeout: 0 };
    let producer = All::from(Process::start(PROGRAM, &role).finish().await);
    let mut sent = BTreeMap::new();
    for (number, span) in (1..).zip(&producer.spans) {
        assert_eq!((span.name.clone(), &*span.kind), (format!("XADD {stream}"), "PRODUCER"));
        let origin = (format!("{number:032x}"), format!("{number:016x}"));
        assert_eq!((span.trace.clone(), span.parent.clone()), origin);
        sent.insert(number, span);
    }
    assert_eq!(sent.len() as u64, ENTRIES);
    for (parent, ambient, consumer) in consumers {
        eventually("all are handled", async || consumer.count(is_handled) as u64 == ENTRIES).await;
        let all = All::from(consumer.finish().await);
        let processes = steps(&all, "process");
        let by_id: BTreeMap<_, _> = processes.iter().map(|span| (&span.id, *span)).collect();
        let mut seen = BTreeMap::new();
        for handled in &all.handled {
            let (process, origin) = (by_id[&handled.span], sent[&handled.number]);
            assert!(seen.insert(handled.number, process).is_none(), "handled twice");
            assert!(handled.steady);
            // What it would have been below, it links to.
            let others = usize::from(parent == "message" && ambient);
            assert_eq!(process.links.len(), 1 + others);
            assert_eq!(process.links[0], origin.identity());
            let expected = order_in_baggage(handled.number);
            assert_eq!(handled.baggage, BTreeMap::from([("order".to_owned(), expected)]));
            let failed = handled.failed.then(|| json!("redis_role::Unwanted"));
            assert_eq!(process.attributes.get("error.type"), failed.as_ref());
            match (parent, ambient) {
                // Below the message.
                ("ambient", false) | ("message", _) => {
                    assert_eq!((&process.trace, &process.parent), (&origin.trace, &origin.id));
                    assert_eq!(handled.state, format!("shop={}", handled.number));
                }
                // Below what it runs in.
                ("ambient", true) => assert_ne!(process.parent, NOBODY),
                _ => assert_eq!(process.parent, NOBODY),
            }
        }
        assert_eq!((seen.len() as u64, processes.len() as u64), (ENTRIES, ENTRIES));
        let of_one = |span: &&Span| span.links.len() == 1;
        assert_eq!(steps(&all, "receive").into_iter().filter(of_one).count() as u64, ENTRIES);
        let done = all.handled.iter().filter(|handled| !handled.failed).count();
        assert_eq!(steps(&all, "settle").into_iter().filter(of_one).count(), done);
    }
    let () = bare.del(&stream).await.unwrap();
}
