//! The example shows its trace, and without a server how to start one.

use otel_testing::live;

const EXAMPLE: &str = "hello_rabbitmq";

#[test]
fn the_trace_is_on_the_terminal() {
    let Some(shown) = live::shown(EXAMPLE, "RABBITMQ", "publish hello") else { return };
    let expected = [
        "publish hello",
        "├ consume hello",
        "│   → publish hello",
        "├ process hello",
        "│   → publish hello",
        "└ ack hello",
        "    → publish hello",
    ];
    shown.check(&expected, "messaging.client.operation.duration · histogram · s");
}

#[test]
fn without_a_server_it_says_how_to_start_one() {
    live::assert_needs_server(EXAMPLE, "RABBITMQ");
}
