//! Beside the pages: words where a table, or what else a statement is about, is named, and words
//! behind one.

use super::frame::{Place, Previous, Verb};
use super::keyword::Keyword;
use super::lexer::Span;
use super::walk::Walker;

impl Walker<'_> {
    /// A word where a name stands, or a word before it.
    pub(super) fn expected_name(&mut self, keyword: Keyword, previous: Previous, span: Span) {
        let select = self.frame.verb == Verb::Select;
        match keyword {
            Keyword::Select | Keyword::With | Keyword::Table
                if self.frame.place == Place::Inner =>
            {
                self.begin(keyword, span);
            }
            // `FROM TABLE(f(1))`
            Keyword::Table if select && self.next(span) == b'(' => {}
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

    /// A word after a table in a `FROM` clause.
    pub(super) fn table_list(&mut self, keyword: Keyword, previous: Previous, span: Span) {
        let place = self.frame.place;
        self.frame.place = match keyword {
            Keyword::Apply => Place::Name,
            Keyword::On => Place::Condition,
            // `FOR SYSTEM_TIME AS OF …` stands between tables.
            Keyword::For if self.next_is(span, "SYSTEM_TIME") => Place::Condition,
            Keyword::As if place != Place::Condition => Place::Alias,
            Keyword::For if self.next_is(span, "JOIN") => place,
            // `USE INDEX FOR JOIN (a)`, `WITH ORDINALITY`, `FOR KEY SHARE`
            Keyword::Joining
            | Keyword::Only
            | Keyword::With
            | Keyword::Call
            | Keyword::Object
            | Keyword::Filler
            | Keyword::Not
            | Keyword::By
            | Keyword::Key => place,
            Keyword::Clause
            | Keyword::Fetch
            | Keyword::Do
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
                // `TABLESAMPLE SYSTEM (5)`, `INNER HASH JOIN`
                place if previous == Previous::Word(Keyword::Joining) => place,
                Place::AfterName => Place::AfterAlias,
                Place::Condition => Place::Condition,
                // Names are passed over there (see `meaningless`), unless the output wants to see
                // every token: then too they change nothing.
                Place::Other if keyword == Keyword::None => Place::Other,
                _ => {
                    self.frame.listing = false;
                    Place::Other
                }
            },
        };
    }
}
