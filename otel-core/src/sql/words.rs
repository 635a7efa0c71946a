//! What the words of a text do to the walk.

use super::frame::{Place, Previous, Sensitive, Verb};
use super::keyword::Keyword;
use super::lexer::Span;
use super::walk::{Role, Walker};

impl Walker<'_> {
    /// Takes a word that is no part of a quoted token.
    pub(crate) fn word(&mut self, keyword: Keyword, span: Span) -> Role {
        if self.guarded && self.is_guarded(span) {
            return Role::Secret;
        }
        let next = self.source.as_bytes().get(span.end).copied();
        if self.previous == Previous::Symbol(b'.') {
            // `schema.select`, `t.true`
            self.previous = Previous::Other;
            if self.frame.place == Place::Part && self.muted == 0 {
                self.part(span);
            }
            return Role::Keep;
        }
        let previous = self.previous;
        self.previous = match (keyword, previous) {
            // `IS NOT TRUE` is one operator, as `IS TRUE`.
            (Keyword::Not, Previous::Word(Keyword::Is)) => previous,
            _ => Previous::Word(keyword),
        };
        if self.only_a_name() {
            self.expected_name(keyword, previous, span);
            return Role::Keep;
        }
        if self.frame.place != Place::MaybeName {
            self.watch_for_secrets(keyword, previous);
        }
        let named = matches!(previous, Previous::Word(Keyword::Is | Keyword::As))
            || matches!(next, Some(b'.' | b'('));
        if keyword == Keyword::Boolean && !named {
            self.operand();
            return Role::Literal;
        }
        if self.muted == 0 {
            self.step(keyword, previous, span);
        }
        Role::Keep
    }

    fn watch_for_secrets(&mut self, keyword: Keyword, previous: Previous) {
        let account = self.sensitive == Sensitive::Account;
        match keyword {
            Keyword::Password => self.secret = account,
            Keyword::Identified => {
                self.identified = account || self.sensitive == Sensitive::Grant;
            }
            Keyword::By => {
                self.secret = self.identified || previous == Previous::Word(Keyword::Identified);
            }
            Keyword::As | Keyword::On => self.secret = self.identified,
            Keyword::Key => self.secret = self.sensitive == Sensitive::Attach,
            _ => return,
        }
        self.guarded |= self.secret;
    }

    /// A word where a name stands, or a word before it.
    fn expected_name(&mut self, keyword: Keyword, previous: Previous, span: Span) {
        let select = self.frame.verb == Verb::Select;
        match keyword {
            Keyword::Select | Keyword::With if self.frame.place == Place::Inner => {
                self.begin(keyword, span);
            }
            Keyword::Values if self.frame.place == Place::Inner => self.frame.place = Place::Other,
            Keyword::Only => {}
            Keyword::Filler | Keyword::Not | Keyword::Or | Keyword::Into | Keyword::From
                if !select => {}
            // `INSERT OR REPLACE INTO t`
            _ if previous == Previous::Word(Keyword::Or) && !select => {}
            Keyword::On if matches!(self.frame.verb, Verb::Create | Verb::Drop) => {
                self.frame.place = Place::Other;
            }
            _ => self.target(span),
        }
    }

    fn step(&mut self, keyword: Keyword, previous: Previous, span: Span) {
        match self.frame.place {
            Place::Begin => self.begin(keyword, span),
            Place::Parenthesis => match keyword {
                Keyword::Select | Keyword::With => self.begin(keyword, span),
                _ => self.frame.place = Place::Other,
            },
            Place::Columns => match keyword {
                Keyword::Select | Keyword::With => self.begin(keyword, span),
                Keyword::None => {}
                _ => self.frame.place = Place::Other,
            },
            Place::MaybeName => self.expected_name(keyword, previous, span),
            Place::TableOrName => match keyword {
                Keyword::Table => {
                    self.summary.operation(self.text(span));
                    self.frame.listing = true;
                    self.frame.place = Place::Name;
                }
                Keyword::Select | Keyword::With => self.begin(keyword, span),
                _ => self.expected_name(keyword, previous, span),
            },
            Place::Object => self.object(keyword, span),
            Place::Transaction => {
                if keyword == Keyword::TransactionWord {
                    self.summary.operation(self.text(span));
                }
                self.frame.place = Place::Other;
            }
            Place::Expression => match keyword {
                Keyword::Recursive => self.expressions.set_recursive(),
                _ => self.expression(span),
            },
            Place::ExpressionAs if keyword == Keyword::As => {
                self.frame.place = Place::ExpressionBody;
            }
            Place::ExpressionAs | Place::ExpressionBody => {}
            Place::AfterExpression => {
                if keyword != Keyword::None {
                    self.begin(keyword, span);
                }
            }
            Place::Alias => self.frame.place = Place::AfterAlias,
            _ => self.clause(keyword, previous, span),
        }
    }

    /// The first word of a statement.
    fn begin(&mut self, keyword: Keyword, span: Span) {
        let explained = self.frame.verb == Verb::Explain;
        let (verb, place, sensitive) = match keyword {
            Keyword::Select => {
                self.frame.listing = false;
                self.frame.from_seen = false;
                (Verb::Select, Place::Other, Sensitive::No)
            }
            Keyword::With => {
                self.frame.verb = Verb::With;
                self.frame.place = Place::Expression;
                return;
            }
            Keyword::Insert => (Verb::Insert, Place::Name, Sensitive::No),
            Keyword::Merge | Keyword::Update | Keyword::Delete => {
                (Verb::Modify, Place::Name, Sensitive::No)
            }
            Keyword::Values if self.depth > 0 => {
                self.frame.place = Place::Other;
                return;
            }
            Keyword::Values => (Verb::None, Place::Other, Sensitive::No),
            Keyword::Table => (Verb::None, Place::Name, Sensitive::No),
            Keyword::Create => (Verb::Create, Place::Object, Sensitive::Account),
            Keyword::Drop => (Verb::Drop, Place::Object, Sensitive::No),
            Keyword::Execute => (Verb::None, Place::MaybeName, Sensitive::No),
            Keyword::Pragma => (Verb::None, Place::MaybeName, Sensitive::Pragma),
            Keyword::Attach => (Verb::Alone, Place::Other, Sensitive::Attach),
            // Words between `EXPLAIN` and what it explains.
            _ if explained => return,
            Keyword::Explain => (Verb::Explain, Place::Begin, Sensitive::No),
            Keyword::Truncate => (Verb::Drop, Place::TableOrName, Sensitive::No),
            Keyword::Call => (Verb::None, Place::TableOrName, Sensitive::No),
            Keyword::Begin | Keyword::Transaction => {
                (Verb::None, Place::Transaction, Sensitive::No)
            }
            Keyword::Set => (Verb::Alone, Place::Other, Sensitive::Account),
            Keyword::Grant => (Verb::Alone, Place::Other, Sensitive::Grant),
            Keyword::Alone => (Verb::Alone, Place::Other, Sensitive::No),
            _ => {
                self.frame.verb = Verb::None;
                self.frame.place = Place::Other;
                self.sensitive = Sensitive::Account;
                return;
            }
        };
        self.summary.operation(self.text(span));
        self.frame.verb = verb;
        self.frame.place = place;
        if self.depth == 0 {
            self.sensitive = sensitive;
            self.guarded |= sensitive == Sensitive::Pragma;
        }
    }

    /// The kind of an object, or a word before it (`OR REPLACE TEMPORARY`).
    fn object(&mut self, keyword: Keyword, span: Span) {
        match keyword {
            Keyword::Table | Keyword::Object | Keyword::Procedure => {
                self.sensitive = Sensitive::No;
                self.frame.listing = true;
                self.frame.place = Place::Name;
            }
            Keyword::Account => self.frame.place = Place::MaybeName,
            Keyword::Nameless => self.frame.place = Place::Other,
            Keyword::Materialized => {}
            _ => return,
        }
        self.summary.operation(self.text(span));
    }

    /// A word within a statement.
    fn clause(&mut self, keyword: Keyword, previous: Previous, span: Span) {
        let named = self.frame.place == Place::AfterName;
        match (self.frame.verb, keyword) {
            (Verb::Alone, _) => {}
            (Verb::Select, Keyword::Select) if previous == Previous::Word(Keyword::As) => {}
            (Verb::Create | Verb::Drop, Keyword::Select)
                if !named
                    && !matches!(
                        previous,
                        Previous::Word(Keyword::As) | Previous::Symbol(b')')
                    ) => {}
            (_, Keyword::Select) => self.begin(keyword, span),
            (Verb::Insert, Keyword::With) if named || previous == Previous::Symbol(b')') => {
                self.begin(keyword, span);
            }
            (Verb::Create, Keyword::With) if previous == Previous::Word(Keyword::As) => {
                self.begin(keyword, span);
            }
            (Verb::Create, Keyword::Begin) => self.frame.place = Place::Begin,
            (Verb::Select, Keyword::From)
                if !self.frame.from_seen && previous != Previous::Word(Keyword::Distinct) =>
            {
                self.frame.place = Place::Name;
                self.frame.listing = true;
                self.frame.from_seen = true;
            }
            (Verb::Modify, Keyword::Set) => {
                self.frame.place = Place::Assignment;
                self.frame.listing = true;
            }
            (_, Keyword::Union) => {
                self.frame.verb = Verb::None;
                self.frame.place = Place::Other;
            }
            (Verb::Select, _) if self.frame.listing => self.table_list(keyword),
            (Verb::Modify, Keyword::Clause | Keyword::From | Keyword::On) => {
                self.frame.listing = false;
                self.frame.place = Place::Other;
            }
            _ => self.frame.place = Place::Other,
        }
    }

    /// A word after a table in a `FROM` clause.
    fn table_list(&mut self, keyword: Keyword) {
        let place = self.frame.place;
        self.frame.place = match keyword {
            Keyword::Join => Place::Name,
            Keyword::On => Place::Condition,
            Keyword::As if place != Place::Condition => Place::Alias,
            // `FORCE INDEX FOR JOIN (a)`, `WITH ORDINALITY`, `FOR KEY SHARE`
            Keyword::Joining
            | Keyword::Only
            | Keyword::With
            | Keyword::Call
            | Keyword::Filler
            | Keyword::Not
            | Keyword::By
            | Keyword::Key => place,
            Keyword::Clause
            | Keyword::Procedure
            | Keyword::Into
            | Keyword::Set
            | Keyword::Update
            | Keyword::Truncate => {
                self.frame.listing = false;
                Place::Other
            }
            _ => match place {
                Place::AfterName => Place::AfterAlias,
                Place::Condition => Place::Condition,
                _ => {
                    self.frame.listing = false;
                    Place::Other
                }
            },
        };
    }
}
