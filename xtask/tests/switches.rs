//! A switch of `analyze sql` that does nothing, or something else than the library's setting.
#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use otel_core::sql::{DEFAULT_MAX_LENGTH, Dialect};
use support::{here, xtask};

/// What is shown of a text; None if it is left out.
fn shown(dialect: &str, switches: &[&str], text: &str) -> Option<String> {
    let arguments = [&["analyze", "sql", "--dialect", dialect], switches].concat();
    let input = serde_json::to_string(text).unwrap();
    let (code, out, said) = xtask(here(), &arguments, &input);
    assert_eq!((code, said.as_str()), (0, ""), "{arguments:?}");
    let answer: serde_json::Value = serde_json::from_str(&out).unwrap();
    answer["text"].as_str().map(str::to_owned)
}

#[test]
fn every_dialect_is_known_and_reads_as_the_library_does() {
    let said = "?".parse::<Dialect>().unwrap_err().to_string();
    let (_, names) = said.split_once("known are ").unwrap();
    assert_eq!(names.split(", ").count(), 6, "{names}");
    for name in names.split(", ") {
        let text = "SELECT a FROM t WHERE b = 7";
        let expected = Some("SELECT a FROM t WHERE b = ?");
        assert_eq!(shown(name, &[], text).as_deref(), expected, "{name}");
    }
    // `--` begins a comment in CQL, a sum in MySQL.
    let text = "SELECT 1--2";
    assert_eq!(shown("cql", &[], text).as_deref(), Some("SELECT ?"));
    assert_eq!(shown("mysql", &[], text).as_deref(), Some("SELECT ?-?"));
}

#[test]
fn long_texts_are_cut_where_it_was_said() {
    let text = "SELECT a FROM t WHERE b = 7";
    for (length, expected) in
        [("0", ""), ("8", "SELECT a"), ("9", "SELECT a"), ("27", "SELECT a FROM t WHERE b = ?")]
    {
        let shown = shown("cql", &["--max-length", length], text);
        assert_eq!(shown.as_deref(), Some(expected), "{length}");
    }
    let text = format!("SELECT {}b", "a, ".repeat(DEFAULT_MAX_LENGTH));
    let length = shown("generic", &[], &text).unwrap().len();
    assert!((DEFAULT_MAX_LENGTH - 3..=DEFAULT_MAX_LENGTH).contains(&length), "{length}");
    let everything = text.len().to_string();
    assert_eq!(shown("generic", &["--max-length", &everything], &text), Some(text));
}

#[test]
fn settings_change_what_is_quoted() {
    let name = r#"SELECT a FROM t WHERE b = "c""#;
    let string = "SELECT a FROM t WHERE b = ?";
    let backslash = r"SELECT '\', 'b' FROM t";
    for (dialect, switches, text, expected) in [
        ("mysql", &[][..], name, Some(string)),
        ("mysql", &["--ansi-quotes"], name, Some(name)),
        ("mariadb", &["--ansi-quotes"], name, Some(name)),
        // Behind the escaped quote the text ends inside of another.
        ("mysql", &[], backslash, None),
        ("mysql", &["--no-backslash-escapes"], backslash, Some("SELECT ?, ? FROM t")),
        ("postgresql", &[], backslash, Some("SELECT ?, ? FROM t")),
        (
            "postgresql",
            &["--standard-conforming-strings", "on"],
            backslash,
            Some("SELECT ?, ? FROM t"),
        ),
        ("postgresql", &["--standard-conforming-strings", "off"], backslash, None),
        ("sqlite", &["--parameterized"], "SELECT 'a' -- why", Some("SELECT 'a' ")),
    ] {
        let shown = shown(dialect, switches, text);
        assert_eq!(shown.as_deref(), expected, "{dialect} {switches:?} {text}");
    }
}

#[test]
fn the_help_tells_what_is_read_and_what_the_code_means() {
    for task in ["sql", "url"] {
        let (code, help, _) = xtask(here(), &["analyze", task, "--help"], "");
        assert_eq!(code, 0, "{task}");
        assert!(help.contains("one JSON string a line"), "{help}");
        assert!(help.contains("exit code is 2"), "{help}");
    }
}
