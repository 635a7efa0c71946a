//! Beside the pages: numbers, and what only looks like one.

use super::dialect::Dialect;
use super::lexer::{Kind, Lexer, is_name};

impl Lexer<'_> {
    /// A number, or a name that begins with a digit, which MySQL has.
    pub(super) fn number(&self, start: usize, only_a_name: impl FnOnce() -> bool) -> (Kind, usize) {
        if let Some(end) = self.uuid_end(start) {
            return (Kind::Literal, end);
        }
        if matches!(self.dialect, Dialect::Generic | Dialect::MySql | Dialect::MariaDb)
            && only_a_name()
        {
            let end = self.skip_name(start);
            if !reads_as_number(self.bytes.get(start..end).unwrap_or_default()) {
                return (Kind::Word, end);
            }
        }
        (Kind::Literal, self.number_end(start))
    }

    pub(super) fn begins_number(&self, index: usize) -> bool {
        match self.at(index) {
            b'0'..=b'9' => true,
            b'.' => self.at(index + 1).is_ascii_digit(),
            _ => false,
        }
    }

    /// Letters are part of a number, whatever they mean: they may be a literal's.
    pub(super) fn number_end(&self, start: usize) -> usize {
        let prefixed = matches!(self.at(start + 1) | 0x20, b'x' | b'b' | b'o');
        let mut point = prefixed;
        let mut index = start;
        loop {
            match self.at(index) {
                b'e' | b'E' if !prefixed && matches!(self.at(index + 1), b'+' | b'-') => {
                    index += if self.at(index + 2).is_ascii_digit() { 2 } else { 1 };
                }
                b'.' if !point && self.at(index + 1) != b'.' => {
                    point = true;
                    index += 1;
                }
                // A string between dollars may begin there.
                b'$' if matches!(self.dialect, Dialect::PostgreSql | Dialect::Generic) => {
                    return index;
                }
                byte if is_name(byte) => index += 1,
                _ => return index,
            }
        }
    }
}

/// Whether a word that begins with a digit is a number to MySQL too: `12`, `0xff`, `0b11`, `1e5`.
fn reads_as_number(word: &[u8]) -> bool {
    match word {
        [b'0', b'x', digits @ ..] => digits.iter().all(u8::is_ascii_hexdigit),
        [b'0', b'b', digits @ ..] => digits.iter().all(|byte| matches!(byte, b'0' | b'1')),
        _ => {
            let mut parts = word.splitn(2, |byte| matches!(byte, b'e' | b'E'));
            parts.all(|digits| digits.iter().all(u8::is_ascii_digit))
        }
    }
}
