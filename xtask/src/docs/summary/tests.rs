//! What differs between runs is found.

use super::steady;

#[test]
fn what_differs_between_runs_is_named() {
    for (text, expected) in [
        ("SELECT users", "SELECT users"),
        ("live_0123456789abcdef", "live_{id}"),
        ("shop|live_0123456789abcdef.users", "shop|live_{id}.users"),
        ("127.0.0.1:34567", "127.0.0.1:{port}"),
        ("[::1]:5432/a", "[::1]:{port}/a"),
        ("localhost:9 and more", "localhost:{port} and more"),
        ("time: 12", "time: 12"),
        ("decade deadbeef", "decade deadbeef"),
        ("_INBOX.Zk3q9vXyT0aBcDeFgHiJkL.1", "_INBOX.{id}.1"),
        (
            "a.twenty.two.letters.lowercaseandtwentytwoo",
            "a.twenty.two.letters.lowercaseandtwentytwoo",
        ),
        ("amq.gen-_aX-0", "amq.gen-{id}"),
        ("amq.rabbitmq.reply-to.g1h2.key==", "amq.rabbitmq.reply-to.{id}"),
        ("amq.gen", "amq.gen"),
        ("", ""),
    ] {
        assert_eq!(steady(text), expected);
    }
}
