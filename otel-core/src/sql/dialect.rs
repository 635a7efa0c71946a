//! Which rules of quoting a text follows.

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
    /// PostgreSQL with `standard_conforming_strings` on, its default since 9.1.
    PostgreSql,
    /// MySQL in its default mode. With `ANSI_QUOTES` a quoted name is seen as one only where no
    /// string can stand; without backslash escapes (`NO_BACKSLASH_ESCAPES`) it is not for use.
    MySql,
    /// MariaDB, as [`MySql`](Dialect::MySql).
    MariaDb,
    /// SQLite.
    Sqlite,
}

const NAMES: [(Dialect, &str); 5] = [
    (Dialect::Generic, "generic"),
    (Dialect::PostgreSql, "postgresql"),
    (Dialect::MySql, "mysql"),
    (Dialect::MariaDb, "mariadb"),
    (Dialect::Sqlite, "sqlite"),
];

/// What a backslash inside quotes means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backslash {
    /// Nothing, it is a character like others.
    Plain,
    /// The next character does not end the quote.
    Escapes,
    /// One of the two: before a quote nobody knows where the literal ends.
    Unknown,
}

impl Dialect {
    /// The dialect spoken by a `db.system.name`, [`Generic`](Dialect::Generic) for names without
    /// a dialect of their own here.
    pub fn from_system(db_system_name: &str) -> Self {
        db_system_name.parse().unwrap_or_default()
    }

    pub(crate) fn backslash(self) -> Backslash {
        match self {
            Dialect::Generic => Backslash::Unknown,
            Dialect::PostgreSql | Dialect::Sqlite => Backslash::Plain,
            Dialect::MySql | Dialect::MariaDb => Backslash::Escapes,
        }
    }

    pub(crate) fn is_mysql(self) -> bool {
        matches!(self, Dialect::MySql | Dialect::MariaDb)
    }

    /// Whether `'name'` is read as a name where no literal can stand.
    pub(crate) fn single_quotes_may_name(self) -> bool {
        matches!(self, Dialect::Generic | Dialect::Sqlite)
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(dialect, _)| dialect == self);
        formatter.pad(name.map_or("generic", |(_, name)| name))
    }
}

impl FromStr for Dialect {
    type Err = UnknownDialect;

    fn from_str(name: &str) -> Result<Self, UnknownDialect> {
        let known = NAMES.iter().find(|(_, known)| known.eq_ignore_ascii_case(name));
        known.map(|(dialect, _)| *dialect).ok_or(UnknownDialect(()))
    }
}

/// The name of a dialect was none of the known ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownDialect(());

impl fmt::Display for UnknownDialect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("unknown SQL dialect; known are ")?;
        for (index, (_, name)) in NAMES.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(formatter, "{separator}{name}")?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownDialect {}
