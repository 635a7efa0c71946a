//! What a SQL text says without what it must not say: `db.query.text` and `db.query.summary`.
//!
//! An [`Analyzer`] replaces literals, removes comments and names operations and targets, in one pass
//! over the bytes of the text. The rules are those of the [conventions page for database
//! spans][page]; where the page is silent the summary follows the analyser of the Java
//! instrumentation. Where a token may be a literal or a name it is a literal, unless the grammar
//! admits only a name; where a text can be read in two ways that differ in what is quoted, it is
//! left out.
//!
//! [page]: https://opentelemetry.io/docs/specs/semconv/database/database-spans/

mod dialect;
mod frame;
mod keyword;
mod lexer;
mod quotes;
mod summary;
mod walk;
mod words;

pub use dialect::{Dialect, Syntax, UnknownDialect};

use lexer::{Kind, Lexer, Span};
use std::borrow::Cow;
use walk::{Role, Walker};

/// The longest text in bytes that is emitted, unless something else is asked for.
pub const DEFAULT_MAX_LENGTH: usize = 4096;

/// What becomes of the literals of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Literals {
    /// Each is replaced by `?`.
    Replace,
    /// They stay, as the conventions advise for a text whose values were bound: its author told
    /// data from text. Passwords of accounts do not stay.
    Keep,
}

/// What an [`Analyzer`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Analysis<'a> {
    /// The value of `db.query.text`, borrowed if nothing had to change. None if the text ends
    /// inside a quote or a comment, or cannot be told apart safely.
    pub text: Option<Cow<'a, str>>,
    /// The value of `db.query.summary`: operations and targets in order, as they are written, at
    /// most 255 characters. None if no operation was recognized.
    pub summary: Option<String>,
}

/// How texts are read, and what of them is shown.
///
/// ```
/// use otel_core::sql::{Analyzer, Dialect};
///
/// let analyzer = Analyzer::new(Dialect::PostgreSql);
/// let analysis = analyzer.analyze("SELECT name FROM users WHERE id = 7 -- by hand");
/// assert_eq!(analysis.text.as_deref(), Some("SELECT name FROM users WHERE id = ? "));
/// assert_eq!(analysis.summary.as_deref(), Some("SELECT users"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Analyzer {
    syntax: Syntax,
    literals: Literals,
    max_length: usize,
}

impl Analyzer {
    /// Reads texts by a [`Dialect`], or a [`Syntax`] where a setting of the server changes it;
    /// literals are replaced.
    pub fn new(syntax: impl Into<Syntax>) -> Self {
        let (literals, max_length) = (Literals::Replace, DEFAULT_MAX_LENGTH);
        Self { syntax: syntax.into(), literals, max_length }
    }

    /// Default: [`Literals::Replace`].
    pub fn literals(mut self, literals: Literals) -> Self {
        self.literals = literals;
        self
    }

    /// The longest text in bytes, [`DEFAULT_MAX_LENGTH`] by default. What is emitted of a longer
    /// one ends between two tokens; the summary is of the whole.
    pub fn max_length(mut self, bytes: usize) -> Self {
        self.max_length = bytes;
        self
    }

    /// Analyses one text, which may hold several statements.
    ///
    /// Of the text, white space stays as it is; a list of literals after `IN` becomes `(?)`; the
    /// sign of a number is part of it unless it directly follows a name or a closing parenthesis;
    /// `TRUE` and `FALSE` are literals except in `IS TRUE`, `NULL` is not.
    pub fn analyze<'a>(&self, text: &'a str) -> Analysis<'a> {
        let mut lexer = Lexer::new(text, self.syntax);
        let mut walker = Walker::new(text, self.syntax);
        let mut output = Output::new(text, self.max_length);
        loop {
            let kind = lexer.next(walker.only_a_name());
            let span = lexer.span();
            match kind {
                Kind::End => break,
                Kind::Unsafe => {
                    return Analysis { text: None, summary: walker.into_summary() };
                }
                Kind::Comment => output.comment(span),
                _ => {
                    let after_in = walker.after_in();
                    match walker.token(kind, span) {
                        Role::Secret => output.hide(span),
                        Role::Literal if self.literals == Literals::Replace => output.literal(span),
                        _ => output.token(span, kind, after_in),
                    }
                }
            }
        }
        Analysis { text: Some(output.finish()), summary: walker.into_summary() }
    }
}

/// The text to be emitted: what stays is copied only when something before it changed.
struct Output<'a> {
    source: &'a str,
    max_length: usize,
    buffer: String,
    /// Everything before is in `buffer`, or left out.
    copied: usize,
    /// Where the last token ended.
    seen: usize,
    /// Where the text is cut, once it is too long.
    cut: Option<usize>,
    /// A secret has been replaced; what follows in its statement is removed.
    hiding: bool,
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
    fn new(source: &'a str, max_length: usize) -> Self {
        let (buffer, list) = (String::new(), List::None);
        Output { source, max_length, buffer, copied: 0, seen: 0, cut: None, hiding: false, list }
    }

    fn keep(&mut self, span: Span) {
        if self.cut.is_none() && self.buffer.len() + span.end - self.copied > self.max_length {
            self.cut = Some(self.seen);
        }
        self.seen = span.end;
    }

    /// Anything that stays and is no literal.
    fn token(&mut self, span: Span, kind: Kind, after_in: bool) {
        match kind {
            Kind::Symbol(b'(') if after_in => self.list = List::Empty(span.end),
            Kind::Symbol(b',') => {}
            Kind::Symbol(b')') => {
                if let List::Literals(from, true) = self.list {
                    self.buffer.truncate(from);
                    self.buffer.push('?');
                    self.copied = span.start;
                    self.cut = None;
                }
                self.list = List::None;
            }
            Kind::Symbol(b';') => {
                self.hiding = false;
                self.list = List::None;
            }
            _ => self.list = List::None,
        }
        self.keep(span);
    }

    fn literal(&mut self, span: Span) {
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

    /// Replaces the first token of a secret, removes the others.
    fn hide(&mut self, span: Span) {
        if !self.hiding {
            self.replace(span, "?");
        }
        self.hiding = true;
        self.list = List::None;
        self.skip(span);
    }

    /// White space around a comment stays; where there is none, the comment was it.
    fn comment(&mut self, span: Span) {
        if self.hiding {
            return self.skip(span);
        }
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
        let length = self.buffer.len() + span.start - self.copied + replacement.len();
        if self.cut.is_none() && length > self.max_length {
            self.cut = Some(self.seen);
        }
        if self.cut.is_none() {
            self.push(self.source.get(self.copied..span.start).unwrap_or_default());
            self.push(replacement);
            self.skip(span);
        }
        self.seen = span.end;
    }

    /// Leaves out everything up to the end of a token.
    fn skip(&mut self, span: Span) {
        if self.cut.is_none() {
            self.copied = span.end;
        }
        self.seen = span.end;
    }

    fn push(&mut self, text: &str) {
        if self.buffer.capacity() == 0 && !text.is_empty() {
            self.buffer = String::with_capacity(self.source.len().min(self.max_length));
        }
        self.buffer.push_str(text);
    }

    fn finish(mut self) -> Cow<'a, str> {
        self.keep(Span { start: self.source.len(), end: self.source.len() });
        let until = self.cut.unwrap_or(self.source.len());
        let rest = self.source.get(self.copied..until).unwrap_or_default();
        if self.buffer.is_empty() {
            return Cow::Borrowed(rest);
        }
        self.buffer.push_str(rest);
        Cow::Owned(self.buffer)
    }
}
