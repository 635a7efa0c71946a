//! Whatever the files, what is read is the same.

use serde_json::json;

use super::*;

fn map(all: &Value) -> Attributes {
    all.as_object().unwrap().clone().into_iter().collect()
}

#[test]
fn files_are_read_whatever_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let resource = |result: &str| {
        let pair = |name: &str, value: &str| json!({"key": name, "value": {"stringValue": value}});
        let pairs = [
            pair("test.suite.name", "s"),
            pair("test.case.name", "t"),
            pair("service.instance.id", "1.1"),
            pair("test.case.result.status", result),
        ];
        json!({"attributes": pairs[..if result.is_empty() { 3 } else { 4 }]})
    };
    let metrics = |count: u64, result: &str| {
        let point = json!({"count": count.to_string(), "explicitBounds": [0.5], "attributes": [{"key": "n", "value": {"intValue": "7"}}]});
        json!({"resourceMetrics": [{"resource": resource(result), "scopeMetrics": [{"scope": {"name": "otel-some"}, "metrics": [
            {"name": "m", "unit": "s", "histogram": {"dataPoints": [point]}},
            {"name": "c", "sum": {"isMonotonic": true, "dataPoints": [{"asInt": "1"}]}},
            {"name": "u", "sum": {"isMonotonic": false, "dataPoints": [{"asInt": "1"}]}},
        ]}]}]})
        .to_string()
    };
    let span = json!({"resourceSpans": [{"resource": resource(""), "scopeSpans": [
        {"scope": {"name": "test"}, "spans": [{"name": "not ours"}]},
        {"scope": {"name": "otel-some"}, "spans": [{
            "traceId": "0a", "spanId": "0b", "name": "SELECT", "kind": 3, "status": {"code": 2, "message": "why"},
            "attributes": [{"key": "d", "value": {"doubleValue": 1.0}}, {"key": "l", "value": {"arrayValue": {"values": [{"boolValue": true}]}}}],
            "links": [{"traceId": "0c", "spanId": "0d"}],
        }]},
    ]}]})
    .to_string();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("b.jsonl", &format!("{}\n{span}\n{}\n", metrics(1, ""), metrics(3, "pass")));
    // A test killed it.
    write("a.jsonl", &format!("{span}\n{}", &span[..40]));
    write("a.txt", "something else");
    let read_all =
        || read(folder.path(), &["otel-some"]).map(|mut all| all.remove("otel-some").unwrap());
    let Emitted { spans, points } = read_all().unwrap();
    assert_eq!(
        spans.iter().map(|it| &*it.origin.capture).collect::<Vec<_>>(),
        ["a.jsonl 1.1", "b.jsonl 1.1"]
    );
    let span = &spans[0];
    assert_eq!(
        (&*span.name, &*span.kind, &span.status),
        ("SELECT", "client", &Status::Error("why".into()))
    );
    assert_eq!(span.attributes, map(&json!({"d": 1.0, "l": [true]})));
    assert_eq!(span.links[0].to, ("0c".into(), "0d".into()));
    let shown: Vec<_> =
        points.iter().map(|it| (&*it.metric, &*it.instrument, it.count, it.is_last)).collect();
    assert_eq!(
        shown,
        [("c", "counter", 1, true), ("m", "histogram", 3, true), ("u", "updowncounter", 1, true)]
    );
    assert_eq!((&*points[1].unit, &points[1].bounds), ("s", &vec![0.5]));
    assert_eq!(points[1].attributes, map(&json!({"n": 7})));

    write("b.jsonl", &format!("{{\n{}\n", metrics(1, "")));
    let error = read_all().unwrap_err().to_string();
    assert!(error.contains("b.jsonl:1: "), "{error}");
}
