//! The collector that other live tests send to: what is sent is found, refused, lost and kept as
//! they rely on.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod collector_support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use collector_support::{Client, SETTINGS, grpc_export, spans};
use integration_tests::authority::Authority;
use integration_tests::collector::{Collector, Setup, TailSampling};
use integration_tests::unique_name;
use otel_testing::opentelemetry::trace::{SpanKind, Status};
use serde_json::{Value, json};

fn names(collector: &mut Collector) -> Vec<String> {
    collector.received.look().spans.iter().map(|span| span.name.clone()).collect()
}

#[test]
fn a_span_is_received_with_all_it_says() {
    let Some(mut collector) = Collector::start(Setup::new()) else { return };
    let client = Client::plain(collector.http());
    let (trace, span, parent) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "b7ad6b7");
    let parent = format!("{parent}169203332");
    let list = json!({"arrayValue": {"values": [{"boolValue": true}, {"doubleValue": 1.5}]}});
    let sent = json!({
        "traceId": trace, "spanId": span, "parentSpanId": parent, "name": "orders send", "kind": 4,
        "startTimeUnixNano": "1700000000000000001", "endTimeUnixNano": "1700000000000000003",
        "attributes": [{"key": "size", "value": {"intValue": "7"}}, {"key": "list", "value": list}],
        "links": [{"traceId": "0af7651916cd43dd8448eb211c80319d", "spanId": span}],
        "events": [{"name": "tried", "attributes": [{"key": "a", "value": {"stringValue": "b"}}]}],
        "status": {"code": 2, "message": "refused"},
    });
    let (scope, service) = (json!({"name": "lib", "version": "1.2"}), json!({"stringValue": "s"}));
    let resource = json!({"attributes": [{"key": "service.name", "value": service}]});
    client.post(
        "/v1/traces",
        &json!({"resourceSpans": [{
            "resource": resource,
            "scopeSpans": [{"scope": scope, "spans": [sent]}],
        }]}),
    );
    let received = collector.received.wait_until("the span", |it| it.spans.len() == 1);
    let found = &received.trace(trace)[0];
    assert_eq!((found.span_id.as_str(), &found.parent_id), (span, &parent));
    assert_eq!((found.name.as_str(), &found.kind), ("orders send", &SpanKind::Producer));
    assert_eq!((found.start, found.end), (1_700_000_000_000_000_001, 1_700_000_000_000_000_003));
    let attributes = [("size", json!(7)), ("list", json!([true, 1.5]))];
    assert_eq!(found.attributes, attributes.map(|(key, value)| (key.into(), value)).into());
    let link = ("0af7651916cd43dd8448eb211c80319d".to_owned(), span.to_owned());
    assert_eq!(found.links, [link]);
    let event = ("tried".to_owned(), BTreeMap::from([("a".to_owned(), json!("b"))]));
    assert_eq!(found.events, [event]);
    assert_eq!(found.status, Status::error("refused"));
    assert_eq!((found.scope.name.as_str(), found.scope.version.as_str()), ("lib", "1.2"));
    assert_eq!(found.resource, BTreeMap::from([("service.name".to_owned(), json!("s"))]));
}

#[test]
fn metrics_and_logs_are_received() {
    let Some(mut collector) = Collector::start(Setup::new()) else { return };
    let client = Client::plain(collector.http());
    let metrics = json!([
        {"name": "orders", "unit": "{order}", "sum": {"aggregationTemporality": 2, "dataPoints": [
            {"asInt": "40", "attributes": [{"key": "kind", "value": {"stringValue": "new"}}]},
        ]}},
        {"name": "time", "unit": "s", "histogram": {"aggregationTemporality": 2, "dataPoints": [
            {"count": "3", "sum": 1.5, "explicitBounds": [1], "bucketCounts": ["2", "1"]},
        ]}},
    ]);
    client.post(
        "/v1/metrics",
        &json!({"resourceMetrics": [
            {"scopeMetrics": [{"scope": {"name": "lib"}, "metrics": metrics}]},
        ]}),
    );
    let record = json!({"severityText": "WARN", "body": {"stringValue": "queue full"},
        "attributes": [{"key": "n", "value": {"intValue": "-1"}}],
        "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331"});
    client.post("/v1/logs", &json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}));
    let received =
        collector.received.wait_until("both", |it| it.metrics.len() == 2 && it.logs.len() == 1);

    let [orders, time] = &received.metrics[..] else { unreachable!() };
    assert_eq!((orders.name.as_str(), orders.unit.as_str()), ("orders", "{order}"));
    assert_eq!((orders.kind.as_str(), orders.scope.name.as_str()), ("sum", "lib"));
    assert_eq!(orders.points[0].value, Some(40.0));
    assert_eq!(orders.points[0].attributes["kind"], "new");
    assert_eq!((time.kind.as_str(), time.points.len()), ("histogram", 1));
    assert_eq!((time.points[0].count, time.points[0].sum), (Some(3), Some(1.5)));
    assert_eq!(time.points[0].all["bucketCounts"], json!(["2", "1"]));
    let log = &received.logs[0];
    assert_eq!((log.severity.as_str(), &log.body), ("WARN", &json!("queue full")));
    assert_eq!(log.attributes["n"], -1);
    assert_eq!(log.trace_id, "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(log.span_id, "b7ad6b7169203331");
    // Each in its own file, for those who look at them without this reader.
    let folder = PathBuf::from(collector.server.address("OUT").unwrap());
    let text = |name| fs::read_to_string(folder.join(name)).unwrap();
    assert!(text("metrics.jsonl").starts_with("{\"resourceMetrics\":"));
    assert!(text("logs.jsonl").starts_with("{\"resourceLogs\":"));
}

#[test]
fn grpc_is_received() {
    let Some(mut collector) = Collector::start(Setup::new()) else { return };
    grpc_export(collector.grpc(), "by grpc");
    collector.received.wait_until("the span", |it| it.named("by grpc").len() == 1);
}

#[test]
fn tls_is_for_those_who_know_its_authority() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue("collector");
    let Some(mut collector) = Collector::start(Setup::new().tls(&certificate, &key)) else {
        return;
    };
    assert!(collector.http().starts_with("https://") && collector.grpc().starts_with("https://"));
    // Plain text is answered, by HTTP's status or not at all, but not taken.
    for url in [collector.http(), collector.grpc()] {
        let answer = Client::plain(url).try_post("/v1/traces", &spans("plain", 1));
        assert!(!answer.as_ref().is_ok_and(|status| *status == 200), "{answer:?}");
    }
    let stranger = Authority::new();
    for url in [collector.http(), collector.grpc()] {
        let answer =
            Client::tls(url, &stranger, None).try_post("/v1/traces", &spans("stranger", 1));
        assert!(answer.as_ref().is_err_and(|it| it.contains("UnknownIssuer")), "{answer:?}");
    }
    assert_eq!(Client::tls(collector.grpc(), &authority, None).greeting(), Ok(SETTINGS));
    Client::tls(collector.http(), &authority, None).post("/v1/traces", &spans("known", 1));
    // In good order, so that everything that was taken is in the file.
    collector.server.stop().unwrap();
    assert_eq!(names(&mut collector), ["known"]);
}

#[test]
fn a_client_is_asked_for_its_certificate() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let (certificate, key) = authority.issue("collector");
    let setup = Setup::new().tls(&certificate, &key).client_ca(clients.certificate());
    let Some(mut collector) = Collector::start(setup) else { return };
    let own = clients.issue("client");
    let foreign = authority.issue("client");
    let client = |url, identity| Client::tls(url, &authority, identity);
    for (name, identity) in [("nobody", None), ("foreigner", Some(&foreign))] {
        let http = client(collector.http(), identity).try_post("/v1/traces", &spans(name, 1));
        assert!(http.is_err(), "{name}: {http:?}");
        let grpc = client(collector.grpc(), identity).greeting();
        assert!(grpc.is_err(), "{name}: {grpc:?}");
    }
    client(collector.http(), Some(&own)).post("/v1/traces", &spans("client", 1));
    assert_eq!(client(collector.grpc(), Some(&own)).greeting(), Ok(SETTINGS));
    collector.server.stop().unwrap();
    assert_eq!(names(&mut collector), ["client"]);
}

#[test]
fn one_that_was_killed_comes_back_where_it_was_and_with_what_it_had() {
    let Some(mut collector) = Collector::start(Setup::new()) else { return };
    let client = Client::plain(collector.http());
    let addresses = (collector.server.url().to_owned(), collector.server.address("GRPC").unwrap());
    client.post("/v1/traces", &spans("before", 1));
    collector.received.wait_until("the first", |it| it.spans.len() == 1);

    collector.server.kill().unwrap();
    client.try_post("/v1/traces", &spans("meanwhile", 1)).unwrap_err();
    collector.server.restart().unwrap();
    let now = (collector.server.url().to_owned(), collector.server.address("GRPC").unwrap());
    assert_eq!(now, addresses);
    client.post("/v1/traces", &spans("after", 1));
    collector.received.wait_until("the second", |it| it.spans.len() == 2);
    assert_eq!(names(&mut collector), ["before", "after"]);
}

#[test]
fn one_that_is_stopped_under_load_keeps_all_that_it_took() {
    const THREADS: usize = 4;
    let Some(mut collector) = Collector::start(Setup::new()) else { return };
    let client = Client::plain(collector.http());
    let (taken, failed) = (Mutex::new(BTreeSet::new()), AtomicUsize::new(0));
    thread::scope(|scope| {
        let senders = [(); THREADS].map(|()| {
            scope.spawn(|| {
                // Until it has seen the collector go; then once more, when it is back.
                while failed.load(Ordering::Relaxed) < THREADS {
                    let name = unique_name();
                    match client.try_post("/v1/traces", &spans(&name, 10)) {
                        Ok(200) => _ = taken.lock().unwrap().insert(name),
                        _ => _ = failed.fetch_add(1, Ordering::Relaxed),
                    }
                }
            })
        });
        let before = collector.received.wait_until("the load", |it| it.spans.len() > 1000);
        assert!(before.spans.len() > 1000);
        collector.server.stop().unwrap();
        for sender in senders {
            sender.join().unwrap();
        }
    });
    collector.server.restart().unwrap();
    client.post("/v1/traces", &spans("after", 1));
    let received = collector.received.wait_until("it is back", |it| it.named("after").len() == 1);
    for name in taken.lock().unwrap().iter() {
        assert_eq!(received.named(name).len(), 10, "{name} was taken");
    }
}

#[test]
fn one_that_is_paused_answers_when_it_goes_on() {
    let Some(mut collector) = Collector::start(Setup::new()) else { return };
    let client = Client::plain(collector.http());
    collector.server.pause().unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| client.try_post("/v1/traces", &spans("patient", 1)));
        // It connects, and its patience ends.
        client.impatient().try_post("/v1/traces", &spans("impatient", 1)).unwrap_err();
        assert!(!waiting.is_finished());
        collector.server.resume().unwrap();
        assert_eq!(waiting.join().unwrap(), Ok(200));
    });
    // A paused one can be stopped all the same, in good order.
    collector.server.pause().unwrap();
    collector.server.stop().unwrap();
    collector.received.wait_until("it went on", |it| it.named("patient").len() == 1);
}

#[test]
fn tail_sampling_keeps_errors_slow_traces_and_a_share_of_the_rest() {
    let keep = TailSampling { decision_wait_ms: 2_000, slow_ms: 300, keep_percent: 10 };
    let Some(mut collector) = Collector::start(Setup::new().tail_sampling(keep)) else { return };
    let client = Client::plain(collector.http());
    // Ids as even as those of a real generator, but the same in each run: the share is one of ids.
    let id = |number: u64, salt: u64| (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ salt;
    let kind = |number: u64| match number {
        0..10 => "error",
        10..20 => "slow",
        _ => "normal",
    };
    // The span that makes a trace worth keeping is in another export than its root.
    let part = |number: u64, is_root: bool| {
        let (start, wrong) = (1_700_000_000_000_000_000_u64, !is_root && kind(number) == "error");
        let slow = !is_root && kind(number) == "slow";
        json!({
            "traceId": format!("{:016x}{:016x}", id(number, 1), id(number, 2)),
            "spanId": format!("{:016x}", id(number, if is_root { 3 } else { 4 })),
            "parentSpanId": if is_root { String::new() } else { format!("{:016x}", id(number, 3)) },
            "name": kind(number), "kind": if is_root { 2 } else { 3 },
            "startTimeUnixNano": format!("{start}"),
            "endTimeUnixNano": format!("{}", start + if slow { 301_000_000 } else { 300_000_000 }),
            "status": if wrong { json!({"code": 2}) } else { json!({}) },
        })
    };
    for is_root in [true, false] {
        let all: Value = (0..200).map(|number| part(number, is_root)).collect();
        let sent = json!({"resourceSpans": [{"scopeSpans": [{"spans": all}]}]});
        client.post("/v1/traces", &sent);
    }
    let both = |it: &integration_tests::received::Received| {
        it.named("error").len() == 20 && it.named("slow").len() == 20
    };
    collector.received.wait_until("errors and slow ones are decided on", both);
    // What is undecided is decided now.
    collector.server.stop().unwrap();
    let received = collector.received.look();
    assert!(both(received));
    let mut kept: BTreeMap<&str, usize> = BTreeMap::new();
    for span in &received.spans {
        *kept.entry(&span.trace_id).or_default() += 1;
    }
    assert!(kept.values().all(|spans| *spans == 2), "half a trace: {kept:?}");
    let rest = kept.len() - 20;
    assert!((5..=35).contains(&rest), "{rest} of 180 were kept, at 10 of 100");
}
