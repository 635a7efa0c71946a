//! Statements that carry their trace: what the comment looks like, that nothing in it can break out
//! of it, which texts stay as they are, and which calls are told at all.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as such")]

mod support;

use std::borrow::Cow;
use std::fs;

use opentelemetry::Context;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState, Tracer as _,
};
use otel_core::SqlCommenter::{self, All, Off, Uncached};
use otel_core::sql::{Analyzer, Dialect, Literals};
use otel_core::sqlcommenter::commented;
use otel_testing::Capture;
use support::{db, poll_once, select};

const TRACE: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;
const SPAN: u64 = 0x00f0_67aa_0ba9_02b7;
const PARENT: &str = "traceparent='00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'";

fn span(flags: TraceFlags, state: TraceState) -> SpanContext {
    SpanContext::new(TraceId::from(TRACE), SpanId::from(SPAN), flags, false, state)
}

fn sampled() -> SpanContext {
    span(TraceFlags::SAMPLED, TraceState::NONE)
}

fn comment(text: &str) -> Option<String> {
    commented(text, &sampled(), true)
}

#[test]
fn the_comment_is_the_last_of_the_statement_and_stands_before_its_end() {
    let cases = [
        ("SELECT 1", "SELECT 1 #"),
        ("SELECT 1;", "SELECT 1 #;"),
        ("SELECT 1 ; ;\r\n", "SELECT 1 # ; ;\r\n"),
        ("SELECT 1\n", "SELECT 1 #\n"),
        ("SELECT 1;\u{b}", "SELECT 1 #;\u{b}"),
        ("SELECT 1; SELECT 2;", "SELECT 1; SELECT 2 #;"),
        (
            "INSERT INTO t VALUES (?, $1, :name, '%s')",
            "INSERT INTO t VALUES (?, $1, :name, '%s') #",
        ),
        ("SELECT ';'", "SELECT ';' #"),
        ("SELECT $$;$$;", "SELECT $$;$$ #;"),
        ("SELECT 1 - -1, 2 / 3 * 4", "SELECT 1 - -1, 2 / 3 * 4 #"),
        ("SELECT created, alter_ego FROM prepared", "SELECT created, alter_ego FROM prepared #"),
        ("SELECT 'año'", "SELECT 'año' #"),
        // Refused by the server, with the comment as without it.
        ("SELECT 'open", "SELECT 'open #"),
    ];
    for (text, expected) in cases {
        let expected = expected.replace('#', &format!("/*{PARENT}*/"));
        assert_eq!(comment(text), Some(expected), "{text}");
    }
}

#[test]
fn a_text_is_left_alone() {
    let texts = [
        // Nothing that a comment could belong to.
        "",
        " \t\n",
        ";",
        " ; ",
        // There is a comment, or there may be one.
        "SELECT 1 -- by hand",
        "SELECT 1 -- by hand\n",
        "-- by hand\nSELECT 1",
        "SELECT 1--",
        "SELECT /* by hand */ 1",
        "SELECT /*+ INDEX(a) */ 1",
        "SELECT /*! STRAIGHT_JOIN */ 1",
        "SELECT 1 /* /* nested */ */",
        "SELECT 1 /* open",
        "SELECT 1 # by hand",
        "SELECT '--'",
        "SELECT '/*'",
        "SELECT '#'",
        // The server may stop reading there.
        "SELECT 1\0",
        // Stored as it is, the trace with it.
        "CREATE VIEW v AS SELECT 1",
        "create table t (id int)",
        "SELECT 1; CREATE TABLE t (id int)",
        "ALTER TABLE t ADD COLUMN a int",
        "PREPARE p AS SELECT 1",
    ];
    for text in texts {
        assert_eq!(comment(text), None, "{text:?}");
    }
}

/// Bulk data, and what a server's limit for one packet may be made for.
#[test]
fn a_long_text_is_left_alone() {
    let text = |length: usize| format!("SELECT '{}'", "a".repeat(length - 9));
    assert!(comment(&text(64 * 1024)).is_some());
    assert_eq!(comment(&text(64 * 1024 + 1)), None);
}

#[test]
fn what_is_commented_once_is_left_alone() {
    let once = comment("SELECT 1;").unwrap();
    assert_eq!(comment(&once), None);
}

#[test]
fn a_span_that_is_not_sampled_is_not_told() {
    let not_sampled = span(TraceFlags::default(), TraceState::NONE);
    let invalid = SpanContext::new(
        TraceId::INVALID,
        SpanId::from(SPAN),
        TraceFlags::SAMPLED,
        false,
        TraceState::NONE,
    );
    for span in [not_sampled, invalid, SpanContext::empty_context()] {
        assert_eq!(commented("SELECT 1", &span, true), None, "{span:?}");
    }
}

#[test]
fn of_the_flags_only_sampled_is_told() {
    let span = span(TraceFlags::new(0xff), TraceState::NONE);
    assert_eq!(commented("SELECT 1", &span, false), comment("SELECT 1"));
}

#[test]
fn the_tracestate_is_told_by_option() {
    let state = TraceState::from_key_value([("congo", "t61rcWkgMzE"), ("rojo", "00f0")]).unwrap();
    let span = span(TraceFlags::SAMPLED, state);
    assert_eq!(
        commented("SELECT 1;", &span, true),
        Some(format!("SELECT 1 /*{PARENT},tracestate='congo%3Dt61rcWkgMzE%2Crojo%3D00f0'*/;"))
    );
    assert_eq!(commented("SELECT 1;", &span, false), comment("SELECT 1;"));
}

#[test]
fn a_long_tracestate_is_left_out() {
    let of = |last: usize| {
        let (one, other) = ("a".repeat(254), "b".repeat(last));
        let state = TraceState::from_key_value([("x", one), ("y", other)]).unwrap();
        assert_eq!(state.header().len(), 254 + last + 5);
        span(TraceFlags::SAMPLED, state)
    };
    assert!(commented("SELECT 1", &of(253), true).unwrap().contains("tracestate"));
    assert_eq!(commented("SELECT 1", &of(254), true), comment("SELECT 1"));
}

/// What a stranger sent, since the tracestate comes with a request.
#[test]
fn nothing_breaks_out_of_the_comment() {
    let hostile = [
        "*/; DROP TABLE users; /*",
        "'*/ OR 1 --",
        "\\'*/",
        "? :name @name $1 $$ %s %(name)s {0} #",
        "\"`[]\n\r\t\0\u{1f600}é",
    ];
    for value in hostile {
        for key in ["a", "a*/b", "a/*b", "a--@b"] {
            let state = TraceState::from_key_value([(key, value)]).unwrap();
            let header = state.header();
            let text = commented("SELECT 1;", &span(TraceFlags::SAMPLED, state), true).unwrap();
            let told = text.strip_prefix(&format!("SELECT 1 /*{PARENT},tracestate='")).unwrap();
            let told = told.strip_suffix("'*/;").unwrap();
            let unreserved = |told: char| told.is_ascii_alphanumeric() || "-._~%".contains(told);
            assert!(told.chars().all(unreserved), "{told}");
            assert_eq!(decoded(told), header);
        }
    }
}

fn decoded(text: &str) -> String {
    let mut pieces = text.split('%');
    let mut bytes = pieces.next().unwrap().as_bytes().to_vec();
    for piece in pieces {
        let (code, rest) = piece.split_at(2);
        bytes.push(u8::from_str_radix(code, 16).unwrap());
        bytes.extend(rest.bytes());
    }
    String::from_utf8(bytes).unwrap()
}

/// All texts that the analyser is tested with.
fn texts() -> Vec<String> {
    let mut texts = Vec::new();
    for file in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata")).unwrap() {
        let path = file.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("sql_") {
            let table: toml::Table = fs::read_to_string(&path).unwrap().parse().unwrap();
            let cases = table["case"].as_array().unwrap();
            texts.extend(cases.iter().map(|case| case["input"].as_str().unwrap().to_owned()));
        }
    }
    texts
}

/// Who reads the text with the comment, reads what stands there without it.
#[test]
fn the_comment_is_one_to_every_dialect() {
    let (mut told, texts) = (0, texts());
    assert!(texts.len() > 300, "{}", texts.len());
    for text in texts {
        let state = TraceState::from_key_value([("a*/b", "'*/; DROP TABLE users")]).unwrap();
        let Some(commented) = commented(&text, &span(TraceFlags::SAMPLED, state), true) else {
            continue;
        };
        told += 1;
        // With nothing but the space that is put before the comment.
        let end = commented.rsplit_once("*/").unwrap().1;
        let spaced = format!("{} {end}", text.strip_suffix(end).unwrap());
        for &dialect in Dialect::ALL {
            for literals in [Literals::Keep, Literals::Replace] {
                let analyzer = Analyzer::new(dialect).literals(literals);
                let (found, expected) = (analyzer.analyze(&commented), analyzer.analyze(&spaced));
                // White space goes with a secret, a comment stays beside it.
                let words = |text: Option<Cow<'_, str>>| {
                    text.map(|text| text.split_whitespace().collect::<String>())
                };
                assert_eq!(words(found.text), words(expected.text), "{dialect} {commented}");
                assert_eq!(found.summary, expected.summary, "{dialect} {commented}");
            }
        }
    }
    assert!(told > 100, "{told}");
}

fn telemetry(capture: &Capture, statements: SqlCommenter) -> otel_core::Telemetry {
    capture.telemetry_builder().sqlcommenter(statements).build()
}

#[test]
fn which_statements_are_told() {
    let told = |statements: SqlCommenter, kept: bool| {
        let capture = Capture::new();
        let operation = db(&telemetry(&capture, statements)).start(select);
        let text = operation.commented("SELECT 1", kept);
        operation.finish();
        text.inspect(|text| assert_is_of(&capture, text))
    };
    assert_eq!([told(Off, false), told(Off, true)], [None, None]);
    assert!(told(Uncached, false).is_some());
    assert_eq!(told(Uncached, true), None);
    assert!(told(All, false).is_some());
    assert!(told(All, true).is_some());
}

/// The text carries the context of the first span that was captured.
fn assert_is_of(capture: &Capture, text: &str) {
    let span = &capture.spans()[0].span_context;
    let (trace, id) = (span.trace_id(), span.span_id());
    assert_eq!(text, format!("SELECT 1 /*traceparent='00-{trace}-{id}-01'*/"));
}

#[test]
fn nobody_asked_is_off() {
    let capture = Capture::new();
    let operation = db(&capture.telemetry()).start(select);
    assert_eq!(operation.commented("SELECT 1", false), None);
    operation.finish();
}

#[test]
fn the_tracestate_follows_the_option() {
    for wanted in [false, true] {
        let capture = Capture::new();
        let builder = capture.telemetry_builder().sqlcommenter(All).sqlcommenter_tracestate(wanted);
        let state = TraceState::from_key_value([("a", "b")]).unwrap();
        let parent = Context::new().with_remote_span_context(span(TraceFlags::SAMPLED, state));
        let operation = db(&builder.build()).start_in(&parent, select);
        let text = operation.commented("SELECT 1", false).unwrap();
        operation.finish();
        assert_eq!(text.contains(",tracestate='a%3Db'*/"), wanted, "{text}");
        assert!(text.contains("/*traceparent='00-4bf92f3577b34da6a3ce929d0e0e4736-"), "{text}");
        assert!(!text.contains("00f067aa0ba902b7"), "that is the parent: {text}");
    }
}

/// The context is that of the statement's own span, or none: never that of what is around it.
#[test]
fn without_a_sampled_span_of_its_own_a_statement_is_not_told() {
    let around = Capture::new();
    let tracer = around.tracer("application");
    let untold = |capture: &Capture, telemetry: &otel_core::Telemetry| {
        tracer.in_span("request", |_| {
            let operation = db(telemetry).start(select);
            assert_eq!(operation.commented("SELECT 1", false), None);
            operation.finish();
        });
        capture.assert_no_spans();
    };
    let not_sampled = Capture::not_sampled();
    untold(&not_sampled, &telemetry(&not_sampled, All));
    let filtered = Capture::new();
    let builder = filtered.telemetry_builder().sqlcommenter(All);
    untold(&filtered, &builder.span_filter(|_| false).build());
    let off = Capture::new();
    untold(&off, &off.telemetry_builder().sqlcommenter(All).enabled(false).build());
    let without_parent = Capture::new();
    let builder = without_parent.telemetry_builder().sqlcommenter(All);
    let operation = db(&builder.require_parent(true).build()).start(select);
    assert_eq!(operation.commented("SELECT 1", false), None);
    operation.finish();
}

/// Adapters ask before the driver's future or stream is made, which is before anything is current.
#[test]
fn futures_and_streams_know_their_operation() {
    use futures_util::StreamExt as _;

    let capture = Capture::new();
    let db = db(&telemetry(&capture, All));
    let future = db.run_with(
        "SELECT 1",
        |_| select(),
        |text, operation| {
            std::future::ready(Ok::<_, support::StubError>(operation.commented(text, true)))
        },
        |_, _| (),
    );
    let std::task::Poll::Ready(Ok(Some(text))) = poll_once(std::pin::pin!(future)) else {
        unreachable!("it is ready, and commented")
    };
    assert_is_of(&capture, &text);
    capture.clear();

    let rows = db.stream(
        "SELECT 1",
        |_| select(),
        |text, operation| {
            futures_util::stream::iter([Ok::<_, support::StubError>(
                operation.commented(text, true),
            )])
        },
        |_| true,
    );
    let texts = futures_util::FutureExt::now_or_never(rows.collect::<Vec<_>>()).unwrap();
    let [Ok(Some(text))] = &texts[..] else { unreachable!("one row: {texts:?}") };
    assert_is_of(&capture, text);
}

/// Off, a text is not even looked at.
#[test]
fn off_allocates_nothing() {
    let capture = Capture::new();
    let operation = db(&capture.telemetry()).start(select);
    let counted = allocation_counter::measure(|| drop(operation.commented("SELECT 1", false)));
    assert_eq!(counted.count_total, 0);
    operation.finish();
}
