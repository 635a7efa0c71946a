//! The example shows its trace, and without a server how to start one.

use otel_testing::live;

const EXAMPLE: &str = "hello_sqlx";

#[test]
fn the_trace_is_on_the_terminal() {
    let Some(shown) = live::shown(EXAMPLE, "POSTGRES", "greet") else { return };
    let expected = [
        "greet",
        "├ SELECT",
        "├ BEGIN otel",
        "├ CREATE TABLE greetings",
        "├ INSERT greetings",
        "├ SELECT greetings",
        "└ COMMIT otel",
    ];
    shown.check(&expected, "db.client.operation.duration · histogram · s");
}

#[test]
fn without_a_server_it_says_how_to_start_one() {
    live::assert_needs_server(EXAMPLE, "POSTGRES");
}
