//! The shop and a real collector: each way to it, and each way for it to be away.

#![allow(clippy::expect_used, reason = "the helpers of tests are tests too")]

mod support;

use std::cell::Cell;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Output;

use integration_tests::authority::Authority;
use integration_tests::collector::{Collector, Setup};
use integration_tests::received::Received;
use otel_testing::opentelemetry::trace::SpanKind;
use support::{Serving, command, serving, status_of};

const LAMP: &str = r#"{ "item": "lamp", "quantity": 1 }"#;

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Variables, by the part of their names that differs.
type Variables<'a> = Vec<(&'a str, &'a str)>;

fn otlp<'a>(protocol: &'a str, collector: &'a Collector) -> Variables<'a> {
    let endpoint = if protocol == "grpc" { collector.grpc() } else { collector.http() };
    vec![
        ("OTEL_TRACES_EXPORTER", "otlp"),
        ("OTEL_METRICS_EXPORTER", "otlp"),
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
    ]
}

/// The demo sends all three signals this way, in plain text or compressed.
fn assert_arrives(collector: &mut Collector, protocol: &str, more: &[(&str, &str)]) {
    for compression in ["none", "gzip"] {
        let seen = |it: &Received| {
            let metrics = it.metrics.iter().filter(|it| it.name == "db.client.operation.duration");
            [it.named("UPDATE shop_stock").len(), metrics.count()]
        };
        let [orders, exports] = seen(collector.received.look());
        let output = command(&[])
            .envs(otlp(protocol, collector))
            .envs(more.iter().copied())
            .env("OTEL_EXPORTER_OTLP_COMPRESSION", compression)
            .env("RUST_LOG", "info")
            .output()
            .expect("the shop runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{protocol}, {compression}: {stderr}");
        assert!(!stderr.contains("otel-setup:"), "{protocol}, {compression}: {stderr}");
        let got = collector.received.wait_until("orders and metrics are there", |it| {
            let [now, exported] = seen(it);
            now == orders + 3 && exported > exports
        });
        let resource = &got.spans.last().expect("a span").resource;
        assert_eq!(resource["service.name"], "shop");
        // The customer's span and those of the service are one trace.
        let update = got.named("UPDATE shop_stock").pop().expect("a span").clone();
        let clients = got.trace(&update.trace_id).into_iter().filter(|it| it.parent_id.is_empty());
        let kinds: Vec<_> = clients.map(|root| (root.name.as_str(), root.kind.clone())).collect();
        assert_eq!(kinds, [("POST /orders", SpanKind::Client)]);
    }
}

#[test]
fn live_plain_text() {
    let Some(mut collector) = Collector::start(Setup::new()) else { return };
    assert_arrives(&mut collector, "grpc", &[]);
    assert_arrives(&mut collector, "http/protobuf", &[]);
}

#[test]
fn live_tls() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue("collector");
    let Some(mut collector) = Collector::start(Setup::new().tls(&certificate, &key)) else {
        return;
    };
    let trust = [("OTEL_EXPORTER_OTLP_CERTIFICATE", text(authority.certificate()))];
    assert_arrives(&mut collector, "grpc", &trust);
    assert_arrives(&mut collector, "http/protobuf", &trust);
}

#[test]
fn live_mutual_tls() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue("collector");
    let setup = Setup::new().tls(&certificate, &key).client_ca(authority.certificate());
    let Some(mut collector) = Collector::start(setup) else { return };
    let (own, own_key) = authority.issue("shop");
    let trust = [
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", text(authority.certificate())),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", text(&own)),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", text(&own_key)),
    ];
    assert_arrives(&mut collector, "grpc", &trust);
    assert_arrives(&mut collector, "http/protobuf", &trust);
}

/// So that the test need not wait for the usual five seconds.
const SOON: [(&str, &str); 2] =
    [("OTEL_BSP_SCHEDULE_DELAY", "50"), ("OTEL_BLRP_SCHEDULE_DELAY", "50")];

fn start(variables: &Variables<'_>) -> (Serving, SocketAddr) {
    serving(&[&variables[..], &SOON].concat())
}

/// Whatever is the matter with telemetry, customers are served, and the operator is told once.
fn assert_served_and_told_once(variables: &Variables<'_>, protocol: &str) {
    let (shop, address) = start(variables);
    for _ in 0..5 {
        assert_eq!(status_of(address, LAMP, "").expect("an answer"), 201, "{protocol}");
    }
    // What failed by now is told by now, or by the end.
    shop.terminate();
    assert_told_once(&shop.end(), protocol);
}

fn assert_told_once(output: &Output, protocol: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let told: Vec<&str> = stderr.lines().filter(|line| line.starts_with("otel-setup: ")).collect();
    assert_eq!(told.len(), 1, "{protocol}: {stderr}");
    assert!(told[0].contains("telemetry does not reach http"), "{protocol}: {stderr}");
    assert!(told[0].contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{protocol}: {stderr}");
}

#[test]
fn live_a_wrong_certificate_is_told_once() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue("collector");
    let Some(collector) = Collector::start(Setup::new().tls(&certificate, &key)) else { return };
    let stranger = Authority::new();
    for protocol in ["grpc", "http/protobuf"] {
        let mut variables = otlp(protocol, &collector);
        variables.push(("OTEL_EXPORTER_OTLP_CERTIFICATE", text(stranger.certificate())));
        assert_served_and_told_once(&variables, protocol);
    }
}

#[test]
fn live_a_collector_that_is_away_is_told_once() {
    let Some(mut collector) = Collector::start(Setup::new()) else { return };
    collector.server.stop().expect("the collector ends");
    for protocol in ["grpc", "http/protobuf"] {
        assert_served_and_told_once(&otlp(protocol, &collector), protocol);
    }
}

#[test]
fn live_a_collector_that_comes_back_gets_what_follows() {
    for protocol in ["grpc", "http/protobuf"] {
        let Some(mut collector) = Collector::start(Setup::new()) else { return };
        let (mut shop, address) = start(&otlp(protocol, &collector));
        let order = |trace: u128| {
            let traceparent = format!("00-{trace:032x}-00000000000000ff-01");
            let status = status_of(address, LAMP, &traceparent).expect("an answer");
            assert!([201, 409].contains(&status), "{status}");
            format!("{trace:032x}")
        };
        let first = order(1);
        collector
            .received
            .wait_until("the first order is there", |it| !it.trace(&first).is_empty());
        collector.server.kill().expect("the collector runs");
        for trace in 100..120 {
            order(trace);
        }
        assert!(shop.tells().contains("telemetry does not reach"), "{protocol}");
        collector.server.restart().expect("the collector starts");
        // What was sent meanwhile may be lost. Once an order arrives again, all that follow do.
        let next = Cell::new(1_000);
        collector.received.wait_until("orders arrive again", |it| {
            order(next.replace(next.get() + 1));
            it.spans.iter().any(|span| span.trace_id.as_str() >= format!("{:032x}", 1_000).as_str())
        });
        let last: Vec<String> = (0..20).map(|trace| order(1_000_000 + trace)).collect();
        shop.terminate();
        let output = shop.end();
        // What was lost meanwhile, if anything was, is told at the end and nothing else.
        let told = String::from_utf8_lossy(&output.stderr);
        let is_missing = told.contains("telemetry was lost: traces: ");
        assert_eq!(output.status.success(), !is_missing, "{protocol}: {told}");
        assert_told_once(&output, protocol);
        collector.server.stop().expect("the collector ends");
        let got = collector.received.look();
        assert!(
            last.iter().all(|trace| !got.trace(trace).is_empty()),
            "{protocol}: spans are lost"
        );
    }
}
