//! What the words of a text do to the walk.

use super::dialect::Dialect;
use super::frame::{Place, Previous, Secrecy, Sensitive, Setting, Verb};
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
        if self.setting != Setting::No && self.set(keyword, span) {
            return Role::Literal;
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

    /// Whether a word is a value that is set. `DEFAULT` and parts of expressions are none.
    fn set(&mut self, keyword: Keyword, span: Span) -> bool {
        match (keyword, self.setting) {
            (Keyword::To, Setting::Name) => self.setting = Setting::Value,
            // `SET STATEMENT a = 1 FOR SELECT …`
            (Keyword::For, _) => self.setting = Setting::No,
            (Keyword::None | Keyword::On | Keyword::Boolean, Setting::Value) => {
                return self.is_set(span);
            }
            _ => {}
        }
        false
    }

    fn watch_for_secrets(&mut self, keyword: Keyword, previous: Previous) {
        let account = self.sensitive == Sensitive::Account;
        let secret = match keyword {
            Keyword::Password => account,
            // An address with a password in it may follow.
            Keyword::Connection if self.frame.verb == Verb::Create => {
                self.secrecy = Secrecy::Literals;
                return;
            }
            Keyword::Identified => {
                self.identified = account || self.sensitive == Sensitive::Grant;
                return;
            }
            Keyword::By => self.identified || previous == Previous::Word(Keyword::Identified),
            Keyword::As | Keyword::On => self.identified,
            Keyword::Key => self.sensitive == Sensitive::Attach,
            _ => return,
        };
        if secret {
            self.secrecy = Secrecy::Everything;
            self.guarded = true;
        }
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
            // `FROM ROWS FROM (f(), g())`, `FROM {oj a LEFT JOIN b}`
            Keyword::Rows if select && self.next_is(span, "FROM") => {}
            Keyword::From if previous == Previous::Word(Keyword::Rows) => {}
            _ if select && previous == Previous::Symbol(b'{') => {}
            Keyword::Filler
            | Keyword::If
            | Keyword::Not
            | Keyword::Or
            | Keyword::Into
            | Keyword::From
                if !select => {}
            Keyword::Top if !select && self.next(span) == b'(' => {}
            Keyword::History
                if previous == Previous::Word(Keyword::Delete) && self.next_is(span, "FROM") => {}
            // `INSERT ALL INTO a … INTO b …`, `INSERT INTO TABLE a`
            Keyword::All if self.frame.verb == Verb::Insert => self.frame.listing = true,
            Keyword::Table if self.frame.verb == Verb::Insert => {}
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
                Keyword::Table | Keyword::Object | Keyword::Account => {
                    self.summary.operation(self.text(span));
                    self.frame.listing = true;
                    self.frame.place = Place::Name;
                }
                Keyword::Select | Keyword::With => self.begin(keyword, span),
                _ => self.expected_name(keyword, previous, span),
            },
            Place::Object => self.object(keyword, span),
            Place::Transaction => {
                if matches!(keyword, Keyword::TransactionWord | Keyword::Batch) {
                    self.summary.operation(self.text(span));
                }
                self.frame.place = Place::Other;
            }
            Place::Block => self.block(keyword, span),
            Place::Before if keyword == Keyword::From => self.frame.place = Place::Name,
            Place::Expression => match keyword {
                Keyword::Recursive => self.expressions.set_recursive(),
                _ => self.expression(span),
            },
            Place::ExpressionAs if keyword == Keyword::As => {
                self.frame.place = Place::ExpressionBody;
            }
            Place::Before | Place::ExpressionAs | Place::ExpressionBody => {}
            Place::AfterExpression => {
                if keyword != Keyword::None {
                    self.begin(keyword, span);
                }
            }
            // `FROM a AS OF …`
            Place::Alias if keyword == Keyword::Of => self.frame.place = Place::Condition,
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
            // What stands before `FROM` are columns.
            Keyword::Delete if self.dialect == Dialect::Cql => {
                (Verb::Modify, Place::Before, Sensitive::No)
            }
            Keyword::Merge | Keyword::Update | Keyword::Delete => {
                (Verb::Modify, Place::Name, Sensitive::No)
            }
            Keyword::If => {
                self.frame.verb = Verb::If;
                self.frame.place = Place::Other;
                return;
            }
            Keyword::Declare => (Verb::Declare, Place::Other, Sensitive::Account),
            Keyword::Apply => {
                self.batch = false;
                (Verb::None, Place::Transaction, Sensitive::No)
            }
            Keyword::Values if self.depth > 0 => {
                self.frame.place = Place::Other;
                return;
            }
            Keyword::Values => (Verb::None, Place::Other, Sensitive::No),
            Keyword::Table => (Verb::None, Place::Name, Sensitive::No),
            Keyword::Create => (Verb::Create, Place::Object, Sensitive::Account),
            Keyword::Drop => (Verb::Drop, Place::Object, Sensitive::No),
            Keyword::Execute => (Verb::Execute, Place::MaybeName, Sensitive::No),
            Keyword::Pragma => (Verb::None, Place::MaybeName, Sensitive::Pragma),
            Keyword::Attach => (Verb::Alone, Place::Other, Sensitive::Attach),
            // Words between `EXPLAIN` and what it explains, or a table.
            Keyword::None if explained && matches!(self.next(span), 0 | b';' | b'.') => {
                self.target(span);
                return;
            }
            _ if explained => return,
            Keyword::Explain => (Verb::Explain, Place::Begin, Sensitive::No),
            Keyword::Truncate => (Verb::Drop, Place::TableOrName, Sensitive::No),
            Keyword::Call => (Verb::None, Place::TableOrName, Sensitive::No),
            Keyword::Begin => (Verb::None, Place::Block, Sensitive::No),
            Keyword::Transaction => (Verb::None, Place::Transaction, Sensitive::Account),
            Keyword::Set => {
                self.setting = Setting::Name;
                self.guarded = true;
                (Verb::Alone, Place::Other, Sensitive::Account)
            }
            Keyword::Grant => (Verb::Alone, Place::Other, Sensitive::Grant),
            Keyword::Alone | Keyword::Fetch => (Verb::Alone, Place::Other, Sensitive::No),
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

    /// What stands behind `BEGIN`.
    fn block(&mut self, keyword: Keyword, span: Span) {
        match keyword {
            Keyword::TransactionWord => {
                self.summary.operation(self.text(span));
                self.frame.place = Place::Other;
            }
            Keyword::Batch => {
                self.summary.operation(self.text(span));
                self.batch = true;
            }
            keyword if keyword.begins_block() => self.begin(keyword, span),
            _ => {}
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
        if keyword != Keyword::None && self.is_statement(keyword, previous, span) {
            return self.begin(keyword, span);
        }
        match (self.frame.verb, keyword) {
            (Verb::Create, Keyword::Set) if self.sensitive == Sensitive::Account => {
                self.setting = Setting::Name;
                self.guarded = true;
            }
            // In the others it is a name, or an option.
            (Verb::Alone, _) | (Verb::Select | Verb::Create | Verb::Drop, Keyword::Select) => {}
            (Verb::Insert, Keyword::Into) if self.frame.listing => self.frame.place = Place::Name,
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
                self.frame.verb = Verb::Union;
                self.frame.place = Place::Other;
            }
            (Verb::Select, _) if self.frame.listing => self.table_list(keyword, span),
            (
                Verb::Modify,
                Keyword::Clause | Keyword::Fetch | Keyword::For | Keyword::From | Keyword::On,
            ) => {
                self.frame.listing = false;
                self.frame.place = Place::Other;
            }
            _ => self.frame.place = Place::Other,
        }
    }

    /// Whether a word within a statement is the first one of another.
    fn is_statement(&self, keyword: Keyword, previous: Previous, span: Span) -> bool {
        let named = self.frame.place == Place::AfterName;
        let closed = previous == Previous::Symbol(b')');
        let after_as = previous == Previous::Word(Keyword::As);
        match (self.frame.verb, keyword) {
            (Verb::Alone, _) => false,
            (Verb::Select, Keyword::Select) => !after_as,
            (Verb::Create | Verb::Drop, Keyword::Select) => named || closed || after_as,
            (_, Keyword::Select) | (Verb::Union, Keyword::Table) => true,
            (Verb::Insert, Keyword::With) => named || closed,
            (Verb::Insert, Keyword::Table) => named,
            (Verb::Create, Keyword::With | Keyword::Table) => after_as,
            (verb, keyword) if keyword.begins_block() => {
                // `REPLACE(…)` is a function.
                let conditional = verb == Verb::If || previous == Previous::Word(Keyword::Else);
                (self.batch && self.depth == 0)
                    || (conditional && self.next(span) != b'(')
                    || (verb == Verb::Declare && after_as)
            }
            _ => false,
        }
    }

    /// A word after a table in a `FROM` clause.
    fn table_list(&mut self, keyword: Keyword, span: Span) {
        let place = self.frame.place;
        self.frame.place = match keyword {
            Keyword::Join | Keyword::Apply => Place::Name,
            Keyword::On => Place::Condition,
            // `FOR SYSTEM_TIME AS OF …` stands between tables.
            Keyword::For if self.next_is(span, "SYSTEM_TIME") => Place::Condition,
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
            | Keyword::Fetch
            | Keyword::For
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
                // As `meaningless` has it.
                Place::Other if keyword == Keyword::None => Place::Other,
                _ => {
                    self.frame.listing = false;
                    Place::Other
                }
            },
        };
    }
}
