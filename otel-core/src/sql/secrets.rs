//! Beside the pages: what of a statement is a secret, whatever becomes of literals, and what is a
//! value that is set.

use super::dialect::Dialect;
use super::frame::{Place, Previous, Secrecy, Sensitive, Setting, Verb};
use super::keyword::Keyword;
use super::lexer::{Kind, Span};
use super::summary::unquoted;
use super::walk::{Role, Walker};

/// What stands behind the word `PASSWORD` when it is about how long passwords last.
const RULES: [&str; 4] = ["EXPIRE", "HISTORY", "REUSE", "REQUIRE"];
/// What stands before it when the password is not in the text.
const OTHERS: [&str; 5] =
    ["BY RANDOM", "RETAIN CURRENT", "DISCARD OLD", "WITH GENERATED", "AND GENERATED"];

impl Walker<'_> {
    #[inline]
    pub(super) fn watch_for_secrets(&mut self, keyword: Keyword, previous: Previous, span: Span) {
        let account = self.sensitive == Sensitive::Account;
        let secret = match keyword {
            Keyword::Password => {
                (account || self.is_password(previous, span)) && !self.is_about(previous, span)
            }
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
            // `IDENTIFIED WITH plugin AS '…'`, `IDENTIFIED BY new REPLACE old`
            Keyword::As | Keyword::Insert => self.identified,
            Keyword::On => self.identified && self.text(span).eq_ignore_ascii_case("USING"),
            Keyword::Key => self.sensitive == Sensitive::Attach,
            _ => return,
        };
        if secret {
            self.secrecy = Secrecy::Awaited;
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

    /// Whether the word for a password comes without one.
    fn is_about(&self, previous: Previous, span: Span) -> bool {
        match previous {
            // `CREATE SECRET name (…)`, `CREATE OR REPLACE SECRET name`
            Previous::Word(Keyword::Create | Keyword::Insert) => {
                let word = self.next_word(span);
                word.start < word.end && self.text(span).eq_ignore_ascii_case("SECRET")
            }
            // `TYPE = PASSWORD`
            Previous::Symbol(b'=') => !matches!(self.next(span), b'(' | b'\'' | b'"' | b'=' | b'$'),
            _ => {
                RULES.iter().any(|rule| self.next_is(span, rule))
                    || OTHERS.iter().any(|words| self.is_behind(span, words))
            }
        }
    }

    /// What a token is of a secret, if it is none of the statement.
    #[cold]
    pub(super) fn guard(&mut self, kind: Kind, keyword: Keyword, span: Span) -> Option<Role> {
        match self.secrecy {
            Secrecy::No | Secrecy::Literals => {
                self.watch_name(kind, span);
                return None;
            }
            Secrecy::Account => {
                if kind == Kind::Symbol(b'=') || keyword == Keyword::To {
                    self.secrecy = Secrecy::Awaited;
                }
                return None;
            }
            Secrecy::Awaited => return self.awaited(kind, keyword, span),
            Secrecy::Told => match kind {
                Kind::Literal | Kind::Quoted if self.is_whole(span) => {}
                Kind::Literal | Kind::Quoted => self.secrecy = Secrecy::Everything,
                _ => {
                    self.secrecy = Secrecy::Literals;
                    self.watch_name(kind, span);
                    return None;
                }
            },
            Secrecy::Everything => match kind {
                Kind::Symbol(b'(') => self.hidden += 1,
                Kind::Symbol(b')') if self.hidden > 0 => self.hidden -= 1,
                Kind::Symbol(b')') if self.depth + self.muted > 0 => {
                    self.close();
                    return Some(Role::Closing);
                }
                _ => {}
            },
        }
        Some(Role::Removed)
    }

    /// A token where a secret may stand.
    fn awaited(&mut self, kind: Kind, keyword: Keyword, span: Span) -> Option<Role> {
        self.secrecy = match kind {
            Kind::Symbol(b'=' | b':' | b'(' | b'>') => return None,
            Kind::Symbol(b',') => Secrecy::Literals,
            Kind::Symbol(b')') if self.depth + self.muted > 0 => Secrecy::Literals,
            Kind::Word if self.leads_on(keyword, span) => return None,
            // `SET PASSWORD FOR name = …`. (Another `FOR` ends what is set.)
            Kind::Word
                if keyword == Keyword::For
                    && self.previous == Previous::Word(Keyword::Password) =>
            {
                self.secrecy = Secrecy::Account;
                return Some(Role::Keep);
            }
            Kind::Word if self.is_no_secret(keyword, span) => Secrecy::Literals,
            Kind::Parameter | Kind::Symbol(b'?') | Kind::Literal | Kind::Quoted
                if self.is_whole(span) =>
            {
                self.previous = Previous::Other;
                self.frame.place = Place::Other;
                if self.setting == Setting::Value {
                    self.setting = Setting::Name;
                }
                self.secrecy = Secrecy::Told;
                let role = if self.is_mark(span) { Role::Keep } else { Role::Secret };
                return Some(role);
            }
            _ => {
                self.secrecy = Secrecy::Everything;
                return Some(Role::Secret);
            }
        };
        None
    }

    /// Whether a word stands before a secret: `BY PASSWORD '…'`, `USING PASSWORD('…')`,
    /// `BY VALUES '…'`, `SET PASSWORD TO '…'`, `BY RANDOM PASSWORD`.
    fn leads_on(&self, keyword: Keyword, span: Span) -> bool {
        match keyword {
            Keyword::Password | Keyword::Values | Keyword::Key => {
                matches!(self.next(span), b'\'' | b'"' | b'(' | b'?' | b'0'..=b'9')
            }
            Keyword::To => true,
            // `= OLD_PASSWORD('…')`
            _ if self.next(span) == b'(' => ends_with(self.text(span), "password"),
            _ => self.is_random(span),
        }
    }

    /// `BY RANDOM PASSWORD`, as MySQL has it.
    fn is_random(&self, span: Span) -> bool {
        self.dialect.is_mysql()
            && self.text(span).eq_ignore_ascii_case("RANDOM")
            && self.next_is(span, "PASSWORD")
    }

    /// `PASSWORD NULL`, `BY RANDOM PASSWORD`
    fn is_no_secret(&self, keyword: Keyword, span: Span) -> bool {
        match keyword {
            Keyword::Password => self.is_behind(span, "BY RANDOM"),
            _ => self.is_whole(span) && self.text(span).eq_ignore_ascii_case("NULL"),
        }
    }

    /// Whether a token is a parameter without a name, which a password without quotes may be too:
    /// `?`, `?1`, `$1`.
    fn is_mark(&self, span: Span) -> bool {
        let number = self.text(span).strip_prefix(['?', '$']);
        number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
    }

    /// Whether a comment goes with the secret that it stands in, or behind.
    pub(crate) fn hides(&self, comment: Span) -> bool {
        match self.secrecy {
            Secrecy::Told => self.is_whole(comment),
            secrecy => secrecy == Secrecy::Everything,
        }
    }

    /// Names behind which a secret follows.
    fn watch_name(&mut self, kind: Kind, span: Span) {
        if self.sensitive == Sensitive::Pragma && ends_with(self.text(span), "key") {
            self.sensitive = Sensitive::PragmaKey;
        }
        if self.sensitive == Sensitive::PragmaKey && matches!(kind, Kind::Symbol(b'=' | b'(')) {
            self.secrecy = Secrecy::Awaited;
        }
        // `ALTER SYSTEM SET primary_conninfo = '…'`
        if self.setting == Setting::Name
            && self.secrecy == Secrecy::No
            && ends_with(self.text(span), "conninfo")
        {
            self.secrecy = Secrecy::Literals;
        }
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
