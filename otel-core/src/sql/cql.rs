//! Beside the pages: the constants of Cassandra that are written without quotes: UUIDs and
//! durations.
//!
//! Source: <https://cassandra.apache.org/doc/latest/cassandra/developing/cql/definitions.html>

use super::dialect::Dialect;
use super::keyword::Keyword;
use super::lexer::{Kind, Lexer, is_name};

/// The digits of a UUID before each of its hyphens.
const GROUPS: [usize; 4] = [8, 4, 4, 4];
/// Those behind the last.
const LAST: usize = 12;

impl Lexer<'_> {
    /// A word of CQL, which may be a constant; what may be a constant or a name is a constant.
    pub(super) fn constant(&self, start: usize, end: usize) -> (Kind, usize) {
        if let Some(end) = self.uuid_end(start) {
            return (Kind::Literal, end);
        }
        let word = self.bytes.get(start..end).unwrap_or_default();
        if Keyword::at(self.bytes, start, end) == Keyword::Number || is_duration(word) {
            return (Kind::Literal, end);
        }
        // `P0001-03-02T12:10:05`
        let year = matches!(word, [b'P' | b'p', digits @ ..]
            if digits.len() == 4 && digits.iter().all(u8::is_ascii_digit));
        if !year || self.at(end) != b'-' {
            return (Kind::Word, end);
        }
        let goes_on = |byte: u8| is_name(byte) || matches!(byte, b'-' | b':');
        (Kind::Literal, self.skip_while(end, goes_on))
    }

    /// The same behind a `-`.
    pub(super) fn signed_constant(&self, start: usize) -> (Kind, usize) {
        if !self.after_operand(start)
            && let (Kind::Literal, end) = self.constant(start + 1, self.skip_name(start + 1))
        {
            return (Kind::Literal, end);
        }
        (Kind::Symbol(b'-'), start + 1)
    }

    /// Whether what follows a `:` is the value in a map, not the name of a bind marker.
    pub(super) fn begins_constant(&self, start: usize) -> bool {
        let end = self.skip_name(start);
        let keyword = Keyword::at(self.bytes, start, end);
        self.at(start) == b'$'
            || matches!(keyword, Keyword::Boolean | Keyword::Number)
            || (self.dialect == Dialect::Cql && self.constant(start, end).0 == Kind::Literal)
    }

    /// Where a UUID ends that begins here, or what is written as one: of the last group, any length
    /// will do. Only Cassandra reads a UUID there; to the others it is names and numbers with signs
    /// between, which nobody writes like that.
    #[inline]
    pub(super) fn uuid_end(&self, start: usize) -> Option<usize> {
        if self.at(start + 8) == b'-' { self.groups_end(start) } else { None }
    }

    #[cold]
    fn groups_end(&self, start: usize) -> Option<usize> {
        let mut index = start;
        for digits in GROUPS {
            let end = index + digits;
            let whole = self.at(end) == b'-'
                && (index..end).all(|digit| self.at(digit).is_ascii_hexdigit());
            if !whole {
                return None;
            }
            index = end + 1;
        }
        let end = self.skip_while(index, |byte| is_name(byte) && byte != b'$');
        let whole = end - index >= LAST || !matches!(self.at(end), b'\'' | b'"' | b'&');
        (self.at(index).is_ascii_hexdigit() && whole).then_some(end)
    }
}

/// Whether a word is a duration as ISO 8601 has it: `P1Y2M10DT2H30M`, `P3W`, `PT5M`.
fn is_duration(word: &[u8]) -> bool {
    let [b'P' | b'p', rest @ ..] = word else { return false };
    let (mut digits, mut units) = (0, 0);
    for byte in rest {
        match byte.to_ascii_uppercase() {
            b'0'..=b'9' => digits += 1,
            b'T' if digits == 0 => {}
            b'Y' | b'M' | b'W' | b'D' | b'H' | b'S' if digits > 0 => {
                (digits, units) = (0, units + 1);
            }
            _ => return false,
        }
    }
    digits == 0 && units > 0
}
