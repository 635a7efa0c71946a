//! What the commands say to input they cannot use: one clear sentence, and a code that is not 0.
#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use support::{here, xtask};

#[test]
fn wrong_arguments_are_answered_with_the_right_ones() {
    for (arguments, expected) in [
        (&["tset"][..], "a similar subcommand exists: 'test'"),
        (&["services", "start"], "unrecognized subcommand 'start'"),
        (&["services", "kill"], "<NAME>"),
        (&["test", "--unit", "--live"], "'--unit' cannot be used with '--live'"),
        (&["analyze", "sql"], "--dialect <DIALECT>"),
        (&["analyze", "sql", "--dialect", "cql", "--max-length", "4k"], "'--max-length"),
        (
            &["analyze", "sql", "--dialect", "postgresql", "--standard-conforming-strings=maybe"],
            "[possible values: on, off]",
        ),
        (&["bench", "slq"], "[possible values: stub, sql, sqlite]"),
        (
            &["analyze", "sql", "--dialect", "oracle"],
            "unknown SQL dialect; known are generic, postgresql, mysql, mariadb, sqlite, cql",
        ),
    ] {
        let (code, _, said) = xtask(here(), arguments, "");
        assert_eq!(code, 2, "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}

#[test]
fn unknown_names_are_answered_with_the_known_ones() {
    let server = "error: there is no server named `oracle`; use one of: postgres, mariadb\n";
    for task in ["up", "down", "kill", "restart"] {
        let (code, out, said) = xtask(here(), &["services", task, "oracle"], "");
        assert_eq!((code, out.as_str(), said.as_str()), (1, "", server), "{task}");
    }
    let (code, _, said) = xtask(here(), &["test", "otel-sqlxx"], "");
    assert_eq!(code, 1);
    assert!(
        said.starts_with("error: there is no crate named `otel-sqlxx`; use one of: "),
        "{said}"
    );
    assert!(said.contains("otel-core, "), "{said}");
}

#[test]
fn a_server_that_is_not_up_cannot_be_killed() {
    let (code, _, said) = xtask(here(), &["services", "kill", "postgres"], "");
    let expected = "error: postgres does not run; start it with \
                    `cargo xtask services up postgres`\n";
    assert_eq!((code, said.as_str()), (1, expected));
}

#[test]
fn a_crate_without_tests_of_the_kind_is_said() {
    let (code, _, said) = xtask(here(), &["test", "--live", "xtask"], "");
    assert_eq!(
        (code, said.as_str()),
        (1, "error: there are no live tests in xtask; leave out --live\n")
    );
}

#[test]
fn outside_of_the_workspace_there_is_nothing_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let (code, _, said) = xtask(folder.path(), &["tidy"], "");
    assert_eq!(code, 1);
    assert!(said.contains("is not in the workspace; change to its folder"), "{said}");
}

#[test]
fn lines_before_a_wrong_one_are_answered() {
    for task in [&["analyze", "sql", "--dialect", "generic"][..], &["analyze", "url"]] {
        for wrong in ["SELECT 1", "7", "[\"a\"]", "\"a", "\"a\" \"b\""] {
            let input = format!("\"a\"\n\n  \n\"b\"\n{wrong}\n\"c\"\n");
            let (code, out, said) = xtask(here(), task, &input);
            let sentence =
                "error: line 5 is no JSON string; write one per line, in double quotes\n";
            assert_eq!((code, said.as_str()), (2, sentence), "{task:?} {wrong}");
            assert_eq!(out.lines().count(), 2, "{task:?} {wrong}: {out}");
        }
    }
}

#[test]
fn no_input_is_no_output() {
    let result = xtask(here(), &["analyze", "url"], "");
    assert_eq!(result, (0, String::new(), String::new()));
}
