//! `docs`, as CI calls it: a page is written from what was emitted, and a change of it is seen.
#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::fs;
use std::path::Path;

use support::{here, xtask};

/// A workspace with an adapter, and what its tests emitted.
fn workspace(root: &Path, statement: &str) {
    let write = |path: &str, text: &str| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("Cargo.toml", "[workspace]\nmembers = [\"otel-some\"]\n");
    write("otel-some/Cargo.toml", "[package]\nname = \"otel-some\"\n");
    let conventions = fs::read_to_string(here().join("conventions.toml")).unwrap();
    write("xtask/conventions.toml", &conventions);
    let absent = [
        "db.client.connection.count",
        "db.client.connection.create_time",
        "db.client.connection.idle.max",
        "db.client.connection.idle.min",
        "db.client.connection.max",
        "db.client.connection.pending_requests",
        "db.client.connection.timeouts",
        "db.client.connection.use_time",
        "db.client.connection.wait_time",
        "db.client.operation.duration",
        "db.client.response.returned_rows",
        "db.collection.name",
        "db.namespace",
        "db.operation.batch.size",
        "db.operation.name",
        "db.query.text",
        "db.response.status_code",
        "db.stored_procedure.name",
        "error.type",
        "server.address",
        "server.port",
    ];
    let absent: Vec<_> = absent.iter().map(|name| format!("{name:?} = \"not here\"\n")).collect();
    let absent = absent.concat();
    write("otel-some/telemetry.toml", &format!("[absent]\n{absent}"));
    let pair = |name: &str, value: &str| {
        format!("{{\"key\":\"{name}\",\"value\":{{\"stringValue\":\"{value}\"}}}}")
    };
    let resource = [pair("test.suite.name", "live"), pair("test.case.name", "a_query")].join(",");
    let attributes = [pair("db.system.name", "sqlite"), pair("db.query.summary", statement)];
    let line = format!(
        "{{\"resourceSpans\":[{{\"resource\":{{\"attributes\":[{resource}]}},\"scopeSpans\":[{{\
         \"scope\":{{\"name\":\"otel-some\"}},\"spans\":[{{\"traceId\":\"0a\",\"spanId\":\"0b\",\
         \"name\":\"SELECT\",\"kind\":3,\"attributes\":[{}]}}]}}]}}]}}\n",
        attributes.join(",")
    );
    write("export/some.jsonl", &line);
}

#[test]
fn a_page_is_written_once_and_a_change_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    workspace(folder.path(), "SELECT");
    let docs =
        |more: &[&str]| xtask(folder.path(), &[&["docs", "--from", "export"], more].concat(), "");
    let page = folder.path().join("otel-some/TELEMETRY.md");

    let (code, out, _) = docs(&["--check"]);
    assert_eq!(code, 1);
    assert!(out.contains("TELEMETRY.md:1: is no longer what the tests emit"), "{out}");
    assert!(!page.exists());

    assert_eq!(docs(&[]), (0, String::new(), String::new()));
    let text = fs::read_to_string(&page).unwrap();
    assert!(text.contains("\n- `{db.query.summary}`, such as `SELECT`\n"), "{text}");
    assert_eq!(docs(&["--check"]), (0, String::new(), String::new()));

    fs::write(&page, text.replace("such as `SELECT`", "such as `DELETE`")).unwrap();
    let (code, out, _) = docs(&["--check"]);
    assert_eq!(code, 1);
    assert!(out.contains("  - - `{db.query.summary}`, such as `DELETE`\n"), "{out}");
    assert!(out.contains("  + - `{db.query.summary}`, such as `SELECT`\n"), "{out}");
}

#[test]
fn what_is_wrong_is_told_with_its_test() {
    let folder = tempfile::tempdir().unwrap();
    workspace(folder.path(), "SELECT users");
    let facts = folder.path().join("otel-some/telemetry.toml");
    let text =
        fs::read_to_string(&facts).unwrap().replace("\"db.namespace\"", "\"db.query.summary\"");
    fs::write(facts, text).unwrap();
    let (code, out, _) = xtask(folder.path(), &["docs", "--from", "export"], "");
    assert_eq!(code, 1);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(
        lines,
        [
            "otel-some: span `SELECT` (db.sql.client) is not named {db.query.summary} \
             (1 times, first in live, a_query)",
            "otel-some/telemetry.toml: the conventions want db.namespace, and nothing has it: say \
             why in [absent]",
            "otel-some/telemetry.toml: db.query.summary is no longer needed in [absent]",
        ]
    );
}

#[test]
fn what_is_not_there_is_told() {
    let folder = tempfile::tempdir().unwrap();
    workspace(folder.path(), "SELECT");
    let (code, _, said) = xtask(folder.path(), &["docs", "--from", "nowhere"], "");
    assert_eq!(code, 1);
    assert!(said.starts_with("error: no nowhere"), "{said}");
    fs::write(folder.path().join("export/some.jsonl"), "").unwrap();
    let (code, _, said) = xtask(folder.path(), &["docs", "--from", "export"], "");
    let expected = "error: export has nothing of otel-some: were its tests run?\n";
    assert_eq!((code, said.as_str()), (1, expected));
    let (code, _, said) = xtask(folder.path(), &["docs", "--registry", "export"], "");
    assert_eq!(code, 1);
    assert!(said.starts_with("error: no export/model"), "{said}");
}
