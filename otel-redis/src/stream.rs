//! What commands of streams and of pub/sub say: where messages go to or come from, what they carry,
//! and where they stand in an answer. What is not understood is left as it is.
//!
//! Source: <https://redis.io/docs/latest/commands/?group=stream>.

use redis::Value;

use crate::carrier::{Headers, MAGIC};
use crate::request::Arguments;

/// Stands behind the fields that were written to carry a context, and tells how many they are.
pub(crate) const MARKER: &str = "otel.fields";
/// No propagators write more.
pub(crate) const MOST_FIELDS: usize = 16;

/// What a command does with messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Adds an entry to a stream; whether that can carry more than it has.
    Add(bool),
    /// Publishes to a channel.
    Publish,
    /// Gives entries of streams, in this form.
    Read(Form),
    /// Gives entries of the past, which nobody is to handle.
    Look,
    /// Says that entries are done with, or not.
    Settle,
}

/// How entries stand in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Each stream with its entries.
    Streams,
    /// Entries of one stream.
    Entries,
    /// These behind a cursor.
    Claimed,
}

/// A command that is about messages.
#[derive(Clone, Debug)]
pub(crate) struct Command<'r> {
    pub(crate) name: &'static str,
    pub(crate) act: Act,
    /// The stream or the channel, if it is one.
    pub(crate) place: Option<&'r [u8]>,
    pub(crate) group: Option<&'r [u8]>,
    /// Whether it waits until there is a message.
    pub(crate) waits: bool,
    /// Whether it asks for one entry.
    pub(crate) asks_for_one: bool,
    words: Vec<&'r [u8]>,
    /// Where the fields, the payload or the ids begin.
    rest: usize,
}

const COMMANDS: [(&str, Act); 12] = [
    ("XADD", Act::Add(true)),
    ("PUBLISH", Act::Publish),
    ("SPUBLISH", Act::Publish),
    ("XREAD", Act::Read(Form::Streams)),
    ("XREADGROUP", Act::Read(Form::Streams)),
    ("XCLAIM", Act::Read(Form::Entries)),
    ("XAUTOCLAIM", Act::Read(Form::Claimed)),
    ("XRANGE", Act::Look),
    ("XREVRANGE", Act::Look),
    ("XACK", Act::Settle),
    ("XACKDEL", Act::Settle),
    ("XNACK", Act::Settle),
];

/// The command of this name, if it is about messages.
fn known(name: &[u8]) -> Option<(&'static str, Act)> {
    COMMANDS.into_iter().find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// What a command does with messages, by its name.
pub(crate) fn act<'r>(mut command: impl Arguments<'r>) -> Option<Act> {
    known(command.next()?).map(|(_, act)| act)
}

/// Whether what a command publishes would be taken for an envelope.
pub(crate) fn is_like_envelope<'r>(command: impl Arguments<'r>) -> bool {
    act(command.clone()) == Some(Act::Publish)
        && command.last().is_some_and(|payload| payload.starts_with(MAGIC))
}

impl<'r> Command<'r> {
    /// Reads a command, if it is about messages and is understood.
    pub(crate) fn read(command: impl Arguments<'r>) -> Option<Self> {
        let (name, act) = known(command.clone().next()?)?;
        let words: Vec<_> = command.collect();
        let (place, group) = (words.get(1).copied(), words.get(2).copied());
        let new = Self {
            name,
            act,
            place,
            group: None,
            waits: false,
            asks_for_one: false,
            words,
            rest: 0,
        };
        match act {
            Act::Add(_) => new.add(),
            Act::Publish => (new.words.len() == 3).then_some(Self { rest: 2, ..new }),
            Act::Read(Form::Streams) => new.read_streams(),
            Act::Read(_) => {
                let is_ids_alone = new.words.iter().skip(4).any(|word| is(word, "JUSTID"));
                (!is_ids_alone && group.is_some()).then_some(Self { group, ..new })
            }
            Act::Look => Some(new),
            Act::Settle => new.settle(group?),
        }
    }

    fn add(mut self) -> Option<Self> {
        let mut at = 2;
        let id = loop {
            let word = *self.words.get(at)?;
            let follows = |known: &[&str]| known.iter().any(|known| is(word, known));
            at += if follows(&["NOMKSTREAM", "KEEPREF", "DELREF", "ACKED"]) {
                1
            } else if follows(&["LIMIT"]) {
                2
            } else if follows(&["MAXLEN", "MINID"]) {
                let next = self.words.get(at + 1)?;
                if is(next, "~") || is(next, "=") { 3 } else { 2 }
            } else if follows(&["IDMP"]) {
                3
            } else if follows(&["IDMPAUTO"]) {
                // The server tells by the fields whether it has the entry already.
                self.act = Act::Add(false);
                2
            } else {
                break word;
            };
        };
        self.rest = at + 1;
        let fields = self.rest().len();
        let is_id = id == b"*" || id.first().is_some_and(u8::is_ascii_digit);
        (is_id && fields > 0 && fields.is_multiple_of(2)).then_some(self)
    }

    fn read_streams(mut self) -> Option<Self> {
        let mut at = 1;
        loop {
            let word = *self.words.get(at)?;
            at += if is(word, "STREAMS") {
                break;
            } else if is(word, "NOACK") {
                1
            } else if is(word, "GROUP") {
                self.group = self.words.get(at + 1).copied();
                3
            } else {
                // COUNT, BLOCK, CLAIM.
                let value = self.words.get(at + 1)?;
                self.waits |= is(word, "BLOCK") && is(value, "0");
                self.asks_for_one |= is(word, "COUNT") && is(value, "1");
                2
            };
        }
        // As many ids follow as streams.
        let streams = &self.words[at + 1..];
        self.place = if let [one, _] = streams { Some(one) } else { None };
        self.asks_for_one &= self.place.is_some();
        Some(self)
    }

    fn settle(mut self, group: &'r [u8]) -> Option<Self> {
        self.group = Some(group);
        let ids = self.words.iter().position(|word| is(word, "IDS"));
        self.rest = if self.name == "XACK" { 3 } else { ids? + 2 };
        Some(self)
    }

    /// The fields, the payload or the ids.
    pub(crate) fn rest(&self) -> &[&'r [u8]] {
        self.words.get(self.rest..).unwrap_or_default()
    }

    pub(crate) fn words(&self) -> impl Arguments<'r> {
        self.words.iter().copied()
    }

    /// How many words stand before these.
    pub(crate) fn kept(&self) -> usize {
        self.rest
    }

    /// The bytes of the message.
    pub(crate) fn size(&self) -> i64 {
        sum(self.rest().iter().map(|word| word.len()))
    }
}

fn is(word: &[u8], known: &str) -> bool {
    word.eq_ignore_ascii_case(known.as_bytes())
}

fn sum(lengths: impl Iterator<Item = usize>) -> i64 {
    i64::try_from(lengths.sum::<usize>()).unwrap_or(i64::MAX)
}

/// An entry of a stream in an answer.
pub(crate) struct Entry<'v> {
    pub(crate) stream: &'v [u8],
    pub(crate) id: &'v [u8],
    fields: &'v mut Vec<Value>,
}

impl Entry<'_> {
    /// The fields with a name that is text.
    pub(crate) fn headers(&self) -> Headers<'_> {
        let fields = self
            .fields
            .as_chunks::<2>()
            .0
            .iter()
            .filter_map(|[name, value]| Some((text(name)?, bytes(value)?)));
        Headers(fields.collect())
    }

    /// Takes away what carries the context, if it was written by this crate: as many fields as the
    /// marker says, each of a name that `is_header`.
    pub(crate) fn strip(&mut self, is_header: impl Fn(&str) -> bool) {
        let Some((before, [name, count])) = self.fields.split_last_chunk() else { return };
        let Some(number) = text(count).filter(|_| text(name) == Some(MARKER)) else { return };
        let Ok(number) = number.parse::<usize>() else { return };
        let left = number.checked_mul(2).and_then(|words| before.len().checked_sub(words));
        let Some((left, written)) = left.and_then(|left| before.split_at_checked(left)) else {
            return;
        };
        let (pairs, odd) = written.as_chunks::<2>();
        let is_written = |[name, _]: &[Value; 2]| text(name).is_some_and(&is_header);
        if number > 0 && odd.is_empty() && pairs.iter().all(is_written) {
            let left = left.len();
            self.fields.truncate(left);
        }
    }

    pub(crate) fn size(&self) -> i64 {
        sum(self.fields.iter().filter_map(bytes).map(<[u8]>::len))
    }
}

/// The entries of an answer to a command.
pub(crate) fn entries<'v>(command: &Command<'v>, answer: &'v mut Value) -> Vec<Entry<'v>> {
    let mut found = Vec::new();
    let stream = command.place.unwrap_or_default();
    match (command.act, inner(answer)) {
        (Act::Read(Form::Streams), Value::Map(streams)) => {
            for (stream, entries) in streams {
                of_stream(bytes(stream), entries, &mut found);
            }
        }
        (Act::Read(Form::Streams), Value::Array(streams)) => {
            for one in streams {
                if let Value::Array(one) = inner(one)
                    && let [stream, entries] = &mut one[..]
                {
                    of_stream(bytes(stream), entries, &mut found);
                }
            }
        }
        (Act::Read(Form::Claimed), Value::Array(parts)) => {
            if let [_, entries, ..] = &mut parts[..] {
                of_stream(Some(stream), entries, &mut found);
            }
        }
        (Act::Read(Form::Entries) | Act::Look, answer) => {
            of_stream(Some(stream), answer, &mut found);
        }
        _ => {}
    }
    found
}

fn of_stream<'v>(stream: Option<&'v [u8]>, entries: &'v mut Value, found: &mut Vec<Entry<'v>>) {
    let (Some(stream), Value::Array(entries)) = (stream, inner(entries)) else { return };
    found.extend(entries.iter_mut().filter_map(|entry| {
        let Value::Array(entry) = inner(entry) else { return None };
        // One that was deleted has no fields; one that was claimed has more behind them.
        let [id, fields, ..] = &mut entry[..] else { return None };
        let Value::Array(fields) = inner(fields) else { return None };
        Some(Entry { stream, id: bytes(id)?, fields })
    }));
}

/// Without the attributes that a server may put around a value.
fn inner(value: &mut Value) -> &mut Value {
    match value {
        Value::Attribute { data, .. } => inner(data),
        value => value,
    }
}

fn text(value: &Value) -> Option<&str> {
    str::from_utf8(bytes(value)?).ok()
}

fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.as_bytes()),
        _ => None,
    }
}
