//! Each error of the driver and of the server, and what is told of it.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::io;

use otel_testing::{Capture, metric, point, span};
use redis::{ErrorKind, RedisError, RedisResult, Script, ServerErrorKind, Value, cmd};
use support::{answer, connection};

const SERVER: [(&str, &str); 4] = [
    ("db.system.name", "redis"),
    ("db.namespace", "2"),
    ("server.address", "cache.example"),
    ("db.operation.name", "GET"),
];

fn of(kind: ErrorKind) -> RedisError {
    (kind, "says", "secret".to_owned()).into()
}

/// The status code and the type of an error, as span and point have it.
fn told(answered: RedisResult<Value>) -> (Option<String>, Option<String>) {
    let capture = Capture::new();
    let mut connection = connection(&capture, [answered.clone()]);
    let result = cmd("GET").arg("key").query::<Value>(&mut connection);
    // The user sees what the bare driver gives.
    let expected = answered.and_then(Value::extract_error).err();
    assert_eq!(result.err().map(|it| it.to_string()), expected.map(|it| it.to_string()));
    let found = |name: &str| {
        let spans = capture.spans();
        let found = spans[0].attributes.iter().find(|it| it.key.as_str() == name);
        found.map(|it| it.value.to_string())
    };
    let (code, error) = (found("db.response.status_code"), found("error.type"));
    let mut expected = span("GET").client().attributes(SERVER).attribute("server.port", 6380);
    expected = expected.attribute("db.query.text", "GET key");
    let mut measured = point().count(1).attributes(SERVER).attribute("server.port", 6380);
    if let Some(error) = &error {
        expected = expected.attribute("error.type", error.clone()).error("");
        measured = measured.attribute("error.type", error.clone());
    }
    if let Some(code) = &code {
        expected = expected.attribute("db.response.status_code", code.clone());
        measured = measured.attribute("db.response.status_code", code.clone());
    }
    capture.assert_spans([expected]);
    capture.assert_metric(metric("db.client.operation.duration").point(measured));
    (code, error)
}

#[test]
fn a_code_of_the_server_is_told_wherever_it_stands() {
    for code in [
        "ERR",
        "WRONGTYPE",
        "MOVED",
        "ASK",
        "EXECABORT",
        "LOADING",
        "NOSCRIPT",
        "TRYAGAIN",
        "CLUSTERDOWN",
        "CROSSSLOT",
        "MASTERDOWN",
        "READONLY",
        "NOTBUSY",
        "NOSUB",
        "NOPERM",
        "NOAUTH",
        "WRONGPASS",
        "OOM",
        "BUSY",
        "MISCONF",
        "NOREPLICAS",
        "UNKILLABLE",
        "BUSYGROUP",
        "NOGROUP",
        "UNBLOCKED",
        "BUSYKEY",
        "IOERR",
        "INPROG",
        "NOGOODSLAVE",
        "DENIED",
        "NOQUORUM",
    ] {
        for before in ["", "*2\r\n+OK\r\n", "*1\r\n*1\r\n", "%1\r\n+key\r\n", "~1\r\n", "|0\r\n"] {
            let bytes = format!("{before}-{code} 3999 secret\r\n");
            let expected = Some(code.to_owned());
            assert_eq!(told(answer(&bytes)), (expected.clone(), expected), "{bytes:?}");
        }
    }
}

#[test]
fn an_error_of_the_driver_is_told_by_its_kind() {
    for (kind, expected) in [
        (ErrorKind::Parse, "Parse"),
        (ErrorKind::AuthenticationFailed, "AuthenticationFailed"),
        (ErrorKind::UnexpectedReturnType, "UnexpectedReturnType"),
        (ErrorKind::InvalidClientConfig, "InvalidClientConfig"),
        (ErrorKind::Io, "Io"),
        (ErrorKind::Client, "Client"),
        (ErrorKind::Extension, "Extension"),
        (ErrorKind::MasterNameNotFoundBySentinel, "MasterNameNotFoundBySentinel"),
        (ErrorKind::NoValidReplicasFoundBySentinel, "NoValidReplicasFoundBySentinel"),
        (ErrorKind::EmptySentinelList, "EmptySentinelList"),
        (ErrorKind::ClusterConnectionNotFound, "ClusterConnectionNotFound"),
        (ErrorKind::RESP3NotSupported, "RESP3NotSupported"),
    ] {
        assert_eq!(told(Err(of(kind))), (None, Some(expected.to_owned())));
    }
    // One that the driver gives without an answer of the server in it.
    let moved = ErrorKind::Server(ServerErrorKind::Moved);
    assert_eq!(told(Err(of(moved))), (Some("MOVED".to_owned()), Some("MOVED".to_owned())));
}

#[test]
fn an_error_of_the_network_is_told_by_its_kind() {
    for (kind, expected) in [
        (io::ErrorKind::ConnectionRefused, "ConnectionRefused"),
        (io::ErrorKind::BrokenPipe, "BrokenPipe"),
        (io::ErrorKind::UnexpectedEof, "UnexpectedEof"),
        (io::ErrorKind::TimedOut, "TimedOut"),
        (io::ErrorKind::WouldBlock, "TimedOut"),
    ] {
        let error = io::Error::new(kind, "secret");
        assert_eq!(told(Err(error.into())), (None, Some(expected.to_owned())));
    }
}

/// Connections of a cluster say 0, whatever they were made for.
#[test]
fn the_database_of_a_cluster_is_the_one_it_is_configured_for() {
    let capture = Capture::new();
    let builder = otel_redis::cluster::ClusterClientBuilder::new(["redis://cache.example"]);
    let client = builder.database_id(3).telemetry(&capture.telemetry()).build().unwrap();
    cmd("PING").exec(&mut client.wrap(support::stub([]))).unwrap();
    let spans = capture.spans();
    let found = spans[0].attributes.iter().find(|it| it.key.as_str() == "db.namespace");
    assert_eq!(found.map(|it| it.value.to_string()), Some("3".to_owned()));
}

#[test]
fn what_is_no_error_is_told_as_none() {
    for bytes in
        ["$-1\r\n", "*-1\r\n", "_\r\n", "+OK\r\n", ":0\r\n", "*0\r\n", "*1\r\n$3\r\nERR\r\n"]
    {
        assert_eq!(told(answer(bytes)), (None, None), "{bytes:?}");
    }
}

#[test]
fn a_pipeline_fails_with_the_first_error_in_it() {
    let capture = Capture::new();
    let values = "*3\r\n:1\r\n-WRONGTYPE secret\r\n-ERR secret\r\n";
    let mut connection = connection(&capture, [answer(values), answer(values)]);
    let mut pipeline = redis::pipe();
    pipeline.incr("n", 1).incr("l", 1).incr("m", 1);
    let error = pipeline.query::<(i64, i64, i64)>(&mut connection).unwrap_err();
    assert_eq!(error.into_server_errors().unwrap().len(), 2);
    // What the user takes as partly done is partly not.
    let done: Vec<RedisResult<i64>> = pipeline.ignore_errors().query(&mut connection).unwrap();
    assert_eq!(done.iter().filter(|it| it.is_ok()).count(), 1);
    for span in capture.spans() {
        assert_eq!(span.name, "PIPELINE INCRBY");
        let found = span.attributes.iter().find(|it| it.key.as_str() == "error.type").unwrap();
        assert_eq!(found.value.as_str(), "WRONGTYPE");
    }
    capture.check();
}

/// `Script::invoke` runs, loads, and runs again: only the user's own failure is one.
#[tokio::test]
async fn a_script_that_is_missing_is_loaded_without_an_error() {
    let missing = || answer("-NOSCRIPT No matching script\r\n");
    let script = Script::new("return 1");
    let loaded = || answer(&format!("+{}\r\n", script.get_hash()));
    let capture = Capture::new();
    let mut connection = connection(&capture, [missing(), loaded(), answer(":1\r\n")]);
    assert_eq!(script.invoke::<i64>(&mut connection).unwrap(), 1);
    assert_eq!(errors(&capture), [("EVALSHA", None), ("SCRIPT", None), ("EVALSHA", None)]);

    // The same of a driver that gives it as an error, as that of a cluster does.
    let missing: RedisError = missing().and_then(Value::extract_error).unwrap_err();
    let capture = Capture::new();
    let answers = [Err(missing), loaded(), answer("-OOM secret\r\n")];
    let mut connection = support::connection(&capture, answers);
    script.prepare_invoke().invoke_async::<i64>(&mut connection).await.unwrap_err();
    assert_eq!(errors(&capture), [("EVALSHA", None), ("SCRIPT", None), ("EVALSHA", Some("OOM"))]);

    // In a pipeline nobody loads it.
    let capture = Capture::new();
    let mut connection = support::connection(&capture, [answer("*1\r\n-NOSCRIPT secret\r\n")]);
    let mut pipeline = redis::pipe();
    pipeline.invoke_script(&script.prepare_invoke()).query::<(i64,)>(&mut connection).unwrap_err();
    assert_eq!(errors(&capture), [("EVALSHA", Some("NOSCRIPT"))]);
}

/// First words of the names of spans, and their errors.
fn errors(capture: &Capture) -> Vec<(&'static str, Option<&'static str>)> {
    let known = ["EVALSHA", "SCRIPT", "OOM", "NOSCRIPT"];
    let known = |text: &str| *known.iter().find(|it| **it == text).unwrap();
    let told = capture.spans().into_iter().map(|span| {
        let error = span.attributes.iter().find(|it| it.key.as_str() == "error.type");
        let error = error.map(|it| known(&it.value.to_string()));
        (known(span.name.split(' ').next().unwrap()), error)
    });
    told.collect()
}
