//! Beside the pages: words where a table, or what else a statement is about, is named, and words
//! behind one.

use super::frame::{Place, Previous, Verb};
use super::keyword::Keyword;
use super::lexer::Span;
use super::walk::Walker;

const INTO: Previous = Previous::Word(Keyword::Into);

impl Walker<'_> {
    /// A word where a name stands, or a word before it.
    pub(super) fn expected_name(&mut self, keyword: Keyword, previous: Previous, span: Span) {
        let verb = self.frame.verb;
        let select = verb == Verb::Select;
        let inner = matches!(self.frame.place, Place::Inner | Place::MaybeInner);
        match keyword {
            Keyword::Select | Keyword::With | Keyword::Table if inner => self.begin(keyword, span),
            // `FROM TABLE(f(1))`
            Keyword::Table if select && self.next(span) == b'(' => {}
            Keyword::Values if inner => self.frame.place = Place::Other,
            // `FROM ROWS FROM (f(), g())`, `FROM {oj a LEFT JOIN b}`
            Keyword::Rows if select && self.next_is(span, "FROM") => {}
            Keyword::From if previous == Previous::Word(Keyword::Rows) => {}
            _ if select && previous == Previous::Symbol(b'{') => {}
            // `IF NOT EXISTS a`
            Keyword::Filler if matches!(previous, Previous::Word(Keyword::If | Keyword::Not)) => {}
            Keyword::Into | Keyword::From if !select && previous != Previous::Word(keyword) => {}
            Keyword::Top if !select && self.next(span) == b'(' && previous != INTO => {}
            Keyword::History
                if previous == Previous::Word(Keyword::Delete) && self.next_is(span, "FROM") => {}
            Keyword::On if matches!(verb, Verb::Create | Verb::Drop) => {
                self.frame.place = Place::Other;
            }
            // `UPDATE only SET …`, `INSERT INTO table VALUES …`
            Keyword::Only
            | Keyword::Filler
            | Keyword::If
            | Keyword::Not
            | Keyword::Or
            | Keyword::All
            | Keyword::Table
                if self.is_named(span) =>
            {
                self.target(span);
            }
            Keyword::Only => {}
            Keyword::Filler | Keyword::If | Keyword::Not | Keyword::Or if !select => {}
            // `INSERT ALL INTO a … INTO b …`, `INSERT INTO TABLE a`
            Keyword::All if verb == Verb::Insert => self.frame.listing = true,
            Keyword::Table if verb == Verb::Insert => {}
            // `INSERT OR REPLACE INTO t`
            _ if previous == Previous::Word(Keyword::Or) && !select => {}
            _ => self.target(span),
        }
    }

    /// Whether what follows shows that a word is a name, whatever word it is: another name does not
    /// follow.
    fn is_named(&self, span: Span) -> bool {
        match self.next(span) {
            0 | b'.' | b',' | b';' | b')' => true,
            b'(' => matches!(self.frame.verb, Verb::Insert | Verb::Create),
            b'/' if self.ends_in_comment(span) => true,
            _ => {
                let word = self.next_word(span);
                match (Keyword::at(self.source.as_bytes(), word.start, word.end), self.next(word)) {
                    (_, b'.') => false,
                    // `INSERT INTO table JSON '…'`
                    (_, b'\'' | b'?' | b':' | b'$') => word.start < word.end,
                    (Keyword::On, _) => !matches!(self.frame.verb, Verb::Create | Verb::Drop),
                    (keyword, _) => matches!(
                        keyword,
                        Keyword::Values
                            | Keyword::Set
                            | Keyword::Select
                            | Keyword::With
                            | Keyword::As
                            | Keyword::Clause
                            | Keyword::Join
                            | Keyword::Joining
                            | Keyword::For
                            | Keyword::Union
                            | Keyword::Execute
                            | Keyword::Nameless
                    ),
                }
            }
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
            // `SORT BY a, b` ends it, `PARTITION BY (a)` does not.
            Keyword::By if place == Place::Condition => {
                self.frame.listing = false;
                Place::Other
            }
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
                Place::AfterName => return self.alias(span),
                // `FROM a PIVOT (…) b`
                Place::AfterAlias
                    if keyword == Keyword::None && previous == Previous::Symbol(b')') =>
                {
                    place
                }
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
