//! The example shows its trace, and without a server how to start one.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::Write as _;
use std::process::Stdio;

use otel_testing::live;

const EXAMPLE: &str = "hello_mongodb";

#[test]
fn the_trace_is_on_the_terminal() {
    let Some(shown) = live::shown(EXAMPLE, "MONGODB", "read_and_write") else { return };
    assert!(shown.text.starts_with("1984\nAnimal Farm\n"), "{}", shown.text);
    let expected = ["read_and_write", "├ insert books", "├ insert books", "└ find books"];
    shown.check(&expected, "db.client.operation.duration · histogram · s");
}

#[test]
fn without_a_server_it_says_how_to_start_one() {
    live::assert_needs_server(EXAMPLE, "MONGODB");
}

/// What `cargo xtask analyze mongodb` runs.
#[test]
fn what_is_told_of_a_command_can_be_asked_for() {
    let analyze = |lines: &str| {
        let mut tool = live::example("analyze_mongodb");
        let tool = tool.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut tool = tool.spawn().unwrap();
        tool.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        let output = tool.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let find = r#"{"find": "users", "filter": {"_id": {"$oid": "65a000000000000000000000"}}, "lsid": {"id": 1}, "$db": "shop"}"#;
    let ping = r#"{"ping": {"$numberLong": "1"}, "$db": "admin"}"#;
    let expected = [
        r#"{"name":"find users","text":"{\"find\": \"users\", \"filter\": {\"_id\": \"?\"}}"}"#,
        r#"{"name":"ping admin","text":"{\"ping\": \"?\"}"}"#,
    ];
    let (code, told) = analyze(&format!("{find}\n\n{ping}\n"));
    assert_eq!((code, told.lines().collect::<Vec<_>>()), (Some(0), expected.to_vec()));
    assert_eq!(analyze("{}"), (Some(0), "{\"name\":\"_OTHER\",\"text\":null}\n".to_owned()));
    for wrong in ["7", "{", "[]"] {
        assert_eq!(analyze(wrong), (Some(2), String::new()), "{wrong}");
    }
}
