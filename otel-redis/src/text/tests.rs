//! What is shown of commands, and what never is.

use otel_core::{Db, QueryText, Telemetry, TelemetryBuilder};
use otel_testing::Capture;

use super::*;
use crate::driver::{self, Redis};

/// What a handle with these options wants.
fn wanted(options: impl FnOnce(TelemetryBuilder) -> TelemetryBuilder) -> TextWanted {
    let capture = Capture::new();
    let telemetry: Telemetry = options(capture.telemetry_builder()).build();
    let db = Db::<Redis>::new(&telemetry, driver::unknown_server());
    assert!(!db.is_off());
    db.text_wanted().unwrap()
}

fn shown(wanted: TextWanted, arguments: &[&[u8]]) -> String {
    let mut text = Text::new(wanted);
    text.add(arguments.iter().copied());
    text.into_string()
}

fn line(wanted: TextWanted, command: &str) -> String {
    let arguments: Vec<_> = command.split(' ').map(str::as_bytes).collect();
    shown(wanted, &arguments)
}

#[test]
fn keys_fields_and_words_are_shown_and_values_are_not() {
    let wanted = wanted(|options| options);
    for (command, expected) in [
        ("GET user", "GET user"),
        ("get user", "get user"),
        ("SET k v", "SET k ?"),
        ("SET k v EX 10 NX", "SET k ? EX ? NX"),
        ("SET k EX ex NX", "SET k ? ex ?"),
        ("SET k v SECRET", "SET k ? ?"),
        ("SETEX k 10 v", "SETEX k ? ?"),
        ("MSET a 1 b 2", "MSET a ? b ?"),
        ("MGET a b", "MGET a b"),
        ("HMSET myhash field1 v field2 v", "HMSET myhash field1 ? field2 ?"),
        ("HSET h f v odd", "HSET h f ? odd"),
        ("HEXPIRE h 10 NX FIELDS 2 f g", "HEXPIRE h ? NX FIELDS 2 f g"),
        ("LINSERT l BEFORE AFTER x", "LINSERT l BEFORE ? ?"),
        ("ZADD z NX 1 ada 2 bob", "ZADD z NX ? ? ? ?"),
        ("BLPOP a b 5", "BLPOP a b ?"),
        ("EVAL return 2 k1 k2 a", "EVAL ? 2 k1 k2 ?"),
        ("EVAL return x k1", "EVAL ? ? ?"),
        ("EVAL return -1 k1", "EVAL ? ? ?"),
        ("EVAL return 18446744073709551615 k1", "EVAL ? 18446744073709551615 k1"),
        ("EVALSHA abc 1 k a", "EVALSHA abc 1 k ?"),
        ("FCALL f 0 a", "FCALL f 0 ?"),
        ("ZUNIONSTORE d 2 a b WEIGHTS 1 2", "ZUNIONSTORE d 2 a b WEIGHTS ? ?"),
        ("XREAD COUNT 5 STREAMS a b 0 0", "XREAD COUNT ? STREAMS a b ? ?"),
        ("XREAD COUNT 5 a b 0 0", "XREAD COUNT ? ? ? ? ?"),
        ("XREADGROUP GROUP g c STREAMS a >", "XREADGROUP GROUP ? ? STREAMS a ?"),
        ("XADD s * f v", "XADD s ? ? ?"),
        ("GEOADD g 1 2 home", "GEOADD g ? ? ?"),
        ("SPUBLISH c m", "SPUBLISH c ?"),
        ("SETBIT k 7 1", "SETBIT k ? ?"),
        ("BITFIELD k SET u8 0 255", "BITFIELD k ? ? ? ?"),
        ("SCRIPT LOAD text", "SCRIPT LOAD ?"),
        ("SCAN 0 MATCH ada* COUNT 5", "SCAN ? MATCH ? COUNT ?"),
        ("HGETEX h FIELDS 1 f", "HGETEX h FIELDS 1 f"),
        ("SORT k BY w_* LIMIT 0 5 STORE d", "SORT k BY ? LIMIT ? ? STORE d"),
        ("PUBLISH c m", "PUBLISH c ?"),
        ("CLIENT SETNAME n", "CLIENT SETNAME ?"),
        ("client list", "client list"),
        ("CLIENT nothing", "CLIENT ?"),
        ("OBJECT ENCODING k", "OBJECT ENCODING k"),
        ("ECHO secret", "ECHO ?"),
        ("NOSUCH a b", "NOSUCH ? ?"),
        ("JSON.SET k $ 1", "JSON.SET k ? ?"),
        ("GET", "GET"),
        ("SET", "SET"),
        ("MSET", "MSET"),
        ("ZUNIONSTORE d 5 a", "ZUNIONSTORE d 5 a"),
    ] {
        assert_eq!(line(wanted, command), expected);
    }
}

/// Each command of the file, and some that nobody knows, with secrets in each place that is no key.
#[test]
fn no_secret_is_shown_in_any_place() {
    let wanted = wanted(|options| options.keys(false));
    let names = COMMANDS.keys().map(|name| str::from_utf8(name).unwrap()).chain(["NOSUCH", "X.Y"]);
    for name in names {
        for count in 0..8 {
            let words = name.split('|').map(str::as_bytes);
            let secrets = std::iter::repeat_n(&b"s3cr3t"[..], count);
            let arguments: Vec<_> = words.chain(secrets).collect();
            let shown = shown(wanted, &arguments);
            let shown = shown.replace("EVALSHA s3cr3t", "").replace("FCALL s3cr3t", "");
            let shown = shown.replace("_RO s3cr3t", "");
            assert!(!shown.contains("s3cr3t"), "{shown}");
        }
    }
}

#[test]
fn what_logs_in_is_shown_in_no_setting() {
    let wanted = wanted(|options| options.query_text(QueryText::Verbatim));
    assert_eq!(line(wanted, "SET k v EX 10"), "SET k v EX 10");
    assert_eq!(line(wanted, "NOSUCH v"), "NOSUCH v");
    for command in [
        "AUTH otel s3cr3t",
        "auth s3cr3t",
        "HELLO 3 AUTH otel s3cr3t",
        "ACL SETUSER ada >s3cr3t",
        "CONFIG SET requirepass s3cr3t",
        "MIGRATE host 6379 k 0 10 AUTH s3cr3t KEYS a",
        "SENTINEL SET primary auth-pass s3cr3t",
    ] {
        let shown = line(wanted, command);
        assert!(!shown.contains("s3cr3t"), "{shown}");
    }
}

#[test]
fn names_are_left_out_by_the_option_for_keys() {
    let wanted = wanted(|options| options.keys(false));
    assert_eq!(line(wanted, "HSET user:ada mail v"), "HSET ? ? ?");
    assert_eq!(line(wanted, "XREAD STREAMS a b 0 0"), "XREAD STREAMS ? ? ? ?");
    assert_eq!(line(wanted, "SORT k STORE d"), "SORT ? STORE ?");
}

#[test]
fn odd_names_are_written_as_the_command_line_takes_them() {
    let wanted = wanted(|options| options);
    for (key, expected) in [
        (&b""[..], r#"GET """#),
        (b"a b", r#"GET "a b""#),
        (b"a\"b\\", r#"GET "a\"b\\""#),
        (b"a\r\n\tb", r#"GET "a\r\n\tb""#),
        (b"\0\x1b\x7f", r#"GET "\x00\x1b\x7f""#),
        (b"\xff\xfeab", r#"GET "\xff\xfeab""#),
        ("ключ".as_bytes(), "GET ключ"),
        ("\u{85}".as_bytes(), r#"GET "\xc2\x85""#),
        (b"'", r#"GET "'""#),
    ] {
        assert_eq!(shown(wanted, &[b"GET", key]), expected);
    }
    // No name of a command.
    for name in [&b""[..], b"GET key", b"\xff", b"a\nb", &[b'A'; 65]] {
        assert_eq!(shown(wanted, &[name, b"v"]), "_OTHER ?");
    }
    assert_eq!(shown(wanted, &[]), "_OTHER");
}

#[test]
fn a_long_text_is_bounded() {
    let wanted = wanted(|options| options.query_text_max_length(100));
    let long = vec![b'k'; 1 << 20];
    assert!(shown(wanted, &[b"GET", &long]).len() < 120);
    let mut many: Vec<&[u8]> = vec![b"k"; 100_000];
    many[0] = b"MGET";
    assert!(shown(wanted, &many).len() < 120);
    let odd = vec![0xff; 1 << 20];
    assert!(shown(wanted, &[b"GET", &odd]).len() < 500);
}

/// A group without a name in it could come again for ever.
#[test]
fn the_file_is_sound() {
    let rows = include_str!("../commands.txt").lines().filter(|row| !row.starts_with('#'));
    let count = rows.clone().count();
    for (name, pattern) in rows.map(|row| row.split_once(' ').unwrap_or((row, ""))) {
        for sign in pattern.split(' ').filter(|sign| !sign.is_empty()) {
            let is_known = ["key", "name", "?", "#", "half", "{"].contains(&sign)
                || sign.starts_with('[') && sign.ends_with(']')
                || sign.starts_with('<') && sign.ends_with('>')
                || sign.strip_prefix('-').is_some_and(|count| count.parse::<u8>().is_ok());
            assert!(is_known, "{name}: {sign}");
        }
        if let Some((_, again)) = pattern.split_once('{') {
            assert!(again.contains("key"), "{name}: {pattern}");
        }
        assert!(!pattern.contains("] name"), "{name}: a name behind words is a value");
    }
    assert!(count > 300 && count == COMMANDS.len(), "twice");
}
