//! Options by environment variable. Each test runs this binary again with the variables set, because
//! they are read once per process.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as such")]

mod support;

use std::process::Command;

use otel_core::Telemetry;
use otel_testing::Capture;
use support::{db, select};

/// What the child of a test does, by the name that its parent gives.
const ROLE: &str = "OTEL_CORE_TEST_ROLE";

fn child(role: &str, variables: &[(&str, &str)]) -> (bool, String) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", role, "--nocapture"])
        .env(ROLE, role)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    (output.status.success() && text.contains("1 passed"), text)
}

fn is_child() -> bool {
    std::env::var_os(ROLE).is_some()
}

#[test]
fn the_clients_own_switch() {
    if is_child() {
        let capture = Capture::new();
        let by_environment = db(&capture.telemetry());
        by_environment.start(select).finish();
        capture.assert_silent();
        // The word in code wins.
        let by_code = db(&capture.telemetry_builder().enabled(true).build());
        by_code.start(select).finish();
        assert_eq!(capture.spans().len(), 1);
        return;
    }
    let (passed, text) =
        child("the_clients_own_switch", &[("OTEL_INSTRUMENTATION_STUB_ENABLED", "false")]);
    assert!(passed, "{text}");
}

#[test]
fn common_options() {
    if is_child() {
        let capture = Capture::new();
        let by_environment = db(&capture.telemetry());
        drop(by_environment.start(select));
        let span = &capture.spans()[0];
        assert_eq!(span.status, opentelemetry::trace::Status::Unset);
        assert!(!span.attributes.iter().any(|fact| fact.key.as_str() == "db.query.text"));
        let telemetry = capture.telemetry_builder().query_text(otel_core::QueryText::Auto).build();
        let operation = db(&telemetry).start(select);
        assert!(operation.commented("SELECT 1", false).is_some());
        assert_eq!(operation.commented("SELECT 1", true), None);
        operation.finish();
        let span = &capture.spans()[1];
        let text = span.attributes.iter().find(|fact| fact.key.as_str() == "db.query.text");
        assert_eq!(text.unwrap().value.as_str(), "SELECT name");
        return;
    }
    let variables = [
        ("OTEL_INSTRUMENTATION_COMMON_QUERY_TEXT", "off"),
        ("OTEL_INSTRUMENTATION_COMMON_CANCELLED_IS_ERROR", "false"),
        ("OTEL_INSTRUMENTATION_COMMON_QUERY_TEXT_MAX_LENGTH", "11"),
        ("OTEL_INSTRUMENTATION_COMMON_SQLCOMMENTER", "uncached"),
    ];
    let (passed, text) = child("common_options", &variables);
    assert!(passed, "{text}");
}

/// One clear sentence, and the default.
#[test]
fn unknown_values() {
    if is_child() {
        let collector = tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stderr);
        tracing::subscriber::with_default(collector.finish(), || {
            let capture = Capture::new();
            for _ in 0..3 {
                db(&capture.telemetry_builder().build()).start(select).finish();
                db(&Telemetry::global()).start(select).finish();
            }
            assert_eq!(capture.spans().len(), 3);
        });
        return;
    }
    let variables = [
        ("OTEL_INSTRUMENTATION_COMMON_QUERY_TEXT", "everything"),
        ("OTEL_INSTRUMENTATION_COMMON_REQUIRE_PARENT", "perhaps"),
        ("OTEL_INSTRUMENTATION_COMMON_QUERY_TEXT_MAX_LENGTH", "4 KiB"),
        ("OTEL_INSTRUMENTATION_COMMON_SQLCOMMENTER", "true"),
        ("OTEL_INSTRUMENTATION_STUB_ENABLED", "ja"),
    ];
    let (passed, text) = child("unknown_values", &variables);
    assert!(passed, "{text}");
    let sentences = [
        "OTEL_INSTRUMENTATION_COMMON_QUERY_TEXT=\"everything\" is not known; set it to auto, \
         sanitized, verbatim or off. It counts as auto.",
        "OTEL_INSTRUMENTATION_COMMON_REQUIRE_PARENT=\"perhaps\" is not known; set it to true or \
         false. It counts as false.",
        "OTEL_INSTRUMENTATION_COMMON_QUERY_TEXT_MAX_LENGTH=\"4 KiB\" is not known; set it to a \
         number of bytes. It counts as 4096.",
        "OTEL_INSTRUMENTATION_COMMON_SQLCOMMENTER=\"true\" is not known; set it to off, uncached or \
         all. It counts as off.",
    ];
    for sentence in sentences {
        assert_eq!(text.matches(sentence).count(), 1, "{sentence}\nis not once in:\n{text}");
    }
    assert!(text.contains("OTEL_INSTRUMENTATION_STUB_ENABLED=\"ja\" is not known; set it to true or false. It counts as true."), "{text}");
}
