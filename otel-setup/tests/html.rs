//! The page as a file. `html_browser.rs` opens it.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as such")]

mod console_support;

use std::fs;

use console_support::{Build as _, TRACE, order, span};
use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, SpanKind, Tracer as _, TracerProvider as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanProcessor as _};
use otel_setup::html;
use serde_json::Value;

/// What the page would read, from the file.
fn data(page: &str) -> Value {
    let start = page.split_once(r#"id="data">"#).unwrap().1;
    serde_json::from_str(start.split_once("</script>").unwrap().0).unwrap()
}

fn written(spans: Vec<SpanData>) -> (String, Value) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.html");
    let page = html::page(&path);
    for span in spans {
        page.on_end(span);
    }
    page.force_flush().unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let entries = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(entries, 1, "the temporary file is gone");
    let data = data(&text);
    (text, data)
}

#[test]
fn the_page_holds_the_tree() {
    let (_, data) = written(order());
    let trace = &data["traces"][0];
    assert_eq!(trace["id"], "0af7651916cd43dd8448eb211c80319c");
    let rows = trace["rows"].as_array().unwrap();
    let shown: Vec<_> =
        rows.iter().map(|row| format!("{} {}", row["depth"], row["name"])).collect();
    assert_eq!(shown[..3], [r#"0 "POST""#, r#"1 "POST /orders""#, r#"2 "BEGIN""#]);
    let update = &rows[5];
    assert_eq!(
        (&update["kind"], &update["service"], &update["failed"]),
        (&"client".into(), &"shop".into(), &true.into())
    );
    assert_eq!(
        (&update["error"], &update["message"]),
        (&"40001".into(), &"could not serialize access".into())
    );
    assert_eq!(update["attributes"], serde_json::json!([["error.type", "40001"]]));
    assert_eq!(update["bars"], serde_json::json!([[4_600_000.0, 2_500_000.0]]));
    let links = &rows[8]["links"];
    assert_eq!(links[0][0], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!((&links[0][2], &links[1][2]), (&Value::Null, &"COMMIT".into()));
}

#[test]
fn what_receives_is_drawn_where_its_link_leads() {
    let send = span(1, 0, "send", 0, 5).kind(SpanKind::Producer);
    let receive = |trace, name, to| {
        let mut receive = span(2, 0, name, 6, 7).links(to, 1);
        receive.span_context = console_support::context(trace, 2);
        receive
    };
    // One whose message is from elsewhere stays by itself.
    let (_, data) = written(vec![receive(9, "poll", TRACE), receive(8, "other", 7), send]);
    let traces = data["traces"].as_array().unwrap();
    let rows = |at: usize| traces[at]["rows"].as_array().unwrap().clone();
    assert_eq!((traces.len(), rows(0).len(), rows(1).len()), (2, 1, 2));
    assert_eq!((&rows(0)[0]["name"], &rows(0)[0]["trace"]), (&"other".into(), &Value::Null));
    let poll = &rows(1)[1];
    assert_eq!((&poll["name"], &poll["depth"]), (&"poll".into(), &1.into()));
    assert_eq!(poll["trace"], format!("{:032x}", 9));
    assert_eq!(poll["links"][0][2], "send");
}

#[test]
fn nothing_a_stranger_sends_leaves_its_string() {
    let hostile = "</script><script>alert(1)</script><!--<script>{nonce}{data}\u{2028}&amp;";
    let one = span(1, 0, hostile, 0, 5)
        .with("evil", hostile)
        .fails(hostile, hostile)
        .with("service.name", hostile);
    let (text, data) = written(vec![one]);
    let (plain, _) = written(vec![span(1, 0, "plain", 0, 5)]);
    for tag in ["<script", "</script", "<!--"] {
        assert_eq!(text.matches(tag).count(), plain.matches(tag).count(), "{tag}");
    }
    assert!(!text.contains('\u{2028}'));
    // And it is all there, but for what cannot be seen.
    let shown = hostile.replace('\u{2028}', "\\u{2028}");
    let row = &data["traces"][0]["rows"][0];
    assert_eq!(row["name"], shown[..]);
    assert_eq!(row["attributes"][0][1], shown[..]);
}

#[test]
fn the_page_loads_nothing() {
    let (text, _) = written(order());
    let before_data = text.split_once(r#"id="data">"#).unwrap().0;
    let policy = "default-src 'none'; style-src 'nonce-";
    assert!(before_data.contains(policy), "{before_data}");
    for loads in
        [" src=", "href=", "url(", "@import", "fetch(", "XMLHttp", "://", "innerHTML", "unsafe"]
    {
        let script = text.rsplit_once("<script nonce").unwrap().1;
        assert!(!before_data.contains(loads) && !script.contains(loads), "{loads}");
    }
    let (other, _) = written(order());
    let nonce = |page: &str| page.split_once("'nonce-").unwrap().1[..32].to_owned();
    assert_ne!(nonce(&text), nonce(&other));
    assert_eq!(text.matches(&nonce(&text)).count(), 4, "twice in the policy, once in each element");
}

#[test]
fn equal_siblings_are_one_row_that_opens() {
    let mut spans = vec![span(1, 0, "root", 0, 100)];
    spans.extend((0..5).map(|at| span(10 + at, 1, "step", at * 10, at * 10 + 5)));
    let (_, data) = written(spans);
    let rows = data["traces"][0]["rows"].as_array().unwrap();
    assert_eq!((rows.len(), &rows[1]["fold"], &rows[1]["times"]), (7, &true.into(), &5.into()));
    assert_eq!((&rows[2]["depth"], &rows[2]["name"]), (&2.into(), &"step".into()));
}

#[test]
fn flushes_replace_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.html");
    let page = html::page(&path);
    page.force_flush().unwrap();
    let count = || data(&fs::read_to_string(&path).unwrap())["traces"].as_array().unwrap().len();
    assert_eq!(count(), 0);
    let resource = Resource::builder_empty().with_attribute(KeyValue::new("service.name", "shop"));
    let provider = SdkTracerProvider::builder().with_resource(resource.build());
    let provider = provider.with_span_processor(page).build();
    provider.tracer("test").start("one").end();
    provider.force_flush().unwrap();
    assert_eq!(count(), 1);
    // What was written does not go.
    provider.tracer("test").start("two").end();
    provider.shutdown().unwrap();
    assert_eq!(count(), 2);
    let data = data(&fs::read_to_string(&path).unwrap());
    assert_eq!(data["traces"][1]["rows"][0]["service"], "shop");
}

#[test]
fn a_page_without_a_place_is_an_error_and_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("later");
    let page = html::page(place.join("trace.html"));
    page.on_end(span(1, 0, "one", 0, 5));
    let error = page.force_flush().unwrap_err().to_string();
    assert!(error.contains("trace.html cannot be written: "), "{error}");
    fs::create_dir(&place).unwrap();
    page.force_flush().unwrap();
    let has = |name| fs::read_to_string(place.join("trace.html")).unwrap().contains(name);
    assert!(has(r#""name":"one""#));
    // Also if it went well before.
    fs::remove_dir_all(&place).unwrap();
    page.on_end(span(2, 0, "two", 0, 5));
    page.force_flush().unwrap_err();
    fs::create_dir(&place).unwrap();
    page.force_flush().unwrap();
    assert!(has(r#""name":"one""#) && has(r#""name":"two""#));
    // What was written beside it does not stay.
    fs::create_dir_all(place.join("taken.html/full")).unwrap();
    html::page(place.join("taken.html")).force_flush().unwrap_err();
    assert_eq!(fs::read_dir(&place).unwrap().count(), 2);
    assert!(html::page("/").force_flush().is_err());
}
