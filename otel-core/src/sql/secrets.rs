//! Beside the pages: what of a statement is a secret, whatever becomes of literals, and what is a
//! value that is set.

use super::dialect::Dialect;
use super::frame::{Previous, Secrecy, Sensitive, Setting, Verb};
use super::keyword::Keyword;
use super::lexer::Span;
use super::summary::unquoted;
use super::walk::Walker;

impl Walker<'_> {
    #[inline]
    pub(super) fn watch_for_secrets(&mut self, keyword: Keyword, previous: Previous, span: Span) {
        let account = self.sensitive == Sensitive::Account;
        let secret = match keyword {
            Keyword::Password => account || self.is_password(previous, span),
            // An address with a password in it may follow, or a statement.
            Keyword::Connection if self.frame.verb == Verb::Create => {
                self.secrecy = Secrecy::Literals;
                return;
            }
            Keyword::From if self.frame.verb == Verb::Declare => {
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

    /// Whether a password follows where columns may be called so: behind `SET` within a procedure or
    /// an event, and as an option of a table.
    fn is_password(&self, previous: Previous, span: Span) -> bool {
        let verb = self.frame.verb;
        let body = matches!(verb, Verb::None | Verb::Create | Verb::Declare | Verb::If);
        (body && previous == Previous::Word(Keyword::Set))
            || (verb == Verb::Create
                && self.depth == 0
                && matches!(self.next(span), b'=' | b'\'' | b'"'))
    }

    /// Whether a token is, or belongs to, a secret.
    #[inline]
    pub(super) fn is_guarded(&mut self, span: Span) -> bool {
        if self.sensitive == Sensitive::Pragma && ends_with(self.text(span), "key") {
            self.sensitive = Sensitive::PragmaKey;
        }
        // `ALTER SYSTEM SET primary_conninfo = '…'`
        if self.setting == Setting::Name
            && self.secrecy == Secrecy::No
            && ends_with(self.text(span), "conninfo")
        {
            self.secrecy = Secrecy::Literals;
        }
        self.secrecy == Secrecy::Everything
    }

    /// `OPTIONS ("password" 'secret')`, `OPTIONS = {'password': 'secret'}`
    pub(super) fn watch_option(&mut self, span: Span) {
        let quoted = self.text(span).len() > 2;
        let inside = Span { start: span.start + 1, end: span.end - 1 };
        if quoted
            && Keyword::at(self.source.as_bytes(), inside.start, inside.end) == Keyword::Password
        {
            self.secrecy = Secrecy::Literals;
        }
    }

    /// Whether a word is a value that is set. `DEFAULT` and parts of expressions are none.
    pub(super) fn set(&mut self, keyword: Keyword, previous: Previous, span: Span) -> bool {
        let value = matches!(previous, Previous::Word(Keyword::To) | Previous::Symbol(b'=' | b','));
        match (keyword, self.setting) {
            // A function's, and its next clause.
            (_, Setting::Value) if self.sensitive == Sensitive::Routine && !value => {
                self.setting = Setting::No;
            }
            (Keyword::To, Setting::Name) => self.setting = Setting::Value,
            (Keyword::Account | Keyword::Zone, Setting::Name) => self.setting = Setting::Words,
            // `SET STATEMENT a = 1 FOR SELECT …`
            (Keyword::For, _) if self.depth == 0 => {
                self.setting = Setting::No;
                if self.frame.verb == Verb::Alone {
                    self.frame.verb = Verb::With;
                }
            }
            // `SET TIME ZONE INTERVAL '1' HOUR`
            (Keyword::None, Setting::Words)
                if previous == Previous::Word(Keyword::Zone)
                    && matches!(self.next(span), b'\'' | b'?') =>
            {
                self.setting = Setting::Name;
            }
            (
                Keyword::None | Keyword::On | Keyword::Boolean | Keyword::Number,
                Setting::Value | Setting::Words,
            ) => return self.is_set(span),
            _ => {}
        }
        false
    }

    /// Whether a quoted name is set, or is what is set, by a `SET` or an `ALTER ROLE … SET`: it may
    /// be a string.
    pub(super) fn is_setting(&self, span: Span) -> bool {
        match self.setting {
            Setting::No => false,
            Setting::Value | Setting::Words => self.is_set(span),
            Setting::Name => {
                let first = matches!(
                    self.previous,
                    Previous::Word(Keyword::Set) | Previous::Symbol(b'.' | b',')
                );
                self.dialect == Dialect::PostgreSql
                    && !first
                    && !matches!(self.next(span), b'=' | b'.')
                    && !self.next_is(span, "TO")
            }
        }
    }

    /// Whether a name is the value that a `SET` sets, to which it is a string.
    pub(super) fn is_set(&self, span: Span) -> bool {
        // What follows a comma may go on with values, or be the next thing to set.
        let named = self.dialect == Dialect::Generic
            && self.previous == Previous::Symbol(b',')
            && self.next(span) == b'=';
        self.depth == 0
            && !named
            && !self.is_qualifier(span)
            && self.next(span) != b'('
            && self.previous != Previous::Symbol(b'.')
    }
}

/// Whether a name, quoted or not, ends with these letters, as those of the pragmas that take an
/// encryption key do (`key`, `rekey`, `hexkey`).
fn ends_with(name: &str, letters: &str) -> bool {
    let name = unquoted(name);
    let tail = name.len().checked_sub(letters.len()).and_then(|from| name.get(from..));
    tail.is_some_and(|tail| tail.eq_ignore_ascii_case(letters))
}
