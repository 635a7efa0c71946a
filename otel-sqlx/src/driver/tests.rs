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

/// What a migration ran into, and not that it was one.
#[cfg(feature = "migrate")]
#[test]
fn a_migration_fails_as_its_statement_did() {
    use sqlx::migrate::MigrateError;

    let lost = || Error::WorkerCrashed;
    for error in [MigrateError::Execute(lost()), MigrateError::ExecuteMigration(lost(), 7)] {
        assert_eq!(Sqlx::classify(&error), Failure::new("WorkerCrashed"), "{error:?}");
    }
    assert_eq!(Sqlx::classify(&MigrateError::SkipNotSupported()), Failure::default());
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

/// A password with an unescaped character that ends something in a URL: sqlx reads pieces of it as
/// host, port and database.
#[test]
fn pieces_of_a_password_are_not_told() {
    fn told<DB: super::Database>(url: &str) -> Option<String> {
        let options = url.parse::<super::Options<DB>>().ok()?;
        let server = DB::server(&options);
        Some(format!("{server:?} {}", server.pool_name()))
    }
    let urls = [
        "postgres://user:123/s3cret@host/db",
        "postgres://user:123/s3cret",
        "postgres://user:12?s3cret@host/db",
        "postgres://user:12#s3cret@host/db",
        "postgres://user:s3cret@host/db",
        "postgres://host/db?password=s3cret&options=-c%20x.y%3Ds3cret",
    ];
    let secret = |told: Option<String>| told.is_some_and(|told| told.contains("s3cret"));
    for url in urls {
        // What is left of the second has nothing that could tell it from a database.
        if url != "postgres://user:123/s3cret" {
            #[cfg(feature = "postgres")]
            assert!(!secret(told::<sqlx::Postgres>(url)), "{url}");
            #[cfg(feature = "mysql")]
            assert!(!secret(told::<sqlx::MySql>(&url.replace("postgres", "mysql"))), "{url}");
        }
        #[cfg(feature = "any")]
        assert!(!secret(told::<sqlx::Any>(url)) || url.ends_with("/s3cret"), "{url}");
    }
    #[cfg(feature = "sqlite")]
    {
        let options = sqlx::sqlite::SqliteConnectOptions::new();
        let options = options.filename("file:/data/x.db?hexkey=s3cret");
        let told = format!("{:?}", <sqlx::Sqlite as super::Database>::server(&options));
        assert!(
            told.contains("x.db") && !told.contains("s3cret") && !told.contains("data"),
            "{told}"
        );
    }
}

/// sqlx hands out the brackets that a URL has around it.
#[cfg(any(feature = "any", feature = "mysql", feature = "postgres"))]
#[test]
fn an_ipv6_address_has_no_brackets() {
    fn told<DB: super::Database>(url: &str) -> (String, String) {
        let server = DB::server(&url.parse::<super::Options<DB>>().unwrap());
        (format!("{server:?}"), server.pool_name())
    }
    let check = |(server, pool): (String, String), expected: &str| {
        assert!(server.contains("\"::1\"") && !server.contains("[::1"), "{server}");
        assert_eq!(pool, expected);
    };
    #[cfg(feature = "postgres")]
    {
        check(told::<sqlx::Postgres>("postgres://u:p@[::1]/shop"), "[::1]:5432/shop");
        check(told::<sqlx::Postgres>("postgres:///shop?host=[::1]&user=u"), "[::1]:5432/shop");
        for host in ["::1", "[::1]"] {
            let options = sqlx::postgres::PgConnectOptions::new_without_pgpass();
            let server = <sqlx::Postgres as super::Database>::server(
                &options.host(host).port(5433).database("shop"),
            );
            check((format!("{server:?}"), server.pool_name()), "[::1]:5433/shop");
        }
    }
    #[cfg(feature = "mysql")]
    check(told::<sqlx::MySql>("mysql://u:p@[::1]:3307/shop"), "[::1]:3307/shop");
    #[cfg(feature = "any")]
    check(told::<sqlx::Any>("postgres://u:p@[::1]:5433/shop"), "[::1]:5433/shop");
}

/// Where a backslash may escape a quote, another part of the text is the literal.
#[cfg(feature = "postgres")]
#[test]
fn start_up_options_say_how_strings_are_read() {
    use otel_core::{Db, DbCall};

    let shown = |server| {
        let capture = otel_testing::Capture::new();
        let text = r"SELECT 'a\' AS b, \' c' AS d";
        let db = Db::<Sqlx>::new(&capture.telemetry(), server);
        db.start(|| DbCall::statement(text, false)).finish();
        let spans = capture.spans();
        let text = spans[0].attributes.iter().find(|fact| fact.key.as_str() == "db.query.text");
        text.map(|text| text.value.to_string())
    };
    let server = |url: &str| {
        let options = url.parse::<super::Options<sqlx::Postgres>>().unwrap();
        <sqlx::Postgres as super::Database>::server(&options)
    };
    let escaped = Some("SELECT ? AS d".to_owned());
    for words in [
        "-c standard_conforming_strings=off",
        "-cstandard_conforming_strings=OFF",
        "--standard-conforming-strings=false",
        "-c search_path=a -c Standard_Conforming_Strings=no -c statement_timeout=7",
        "-c standard_conforming_strings=on -c standard_conforming_strings=f",
        "-c standard_conforming_strings=0",
    ] {
        let words = words.replace(' ', "%20").replace('=', "%3D");
        let url = format!("postgres://host/shop?options={words}");
        assert_eq!(shown(server(&url)), escaped, "{url}");
        #[cfg(feature = "any")]
        assert_eq!(shown(super::from_url(&url)), escaped, "{url}");
    }
    let url = "postgres://host/shop?options[standard_conforming_strings]=off&options[work_mem]=7";
    assert_eq!(shown(server(url)), escaped);
    #[cfg(feature = "any")]
    assert_eq!(shown(super::from_url(url)), escaped);
    for words in ["", "-c%20standard_conforming_strings%3Don", "-c%20search_path%3Doff"] {
        let url = format!("postgres://host/shop?options={words}");
        assert_ne!(shown(server(&url)), escaped, "{url}");
        #[cfg(feature = "any")]
        assert_ne!(shown(super::from_url(&url)), escaped, "{url}");
    }
}
