//! Each error of server and driver, and each kind of address.

use std::io;

use mongodb::bson::doc;
use mongodb::error::{
    BulkWriteError, CommandError, InsertManyError, WriteConcernError, WriteError,
};
use mongodb::options::ClientOptions;
use serde_json::json;

use super::*;

/// The errors of servers cannot be made, but they can be read.
fn read<T: serde::de::DeserializeOwned>(error: serde_json::Value) -> T {
    serde_json::from_value(error).unwrap()
}

fn write_error(code: i32) -> WriteError {
    read(json!({ "code": code, "errmsg": "dup key: secret" }))
}

fn concern_error(code: i32) -> WriteConcernError {
    read(json!({ "code": code, "errmsg": "secret" }))
}

#[expect(clippy::needless_pass_by_value, reason = "what `json!` makes")]
fn insert_many(write_errors: serde_json::Value, concern: serde_json::Value) -> InsertManyError {
    read(json!({ "writeErrors": write_errors, "writeConcernError": concern }))
}

fn bulk(writes: &[(usize, i32)], concerns: &[i32]) -> BulkWriteError {
    let mut error = BulkWriteError::default();
    error.write_errors = writes.iter().map(|(at, code)| (*at, write_error(*code))).collect();
    error.write_concern_errors = concerns.iter().map(|code| concern_error(*code)).collect();
    error
}

#[test]
fn errors_of_the_server_have_its_code() {
    let one = json!([{ "index": 1, "code": 11000, "errmsg": "secret" }]);
    let concern = json!({ "code": 64, "errmsg": "secret" });
    let none = json!(null);
    let command: CommandError = read(json!({ "code": 40324, "errmsg": "secret" }));
    let cases = [
        (ErrorKind::Command(command), "40324"),
        (ErrorKind::Write(WriteFailure::WriteError(write_error(11000))), "11000"),
        (ErrorKind::Write(WriteFailure::WriteConcernError(concern_error(64))), "64"),
        (ErrorKind::InsertMany(insert_many(one.clone(), none.clone())), "11000"),
        (ErrorKind::InsertMany(insert_many(none.clone(), concern.clone())), "64"),
        (ErrorKind::InsertMany(insert_many(one, concern)), "11000"),
        (ErrorKind::BulkWrite(bulk(&[(7, 121), (2, 11000)], &[64])), "11000"),
        (ErrorKind::BulkWrite(bulk(&[], &[64])), "64"),
    ];
    for (kind, code) in cases {
        let shown = format!("{kind:?}");
        assert_eq!(Mongo::classify(&kind.into()), Failure::code(code), "{shown}");
    }
    let none = insert_many(json!(null), json!(null));
    assert_eq!(Mongo::classify(&ErrorKind::InsertMany(none).into()), Failure::new("InsertMany"));
    let none = ErrorKind::BulkWrite(bulk(&[], &[]));
    assert_eq!(Mongo::classify(&none.into()), Failure::new("BulkWrite"));
}

/// And their texts, which quote data, are told nowhere.
#[tokio::test]
async fn errors_of_the_driver_have_the_name_of_their_variant() {
    let lost = io::Error::new(io::ErrorKind::ConnectionReset, "secret");
    assert_eq!(Mongo::classify(&Error::from(lost)), Failure::new("ConnectionReset"));
    assert_eq!(Mongo::classify(&Error::custom("secret")), Failure::new("Custom"));
    for kind in [ErrorKind::MissingResumeToken, ErrorKind::SessionsNotSupported] {
        let name = format!("{kind:?}");
        assert_eq!(Mongo::classify(&kind.into()), Failure::new(name));
    }
    assert_eq!(Mongo::classify(&ErrorKind::Shutdown.into()), Failure::new("Shutdown"));
    let broken = Document::from_reader(&[1_u8, 0][..]).unwrap_err();
    assert_eq!(Mongo::classify(&Error::from(broken)), Failure::new("Bson"));
    let wrong = ClientOptions::parse("mongodb://secret@@@/").await.unwrap_err();
    assert_eq!(Mongo::classify(&wrong), Failure::new("InvalidArgument"));
}

#[test]
fn an_error_in_a_reply_has_its_code_whatever_its_type() {
    assert_eq!(failure(&doc! { "code": 11000 }), Failure::code("11000"));
    assert_eq!(failure(&doc! { "code": 11000_i64 }), Failure::code("11000"));
    for without in [doc! {}, doc! { "code": "secret" }] {
        assert_eq!(failure(&without), Failure::default());
    }
}

#[test]
fn a_node_is_told_by_its_address() {
    let tcp = |host: &str, port| ServerAddress::Tcp { host: host.into(), port };
    assert_eq!(node(&tcp("db.example", Some(27018))).pool_name(), "db.example:27018");
    assert_eq!(node(&tcp("db.example", None)).pool_name(), "db.example");
    assert_eq!(node(&tcp("::1", Some(27017))).pool_name(), "[::1]:27017");
    let path = "/tmp/mongodb-27017.sock".into();
    assert_eq!(node(&ServerAddress::Unix { path }).pool_name(), "/tmp/mongodb-27017.sock");
}
