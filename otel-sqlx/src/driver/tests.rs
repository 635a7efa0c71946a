//! Every error of sqlx has its row: what it becomes on spans and points.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io;

use otel_core::{Classify as _, Failure};
use sqlx::Error;
use sqlx::error::{DatabaseError, ErrorKind};

use super::Sqlx;

/// The README's table, which users read.
const README: &str = include_str!("../../README.md");

fn other() -> Box<dyn StdError + Send + Sync> {
    "secret".into()
}

fn table() -> Vec<(Error, &'static str)> {
    vec![
        (Error::AnyDriverError(other()), "AnyDriverError"),
        (Error::BeginFailed, "BeginFailed"),
        (Error::ColumnDecode { index: "secret".into(), source: other() }, "ColumnDecode"),
        (Error::ColumnIndexOutOfBounds { index: 7, len: 1 }, "ColumnIndexOutOfBounds"),
        (Error::ColumnNotFound("secret".into()), "ColumnNotFound"),
        (Error::Configuration(other()), "Configuration"),
        (Error::Decode(other()), "Decode"),
        (Error::Encode(other()), "Encode"),
        (Error::InvalidArgument("secret".into()), "InvalidArgument"),
        (Error::InvalidSavePointStatement, "InvalidSavePointStatement"),
        (Error::Io(io::Error::new(io::ErrorKind::ConnectionReset, "secret")), "ConnectionReset"),
        (Error::Io(io::ErrorKind::UnexpectedEof.into()), "UnexpectedEof"),
        (Error::PoolClosed, "PoolClosed"),
        (Error::PoolTimedOut, "PoolTimedOut"),
        (Error::Protocol("secret".into()), "Protocol"),
        (Error::RowNotFound, "RowNotFound"),
        (Error::Tls(other()), "Tls"),
        (Error::TypeNotFound { type_name: "secret".into() }, "TypeNotFound"),
        (Error::WorkerCrashed, "WorkerCrashed"),
    ]
}

/// An error of a server, with a message that quotes data.
#[derive(Debug)]
struct Server(Option<&'static str>, ErrorKind);

impl fmt::Display for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("secret")
    }
}

impl StdError for Server {}

impl DatabaseError for Server {
    fn message(&self) -> &'static str {
        "secret"
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        self.0.map(Cow::Borrowed)
    }

    fn as_error(&self) -> &(dyn StdError + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn StdError + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn StdError + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> ErrorKind {
        match self.1 {
            ErrorKind::CheckViolation => ErrorKind::CheckViolation,
            ErrorKind::ExclusionViolation => ErrorKind::ExclusionViolation,
            ErrorKind::ForeignKeyViolation => ErrorKind::ForeignKeyViolation,
            ErrorKind::NotNullViolation => ErrorKind::NotNullViolation,
            ErrorKind::UniqueViolation => ErrorKind::UniqueViolation,
            _ => ErrorKind::Other,
        }
    }
}

#[test]
fn each_error_has_its_row() {
    for (error, expected) in table() {
        assert_eq!(Sqlx::classify(&error), Failure::new(expected), "{error:?}");
        let row = if matches!(error, Error::Io(_)) { "Io" } else { expected };
        assert!(README.contains(&format!("| `{row}`")), "{row} has no row in the README");
    }
}

/// The variants that sqlx 0.9 declares. `Migrate` exists only with a feature of sqlx that this crate
/// cannot see, so it is told as an error that nobody classified.
#[test]
fn no_error_is_forgotten() {
    let declared = [
        "AnyDriverError",
        "BeginFailed",
        "ColumnDecode",
        "ColumnIndexOutOfBounds",
        "ColumnNotFound",
        "ConfigFile",
        "Configuration",
        "Database",
        "Decode",
        "Encode",
        "InvalidArgument",
        "InvalidSavePointStatement",
        "Io",
        "Migrate",
        "PoolClosed",
        "PoolTimedOut",
        "Protocol",
        "RowNotFound",
        "Tls",
        "TypeNotFound",
        "WorkerCrashed",
    ];
    for variant in declared {
        assert!(README.contains(&format!("| `{variant}`")), "{variant} has no row in the README");
    }
}

#[test]
fn an_error_of_the_server_is_its_code() {
    let classify = |code, kind| {
        let error = Error::Database(Box::new(Server(code, kind)));
        let failure = Sqlx::classify(&error);
        assert!(!format!("{failure:?}").contains("secret"), "{failure:?}");
        failure
    };
    let violations = [
        (ErrorKind::CheckViolation, "check violation"),
        (ErrorKind::ExclusionViolation, "exclusion violation"),
        (ErrorKind::ForeignKeyViolation, "foreign key violation"),
        (ErrorKind::NotNullViolation, "not null violation"),
        (ErrorKind::UniqueViolation, "unique violation"),
        (ErrorKind::Other, ""),
    ];
    for (kind, description) in violations {
        let expected = Failure::code("23505").description(description);
        assert_eq!(classify(Some("23505"), kind), expected);
    }
    assert_eq!(classify(None, ErrorKind::Other), Failure::new("Database"));
}
