//! The text of a command as `redis-cli` takes it, with what `commands.txt` allows of it.

use std::sync::LazyLock;

use otel_core::db::TextWanted;

use crate::request::Arguments;

/// The commands of which more than their number of arguments is shown, sorted, with what of it.
static COMMANDS: LazyLock<Vec<(&str, &str)>> = LazyLock::new(|| {
    let rows = include_str!("commands.txt").lines().filter(|line| !line.starts_with('#'));
    // The mark of a reviewed row is for who makes the file anew.
    let rows = rows.map(|row| row.strip_prefix('!').unwrap_or(row));
    let mut rows: Vec<_> = rows.map(|row| row.split_once(' ').unwrap_or((row, ""))).collect();
    rows.sort_unstable();
    rows
});

/// Commands that log somebody in, or may: not shown in any setting.
const SECRET: [&str; 6] = ["ACL", "AUTH", "CONFIG", "HELLO", "MIGRATE", "SENTINEL"];

fn is(word: &[u8], known: &str) -> bool {
    word.eq_ignore_ascii_case(known.as_bytes())
}

/// The row of a command, by its name alone or with its first argument as a word of it.
fn row(name: &[u8], first: Option<&[u8]>) -> Option<(&'static str, &'static str)> {
    // As the file has them: `CLIENT|LIST`.
    let mut upper = [0; 2 * crate::call::LONGEST];
    let find = |known: &[u8]| {
        let at = COMMANDS.binary_search_by(|(name, _)| name.as_bytes().cmp(known)).ok()?;
        COMMANDS.get(at).copied()
    };
    let one = put(&mut upper, 0, name)?;
    find(upper.get(..one)?).or_else(|| {
        let two = put(&mut upper, one, b"|").and_then(|at| put(&mut upper, at, first?))?;
        find(upper.get(..two)?)
    })
}

/// Writes a word in capitals, and tells where it ends: nowhere, if it is longer than any that is known.
fn put(upper: &mut [u8], at: usize, word: &[u8]) -> Option<usize> {
    let end = at.checked_add(word.len())?;
    let place = upper.get_mut(at..end)?;
    place.copy_from_slice(word);
    place.make_ascii_uppercase();
    Some(end)
}

/// A text that is written.
pub(crate) struct Text {
    written: String,
    wanted: TextWanted,
    verbatim: bool,
    /// The row of the last command, which the next one often is too.
    last: Option<(&'static str, &'static str)>,
}

impl Text {
    pub(crate) fn new(wanted: TextWanted) -> Self {
        Self { written: String::with_capacity(64), wanted, verbatim: false, last: None }
    }

    /// Writes one command.
    pub(crate) fn command<'a>(&mut self, mut arguments: impl Arguments<'a>) {
        let name = arguments.next().unwrap_or_default();
        self.verbatim = self.wanted.verbatim && !SECRET.iter().any(|secret| is(name, secret));
        self.written.push_str(crate::call::name(Some(name)));
        if self.last.is_none_or(|(known, _)| !is(name, known)) {
            self.last = row(name, arguments.clone().next());
        }
        let Some((known, pattern)) = self.last else {
            return self.values(arguments);
        };
        if known.len() > name.len() {
            self.word(arguments.next());
        }
        self.follow(pattern, arguments);
    }

    pub(crate) fn push(&mut self, text: &str) {
        self.written.push_str(text);
    }

    /// Writes its beginning once more.
    pub(crate) fn repeat(&mut self, beginning: usize) {
        if !self.is_full() {
            self.push("; ");
            self.written.extend_from_within(..beginning);
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.written
    }

    pub(crate) fn truncate(&mut self, length: usize) {
        self.written.truncate(length);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.written.len() >= self.wanted.longest
    }

    pub(crate) fn into_string(self) -> String {
        self.written
    }

    /// Shows arguments by a pattern, whose signs the head of `commands.txt` explains.
    fn follow<'a>(&mut self, pattern: &'static str, mut arguments: impl Arguments<'a>) {
        let mut signs = pattern.split_ascii_whitespace();
        let mut again = None;
        while !self.is_full() {
            let left = arguments.clone().next();
            let sign = match (signs.next(), &again) {
                (Some(sign), _) => sign,
                (None, Some(start)) if left.is_some() => {
                    signs = Clone::clone(start);
                    continue;
                }
                (None, _) => break,
            };
            match sign.split_at_checked(1) {
                Some(("{", _)) => again = Some(signs.clone()),
                Some(("[", words)) => self.options(words.trim_end_matches(']'), &mut arguments),
                Some(("<", words)) => {
                    let mut words = words.trim_end_matches('>').split('|');
                    if left.is_none_or(|left| !words.any(|word| is(left, word))) {
                        break;
                    }
                    self.word(arguments.next());
                }
                Some(("#", _)) => {
                    let count = left.and_then(|left| str::from_utf8(left).ok()?.parse().ok());
                    let Some(count) = count else { break };
                    self.word(arguments.next());
                    self.names(count, &mut arguments);
                }
                Some(("-", others)) => {
                    let others = others.parse().unwrap_or(usize::MAX);
                    let count = arguments.clone().count().saturating_sub(others);
                    self.names(count, &mut arguments);
                }
                _ if sign == "half" => {
                    let count = arguments.clone().count() / 2;
                    self.names(count, &mut arguments);
                }
                _ if sign == "key" => self.names(1, &mut arguments),
                _ if sign == "name" && left.is_some_and(crate::call::is_name) => {
                    self.word(arguments.next());
                }
                _ => self.values(arguments.by_ref().take(1)),
            }
        }
        self.values(arguments);
    }

    /// Shows words of a list, in any order, each with the values behind it.
    fn options<'a>(&mut self, words: &'static str, arguments: &mut impl Arguments<'a>) {
        while let Some(argument) = arguments.clone().next() {
            let parts = words.split('|').map(|word| word.split_once(':').unwrap_or((word, "0")));
            let Some((_, values)) = parts.into_iter().find(|(word, _)| is(argument, word)) else {
                return;
            };
            self.word(arguments.next());
            match values {
                "key" => self.names(1, arguments),
                values => self.values(arguments.by_ref().take(values.parse().unwrap_or(0))),
            }
        }
    }

    /// Shows names, such as keys.
    fn names<'a>(&mut self, count: usize, arguments: &mut impl Arguments<'a>) {
        for argument in arguments.by_ref().take(count) {
            if self.is_full() {
                return;
            }
            if self.wanted.keys || self.verbatim { self.quoted(argument) } else { self.push(" ?") }
        }
    }

    fn values<'a>(&mut self, arguments: impl Iterator<Item = &'a [u8]>) {
        for argument in arguments {
            if self.is_full() {
                return;
            }
            if self.verbatim { self.quoted(argument) } else { self.push(" ?") }
        }
    }

    /// What is known to be a word of the command, as it was sent.
    fn word(&mut self, word: Option<&[u8]>) {
        if let Some(word) = word {
            self.quoted(word);
        }
    }

    /// An argument, in quotes where `redis-cli` needs them; of a long one the beginning.
    fn quoted(&mut self, argument: &[u8]) {
        let longest = argument.len().min(self.wanted.longest);
        let argument = argument.get(..longest).unwrap_or_default();
        self.written.push(' ');
        // Most are.
        let is_plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\');
        let is_odd = |character: char| {
            character.is_control() || character.is_whitespace() || "\"'\\".contains(character)
        };
        match str::from_utf8(argument) {
            Ok(text)
                if !text.is_empty()
                    && (argument.iter().all(is_plain) || !text.contains(is_odd)) =>
            {
                self.written.push_str(text);
            }
            _ => {
                self.written.push('"');
                for chunk in argument.utf8_chunks() {
                    chunk.valid().chars().for_each(|character| self.escaped(character));
                    chunk.invalid().iter().for_each(|byte| self.hexadecimal(*byte));
                }
                self.written.push('"');
            }
        }
    }

    fn escaped(&mut self, character: char) {
        match character {
            '"' | '\\' => self.written.extend(['\\', character]),
            '\n' => self.written.push_str("\\n"),
            '\r' => self.written.push_str("\\r"),
            '\t' => self.written.push_str("\\t"),
            control if control.is_control() => {
                let mut bytes = [0; 4];
                control.encode_utf8(&mut bytes).bytes().for_each(|byte| self.hexadecimal(byte));
            }
            other => self.written.push(other),
        }
    }

    fn hexadecimal(&mut self, byte: u8) {
        let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or_default();
        self.written.extend(['\\', 'x', digit(byte >> 4), digit(byte & 15)]);
    }
}

#[cfg(test)]
mod tests;
