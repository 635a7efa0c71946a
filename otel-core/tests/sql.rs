//! Cases of the SQL analyser from `testdata/sql_*.toml`, and what must hold for any text.

use std::borrow::Cow;
use std::collections::HashSet;
use std::error::Error;

use otel_core::sql::{Analysis, Analyzer, DEFAULT_MAX_LENGTH, Dialect, Literals, Syntax};
use serde::Deserialize;

#[path = "sql/properties.rs"]
mod properties;
#[path = "sql/secrets.rs"]
mod secrets;

fn analyze(text: &str, dialect: Dialect, literals: Literals) -> Analysis<'_> {
    Analyzer::new(dialect).literals(literals).analyze(text)
}

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
    ansi_quotes: Option<bool>,
    no_backslash_escapes: Option<bool>,
    standard_conforming_strings: Option<bool>,
    max_length: Option<usize>,
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

impl Case {
    fn analyzer(&self, dialect: Dialect) -> Analyzer {
        let mut syntax = Syntax::new(dialect);
        if self.ansi_quotes == Some(true) {
            syntax = syntax.ansi_quotes();
        }
        if self.no_backslash_escapes == Some(true) {
            syntax = syntax.no_backslash_escapes();
        }
        if let Some(on) = self.standard_conforming_strings {
            syntax = syntax.standard_conforming_strings(on);
        }
        let literals = if self.parameterized { Literals::Keep } else { Literals::Replace };
        let max_length = self.max_length.unwrap_or(DEFAULT_MAX_LENGTH);
        Analyzer::new(syntax).literals(literals).max_length(max_length)
    }
}

const FILES: [(&str, &str); 8] = [
    ("published", include_str!("../testdata/sql_published.toml")),
    ("generic", include_str!("../testdata/sql_generic.toml")),
    ("postgresql", include_str!("../testdata/sql_postgresql.toml")),
    ("mysql", include_str!("../testdata/sql_mysql.toml")),
    ("mariadb", include_str!("../testdata/sql_mariadb.toml")),
    ("sqlite", include_str!("../testdata/sql_sqlite.toml")),
    ("cql", include_str!("../testdata/sql_cql.toml")),
    ("summary", include_str!("../testdata/sql_summary.toml")),
];

type Loaded = (&'static str, Analyzer, Case);

fn cases() -> Result<Vec<Loaded>, Box<dyn Error>> {
    let mut all = Vec::new();
    for (file, content) in FILES {
        let cases: Cases = toml::from_str(content).map_err(|error| format!("{file}: {error}"))?;
        for case in cases.case {
            let dialect = case.dialect.as_ref().unwrap_or(&cases.dialect).parse()?;
            all.push((file, case.analyzer(dialect), case));
        }
    }
    Ok(all)
}

#[test]
fn every_case_has_its_text_and_summary() {
    let mut failures = Vec::new();
    let mut names = HashSet::new();
    for (file, analyzer, case) in cases().unwrap() {
        assert!(names.insert((file, case.name.clone())), "{file}: two cases {}", case.name);
        let Analysis { text, summary } = analyzer.analyze(&case.input);
        let expected = match &case.text {
            _ if case.text_none => None,
            Some(text) => Some(text.as_str()),
            None => Some(case.input.as_str()),
        };
        if text.as_deref() != expected || summary.as_deref() != case.summary.as_deref() {
            failures.push(format!(
                "{file}: {}\n  {}\n  text    {text:?}\n     not  {expected:?}\n  summary {summary:?}\n     not  {:?}",
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
    for (file, analyzer, case) in cases().unwrap() {
        let Some(once) = analyzer.analyze(&case.input).text else {
            continue;
        };
        let twice = analyzer.analyze(&once).text;
        assert_eq!(twice.as_deref(), Some(&*once), "{file}: {}", case.name);
    }
}

#[test]
fn a_summary_holds_only_words_of_the_text() {
    for (file, _, case) in cases().unwrap() {
        for &dialect in Dialect::ALL {
            let Some(summary) = case.analyzer(dialect).analyze(&case.input).summary else {
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
    for (_, _, case) in cases().unwrap() {
        for end in 0..=case.input.len() {
            let Some(beginning) = case.input.get(..end) else {
                continue;
            };
            for &dialect in Dialect::ALL {
                let analysis = case.analyzer(dialect).analyze(beginning);
                assert!(analysis.text.is_none_or(|text| text.len() <= beginning.len() + 2));
            }
        }
    }
}

#[test]
fn a_long_text_is_cut_between_tokens() {
    let input = format!("SELECT {} FROM t", "überlang, 'x', ".repeat(2000));
    for &dialect in Dialect::ALL {
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
    assert!(whole.starts_with(&*summary));
    assert!((235..=255).contains(&summary.chars().count()), "{}", summary.len());
    assert_eq!(whole.as_bytes()[summary.len()], b' ');
    let qualified = format!("SELECT * FROM t, {0}.{0}", "x".repeat(200));
    let summary = analyze(&qualified, Dialect::Generic, Literals::Replace).summary;
    assert_eq!(summary.as_deref(), Some("SELECT t"));
}

/// One for a text that changed, one for a summary that does not fit in place, of whatever letters.
#[test]
fn an_analysis_takes_at_most_two_allocations() {
    let tables = |name: &str| [name; 60].join(", ");
    let long = |name: &str, rest: &str| format!("SELECT * FROM {}{rest}", tables(name));
    for (text, expected) in [
        ("SELECT a FROM t WHERE b = ?".to_owned(), 0),
        ("SELECT a FROM t WHERE b = 'x' AND c IN (1, 2)".to_owned(), 1),
        (long("orders", ""), 1),
        (long("orders", " WHERE a = 'x'"), 2),
        (long("größe", " WHERE a = 'x'"), 2),
        (long("注文表示", " WHERE a = 'x'"), 2),
        (long("🦀🦀🦀🦀🦀🦀🦀", " WHERE a = 'x'"), 2),
    ] {
        let taken = || drop(analyze(&text, Dialect::PostgreSql, Literals::Replace));
        assert_eq!(allocation_counter::measure(taken).count_total, expected, "{text}");
    }
}

#[test]
fn dialects_have_names() {
    for &dialect in Dialect::ALL {
        assert_eq!(dialect.to_string().parse(), Ok(dialect));
    }
    assert_eq!(Dialect::from_system("mariadb"), Dialect::MariaDb);
    assert_eq!(Dialect::from_system("other_sql"), Dialect::Generic);
    let error = "oracle".parse::<Dialect>().unwrap_err().to_string();
    assert_eq!(
        error,
        "unknown SQL dialect; known are generic, postgresql, mysql, mariadb, sqlite, cql"
    );
}
