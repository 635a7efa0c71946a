//! Beside the pages: the text to be emitted.

use std::borrow::Cow;

use super::lexer::Span;

/// What stays is copied only when something before it changed.
pub(super) struct Output<'a> {
    source: &'a str,
    max_length: usize,
    buffer: String,
    /// Everything before is in `buffer`, or left out.
    copied: usize,
    /// Where the last token ended.
    seen: usize,
    /// A token that ends behind this makes the text too long.
    limit: usize,
    /// Where the text is cut, once it is too long.
    cut: Option<usize>,
    list: List,
}

/// A list after `IN`, as long as it holds nothing but literals.
#[derive(Clone, Copy)]
enum List {
    None,
    /// Open, and nothing but white space yet. Where it begins in the source.
    Empty(usize),
    /// Where it begins in `buffer`, and whether more than one literal has been seen.
    Literals(usize, bool),
}

impl<'a> Output<'a> {
    pub(super) fn new(source: &'a str, max_length: usize) -> Self {
        Output {
            source,
            max_length,
            buffer: String::new(),
            copied: 0,
            seen: 0,
            limit: max_length,
            cut: None,
            list: List::None,
        }
    }

    /// Whether what stays need only be seen, up to the limit.
    #[inline]
    pub(super) fn is_calm(&self) -> bool {
        matches!(self.list, List::None)
    }

    /// Where the last token must end that need only be seen.
    #[inline]
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Tokens that stay, the last of them within the limit.
    #[inline]
    pub(super) fn pass(&mut self, end: usize) {
        self.seen = end;
    }

    /// Anything that stays and is no symbol.
    #[inline]
    pub(super) fn keep(&mut self, span: Span) {
        self.list = List::None;
        self.see(span.end);
    }

    #[inline]
    pub(super) fn symbol(&mut self, symbol: u8, span: Span, after_in: bool) {
        match symbol {
            b',' => {}
            b'(' if after_in => self.list = List::Empty(span.end),
            b')' => self.end_list(span),
            _ => self.list = List::None,
        }
        self.see(span.end);
    }

    fn end_list(&mut self, span: Span) {
        if let List::Literals(from, true) = self.list {
            self.buffer.truncate(from);
            self.buffer.push('?');
            self.cut = None;
            self.copy_from(span.start);
        }
        self.list = List::None;
    }

    pub(super) fn literal(&mut self, span: Span) {
        self.replace(span, "?");
        self.list = match self.list {
            List::Empty(from) if self.cut.is_none() => {
                // The place in the buffer: what stands between has just been copied.
                List::Literals(self.buffer.len() - 1 - span.start.saturating_sub(from), false)
            }
            List::Literals(from, _) => List::Literals(from, true),
            _ => List::None,
        };
    }

    /// Something of which no more is shown than a sign in its place.
    pub(super) fn instead(&mut self, span: Span, sign: &str) {
        self.list = List::None;
        self.replace(span, sign);
    }

    /// Leaves out a token, and the white space before it.
    pub(super) fn remove(&mut self, span: Span) {
        self.list = List::None;
        self.skip(span);
    }

    /// White space around a comment stays; where there is none, the comment was it.
    pub(super) fn comment(&mut self, span: Span) {
        let before = if span.start == self.copied {
            self.buffer.as_bytes().last()
        } else {
            self.source.as_bytes().get(span.start.wrapping_sub(1))
        };
        let after = self.source.as_bytes().get(span.end);
        let spaced = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_whitespace);
        let replacement = if spaced(before) || spaced(after) { "" } else { " " };
        self.replace(span, replacement);
        if let List::Empty(from) = &mut self.list {
            // The list is as far from what follows as if the comment had never been.
            *from += span.end - span.start - replacement.len();
        }
    }

    fn replace(&mut self, span: Span, replacement: &str) {
        // One byte more is allowed for than a replacement that is empty needs.
        self.see(span.start + replacement.len());
        if self.cut.is_none() {
            let text = self.source.get(self.copied..span.start).unwrap_or_default();
            if self.buffer.capacity() == 0 && text.len() + replacement.len() > 0 {
                self.buffer = String::with_capacity(self.source.len().min(self.max_length));
            }
            #[cfg(test)]
            super::steps::count(text.len() + 1);
            self.buffer.push_str(text);
            self.buffer.push_str(replacement);
        }
        self.skip(span);
    }

    /// Leaves out everything up to the end of a token.
    fn skip(&mut self, span: Span) {
        if self.cut.is_none() {
            self.copy_from(span.end);
        }
        self.seen = span.end;
    }

    /// Takes note of a token that stays, up to its end.
    #[inline]
    fn see(&mut self, end: usize) {
        if end > self.limit {
            self.cut = Some(self.seen);
            self.limit = usize::MAX;
        }
        self.seen = end;
    }

    fn copy_from(&mut self, start: usize) {
        self.copied = start;
        self.limit = start.saturating_add(self.max_length).saturating_sub(self.buffer.len());
    }

    pub(super) fn finish(mut self) -> Cow<'a, str> {
        self.see(self.source.len());
        let until = self.cut.unwrap_or(self.source.len());
        let rest = self.source.get(self.copied..until).unwrap_or_default();
        if self.buffer.is_empty() {
            return Cow::Borrowed(rest);
        }
        self.buffer.push_str(rest);
        Cow::Owned(self.buffer)
    }
}
