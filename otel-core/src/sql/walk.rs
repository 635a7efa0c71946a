//! Beside the pages: walks through the tokens of a text: names its operations and targets in order,
//! and tells
//! literals from names.
//!
//! The walk knows as much grammar as it needs to tell what may stand where. What it does not know
//! it leaves out of the summary, and takes for a literal.

use super::dialect::{Dialect, Syntax};
use super::frame::{Frame, Place, Previous, Secrecy, Sensitive, Setting, Verb};
use super::keyword::Keyword;
use super::lexer::{Kind, Span, class};
use super::summary::{Expressions, Summary, Writer};

/// Parentheses nested deeper than this are read for their literals only.
const DEPTH: usize = 32;

/// What to do with a token of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Keep,
    Literal,
    /// A literal that is not shown even where literals are.
    Hidden,
    /// The first token of a password, whatever it looks like.
    Secret,
    /// A further one.
    Removed,
    /// A parenthesis within what is removed that was opened before it.
    Closing,
}

pub(crate) struct Walker<'a> {
    pub(super) source: &'a str,
    pub(super) dialect: Dialect,
    pub(super) summary: Writer,
    pub(super) frame: Frame,
    outer: [Frame; DEPTH],
    pub(super) depth: usize,
    /// Open parentheses beyond `DEPTH`.
    pub(super) muted: usize,
    pub(super) previous: Previous,
    pub(super) sensitive: Sensitive,
    /// The word `IDENTIFIED` has been passed: after `BY`, `AS` or `USING` a password follows.
    pub(super) identified: bool,
    pub(super) secrecy: Secrecy,
    /// Open parentheses of a secret.
    pub(super) hidden: usize,
    pub(super) setting: Setting,
    /// In a batch of CQL, statements follow each other without a `;`.
    pub(super) batch: bool,
    /// Bodies of procedures that have begun and not ended, whose `END` ends no transaction.
    pub(super) blocks: u8,
    /// Every token is to be looked at, whether it belongs to a secret or makes one of what follows:
    /// none may be passed over as meaningless.
    pub(super) guarded: bool,
    pub(super) expressions: Expressions<'a>,
    /// Where in the summary the targets of the last `UPDATE` or `DELETE` begin.
    pub(super) targets: usize,
    /// The last table that was no target.
    table: Span,
    /// A name of an expression that was left out, unless a `.` follows.
    held: Option<Span>,
    dots: usize,
}

impl<'a> Walker<'a> {
    pub(crate) fn new(source: &'a str, syntax: Syntax) -> Self {
        let dialect = syntax.dialect;
        Walker {
            source,
            dialect,
            summary: Writer::new(),
            frame: Frame::new(Place::Begin),
            outer: [Frame::new(Place::Other); DEPTH],
            depth: 0,
            muted: 0,
            previous: Previous::Other,
            sensitive: Sensitive::No,
            identified: false,
            secrecy: Secrecy::No,
            hidden: 0,
            setting: Setting::No,
            batch: false,
            blocks: 0,
            guarded: false,
            expressions: Expressions::new(dialect),
            targets: 0,
            table: Span { start: 0, end: 0 },
            held: None,
            dots: 0,
        }
    }

    pub(crate) fn into_summary(self) -> Option<Summary> {
        self.summary.finish()
    }

    /// Whether nothing but a name can stand here, as far as quotes allow.
    pub(crate) fn only_a_name(&self) -> bool {
        self.muted == 0 && matches!(self.frame.place, Place::Name | Place::Inner | Place::Part)
    }

    /// Whether the last token was the word `IN`.
    pub(crate) fn after_in(&self) -> bool {
        self.previous == Previous::Word(Keyword::In)
    }

    /// Takes a token that is neither a word, nor a symbol, nor a comment.
    pub(crate) fn value(&mut self, kind: Kind, span: Span) -> Role {
        if self.guarded
            && let Some(role) = self.guard(kind, Keyword::None, span)
        {
            return role;
        }
        let literal = match kind {
            Kind::Quoted => !self.is_name(span),
            Kind::Name => self.is_setting(span),
            kind => kind == Kind::Literal,
        };
        match kind {
            // `EXEC @result = name`
            Kind::Parameter
                if self.frame.place == Place::MaybeName && self.frame.verb == Verb::Execute => {}
            Kind::Name | Kind::Quoted if !literal => self.name(span),
            _ => self.operand(),
        }
        let role = match (literal, self.secrecy) {
            (false, _) => Role::Keep,
            (true, Secrecy::No | Secrecy::Account) => Role::Literal,
            (true, _) => Role::Hidden,
        };
        match self.sensitive {
            Sensitive::Account => self.watch_option(span),
            // A key may be a parameter of the URI, and written in more than one way.
            Sensitive::Attach if literal && self.text(span).contains('?') => return Role::Hidden,
            _ => {}
        }
        role
    }

    fn end_statement(&mut self) {
        self.frame = Frame::new(Place::Begin);
        self.depth = 0;
        self.muted = 0;
        self.previous = Previous::Other;
        self.sensitive = Sensitive::No;
        self.identified = false;
        self.secrecy = Secrecy::No;
        self.hidden = 0;
        self.setting = Setting::No;
        self.guarded = false;
        self.expressions.clear();
        self.summary.separate();
    }

    pub(super) fn text(&self, span: Span) -> &'a str {
        self.source.get(span.start..span.end).unwrap_or_default()
    }

    /// Whether a quoted token is a name. No literal is followed by a `.`, or follows one.
    fn is_name(&self, span: Span) -> bool {
        let double = !self.text(span).starts_with('\'');
        if self.muted > 0 || !(double || self.dialect.single_quotes_may_name()) {
            return false;
        }
        match self.frame.place {
            Place::Name | Place::Inner | Place::Part => return true,
            Place::Expression | Place::Columns => return double,
            Place::Assignment if double => {
                let rest = self.source.get(span.end..).unwrap_or_default();
                return rest.trim_start().starts_with('=');
            }
            _ => {}
        }
        let may_be_part = double || self.dialect == Dialect::Sqlite;
        let rest = self.source.as_bytes().get(span.end..).unwrap_or_default();
        let before_dot =
            rest.first() == Some(&b'.') && !rest.get(1).is_some_and(u8::is_ascii_digit);
        may_be_part && (self.previous == Previous::Symbol(b'.') || before_dot)
    }

    /// A literal or a parameter.
    pub(super) fn operand(&mut self) {
        self.previous = Previous::Other;
        self.frame.place = match self.frame.place {
            // `{? = call name}`, `CREATE DEFINER = 'name'@'host' VIEW`
            place @ (Place::Begin | Place::Object | Place::Block | Place::Before) => place,
            Place::AfterName | Place::Alias => Place::AfterAlias,
            Place::Condition => Place::Condition,
            Place::AfterAlias => {
                self.frame.listing = false;
                Place::Other
            }
            _ => Place::Other,
        };
    }

    /// A quoted name.
    fn name(&mut self, span: Span) {
        let previous = std::mem::replace(&mut self.previous, Previous::Other);
        match self.frame.place {
            Place::Part => self.part(span),
            Place::Name
            | Place::Inner
            | Place::MaybeName
            | Place::MaybeInner
            | Place::TableOrName => self.target(span),
            Place::Expression => self.expression(span),
            Place::Object | Place::Columns | Place::Condition | Place::Before => {}
            Place::AfterName | Place::Alias => self.alias(span),
            // `FROM a PIVOT (…) "b"`
            Place::AfterAlias if previous == Previous::Symbol(b')') => {}
            Place::AfterAlias => {
                self.frame.listing = false;
                self.frame.place = Place::Other;
            }
            _ => self.frame.place = Place::Other,
        }
    }

    pub(super) fn target(&mut self, span: Span) {
        let name = self.text(span);
        self.frame.place = Place::AfterName;
        self.dots = 0;
        self.held = None;
        if self.frame.sources {
            self.table = span;
        } else if self.expressions.hide(name) {
            self.held = Some(span);
        } else {
            self.summary.target(name);
        }
    }

    /// A further part of a qualified name.
    pub(super) fn part(&mut self, span: Span) {
        if let Some(first) = self.held.take() {
            self.summary.target(self.text(first));
        }
        if self.frame.sources {
            self.table.end = span.end;
        } else {
            self.summary.part(self.dots, self.text(span));
        }
        self.dots = 0;
        self.frame.place = Place::AfterName;
    }

    /// Another name for a table, which may stand for it where the target is named.
    pub(super) fn alias(&mut self, span: Span) {
        self.frame.place = Place::AfterAlias;
        if self.frame.sources && self.summary.is_all(self.targets, self.text(span)) {
            self.summary.retract(self.targets);
            self.summary.target(self.text(self.table));
        }
    }

    pub(super) fn expression(&mut self, span: Span) {
        self.frame.expression = self.expressions.add(self.text(span), self.depth);
        self.frame.place = Place::ExpressionAs;
    }

    /// The classes of symbols that mean nothing here, nor do names; 0 where names do.
    #[inline]
    pub(crate) fn meaningless(&self) -> u8 {
        if self.guarded || self.previous == Previous::Symbol(b'.') {
            return 0;
        }
        // Commas separate something.
        let listing = self.frame.listing && self.frame.verb != Verb::Select;
        match self.frame.place {
            Place::Other if !listing => class::COMMA | class::OPERATOR,
            Place::Other | Place::Assignment => class::OPERATOR,
            Place::Columns => class::COMMA,
            _ => 0,
        }
    }

    /// Takes tokens that mean nothing, of which this is the last.
    #[inline]
    pub(crate) fn pass(&mut self, last: Kind) {
        self.previous = match last {
            Kind::Symbol(symbol) => Previous::Symbol(symbol),
            _ => Previous::Other,
        };
        if self.frame.place == Place::Assignment {
            self.frame.place = Place::Other;
        }
    }

    pub(crate) fn symbol(&mut self, symbol: u8, span: Span) -> Role {
        if symbol == b';' {
            self.end_statement();
            return Role::Keep;
        }
        if self.guarded
            && let Some(role) = self.guard(Kind::Symbol(symbol), Keyword::None, span)
        {
            return role;
        }
        let previous = std::mem::replace(&mut self.previous, Previous::Symbol(symbol));
        match symbol {
            b'(' => self.open(previous),
            b')' => self.close(),
            _ if self.muted > 0 => {}
            // Commas in there separate no tables.
            b'[' | b'{' if self.frame.place == Place::Condition => {
                self.open(previous);
                self.frame.bracket = self.muted == 0;
            }
            b']' | b'}' if self.frame.bracket => self.close(),
            b',' if self.setting == Setting::Value && self.depth == 0 => {
                if !matches!(self.dialect, Dialect::PostgreSql | Dialect::Generic) {
                    self.setting = Setting::Name;
                }
            }
            b',' => self.comma(),
            b'.' => match self.frame.place {
                Place::AfterName if previous != Previous::Symbol(b')') => {
                    self.frame.place = Place::Part;
                    self.dots = 1;
                }
                Place::Part => self.dots += 1,
                _ => {}
            },
            // `DELETE t.*, u.* FROM t JOIN u`
            b'*' if self.frame.place == Place::Part => self.frame.place = Place::AfterName,
            // `{call name}`, `{? = call name}`, `EXPLAIN FORMAT = JSON`, `EXEC @result = name`
            b'{' | b'=' | b'?' if self.frame.place == Place::Begin => {}
            b'=' if self.frame.verb == Verb::Execute => {}
            // `FROM {oj a LEFT JOIN b}`
            b'{' if matches!(self.frame.place, Place::Name | Place::MaybeName) => {}
            b'=' if self.setting == Setting::Name && self.depth == 0 => {
                self.setting = Setting::Value;
            }
            _ => match self.frame.place {
                Place::Object | Place::Condition | Place::AfterExpression | Place::Before => {}
                Place::AfterName | Place::AfterAlias | Place::Alias => {
                    self.frame.place = Place::Condition;
                }
                _ => self.frame.place = Place::Other,
            },
        }
        Role::Keep
    }

    fn open(&mut self, previous: Previous) {
        let Some(outer) = self.outer.get_mut(self.depth).filter(|_| self.muted == 0) else {
            self.muted += 1;
            return;
        };
        let verb = self.frame.verb;
        let (stay, inside) = match self.frame.place {
            Place::Begin if verb == Verb::Explain => (Place::Begin, Place::Begin),
            // `COPY (DELETE FROM a RETURNING b) TO …`
            Place::Begin | Place::TableOrName => (Place::Other, Place::Begin),
            // `FROM TABLE(f(1))`
            Place::Name | Place::MaybeName
                if verb == Verb::Select && previous == Previous::Word(Keyword::Table) =>
            {
                (Place::AfterName, Place::TableOrName)
            }
            // `DELETE TOP (5) FROM a`
            Place::Name if previous == Previous::Word(Keyword::Top) => {
                (Place::Name, Place::Parenthesis)
            }
            Place::Name | Place::Inner if verb.lists_tables() => (Place::AfterName, Place::Inner),
            Place::MaybeName | Place::MaybeInner if verb.lists_tables() => {
                (Place::AfterName, Place::MaybeInner)
            }
            Place::ExpressionBody => (Place::ExpressionBody, Place::Begin),
            Place::AfterName if verb == Verb::Insert => (Place::Other, Place::Columns),
            place @ (Place::AfterName
            | Place::AfterAlias
            | Place::Condition
            | Place::Object
            | Place::ExpressionAs
            | Place::AfterExpression) => (place, Place::Parenthesis),
            Place::Alias => (Place::AfterAlias, Place::Parenthesis),
            _ => (Place::Other, Place::Parenthesis),
        };
        self.frame.place = stay;
        *outer = self.frame;
        self.depth += 1;
        self.frame = Frame::new(inside);
        match inside {
            _ if verb == Verb::Explain => self.frame.verb = verb,
            Place::Inner | Place::MaybeInner => {
                self.frame.list_tables(inside);
                self.frame.doubtful = inside == Place::MaybeInner;
                self.frame.sources = outer.sources;
            }
            _ => {}
        }
    }

    pub(super) fn close(&mut self) {
        if self.muted > 0 {
            self.muted -= 1;
            return;
        }
        let Some(depth) = self.depth.checked_sub(1) else {
            self.frame.place = Place::Other;
            return;
        };
        self.depth = depth;
        self.expressions.leave(depth);
        self.frame = self.outer.get(depth).copied().unwrap_or(self.frame);
        if self.frame.place == Place::ExpressionBody {
            self.frame.place = Place::AfterExpression;
            self.expressions.show(self.frame.expression);
        }
    }

    fn comma(&mut self) {
        let Frame { verb, listing, .. } = self.frame;
        self.frame.place = match self.frame.place {
            Place::AfterName | Place::AfterAlias if verb.lists_tables() && listing => {
                if self.frame.doubtful { Place::MaybeName } else { Place::Name }
            }
            Place::AfterName if verb == Verb::Drop && listing => Place::Name,
            Place::AfterName if verb == Verb::Drop => Place::MaybeName,
            // `LOCK TABLES a WRITE, b READ`
            Place::Other if verb == Verb::Drop && listing => Place::MaybeName,
            // `DELETE a, b FROM …`
            Place::AfterName | Place::AfterAlias if verb == Verb::Delete => {
                self.frame.listing = true;
                Place::MaybeName
            }
            Place::AfterName if verb == Verb::Explain => Place::Begin,
            // `WITH a AS (…) SEARCH … SET b, c AS (…)`
            Place::Other if verb == Verb::With && listing => Place::Expression,
            // The end of the condition is not always known.
            Place::Condition if verb.lists_tables() && listing => {
                self.frame.doubtful = true;
                Place::MaybeName
            }
            Place::AfterExpression => Place::Expression,
            place @ (Place::Columns | Place::Object | Place::Before) => place,
            _ if verb == Verb::Modify && listing => Place::Assignment,
            _ => Place::Other,
        };
    }
}
