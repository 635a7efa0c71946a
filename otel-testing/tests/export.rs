//! What a capture sees is also written down, where a folder is given: nothing twice, nothing over
//! anybody else's.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::{Span as _, SpanKind, Status, Tracer as _};
use opentelemetry::{Array, KeyValue, StringValue, Value};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use otel_testing::Capture;
use serde_json::Value as Json;

/// The processes of these tests, which are this program once more.
const ROLE: &str = "OTEL_TESTING_ROLE";

fn start(role: &str, folder: &str, here: &Path) -> Child {
    let mut this = Command::new(std::env::current_exe().unwrap());
    this.args(["--exact", "a_role_is_played", "--nocapture"]).env(ROLE, role);
    this.env("OTEL_TEST_EXPORT", folder).current_dir(here);
    this.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// What the processes do; nothing where this is one of the tests.
#[test]
fn a_role_is_played() {
    match std::env::var(ROLE).as_deref() {
        Ok("emits") => emits(&Capture::new()),
        Ok("not sampled") => emits(&Capture::not_sampled()),
        Ok("never dropped") => {
            let capture = Box::leak(Box::new(Capture::new()));
            emits(capture);
        }
        Ok("fails") => {
            let capture = Capture::new();
            emits(&capture);
            panic!("as it was told");
        }
        _ => {}
    }
}

fn emits(capture: &Capture) {
    let tracer = capture.tracer("scope");
    let builder = tracer.span_builder("SELECT").with_kind(SpanKind::Client);
    let names = Value::Array(Array::String(vec![StringValue::from("a"), "b".into()]));
    let facts = [
        KeyValue::new("whole", i64::MAX),
        KeyValue::new("part", 1.5),
        KeyValue::new("text", "ä"),
        KeyValue::new("so", true),
        KeyValue::new("names", names),
    ];
    let mut span = builder.with_attributes(facts).start(&tracer);
    span.set_status(Status::error("why"));
    span.end();

    let meter = capture.meter_provider().meter("scope");
    let counter = meter.u64_counter("counted").build();
    counter.add(1, &[KeyValue::new("kind", 1)]);
    let gone = meter.i64_gauge("state").build();
    gone.record(5, &[]);
    // Each reading but the first has nothing that is new.
    assert_eq!((capture.metrics(), capture.metrics()).0.len(), 2);
    counter.add(2, &[KeyValue::new("kind", 1)]);
    capture.clear();
    assert_eq!(capture.spans(), []);
}

fn lines(folder: &Path) -> Vec<Json> {
    let mut lines = Vec::new();
    for file in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        lines.extend(text.lines().map(|line| serde_json::from_str::<Json>(line).unwrap()));
    }
    lines
}

fn played(role: &str) -> Vec<Json> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let output = start(role, path, folder.path()).wait_with_output().unwrap();
    assert_eq!(output.status.success(), role != "fails", "{output:?}");
    lines(folder.path())
}

fn spans(lines: &[Json]) -> Vec<ExportTraceServiceRequest> {
    let of_spans = lines.iter().filter(|line| line.get("resourceSpans").is_some());
    of_spans.map(|line| serde_json::from_value(line.clone()).unwrap()).collect()
}

/// The value of the counter, and of the test's result, in each reading that was written.
fn readings(lines: &[Json]) -> Vec<(Json, Option<Json>)> {
    let of_metrics = lines.iter().filter_map(|line| line.get("resourceMetrics"));
    of_metrics
        .map(|groups| {
            let metrics = groups[0]["scopeMetrics"][0]["metrics"].as_array().unwrap();
            let counted = metrics.iter().find(|it| it["name"] == "counted").unwrap();
            let result = resource(&groups[0]).remove("test.case.result.status");
            (counted["sum"]["dataPoints"][0]["asInt"].clone(), result)
        })
        .collect()
}

fn resource(group: &Json) -> BTreeMap<String, Json> {
    let attributes = group["resource"]["attributes"].as_array().unwrap().iter();
    let pair =
        |it: &Json| (it["key"].as_str().unwrap().to_owned(), it["value"]["stringValue"].clone());
    attributes.map(pair).collect()
}

#[test]
fn a_span_is_written_as_the_protocol_has_it() {
    let lines = played("emits");
    let groups = &lines.iter().find_map(|line| line.get("resourceSpans")).unwrap()[0];
    let said = resource(groups);
    assert_eq!(said["service.name"], env!("CARGO_PKG_NAME"));
    assert_eq!(
        (&said["test.suite.name"], &said["test.case.name"]),
        (&"export".into(), &"a_role_is_played".into())
    );
    let span = &groups["scopeSpans"][0]["spans"][0];
    for (id, digits) in [("traceId", 32), ("spanId", 16)] {
        let id = span[id].as_str().unwrap();
        assert!(id.len() == digits && id.bytes().all(|it| it.is_ascii_hexdigit()), "{id}");
    }
    assert!(span["endTimeUnixNano"].as_str().unwrap().parse::<u64>().unwrap() > 0);
    let expected = serde_json::json!([
        {"key": "whole", "value": {"intValue": "9223372036854775807"}},
        {"key": "part", "value": {"doubleValue": 1.5}},
        {"key": "text", "value": {"stringValue": "ä"}},
        {"key": "so", "value": {"boolValue": true}},
        {"key": "names", "value": {"arrayValue": {"values": [{"stringValue": "a"}, {"stringValue": "b"}]}}},
    ]);
    assert_eq!(span["attributes"], expected);
    assert_eq!((&span["kind"], &span["status"]["code"]), (&3.into(), &2.into()));
    assert_eq!(span["status"]["message"], "why");
    let read = spans(&lines);
    assert_eq!(read.len(), 1, "one span, although it was forgotten");
    assert_eq!(read[0].resource_spans[0].scope_spans[0].spans[0].name, "SELECT");
}

#[test]
fn a_series_is_written_when_it_comes_and_at_the_end() {
    let lines = played("emits");
    assert_eq!(readings(&lines), [("1".into(), None), ("3".into(), Some("pass".into()))]);
    let of_metrics = lines.iter().find(|line| line.get("resourceMetrics").is_some()).unwrap();
    let read: ExportMetricsServiceRequest = serde_json::from_value(of_metrics.clone()).unwrap();
    let metrics = &read.resource_metrics[0].scope_metrics[0].metrics;
    assert!(metrics.iter().any(|it| matches!(it.data, Some(Data::Gauge(_)))));
    assert_eq!(readings(&played("fails"))[1].1, Some("fail".into()));
}

#[test]
fn a_capture_that_is_never_dropped_is_written_too() {
    let lines = played("never dropped");
    assert_eq!(spans(&lines).len(), 1);
    assert_eq!(readings(&lines), [("1".into(), None)]);
}

#[test]
fn what_is_not_sampled_is_not_written() {
    let lines = played("not sampled");
    assert_eq!((spans(&lines).len(), readings(&lines).len()), (0, 2));
}

#[test]
fn processes_at_the_same_time_keep_what_each_of_them_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let (root, below) = (folder.path().join("root"), folder.path().join("root/crate"));
    fs::create_dir_all(&below).unwrap();
    let export = folder.path().join("root/out");
    fs::create_dir(&export).unwrap();
    // By a relative path, which is that of a folder above.
    let all: Vec<Child> =
        (0..8).map(|it| start("emits", "out", if it % 2 == 0 { &root } else { &below })).collect();
    for child in all {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    let lines = lines(&export);
    assert_eq!((spans(&lines).len(), readings(&lines).len()), (8, 16));
    let groups = lines.iter().filter_map(|line| line.get("resourceSpans"));
    let captures: BTreeSet<String> =
        groups.map(|it| resource(&it[0])["service.instance.id"].to_string()).collect();
    assert_eq!(captures.len(), 8);
    assert_eq!(fs::read_dir(&export).unwrap().count(), 8);
}

#[test]
fn a_folder_that_is_not_there_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let output = start("emits", "nowhere", folder.path()).wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(told.contains("no file can be made in OTEL_TEST_EXPORT=nowhere"), "{told}");
}
