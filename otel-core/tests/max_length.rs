//! A text of a query that is longer than what is wanted of it: nothing but the text is cut.

mod support;

use otel_core::{DbCall, QueryText, Telemetry};
use otel_testing::Capture;
use support::db;

/// What is shown of a call: its text, and its summary.
fn shown(telemetry: &Telemetry, capture: &Capture, call: DbCall<'static>) -> [Option<String>; 2] {
    db(telemetry).start(|| call).finish();
    let spans = capture.spans();
    let fact = |name| {
        let fact = spans[0].attributes.iter().find(|fact| fact.key.as_str() == name);
        fact.map(|fact| fact.value.to_string())
    };
    [fact("db.query.text"), fact("db.query.summary")]
}

const TEXT: &str = "SELECT año FROM users WHERE id = 'seven'";

#[test]
fn a_text_is_cut_and_its_summary_stays() {
    let cases = [
        (QueryText::Sanitized, 1000, Some("SELECT año FROM users WHERE id = ?")),
        (QueryText::Sanitized, 10, Some("SELECT")),
        (QueryText::Auto, 11, Some("SELECT año")),
        // Between two characters, where the text is shown as it is.
        (QueryText::Verbatim, 9, Some("SELECT a")),
        (QueryText::Verbatim, 10, Some("SELECT añ")),
        (QueryText::Verbatim, 1000, Some(TEXT)),
        (QueryText::Auto, 0, None),
        (QueryText::Sanitized, 0, None),
        (QueryText::Verbatim, 0, None),
    ];
    for (query_text, bytes, expected) in cases {
        let capture = Capture::new();
        let builder = capture.telemetry_builder().query_text(query_text);
        let telemetry = builder.query_text_max_length(bytes).build();
        let [text, summary] = shown(&telemetry, &capture, DbCall::statement(TEXT, false));
        assert_eq!(text.as_deref(), expected, "{query_text:?} {bytes}");
        assert_eq!(summary.as_deref(), Some("SELECT users"));
    }
}

/// Without a word about it, 4096 bytes: of a text with bound values, and of one as it is, too.
#[test]
fn no_text_is_of_any_length() {
    let long: &'static str = format!("SELECT {} FROM users", "a, ".repeat(5000)).leak();
    for query_text in [QueryText::Auto, QueryText::Sanitized, QueryText::Verbatim] {
        let capture = Capture::new();
        let telemetry = capture.telemetry_builder().query_text(query_text).build();
        let [text, _] = shown(&telemetry, &capture, DbCall::statement(long, true));
        let length = text.map_or(0, |text| text.len());
        assert!((4090..=4096).contains(&length), "{query_text:?} {length}");
    }
}

/// A text that an adapter made, for a system whose queries are no SQL.
#[test]
fn a_text_of_an_adapter_is_cut_too() {
    for (bytes, expected) in [(100, Some("HMSET key ?")), (5, Some("HMSET")), (0, None)] {
        let capture = Capture::new();
        let telemetry = capture.telemetry_builder().query_text_max_length(bytes).build();
        let [text, _] = shown(&telemetry, &capture, DbCall::new().sanitized_text("HMSET key ?"));
        assert_eq!(text.as_deref(), expected);
    }
}
