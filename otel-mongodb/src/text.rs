//! A command as a text that holds no data: its keys, and the collection that it names.

use std::fmt::Write as _;

use mongodb::bson::Bson;

use crate::command::Command;

/// What the driver adds to each command: it says nothing about the query.
const ADDED: [&str; 4] = ["$clusterTime", "$db", "lsid", "txnNumber"];

/// Deeper values, and later elements of a list, are not looked at.
const DEPTH: usize = 32;
const ELEMENTS: usize = 100;

/// The command as JSON: keys as they are, each value `"?"`, equal neighbours of a list once. Ends
/// soon after so many bytes.
pub(crate) fn sanitized(command: Command<'_>, longest: usize) -> String {
    let mut text = Text { written: String::new(), longest };
    let names_collection = match command.name {
        "getMore" => Some("collection"),
        name => Some(name).filter(|_| command.is_of_a_collection()),
    };
    let told = command.body.iter().filter(|(key, _)| !ADDED.contains(&key.as_str()));
    text.fields(told, names_collection, 0);
    text.written
}

struct Text {
    written: String,
    longest: usize,
}

impl Text {
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
            self.string(key);
            self.written.push_str(": ");
            match value {
                Bson::String(text) if name == Some(key) => self.string(text),
                _ => self.value(value, depth + 1),
            }
        }
        self.written.push('}');
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

#[cfg(test)]
mod tests;
