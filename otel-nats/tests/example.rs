//! The example shows its trace, and without a server how to start one.

use otel_testing::live;

const EXAMPLE: &str = "hello_nats";

#[test]
fn the_trace_is_on_the_terminal() {
    // Of a message that an earlier run left, there is another trace.
    let Some(shown) = live::shown(EXAMPLE, "NATS", "publish greetings.hello") else { return };
    let expected = [
        "publish greetings.hello",
        "├ receive greetings.*",
        "│   → publish greetings.hello",
        "├ process greetings.*",
        "│   → publish greetings.hello",
        "└ double_ack greetings.*",
        "    → publish greetings.hello",
    ];
    shown.check(&expected, "messaging.client.operation.duration · histogram · s");
}

#[test]
fn without_a_server_it_says_how_to_start_one() {
    live::assert_needs_server(EXAMPLE, "NATS");
}
