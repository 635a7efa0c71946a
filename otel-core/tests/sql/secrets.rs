//! Planted secrets: whatever is written around them, none of them comes out.

use otel_core::sql::{Analysis, Dialect, Literals};

use crate::analyze;

/// `%` is where a literal stands; what surrounds it is written so that every dialect reads a
/// literal there, or refuses the text.
const POSITIONS: [&str; 64] = [
    "SELECT %",
    "SELECT a, % FROM t",
    "SELECT a FROM t WHERE b = %",
    "SELECT a FROM t WHERE b=%",
    "SELECT a FROM t WHERE b <> % AND c LIKE %",
    "SELECT a FROM t WHERE b IN (%, %, %)",
    "SELECT a FROM t WHERE b IN (1, %)",
    "SELECT a FROM t WHERE b IN (c, %)",
    "SELECT a FROM t WHERE b NOT IN (%)",
    "SELECT a FROM t WHERE (b, c) IN ((1, %), (2, %))",
    "SELECT a FROM t WHERE b BETWEEN % AND %",
    "SELECT a FROM t, u WHERE b = %, c = %",
    "SELECT a FROM t JOIN u ON t.a = % AND u.b = % WHERE c = %",
    "SELECT a FROM t ORDER BY %, %",
    "SELECT a FROM t LIMIT %, %",
    "SELECT a FROM t GROUP BY a HAVING b = %, %",
    "SELECT a FROM t WINDOW w AS (PARTITION BY %), v AS (ORDER BY %)",
    "SELECT a FROM t FOR UPDATE OF t, %",
    "SELECT a FROM f(%, %) AS x, g(%)",
    "SELECT a FROM (SELECT % AS b) AS x, (SELECT %) AS y",
    "SELECT a FROM (VALUES (%, 1), (%, 2)) AS x",
    "SELECT COALESCE(a, %) FROM t",
    "SELECT TRIM(BOTH % FROM %) FROM t",
    "SELECT TRIM(LEADING FROM %) FROM t",
    "SELECT SUBSTRING(% FROM 2 FOR 3)",
    "SELECT EXTRACT(YEAR FROM %)",
    "SELECT EXTRACT(YEAR FROM DATE %)",
    "SELECT a IS DISTINCT FROM % FROM t",
    "SELECT a IS NOT DISTINCT FROM % FROM t",
    "SELECT a FROM t WHERE b IS DISTINCT FROM %",
    "SELECT DATE %, TIMESTAMP %, INTERVAL % DAY",
    "SELECT CASE WHEN a = % THEN % ELSE % END FROM t",
    "SELECT CAST(% AS text)",
    "SELECT % || % || a",
    "SELECT -%, +%, ~%, (%)",
    "SELECT a AS b, % AS c FROM t UNION SELECT % FROM u",
    "SELECT a INTO OUTFILE % FROM t",
    "SELECT {d %}, {guid %}",
    "INSERT INTO t VALUES (%, 1, %)",
    "INSERT INTO t (a, b) VALUES (%, %), (%, %)",
    "INSERT INTO t (a) VALUES (%) ON CONFLICT (a) DO UPDATE SET a = %, b = %",
    "INSERT INTO t (a) VALUES (%) ON DUPLICATE KEY UPDATE a = %, b = %",
    "INSERT INTO t (a) SELECT % FROM u ON DUPLICATE KEY UPDATE a = %, b = %",
    "INSERT INTO t SET a = %, b = %",
    "INSERT INTO t (a) VALUES (%) RETURNING a, %",
    "UPDATE t SET a = %, b = % WHERE c = %",
    "UPDATE t SET a = % FROM u WHERE t.b = %",
    "DELETE FROM t WHERE a = % OR b IN (%, %)",
    "MERGE INTO t USING u ON t.a = % WHEN MATCHED THEN UPDATE SET b = %, c = %",
    "WITH x AS (SELECT % AS a) SELECT a FROM x WHERE b = %",
    "WITH x (a) AS (VALUES (%), (%)) SELECT a FROM x",
    "CALL p(%, %)",
    "{call p(%, %)}",
    "{? = call p(%)}",
    "EXEC p @a = %, @b = %",
    "SET a = %",
    "SET a TO %",
    "CREATE TABLE t (a text DEFAULT %, CHECK (a <> %))",
    "CREATE VIEW v AS SELECT % FROM t",
    "ALTER TABLE t ALTER COLUMN a SET DEFAULT %",
    "COMMENT ON TABLE t IS %",
    "PREPARE s FROM %",
    "EXECUTE IMMEDIATE %",
    "SELECT a FROM t WHERE b = %; DELETE FROM u WHERE c = %",
];

/// How one secret can be written, `%` being the secret.
const LITERALS: [(&str, Option<Dialect>); 24] = [
    ("'%'", None),
    ("'a%'", None),
    ("'it''s %'", None),
    ("'''%'", None),
    ("'\"%\"'", None),
    ("'-- %'", None),
    ("'/* %'", None),
    ("'FROM %'", None),
    ("'; DROP TABLE %'", None),
    ("'\n%\n'", None),
    ("'\\\\%'", None),
    ("N'%'", None),
    ("X'%'", None),
    ("E'it\\'s %'", Some(Dialect::PostgreSql)),
    ("E'a'\n 'it\\'s %'", Some(Dialect::PostgreSql)),
    ("U&'%'", Some(Dialect::PostgreSql)),
    ("$$%$$", Some(Dialect::PostgreSql)),
    ("$a$ $$%$$ '%$a$", Some(Dialect::PostgreSql)),
    ("'it\\'s %'", Some(Dialect::MySql)),
    ("\"%\"", Some(Dialect::MySql)),
    ("\"it\\\"s %\"", Some(Dialect::MariaDb)),
    ("_utf8mb4'%'", Some(Dialect::MariaDb)),
    ("\"%\"", Some(Dialect::Sqlite)),
    ("\"%\"", Some(Dialect::Generic)),
];

const SECRET: &str = "zqjz";

/// None of its letters is in one of the statements.
fn assert_no_secret(analysis: &Analysis<'_>, input: &str, dialect: Dialect) {
    let text = analysis.text.as_deref().unwrap_or_default();
    let summary = analysis.summary.as_deref().unwrap_or_default();
    for byte in SECRET.chars() {
        assert!(!text.contains(byte), "{dialect}: {input}\ntext {text}");
        assert!(!summary.contains(byte), "{dialect}: {input}\nsummary {summary}");
    }
}

#[test]
fn no_byte_of_a_literal_survives() {
    for position in POSITIONS {
        for (literal, only) in LITERALS {
            let literal = literal.replace('%', SECRET);
            let input = position.replace('%', &literal);
            for dialect in Dialect::ALL
                .iter()
                .copied()
                .filter(|dialect| only.is_none_or(|only| only == *dialect))
            {
                let analysis = analyze(&input, dialect, Literals::Replace);
                assert_no_secret(&analysis, &input, dialect);
                if dialect != Dialect::Generic {
                    assert!(analysis.text.is_some(), "{dialect}: {input}");
                }
            }
        }
    }
}

/// As before, cut at every byte.
#[test]
fn no_byte_of_a_cut_literal_survives() {
    for position in POSITIONS {
        for (literal, only) in LITERALS {
            let input = position.replace('%', &literal.replace('%', SECRET));
            for dialect in Dialect::ALL
                .iter()
                .copied()
                .filter(|dialect| only.is_none_or(|only| only == *dialect))
            {
                for end in 0..input.len() {
                    let analysis = analyze(&input[..end], dialect, Literals::Replace);
                    assert_no_secret(&analysis, &input[..end], dialect);
                }
            }
        }
    }
}

/// Whatever dialect a text was written for: the generic reading never shows what another hides.
#[test]
fn generic_never_leaks_what_one_dialect_hides() {
    for position in POSITIONS {
        for (literal, only) in LITERALS {
            // MySQL's comments and PostgreSQL's strings, read without knowing which it is.
            let only = only.unwrap_or(Dialect::Generic);
            let input = position.replace('%', &literal.replace('%', SECRET));
            let analysis = analyze(&input, Dialect::Generic, Literals::Replace);
            assert_no_secret(&analysis, &input, only);
        }
    }
}

#[test]
fn no_number_survives() {
    for number in ["918273", "-918273", "+91.8273", "0x918273", ".918273", "9_1827e-3", "918273n"] {
        for position in POSITIONS {
            let input = position.replace('%', number);
            for &dialect in Dialect::ALL {
                let analysis = analyze(&input, dialect, Literals::Replace);
                let text = analysis.text.unwrap_or_default();
                let summary = analysis.summary.as_deref().unwrap_or_default();
                for digit in ['9', '8', '7'] {
                    assert!(!text.contains(digit), "{dialect}: {input}\n{text}");
                    assert!(!summary.contains(digit), "{dialect}: {input}\n{summary}");
                }
            }
        }
    }
}

#[test]
fn no_comment_survives() {
    let comments = ["/* zqjz */", "-- zqjz\n", "/* ' zqjz */", "-- ' zqjz\n", "/* zqjz -- */"];
    for comment in comments {
        for position in POSITIONS {
            let input = position.replace('%', "1").replace(' ', &format!(" {comment} "));
            for &dialect in Dialect::ALL {
                for literals in [Literals::Keep, Literals::Replace] {
                    assert_no_secret(&analyze(&input, dialect, literals), &input, dialect);
                }
            }
        }
    }
}

/// Passwords need no quotes, and stay out of parameterized text as well.
#[test]
fn no_password_survives() {
    let statements = [
        "CREATE USER bob PASSWORD %",
        "CREATE USER bob WITH PASSWORD %, more = %",
        "CREATE ROLE bob LOGIN ENCRYPTED PASSWORD %",
        "ALTER USER bob IDENTIFIED BY % REPLACE %",
        "ALTER USER bob IDENTIFIED WITH caching_sha2_password BY % RETAIN CURRENT PASSWORD",
        "ALTER USER bob IDENTIFIED WITH native_password AS %",
        "ALTER USER bob IDENTIFIED VIA ed25519 USING PASSWORD(%)",
        "SET PASSWORD FOR bob = %",
        "SET PASSWORD = PASSWORD(%)",
        "GRANT ALL ON a.* TO bob IDENTIFIED BY %",
        "CREATE DATABASE LINK l CONNECT TO bob IDENTIFIED BY % USING %",
        "CONNECT bob PASSWORD %",
        "ATTACH DATABASE f AS g KEY %",
        "PRAGMA key = %",
        "PRAGMA main.rekey(%)",
        "SELECT 1; CREATE USER bob IDENTIFIED BY /* a */ % -- b",
        "CREATE SERVER s OPTIONS (USER bob, PASSWORD %, HOST h)",
        "CREATE TABLE t (a INT ENCRYPT IDENTIFIED BY % SALT, b INT)",
        "ALTER USER bob IDENTIFIED BY 'x' REPLACE %",
    ];
    for statement in statements {
        for secret in ["zqjz", "'zqjz'", "\"zqjz\"", "`zqjz`", "zq-jz", "zq.jz, jz", "(zq (jz))"] {
            let input = statement.replace('%', secret);
            for &dialect in Dialect::ALL {
                for literals in [Literals::Keep, Literals::Replace] {
                    let analysis = analyze(&input, dialect, literals);
                    assert_no_secret(&analysis, &input, dialect);
                    let text = analysis.text.unwrap_or_default();
                    let count = |sign| text.matches(sign).count();
                    assert_eq!(count('('), count(')'), "{dialect}: {input}\n{text}");
                }
            }
        }
    }
}

/// `%` is a password; nothing else in these is a literal.
const PASSWORDS: [&str; 25] = [
    "CREATE ROLE bob WITH PASSWORD = % AND LOGIN AND a = b",
    "ALTER ROLE bob WITH a = b AND HASHED PASSWORD = %",
    "CREATE USER bob WITH ENCRYPTED PASSWORD % NOSUPERUSER IN ROLE a, b",
    "CREATE USER bob IDENTIFIED BY % REPLACE % RETAIN CURRENT PASSWORD",
    "ALTER USER bob IDENTIFIED WITH p BY % PASSWORD EXPIRE NEVER ACCOUNT LOCK",
    "CREATE USER a IDENTIFIED BY %, b IDENTIFIED WITH p AS % REQUIRE SSL",
    "CREATE USER bob IDENTIFIED BY PASSWORD % REQUIRE SSL",
    "CREATE USER bob IDENTIFIED VIA p USING PASSWORD(%) OR o USING % REQUIRE SSL",
    "GRANT ALL ON a.* TO bob IDENTIFIED BY % WITH GRANT OPTION",
    "SET PASSWORD = %",
    "SET PASSWORD FOR bob = % RETAIN CURRENT PASSWORD",
    "SET PASSWORD FOR bob = PASSWORD(%)",
    "CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (USER u, PASSWORD %, HOST h)",
    "ALTER USER MAPPING FOR bob SERVER s OPTIONS (SET user u, SET password %)",
    "CREATE LOGIN bob WITH PASSWORD = % MUST_CHANGE, DEFAULT_DATABASE = d",
    "OPEN SYMMETRIC KEY k DECRYPTION BY PASSWORD = %; SELECT a FROM t",
    "CREATE CERTIFICATE c WITH PRIVATE KEY (DECRYPTION BY PASSWORD = %, FILE = f)",
    "CREATE DATABASE LINK l CONNECT TO bob IDENTIFIED BY % USING %",
    "CHANGE MASTER TO MASTER_PASSWORD = %, MASTER_HOST = h",
    "CLONE INSTANCE FROM u IDENTIFIED BY % DATA DIRECTORY d",
    "CREATE TABLE t (a INT) PASSWORD = % ROW_FORMAT = x",
    "ATTACH DATABASE f AS g KEY %",
    "PRAGMA key = %",
    "PRAGMA main.rekey(%)",
    "BEGIN NOT ATOMIC SET PASSWORD = %; SELECT a FROM t; END",
];

#[test]
fn only_the_password_is_replaced() {
    for statement in PASSWORDS.iter().flat_map(|it| [(*it).to_owned(), it.to_ascii_lowercase()]) {
        for secret in ["'zqjz'", "'zqjz' 'zqjz'", "'zq'') AND jz'", "7812", "0xff", "?"] {
            for &dialect in Dialect::ALL {
                for literals in [Literals::Keep, Literals::Replace] {
                    let input = statement.replace('%', secret);
                    let text = analyze(&input, dialect, literals).text;
                    let expected = statement.replace('%', "?");
                    assert_eq!(text.as_deref(), Some(&*expected), "{dialect}: {input}");
                }
            }
        }
    }
}

/// No server but Cassandra reads them as what they are, and each may be sent one.
#[test]
fn no_uuid_survives() {
    for uuid in [
        "f47ac10b-58cc-4372-a567-0e02b2c3d479",
        "F47AC10B-58CC-4372-A567-0E02B2C3D479",
        "123e4567-e89b-12d3-a456-426655440000",
        "1e10abcd-58cc-4372-a567-0e02b2c3d479",
        "1234567e-58cc-4372-a567-0e02b2c3d479",
        "0b112233-4455-6677-8899-aabbccddeeff",
        "12345678-1234-1234-1234-123456789012",
        "deadbeef-dead-beef-dead-beefdeadbeef",
    ] {
        for position in POSITIONS {
            for literal in ["%", "{%}", "-%", "(%)"] {
                let input = position.replace('%', &literal.replace('%', uuid));
                for &dialect in Dialect::ALL {
                    let Analysis { text, summary } = analyze(&input, dialect, Literals::Replace);
                    let shown = format!("{}\n{}", text.unwrap_or_default(), summary.unwrap());
                    for group in uuid.split('-') {
                        assert!(!shown.contains(group), "{dialect}: {input}\n{shown}");
                    }
                }
            }
        }
    }
}

#[test]
fn nesting_is_no_danger() {
    for depth in [31, 32, 33, 1000, 100_000] {
        let input = format!("{}SELECT 'zqjz' FROM t{}", "(".repeat(depth), ")".repeat(depth));
        let analysis = analyze(&input, Dialect::PostgreSql, Literals::Replace);
        assert_no_secret(&analysis, &input, Dialect::PostgreSql);
    }
    let input = format!(
        "SELECT a FROM t WHERE {}1{} UNION SELECT b FROM u",
        "(".repeat(99),
        ")".repeat(99)
    );
    let summary = analyze(&input, Dialect::Generic, Literals::Replace).summary;
    assert_eq!(summary.as_deref(), Some("SELECT t SELECT u"));
}
