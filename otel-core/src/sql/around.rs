//! Beside the pages: what stands around a token: a few words or bytes are enough to tell what it
//! is.

use super::lexer::{Span, is_name};
use super::walk::Walker;

impl Walker<'_> {
    /// Whether a `.` follows that is not a number's.
    pub(super) fn is_qualifier(&self, span: Span) -> bool {
        let rest = self.source.get(span.end..).unwrap_or_default();
        let next = rest.trim_ascii_start();
        let number = next.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
        next.starts_with('.') && (next.len() == rest.len() || !number)
    }

    /// The next byte but white space, 0 at the end.
    pub(super) fn next(&self, span: Span) -> u8 {
        let rest = self.source.as_bytes().get(span.end..).unwrap_or_default();
        let space = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        #[cfg(test)]
        super::steps::count(space + 1);
        rest.get(space).copied().unwrap_or(0)
    }

    /// Whether nothing follows but one comment, as one that carries a trace.
    pub(super) fn ends_in_comment(&self, span: Span) -> bool {
        // What is longer is not looked through: that would be done for each of many such words.
        const LONGEST: usize = 2048;
        let rest = self.source.get(span.end..).unwrap_or_default();
        if rest.len() > LONGEST {
            return false;
        }
        let comment = rest.trim_ascii_start().trim_end_matches([' ', ';', '\n']);
        comment.starts_with("/*") && comment.find("*/") == comment.len().checked_sub(2)
    }

    /// The next word behind white space, empty if none follows.
    pub(super) fn next_word(&self, span: Span) -> Span {
        let bytes = self.source.as_bytes();
        let rest = bytes.get(span.end..).unwrap_or_default();
        let start = span.end + rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let rest = bytes.get(start..).unwrap_or_default();
        let end = start + rest.iter().take_while(|&&byte| is_name(byte)).count();
        #[cfg(test)]
        super::steps::count(end - span.end + 1);
        Span { start, end }
    }

    /// Whether this word follows next, with nothing but white space between.
    pub(super) fn next_is(&self, span: Span, word: &str) -> bool {
        let rest = self.source.get(span.end..).unwrap_or_default();
        #[cfg(test)]
        super::steps::count(rest.len() - rest.trim_ascii_start().len() + word.len());
        let rest = rest.trim_ascii_start();
        let found = rest.get(..word.len()).is_some_and(|found| found.eq_ignore_ascii_case(word));
        found && !rest.as_bytes().get(word.len()).is_some_and(|&byte| is_name(byte))
    }

    /// Whether two words stand before this one, with nothing but white space between.
    pub(super) fn is_behind(&self, span: Span, words: &str) -> bool {
        let mut rest = self.source.get(..span.start).unwrap_or_default();
        for word in words.rsplit(' ') {
            let before = rest.trim_ascii_end();
            #[cfg(test)]
            super::steps::count(rest.len() - before.len() + word.len());
            let middle = before.len().checked_sub(word.len());
            match middle.and_then(|middle| before.split_at_checked(middle)) {
                Some((head, tail))
                    if tail.eq_ignore_ascii_case(word)
                        && !head.bytes().last().is_some_and(is_name) =>
                {
                    rest = head;
                }
                _ => return false,
            }
        }
        true
    }

    /// Whether nothing follows a token at once that may belong to it.
    pub(super) fn is_whole(&self, span: Span) -> bool {
        let rest = self.source.as_bytes().get(span.end..).unwrap_or_default();
        matches!(
            rest,
            [] | [b' ' | b'\t'..=b'\r' | b')' | b']' | b'}' | b',' | b';', ..] | [b'/', b'*', ..]
        )
    }
}
