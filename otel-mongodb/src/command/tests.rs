//! What is read of commands and replies, also of those that are not as they should be.

use mongodb::bson::doc;

use super::*;

fn command<'a>(name: &'a str, body: &'a Document) -> Command<'a> {
    Command { name, database: "shop", body }
}

fn of(body: &Document) -> Command<'_> {
    command(body.keys().next().unwrap(), body)
}

#[test]
fn the_list_is_one_of_words() {
    let words: Vec<_> = OF_A_COLLECTION.split(' ').collect();
    assert!(words.is_sorted() && words.len() == 31, "{words:?}");
    assert!(!is_of_a_collection("") && !is_of_a_collection("find "));
}

/// Whatever somebody gives to `run_command`.
#[test]
fn what_no_server_could_call_a_command_has_no_name() {
    for name in ["find", "_configsvrShutdown", "saslStart", &"a".repeat(64)] {
        assert_eq!(named(name), name);
    }
    for name in ["", "hunter2", "my secret", "a.b", "$a", "é", &"a".repeat(65)] {
        assert_eq!(named(name), "_OTHER", "{name}");
    }
}

#[test]
fn a_collection_is_told_where_the_command_has_one() {
    let cases = [
        (doc! { "find": "users" }, Some("users")),
        (doc! { "getMore": 7_i64, "collection": "users" }, Some("users")),
        (doc! { "getMore": 7_i64, "collection": "$cmd.aggregate" }, None),
        (doc! { "killCursors": "users", "cursors": [7_i64] }, Some("users")),
        (doc! { "explain": { "count": "users" } }, Some("users")),
        (doc! { "explain": { "dropUser": "ada" } }, None),
        (doc! { "explain": "users" }, None),
        (doc! { "aggregate": 1, "pipeline": [] }, None),
        (doc! { "find": 7 }, None),
        (doc! { "ping": 1 }, None),
        (doc! { "configureFailPoint": "failCommand" }, None),
        // They name persons.
        (doc! { "dropUser": "ada" }, None),
        (doc! { "usersInfo": "ada" }, None),
        (doc! { "grantRolesToUser": "ada" }, None),
        (doc! { "renameCollection": "shop.users", "to": "shop.people" }, None),
    ];
    for (body, collection) in cases {
        assert_eq!(of(&body).target(), ("shop", collection), "{body}");
    }
    // Redacted by the driver.
    assert_eq!(command("saslStart", &doc! {}).target(), ("shop", None));
}

#[test]
fn a_bulk_write_is_told_where_it_writes() {
    let one = doc! { "bulkWrite": 1, "ops": [{ "insert": 0 }], "nsInfo": [{ "ns": "shop.a.b" }] };
    assert_eq!(of(&one).target(), ("shop", Some("a.b")));
    let broken = [doc! {}, doc! { "ns": 1 }, doc! { "ns": "nothing" }];
    let broken = broken.map(|only| doc! { "bulkWrite": 1, "nsInfo": [only] });
    let two = doc! { "bulkWrite": 1, "nsInfo": [{ "ns": "shop.a" }, { "ns": "shop.b" }] };
    for body in broken.into_iter().chain([two, doc! { "bulkWrite": 1 }]) {
        let admin = Command { database: "admin", ..of(&body) };
        assert_eq!(admin.target(), ("admin", None), "{body}");
    }
}

/// It is the server that refuses it.
#[test]
fn a_command_without_a_name_is_one() {
    for body in [doc! { "": "" }, doc! {}] {
        assert_eq!(command("", &body).target(), ("shop", None));
        assert_eq!(analyze(&body).1, "_OTHER");
    }
}

#[test]
fn what_is_written_is_counted() {
    let two = || vec![doc! {}, doc! {}];
    for (name, list) in [
        ("insert", "documents"),
        ("update", "updates"),
        ("delete", "deletes"),
        ("bulkWrite", "ops"),
    ] {
        assert_eq!(of(&doc! { name: "users", list: two() }).operations(), 2, "{name}");
        assert_eq!(of(&doc! { name: "users" }).operations(), 1, "{name}");
    }
    assert_eq!(of(&doc! { "find": "users", "documents": two() }).operations(), 1);
}

#[test]
fn a_cursor_is_known_where_the_command_is_about_one() {
    assert_eq!(of(&doc! { "getMore": 7_i64 }).cursor(), Some(7));
    assert_eq!(of(&doc! { "killCursors": "users", "cursors": [8_i64, 9_i64] }).cursor(), Some(8));
    for body in [
        doc! { "getMore": "secret" },
        doc! { "killCursors": "users", "cursors": [] },
        doc! { "killCursors": "users" },
        doc! { "find": "users" },
    ] {
        assert_eq!(of(&body).cursor(), None, "{body}");
    }
}

#[test]
fn a_reply_tells_rows_cursor_and_what_was_not_written() {
    let none = Reply::default;
    let code = |code: &'static str| Some(Failure::code(code));
    let first = doc! { "firstBatch": [{}, {}], "id": 7_i64 };
    let next = doc! { "nextBatch": [], "id": 0_i64 };
    let results = doc! { "firstBatch": [{ "ok": 1.0 }, { "ok": 0.0, "code": 121 }], "id": 0_i64 };
    let cases = [
        ("find", doc! { "cursor": first }, Reply { rows: Some(2), cursor: Some(7), ..none() }),
        ("getMore", doc! { "cursor": next }, Reply { rows: Some(0), ..none() }),
        (
            "insert",
            doc! { "writeErrors": [{ "code": 11000 }], "writeConcernError": { "code": 64 } },
            Reply { failure: code("11000"), ..none() },
        ),
        (
            "update",
            doc! { "writeConcernError": { "code": 64 } },
            Reply { failure: code("64"), ..none() },
        ),
        ("update", doc! { "writeErrors": [] }, none()),
        ("update", doc! { "writeErrors": [7], "cursor": 7 }, none()),
        (
            "bulkWrite",
            doc! { "nErrors": 1, "cursor": &results },
            Reply { failure: code("121"), ..none() },
        ),
        ("bulkWrite", doc! { "nErrors": 0, "cursor": results }, none()),
        ("ping", doc! {}, none()),
    ];
    for (name, reply, expected) in cases {
        assert_eq!(Reply::of(name, &reply), expected, "{name} {reply}");
    }
}
