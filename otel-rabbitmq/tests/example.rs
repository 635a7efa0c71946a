//! The example shows its trace, and without a server how to start one.
#![allow(clippy::unwrap_used, reason = "a test")]

use otel_testing::live;

const EXAMPLE: &str = "hello_rabbitmq";

#[test]
fn the_trace_is_on_the_terminal() {
    if live::address("RABBITMQ").is_none() {
        return;
    }
    let output = live::example(EXAMPLE).output().unwrap();
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{text}{errors:?}");
    let mut tree = text.lines().skip_while(|line| !line.starts_with("publish hello "));
    let names = tree.by_ref().take_while(|line| !line.is_empty()).map(|line| {
        let ends = [" client ", " consumer ", " producer ", " (from trace ", " (in this trace)"];
        let end = ends.iter().filter_map(|end| line.find(end)).min().unwrap();
        line[..end].trim_end()
    });
    let expected = [
        "publish hello",
        "├ consume hello",
        "│   → publish hello",
        "├ process hello",
        "│   → publish hello",
        "└ ack hello",
        "    → publish hello",
    ];
    assert_eq!(names.collect::<Vec<_>>(), expected, "{text}");
    let metric = "messaging.client.operation.duration · histogram · s";
    assert!(tree.any(|line| line == metric), "{text}");
}

#[test]
fn without_a_server_it_says_how_to_start_one() {
    let mut example = live::example(EXAMPLE);
    example.env_remove("OTEL_TEST_RABBITMQ").env_remove("OTEL_TEST_REQUIRE");
    let output = example.env("OTEL_SERVICES_HOME", "/nowhere").output().unwrap();
    assert!(!output.status.success());
    let expected =
        "no rabbitmq at /nowhere/addresses.json: start one with `cargo xtask services up rabbitmq`";
    assert_eq!(String::from_utf8_lossy(&output.stderr), format!("Error: {expected:?}\n"));
}
