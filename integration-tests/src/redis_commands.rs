//! What may be shown of each command of Redis, read from the server's own `COMMAND DOCS`: the rows
//! of `otel-redis/src/commands.txt` before somebody reviewed them.

use std::collections::BTreeMap;

use redis::{Connection, RedisResult, Value, cmd};

/// A row for each command of the server, and for each of their subcommands: its name, and what of its
/// arguments may be shown. Wants a connection that speaks RESP3.
pub fn rows(connection: &mut Connection) -> RedisResult<BTreeMap<String, String>> {
    let mut rows = BTreeMap::new();
    for (name, docs) in pairs(&cmd("COMMAND").arg("DOCS").query::<Value>(connection)?) {
        let subcommands = find(docs, "subcommands").map(pairs).unwrap_or_default();
        if subcommands.is_empty() {
            rows.insert(name.to_uppercase(), row(&name, docs));
        }
        for (name, docs) in subcommands {
            rows.insert(name.to_uppercase(), row(&name, docs));
        }
    }
    Ok(rows)
}

/// The file with these rows in it: those that somebody reviewed, which begin with `!`, and its head
/// stay as they are.
pub fn merged(file: &str, mut rows: BTreeMap<String, String>) -> String {
    let (head, old): (Vec<&str>, Vec<&str>) = file.lines().partition(|line| line.starts_with('#'));
    for reviewed in old.iter().filter_map(|line| line.strip_prefix('!')) {
        let (name, pattern) = reviewed.split_once(' ').unwrap_or((reviewed, ""));
        rows.insert(name.to_owned(), format!("!{pattern}"));
    }
    let rows = rows.iter().map(|(name, pattern)| match pattern.strip_prefix('!') {
        Some(pattern) => format!("!{name} {pattern}").trim_end().to_owned(),
        None => format!("{name} {pattern}").trim_end().to_owned(),
    });
    head.into_iter().map(str::to_owned).chain(rows).map(|line| line + "\n").collect()
}

/// Values at the end are as good as nothing: what no sign stands for is a value.
fn row(name: &str, docs: &Value) -> String {
    let mut signs = Vec::new();
    let arguments = find(docs, "arguments").map(list).unwrap_or_default();
    write(name, arguments, &mut signs);
    // What is said again and again is kept whole, unless it is about values alone.
    let again = signs.iter().position(|sign| sign == "{").unwrap_or(signs.len());
    if !signs.iter().skip(again).any(|sign| sign == "key") {
        signs.truncate(again);
        let last = signs.iter().rposition(|sign| sign != "?").map_or(0, |last| last + 1);
        signs.truncate(last);
    }
    signs.join(" ")
}

fn write(command: &str, arguments: &[Value], signs: &mut Vec<String>) {
    let mut arguments = arguments.iter().peekable();
    while let Some(argument) = arguments.next() {
        let kind = text(argument, "type");
        let (is_optional, is_multiple) = (has(argument, "optional"), has(argument, "multiple"));
        if let Some(words) = words(argument) {
            match signs.last_mut().filter(|last| is_optional && last.starts_with('[')) {
                Some(last) => *last = format!("{}|{words}]", last.trim_end_matches(']')),
                // One of them must be there, and what follows may be a value of the same word.
                None if !is_optional && !words.contains(':') => signs.push(format!("<{words}>")),
                None => signs.push(format!("[{words}]")),
            }
            continue;
        }
        // Something else may stand in its place, so nothing behind it is known.
        if is_optional && kind != "key" {
            signs.push("?".to_owned());
            return;
        }
        let token = text(argument, "token");
        if !token.is_empty() {
            signs.push(format!("<{token}>"));
        }
        let next = arguments.peek().map(|next| text(next, "type"));
        match &*kind {
            "key" if is_multiple && next.is_some_and(|next| next != "pure-token") => {
                let behind = arguments.clone().filter(|it| !has(it, "optional")).count();
                signs.push(format!("-{behind}"));
            }
            "key" if is_multiple => signs.extend(["{", "key"].map(str::to_owned)),
            "key" => signs.push("key".to_owned()),
            "integer" if text(argument, "name") == "numkeys" => {
                arguments.next();
                signs.push("#".to_owned());
            }
            "block" => {
                if is_multiple {
                    signs.push("{".to_owned());
                }
                let inner = find(argument, "arguments").map(list).unwrap_or_default();
                if let [keys, ids] = inner
                    && has(keys, "multiple")
                    && has(ids, "multiple")
                {
                    signs.push("half".to_owned());
                } else {
                    write(command, inner, signs);
                }
            }
            // Fields of hashes are names; those of streams stand behind options that are not safe to
            // count.
            "string" if command.starts_with('h') && text(argument, "name") == "field" => {
                signs.extend(is_multiple.then(|| "{".to_owned()));
                signs.push("key".to_owned());
            }
            _ => signs.push("?".to_owned()),
        }
    }
}

/// The words of an argument that begins with one, each with how many values follow it.
fn words(argument: &Value) -> Option<String> {
    let token = text(argument, "token");
    let inner = find(argument, "arguments").map(list).unwrap_or_default();
    match &*text(argument, "type") {
        "pure-token" => Some(token).filter(|token| !token.is_empty()),
        "oneof" => {
            let words: Option<Vec<String>> = inner.iter().map(words).collect();
            let words = words?.join("|");
            Some(if token.is_empty() { words } else { format!("{token}|{words}") })
        }
        _ if token.is_empty() && !inner.is_empty() && has(argument, "optional") => {
            let words: Option<Vec<String>> = inner.iter().map(words).collect();
            Some(words?.join("|"))
        }
        "block" if !token.is_empty() => {
            let is_value = |it: &Value| text(it, "token").is_empty() && text(it, "type") != "key";
            let plain = inner.iter().all(|it| is_value(it) && !has(it, "multiple"));
            let only = plain && find(argument, "arguments").is_some();
            only.then(|| format!("{token}:{}", inner.len()))
        }
        "key" if !token.is_empty() => Some(format!("{token}:key")),
        "key" => None,
        _ if !token.is_empty() => Some(format!("{token}:1")),
        _ => None,
    }
}

fn pairs(value: &Value) -> Vec<(String, &Value)> {
    let Value::Map(pairs) = value else { return Vec::new() };
    pairs.iter().map(|(key, value)| (plain(key), value)).collect()
}

fn list(value: &Value) -> &[Value] {
    match value {
        Value::Array(values) | Value::Set(values) => values,
        _ => &[],
    }
}

fn find<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    pairs(value).into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

fn text(value: &Value, name: &str) -> String {
    find(value, name).map(plain).unwrap_or_default()
}

fn has(value: &Value, flag: &str) -> bool {
    find(value, "flags").map(list).unwrap_or_default().iter().any(|it| plain(it) == flag)
}

fn plain(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::SimpleString(text) => text.clone(),
        _ => String::new(),
    }
}
