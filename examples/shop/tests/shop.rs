//! The shop as a user runs it.

#![allow(clippy::expect_used, clippy::panic, reason = "the helpers of tests are tests too")]

mod support;

use std::io::Write as _;
use std::process::Output;

use support::{command, serving, status_of};

fn shop(arguments: &[&str]) -> Output {
    command(arguments).output().expect("the shop runs")
}

/// What is on standard output, block by block.
fn blocks(output: &Output) -> Vec<String> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {stderr}", output.status);
    assert_eq!(stderr, "");
    let stdout = String::from_utf8(output.stdout.clone()).expect("UTF-8");
    stdout.split("\n\n").map(|block| block.trim_matches('\n').to_owned()).collect()
}

/// A trace without what differs from run to run: ids, times and bars.
fn tree(block: &str) -> String {
    let mut lines = block.lines();
    let title = lines.next().expect("a title");
    let id = title.strip_prefix("trace ").and_then(|rest| rest.split(' ').next());
    assert_eq!(id.map(str::len), Some(32), "{title}");
    assert!(lines.next().is_some_and(|axis| axis.contains("critical path")), "{block}");
    lines.flat_map(|line| [without_times(line), "\n".to_owned()]).collect()
}

fn without_times(line: &str) -> String {
    if let Some((link, trace)) = line.split_once(" (from trace ") {
        assert_eq!(trace.trim_end_matches(')').len(), 32, "{line}");
        return format!("{link} (from a trace of its own)");
    }
    let kinds = [" client ", " server ", " internal ", " producer ", " consumer "];
    let Some((at, kind)) = kinds.iter().find_map(|kind| Some((line.find(kind)?, kind))) else {
        return line.trim_end().to_owned();
    };
    let (name, rest) = line.split_at(at);
    let duration = rest[kind.len()..].split_whitespace().next().expect("a duration");
    assert!(duration.parse::<f64>().expect("a number") < 10_000.0, "{line}");
    assert!(rest.contains(['━', '─']), "no bar: {line}");
    format!("{} -{}", name.trim_end(), kind.trim_end())
}

/// The whole way, from the customer to the warehouse.
fn sold(namespace: &str) -> String {
    format!(
        "POST /orders - client
└ POST /orders - server
  ├ transaction {namespace} - internal
  │ ├ BEGIN {namespace} - client
  │ ├ SELECT shop_stock - client
  │ ├ UPDATE shop_stock - client
  │ ├ INSERT shop_orders - client
  │ └ COMMIT {namespace} - client
  └ send shop-orders - producer
    ├ poll shop-orders - client
    │   → send shop-orders (from a trace of its own)
    ├ process shop-orders - consumer
    │ │ → send shop-orders (in this trace)
    │ └ transaction {namespace} - internal
    │   ├ BEGIN {namespace} - client
    │   ├ INSERT shop_shipments - client
    │   ├ UPDATE shop_shelves - client
    │   └ COMMIT {namespace} - client
    └ commit shop-orders - client
        → send shop-orders (in this trace)
"
    )
}

fn refused(code: &str, namespace: &str) -> String {
    format!(
        "✗ POST /orders - client
│ 409
└ POST /orders - server
  └ transaction {namespace} - internal
    ├ BEGIN {namespace} - client
    ├ SELECT shop_stock - client
    ├ ✗ UPDATE shop_stock - client
    │   {code}: check violation
    └ ROLLBACK {namespace} - client
"
    )
}

fn assert_three_orders(output: &Output, code: &str, namespace: &str) {
    let blocks = blocks(output);
    let [first, second, third, metrics, answers, ledger, next] = &blocks[..] else {
        panic!("{} blocks: {blocks:#?}", blocks.len());
    };
    assert_eq!(tree(first), sold(namespace));
    assert_eq!(tree(second), sold(namespace));
    assert_eq!(tree(third), refused(code, namespace));
    assert!(metrics.starts_with("metrics · shop\n"), "{metrics}");
    for metric in [
        "db.client.operation.duration",
        "http.server.request.duration",
        "messaging.process.duration",
    ] {
        assert!(metrics.contains(&format!("\n{metric} · histogram · s\n")), "{metrics}");
    }
    // The refused order was not sent.
    for counter in ["sent", "consumed"] {
        let title = format!("\nmessaging.client.{counter}.messages · counter · {{message}}\n");
        let (_, points) = metrics.split_once(&title).expect("a counter");
        assert!(points.trim_start().starts_with("2 messaging."), "{metrics}");
    }
    assert_eq!(
        answers,
        "2 x lamp: 201 Created, sold for 84\n1 x chair: 201 Created, sold for 99\n\
         50 x lamp: 409 Conflict, not enough in stock"
    );
    // Five of each order, but of the last one, which its second refused.
    assert_eq!(ledger, "12 of 12 statements traced");
    assert_eq!(next.lines().count(), 4, "{next}");
    for hint in ["--serve", "--html", "OTEL_TRACES_EXPORTER=otlp", "--database", "--kafka"] {
        assert!(next.contains(hint), "{next}");
    }
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

#[test]
fn a_page_is_written_as_well() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("trace.html");
    let output = shop(&["--html", &page.display().to_string()]);
    assert_three_orders(&output, "275", ":memory:");
    let page = std::fs::read_to_string(page).expect("a page");
    assert!(page.contains("UPDATE shop_stock") && page.contains("check violation"));
}

#[test]
fn it_serves_until_the_signal() {
    let (shop, address) = serving(&[]);
    let order = r#"{ "item": "lamp", "quantity": 2 }"#;
    assert_eq!(status_of(address, order, "").expect("an answer"), 201);
    let answered = status_of(address, r#"{ "item": "sofa", "quantity": 1 }"#, "");
    assert_eq!(answered.expect("an answer"), 404);
    shop.terminate();
    let output = shop.end();
    let blocks = blocks(&output);
    // Without a customer of its own, the traces begin at the service.
    let traces: Vec<String> =
        blocks.iter().filter(|it| it.starts_with("trace ")).map(|it| tree(it)).collect();
    assert_eq!(traces.len(), 2, "{blocks:#?}");
    assert!(
        traces[0].starts_with("POST /orders - server\n├ transaction :memory:"),
        "{}",
        traces[0]
    );
    // The signal came while the message was under way, or before it was.
    assert!(traces[0].contains("\n  └ commit shop-orders - client\n"), "{}", traces[0]);
    assert!(traces[1].contains("ROLLBACK"), "{}", traces[1]);
    assert!(blocks.iter().any(|block| block.starts_with("metrics · shop\n")), "{blocks:#?}");
}

#[test]
fn a_refused_order_sends_nothing() {
    let (shop, address) = serving(&[]);
    for (order, status) in [
        (r#"{ "item": "lamp", "quantity": 50 }"#, 409),
        (r#"{ "item": "sofa", "quantity": 1 }"#, 404),
        (r#"{ "item": "lamp", "quantity": 0 }"#, 422),
    ] {
        assert_eq!(status_of(address, order, "").expect("an answer"), status);
    }
    shop.terminate();
    let output = shop.end();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("UPDATE shop_stock") && !stdout.contains("messag"), "{stdout}");
    assert!(!stdout.contains("shop-orders"), "{stdout}");
}

#[test]
fn a_part_needs_a_broker() {
    for part in ["orders", "warehouse"] {
        let output = shop(&[part]);
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains("--kafka <HOST:PORT>"));
    }
}

#[test]
fn a_broker_that_does_not_answer_is_named() {
    let output = shop(&["--kafka", "127.0.0.1:1"]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.starts_with("error: no broker answers at --kafka: start it, "), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[test]
fn an_address_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let output = shop(&["--serve", &address]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.starts_with(&format!("error: {address} is not to be had")), "{stderr}");
}

#[test]
fn a_request_that_never_ends_does_not_keep_it() {
    let (shop, address) = serving(&[]);
    let mut stuck = std::net::TcpStream::connect(address).expect("a connection");
    write!(stuck, "POST /orders HTTP/1.1\r\nhost: shop\r\ncontent-length: 9\r\n\r\n")
        .expect("half");
    // The shop has begun with it once a later one is answered.
    let answered = status_of(address, r#"{ "item": "lamp", "quantity": 1 }"#, "");
    assert_eq!(answered.expect("an answer"), 201);
    shop.terminate();
    let output = shop.end();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    drop(stuck);
}
