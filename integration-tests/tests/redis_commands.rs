//! What is shown of a command, against what the server says of itself.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::fs;

use integration_tests::redis_commands;
use otel_testing::live;
use redis::{Client, Commands as _, Connection, Value};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../otel-redis/src/commands.txt");

fn connection() -> Option<Connection> {
    let url = format!("{}/?protocol=resp3", live::address("REDIS")?);
    Some(Client::open(url).unwrap().get_connection().unwrap())
}

/// Each row that nobody reviewed is what the server's own documentation comes to.
#[test]
fn the_rows_are_those_of_the_server() {
    let Some(mut connection) = connection() else { return };
    let file = fs::read_to_string(FILE).unwrap();
    let anew = redis_commands::merged(&file, redis_commands::rows(&mut connection).unwrap());
    if std::env::var_os("OTEL_TEST_REDIS_COMMANDS").is_some_and(|it| it == "write") {
        fs::write(FILE, &anew).unwrap();
    }
    let [old, new] = [&file, &anew].map(|text| text.lines().collect::<BTreeSet<_>>());
    let differ: Vec<_> = old.symmetric_difference(&new).collect();
    assert!(differ.is_empty(), "make it anew, see its head: {differ:#?}");
}

/// What the server itself takes for a key is what is shown as one, and nothing else is.
#[test]
fn what_is_shown_as_a_key_is_one_to_the_server() {
    let Some(mut connection) = connection() else { return };
    let capture = otel_testing::Capture::new();
    let bare = Client::open(live::address("REDIS").unwrap()).unwrap();
    let mut client = otel_redis::Client::with(bare, &capture.telemetry());
    for command in [
        "SET k1 v",
        "MSET k1 v k2 v",
        "MGET k1 k2",
        "BITOP AND k1 k2 k3",
        "BLPOP k1 k2 1",
        "BLMOVE k1 k2 LEFT RIGHT 1",
        "BLMPOP 1 2 k1 k2 LEFT",
        "BZMPOP 1 2 k1 k2 MIN COUNT 2",
        "COPY k1 k2 DB 1",
        "EVAL v 2 k1 k2 v",
        "EVALSHA ! 1 k1 v",
        "FCALL ! 1 k1 v",
        "GEORADIUS k1 1 2 3 KM STORE k2",
        "GEOSEARCHSTORE k1 k2 FROMMEMBER v BYRADIUS 1 KM",
        "LMPOP 2 k1 k2 LEFT",
        "LCS k1 k2 LEN",
        "OBJECT ENCODING k1",
        "MEMORY USAGE k1",
        "PFMERGE k1 k2 k3",
        "RENAME k1 k2",
        "SINTERCARD 2 k1 k2 LIMIT 1",
        "SMOVE k1 k2 v",
        "SORT k1 BY v GET v STORE k2",
        "XADD k1 NOMKSTREAM * v v",
        "XGROUP CREATE k1 v v",
        "XREAD COUNT 1 STREAMS k1 k2 0 0",
        "XREADGROUP GROUP v v NOACK STREAMS k1 k2 0 0",
        "ZADD k1 NX 1 v",
        "ZDIFFSTORE k1 2 k2 k3",
        "ZUNION 2 k1 k2 WEIGHTS 1 2 WITHSCORES",
        "ZINTERSTORE k1 2 k2 k3 AGGREGATE MAX",
        "ZMPOP 2 k1 k2 MAX",
        "ZRANGESTORE k1 k2 0 1 REV",
        "SUNIONSTORE k1 k2 k3",
        "UNLINK k1 k2",
        "WATCH k1 k2",
        "GETEX k1 EX 5",
        "PFCOUNT k1 k2",
    ] {
        let arguments: Vec<&str> = command.split(' ').collect();
        let keys: Vec<String> = redis::cmd("COMMAND")
            .arg("GETKEYS")
            .arg(&arguments)
            .query(&mut connection)
            .unwrap_or_else(|error| panic!("{command}: {error}"));
        capture.clear();
        // Some fail, which does not matter.
        _ = redis::cmd(arguments[0]).arg(&arguments[1..]).query::<Value>(&mut client);
        let span = &capture.spans()[0];
        let text = span.attributes.iter().find(|it| it.key.as_str() == "db.query.text").unwrap();
        let text = text.value.to_string();
        let shown: Vec<&str> = text.split(' ').filter(|word| word.starts_with('k')).collect();
        assert_eq!(shown, keys, "{command} is shown as {text}");
        assert!(!text.split(' ').any(|word| word == "v"), "{command} is shown as {text}");
    }
    for key in ["k1", "k2", "k3"] {
        connection.del::<_, ()>(key).unwrap();
    }
}
