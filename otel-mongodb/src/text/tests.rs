//! What is shown of commands, also of hostile ones.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, DateTime, Document, JavaScriptCodeWithScope, Regex, Timestamp, doc};

use super::*;

fn text(body: &Document) -> String {
    let name = body.keys().next().map_or("", |name| name);
    sanitized(Command { name, database: "shop", body }, 4096).unwrap()
}

#[test]
fn keys_stay_and_values_go() {
    let find = doc! {
        "find": "users", "filter": { "name": "secret", "age": { "$gt": 36 } }, "limit": 1_i64,
        "lsid": { "id": "secret" }, "$clusterTime": { "a": 1 }, "txnNumber": 7_i64, "$db": "shop",
        "comment": "secret",
    };
    let expected = r#"{"find": "users", "filter": {"name": "?", "age": {"$gt": "?"}}, "limit": "?", "comment": "?"}"#;
    assert_eq!(text(&find), expected);
    let more = doc! { "getMore": 7_i64, "collection": "users", "batchSize": 2 };
    assert_eq!(text(&more), r#"{"getMore": "?", "collection": "users", "batchSize": "?"}"#);
}

#[test]
fn only_a_collection_is_a_name() {
    assert_eq!(text(&doc! { "dropUser": "ada" }), r#"{"dropUser": "?"}"#);
    assert_eq!(text(&doc! { "explain": { "find": "users" } }), r#"{"explain": {"find": "?"}}"#);
    // The key of a nested document, and of one that is no name.
    let nested = doc! { "find": "users", "filter": { "find": "secret", "collection": "secret" } };
    let expected = r#"{"find": "users", "filter": {"find": "?", "collection": "?"}}"#;
    assert_eq!(text(&nested), expected);
    let lookup = doc! { "aggregate": 1, "pipeline": [{ "$lookup": { "from": "secret" } }] };
    assert_eq!(text(&lookup), r#"{"aggregate": "?", "pipeline": [{"$lookup": {"from": "?"}}]}"#);
}

#[test]
fn what_is_said_later_follows() {
    let mut text = Text::new(40);
    text.more(&doc! { "filter": { "name": "secret" } });
    text.more(&doc! { "sort": Hint::Keys(doc! { "name": 1 }).shown() });
    let told = text.clone().of("find", Some("users"));
    assert_eq!(told, r#"{"find": "users", "filter": {"name": "?"}, "sort": {"name": "?"}}"#);
    assert_eq!(Text::new(40).of("ping", None), r#"{"ping": "?"}"#);
    // What is longer is cut off, and not gone through to its end.
    text.more(&doc! { "k".repeat(1 << 20): (0..100_000_i32).map(Bson::from).collect::<Vec<_>>() });
    assert!(text.of("find", Some(&"u".repeat(1 << 20))).len() < 300);
    let update = UpdateModifications::Pipeline(vec![doc! { "$set": { "a": "secret" } }]);
    assert_eq!(update.shown(), vec![doc! { "$set": { "a": "secret" } }].into());
    assert_eq!(Hint::Name("secret".into()).shown(), Bson::Null);
}

#[test]
fn what_the_driver_redacts_is_not_shown() {
    let shown = |body: &Document| {
        let name = body.keys().next().unwrap();
        sanitized(Command { name, database: "shop", body }, 4096).is_some()
    };
    for name in ["createUser", "CREATEUSER", "saslStart", "copydb", "getnonce", "updateUser"] {
        assert!(!shown(&doc! { name: "secret", "pwd": "secret" }), "{name}");
    }
    for name in ["hello", "isMaster", "ismaster"] {
        assert!(!shown(&doc! { name: 1, "speculativeAuthenticate": { "mechanism": "secret" } }));
        assert!(shown(&doc! { name: 1 }), "{name}");
    }
    assert!(shown(&doc! { "dropUser": "ada" }) && shown(&doc! { "create": "a" }));
}

#[test]
fn no_type_shows_its_value() {
    let values = [
        Bson::Double(0.5),
        "secret".into(),
        Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: b"secret".to_vec() }),
        ObjectId::new().into(),
        true.into(),
        DateTime::from_millis(0).into(),
        Bson::Null,
        Bson::RegularExpression(Regex {
            pattern: "secret".try_into().unwrap(),
            options: "i".try_into().unwrap(),
        }),
        Bson::JavaScriptCode("secret".into()),
        Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope {
            code: "secret".into(),
            scope: doc! { "secret": 1 },
        }),
        Bson::Symbol("secret".into()),
        7.into(),
        7_i64.into(),
        Bson::Timestamp(Timestamp { time: 1, increment: 1 }),
        Bson::MaxKey,
        Bson::MinKey,
        Bson::Undefined,
    ];
    for value in values {
        let body = doc! { "find": "users", "filter": { "a": value } };
        assert_eq!(text(&body), r#"{"find": "users", "filter": {"a": "?"}}"#);
    }
}

#[test]
fn equal_neighbours_of_a_list_are_one() {
    let insert = doc! { "insert": "users", "documents": [{ "_id": 1 }, { "_id": 2 }, {}, {}, 7] };
    assert_eq!(text(&insert), r#"{"insert": "users", "documents": [{"_id": "?"}, {}, "?"]}"#);
}

#[test]
fn a_hostile_command_costs_no_more_than_its_beginning() {
    let mut deep = Bson::from("secret");
    for level in 0..80 {
        deep = if level % 2 == 0 { doc! { "a": deep }.into() } else { vec![deep].into() };
    }
    let told = text(&doc! { "find": "users", "filter": deep });
    assert!(told.contains("\"?\"") && !told.contains("secret"), "{told}");

    let long = "k".repeat(1 << 20);
    let told = text(&doc! { long.as_str(): 1 });
    assert!(told.len() < 5_000, "{}", told.len());
    let told = text(&doc! { "find": long.as_str(), "filter": { "a": 1 } });
    assert!(told.len() < 5_000, "{}", told.len());
    let wide: Document = (0..100_000).map(|at| (format!("key{at}"), Bson::Null)).collect();
    assert!(text(&doc! { "find": "users", "filter": wide }).len() < 5_000);
    let many: Vec<_> = (0..100_000).map(|at| doc! { format!("key{at}"): 1 }).collect();
    assert!(text(&doc! { "insert": "users", "documents": many }).len() < 5_000);
}

#[test]
fn keys_are_escaped() {
    let body = doc! { "find": "a\"b\\c", "fil\u{0}\n\"ter": 1 };
    let told = text(&body);
    assert_eq!(told, r#"{"find": "a\"b\\c", "fil\u0000\u000a\"ter": "?"}"#);
    let read: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(read["find"], "a\"b\\c");
    assert_eq!(text(&doc! {}), "{}");
}
