//! What is told of one command, and what several share.

use otel_core::{Db, DbServer};
use otel_testing::{Capture, span};
use redis::{Cmd, Pipeline};

use super::*;
use crate::driver::Redis;
use crate::request::{Packed, PackedBatch};

/// The one span of a request: its name, and the attributes that are not the same for all.
fn told(request: &impl Request) -> (String, Vec<(String, String)>) {
    let capture = Capture::new();
    let db = Db::<Redis>::new(&capture.telemetry(), DbServer::new("redis"));
    assert!(!db.is_off());
    db.start(|| describe(request, Some(3), db.text_wanted())).finish();
    let span = &capture.spans()[0];
    let mut told: Vec<_> = span
        .attributes
        .iter()
        .map(|it| (it.key.as_str().trim_start_matches("db.").to_owned(), it.value.to_string()))
        .filter(|(name, _)| !["system.name", "namespace"].contains(&&**name))
        .collect();
    told.sort();
    (span.name.to_string(), told)
}

fn command(words: &[&str]) -> Cmd {
    redis::cmd(words[0]).arg(&words[1..]).take()
}

fn pipeline(commands: &[&[&str]]) -> Pipeline {
    let mut pipeline = Pipeline::new();
    for words in commands {
        pipeline.add_command(command(words));
    }
    pipeline
}

#[track_caller]
fn assert_told(request: &impl Request, name: &str, attributes: &[(&str, &str)]) {
    let attributes = attributes.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    assert_eq!(told(request), (name.to_owned(), attributes.collect()));
}

#[test]
fn one_command() {
    let get = command(&["GET", "key"]);
    let expected = [("operation.name", "GET"), ("query.text", "GET key")];
    assert_told(&get, "GET", &expected);
    assert_told(&Packed(&get.get_packed_command()), "GET", &expected);
    let odd = command(&["drop table\n", "key"]);
    assert_told(&odd, "_OTHER", &[("operation.name", "_OTHER"), ("query.text", "_OTHER ?")]);
    assert_told(&Cmd::new(), "_OTHER", &[("operation.name", "_OTHER"), ("query.text", "_OTHER")]);
    let packed = Packed(b"PING\r\n");
    assert_told(&packed, "_OTHER", &[("operation.name", "_OTHER"), ("query.text", "_OTHER")]);
}

#[test]
fn scripts_and_functions_are_procedures() {
    let sha = "a".repeat(40);
    assert_told(
        &command(&["EVALSHA", &sha, "1", "key", "secret"]),
        &format!("EVALSHA {sha}"),
        &[
            ("operation.name", "EVALSHA"),
            ("query.text", &format!("EVALSHA {sha} 1 key ?")),
            ("stored_procedure.name", &sha),
        ],
    );
    assert_told(
        &command(&["fcall_ro", "check", "0"]),
        "fcall_ro check",
        &[
            ("operation.name", "fcall_ro"),
            ("query.text", "fcall_ro check 0"),
            ("stored_procedure.name", "check"),
        ],
    );
    assert_told(
        &command(&["FCALL", "no name", "0"]),
        "FCALL",
        &[("operation.name", "FCALL"), ("query.text", "FCALL ? 0")],
    );
}

#[test]
fn several_commands_tell_what_they_share() {
    let same = pipeline(&[&["GET", "a"], &["GET", "b"]]);
    let expected = [
        ("operation.batch.size", "2"),
        ("operation.name", "PIPELINE GET"),
        ("query.text", "GET a; GET b"),
    ];
    assert_told(&same, "PIPELINE GET", &expected);
    let bytes = same.get_packed_pipeline();
    assert_told(&PackedBatch { bytes: &bytes, offset: 0 }, "PIPELINE GET", &expected);

    let mut mixed = pipeline(&[&["SET", "a", "1"], &["GET", "a"], &["SET", "a", "2"]]);
    let expected = [
        ("operation.batch.size", "3"),
        ("operation.name", "MULTI"),
        ("query.text", "SET a ?; GET a; SET a ?"),
    ];
    mixed.atomic();
    assert_told(&mixed, "MULTI", &expected);
    let bytes = mixed.get_packed_pipeline();
    assert_told(&PackedBatch { bytes: &bytes, offset: 4 }, "MULTI", &expected);

    let equal = pipeline(&[&["INCR", "n"][..]; 3]);
    assert_told(
        &equal,
        "PIPELINE INCR",
        &[
            ("operation.batch.size", "3"),
            ("operation.name", "PIPELINE INCR"),
            ("query.text", "INCR n"),
        ],
    );
    let almost = pipeline(&[&["INCR", "n"], &["INCR", "n"], &["INCR", "m"]]);
    assert_eq!(told(&almost).1[2].1, "INCR n; INCR n; INCR m");
    let scripts = pipeline(&[&["FCALL", "f", "0"], &["FCALL", "g", "0"]]);
    assert_eq!(told(&scripts).0, "PIPELINE FCALL");
    let scripts = pipeline(&[&["FCALL", "f", "0", "1"], &["FCALL", "f", "0"]]);
    assert_eq!(told(&scripts).0, "PIPELINE FCALL f");
}

#[test]
fn one_of_several_is_no_batch() {
    let mut one = pipeline(&[&["GET", "a"]]);
    let expected = [("operation.name", "GET"), ("query.text", "GET a")];
    assert_told(&one, "GET", &expected);
    one.atomic();
    assert_told(&one, "GET", &expected);
    let mut none = Pipeline::new();
    none.atomic();
    assert_told(&none, "MULTI", &[("operation.batch.size", "0"), ("operation.name", "MULTI")]);
}

#[test]
fn a_long_pipeline_is_counted_and_its_text_bounded() {
    let long = "k".repeat(1000);
    let mut commands = Pipeline::new();
    for _ in 0..1000 {
        commands.get(&long).cmd("GET").arg("k");
    }
    let (name, told) = told(&commands);
    assert_eq!(name, "PIPELINE GET");
    assert_eq!(told[0], ("operation.batch.size".to_owned(), "2000".to_owned()));
    assert!(told[2].1.len() <= 4096, "{}", told[2].1.len());
}

#[test]
fn the_database_is_told_as_text() {
    for (number, text) in [(0, "0"), (15, "15"), (16, "16"), (i64::MAX, "9223372036854775807")] {
        assert_eq!(super::number(number), text);
    }
    let capture = Capture::new();
    let db = Db::<Redis>::new(&capture.telemetry(), DbServer::new("redis"));
    let ping = command(&["PING"]);
    db.start(|| describe(&ping, None, None)).finish();
    let facts = [("db.system.name", "redis"), ("db.operation.name", "PING")];
    capture.assert_spans([span("PING").client().attributes(facts)]);
}
