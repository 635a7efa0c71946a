//! Beside the pages: tokens with an end of their own: quotes, brackets, comments.

use super::dialect::{Backslash, Dialect};
use super::keyword::Keyword;
use super::lexer::{Kind, Lexer, NO_BRACKET, is_name};

impl Lexer<'_> {
    /// A token from the quote at `open` to the one that closes it; a doubled quote does not.
    pub(super) fn quoted(&self, kind: Kind, open: usize, backslash: Backslash) -> (Kind, usize) {
        let quote = self.at(open);
        let escapes = backslash != Backslash::Plain;
        let mut index = open + 1;
        loop {
            index = match (escapes, quote) {
                (true, b'\'') => self.find(index, |byte| matches!(byte, b'\'' | b'\\')),
                (true, _) => self.find(index, |byte| byte == quote || byte == b'\\'),
                (false, _) => self.find(index, |byte| byte == quote),
            };
            let next = self.at(index + 1);
            if self.at(index) == quote {
                if next != quote {
                    let end = index + 1;
                    return match backslash {
                        Backslash::Unknown if self.is_triple(open, end) => self.unsafe_from_here(),
                        _ => (kind, end),
                    };
                }
            } else if index >= self.bytes.len()
                || (backslash == Backslash::Unknown && next == quote)
            {
                return self.unsafe_from_here();
            }
            index += 2;
        }
    }

    /// Whether a string begins with three quotes that end elsewhere to `BigQuery`, which ends it at
    /// the next three. (Where there are none it is no such string, nor is any that follows.)
    #[cold]
    fn is_triple(&self, open: usize, end: usize) -> bool {
        let quote = self.at(open);
        let three = |from: usize| (from..from + 3).all(|index| self.at(index) == quote);
        if !three(open) {
            return false;
        }
        let mut close = open + 3;
        while close < self.bytes.len() && !three(close) {
            close += 1;
        }
        close < self.bytes.len() && close + 3 != end
    }

    /// `[name]`, or the `[` of an array.
    pub(super) fn bracket(
        &mut self,
        start: usize,
        only_a_name: impl Fn() -> bool,
    ) -> (Kind, usize) {
        let symbol = (Kind::Symbol(b'['), start + 1);
        if !matches!(self.dialect, Dialect::Sqlite | Dialect::Generic) || self.bracket != NO_BRACKET
        {
            return symbol;
        }
        let close = self.find(start + 1, |byte| byte == b']');
        if close == self.bytes.len() {
            // Without its end it is no name. (Looked for once: the next `[` would look again.)
            self.bracket = self.bytes.len() + 1;
            return match self.dialect {
                Dialect::Sqlite => self.unsafe_from_here(),
                _ => symbol,
            };
        }
        let inside = self.bytes.get(start + 1..close).unwrap_or_default();
        // An array of strings, to who knows no names in brackets. Two dollars begin one, except
        // within a name.
        let strings = || {
            inside.iter().any(|byte| b"'\"".contains(byte))
                || inside.split(|&byte| !is_name(byte)).any(|word| {
                    let dollars = word.split(|byte| *byte == b'$').count() - 1;
                    dollars > 1 && !begins_name(word)
                })
        };
        let words = || {
            let mut words = inside.split(|byte| *byte == b' ');
            words.all(|word| word.iter().all(|&byte| is_name(byte)) && begins_name(word))
        };
        if self.dialect == Dialect::Sqlite {
            return (Kind::Name, close + 1);
        }
        let operand = self.after_operand(start);
        let constant = || {
            let keyword = Keyword::at(self.bytes, start + 1, close);
            matches!(keyword, Keyword::Boolean | Keyword::Number)
        };
        let name = !strings() && (only_a_name() || (words() && !constant()));
        if name && self.at(close + 1) == b']' {
            // In SQL Server the name goes on.
            return self.unsafe_from_here();
        }
        if name && (!operand || only_a_name()) {
            return (Kind::Name, close + 1);
        }
        if !operand && !is_balanced(inside) {
            // Parentheses, or parts of a name.
            return self.unsafe_from_here();
        }
        self.bracket = close;
        symbol
    }

    pub(super) fn line_comment(&self, start: usize) -> (Kind, usize) {
        let next = self.at(start + 2);
        let spaced = next <= b' ' || next == 0x7f;
        if self.dialect.is_mysql() && !spaced {
            return match next {
                // Without a comment there `--` would begin one.
                b'#' | b'/' | b'-' => self.unsafe_from_here(),
                _ => (Kind::Symbol(b'-'), start + 1),
            };
        }
        let end = self.line_end(start);
        let comment = self.bytes.get(start..end).unwrap_or_default();
        if self.dialect == Dialect::Generic {
            // Not spaced it is code in MySQL; a carriage return ends it in PostgreSQL alone.
            let carries_on = !spaced && comment.iter().any(|byte| b"'\"`/".contains(byte));
            let returns = comment.iter().rposition(|&byte| byte == b'\r');
            if carries_on || returns.is_some_and(|index| index + 1 < comment.len()) {
                return self.unsafe_from_here();
            }
        }
        (Kind::Comment, end)
    }

    pub(super) fn line_end(&self, start: usize) -> usize {
        let returns = matches!(self.dialect, Dialect::PostgreSql | Dialect::Cql);
        self.find(start, |byte| byte == b'\n' || (returns && byte == b'\r'))
    }

    pub(super) fn block_comment(&self, start: usize) -> (Kind, usize) {
        let mut index = start + 2;
        // What MySQL executes may hold quotes and comments that hide the end of the comment.
        let executed = (self.dialect.is_mysql() || self.dialect == Dialect::Generic)
            && (self.at(index) == b'!' || (self.at(index) == b'M' && self.at(index + 1) == b'!'));
        let mut depth = 1;
        while let Some(&byte) = self.bytes.get(index) {
            match (byte, self.at(index + 1)) {
                (b'*', b'/') if depth == 1 => return (Kind::Comment, index + 2),
                (b'*', b'/') => {
                    depth -= 1;
                    index += 2;
                }
                (b'/', b'*') if self.dialect == Dialect::PostgreSql => {
                    depth += 1;
                    index += 2;
                }
                (b'/', b'*') if executed || self.dialect == Dialect::Generic => break,
                (b'\'' | b'"' | b'`' | b'#', _) | (b'-', b'-') if executed => break,
                _ => index += 1,
            }
        }
        self.unsafe_from_here()
    }

    /// `$1`, `$name`, or a string between two `$tag$`.
    pub(super) fn dollar(&self, start: usize, next: u8) -> (Kind, usize) {
        let end = self.skip_while(start + 1, |byte| is_name(byte) && byte != b'$');
        if self.dialect == Dialect::MySql && self.at(end) == b'$' {
            // A name, or to MySQL 9 a string between two `$tag$`.
            return self.unsafe_from_here();
        }
        if self.dialect.is_mysql() {
            return (Kind::Word, self.skip_name(end));
        }
        let colons = next == b':' && self.at(start + 2) == b':';
        if self.dialect == Dialect::Sqlite && (is_name(next) || colons) {
            return self.named_parameter(self.skip_name(end));
        }
        if next.is_ascii_digit() {
            return (Kind::Parameter, end);
        }
        let dollar_quotes = match self.dialect {
            Dialect::PostgreSql | Dialect::Generic => true,
            Dialect::Cql => end == start + 1,
            _ => false,
        };
        if !dollar_quotes || self.at(end) != b'$' {
            return match end - start {
                1 => (Kind::Symbol(b'$'), end),
                _ => self.named_parameter(end),
            };
        }
        let tag = self.bytes.get(start..=end).unwrap_or_default();
        let mut index = end + 1;
        while let Some(&byte) = self.bytes.get(index) {
            match (byte, self.at(index + 1)) {
                (b'$', _) if self.bytes.get(index..).is_some_and(|rest| rest.starts_with(tag)) => {
                    return (Kind::Literal, index + tag.len());
                }
                // Where `$tag$` is a name, this opens something that may end beyond the second.
                (b'\'' | b'"' | b'`' | b'[' | b'#', _) | (b'-', b'-') | (b'/', b'*')
                    if self.dialect == Dialect::Generic =>
                {
                    break;
                }
                _ => index += 1,
            }
        }
        self.unsafe_from_here()
    }
}

fn begins_name(word: &[u8]) -> bool {
    !word.first().is_some_and(|&byte| byte.is_ascii_digit() || byte == b'$')
}

/// Whether every parenthesis has its other half.
fn is_balanced(text: &[u8]) -> bool {
    let mut open = 0_usize;
    for byte in text {
        match byte {
            b'(' => open += 1,
            b')' if open == 0 => return false,
            b')' => open -= 1,
            _ => {}
        }
    }
    open == 0
}
