//! Beside the pages: what the words of a text do to the walk.

use super::dialect::Dialect;
use super::frame::{Place, Previous, Secrecy, Sensitive, Setting, Verb};
use super::keyword::Keyword;
use super::lexer::{Kind, Span};
use super::walk::{Role, Walker};

impl Walker<'_> {
    /// Takes a word that is no part of a quoted token.
    pub(crate) fn word(&mut self, keyword: Keyword, span: Span) -> Role {
        if self.guarded
            && let Some(role) = self.guard(Kind::Word, keyword, span)
        {
            return role;
        }
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
        if self.setting != Setting::No && self.set(keyword, previous, span) {
            return Role::Literal;
        }
        if keyword != Keyword::None {
            if self.frame.place != Place::MaybeName {
                self.watch_for_secrets(keyword, previous, span);
            }
            if self.is_constant(keyword, previous, span) {
                self.operand();
                return Role::Literal;
            }
        }
        if self.muted == 0 {
            self.step(keyword, previous, span);
        }
        Role::Keep
    }

    /// Whether a word is a literal, and neither a name nor a part of `IS TRUE`.
    #[inline]
    fn is_constant(&self, keyword: Keyword, previous: Previous, span: Span) -> bool {
        match keyword {
            Keyword::Boolean => {}
            Keyword::Number if matches!(self.dialect, Dialect::Generic | Dialect::Cql) => {}
            _ => return false,
        }
        let named = matches!(previous, Previous::Word(Keyword::Is | Keyword::As));
        !named && !matches!(self.source.as_bytes().get(span.end), Some(b'.' | b'('))
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
            Place::MaybeName | Place::MaybeInner => self.expected_name(keyword, previous, span),
            Place::TableOrName => match keyword {
                Keyword::Table | Keyword::Object | Keyword::Routine | Keyword::Account => {
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
            // `SEARCH … BY a, b SET c`, `CYCLE a, b SET c TO d DEFAULT e USING f`
            Place::AfterExpression | Place::ExpressionAs
                if matches!(keyword, Keyword::By | Keyword::Set) =>
            {
                self.frame.listing = keyword == Keyword::Set;
                self.frame.place = Place::Other;
            }
            Place::Before | Place::ExpressionAs | Place::ExpressionBody => {}
            Place::AfterExpression => {
                if keyword != Keyword::None {
                    self.begin(keyword, span);
                }
            }
            // `FROM a AS OF …`
            Place::Alias if keyword == Keyword::Of => self.frame.place = Place::Condition,
            Place::Alias => self.alias(span),
            _ => self.clause(keyword, previous, span),
        }
    }

    /// The first word of a statement.
    pub(super) fn begin(&mut self, keyword: Keyword, span: Span) {
        let explained = self.frame.verb == Verb::Explain;
        let (verb, place, sensitive) = match keyword {
            Keyword::Select => {
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
            Keyword::Merge => (Verb::Modify, Place::Name, Sensitive::No),
            Keyword::Update => (Verb::Update, Place::Name, Sensitive::No),
            Keyword::Delete => (Verb::Delete, Place::Name, Sensitive::No),
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
            // `ANALYZE TABLE a, b`
            Keyword::Table if explained => (Verb::Drop, Place::Name, Sensitive::No),
            Keyword::Table => (Verb::None, Place::Name, Sensitive::No),
            Keyword::Create => (Verb::Create, Place::Object, Sensitive::Account),
            Keyword::Drop => (Verb::Drop, Place::Object, Sensitive::No),
            Keyword::Execute => {
                // A statement, not the name of one.
                if self.next(span) == b'(' || self.next_is(span, "IMMEDIATE") {
                    self.secrecy = Secrecy::Literals;
                }
                (Verb::Execute, Place::MaybeName, Sensitive::No)
            }
            Keyword::Pragma => (Verb::None, Place::MaybeName, Sensitive::Pragma),
            Keyword::Attach => (Verb::Alone, Place::Other, Sensitive::Attach),
            // Words between `EXPLAIN` and what it explains, or a table.
            Keyword::None
                if explained
                    && match self.next(span) {
                        b',' => self.depth == 0,
                        next => matches!(next, 0 | b';' | b'.'),
                    } =>
            {
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
            Keyword::End if self.ends_block(span) => {
                self.frame.verb = Verb::None;
                self.frame.place = Place::Other;
                return;
            }
            Keyword::End => (Verb::None, Place::Transaction, Sensitive::No),
            Keyword::Grant => (Verb::Alone, Place::Other, Sensitive::Grant),
            Keyword::Server => (Verb::Alone, Place::Other, Sensitive::Account),
            Keyword::Do => {
                self.secrecy = Secrecy::Literals;
                (Verb::Alone, Place::Other, Sensitive::No)
            }
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
        self.frame.listing = verb == Verb::Update;
        self.frame.doubtful = false;
        self.frame.sources = false;
        if matches!(verb, Verb::Update | Verb::Delete) {
            self.targets = self.summary.length();
        }
        if self.depth == 0 {
            self.sensitive = sensitive;
            self.guarded |= sensitive == Sensitive::Pragma;
        }
    }

    /// Whether an `END` is that of a block (`END`, `END name`), or of a part of one (`END IF`).
    fn ends_block(&mut self, span: Span) -> bool {
        if ["IF", "LOOP", "WHILE", "REPEAT", "CASE", "FOR"].iter().any(|of| self.next_is(span, of))
        {
            return true;
        }
        let ends = self.blocks > 0;
        self.blocks = self.blocks.saturating_sub(1);
        ends
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
            keyword if keyword.begins_block() => {
                self.blocks = self.blocks.saturating_add(1);
                self.begin(keyword, span);
            }
            _ => {}
        }
    }

    /// The kind of an object, or a word before it (`OR REPLACE TEMPORARY`).
    fn object(&mut self, keyword: Keyword, span: Span) {
        match keyword {
            // `EVENT TRIGGER`
            Keyword::Object if self.next_is(span, "TRIGGER") => {}
            Keyword::Table | Keyword::Object | Keyword::Procedure | Keyword::Routine => {
                let routine = matches!(keyword, Keyword::Procedure | Keyword::Routine);
                self.sensitive = if routine { Sensitive::Routine } else { Sensitive::No };
                self.frame.listing = true;
                self.frame.place = Place::Name;
            }
            // An account or, as `GROUP`, a word that ends a clause elsewhere.
            Keyword::Account | Keyword::Clause => self.frame.place = Place::MaybeName,
            Keyword::Nameless => self.frame.place = Place::Other,
            // `CREATE CAST (a AS b) WITH FUNCTION c`, `ALTER CONVERSION a SET SCHEMA b`: its kind is
            // not known, and no longer to come.
            Keyword::With | Keyword::Set => {
                self.frame.place = Place::Other;
                return;
            }
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
            (Verb::Create, Keyword::Set)
                if matches!(self.sensitive, Sensitive::Account | Sensitive::Routine) =>
            {
                self.setting = Setting::Name;
                self.guarded = true;
            }
            // In the others it is a name, or an option.
            (Verb::Alone, _) | (Verb::Select | Verb::Create | Verb::Drop, Keyword::Select) => {}
            (Verb::Insert, Keyword::Into) if self.frame.listing => self.frame.place = Place::Name,
            (Verb::Create, Keyword::Begin) => {
                self.blocks = self.blocks.saturating_add(1);
                self.frame.place = Place::Begin;
            }
            (Verb::Select, Keyword::From)
                if !self.frame.from_seen && previous != Previous::Word(Keyword::Distinct) =>
            {
                self.frame.place = Place::Name;
                self.frame.listing = true;
                self.frame.from_seen = true;
            }
            // `MERGE INTO a AS x …`, `DELETE FROM a x …`
            (Verb::Modify | Verb::Delete, Keyword::As) if self.frame.place == Place::AfterName => {
                self.frame.place = Place::Alias;
            }
            (Verb::Modify | Verb::Delete, Keyword::None)
                if self.frame.place == Place::AfterName =>
            {
                self.frame.place = Place::AfterAlias;
            }
            // `a IS DISTINCT FROM b`
            (Verb::Modify | Verb::Delete, Keyword::From)
                if previous == Previous::Word(Keyword::Distinct) =>
            {
                self.frame.place = Place::Other;
            }
            // `DELETE x FROM a AS x JOIN b`: what was named before is in this list too, or is an
            // alias of what is.
            (Verb::Delete, Keyword::From) => {
                self.summary.retract(self.targets);
                self.frame.list_tables(Place::Name);
            }
            // The same as MySQL has it: `DELETE FROM x, y USING a AS x JOIN b AS y`
            (Verb::Delete, Keyword::On) if self.dialect.is_mysql() || self.frame.listing => {
                self.summary.retract(self.targets);
                self.frame.list_tables(Place::Name);
            }
            // `DELETE FROM a USING b`, `UPDATE x SET … FROM a AS x JOIN b`
            (Verb::Delete, Keyword::On) | (Verb::Modify, Keyword::From)
                if self.frame.verb == Verb::Delete || self.frame.listing =>
            {
                self.frame.list_tables(Place::MaybeName);
                self.frame.doubtful = true;
                self.frame.sources = true;
            }
            (Verb::Update | Verb::Delete | Verb::Modify, Keyword::Set) => {
                self.frame.verb = Verb::Modify;
                self.frame.place = Place::Assignment;
                self.frame.listing = true;
            }
            (Verb::With, Keyword::Set) => self.frame.listing = true,
            (_, Keyword::Union) => {
                self.frame.verb = Verb::Union;
                self.frame.place = Place::Other;
            }
            // `FORCE INDEX FOR JOIN (a)`
            (Verb::Select, Keyword::Join) if previous == Previous::Word(Keyword::For) => {}
            // Whatever stands between a table and this, unless it may be a function (`JOIN('a')`).
            (Verb::Select | Verb::Update, Keyword::Join)
                if self.frame.listing || (self.frame.from_seen && self.next(span) != b'(') =>
            {
                self.frame.listing = true;
                self.frame.doubtful = false;
                self.frame.place = Place::Name;
            }
            (Verb::Select | Verb::Update, _) if self.frame.listing => {
                self.table_list(keyword, previous, span);
            }
            (
                Verb::Modify | Verb::Delete,
                Keyword::Clause
                | Keyword::Fetch
                | Keyword::Do
                | Keyword::For
                | Keyword::From
                | Keyword::On,
            ) => {
                self.frame.verb = Verb::Modify;
                self.frame.listing = false;
                self.frame.place = Place::Other;
            }
            _ => self.frame.place = Place::Other,
        }
    }

    /// Whether a word within a statement is the first one of another.
    fn is_statement(&self, keyword: Keyword, previous: Previous, span: Span) -> bool {
        let named = || self.frame.place == Place::AfterName;
        let closed = || previous == Previous::Symbol(b')');
        let after_as = || previous == Previous::Word(Keyword::As);
        match (self.frame.verb, keyword) {
            (Verb::Alone, _) => false,
            (Verb::Select, Keyword::Select) => !after_as(),
            (Verb::Create | Verb::Drop, Keyword::Select) => named() || closed() || after_as(),
            (_, Keyword::Select) | (Verb::Union, Keyword::Table) => true,
            (Verb::Insert, Keyword::With) => named() || closed(),
            (Verb::Insert, Keyword::Table) => named(),
            (Verb::Create, Keyword::With | Keyword::Table) => after_as(),
            (Verb::Declare | Verb::With, Keyword::With) => {
                after_as() || previous == Previous::Word(Keyword::For)
            }
            (verb, keyword) if keyword.begins_block() => {
                // `REPLACE(…)` is a function.
                let conditional = verb == Verb::If || previous == Previous::Word(Keyword::Else);
                (self.batch && self.depth == 0)
                    || (conditional && self.next(span) != b'(')
                    || (verb == Verb::Declare && after_as())
                    || verb == Verb::With
            }
            _ => false,
        }
    }
}
