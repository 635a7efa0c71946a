//! SIGTERM under load: what was answered is in the collector, to the last span.

#![allow(clippy::expect_used, reason = "the helpers of tests are tests too")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use integration_tests::collector::{Collector, Setup};
use otel_testing::opentelemetry::trace::SpanKind;
use support::{serving, status_of, terminate};

const CUSTOMERS: u64 = 8;
/// Requests before the signal: their spans fill more than one batch.
const BEFORE: u64 = 200;
/// Nobody orders longer than this, should the signal be lost.
const MOST: u64 = 20_000;

fn loses_nothing(protocol: &str, endpoint: impl Fn(&Collector) -> &str) {
    let Some(mut collector) = Collector::start(Setup::new()) else { return };
    let (shop, address) = serving(&[
        ("OTEL_TRACES_EXPORTER", "otlp"),
        ("OTEL_METRICS_EXPORTER", "otlp"),
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint(&collector)),
    ]);

    let (pid, placed) = (shop.pid(), AtomicU64::new(0));
    let customer = || {
        let mut answered = Vec::new();
        loop {
            let number = placed.fetch_add(1, Ordering::Relaxed) + 1;
            if number > MOST {
                return answered;
            }
            if number == BEFORE {
                terminate(pid);
            }
            let trace = format!("{number:032x}");
            let traceparent = format!("00-{trace}-00000000000000ff-01");
            let order = r#"{ "item": "lamp", "quantity": 1 }"#;
            // The end of the shop: this customer, and every other one, finds it closed.
            let Ok(status) = status_of(address, order, &traceparent) else { return answered };
            assert!([201, 409].contains(&status), "{status}");
            answered.push((trace, status));
        }
    };
    let answered: BTreeMap<String, u16> = thread::scope(|scope| {
        let customers: Vec<_> = (0..CUSTOMERS).map(|_| scope.spawn(customer)).collect();
        customers.into_iter().flat_map(|it| it.join().expect("a customer")).collect()
    });
    let output = shop.end();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {stderr}", output.status);
    assert_eq!(stderr, "");
    let least = usize::try_from(BEFORE - CUSTOMERS).expect("a number");
    assert!((least..usize::try_from(MOST).expect("a number")).contains(&answered.len()));

    // Its end writes down all that it accepted.
    collector.server.stop().expect("the collector ends");
    let received = collector.received.look();
    for (trace, status) in &answered {
        let spans = received.trace(trace);
        let kinds = spans.iter().filter(|span| span.kind == SpanKind::Server);
        assert_eq!(kinds.count(), 1, "{trace}: {spans:#?}");
        let ids: BTreeSet<&str> = spans.iter().map(|span| span.span_id.as_str()).collect();
        assert_eq!(ids.len(), spans.len(), "twice: {spans:#?}");
        let names = ["COMMIT", "ROLLBACK", "send", "process", "commit"];
        let ended = names.map(|it| spans.iter().filter(|span| span.name.starts_with(it)).count());
        // What was sold is shipped, by a transaction of the warehouse.
        let expected = if *status == 201 { [2, 0, 1, 1, 1] } else { [0, 1, 0, 0, 0] };
        assert_eq!(ended, expected, "{trace}: {spans:#?}");
        for span in spans {
            let parent = span.parent_id.as_str();
            assert!(parent == "00000000000000ff" || ids.contains(parent), "{trace}: {span:#?}");
        }
    }
    let orders = received.metrics.iter().filter(|it| it.name == "http.server.request.duration");
    let counted =
        orders.filter_map(|metric| metric.points.iter().map(|it| it.count).sum::<Option<u64>>());
    assert!(counted.max() >= Some(answered.len() as u64), "the last metrics are lost");
}

#[test]
fn live_grpc() {
    loses_nothing("grpc", Collector::grpc);
}

#[test]
fn live_http() {
    loses_nothing("http/protobuf", Collector::http);
}
