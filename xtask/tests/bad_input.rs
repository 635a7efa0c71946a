//! What the commands say to input they cannot use: one clear sentence, and a code that is not 0.
#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use support::{answer, answer_in, command, here, xtask};

#[test]
fn wrong_arguments_are_answered_with_the_right_ones() {
    for (arguments, expected) in [
        (&["tset"][..], "a similar subcommand exists: 'test'"),
        (&["services", "start"], "unrecognized subcommand 'start'"),
        (&["services", "kill"], "<NAME>"),
        (&["services", "up", "--port", "redis"], "write it as NAME=PORT, such as postgres=5432"),
        (&["services", "up", "--port", "redis=70000"], "write it as NAME=PORT"),
        (&["services", "up", "--port", "redis=0"], "write it as NAME=PORT"),
        (&["services", "up", "--docker", "--port", "redis=7000"], "cannot be used with"),
        (&["test", "--unit", "--live"], "'--unit' cannot be used with '--live'"),
        (&["analyze", "sql"], "--dialect <DIALECT>"),
        (&["analyze", "sql", "--dialect", "cql", "--max-length", "4k"], "'--max-length"),
        (
            &["analyze", "sql", "--dialect", "postgresql", "--standard-conforming-strings=maybe"],
            "[possible values: on, off]",
        ),
        (&["docs", "--check", "--registry", "checkout"], "cannot be used with"),
        (
            &["bench", "slq"],
            "[possible values: stub, sql, kafka, mongodb, nats, rabbitmq, redis, setup, sqlite]",
        ),
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
    let server =
        "error: there is no server named `oracle`; use one of: postgres, postgres18, mariadb, ";
    for task in ["up", "down", "kill", "restart", "logs", "fetch"] {
        let (code, out, said) = xtask(here(), &["services", task, "oracle"], "");
        assert_eq!((code, out.as_str()), (1, ""), "{task}");
        assert!(said.starts_with(server) && said.lines().count() == 1, "{task}: {said}");
    }
    let (code, _, said) = xtask(here(), &["test", "otel-sqlxx"], "");
    assert_eq!(code, 1);
    assert!(
        said.starts_with("error: there is no crate or driver named `otel-sqlxx`; use one of: "),
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
fn a_server_whose_tool_is_missing_or_too_old_is_explained() {
    let (cache, tools) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let up = || {
        let mut command = command(here(), &["services", "up", "collector"]);
        command.env("OTEL_SERVICES_CACHE", cache.path()).env("PATH", tools.path());
        answer(&mut command, "")
    };
    // What a package of the system brought is found also without a PATH.
    if !Path::new("/usr/bin/go").exists() {
        let (code, out, said) = up();
        let expected = "error: collector: `go` is not installed; get Go 1.26 or newer from \
                        https://go.dev/dl\n";
        assert_eq!((code, said.as_str()), (1, expected));
        // The list is shown all the same.
        assert!(out.contains("postgres "), "{out}");
    }

    let old = tools.path().join("go");
    let complaint = "go: go.mod requires go >= 1.26.0 (running go 1.19.8)";
    fs::write(&old, format!("#!/bin/sh\necho '{complaint}' >&2\nexit 1\n")).unwrap();
    fs::set_permissions(&old, fs::Permissions::from_mode(0o755)).unwrap();
    let (code, _, said) = up();
    assert_eq!(code, 1);
    let expected = "cannot be built (it needs Go 1.26 or newer from https://go.dev/dl): ";
    assert!(said.contains(expected) && said.contains(complaint), "{said}");
}

#[test]
fn the_cache_is_where_it_is_said_to_be() {
    // A build that fails leaves its lock there.
    let (cache, tools) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let go = tools.path().join("go");
    fs::write(&go, "#!/bin/sh\nexit 1\n").unwrap();
    fs::set_permissions(&go, fs::Permissions::from_mode(0o755)).unwrap();
    let up = |variables: [(&str, &Path); 3]| {
        let mut command = command(here(), &["services", "up", "collector"]);
        command.env_remove("XDG_CACHE_HOME").env_remove("OTEL_SERVICES_CACHE");
        answer(command.env("PATH", tools.path()).envs(variables), "").2
    };
    let [own, xdg, home] = ["own", "xdg", "home"].map(|name| cache.path().join(name));
    let (none, relative) = (Path::new(""), Path::new("relative"));
    for (variables, expected) in [
        ([&own, &xdg, &home].map(PathBuf::as_path), own.clone()),
        ([none, &xdg, &home], xdg.join("otel-clients/servers")),
        ([none, relative, &home], home.join(".cache/otel-clients/servers")),
    ] {
        let [first, second, third] = variables;
        let names = ["OTEL_SERVICES_CACHE", "XDG_CACHE_HOME", "HOME"];
        let said = up([(names[0], first), (names[1], second), (names[2], third)]);
        let mut files = fs::read_dir(&expected).unwrap_or_else(|_| panic!("{expected:?}: {said}"));
        let is_lock = |name: &str| name.starts_with("collector-");
        assert!(
            files.any(|it| is_lock(&it.unwrap().file_name().to_string_lossy())),
            "{expected:?}"
        );
    }
    let said = up([("OTEL_SERVICES_CACHE", relative), ("HOME", &home), ("XDG_CACHE_HOME", &xdg)]);
    assert!(
        said.contains("OTEL_SERVICES_CACHE=relative is no whole path; begin it with /"),
        "{said}"
    );
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

#[test]
fn a_log_is_shown_with_its_place_or_said_to_be_missing() {
    let home = tempfile::tempdir().unwrap();
    let logs = || answer_in(home.path(), &mut command(here(), &["services", "logs", "kafka"]), "");
    let (code, out, said) = logs();
    let path = home.path().join("kafka/log").display().to_string();
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(said.starts_with(&format!("error: kafka has no log {path}; it was not")), "{said}");
    fs::create_dir(home.path().join("kafka")).unwrap();
    fs::write(&path, "one\ntwo\n").unwrap();
    assert_eq!(logs(), (0, "one\ntwo\n".into(), format!("{path}:\n")));
}

#[test]
fn what_is_fetched_is_kept_and_not_started() {
    let (cache, tools) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let go = tools.path().join("go");
    // Its last but one argument is the program that it makes.
    let script = "#!/bin/sh\nwhile [ $# -gt 2 ]; do shift; done\necho built > $1\n";
    fs::write(&go, script).unwrap();
    fs::set_permissions(&go, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = command(here(), &["services", "fetch", "collector"]);
    command.env("OTEL_SERVICES_CACHE", cache.path()).env("PATH", tools.path());
    let (code, _, said) = answer(&mut command, "");
    assert_eq!(code, 0, "{said}");
    assert!(said.contains(" s  collector: building it"), "{said}");
    assert!(!said.contains("starting"), "{said}");
    let mut built = fs::read_dir(cache.path()).unwrap().map(|entry| entry.unwrap().path());
    assert!(built.any(|folder| folder.join("otelcol").exists()));
}
