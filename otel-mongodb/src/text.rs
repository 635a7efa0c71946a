//! A command as a text that holds no data: its keys, and the collection that it names.

use std::fmt::Write as _;

use mongodb::bson::{Bson, Document};
use mongodb::options::{Collation, Hint, UpdateModifications};

use crate::command::{Command, is_of_a_collection};

/// What the driver adds to each command: it says nothing about the query.
const ADDED: [&str; 5] = ["$clusterTime", "$db", "$readPreference", "lsid", "txnNumber"];

/// Deeper values, and later elements of a list, are not looked at.
const DEPTH: usize = 32;
const ELEMENTS: usize = 100;

/// The command as JSON: keys as they are, each value `"?"`, equal neighbours of a list once. Ends
/// soon after so many bytes. None of what the driver redacts.
pub(crate) fn sanitized(command: Command<'_>, longest: usize) -> Option<String> {
    if command.is_redacted() {
        return None;
    }
    let mut text = Text::new(longest);
    let names_collection = match command.name {
        "getMore" => Some("collection"),
        name => Some(name).filter(|name| is_of_a_collection(name)),
    };
    let told = command.body.iter().filter(|(key, _)| !ADDED.contains(&key.as_str()));
    text.fields(told, names_collection, 0);
    Some(text.written)
}

/// A text while it is put together.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    written: String,
    longest: usize,
}

impl Text {
    pub(crate) fn new(longest: usize) -> Self {
        Self { written: String::new(), longest }
    }

    /// Fields that follow others.
    pub(crate) fn more(&mut self, fields: &Document) {
        for (key, value) in fields {
            self.written.push_str(", ");
            self.field(key, value, None, 0);
        }
    }

    /// With these words in front of the fields.
    pub(crate) fn of(self, command: &str, collection: Option<&str>) -> String {
        let mut whole = Self { written: "{".to_owned(), ..self };
        let collection = collection.map_or(Bson::Null, |name| Bson::String(name.to_owned()));
        whole.field(command, &collection, Some(command), 0);
        whole.written + &self.written + "}"
    }

    fn is_full(&self) -> bool {
        self.written.len() > self.longest
    }

    /// A document, with the value of the field that is a name.
    fn fields<'a>(
        &mut self,
        fields: impl Iterator<Item = (&'a String, &'a Bson)>,
        name: Option<&str>,
        depth: usize,
    ) {
        self.written.push('{');
        for (at, (key, value)) in fields.enumerate() {
            if self.is_full() {
                return;
            }
            if at > 0 {
                self.written.push_str(", ");
            }
            self.field(key, value, name, depth);
        }
        self.written.push('}');
    }

    fn field(&mut self, key: &str, value: &Bson, name: Option<&str>, depth: usize) {
        self.string(key);
        self.written.push_str(": ");
        match value {
            Bson::String(text) if name == Some(key) => self.string(text),
            _ => self.value(value, depth + 1),
        }
    }

    fn value(&mut self, value: &Bson, depth: usize) {
        match value {
            Bson::Document(inner) if depth < DEPTH => self.fields(inner.iter(), None, depth),
            Bson::Array(elements) if depth < DEPTH => self.list(elements, depth),
            _ => self.written.push_str("\"?\""),
        }
    }

    fn list(&mut self, elements: &[Bson], depth: usize) {
        self.written.push('[');
        let mut last = None;
        for element in elements.iter().take(ELEMENTS) {
            if self.is_full() {
                return;
            }
            let end = self.written.len();
            if last.is_some() {
                self.written.push_str(", ");
            }
            let start = self.written.len();
            self.value(element, depth + 1);
            let is_equal = last.is_some_and(|(from, to): (usize, usize)| {
                self.written.get(from..to) == self.written.get(start..)
            });
            if is_equal {
                self.written.truncate(end);
            } else {
                last = Some((start, self.written.len()));
            }
        }
        self.written.push(']');
    }

    /// No longer than what is told of it.
    fn string(&mut self, text: &str) {
        self.written.push('"');
        for character in text.chars() {
            if self.is_full() {
                break;
            }
            match character {
                '"' | '\\' => self.written.extend(['\\', character]),
                // Writing to a `String` cannot fail.
                _ if character.is_control() => {
                    _ = write!(self.written, "\\u{:04x}", u32::from(character));
                }
                _ => self.written.push(character),
            }
        }
        self.written.push('"');
    }
}

/// What is shown of what a setter takes.
pub(crate) trait Shown {
    /// Its keys; none of what has none.
    fn shown(&self) -> Bson {
        Bson::Null
    }
}

impl Shown for Document {
    fn shown(&self) -> Bson {
        self.clone().into()
    }
}

impl Shown for Vec<Document> {
    fn shown(&self) -> Bson {
        self.clone().into()
    }
}

impl Shown for Hint {
    fn shown(&self) -> Bson {
        if let Self::Keys(keys) = self { keys.shown() } else { Bson::Null }
    }
}

impl Shown for UpdateModifications {
    fn shown(&self) -> Bson {
        match self {
            Self::Document(document) => document.shown(),
            Self::Pipeline(stages) => stages.shown(),
            // Of a later version of the driver.
            _ => Bson::Null,
        }
    }
}

impl Shown for Collation {}
impl Shown for i64 {}
impl Shown for u64 {}

#[cfg(test)]
mod tests;
