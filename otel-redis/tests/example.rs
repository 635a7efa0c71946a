//! The example shows its trace, and without a server how to start one.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::Write as _;
use std::process::Stdio;

use otel_testing::live;

/// What the example shows: the names of the trace that begins with `root`, and the other lines.
fn shown(example: &str, root: &str) -> Option<(Vec<String>, String)> {
    live::address("REDIS")?;
    let output = live::example(example).output().unwrap();
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{text}{errors:?}");
    let tree = text.lines().skip_while(|line| !line.starts_with(&format!("{root} ")));
    let names = tree.take_while(|line| !line.is_empty()).map(|line| {
        let ends = [
            " client ",
            " internal ",
            " consumer ",
            " producer ",
            " (from trace ",
            " (in this trace)",
        ];
        let end = ends.iter().filter_map(|end| line.find(end)).min().unwrap_or(line.len());
        line[..end].trim_end().to_owned()
    });
    Some((names.collect(), text.to_string()))
}

#[test]
fn the_trace_is_on_the_terminal() {
    let Some((names, text)) = shown("hello_redis", "greet") else { return };
    let expected = ["greet", "├ SET", "├ GET", "├ MULTI", "└ DEL"];
    assert_eq!(names, expected, "{text}");
    assert!(text.lines().any(|line| line == "db.client.operation.duration · histogram · s"));
}

#[test]
fn the_trace_goes_through_a_stream() {
    let Some((names, text)) = shown("stream_redis", "order") else { return };
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
    assert_eq!(names, expected, "{text}");
    assert!(text.lines().any(|line| line == "packed: book"));
    assert!(text.lines().any(|line| line.starts_with("messaging.client.consumed.messages ")));
}

#[test]
fn without_a_server_it_says_how_to_start_one() {
    for example in ["hello_redis", "stream_redis"] {
        let mut example = live::example(example);
        example.env_remove("OTEL_TEST_REDIS").env_remove("OTEL_TEST_REQUIRE");
        let output = example.env("OTEL_SERVICES_HOME", "/nowhere").output().unwrap();
        assert!(!output.status.success());
        let expected = "no redis at /nowhere/addresses.json: start one with `cargo xtask services \
                        up redis`";
        assert_eq!(String::from_utf8_lossy(&output.stderr), format!("Error: {expected:?}\n"));
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
