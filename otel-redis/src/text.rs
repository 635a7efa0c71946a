//! The text of a command as `redis-cli` takes it, with what `commands.txt` allows of it.

use std::sync::LazyLock;

use otel_core::db::TextWanted;

use crate::request::Arguments;

/// A command of which more than the number of its arguments is shown, and what of it.
struct Row {
    name: &'static str,
    signs: Vec<Sign>,
}

/// What is shown next: the head of `commands.txt` has them in the same order.
enum Sign {
    Key,
    Name,
    Value,
    Counted,
    AllBut(usize),
    Half,
    OneOf(Vec<&'static str>),
    /// Each with the number of values behind it; none for a key.
    Options(Vec<(&'static str, Option<usize>)>),
    Again,
}

/// Shortest names first, since most names differ by their length.
static COMMANDS: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let rows = include_str!("commands.txt").lines().filter(|line| !line.starts_with('#'));
    // The mark of a reviewed row is for who makes the file anew.
    let rows = rows.map(|row| row.strip_prefix('!').unwrap_or(row));
    let rows = rows.map(|row| row.split_once(' ').unwrap_or((row, "")));
    let row = |(name, signs): (_, &'static str)| Row {
        name,
        signs: signs.split_ascii_whitespace().map(Sign::new).collect(),
    };
    let mut rows: Vec<_> = rows.map(row).collect();
    rows.sort_unstable_by_key(|row| (row.name.len(), row.name));
    rows
});

impl Sign {
    fn new(text: &'static str) -> Self {
        let option = |word: &'static str| {
            let (word, values) = word.split_once(':').unwrap_or((word, "0"));
            (word, values.parse().ok())
        };
        match text.split_at_checked(1) {
            Some(("#", _)) => Self::Counted,
            Some(("-", others)) => Self::AllBut(others.parse().unwrap_or(usize::MAX)),
            Some(("<", words)) => Self::OneOf(words.trim_end_matches('>').split('|').collect()),
            Some(("[", words)) => {
                Self::Options(words.trim_end_matches(']').split('|').map(option).collect())
            }
            Some(("{", _)) => Self::Again,
            _ => match text {
                "key" => Self::Key,
                "name" => Self::Name,
                "half" => Self::Half,
                _ => Self::Value,
            },
        }
    }
}

/// Commands that log somebody in, or may: not shown in any setting.
const SECRET: [&str; 6] = ["ACL", "AUTH", "CONFIG", "HELLO", "MIGRATE", "SENTINEL"];

fn is(word: &[u8], known: &str) -> bool {
    word.eq_ignore_ascii_case(known.as_bytes())
}

/// The row of a command, by its name alone or with its first argument as a word of it.
fn row(name: &[u8], first: Option<&[u8]>) -> Option<&'static Row> {
    // As the file has them: `CLIENT|LIST`.
    let mut upper = [0; 2 * crate::call::LONGEST];
    let find = |known: &[u8]| {
        let order = |row: &Row| (row.name.len(), row.name.as_bytes()).cmp(&(known.len(), known));
        COMMANDS.get(COMMANDS.binary_search_by(order).ok()?)
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

/// Whether an argument needs no quotes, as most do. All of it is looked at, which is faster.
fn is_plain(argument: &[u8]) -> bool {
    let is_odd = |byte: u8| !byte.is_ascii_graphic() | matches!(byte, b'"' | b'\'' | b'\\');
    !argument.is_empty() && !argument.iter().fold(false, |odd, byte| odd | is_odd(*byte))
}

/// A text that is written.
pub(crate) struct Text {
    written: String,
    wanted: TextWanted,
    verbatim: bool,
    /// The row of the last command, which the next one often is too.
    last: Option<&'static Row>,
    /// How many commands were the same so far, unless one was another, and how long the first is.
    same: Option<usize>,
    first: usize,
}

impl Text {
    pub(crate) fn new(wanted: TextWanted) -> Self {
        let (written, same) = (String::with_capacity(64), Some(0));
        Self { written, wanted, verbatim: false, last: None, same, first: 0 }
    }

    /// Writes a command behind the others. As long as all say the same, the first stands for all.
    pub(crate) fn add<'a>(&mut self, command: impl Arguments<'a>) {
        let before = self.written.len();
        if before > 0 {
            self.written.push_str("; ");
        }
        self.command(command);
        let Some(same) = self.same else { return };
        self.same = if same == 0 {
            self.first = self.written.len();
            Some(1)
        } else if self.written.get(before + 2..) == self.written.get(..self.first) {
            self.written.truncate(before);
            Some(same + 1)
        } else {
            if same > 1 {
                let other = self.written.split_off(before);
                for _ in 1..same {
                    if !self.is_full() {
                        self.written.push_str("; ");
                        self.written.extend_from_within(..self.first);
                    }
                }
                self.written.push_str(&other);
            }
            None
        };
    }

    /// Writes one command.
    fn command<'a>(&mut self, mut arguments: impl Arguments<'a>) {
        let name = arguments.next().unwrap_or_default();
        self.verbatim = self.wanted.verbatim && !SECRET.iter().any(|secret| is(name, secret));
        self.written.push_str(crate::call::name(Some(name)));
        if self.last.is_none_or(|last| !is(name, last.name)) {
            self.last = row(name, arguments.clone().next());
        }
        let Some(row) = self.last else { return self.values(arguments) };
        if row.name.len() > name.len() {
            self.word(arguments.next());
        }
        self.follow(&row.signs, arguments);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.written.len() >= self.wanted.longest
    }

    pub(crate) fn into_string(self) -> String {
        self.written
    }

    /// Shows arguments as the signs say.
    fn follow<'a>(&mut self, signs: &'static [Sign], mut arguments: impl Arguments<'a>) {
        let (mut signs, mut again) = (signs.iter(), None);
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
            match sign {
                Sign::Key => self.names(1, &mut arguments),
                Sign::Name if left.is_some_and(crate::call::is_name) => {
                    self.word(arguments.next());
                }
                Sign::Name | Sign::Value => self.values(arguments.by_ref().take(1)),
                Sign::Counted => {
                    let count = left.and_then(|left| str::from_utf8(left).ok()?.parse().ok());
                    let Some(count) = count else { break };
                    self.word(arguments.next());
                    self.names(count, &mut arguments);
                }
                Sign::AllBut(others) => {
                    let count = arguments.clone().count().saturating_sub(*others);
                    self.names(count, &mut arguments);
                }
                Sign::Half => {
                    let count = arguments.clone().count() / 2;
                    self.names(count, &mut arguments);
                }
                Sign::OneOf(words) => {
                    if left.is_none_or(|left| !words.iter().any(|word| is(left, word))) {
                        break;
                    }
                    self.word(arguments.next());
                }
                Sign::Options(words) => self.options(words, &mut arguments),
                Sign::Again => again = Some(signs.clone()),
            }
        }
        self.values(arguments);
    }

    /// Shows words of a list, in any order, each with the values, or the key, behind it.
    fn options<'a>(
        &mut self,
        words: &[(&'static str, Option<usize>)],
        arguments: &mut impl Arguments<'a>,
    ) {
        while let Some(argument) = arguments.clone().next() {
            let Some((_, values)) = words.iter().find(|(word, _)| is(argument, word)) else {
                return;
            };
            self.word(arguments.next());
            match values {
                Some(values) => self.values(arguments.by_ref().take(*values)),
                None => self.names(1, arguments),
            }
        }
    }

    /// Shows names, such as keys.
    fn names<'a>(&mut self, count: usize, arguments: &mut impl Arguments<'a>) {
        for argument in arguments.by_ref().take(count) {
            if self.is_full() {
                return;
            }
            if self.wanted.keys || self.verbatim {
                self.quoted(argument)
            } else {
                self.written.push_str(" ?")
            }
        }
    }

    fn values<'a>(&mut self, arguments: impl Iterator<Item = &'a [u8]>) {
        for argument in arguments {
            if self.is_full() {
                return;
            }
            if self.verbatim { self.quoted(argument) } else { self.written.push_str(" ?") }
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
        let is_odd = |character: char| {
            character.is_control() || character.is_whitespace() || "\"'\\".contains(character)
        };
        match str::from_utf8(argument) {
            Ok(text) if is_plain(argument) || !text.is_empty() && !text.contains(is_odd) => {
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
