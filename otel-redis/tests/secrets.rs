//! A secret in each argument that is no key, and in what the server answers, is told nowhere.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use otel_testing::Capture;
use redis::{Cmd, Value};
use support::{answer, connection};

const SECRET: &str = "s3cr3t";

/// Of each command that is known, with none to six arguments.
fn commands() -> impl Iterator<Item = Cmd> {
    let rows = include_str!("../src/commands.txt").lines().filter(|row| !row.starts_with('#'));
    let names = rows.map(|row| row.trim_start_matches('!').split(' ').next().unwrap());
    // Of those the first one is the name of a script or a function.
    let names = names.filter(|name| !name.starts_with("EVALSHA") && !name.starts_with("FCALL"));
    let names = names.chain(["NOSUCH", "FT.NEW", "no name"]);
    names.flat_map(|name| {
        (0..7).map(move |count| {
            let mut cmd = Cmd::new();
            cmd.arg(name.split('|').collect::<Vec<_>>());
            cmd.arg(vec![SECRET; count]).take()
        })
    })
}

#[tokio::test]
async fn by_no_form_of_a_call() {
    let capture = Capture::new();
    let refused = || answer(&format!("-ERR unknown '{SECRET}'\r\n"));
    let telemetry = capture.telemetry_builder().keys(false).build();
    let mut calls = 0;
    for cmd in commands() {
        let stub = support::stub([refused(), refused(), refused(), refused(), refused()]);
        let mut connection = otel_redis::Connection::with(stub, &telemetry);
        cmd.query::<Value>(&mut connection).unwrap_err();
        cmd.query_async::<Value>(&mut connection).await.unwrap_err();
        let packed = cmd.get_packed_command();
        let _ = redis::ConnectionLike::req_packed_command(&mut connection, &packed);
        let mut pipeline = redis::pipe();
        pipeline.add_command(cmd.clone()).cmd("SET").arg(SECRET).arg(SECRET);
        pipeline.query::<Value>(&mut connection).unwrap_err();
        pipeline.atomic().query_async::<Value>(&mut connection).await.unwrap_err();
        calls += 5;
    }
    let spans = capture.spans();
    assert_eq!(spans.len(), calls);
    let told = spans.iter().map(|span| format!("{span:?}"));
    let told = told.chain(capture.metrics().into_iter().map(|metric| format!("{metric:?}")));
    for text in told {
        assert!(!text.contains(SECRET), "{text}");
    }
}

/// By default keys are told, and nothing else is.
#[test]
fn by_default_no_value_is_told() {
    let capture = Capture::new();
    let mut connection = connection(&capture, []);
    let () = redis::Commands::hset(&mut connection, "key", "field", SECRET).unwrap();
    let () = redis::Commands::publish(&mut connection, "channel", SECRET).unwrap();
    let () = redis::Commands::set_ex(&mut connection, "key", SECRET, 5).unwrap();
    for span in capture.spans() {
        assert!(!format!("{span:?}").contains(SECRET), "{span:?}");
    }
    assert_eq!(capture.spans().len(), 3);
}
