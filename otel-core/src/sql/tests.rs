//! Beside the pages: the boundaries of tokens, compared with those of `sqlparser`, which reads the
//! same texts in order
//! to parse them.
//!
//! Where both accept a text, quotes, comments and words begin and end at the same bytes, but for
//! these:
//!
//! - The sign of a number, the prefix of a string and letters behind digits are part of our token.
//! - What one of the two takes for a parameter is not compared.
//! - The peer takes `@` for a letter, and a comment that directly follows an operator for a part of
//!   it.
//! - It does not know UUIDs without quotes, nor names in brackets where the dialect is not known,
//!   nor `$` in names and the variables of Tcl in SQLite.
//! - It takes `]]` in SQLite for a bracket within a name, which the first of them ends.
//! - It reads what is within executable comments, and no comment in a `--` at the end of a text.
//! - It takes white space and digits of all scripts for such, and refuses pictures: all of them are
//!   letters to the servers.

use std::ops::Range;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::RngSeed;
use serde::Deserialize;
use sqlparser::dialect::{
    Dialect as Peer, GenericDialect, MySqlDialect, PostgreSqlDialect, SQLiteDialect,
};
use sqlparser::tokenizer::{Location, Token, Tokenizer, Whitespace};

use super::dialect::{Dialect, Syntax};
use super::lexer::{Kind, Lexer};
use super::walk::Walker;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// A string or a quoted name, its prefix included.
    Quoted,
    Comment,
    /// Words and numbers. Letters behind digits are one token or two, and a word to one may be a
    /// number to the other; that does not matter as long as they end at the same place.
    Word,
    /// Not compared itself, but what the other reads within it is not either.
    Parameter,
    Symbol,
}

type Part = (Class, Range<usize>);

/// Our tokens, as the analyser reads them; none if the text is refused.
fn ours(text: &str, dialect: Dialect) -> Option<Vec<Part>> {
    let syntax = Syntax::new(dialect);
    let mut lexer = Lexer::new(text, syntax);
    let mut walker = Walker::new(text, syntax);
    let mut parts = Vec::new();
    loop {
        let kind = lexer.next(0, usize::MAX, || walker.only_a_name());
        let span = lexer.span();
        match kind {
            Kind::End => return Some(parts),
            Kind::Unsafe => return None,
            Kind::Word => _ = walker.word(lexer.keyword, span),
            Kind::Symbol(symbol) => _ = walker.symbol(symbol, span),
            Kind::Comment => {}
            _ => _ = walker.value(kind, span),
        }
        let token = &text[span.start..span.end];
        let class = match kind {
            Kind::Comment => Class::Comment,
            Kind::Parameter => Class::Parameter,
            // The peer knows neither names in brackets here nor UUIDs without quotes.
            Kind::Name if dialect == Dialect::Generic && token.starts_with('[') => Class::Parameter,
            Kind::Literal if token.matches('-').count() >= 4 && !token.contains('\'') => {
                Class::Parameter
            }
            Kind::Name | Kind::Quoted => Class::Quoted,
            Kind::Literal if token.starts_with('$') || token.ends_with('\'') => Class::Quoted,
            Kind::Word | Kind::Literal => Class::Word,
            _ => Class::Symbol,
        };
        // The sign of a number is part of it.
        let sign = usize::from(class == Class::Word && token.starts_with(['+', '-']));
        parts.push((class, span.start + sign..span.end));
    }
}

/// The same of the peer.
fn theirs(text: &str, dialect: &dyn Peer) -> Option<Vec<Part>> {
    let mut lines = vec![0];
    lines.extend(text.match_indices('\n').map(|(index, _)| index + 1));
    let offset = |location: Location| {
        let line = lines[usize::try_from(location.line).unwrap() - 1];
        let column = usize::try_from(location.column).unwrap() - 1;
        let rest = &text[line..];
        line + rest.char_indices().nth(column).map_or(rest.len(), |(index, _)| index)
    };
    let tokens = Tokenizer::new(dialect, text).with_unescape(false).tokenize_with_location();
    let parts = tokens.ok()?.into_iter().filter_map(|token| {
        let (start, end) = (offset(token.span.start), offset(token.span.end));
        let class = match token.token {
            Token::Whitespace(
                Whitespace::SingleLineComment { .. } | Whitespace::MultiLineComment(_),
            ) => Class::Comment,
            Token::Whitespace(_) | Token::EOF => return None,
            Token::Word(word) if word.quote_style.is_none() => Class::Word,
            Token::Number(..) => Class::Word,
            Token::HexStringLiteral(_) if text[start..].starts_with('0') => Class::Word,
            Token::Placeholder(_) => Class::Parameter,
            Token::Word(_)
            | Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::DollarQuotedString(_)
            | Token::SingleQuotedByteStringLiteral(_)
            | Token::DoubleQuotedByteStringLiteral(_)
            | Token::NationalStringLiteral(_)
            | Token::EscapedStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
            | Token::HexStringLiteral(_) => Class::Quoted,
            _ => Class::Symbol,
        };
        Some((class, start..end))
    });
    let mut result: Vec<Part> = Vec::new();
    for (class, span) in parts {
        let token = &text[span.clone()];
        match class {
            // The end of a line is no part of its comment.
            Class::Comment => {
                let length = token.trim_end_matches('\n').len();
                result.push((class, span.start..span.start + length));
            }
            // `@` is a letter to the peer.
            Class::Word => {
                let mut start = span.start;
                for piece in token.split('@') {
                    if !piece.is_empty() {
                        result.push((class, start..start + piece.len()));
                    }
                    start += piece.len() + 1;
                }
            }
            _ => result.push((class, span)),
        }
    }
    Some(result)
}

/// What is compared: quotes, comments and words, but for what the other takes for a parameter.
fn joined(text: &str, parts: Vec<Part>, other: &[Part]) -> Vec<Part> {
    let mut joined: Vec<Part> = Vec::new();
    for (class, mut span) in parts {
        let mut of_other = other.iter().filter(|(class, _)| *class == Class::Parameter);
        let within = of_other.any(|(_, of)| of.start <= span.start && span.end <= of.end);
        if matches!(class, Class::Parameter | Class::Symbol) || within {
            continue;
        }
        // The dot of `t.5` is of the name or of the number.
        span.start += usize::from(text[span.clone()].starts_with('.'));
        let between = joined.last().and_then(|(_, last)| text.get(last.end..span.start));
        match joined.last_mut() {
            // `5kg` is one token or two, `1_0.5` one or three.
            Some((Class::Word, last))
                if class == Class::Word
                    && (between == Some("")
                        || (between == Some(".") && text[last.start..].starts_with(is_digit))) =>
            {
                last.end = span.end;
            }
            // The prefix of a string is part of it, or a word before it.
            Some((before @ Class::Word, last))
                if class == Class::Quoted && matches!(between, Some("" | "&")) =>
            {
                last.end = span.end;
                *before = Class::Quoted;
            }
            _ => joined.push((class, span)),
        }
    }
    joined
}

fn is_digit(char: char) -> bool {
    char.is_ascii_digit()
}

/// Whether the peer is known to read a text in another way, see above.
fn differs(text: &str, dialect: Dialect) -> bool {
    let other = |char: char| !char.is_ascii() && !char.is_alphabetic();
    match dialect {
        Dialect::MySql | Dialect::Generic if text.contains("/*!") => true,
        Dialect::MySql if text.ends_with("--") => true,
        Dialect::Sqlite if ["$", ":a(", "]]"].iter().any(|sign| text.contains(sign)) => true,
        _ => text.contains(other),
    }
}

const PEERS: [(Dialect, &dyn Peer); 4] = [
    (Dialect::PostgreSql, &PostgreSqlDialect {}),
    (Dialect::MySql, &MySqlDialect {}),
    (Dialect::Sqlite, &SQLiteDialect {}),
    (Dialect::Generic, &GenericDialect {}),
];

/// What differs, if anything.
fn difference(text: &str, dialect: Dialect, peer: &dyn Peer) -> Option<String> {
    let (ours, theirs) = (ours(text, dialect)?, theirs(text, peer)?);
    if differs(text, dialect) {
        return None;
    }
    let (ours, theirs) = (joined(text, ours.clone(), &theirs), joined(text, theirs, &ours));
    let at = ours.iter().zip(&theirs).take_while(|(ours, theirs)| ours == theirs).count();
    if at == ours.len() && at == theirs.len() {
        return None;
    }
    let show = |parts: &[Part]| {
        parts.get(at).map(|(class, span)| format!("{class:?} {:?}", &text[span.clone()]))
    };
    Some(format!("{dialect}: {text:?}\n  ours {:?}\n  theirs {:?}", show(&ours), show(&theirs)))
}

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    input: String,
}

#[test]
fn tokens_of_the_cases_end_where_a_parser_ends_them() {
    let files = [
        include_str!("../../testdata/sql_published.toml"),
        include_str!("../../testdata/sql_generic.toml"),
        include_str!("../../testdata/sql_postgresql.toml"),
        include_str!("../../testdata/sql_mysql.toml"),
        include_str!("../../testdata/sql_mariadb.toml"),
        include_str!("../../testdata/sql_sqlite.toml"),
        include_str!("../../testdata/sql_summary.toml"),
    ];
    let mut differences = Vec::new();
    let mut compared = 0;
    for file in files {
        let cases: Cases = toml::from_str(file).unwrap();
        for case in cases.case {
            for (dialect, peer) in PEERS {
                compared += usize::from(
                    ours(&case.input, dialect).is_some() && theirs(&case.input, peer).is_some(),
                );
                differences.extend(difference(&case.input, dialect, peer));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(compared > 1500, "{compared}");
}

/// Pieces that begin and end something, to be put together in any way.
fn pieces() -> impl Strategy<Value = String> {
    #[rustfmt::skip]
    const PIECES: [&str; 74] = [
        "SELECT", "FROM", "JOIN", "INSERT INTO", "UPDATE", "SET", "WHERE", "IN", "AS", "NULL",
        "a", "b_2", "größe", "t.a", "select_", "TRUE", "E", "N", "x", "U",
        "'a'", "'it''s'", "''", "'--'", "'/*'", "'\\n'", "'\\\\'", "'\"'", "'\n'", "'$$'",
        "\"a\"", "\"a\"\"b\"", "\"it's\"", "\"--\"", "`a`", "`a``b`", "`it's`", "[a]", "N'a'",
        "X'ff'", "$$it's$$", "$a$ $$ $a$", "$1", "?", "-- a\n", "-- it's\n", "--a\n", "/* a */",
        "/* it's */", "/**/", "/* -- */", "# it's\n", "1", "-1", "+2.5", ".5", "1e5", "1E-5", "0xff",
        "5.", "1e+2", "(", ")", ",", ";", "=", "<>", "-", "+", "*", "/", "||", "::", "\\'",
    ];
    let piece = (select(&["", " ", " ", "\n"][..]), select(&PIECES[..]));
    vec(piece, 0..24).prop_map(|pieces| {
        let mut text = String::new();
        for (space, piece) in pieces {
            text.push_str(space);
            // Numbers touch no words, comments no operators.
            let word = |char: char| char.is_alphanumeric() || "_.+-".contains(char);
            let operator = |char: char| "=<>-+*/|:?".contains(char);
            if text.ends_with(word) && piece.starts_with(word)
                || text.ends_with(operator) && piece.starts_with(['-', '/', '#'])
            {
                text.push(' ');
            }
            text.push_str(piece);
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::default()
    })]

    #[test]
    fn tokens_end_where_a_parser_ends_them(text in pieces()) {
        for (dialect, peer) in PEERS {
            prop_assert_eq!(difference(&text, dialect, peer), None);
        }
    }
}
