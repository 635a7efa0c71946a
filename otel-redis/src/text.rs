//! The text of a command as `redis-cli` takes it, with what `commands.txt` allows of it.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::LazyLock;

use otel_core::db::TextWanted;

use crate::request::Arguments;

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

/// A command of which more than the number of its arguments is shown, and what of it.
type Row = (&'static [u8], &'static [Sign]);

/// By their names.
static COMMANDS: LazyLock<HashMap<&[u8], Vec<Sign>, BuildHasherDefault<Fnv>>> =
    LazyLock::new(|| {
        let rows = include_str!("commands.txt").lines().filter(|line| !line.starts_with('#'));
        // The mark of a reviewed row is for who makes the file anew.
        let rows = rows.map(|row| row.strip_prefix('!').unwrap_or(row));
        let rows = rows.map(|row| row.split_once(' ').unwrap_or((row, "")));
        let signs = |text: &'static str| text.split_ascii_whitespace().map(Sign::new).collect();
        rows.map(|(name, text)| (name.as_bytes(), signs(text))).collect()
    });

/// For names that are few, short and our own.
#[derive(Default)]
struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

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
fn row(name: &[u8], first: Option<&[u8]>) -> Option<Row> {
    // As the file has them: `CLIENT|LIST`.
    let mut upper = [0; 2 * crate::call::LONGEST];
    let find = |known: &[u8]| {
        let (name, signs) = COMMANDS.get_key_value(known)?;
        Some((*name, &signs[..]))
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

/// What an argument without quotes is made of, as most are.
static PLAIN: [bool; 256] = {
    let (mut plain, mut byte) = ([false; 256], b'!');
    while byte <= b'~' {
        plain[byte as usize] = !matches!(byte, b'"' | b'\'' | b'\\');
        byte += 1;
    }
    plain
};

/// A text that is written.
pub(crate) struct Text {
    /// In UTF-8.
    written: Vec<u8>,
    wanted: TextWanted,
    verbatim: bool,
    /// The row of the last command, which the next one often is too.
    last: Option<Row>,
    /// How many commands were the same so far, unless one was another, and how long the first is.
    same: Option<usize>,
    first: usize,
}

impl Text {
    pub(crate) fn new(wanted: TextWanted) -> Self {
        let (written, same) = (Vec::with_capacity(64), Some(0));
        Self { written, wanted, verbatim: false, last: None, same, first: 0 }
    }

    /// Writes a command behind the others. As long as all say the same, the first stands for all.
    pub(crate) fn add<'a>(&mut self, command: impl Arguments<'a>) {
        let before = self.written.len();
        if before > 0 {
            self.written.extend_from_slice(b"; ");
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
                        self.written.extend_from_slice(b"; ");
                        self.written.extend_from_within(..self.first);
                    }
                }
                self.written.extend(other);
            }
            None
        };
    }

    /// Writes one command.
    fn command<'a>(&mut self, mut arguments: impl Arguments<'a>) {
        let name = arguments.next().unwrap_or_default();
        self.verbatim = self.wanted.verbatim && !SECRET.iter().any(|secret| is(name, secret));
        if self.last.is_some_and(|(known, _)| known == name) {
            self.written.extend_from_slice(name);
        } else {
            self.written.extend_from_slice(crate::call::name(Some(name)).as_bytes());
            self.last = row(name, arguments.clone().next());
        }
        let Some((known, signs)) = self.last else { return self.values(arguments) };
        if known.len() > name.len() {
            self.word(arguments.next());
        }
        self.follow(signs, arguments);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.written.len() >= self.wanted.longest
    }

    pub(crate) fn into_string(self) -> String {
        String::from_utf8(self.written).unwrap_or_default()
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
                self.quoted(argument);
            } else {
                self.written.extend_from_slice(b" ?");
            }
        }
    }

    fn values<'a>(&mut self, arguments: impl Iterator<Item = &'a [u8]>) {
        for argument in arguments {
            if self.is_full() {
                return;
            }
            if self.verbatim {
                self.quoted(argument);
            } else {
                self.written.extend_from_slice(b" ?");
            }
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
        self.written.push(b' ');
        let is_odd = |character: char| {
            character.is_control() || character.is_whitespace() || "\"'\\".contains(character)
        };
        let is_plain = || argument.iter().all(|byte| PLAIN[usize::from(*byte)]);
        let is_text = || str::from_utf8(argument).is_ok_and(|text| !text.contains(is_odd));
        if !argument.is_empty() && (is_plain() || is_text()) {
            return self.written.extend_from_slice(argument);
        }
        self.written.push(b'"');
        for chunk in argument.utf8_chunks() {
            chunk.valid().chars().for_each(|character| self.escaped(character));
            chunk.invalid().iter().for_each(|byte| self.hexadecimal(*byte));
        }
        self.written.push(b'"');
    }

    fn escaped(&mut self, character: char) {
        let mut bytes = [0; 4];
        match character {
            '"' => self.written.extend_from_slice(b"\\\""),
            '\\' => self.written.extend_from_slice(b"\\\\"),
            '\n' => self.written.extend_from_slice(b"\\n"),
            '\r' => self.written.extend_from_slice(b"\\r"),
            '\t' => self.written.extend_from_slice(b"\\t"),
            control if control.is_control() => {
                control.encode_utf8(&mut bytes).bytes().for_each(|byte| self.hexadecimal(byte));
            }
            other => self.written.extend_from_slice(other.encode_utf8(&mut bytes).as_bytes()),
        }
    }

    fn hexadecimal(&mut self, byte: u8) {
        let digit = |value: u8| b"0123456789abcdef"[usize::from(value & 15)];
        self.written.extend([b'\\', b'x', digit(byte >> 4), digit(byte)]);
    }
}

#[cfg(test)]
mod tests;
