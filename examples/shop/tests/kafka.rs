//! Two processes and a real broker: the order is taken in one and shipped in the other.

#![allow(clippy::expect_used, reason = "the helpers of tests are tests too")]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Output;

use integration_tests::collector::{Collector, Setup};
use integration_tests::otlp::Span;
use integration_tests::received::Received;
use support::{Serving, command, working};

/// A trace as text: its spans by their start, each with its service, its kind and what it links to.
fn tree<'s>(spans: &[&'s Span]) -> String {
    let by_id: BTreeMap<_, _> = spans.iter().map(|span| (span.span_id.as_str(), *span)).collect();
    let mut sorted = spans.to_vec();
    sorted.sort_by_key(|span| span.start);
    let mut text = String::new();
    let mut waiting: Vec<_> = sorted.iter().filter(|it| it.parent_id.is_empty()).collect();
    while let Some(span) = waiting.pop() {
        let depth = |mut span: &'s Span| {
            let mut depth = 0;
            while let Some(parent) = by_id.get(span.parent_id.as_str()) {
                (span, depth) = (parent, depth + 2);
            }
            depth
        };
        let links = span.links.iter().map(|(trace, id)| {
            assert_eq!(trace, &span.trace_id);
            format!(" → {}", by_id[id.as_str()].name)
        });
        let service = span.resource["service.name"].as_str().expect("a name");
        let (indent, name, kind) = (depth(span), &span.name, &span.kind);
        let links: String = links.collect();
        writeln!(text, "{:indent$}{name} - {service} {kind:?}{links}", "").expect("a text");
        waiting.extend(sorted.iter().rev().filter(|it| it.parent_id == span.span_id));
    }
    text
}

const SOLD: &str = "\
POST /orders - shop Client
  POST /orders - shop Server
    transaction :memory: - shop Internal
      BEGIN :memory: - shop Client
      SELECT shop_stock - shop Client
      UPDATE shop_stock - shop Client
      INSERT shop_orders - shop Client
      COMMIT :memory: - shop Client
    send shop-orders - shop Producer
      process shop-orders - warehouse Consumer → send shop-orders
        transaction :memory: - warehouse Internal
          BEGIN :memory: - warehouse Client
          INSERT shop_shipments - warehouse Client
          UPDATE shop_shelves - warehouse Client
          COMMIT :memory: - warehouse Client
      commit shop-orders - warehouse Client → send shop-orders
";

/// The orders that the customer placed, in the order of their start.
fn placed(received: &Received) -> Vec<&Span> {
    let mut roots = received.named("POST /orders");
    roots.retain(|span| span.parent_id.is_empty());
    roots.sort_by_key(|span| span.start);
    roots
}

fn assert_ended(output: &Output) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {stderr}", output.status);
    assert_eq!(stderr, "");
}

#[test]
fn live_two_processes_are_one_trace() {
    let Some(kafka) = otel_testing::live::address("KAFKA") else { return };
    let Some(mut collector) = Collector::start(Setup::new()) else { return };
    let endpoint = collector.http().to_owned();
    let variables = [
        ("OTEL_TRACES_EXPORTER", "otlp"),
        ("OTEL_METRICS_EXPORTER", "none"),
        ("OTEL_LOGS_EXPORTER", "none"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ];
    // Twice, because what the first warehouse did not commit would come to the second one.
    for run in 1..=2 {
        let warehouse: Serving = working(&["warehouse", "--kafka", &kafka], &variables);
        let mut orders = command(&["orders", "--kafka", &kafka]);
        let orders = orders.envs(variables).output().expect("the shop runs");
        assert_ended(&orders);
        let stdout = String::from_utf8_lossy(&orders.stdout);
        assert_eq!(stdout.matches("201 Created").count(), 2, "{stdout}");
        collector.received.wait_until("the orders are processed", |it| {
            let shipped = |root: &&Span| {
                it.trace(&root.trace_id).iter().any(|span| span.name == "process shop-orders")
            };
            placed(it).into_iter().filter(shipped).count() == 2 * run
        });
        // What it has begun it finishes.
        warehouse.terminate();
        assert_ended(&warehouse.end());
    }
    collector.server.stop().expect("the collector ends");
    let received = collector.received.look();
    let orders = placed(received);
    assert_eq!(orders.len(), 6);
    for (at, root) in orders.iter().enumerate() {
        let tree = tree(&received.trace(&root.trace_id));
        if at % 3 == 2 {
            assert!(tree.contains("ROLLBACK") && !tree.contains("shop-orders"), "{tree}");
        } else {
            assert_eq!(tree, SOLD);
        }
    }
    // Receiving is a trace of its own, which leads to that of the order.
    for root in orders.iter().enumerate().filter(|(at, _)| at % 3 < 2).map(|(_, root)| root) {
        let mut polls = received.named("poll shop-orders");
        polls.retain(|poll| poll.links.iter().any(|(trace, _)| *trace == root.trace_id));
        assert_eq!(polls.len(), 1, "{polls:#?}");
        assert!(polls[0].parent_id.is_empty() && polls[0].trace_id != root.trace_id);
    }
}
