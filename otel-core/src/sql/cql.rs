//! The constants of Cassandra that are written without quotes: UUIDs and durations.
//!
//! Source: <https://cassandra.apache.org/doc/latest/cassandra/developing/cql/definitions.html>

use super::dialect::Dialect;
use super::lexer::{Kind, Lexer, is_name};

/// The digits of a UUID between its hyphens.
const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

impl Lexer<'_> {
    /// A word of CQL, which may be a constant; what may be a constant or a name is a constant.
    pub(super) fn constant(&self, start: usize, end: usize) -> (Kind, usize) {
        if let Some(end) = self.uuid_end(start) {
            return (Kind::Literal, end);
        }
        // `P1Y2M10DT2H30M`, `P3W`, `P0001-03-02T12:10:05`
        let duration = self.at(start) | 0x20 == b'p'
            && (self.at(start + 1).is_ascii_digit()
                || (self.at(start + 1) | 0x20 == b't' && self.at(start + 2).is_ascii_digit()));
        if !duration {
            return (Kind::Word, end);
        }
        let goes_on = |byte: u8| is_name(byte) || matches!(byte, b'-' | b':');
        (Kind::Literal, self.skip_while(end, goes_on))
    }

    /// Where a UUID ends that begins here.
    pub(super) fn uuid_end(&self, start: usize) -> Option<usize> {
        if self.dialect != Dialect::Cql {
            return None;
        }
        let mut index = start;
        for (group, digits) in GROUPS.into_iter().enumerate() {
            if group > 0 {
                if self.at(index) != b'-' {
                    return None;
                }
                index += 1;
            }
            if !(0..digits).all(|digit| self.at(index + digit).is_ascii_hexdigit()) {
                return None;
            }
            index += digits;
        }
        (!is_name(self.at(index))).then_some(index)
    }
}
