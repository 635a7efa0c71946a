//! The page tells all of it, and is the same at each run.

use super::*;
use crate::docs::emitted::Emitted;
use crate::docs::facts::Facts;
use crate::docs::tests::{FACTS, conventions, failed_query, gauge, origin, query, right};

fn page_of(emitted: &Emitted) -> String {
    let (conventions, facts) = (conventions(), Facts::parse(FACTS).unwrap());
    let rules = Rules { conventions: &conventions, facts: &facts };
    of(&Summary::of(rules, emitted), "otel-some")
}

#[test]
fn the_page_tells_all_of_it() {
    let mut emitted = right();
    emitted.spans.push(failed_query());
    let page = page_of(&emitted);
    for line in [
        "### postgresql: `db.postgresql.client`",
        "Status: stable. Kind: CLIENT. Names:",
        "- `{db.query.summary}`, such as `SELECT users`",
        "| `db.namespace` | string | conditionally required | always | `shop` |",
        "| `error.type` | string | conditionally required | failed | `23505` |",
        "| `server.port` | int | conditionally required | a port that is not the system's default | `{port}` |",
        "### postgresql: `acquire`",
        "| `messaging.kafka.cluster.id` | string | recommended | once known | `c` |",
        "It links to `messaging.kafka.send.producer`, with `messaging.kafka.offset`.",
        "Status: stable. Instrument: histogram. Unit: `s`. Buckets, as advised: 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10.",
        "The number of series grows with databases, different statements, servers.",
        "Not of the conventions: Java has it. Instrument: gauge. Unit: `{message}`.",
        "| `23505` | `db.postgresql.client` |",
        "| `db.client.connection.count` | metrics | no pool |",
    ] {
        assert!(page.lines().any(|it| it == line), "{line}\n{page}");
    }
}

/// The same tests, in another order, with other ids, names and ports, and with other luck.
#[test]
fn the_page_is_the_same_at_each_run() {
    let run = |number: u16, reverse: bool| {
        let mut emitted = right();
        let schema = format!("live_{number:04x}0123456789ab");
        for (place, span) in emitted.spans.iter_mut().enumerate() {
            span.attributes.insert("server.port".into(), (20_000 + number).into());
            span.origin.capture = format!("{number} {place}");
        }
        let mut other = query();
        other.attributes.insert("db.namespace".into(), format!("shop|{schema}").into());
        other.attributes.insert("db.query.text".into(), format!("SELECT {schema}").into());
        other.origin = origin("other");
        let mut raced = failed_query();
        raced.origin.suite = "races".into();
        raced.attributes.insert("error.type".into(), format!("luck {number}").into());
        emitted.spans.extend([other, raced]);
        let mut point = gauge();
        point.attributes.insert("client-id".into(), format!("127.0.0.1:{number}").into());
        point.origin = origin("more");
        emitted.points.push(point);
        if reverse {
            emitted.spans.reverse();
            emitted.points.reverse();
        }
        page_of(&emitted)
    };
    assert_eq!(run(1, false), run(4711, true));
    assert!(!run(1, false).contains("luck"));
}
