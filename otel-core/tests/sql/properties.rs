//! What holds for every text, tried on texts from two generators: noise, and statements that are
//! put together by the rules of one server, so that it is known what in them is a literal.

use std::borrow::Cow;

use otel_core::sql::{Analysis, Analyzer, Dialect, Literals, Syntax};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::RngSeed;

/// A server, as far as it decides how a text is written.
#[derive(Clone, Copy, Debug)]
struct Server {
    dialect: Dialect,
    /// `"…"` is a name.
    names: bool,
    /// A backslash in `'…'` escapes.
    escapes: bool,
}

const fn server(dialect: Dialect, names: bool, escapes: bool) -> Server {
    Server { dialect, names, escapes }
}

const SERVERS: [Server; 11] = [
    server(Dialect::PostgreSql, true, false),
    server(Dialect::PostgreSql, true, true),
    server(Dialect::MySql, false, true),
    server(Dialect::MySql, true, true),
    server(Dialect::MySql, false, false),
    server(Dialect::MySql, true, false),
    server(Dialect::MariaDb, false, true),
    server(Dialect::MariaDb, true, false),
    server(Dialect::Sqlite, false, false),
    server(Dialect::Cql, true, false),
    server(Dialect::Generic, false, false),
];

impl Server {
    fn syntax(self) -> Syntax {
        let syntax = Syntax::new(self.dialect);
        match self.dialect {
            Dialect::PostgreSql => syntax.standard_conforming_strings(!self.escapes),
            Dialect::MySql | Dialect::MariaDb => {
                let syntax = if self.names { syntax.ansi_quotes() } else { syntax };
                if self.escapes { syntax } else { syntax.no_backslash_escapes() }
            }
            _ => syntax,
        }
    }

    fn is(self, dialects: &[Dialect]) -> bool {
        dialects.contains(&self.dialect)
    }
}

/// The letters of literals, and of nothing else that is written.
const OF_LITERALS: [&str; 6] = ["q", "j", "ł", "7", "8", "9"];
/// The letters of comments.
const OF_COMMENTS: [&str; 2] = ["z", "ж"];
/// What means something outside of a quote.
const HOSTILE: [&str; 32] = [
    "'", "\"", "`", "\\", "--", "/*", "*/", "#", "//", "$$", "$a$", ";", "(", ")", "[", "]", "{",
    "}", ":", "?", "@", ".", ",", "\n", "\r", " ", "SELECT", "FROM", "IN (", "=", "PASSWORD", "E",
];
const SPACES: [&str; 7] = [" ", " ", " ", "\n", "\t", "\r\n", " \u{b}\u{c}"];
const NAMES: [&str; 6] = ["a", "b_2", "users", "größe", "t", "select_"];
const NUMBERS: [&str; 8] = ["789", "-7", "+8.9", "7.8e9", "9E-7", ".789", "0x789", "-8."];
const UUIDS: [&str; 4] = [
    "f789ac10-58cc-4372-a567-0e02b2c3d479",
    "F789AC10-58CC-4372-A567-0E02B2C3D479",
    "7e89ac10-e89b-12d3-a456-426655440000",
    "1234567e-89cc-4372-a567-0e02b2c3d479",
];
const OPERATORS: [&str; 8] = ["=", "<>", "AND", "OR", "+", "||", "LIKE", "*"];

/// Writes statements; every decision is a number, zero the simplest.
struct Writer<'a> {
    choices: &'a [u16],
    server: Server,
    text: String,
    literals: Vec<String>,
    depth: usize,
}

impl<'a> Writer<'a> {
    fn new(server: Server, choices: &'a [u16]) -> Self {
        Writer { choices, server, text: String::new(), literals: Vec::new(), depth: 0 }
    }

    fn choice(&mut self, below: usize) -> usize {
        let Some((first, rest)) = self.choices.split_first() else { return 0 };
        self.choices = rest;
        usize::from(*first) % below
    }

    fn one(&mut self, of: &[&'static str]) -> &'static str {
        of[self.choice(of.len())]
    }

    fn body(&mut self, letters: &[&'static str], except: &[&str]) -> String {
        let mut body = letters[0].to_owned();
        for _ in 0..self.choice(6) {
            let piece = match self.choice(2) {
                0 => self.one(letters),
                _ => self.one(&HOSTILE),
            };
            body.push_str(piece);
        }
        for except in except {
            body = body.replace(except, " ");
        }
        body
    }

    /// White space, at times with comments.
    fn gap(&mut self) {
        let space = self.one(&SPACES);
        self.text.push_str(space);
        if self.choice(6) == 5 {
            self.comment();
            if self.choice(3) > 0 {
                self.text.push(' ');
            }
        }
    }

    fn comment(&mut self) {
        let dialect = self.server.dialect;
        let comment = match (self.choice(4), dialect) {
            (0, Dialect::PostgreSql) => {
                let body = self.body(&OF_COMMENTS, &["/*", "*/", "*", "/"]);
                format!("/*{body}/* {body} */{body}*/")
            }
            (0 | 1, _) => {
                let nested: &[&str] = match dialect {
                    Dialect::PostgreSql => &["*", "/"],
                    _ => &["*/", "*"],
                };
                format!("/*{}*/", self.body(&OF_COMMENTS, nested))
            }
            (2, Dialect::MySql | Dialect::MariaDb) => {
                format!("#{}\n", self.body(&OF_COMMENTS, &["\n"]))
            }
            (2, Dialect::Cql) => format!("//{}\n", self.body(&OF_COMMENTS, &["\n", "\r"])),
            _ => format!("-- {}\n", self.body(&OF_COMMENTS, &["\n", "\r"])),
        };
        self.text.push_str(&comment);
    }

    fn put(&mut self, token: &str) {
        self.gap();
        self.text.push_str(token);
    }

    /// A symbol, with or without white space before it.
    fn symbol(&mut self, symbol: &str) {
        if self.choice(3) == 2 {
            self.gap();
        }
        self.text.push_str(symbol);
    }

    fn quote(&mut self, body: &str, quote: char, escapes: bool) -> String {
        let mut quoted = String::from(quote);
        for char in body.chars() {
            if char == quote {
                quoted.push(if escapes && self.choice(2) == 1 { '\\' } else { quote });
            } else if char == '\\' && escapes {
                quoted.push('\\');
            }
            quoted.push(char);
        }
        quoted.push(quote);
        quoted
    }

    fn string(&mut self, prefix: &str, escapes: bool) -> String {
        let body = self.body(&OF_LITERALS, &[]);
        format!("{prefix}{}", self.quote(&body, '\'', escapes))
    }

    fn literal(&mut self) {
        self.literal_behind(true);
    }

    fn literal_behind(&mut self, space: bool) {
        let Server { dialect, names, escapes } = self.server;
        let literal = match (self.choice(8), dialect) {
            (1, _) => self.one(&NUMBERS).to_owned(),
            (2, Dialect::PostgreSql) => self.string("E", true),
            (3, Dialect::PostgreSql) => {
                let tag = self.one(&["$$", "$a1$", "$_ü$"]);
                let other: &[&str] = if tag == "$$" { &["$"] } else { &[] };
                format!("{tag}{}{tag}", self.body(&OF_LITERALS, other))
            }
            (4, Dialect::PostgreSql) => self.string("U&", escapes),
            (5, Dialect::PostgreSql) => {
                let first = self.string("e", true);
                let second = self.string("", true);
                format!("{first}\n{second}")
            }
            (2 | 3, Dialect::Cql) => format!("$${}$$", self.body(&OF_LITERALS, &["$"])),
            (5, Dialect::Cql) => "7h8m9s".to_owned(),
            (6, Dialect::Cql) => "P7Y8M9DT7H".to_owned(),
            (4, Dialect::Cql | Dialect::Sqlite | Dialect::Generic) | (6, _) => {
                self.one(&UUIDS).to_owned()
            }
            (2 | 3, Dialect::MySql | Dialect::MariaDb) if !names => {
                let body = self.body(&OF_LITERALS, &[]);
                self.quote(&body, '"', escapes)
            }
            (4, Dialect::MySql | Dialect::MariaDb) => self.string("_binary", escapes),
            (2 | 3, Dialect::Sqlite | Dialect::Generic) => {
                let body = self.body(&OF_LITERALS, &[]);
                self.quote(&body, '"', false)
            }
            (7, _) if dialect != Dialect::Cql => {
                let prefix = self.one(&["N", "X", "b"]);
                self.string(prefix, escapes)
            }
            _ => self.string("", escapes),
        };
        if space {
            self.gap();
        }
        self.text.push_str(&literal);
        self.literals.push(literal);
    }

    /// A name, quoted in one of the ways that are none of a literal.
    fn name(&mut self) {
        let name = self.one(&NAMES).to_owned();
        let backticks = !self.server.is(&[Dialect::PostgreSql, Dialect::Cql]);
        let brackets = self.server.is(&[Dialect::Sqlite, Dialect::Generic]);
        let name = match self.choice(6) {
            3 if backticks => {
                let body = self.body(&["a"], &[]);
                self.quote(&body, '`', false)
            }
            4 if self.server.names => {
                let body = self.body(&["a"], &[]);
                self.quote(&body, '"', false)
            }
            5 if brackets => format!("[{}]", self.body(&["a"], &["]"])),
            _ => name,
        };
        self.put(&name);
    }

    fn target(&mut self) {
        self.name();
        if self.choice(4) == 3 {
            self.text.push_str(".t");
        }
    }

    fn parameter(&mut self) {
        let parameter = match self.server.dialect {
            Dialect::PostgreSql => "$1",
            Dialect::Sqlite => self.one(&["?", "?1", ":a", "@a", "$a::b"]),
            Dialect::Cql => self.one(&["?", ":a"]),
            _ => "?",
        };
        self.put(parameter);
    }

    fn expression(&mut self) {
        let subqueries = self.server.dialect != Dialect::Cql;
        self.depth += 1;
        match if self.depth > 6 { 0 } else { self.choice(11) } {
            1 => self.name(),
            2 => self.parameter(),
            3 => {
                self.put("f(");
                self.list(1);
                self.symbol(")");
            }
            4 => {
                self.expression();
                let operator = self.one(&OPERATORS);
                self.put(operator);
                self.expression();
            }
            5 => {
                self.name();
                let word = self.one(&["IN", "NOT IN", "in"]);
                self.put(word);
                self.symbol("(");
                self.list(1);
                self.symbol(")");
            }
            6 => {
                self.put("CASE WHEN");
                self.expression();
                self.put("THEN");
                self.literal();
                self.put("END");
            }
            7 if subqueries => {
                self.put("(");
                self.select();
                self.symbol(")");
            }
            8 => {
                self.put("CAST(");
                self.expression();
                self.put("AS text)");
            }
            9 => {
                let collections = self.server.is(&[Dialect::PostgreSql, Dialect::Cql]);
                let sign = self.one(if collections { &["(", "[", "{"] } else { &["("] });
                self.put(sign);
                self.list(1);
                self.symbol(match sign {
                    "(" => ")",
                    "[" => "]",
                    _ => "}",
                });
            }
            10 if self.server.is(&[Dialect::Cql]) => self.map(),
            _ => self.literal(),
        }
        self.depth -= 1;
    }

    /// A map of CQL, its values with or without white space before them.
    fn map(&mut self) {
        self.put("{");
        for index in 0..=self.choice(3) {
            if index > 0 {
                self.symbol(",");
            }
            self.literal();
            self.symbol(":");
            let space = self.choice(2) == 1;
            self.literal_behind(space);
        }
        self.symbol("}");
    }

    fn list(&mut self, least: usize) {
        for index in 0..least + self.choice(4) {
            if index > 0 {
                self.symbol(",");
            }
            self.expression();
        }
    }

    fn condition(&mut self) {
        if self.choice(2) == 1 {
            self.put("WHERE");
            self.expression();
        }
    }

    /// What may stand between a table and the next, in one server or another.
    fn hint(&mut self) {
        const HINTS: [&str; 6] = [
            "USE INDEX ( i )",
            "FORCE INDEX FOR JOIN ( i , k )",
            "TABLESAMPLE BERNOULLI (",
            "WITH ( NOLOCK )",
            "LATERAL VIEW f (",
            "PIVOT ( SUM ( a ) FOR b IN (",
        ];
        self.put("AS x");
        let hint = self.one(&HINTS);
        for word in hint.split(' ') {
            self.put(word);
        }
        let open = hint.matches('(').count() - hint.matches(')').count();
        if open > 0 {
            self.list(1);
        }
        for _ in 0..open {
            self.symbol(")");
        }
    }

    fn select(&mut self) {
        self.put("SELECT");
        self.list(1);
        if self.choice(4) > 0 {
            self.put("FROM");
            self.target();
            if self.choice(6) == 5 && !self.server.is(&[Dialect::Cql]) {
                self.hint();
            }
            for _ in 0..self.choice(3) {
                match self.choice(4) {
                    0 => {
                        self.symbol(",");
                        self.target();
                    }
                    1 => {
                        self.put("JOIN");
                        self.target();
                        self.put("ON");
                        self.expression();
                    }
                    2 if self.depth < 4 => {
                        self.depth += 1;
                        self.put("CROSS JOIN (");
                        self.select();
                        self.put(") AS x");
                        self.depth -= 1;
                    }
                    _ => {
                        self.put("JOIN f(");
                        self.list(0);
                        self.put(") AS");
                        self.name();
                    }
                }
            }
            self.condition();
        }
        match self.choice(5) {
            1 => {
                self.put("GROUP BY");
                self.list(1);
            }
            2 => {
                self.put("LIMIT");
                self.literal();
            }
            3 if self.depth < 4 => {
                self.depth += 1;
                self.put("UNION ALL");
                self.select();
                self.depth -= 1;
            }
            _ => {}
        }
    }

    fn assignments(&mut self) {
        for index in 0..=self.choice(3) {
            if index > 0 {
                self.symbol(",");
            }
            self.name();
            self.symbol("=");
            self.expression();
        }
    }

    fn statement(&mut self) {
        match self.choice(12) {
            1 => {
                self.put("INSERT INTO");
                self.target();
                self.put("(");
                self.name();
                self.symbol(",");
                self.name();
                self.put(") VALUES (");
                self.list(1);
                self.symbol(")");
            }
            2 => {
                self.put("UPDATE");
                self.target();
                self.put("SET");
                self.assignments();
                self.condition();
            }
            3 => {
                self.put("DELETE FROM");
                self.target();
                self.condition();
            }
            4 => {
                self.put("INSERT INTO");
                self.target();
                self.select();
            }
            5 => {
                self.put("WITH");
                self.name();
                self.put("AS (");
                self.select();
                self.put(")");
                self.select();
            }
            6 => {
                self.put("CREATE TABLE");
                self.target();
                self.put("(a text DEFAULT");
                self.literal();
                self.symbol(",");
                self.put("CHECK (");
                self.expression();
                self.put("))");
            }
            7 => {
                self.put("CALL p(");
                self.list(0);
                self.symbol(")");
            }
            8 => {
                self.put("SET a =");
                self.expression();
            }
            9 => {
                self.put("MERGE INTO t USING u ON");
                self.expression();
                self.put("WHEN MATCHED THEN UPDATE SET");
                self.assignments();
            }
            10 => {
                self.put("FROBNICATE");
                self.list(1);
            }
            _ => self.select(),
        }
    }

    fn statements(mut self) -> Written {
        for index in 0..=self.choice(3) {
            if index > 0 {
                self.symbol(";");
            }
            self.statement();
        }
        if self.choice(2) == 1 {
            self.gap();
        }
        let (server, text, literals) = (self.server, self.text, self.literals);
        Written { server, text, literals, words: Vec::new() }
    }

    /// Statements of which each holds the password of an account.
    fn passwords(mut self) -> Written {
        const STATEMENTS: [&str; 12] = [
            "CREATE USER bob PASSWORD %",
            "ALTER ROLE bob WITH LOGIN PASSWORD % VALID",
            "CREATE ROLE bob WITH PASSWORD = % AND LOGIN = a",
            "ALTER USER bob IDENTIFIED BY % REPLACE % ACCOUNT LOCK",
            "CREATE USER bob IDENTIFIED WITH some_plugin AS % , b IDENTIFIED BY %",
            "SET PASSWORD FOR bob = %",
            "SET PASSWORD = PASSWORD( % )",
            "GRANT ALL ON t TO bob IDENTIFIED BY % WITH GRANT OPTION",
            "CREATE SERVER s OPTIONS ( USER bob , PASSWORD % , HOST h )",
            "CREATE LOGIN bob WITH PASSWORD = % MUST_CHANGE , OLD_PASSWORD = %",
            "ATTACH DATABASE f AS b KEY %",
            "PRAGMA main . rekey ( % )",
        ];
        let mut words = Vec::new();
        for _ in 0..=self.choice(3) {
            let statement = self.one(&STATEMENTS);
            for word in statement.split(' ') {
                if word == "%" {
                    for _ in 0..=self.choice(2) {
                        self.literal();
                    }
                } else {
                    self.put(word);
                    words.push(word);
                }
            }
            self.symbol(";");
            self.put("SELECT a FROM t;");
            words.push("SELECT a FROM t;");
        }
        Written { server: self.server, text: self.text, literals: self.literals, words }
    }
}

#[derive(Debug)]
struct Written {
    server: Server,
    text: String,
    literals: Vec<String>,
    /// What is written around passwords.
    words: Vec<&'static str>,
}

fn choices() -> impl Strategy<Value = (Server, Vec<u16>)> {
    (select(&SERVERS[..]), vec(any::<u16>(), 0..160))
}

fn statements() -> impl Strategy<Value = Written> {
    choices().prop_map(|(server, choices)| Writer::new(server, &choices).statements())
}

fn passwords() -> impl Strategy<Value = Written> {
    choices().prop_map(|(server, choices)| Writer::new(server, &choices).passwords())
}

/// Pieces that mean something to one dialect or another, in any order.
fn noise() -> impl Strategy<Value = String> {
    #[rustfmt::skip]
    const PIECES: [&str; 84] = [
        "'", "'", "\"", "`", "[", "]", "(", ")", "{", "}", "$$", "$a$", "$1", "/*", "*/", "/*!",
        "/*M!", "--", "-- ", "//", "\n", "\r", "\\", "\\'", "#", ".", ",", ";", ":", "::", "?",
        "@", "=", "-", "+", "\0", "\u{feff}", " ", "E", "e'", "U&", "N'", "x'", "q'", "_a'", "ü",
        "1", "0x", "1e", "1e+", ".5", "e5", "2a", "P1Y", "f47ac10b-58cc-4372-a567-0e02b2c3d479",
        "SELECT", "FROM", "JOIN", "IN", "IN (1,", "'x')", "WITH", "AS", "INSERT INTO", "VALUES",
        "UPDATE", "SET", "DELETE", "CREATE", "USER", "TABLE", "DROP", "PASSWORD", "IDENTIFIED BY",
        "PRAGMA key", "ATTACH", "KEY", "TRUE", "IS", "EXPLAIN", "BEGIN", "BATCH", "a", "name",
    ];
    let piece = prop_oneof![
        20 => (select(&PIECES[..]), select(&["", " "][..])).prop_map(|(piece, space)| format!("{piece}{space}")),
        1 => any::<char>().prop_map(String::from),
    ];
    vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Noise, or a text that was written for one server and is read as every other's.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => noise(),
        2 => statements().prop_map(|written| written.text),
        1 => passwords().prop_map(|written| written.text),
    ]
}

fn literals() -> impl Strategy<Value = Literals> {
    select(&[Literals::Replace, Literals::Keep][..])
}

fn analyzers() -> impl Iterator<Item = Analyzer> {
    SERVERS.into_iter().flat_map(|server| {
        let of = move |literals| Analyzer::new(server.syntax()).literals(literals);
        [of(Literals::Replace), of(Literals::Keep)]
    })
}

fn of(analysis: &Analysis<'_>, letters: &[&str]) -> Option<String> {
    let texts = [analysis.text.as_deref(), analysis.summary.as_deref()];
    let mut found = texts.into_iter().flatten();
    found.find(|text| letters.iter().any(|letter| text.contains(letter))).map(str::to_owned)
}

/// The same cases in each run; of `PROPTEST_CASES` there are more.
fn bounded(cases: u32) -> ProptestConfig {
    let asked = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { asked.cases } else { cases };
    ProptestConfig { cases, failure_persistence: None, rng_seed: RngSeed::Fixed(2), ..asked }
}

proptest! {
    #![proptest_config(bounded(1500))]

    /// What stays of a text has nothing left to be removed.
    #[test]
    fn an_emitted_text_is_emitted_as_it_is(input in any_text()) {
        for analyzer in analyzers() {
            let Some(once) = analyzer.analyze(&input).text else { continue };
            let twice = analyzer.analyze(&once).text;
            // Where it is not known what brackets mean, less is read the shorter they are.
            if twice.is_some() || !once.contains('[') {
                prop_assert_eq!(twice.as_deref(), Some(&*once), "{:?}", analyzer);
            }
        }
    }

    #[test]
    fn a_text_is_borrowed_if_nothing_changed(input in any_text()) {
        for analyzer in analyzers() {
            match analyzer.analyze(&input).text {
                // A parameter instead of a password is written anew.
                Some(Cow::Owned(text)) if text == input => prop_assert!(input.contains('?')),
                Some(Cow::Borrowed(text)) => prop_assert!(input.contains(text)),
                Some(Cow::Owned(_)) | None => {}
            }
        }
    }

    /// Operations and targets are copied from the text, in their order.
    #[test]
    fn a_summary_holds_words_of_the_text_in_order(input in any_text()) {
        for analyzer in analyzers() {
            let Some(summary) = analyzer.analyze(&input).summary else { continue };
            prop_assert!(!summary.is_empty() && summary.chars().count() <= 255);
            let mut rest = input.as_str();
            for word in summary.split([' ', '.']).map(|word| word.trim_end_matches(';')) {
                let found = rest.find(word);
                prop_assert!(found.is_some(), "{word} of {summary}, {analyzer:?}");
                rest = found.and_then(|at| rest.get(at + word.len()..)).unwrap_or_default();
            }
        }
    }

    #[test]
    fn a_cut_text_is_the_beginning_of_the_whole(input in any_text(), length in 0_usize..400) {
        for analyzer in analyzers() {
            let whole = analyzer.analyze(&input);
            let cut = analyzer.max_length(length).analyze(&input);
            prop_assert_eq!(&cut.summary, &whole.summary, "{:?}", analyzer);
            prop_assert_eq!(cut.text.is_some(), whole.text.is_some());
            let (cut, whole) = (cut.text.unwrap_or_default(), whole.text.unwrap_or_default());
            prop_assert!(cut.len() <= length);
            // White space at the beginning of a list goes when the list is joined.
            prop_assert!(whole.starts_with(cut.trim_ascii_end()), "{cut:?} of {whole:?}");
            if whole.len() <= length {
                prop_assert_eq!(cut, whole);
            }
        }
    }

    /// Neither of a literal nor of a comment a letter survives, and the text is readable.
    #[test]
    fn no_letter_of_a_literal_survives(written in statements(), length in 0_usize..400) {
        let analyzer = Analyzer::new(written.server.syntax());
        let analysis = analyzer.analyze(&written.text);
        prop_assert_eq!(of(&analysis, &OF_LITERALS), None);
        prop_assert_eq!(of(&analysis, &OF_COMMENTS), None);
        prop_assert!(analysis.text.is_some() || written.server.dialect == Dialect::Generic);
        let analysis = analyzer.max_length(length).analyze(&written.text);
        prop_assert_eq!(of(&analysis, &OF_LITERALS), None);
        prop_assert_eq!(of(&analysis, &OF_COMMENTS), None);
    }

    /// The same for a text that somebody else has cut off.
    #[test]
    fn no_letter_of_a_literal_survives_a_cut(written in statements(), end in 0_usize..600) {
        let Some(input) = written.text.get(..end) else { return Ok(()) };
        // The beginning of a UUID or of a duration is a name.
        let last = input.rsplit(|char: char| !char.is_alphanumeric() && char != '-').next();
        let constant = |last: &str| {
            last.starts_with('P') || UUIDS.iter().any(|uuid| uuid.starts_with(last))
        };
        if last.is_some_and(|last| !last.is_empty() && constant(last)) {
            return Ok(());
        }
        let analysis = Analyzer::new(written.server.syntax()).analyze(input);
        prop_assert_eq!(of(&analysis, &OF_LITERALS), None);
        prop_assert_eq!(of(&analysis, &OF_COMMENTS), None);
    }

    /// Whatever server a text was written for, who does not know it shows no more than it.
    #[test]
    fn no_letter_of_a_literal_survives_the_generic_reading(written in statements()) {
        // Durations are names to all but Cassandra.
        if written.literals.iter().any(|literal| literal.starts_with('P')) {
            return Ok(());
        }
        let analysis = Analyzer::new(Dialect::Generic).analyze(&written.text);
        prop_assert_eq!(of(&analysis, &OF_LITERALS), None);
        prop_assert_eq!(of(&analysis, &OF_COMMENTS), None);
    }

    #[test]
    fn literals_are_kept_byte_by_byte(written in statements()) {
        let analyzer = Analyzer::new(written.server.syntax()).literals(Literals::Keep);
        let analysis = analyzer.max_length(usize::MAX).analyze(&written.text);
        prop_assert_eq!(of(&analysis, &OF_COMMENTS), None);
        // Names in brackets may hold the word `PASSWORD`, if they are names.
        if let Some(text) = analysis.text.filter(|text| !text.contains('[')) {
            for literal in &written.literals {
                prop_assert!(text.contains(literal), "{literal}");
            }
        }
    }

    /// Also where literals stay.
    #[test]
    fn no_letter_of_a_password_survives(written in passwords(), literals in literals()) {
        let analyzer = Analyzer::new(written.server.syntax()).literals(literals);
        let analysis = analyzer.analyze(&written.text);
        prop_assert_eq!(of(&analysis, &OF_LITERALS), None);
        prop_assert_eq!(of(&analysis, &OF_COMMENTS), None);
    }

    /// What surrounds a password stays.
    #[test]
    fn what_is_no_password_survives(written in passwords(), literals in literals()) {
        let analyzer = Analyzer::new(written.server.syntax()).literals(literals);
        let analysis = analyzer.max_length(usize::MAX).analyze(&written.text);
        let Some(text) = analysis.text else { return Ok(()) };
        prop_assert_eq!(text.matches('(').count(), text.matches(')').count());
        let mut rest = &*text;
        for word in &written.words {
            let found = rest.find(word);
            prop_assert!(found.is_some(), "{word} of {text}");
            rest = found.and_then(|at| rest.get(at + word.len()..)).unwrap_or_default();
        }
    }

    /// A text that ends inside a quote or a comment is left out.
    #[test]
    fn an_open_end_is_left_out(written in statements(), choices in vec(any::<u16>(), 0..20)) {
        let Server { dialect, names, .. } = written.server;
        let mut writer = Writer::new(written.server, &choices);
        let openings: &[&str] = match dialect {
            Dialect::PostgreSql => &["'", "\"", "/*", "E'", "$$", "$a$", "U&'", "/* /* */"],
            Dialect::Cql => &["'", "\"", "/*", "$$"],
            Dialect::Sqlite => &["'", "\"", "/*", "`", "[", "x'"],
            _ if names => &["'", "\"", "/*", "`", "/*!"],
            _ => &["'", "\"", "/*", "`", "N'"],
        };
        let opening = writer.one(openings);
        // Nothing that closes one of them.
        let closing = ["'", "\"", "`", "]", "*/", "*", "/", "$", "\\"];
        let secret = writer.body(&OF_LITERALS, &closing);
        let input = format!("{} {opening}{secret}", written.text);
        let analysis = Analyzer::new(written.server.syntax()).analyze(&input);
        prop_assert_eq!(&analysis.text, &None);
        prop_assert_eq!(of(&analysis, &OF_LITERALS), None);
    }
}
