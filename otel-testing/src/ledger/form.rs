//! What two sides write in two ways, in one form.

use std::borrow::Cow;

use opentelemetry::trace::SpanKind;
use opentelemetry::{KeyValue, Value};
use otel_core::attribute as names;
use otel_core::messaging::fact;
use otel_core::sql::{Analyzer, Dialect};

use super::Unit;

/// A statement or a message, the same whoever tells of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Form {
    /// The operation and its target, or the destination of a message.
    pub(crate) kind: String,
    /// Of a statement, without literals, comments and the numbers of parameters.
    pub(crate) text: String,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// The server answered that it will not.
    Refused,
    Failed,
}

/// What a span tells.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) form: Form,
    pub(crate) outcome: Outcome,
    pub(crate) times: u64,
}

/// What a text of the server is about; of several statements, each.
pub(crate) fn forms(unit: Unit, text: &str) -> Vec<Form> {
    match unit {
        Unit::Statements(dialect) => statements(dialect, text, None),
        Unit::Operations => vec![operation(text.to_owned())],
        Unit::Commands => vec![operation(text.to_ascii_uppercase())],
        Unit::Sent | Unit::Received | Unit::Settled => {
            let kind = text.split_once('[').map_or(text, |(destination, _)| destination);
            vec![Form { kind: kind.to_owned(), text: text.to_owned() }]
        }
    }
}

/// By the text, cut as that of a span is; by the summary what of it cannot be shown, or was cut off.
fn statements(dialect: Dialect, text: &str, summary: Option<&str>) -> Vec<Form> {
    let analyzer = Analyzer::new(dialect);
    let first_word = |text: &str| text.split_whitespace().next().unwrap_or_default().to_owned();
    let about = |text: &str, summary: Option<&str>| {
        // A server may keep one text for what differs in nothing but letter case.
        summary.map_or_else(|| first_word(text), str::to_owned).to_ascii_uppercase()
    };
    let analysis = analyzer.analyze(text);
    let nothing_shown = if analysis.text.is_none() { text } else { "" };
    let by_summary = about(nothing_shown, summary.or(analysis.summary.as_deref()));
    let by_summary = by_summary.split("; ").filter(|summary| !summary.is_empty());
    let by_summary: Vec<_> = by_summary.map(|summary| operation(summary.to_owned())).collect();
    let shown = analysis.text.unwrap_or_default();
    let by_text = split(&shown).into_iter().map(bare).filter(|text| !text.is_empty());
    let by_text = by_text.map(|text| match transaction_control(&text) {
        Some(words) => operation(words.to_owned()),
        None => Form { kind: about(&text, analyzer.analyze(&text).summary.as_deref()), text },
    });
    let by_text: Vec<_> = by_text.collect();
    if by_summary.len() > by_text.len() { by_summary } else { by_text }
}

fn operation(text: String) -> Form {
    Form { kind: text.clone(), text }
}

/// What a driver writes for a call that has a name and no text; the name of a savepoint is its own.
fn transaction_control(text: &str) -> Option<&'static str> {
    const TO_SAVEPOINTS: [&str; 3] = ["ROLLBACK TO SAVEPOINT", "RELEASE SAVEPOINT", "SAVEPOINT"];
    let upper = text.to_ascii_uppercase();
    let is = |words: &&str| {
        upper.strip_prefix(words).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    TO_SAVEPOINTS.into_iter().find(is)
}

/// At the semicolons that are in no name; there are no strings left.
fn split(text: &str) -> Vec<&str> {
    let mut quote = None;
    let is_end = move |letter: char| {
        match quote {
            Some(end) if letter == end => quote = None,
            None if letter == ';' => return true,
            None if "\"`".contains(letter) => quote = Some(letter),
            _ => {}
        }
        false
    };
    text.split(is_end).collect()
}

/// Without what two may write in two ways: white space, and the numbers of parameters, which servers
/// give to literals too.
fn bare(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut parts = words.split('$');
    let mut bare = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|letter: char| letter.is_ascii_digit());
        bare.push(if rest.len() < part.len() { '?' } else { '$' });
        bare.push_str(rest);
    }
    bare
}

/// The last value that was set under a name.
fn value<'a>(attributes: &'a [KeyValue], name: &str) -> Option<&'a Value> {
    let found = attributes.iter().rfind(|attribute| attribute.key.as_str() == name);
    found.map(|attribute| &attribute.value)
}

fn text<'a>(attributes: &'a [KeyValue], name: &str) -> Option<Cow<'a, str>> {
    value(attributes, name).map(Value::as_str)
}

fn number(attributes: &[KeyValue], name: &str) -> Option<u64> {
    match value(attributes, name) {
        Some(Value::I64(number)) => u64::try_from(*number).ok(),
        _ => None,
    }
}

/// What a span tells; nothing if it is about something else.
pub(crate) fn calls(unit: Unit, kind: &SpanKind, attributes: &[KeyValue]) -> Vec<Call> {
    let is_call = *kind == SpanKind::Client && value(attributes, names::DB_SYSTEM_NAME).is_some();
    let (forms, times) = match unit {
        Unit::Statements(_) | Unit::Operations | Unit::Commands if !is_call => return Vec::new(),
        Unit::Statements(dialect) => {
            (told_statements(dialect, attributes), names::DB_OPERATION_BATCH_SIZE)
        }
        Unit::Operations => (told_operation(attributes), names::DB_OPERATION_BATCH_SIZE),
        Unit::Commands => (told_commands(attributes), ""),
        Unit::Sent => (told_message("send", attributes), names::MESSAGING_BATCH_MESSAGE_COUNT),
        Unit::Received => {
            (told_message("receive", attributes), names::MESSAGING_BATCH_MESSAGE_COUNT)
        }
        Unit::Settled => (told_message("settle", attributes), names::MESSAGING_BATCH_MESSAGE_COUNT),
    };
    let refused = value(attributes, names::DB_RESPONSE_STATUS_CODE).is_some();
    let outcome = match value(attributes, names::ERROR_TYPE) {
        None => Outcome::Done,
        // Of several statements, nobody says which.
        Some(_) if refused && forms.len() == 1 => Outcome::Refused,
        Some(_) => Outcome::Failed,
    };
    let times = number(attributes, times).unwrap_or(1);
    forms.into_iter().map(|form| Call { form, outcome, times }).collect()
}

fn told_statements(dialect: Dialect, attributes: &[KeyValue]) -> Vec<Form> {
    let summary = text(attributes, names::DB_QUERY_SUMMARY);
    let query = text(attributes, names::DB_QUERY_TEXT).unwrap_or_default();
    let is_preparation = |text: &str| text.starts_with("PREPARE ");
    if summary.as_deref().is_some_and(is_preparation)
        && !is_preparation(&query.trim_start().to_ascii_uppercase())
    {
        // It is to be run later.
        return Vec::new();
    }
    let by_text = statements(dialect, &query, summary.as_deref());
    if by_text.is_empty() { told_operation(attributes) } else { by_text }
}

fn told_operation(attributes: &[KeyValue]) -> Vec<Form> {
    let Some(name) = text(attributes, names::DB_OPERATION_NAME) else { return Vec::new() };
    let words = [Some(name), text(attributes, names::DB_COLLECTION_NAME)];
    vec![operation(words.into_iter().flatten().collect::<Vec<_>>().join(" "))]
}

/// Each command of a span once, and of a transaction those that begin and end it.
fn told_commands(attributes: &[KeyValue]) -> Vec<Form> {
    let query = text(attributes, names::DB_QUERY_TEXT).unwrap_or_default();
    let name = text(attributes, names::DB_OPERATION_NAME).unwrap_or_default();
    let (batch, shared) = match name.split_once(' ') {
        Some((batch, shared)) => (batch, Some(shared)),
        None if ["MULTI", "PIPELINE"].contains(&&*name) => (&*name, None),
        None => ("", Some(&*name)),
    };
    let mut words = commands(&query);
    if words.is_empty() {
        words.extend(shared);
    }
    let size = number(attributes, names::DB_OPERATION_BATCH_SIZE);
    // All are the same; of others the text was cut off.
    if let (Some(size), [one], Some(_)) = (size, &words[..], shared) {
        words = vec![*one; usize::try_from(size).unwrap_or_default()];
    }
    if batch == "MULTI" {
        words.extend(["MULTI", "EXEC"]);
    }
    words.into_iter().map(|word| operation(word.to_ascii_uppercase())).collect()
}

/// The first words of commands that are written as `redis-cli` takes them, with `; ` between them.
fn commands(text: &str) -> Vec<&str> {
    let (mut quoted, mut before) = (false, ' ');
    let pieces = text.split(|character| {
        let ends = (before, character) == (';', ' ') && !quoted;
        quoted ^= character == '"' && before != '\\';
        before = if before == '\\' && character == '\\' { ' ' } else { character };
        ends
    });
    let words = pieces.filter_map(|piece| piece.split([' ', ';']).next());
    words.filter(|word| !word.is_empty()).collect()
}

fn told_message(step: &str, attributes: &[KeyValue]) -> Vec<Form> {
    let is_step = text(attributes, names::MESSAGING_OPERATION_TYPE).is_some_and(|it| it == step);
    let destination = text(attributes, names::MESSAGING_DESTINATION_NAME).filter(|_| is_step);
    let place = |destination: &str| {
        if let Some(id) = text(attributes, fact::MESSAGE_ID.name()) {
            return Some(format!("{destination}[{id}]"));
        }
        let partition = text(attributes, names::MESSAGING_DESTINATION_PARTITION_ID)?;
        let offset = number(attributes, fact::KAFKA_OFFSET.name())?;
        Some(format!("{destination}[{partition}]@{offset}"))
    };
    let form = destination.map(|destination| {
        let kind = destination.into_owned();
        Form { text: place(&kind).unwrap_or_else(|| kind.clone()), kind }
    });
    form.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a server has of a statement, and what a span says.
    #[test]
    fn two_ways_to_write_a_statement_have_one_form() {
        for (server, span) in [
            // Literals are numbered as parameters are.
            ("SELECT name FROM users WHERE id = $1", "SELECT name FROM users WHERE id = ?"),
            ("SELECT name FROM users WHERE id = 7", "SELECT name FROM users WHERE id = ?"),
            ("SELECT name FROM users WHERE id = ?", "SELECT name FROM users WHERE id = $1"),
            (
                "SELECT name FROM users\n  WHERE id = $1 -- x",
                "SELECT name FROM users WHERE id = ? ",
            ),
            ("INSERT INTO users VALUES ($1, $2),($3,$4);", "INSERT INTO users VALUES (?, ?),(?,?)"),
            ("begin", "BEGIN"),
            ("SAVEPOINT _sqlx_savepoint_1", "SAVEPOINT"),
            ("release savepoint $1", "RELEASE SAVEPOINT"),
            ("ROLLBACK TO SAVEPOINT a", "ROLLBACK TO SAVEPOINT"),
        ] {
            let of = |text| forms(Unit::Statements(Dialect::PostgreSql), text);
            let (server, span) = (of(server), of(span));
            assert_eq!(server.len(), 1, "{server:?}");
            let same = server[0].kind == span[0].kind;
            assert!(
                same && server[0].text.eq_ignore_ascii_case(&span[0].text),
                "{server:?} {span:?}"
            );
        }
    }

    #[test]
    fn others_have_not() {
        let of = |text| forms(Unit::Statements(Dialect::PostgreSql), text);
        let forms: Vec<_> = [
            "SELECT name FROM users WHERE id = $1",
            "SELECT name FROM users WHERE id = $1 AND name = $2",
            "SELECT name FROM orders WHERE id = $1",
            "ROLLBACK",
            "ROLLBACK TO SAVEPOINT a",
            "SAVEPOINT a",
            "SELECT $body$ one $body$",
            "SELEC $1",
        ]
        .into_iter()
        .flat_map(of)
        .collect();
        for (number, form) in forms.iter().enumerate() {
            assert_eq!(forms.iter().position(|other| other == form), Some(number), "{form:?}");
        }
        assert_eq!(forms.len(), 8);
    }

    #[test]
    fn a_text_of_several_statements_is_several() {
        let of = |text| forms(Unit::Statements(Dialect::MariaDb), text);
        let texts = |text| of(text).into_iter().map(|form| form.text).collect::<Vec<_>>();
        assert_eq!(texts(""), [""; 0]);
        assert_eq!(texts(" ; ;"), [""; 0]);
        assert_eq!(texts("SELECT 1; DELETE FROM a;"), ["SELECT ?", "DELETE FROM a"]);
        assert_eq!(texts("SELECT ';', `a;b`"), ["SELECT ?, `a;b`"]);
        // Of what cannot be told apart, nothing is shown but the summary.
        assert_eq!(texts("DELETE FROM a; SELECT 'secret; SELECT 2"), ["DELETE A", "SELECT"]);
        assert_eq!(texts("SELEC 'secret"), ["SELEC"]);
    }

    fn told(attributes: &[(&'static str, &'static str)]) -> Vec<(String, Outcome, u64)> {
        let attributes = attributes.iter().map(|(key, value)| KeyValue::new(*key, *value));
        let size = KeyValue::new(names::DB_OPERATION_BATCH_SIZE, 3);
        let attributes: Vec<_> = attributes.chain([size]).collect();
        let calls = calls(Unit::Statements(Dialect::Generic), &SpanKind::Client, &attributes);
        calls.into_iter().map(|call| (call.form.text, call.outcome, call.times)).collect()
    }

    #[test]
    fn a_span_tells_of_its_statements() {
        let system = (names::DB_SYSTEM_NAME, "test");
        let text = (names::DB_QUERY_TEXT, "SELECT a FROM b");
        let several = (names::DB_QUERY_TEXT, "SELECT 1; SELECT 2");
        let failed = (names::ERROR_TYPE, "42");
        let refused = (names::DB_RESPONSE_STATUS_CODE, "42");
        let select = "SELECT a FROM b".to_owned();
        assert_eq!(told(&[text]), [], "of no database");
        assert_eq!(told(&[system, text]), [(select.clone(), Outcome::Done, 3)]);
        assert_eq!(told(&[system, text, refused]), [(select.clone(), Outcome::Done, 3)]);
        assert_eq!(told(&[system, text, failed]), [(select.clone(), Outcome::Failed, 3)]);
        assert_eq!(told(&[system, text, failed, refused]), [(select, Outcome::Refused, 3)]);
        let each = ("SELECT ?".to_owned(), Outcome::Failed, 3);
        assert_eq!(told(&[system, several, failed, refused]), [each.clone(), each]);
        // A preparation runs nothing; without a text, or with a part of it, the summary tells.
        assert_eq!(told(&[system, text, (names::DB_QUERY_SUMMARY, "PREPARE SELECT b")]), []);
        let two = (names::DB_QUERY_SUMMARY, "SELECT b; DELETE c");
        let by_summary = ["SELECT B", "DELETE C"].map(|it| (it.to_owned(), Outcome::Done, 3));
        assert_eq!(told(&[system, two]), by_summary);
        assert_eq!(told(&[system, text, two]), by_summary);
        let find = [(names::DB_OPERATION_NAME, "find"), (names::DB_COLLECTION_NAME, "orders")];
        assert_eq!(
            told(&[system, find[0], find[1]]),
            [("find orders".to_owned(), Outcome::Done, 3)]
        );
    }

    #[test]
    fn a_span_tells_of_its_operation() {
        let attributes = [
            KeyValue::new(names::DB_SYSTEM_NAME, "mongodb"),
            KeyValue::new(names::DB_OPERATION_NAME, "insert"),
            KeyValue::new(names::DB_COLLECTION_NAME, "orders"),
            KeyValue::new(names::DB_QUERY_TEXT, r#"{"insert": "orders"}"#),
            KeyValue::new(names::DB_OPERATION_BATCH_SIZE, 3),
        ];
        let of = |attributes| {
            let calls = calls(Unit::Operations, &SpanKind::Client, attributes);
            calls.into_iter().map(|it| (it.form.text, it.times)).collect::<Vec<_>>()
        };
        assert_eq!(of(&attributes), [("insert orders".to_owned(), 3)]);
        assert_eq!(of(&attributes[..2]), [("insert".to_owned(), 1)]);
        assert_eq!(of(&attributes[..1]), []);
        assert_eq!(of(&attributes[1..]), []);
        assert_eq!(forms(Unit::Operations, "insert orders")[0].text, "insert orders");
    }

    #[test]
    fn a_span_tells_of_its_commands() {
        let of = |name: &'static str, text: &'static str, size: i64| {
            let attributes = [
                KeyValue::new(names::DB_SYSTEM_NAME, "redis"),
                KeyValue::new(names::DB_OPERATION_NAME, name),
                KeyValue::new(names::DB_QUERY_TEXT, text),
                KeyValue::new(names::DB_OPERATION_BATCH_SIZE, size),
            ];
            let told = &attributes[..if size > 0 { 4 } else { 3 }];
            let calls = calls(Unit::Commands, &SpanKind::Client, told);
            assert!(calls.iter().all(|call| call.times == 1));
            calls.into_iter().map(|call| call.form.text).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(of("GET", "GET key", 0), "GET");
        assert_eq!(of("get", "get key", 0), "GET");
        assert_eq!(of("PIPELINE", "SET key ?; GET key", 2), "SET GET");
        assert_eq!(of("PIPELINE GET", "GET key", 3), "GET GET GET");
        assert_eq!(of("MULTI", r#"SET "a; b\"; c" ?; PING"#, 2), "SET PING MULTI EXEC");
        // A key that has the sign is quoted only where it has a space too.
        assert_eq!(of("PIPELINE", "GET a;b; PING", 2), "GET PING");
        assert_eq!(of("MULTI", "", 0), "MULTI EXEC");
        assert_eq!(of("MULTI GET", "", 2), "GET GET MULTI EXEC");
        assert_eq!(of("PIPELINE", "", 2), "");
        assert_eq!(of("PIPELINE", "SET long", 2), "SET");
        assert_eq!(of("GET", "", 0), "GET");
        assert_eq!(forms(Unit::Commands, "get")[0].text, "GET");
    }

    #[test]
    fn a_message_is_where_it_lies() {
        let of = |step: &'static str, more: &[KeyValue]| {
            let step = KeyValue::new(names::MESSAGING_OPERATION_TYPE, step);
            let place = [
                KeyValue::new(names::MESSAGING_DESTINATION_NAME, "orders"),
                KeyValue::new(names::MESSAGING_DESTINATION_PARTITION_ID, "0"),
            ];
            let attributes: Vec<_> = place.into_iter().chain([step]).chain(more.to_vec()).collect();
            let calls = calls(Unit::Sent, &SpanKind::Producer, &attributes);
            calls.into_iter().map(|it| (it.form.kind, it.form.text, it.times)).collect::<Vec<_>>()
        };
        let orders = |text: &str, times| [("orders".to_owned(), text.to_owned(), times)];
        let offset = KeyValue::new(fact::KAFKA_OFFSET.name(), 17);
        let id = KeyValue::new(fact::MESSAGE_ID.name(), "a-1");
        let count = KeyValue::new(names::MESSAGING_BATCH_MESSAGE_COUNT, 5);
        assert_eq!(of("send", std::slice::from_ref(&offset)), orders("orders[0]@17", 1));
        assert_eq!(of("send", &[id]), orders("orders[a-1]", 1));
        assert_eq!(of("send", &[count]), orders("orders", 5));
        assert_eq!(of("receive", &[offset]), []);
    }
}
