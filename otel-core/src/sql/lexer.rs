//! Beside the pages: cuts a text into tokens, byte by byte, once.
//!
//! Every byte a token begins or ends at is ASCII or the first of a character, so that tokens are
//! always valid slices of the text. Where two readings of a text exist and differ in what is
//! quoted, the lexer stops with [`Kind::Unsafe`].

use super::dialect::{Backslash, Dialect, Syntax};
use super::keyword::Keyword;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Comment,
    /// A keyword or an unquoted name.
    Word,
    /// A quoted token that is a name wherever it stands.
    Name,
    /// A quoted token that is a literal or a name, depending on where it stands.
    Quoted,
    Literal,
    Parameter,
    Symbol(u8),
    /// From here on the text is not understood, or ends inside a quote or a comment.
    Unsafe,
    End,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// What a byte may be, one bit for each.
pub(super) mod class {
    pub(super) const NAME: u8 = 1;
    pub(super) const SPACE: u8 = 2;
    /// Begins a word. (The first byte of a byte order mark may.)
    pub(super) const WORD: u8 = 4;
    /// A symbol wherever it stands.
    pub(super) const SYMBOL: u8 = 8;
    /// Part of an operator.
    pub(crate) const OPERATOR: u8 = 16;
    pub(crate) const COMMA: u8 = 32;
}

static CLASSES: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0_u8;
    loop {
        table[byte as usize] = match byte {
            0xef | b'0'..=b'9' | b'$' => class::NAME,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => class::NAME | class::WORD,
            b' ' | b'\t'..=b'\r' => class::SPACE,
            b'(' | b')' | b']' | b';' | b'{' | b'}' => class::SYMBOL,
            b',' => class::SYMBOL | class::COMMA,
            b'=' | b'<' | b'>' | b'*' | b'%' | b'!' | b'&' | b'|' | b'^' | b'~' | b'\\' => {
                class::SYMBOL | class::OPERATOR
            }
            _ => 0,
        };
        if byte == u8::MAX {
            break table;
        }
        byte += 1;
    }
};

fn is(byte: u8, class: u8) -> bool {
    CLASSES[usize::from(byte)] & class != 0
}

/// Four bytes at a time, which halves the instructions.
#[inline]
fn skip(bytes: &[u8], from: usize, class: u8) -> usize {
    let mut index = from;
    while let Some(&[a, b, c, d]) = bytes.get(index..).and_then(<[u8]>::first_chunk) {
        if !is(a, class) {
            return index;
        }
        if !is(b, class) {
            return index + 1;
        }
        if !is(c, class) {
            return index + 2;
        }
        if !is(d, class) {
            return index + 3;
        }
        index += 4;
    }
    while bytes.get(index).is_some_and(|&byte| is(byte, class)) {
        index += 1;
    }
    index
}

/// No `]` is awaited.
pub(super) const NO_BRACKET: usize = usize::MAX;

pub(crate) struct Lexer<'a> {
    pub(super) bytes: &'a [u8],
    /// Where the last token begins.
    start: usize,
    /// Where it ends.
    position: usize,
    last: Kind,
    /// The last token that was passed over before this one, if any.
    pub(crate) passed: Option<Kind>,
    /// Where that ended.
    pub(crate) passed_until: usize,
    /// What word the last token is, if it is one.
    pub(crate) keyword: Keyword,
    pub(super) dialect: Dialect,
    pub(super) syntax: Syntax,
    /// Where a string of PostgreSQL, or a comment after it, ended that a further one may continue,
    /// which has escapes then as well (`E'…' '…'`).
    escaped_until: usize,
    /// The first `]` after a `[` that may have opened a name.
    pub(super) bracket: usize,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str, syntax: Syntax) -> Self {
        Lexer {
            bytes: text.as_bytes(),
            start: 0,
            position: 0,
            last: Kind::End,
            passed: None,
            passed_until: 0,
            keyword: Keyword::None,
            dialect: syntax.dialect,
            syntax,
            escaped_until: usize::MAX,
            bracket: NO_BRACKET,
        }
    }

    /// The next token, white space skipped, and with it what means nothing here: names, and symbols
    /// of the classes in `meaningless`, as long as they end within `limit`; 0 if names do mean
    /// something. `only_a_name` tells whether the grammar admits nothing but a name here.
    #[inline]
    pub(crate) fn next(
        &mut self,
        meaningless: u8,
        limit: usize,
        only_a_name: impl Fn() -> bool,
    ) -> Kind {
        let bytes = self.bytes;
        let limit = limit.min(self.bracket);
        self.passed = None;
        self.keyword = Keyword::None;
        let mut start = self.position;
        let (mut kind, end) = loop {
            let byte = self.at(start);
            let class = CLASSES[usize::from(byte)];
            if class & class::SPACE != 0 {
                start += 1;
            } else if class & class::WORD != 0 {
                let end = self.skip(start + 1, class::NAME);
                let next = self.at(end);
                if matches!(next, b'\'' | b'&' | b'-')
                    || (self.dialect == Dialect::Cql && matches!(byte | 0x20, b'p' | b'n' | b'i'))
                {
                    let (kind, end) = self.odd_word(start, end);
                    self.keyword = Keyword::at(bytes, start, end);
                    break (kind, end);
                }
                let keyword = Keyword::at(bytes, start, end);
                if keyword != Keyword::None || meaningless == 0 || end > limit {
                    self.keyword = keyword;
                    break (Kind::Word, end);
                }
                self.passed = Some(Kind::Word);
                self.position = end;
                start = end + usize::from(next == b' ');
            } else if class & meaningless != 0 && start < limit {
                self.passed = Some(Kind::Symbol(byte));
                start += 1;
                self.position = start;
            } else if class & class::SYMBOL != 0 {
                break (Kind::Symbol(byte), start + 1);
            } else if byte == 0xef && self.is_mark(start) {
                start += 3;
            } else {
                self.last = self.passed.unwrap_or(self.last);
                break self.scan(start, byte, only_a_name);
            }
        };
        if end > self.bracket {
            // Something that opened between `[` and `]` goes on behind it: whoever reads the
            // brackets as a quoted name disagrees about everything that follows.
            if start < self.bracket {
                kind = Kind::Unsafe;
            }
            self.bracket = NO_BRACKET;
        }
        self.start = start;
        self.passed_until = std::mem::replace(&mut self.position, end);
        self.last = kind;
        kind
    }

    /// To SQLite a byte order mark is white space, wherever it begins a token.
    fn is_mark(&self, start: usize) -> bool {
        matches!(self.dialect, Dialect::Sqlite | Dialect::Generic)
            && self.at(start + 1) == 0xbb
            && self.at(start + 2) == 0xbf
    }

    /// A word that may be more than that.
    #[cold]
    fn odd_word(&mut self, start: usize, end: usize) -> (Kind, usize) {
        match (self.dialect, self.at(end)) {
            (Dialect::Cql, _) => self.constant(start, end),
            (_, b'\'' | b'&') => self.prefixed(start, end),
            _ => self.uuid_end(start).map_or((Kind::Word, end), |end| (Kind::Literal, end)),
        }
    }

    /// Where the last token begins and ends.
    #[inline]
    pub(crate) fn span(&self) -> Span {
        Span { start: self.start, end: self.position }
    }

    /// A token that is neither a word nor always a symbol.
    fn scan(&mut self, start: usize, byte: u8, only_a_name: impl Fn() -> bool) -> (Kind, usize) {
        let next = self.at(start + 1);
        let scanned = match byte {
            // Which may begin a word of any language.
            0xef => self.odd_word(start, self.skip_name(start)),
            b'0'..=b'9' => self.number(start, only_a_name),
            b'\'' if self.escaped_until == self.position => {
                self.quoted(Kind::Quoted, start, Backslash::Escapes)
            }
            b'"' if self.syntax.ansi_quotes => self.quoted(Kind::Name, start, Backslash::Plain),
            b'\'' | b'"' => self.quoted(Kind::Quoted, start, self.syntax.backslash),
            b'`' if !matches!(self.dialect, Dialect::PostgreSql | Dialect::Cql) => {
                self.quoted(Kind::Name, start, Backslash::Plain)
            }
            b'[' => self.bracket(start, only_a_name),
            b'-' if next == b'-' => self.line_comment(start),
            b'/' if next == b'*' => self.block_comment(start),
            b'/' if next == b'/' && self.dialect == Dialect::Cql => {
                (Kind::Comment, self.line_end(start))
            }
            b'-' | b'+' if self.begins_number(start + 1) && !self.after_operand(start) => {
                let uuid = self.uuid_end(start + 1);
                (Kind::Literal, uuid.unwrap_or_else(|| self.number_end(start + 1)))
            }
            b'-' if self.dialect == Dialect::Cql => self.signed_constant(start),
            b'.' if next.is_ascii_digit()
                && !self.after_operand(start)
                && self.last != Kind::Symbol(b'.') =>
            {
                (Kind::Literal, self.number_end(start))
            }
            b'#' if self.dialect.is_mysql() => (Kind::Comment, self.line_end(start)),
            // A comment in MySQL, an operator in PostgreSQL; a comment in CQL.
            b'#' if self.dialect == Dialect::Generic => self.unsafe_from_here(),
            b'/' if next == b'/' && self.dialect == Dialect::Generic => self.unsafe_from_here(),
            b'$' => self.dollar(start, next),
            b'?' | b':' | b'@' | b'#' => self.parameter(start, byte, next),
            0 if start >= self.bytes.len() => (Kind::End, start),
            // The text of SQLite ends here, others refuse it.
            0 => self.unsafe_from_here(),
            _ => (Kind::Symbol(byte), start + 1),
        };
        if self.escaped_until == self.position && matches!(scanned.0, Kind::Comment | Kind::Quoted)
        {
            self.escaped_until = scanned.1;
        }
        scanned
    }

    /// Whether the token before ends an operand and nothing stands between: `-` is an operator
    /// then, not a sign, and `.` no decimal point.
    pub(super) fn after_operand(&self, start: usize) -> bool {
        let operand = match self.last {
            Kind::Word | Kind::Name | Kind::Parameter => true,
            Kind::Symbol(symbol) => matches!(symbol, b')' | b']'),
            _ => false,
        };
        operand && start == self.position
    }

    /// A word before `'` or `&`: the prefix of a string (`E'…'`, `X'…'`, `_utf8'…'`, `U&"…"`), or
    /// none.
    fn prefixed(&mut self, start: usize, end: usize) -> (Kind, usize) {
        let next = self.at(end);
        let mysql = self.dialect.is_mysql();
        let word = self.bytes.get(start..end).unwrap_or_default();
        match (word, next) {
            (b"U" | b"u", b'&') if !mysql => match self.at(end + 1) {
                b'\'' => self.quoted(Kind::Literal, end + 1, self.syntax.backslash),
                b'"' if self.syntax.ansi_quotes => {
                    self.quoted(Kind::Name, end + 1, Backslash::Plain)
                }
                b'"' => self.quoted(Kind::Quoted, end + 1, self.syntax.backslash),
                _ => (Kind::Word, end),
            },
            (b"E" | b"e", b'\'') if self.dialect == Dialect::PostgreSql => {
                let escaped = self.quoted(Kind::Literal, end, Backslash::Escapes);
                self.escaped_until = escaped.1;
                escaped
            }
            // Oracle's `q'[it's]'` ends at a character of its own choice.
            (b"Q" | b"q" | b"NQ" | b"nq" | b"Nq" | b"nQ", b'\'')
                if self.dialect == Dialect::Generic =>
            {
                self.unsafe_from_here()
            }
            (b"N" | b"n" | b"X" | b"x" | b"B" | b"b" | b"E" | b"e", b'\'') => {
                self.quoted(Kind::Literal, end, self.syntax.backslash)
            }
            ([b'_', ..], b'\'') if mysql => self.quoted(Kind::Literal, end, self.syntax.backslash),
            _ => (Kind::Word, end),
        }
    }

    /// `?`, `?1`, `:name`, `@name`, or an operator.
    fn parameter(&self, start: usize, byte: u8, next: u8) -> (Kind, usize) {
        let named = match (self.dialect, byte) {
            (Dialect::PostgreSql, _) => false,
            (_, b'?') => {
                return (Kind::Parameter, self.skip_while(start + 1, |byte| byte.is_ascii_digit()));
            }
            (Dialect::Sqlite, _) => {
                let colons = self.at(start + 1) == b':' && self.at(start + 2) == b':';
                if colons {
                    return self.named_parameter(start + 1);
                }
                is_name(next)
            }
            // Digits are of an array's slice (`a[1:2]`).
            (_, b':') => {
                is_name(next) && !next.is_ascii_digit() && !self.begins_constant(start + 1)
            }
            _ => next == b'@' || (is_name(next) && !next.is_ascii_digit()),
        };
        if named && self.uuid_end(start + 1).is_none() {
            return self.named_parameter(self.skip(start + 2, class::NAME));
        }
        let double = byte == b':' && next == b':';
        (Kind::Symbol(byte), start + 1 + usize::from(double))
    }

    /// The rest of a parameter: SQLite's go on with `::` and with anything in parentheses.
    pub(super) fn named_parameter(&self, mut end: usize) -> (Kind, usize) {
        while self.dialect == Dialect::Sqlite && self.at(end) == b':' && self.at(end + 1) == b':' {
            end = self.skip(end + 2, class::NAME);
        }
        match (self.dialect, self.at(end)) {
            (Dialect::Sqlite, b'(') => {
                let close = self.skip_while(end + 1, |byte| {
                    !matches!(byte, b')' | 0) && !is(byte, class::SPACE)
                });
                match self.at(close) {
                    b')' => (Kind::Parameter, close + 1),
                    _ => self.unsafe_from_here(),
                }
            }
            (Dialect::Generic, b'(') => self.unsafe_from_here(),
            _ => (Kind::Parameter, end),
        }
    }

    pub(super) fn unsafe_from_here(&self) -> (Kind, usize) {
        (Kind::Unsafe, self.bytes.len())
    }

    /// The byte at a place, 0 behind the last.
    #[inline]
    pub(super) fn at(&self, index: usize) -> u8 {
        #[cfg(test)]
        super::steps::count(1);
        self.bytes.get(index).copied().unwrap_or(0)
    }

    /// The first place from here whose byte is not of the class.
    #[inline]
    fn skip(&self, from: usize, class: u8) -> usize {
        let end = skip(self.bytes, from, class);
        #[cfg(test)]
        super::steps::count(end - from + 1);
        end
    }

    /// The same for bytes that a condition accepts, which must not be 0.
    #[inline]
    pub(super) fn skip_while(&self, from: usize, accept: impl Fn(u8) -> bool) -> usize {
        let mut index = from;
        while accept(self.at(index)) {
            index += 1;
        }
        index
    }

    /// The first place from here whose byte a condition wants, or the end.
    #[inline]
    pub(super) fn find(&self, from: usize, wanted: impl Fn(u8) -> bool) -> usize {
        let rest = self.bytes.get(from..).unwrap_or_default();
        let length = rest.iter().position(|&byte| wanted(byte)).unwrap_or(rest.len());
        #[cfg(test)]
        super::steps::count(length + 1);
        from + length
    }

    #[inline]
    pub(super) fn skip_name(&self, from: usize) -> usize {
        self.skip(from, class::NAME)
    }
}

pub(super) fn is_name(byte: u8) -> bool {
    is(byte, class::NAME)
}
