//! The example shows its trace, and without a server how to start one.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::Write as _;
use std::process::Stdio;

use otel_testing::live;

#[test]
fn the_trace_is_on_the_terminal() {
    let Some(shown) = live::shown("hello_redis", "REDIS", "greet") else { return };
    let expected = ["greet", "├ SET", "├ GET", "├ MULTI", "└ DEL"];
    shown.check(&expected, "db.client.operation.duration · histogram · s");
}

#[test]
fn the_trace_goes_through_a_stream() {
    let Some(shown) = live::shown("stream_redis", "REDIS", "order") else { return };
    let expected = [
        "order",
        "└ XADD hello:orders",
        "  ├ XREADGROUP hello:orders",
        "  │   → XADD hello:orders",
        "  ├ process hello:orders",
        "  │   → XADD hello:orders",
        "  └ XACK hello:orders",
        "      → XADD hello:orders",
    ];
    shown.check(&expected, "packed: book");
    let mut lines = shown.text.lines();
    assert!(lines.any(|line| line.starts_with("messaging.client.consumed.messages ")));
}

#[test]
fn without_a_server_it_says_how_to_start_one() {
    for example in ["hello_redis", "stream_redis"] {
        live::assert_needs_server(example, "REDIS");
    }
}

/// What `cargo xtask analyze redis` runs.
#[test]
fn what_is_told_of_a_command_can_be_asked_for() {
    let input = "[\"SET\",\"key\",\"s3cr3t\"]\n\n[\"fcall\",\"check\",\"0\"]\n[]\n\"GET key\"\n";
    let mut tool = live::example("analyze_redis");
    let tool = tool.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut tool = tool.spawn().unwrap();
    tool.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = tool.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let expected = "{\"name\":\"SET\",\"text\":\"SET key ?\"}\n\
                    {\"name\":\"fcall check\",\"text\":\"fcall check 0\"}\n\
                    {\"name\":\"_OTHER\",\"text\":\"_OTHER\"}\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    let said = "error: line 5 is no JSON array of strings; write one per line\n";
    assert_eq!(String::from_utf8_lossy(&output.stderr), said);
}
