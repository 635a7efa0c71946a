//! Beside the pages: which rules of quoting a text follows.

use std::fmt;
use std::str::FromStr;

/// The SQL dialect of a text.
///
/// It decides what is a literal, what a name and what a comment. In doubt choose
/// [`Generic`](Dialect::Generic), which leaves a text out where the known dialects would read
/// it differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Dialect {
    /// Any of the others: only what all of them read alike is trusted.
    #[default]
    Generic,
    /// PostgreSQL.
    PostgreSql,
    /// MySQL.
    MySql,
    /// MariaDB.
    MariaDb,
    /// SQLite.
    Sqlite,
    /// The query language of Cassandra and its kin.
    Cql,
}

/// What a backslash inside quotes means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Backslash {
    /// Nothing, it is a character like others.
    Plain,
    /// The next character does not end the quote.
    Escapes,
    /// One of the two: before a quote nobody knows where the literal ends.
    Unknown,
}

impl Dialect {
    /// Every dialect, in the order in which they are documented.
    pub const ALL: &'static [Dialect] = &[
        Dialect::Generic,
        Dialect::PostgreSql,
        Dialect::MySql,
        Dialect::MariaDb,
        Dialect::Sqlite,
        Dialect::Cql,
    ];

    /// The dialect spoken by a `db.system.name`, [`Generic`](Dialect::Generic) for names without
    /// a dialect of their own here.
    pub fn from_system(db_system_name: &str) -> Self {
        match db_system_name {
            "cassandra" => Dialect::Cql,
            other => other.parse().unwrap_or_default(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Dialect::Generic => "generic",
            Dialect::PostgreSql => "postgresql",
            Dialect::MySql => "mysql",
            Dialect::MariaDb => "mariadb",
            Dialect::Sqlite => "sqlite",
            Dialect::Cql => "cql",
        }
    }

    pub(crate) const fn is_mysql(self) -> bool {
        matches!(self, Dialect::MySql | Dialect::MariaDb)
    }

    /// Whether `'name'` is read as a name where no literal can stand.
    pub(crate) fn single_quotes_may_name(self) -> bool {
        matches!(self, Dialect::Generic | Dialect::Sqlite)
    }
}

/// A dialect, and the settings of a server or session that change what its quotes mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Syntax {
    pub(crate) dialect: Dialect,
    pub(crate) backslash: Backslash,
    pub(crate) ansi_quotes: bool,
}

impl Syntax {
    /// A dialect with the defaults of its server.
    pub const fn new(dialect: Dialect) -> Self {
        let backslash = match dialect {
            Dialect::Generic => Backslash::Unknown,
            Dialect::PostgreSql | Dialect::Sqlite | Dialect::Cql => Backslash::Plain,
            Dialect::MySql | Dialect::MariaDb => Backslash::Escapes,
        };
        let ansi_quotes = matches!(dialect, Dialect::PostgreSql | Dialect::Cql);
        Syntax { dialect, backslash, ansi_quotes }
    }

    /// `"…"` is a name, as with `ANSI_QUOTES` in the `sql_mode` of MySQL and MariaDB. Without this
    /// it is a string there, unless only a name can stand in its place.
    ///
    /// No other dialect heeds it: their servers have no such mode, and who knows that of a server
    /// knows its dialect too, so that [`Generic`](Dialect::Generic) goes on to trust nothing.
    pub const fn ansi_quotes(mut self) -> Self {
        if self.dialect.is_mysql() {
            self.ansi_quotes = true;
        }
        self
    }

    /// A backslash is a character like others in strings, as with `NO_BACKSLASH_ESCAPES` in the
    /// `sql_mode` of MySQL and MariaDB. No other dialect heeds it.
    pub const fn no_backslash_escapes(mut self) -> Self {
        if self.dialect.is_mysql() {
            self.backslash = Backslash::Plain;
        }
        self
    }

    /// PostgreSQL's setting of that name, `true` by default since 9.1: whether a backslash is a
    /// character like others in `'…'`. No other dialect heeds it.
    pub const fn standard_conforming_strings(mut self, on: bool) -> Self {
        if matches!(self.dialect, Dialect::PostgreSql) {
            self.backslash = if on { Backslash::Plain } else { Backslash::Escapes };
        }
        self
    }
}

impl From<Dialect> for Syntax {
    fn from(dialect: Dialect) -> Self {
        Syntax::new(dialect)
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for Dialect {
    type Err = UnknownDialect;

    fn from_str(name: &str) -> Result<Self, UnknownDialect> {
        let mut all = Dialect::ALL.iter().copied();
        all.find(|known| known.name().eq_ignore_ascii_case(name)).ok_or(UnknownDialect(()))
    }
}

/// The name of a dialect was none of the known ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownDialect(());

impl fmt::Display for UnknownDialect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("unknown SQL dialect; known are ")?;
        for (index, dialect) in Dialect::ALL.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(formatter, "{separator}{dialect}")?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownDialect {}
