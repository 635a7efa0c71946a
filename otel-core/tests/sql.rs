//! Cases of the SQL analyser from `testdata/sql_*.toml`, and what must hold for any text.

use std::borrow::Cow;
use std::collections::HashSet;

use otel_core::sql::{Analysis, Dialect, Literals, analyze};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    /// Of every case that does not say its own.
    #[serde(default = "generic")]
    dialect: String,
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    dialect: Option<String>,
    #[serde(default)]
    parameterized: bool,
    input: String,
    /// The input, borrowed, if missing.
    text: Option<String>,
    #[serde(default)]
    text_none: bool,
    /// No summary if missing.
    summary: Option<String>,
    /// Why, where the case is a decision.
    #[serde(rename = "reason")]
    _reason: Option<String>,
}

fn generic() -> String {
    "generic".to_owned()
}

const FILES: [(&str, &str); 7] = [
    ("published", include_str!("../testdata/sql_published.toml")),
    ("generic", include_str!("../testdata/sql_generic.toml")),
    ("postgresql", include_str!("../testdata/sql_postgresql.toml")),
    ("mysql", include_str!("../testdata/sql_mysql.toml")),
    ("mariadb", include_str!("../testdata/sql_mariadb.toml")),
    ("sqlite", include_str!("../testdata/sql_sqlite.toml")),
    ("summary", include_str!("../testdata/sql_summary.toml")),
];

const DIALECTS: [Dialect; 5] =
    [Dialect::Generic, Dialect::PostgreSql, Dialect::MySql, Dialect::MariaDb, Dialect::Sqlite];

fn cases() -> Vec<(&'static str, Dialect, Literals, Case)> {
    let mut all = Vec::new();
    for (file, content) in FILES {
        let cases: Cases =
            toml::from_str(content).unwrap_or_else(|error| panic!("{file}: {error}"));
        for case in cases.case {
            let dialect = case.dialect.as_ref().unwrap_or(&cases.dialect).parse().unwrap();
            let literals = if case.parameterized { Literals::Keep } else { Literals::Replace };
            all.push((file, dialect, literals, case));
        }
    }
    all
}

#[test]
fn every_case_has_its_text_and_summary() {
    let mut failures = Vec::new();
    let mut names = HashSet::new();
    for (file, dialect, literals, case) in cases() {
        assert!(names.insert((file, case.name.clone())), "{file}: two cases {}", case.name);
        let Analysis { text, summary } = analyze(&case.input, dialect, literals);
        let expected = match &case.text {
            _ if case.text_none => None,
            Some(text) => Some(text.as_str()),
            None => Some(case.input.as_str()),
        };
        if text.as_deref() != expected || summary != case.summary {
            failures.push(format!(
                "{file}: {} ({dialect})\n  {}\n  text    {text:?}\n     not  {expected:?}\n  summary {summary:?}\n     not  {:?}",
                case.name, case.input, case.summary
            ));
        } else if case.text.is_none() && !case.text_none && matches!(text, Some(Cow::Owned(_))) {
            failures.push(format!("{file}: {}: copied though nothing changed", case.name));
        }
    }
    assert!(failures.is_empty(), "{} cases:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn an_emitted_text_stays_as_it_is() {
    for (file, dialect, literals, case) in cases() {
        let Some(once) = analyze(&case.input, dialect, literals).text else {
            continue;
        };
        let twice = analyze(&once, dialect, literals).text;
        assert_eq!(twice.as_deref(), Some(&*once), "{file}: {}", case.name);
    }
}

#[test]
fn a_summary_holds_only_words_of_the_text() {
    for (file, _, literals, case) in cases() {
        for dialect in DIALECTS {
            let Some(summary) = analyze(&case.input, dialect, literals).summary else {
                continue;
            };
            assert!(summary.chars().count() <= 255, "{file}: {}", case.name);
            for word in summary.split([' ', ';', '.']) {
                assert!(case.input.contains(word), "{file}: {}: {word} of {summary}", case.name);
            }
        }
    }
}

/// A cut may fall anywhere: nothing panics, and a summary is never longer than the whole's.
#[test]
fn every_beginning_of_every_case_is_survived() {
    for (_, _, literals, case) in cases() {
        for end in 0..=case.input.len() {
            let Some(beginning) = case.input.get(..end) else {
                continue;
            };
            for dialect in DIALECTS {
                let analysis = analyze(beginning, dialect, literals);
                assert!(analysis.text.is_none_or(|text| text.len() <= beginning.len() + 2));
            }
        }
    }
}

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
            for dialect in
                DIALECTS.into_iter().filter(|dialect| only.is_none_or(|only| only == *dialect))
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
            for dialect in
                DIALECTS.into_iter().filter(|dialect| only.is_none_or(|only| only == *dialect))
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
            for dialect in DIALECTS {
                let analysis = analyze(&input, dialect, Literals::Replace);
                let text = analysis.text.unwrap_or_default();
                let summary = analysis.summary.unwrap_or_default();
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
            for dialect in DIALECTS {
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
    ];
    for statement in statements {
        for secret in ["zqjz", "'zqjz'", "\"zqjz\"", "`zqjz`", "zq-jz", "zq.jz, jz", "(zq (jz))"] {
            let input = statement.replace('%', secret);
            for dialect in DIALECTS {
                for literals in [Literals::Keep, Literals::Replace] {
                    assert_no_secret(&analyze(&input, dialect, literals), &input, dialect);
                }
            }
        }
    }
}

#[test]
fn a_long_text_is_cut_between_tokens() {
    let input = format!("SELECT {} FROM t", "überlang, 'x', ".repeat(2000));
    for dialect in DIALECTS {
        let Analysis { text, summary } = analyze(&input, dialect, Literals::Replace);
        let text = text.unwrap();
        assert!((4080..=4096).contains(&text.len()), "{}", text.len());
        let tail = text.trim_end().rsplit(' ').next().unwrap();
        assert!(["überlang", "überlang,", "?", "?,"].contains(&tail), "{tail}");
        assert_eq!(summary.as_deref(), Some("SELECT t"));
    }
    let quiet = "a, ".repeat(3000);
    let text = analyze(&quiet, Dialect::Generic, Literals::Replace).text.unwrap();
    assert!(matches!(text, Cow::Borrowed(_)));
    assert_eq!(text.len(), 4096);
}

#[test]
fn a_long_list_is_no_long_text() {
    let list = "'one', ".repeat(5000);
    let input = format!("SELECT a FROM t WHERE b IN ({list}'last') AND c = 1");
    let text = analyze(&input, Dialect::PostgreSql, Literals::Replace).text.unwrap();
    assert_eq!(text, "SELECT a FROM t WHERE b IN (?) AND c = ?");
}

#[test]
fn a_summary_is_cut_at_255_characters_between_names() {
    let names: Vec<_> = (0..50).map(|number| format!("ein_längerer_name_{number:02}")).collect();
    let input = format!("SELECT * FROM {}", names.join(", "));
    let summary = analyze(&input, Dialect::Generic, Literals::Replace).summary.unwrap();
    let whole = format!("SELECT {}", names.join(" "));
    assert!(whole.starts_with(&summary));
    assert!((235..=255).contains(&summary.chars().count()), "{}", summary.len());
    assert_eq!(whole.as_bytes()[summary.len()], b' ');
    let qualified = format!("SELECT * FROM t, {0}.{0}", "x".repeat(200));
    let summary = analyze(&qualified, Dialect::Generic, Literals::Replace).summary;
    assert_eq!(summary.as_deref(), Some("SELECT t"));
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

/// Sixteen times the text takes about sixteen times as long, for texts that tempt to look ahead.
#[test]
fn time_is_linear() {
    let pieces = [
        "'", "\"", "`", "[", "[a]", "$a$", "$a$b$a$", "/*", "--", "-- \n", "(", ")", "\\", "$",
        "a.", "IN (1,", "'a", "E'", ":", "?", "1e", "/*!", "\"\".", "{", ";", ",",
    ];
    let time = |piece: &str, dialect, count: usize| {
        let input = piece.repeat(count);
        let best = (0..3).map(|_| {
            let start = std::time::Instant::now();
            std::hint::black_box(analyze(&input, dialect, Literals::Replace));
            start.elapsed()
        });
        best.min().unwrap()
    };
    for piece in pieces {
        for dialect in DIALECTS {
            let (short, long) = (time(piece, dialect, 10_000), time(piece, dialect, 160_000));
            let bound = short * 16 * 8 + std::time::Duration::from_millis(5);
            assert!(long < bound, "{piece} {dialect}: {short:?}, {long:?}");
        }
    }
}

/// Any bytes: no panic, and every text that comes out is stable.
#[test]
fn noise_is_survived() {
    let alphabet = [
        "'",
        "\"",
        "`",
        "[",
        "]",
        "(",
        ")",
        "$$",
        "$a$",
        "/*",
        "*/",
        "--",
        "\n",
        "\\",
        "#",
        ".",
        ",",
        ";",
        "E",
        "U&",
        "x",
        "ü",
        "1",
        "0x",
        "-",
        "@",
        ":",
        "?",
        " ",
        "SELECT",
        "FROM",
        "IN",
        "WITH",
        "AS",
        "INSERT INTO",
        "UPDATE",
        "SET",
        "JOIN",
        "CREATE USER",
        "PASSWORD",
        "\0",
        "/*!",
        "=",
        "{",
        "TABLE",
        "PRAGMA key",
        "TRUE",
        "IS",
        "e5",
        "_a",
    ];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    for _ in 0..20_000 {
        let mut input = String::new();
        for _ in 0..random(40) {
            input.push_str(alphabet[random(alphabet.len())]);
            if random(2) == 0 {
                input.push(' ');
            }
        }
        for dialect in DIALECTS {
            for literals in [Literals::Keep, Literals::Replace] {
                let Some(once) = analyze(&input, dialect, literals).text else {
                    continue;
                };
                let twice = analyze(&once, dialect, literals).text;
                assert_eq!(twice.as_deref(), Some(&*once), "{dialect} {literals:?}: {input:?}");
            }
        }
    }
}

#[test]
fn dialects_have_names() {
    for dialect in DIALECTS {
        assert_eq!(dialect.to_string().parse(), Ok(dialect));
    }
    assert_eq!(Dialect::from_system("mariadb"), Dialect::MariaDb);
    assert_eq!(Dialect::from_system("other_sql"), Dialect::Generic);
    let error = "oracle".parse::<Dialect>().unwrap_err().to_string();
    assert_eq!(error, "unknown SQL dialect; known are generic, postgresql, mysql, mariadb, sqlite");
}
