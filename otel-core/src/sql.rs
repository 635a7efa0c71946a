//! Beside the pages: what a SQL text says without what it must not say: `db.query.text` and
//! `db.query.summary`.
//!
//! An [`Analyzer`] replaces literals, removes comments and names operations and targets, in one pass
//! over the bytes of the text. The rules are those of the [conventions page for database
//! spans][page]; where the page is silent the summary follows the analyser of the Java
//! instrumentation. Where a token may be a literal or a name it is a literal, unless the grammar
//! admits only a name; where a text can be read in two ways that differ in what is quoted, it is
//! left out.
//!
//! [page]: https://opentelemetry.io/docs/specs/semconv/database/database-spans/

mod around;
mod cql;
mod dialect;
mod frame;
mod keyword;
mod lexer;
mod numbers;
mod output;
mod quotes;
mod secrets;
#[cfg(test)]
mod steps;
mod summary;
mod tables;
#[cfg(test)]
mod tests;
mod walk;
mod words;

pub use dialect::{Dialect, Syntax, UnknownDialect};
pub use summary::Summary;

use std::borrow::Cow;

use lexer::{Kind, Lexer, Span};
use output::Output;
use walk::{Role, Walker};

/// The longest text in bytes that is emitted, unless something else is asked for.
pub const DEFAULT_MAX_LENGTH: usize = 4096;

/// What becomes of the literals of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Literals {
    /// Each is replaced by `?`.
    Replace,
    /// They stay, as the conventions advise for a text whose values were bound: its author told
    /// data from text. Passwords of accounts do not stay, nor literals behind them in their
    /// statement, nor strings that hold a connection string or a statement, whose values cannot be
    /// bound.
    Keep,
}

/// What an [`Analyzer`] found.
///
/// At most two allocations hold it: one for a text that had to change, one for a summary of more than
/// 64 bytes. A text that stays as it is takes none, but for such a summary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Analysis<'a> {
    /// The value of `db.query.text`, borrowed if nothing had to change. None if the text ends
    /// inside a quote or a comment, or cannot be told apart safely.
    pub text: Option<Cow<'a, str>>,
    /// The value of `db.query.summary`: operations and targets in order, as they are written, at
    /// most 255 characters. None if no operation was recognized.
    pub summary: Option<Summary>,
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
    /// `TRUE` and `FALSE` are literals except in `IS TRUE`, `NULL` is not. A password that is no
    /// literal, or that something follows at once, has no end that can be told: the rest of its
    /// statement is left out, but for parentheses that were opened before.
    pub fn analyze<'a>(&self, text: &'a str) -> Analysis<'a> {
        let mut lexer = Lexer::new(text, self.syntax);
        let mut walker = Walker::new(text, self.syntax);
        let mut output = Output::new(text, self.max_length);
        loop {
            let meaningless = if output.is_calm() { walker.meaningless() } else { 0 };
            let kind = lexer.next(meaningless, output.limit(), || walker.only_a_name());
            if let Some(last) = lexer.passed {
                walker.pass(last);
                output.pass(lexer.passed_until);
            }
            let span = lexer.span();
            let role = match kind {
                Kind::Word => walker.word(lexer.keyword, span),
                Kind::Symbol(symbol) => {
                    let after_in = symbol == b'(' && walker.after_in();
                    let role = walker.symbol(symbol, span);
                    if role == Role::Keep {
                        output.symbol(symbol, span, after_in);
                        continue;
                    }
                    role
                }
                Kind::Comment => {
                    if walker.hides(span) {
                        output.remove(span);
                    } else {
                        output.comment(span);
                    }
                    continue;
                }
                Kind::End => break,
                Kind::Unsafe => {
                    return Analysis { text: None, summary: walker.into_summary() };
                }
                _ => walker.value(kind, span),
            };
            self.show(role, span, &mut output);
        }
        Analysis { text: Some(output.finish()), summary: walker.into_summary() }
    }

    fn show(&self, role: Role, span: Span, output: &mut Output<'_>) {
        match role {
            Role::Literal if self.literals == Literals::Replace => output.literal(span),
            Role::Hidden => output.literal(span),
            Role::Keep | Role::Literal => output.keep(span),
            Role::Secret => output.instead(span, "?"),
            Role::Removed => output.remove(span),
            Role::Closing => output.instead(span, ")"),
        }
    }
}
