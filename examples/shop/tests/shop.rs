//! The shop as a user runs it.

#![allow(clippy::expect_used, reason = "the helpers of tests are tests too")]

use std::env;
use std::process::{Command, Output, Stdio};

/// Options of the environment are the user's, not the test's.
fn shop(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("OTEL_") {
            command.env_remove(name);
        }
    }
    command.args(arguments).stdin(Stdio::null()).output().expect("the shop runs")
}

/// The trees as they are printed, without what differs from run to run.
fn trees(output: &Output) -> Vec<String> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {stderr}", output.status);
    assert_eq!(stderr, "");
    let stdout = String::from_utf8(output.stdout.clone()).expect("UTF-8");
    stdout.split_terminator("\n\n").map(without_durations).collect()
}

fn without_durations(tree: &str) -> String {
    let line = |line: &str| match line.split_once(" ms") {
        Some((start, end)) => {
            let (name, duration) = start.rsplit_once(' ').expect("a duration");
            assert!(duration.parse::<f64>().expect("a number") < 10_000.0, "{line}");
            format!("{}{end}\n", name.trim_end())
        }
        None => format!("{line}\n"),
    };
    tree.lines().map(line).collect()
}

fn sold(order: &str, total: u32, namespace: &str) -> String {
    format!(
        "{order}: 201 Created, sold for {total}
  CLIENT POST /orders  status 201
    SERVER POST /orders  status 201
      INTERNAL transaction {namespace}
        CLIENT BEGIN {namespace}
        CLIENT SELECT shop_stock
        CLIENT UPDATE shop_stock
        CLIENT INSERT shop_orders
        CLIENT COMMIT {namespace}
"
    )
}

fn refused(order: &str, code: &str, namespace: &str) -> String {
    format!(
        "{order}: 409 Conflict, not enough in stock
  CLIENT POST /orders  status 409  error 409
    SERVER POST /orders  status 409
      INTERNAL transaction {namespace}
        CLIENT BEGIN {namespace}
        CLIENT SELECT shop_stock
        CLIENT UPDATE shop_stock  error {code} (check violation)
        CLIENT ROLLBACK {namespace}
"
    )
}

fn assert_three_orders(output: &Output, code: &str, namespace: &str) {
    let expected = [
        sold("2 x lamp", 84, namespace),
        sold("1 x chair", 99, namespace),
        refused("50 x lamp", code, namespace),
    ];
    assert_eq!(trees(output), expected);
}

#[test]
fn three_orders_are_three_trees() {
    assert_three_orders(&shop(&[]), "275", ":memory:");
}

#[test]
fn a_file_serves_again_and_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite:{}?mode=rwc", folder.path().join("shop.db").display());
    for _ in 0..2 {
        assert_three_orders(&shop(&["--database", &url]), "275", "shop.db");
    }
}

#[test]
fn live_postgres() {
    let Some(url) = otel_testing::live::address("POSTGRES") else { return };
    let namespace = url.rsplit('/').next().and_then(|end| end.split('?').next());
    // More runs than there are lamps: each finds its stock again.
    for _ in 0..6 {
        let output = shop(&["--database", &url]);
        assert_three_orders(&output, "23514", namespace.expect("the name of a database"));
    }
}

/// One sentence that says what to do, and no credentials.
fn assert_refused(url: &str, sentence: &str) {
    let output = shop(&["--database", url]);
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1), "{url:?}: {stderr}");
    assert_eq!(output.stdout, b"", "{url:?}");
    assert_eq!(stderr.matches('\n').count(), 1, "{url:?}: {stderr}");
    assert!(stderr.starts_with(&format!("error: {sentence}")), "{url:?}: {stderr}");
    assert!(!stderr.contains("geheim"), "{url:?}: {stderr}");
}

#[test]
fn an_url_that_is_none_is_refused() {
    for url in [
        "",
        "geheim",
        "geheim\u{1b}[2J",
        "mysql://user:geheim@localhost/shop",
        "http://user:geheim@localhost/shop",
        "postgres://user:geheim@[/shop",
        "postgres://user:geheim@localhost:99999/shop",
        "postgres://user:geheim@localhost/shop?sslmode=geheim",
        "postgres://%ff:geheim@localhost/shop",
        "sqlite:shop.db?mode=geheim",
    ] {
        assert_refused(url, "--database is not understood: give a URL like ");
    }
}

#[test]
fn a_server_that_does_not_answer_is_named() {
    let sentence = "no server answers at the address in --database: start it, ";
    assert_refused("postgres://user:geheim@127.0.0.1:1/shop", sentence);
    assert_refused("postgres://user:geheim@host.invalid/shop", sentence);
}

#[test]
fn a_file_that_cannot_be_opened_is_refused() {
    let sentence = "the database refuses us (error 14): correct the URL in --database, ";
    assert_refused("sqlite:geheim/missing.db", sentence);
}

#[test]
fn live_postgres_refuses() {
    let Some(url) = otel_testing::live::address("POSTGRES") else { return };
    let (_, server) = url.rsplit_once('@').expect("a user");
    let password = format!("postgres://geheim:geheim@{server}");
    assert_refused(&password, "the database refuses us (error 28");
    let missing = format!("{}/geheim", url.rsplit_once('/').expect("a database").0);
    assert_refused(&missing, "the database refuses us (error 3D000): correct the URL ");
    let encrypted = format!("{url}?sslmode=require");
    assert_refused(&encrypted, "what answers at --database is no PostgreSQL that does without TLS");
}

#[test]
fn help_names_the_option() {
    let output = shop(&["--help"]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("--database <URL>"));
}

#[test]
fn an_unknown_option_is_an_error() {
    assert_eq!(shop(&["--databse", "x"]).status.code(), Some(2));
}
