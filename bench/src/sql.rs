//! The measurement `sql`: what the analysis of a text costs, beside the tokenizer of `sqlparser`,
//! which does no more than cut the text into tokens.

mod cache;
mod texts;

use std::cell::RefCell;
use std::hint::black_box;

use anyhow::{Context as _, Result, bail};
use bench::{allocations, cell, instructions, nanoseconds, table};
use otel_core::sql::{Analyzer, Dialect};
use sqlparser::dialect::{Dialect as TheirDialect, GenericDialect, dialect_from_str};
use sqlparser::tokenizer::{TokenWithSpan, Tokenizer};

pub(crate) const NAME: &str = "sql";

/// How much text is read in a round. Rounds are short, so that others who use the machine meet few
/// of them; the longest texts have few rounds instead.
const BYTES: usize = 10_000;
const ROUNDS: usize = 101;
const ROUNDS_OF_LONG: usize = 15;
/// How much is read under callgrind.
const BYTES_COUNTED: usize = 5_000;

const MEASURED: &str = "*bench::sql::measured*";

/// The code whose instructions are counted.
#[inline(never)]
fn measured<T>(code: impl FnOnce() -> T) -> T {
    code()
}

/// A text and both who read it.
struct Case {
    text: String,
    analyzer: Analyzer,
    dialect: Box<dyn TheirDialect>,
    /// Kept from call to call, which spares the tokenizer its growth.
    tokens: RefCell<Vec<TokenWithSpan>>,
}

impl Case {
    fn new(dialect: Dialect, text: &str) -> Result<Self> {
        let text = texts::text(text, dialect).with_context(|| format!("no text {text}"))?;
        let theirs = match dialect {
            Dialect::MariaDb => dialect_from_str(Dialect::MySql.to_string()),
            other => dialect_from_str(other.to_string()),
        };
        let dialect_of_theirs = theirs.unwrap_or_else(|| Box::new(GenericDialect));
        let analyzer = Analyzer::new(dialect);
        let case = Self { text, analyzer, dialect: dialect_of_theirs, tokens: RefCell::default() };
        case.tokenize_once();
        if case.tokens.borrow().is_empty() || analyzer.analyze(&case.text).text.is_none() {
            bail!("not read to its end: {dialect}, {:.80}", case.text);
        }
        Ok(case)
    }

    fn analyze(&self, calls: u32) {
        for _ in 0..calls {
            measured(|| drop(black_box(self.analyzer.analyze(black_box(&self.text)))));
        }
    }

    fn tokenize(&self, calls: u32) {
        for _ in 0..calls {
            measured(|| self.tokenize_once());
        }
    }

    fn tokenize_once(&self) {
        let mut tokens = self.tokens.borrow_mut();
        tokens.clear();
        let read = Tokenizer::new(self.dialect.as_ref(), black_box(&self.text))
            // As they stand: it is not asked to undo the quoting.
            .with_unescape(false)
            .tokenize_with_location_into_buf(&mut tokens);
        if read.is_err() {
            tokens.clear();
        }
        black_box(&*tokens);
    }

    /// How many calls read `bytes`.
    fn calls(&self, bytes: usize) -> u32 {
        u32::try_from(bytes / self.text.len().max(1)).unwrap_or_default().max(1)
    }
}

/// Runs under callgrind.
pub(crate) fn child(case: &[&str], calls: u32) -> Result<()> {
    let (who, dialect, text) = match *case {
        [cache::NAME, case] => return cache::child(case, calls),
        [who, dialect, text] => (who, dialect, text),
        _ => bail!("no case {case:?}"),
    };
    let case = Case::new(dialect.parse()?, text)?;
    bench::uncounted(|| match who {
        "ours" => case.analyze(calls),
        _ => case.tokenize(calls),
    });
    Ok(())
}

const HEAD: &str = "ns | ns/byte | instructions/byte | allocations | tokenizer: ns/byte | \
                    instructions/byte | allocations | ratio of ns | of instructions";

/// The cells below `HEAD`.
#[expect(clippy::cast_precision_loss, reason = "no text is that long")]
fn costs(dialect: Dialect, text: &str) -> Result<Vec<String>> {
    let case = Case::new(dialect, text)?;
    let (ours, theirs) = (|calls| case.analyze(calls), |calls| case.tokenize(calls));
    let rounds = if case.text.len() > BYTES { ROUNDS_OF_LONG } else { ROUNDS };
    let times = nanoseconds([&ours, &theirs], rounds, case.calls(BYTES)).map(Some);
    let counted = case.calls(BYTES_COUNTED);
    let dialect = dialect.to_string();
    let [our_count, their_count] = ["ours", "theirs"]
        .map(|who| instructions(&[NAME, who, &dialect, text], Some(MEASURED), counted));
    let counts = [our_count?, their_count?];
    let per_byte = |cost: Option<f64>| cost.map(|cost| cost / case.text.len() as f64);
    let ratio = |[ours, theirs]: [Option<f64>; 2]| {
        cell(ours.zip(theirs).map(|(ours, theirs)| ours / theirs), 2)
    };
    Ok(vec![
        cell(times[0], 0),
        cell(per_byte(times[0]), 2),
        cell(per_byte(counts[0]), 1),
        allocations(|| case.analyze(1)).0.to_string(),
        cell(per_byte(times[1]), 2),
        cell(per_byte(counts[1]), 1),
        allocations(|| case.tokenize(1)).0.to_string(),
        ratio(times),
        ratio(counts),
    ])
}

pub(crate) fn measure() -> Result<()> {
    let row = |words: &[&str], dialect, text| -> Result<Vec<String>> {
        let words = words.iter().map(|word| (*word).to_owned());
        Ok(words.chain(costs(dialect, text)?).collect())
    };
    let beside = "ours beside sqlparser's tokenizer";

    let rows = texts::STATEMENTS.iter().map(|(kind, _)| row(&[kind], Dialect::PostgreSql, kind));
    let title = format!("sql: analysis of {} characters, postgresql, {beside}", texts::SHORT);
    table(&title, &format!("statement | {HEAD}"), &rows.collect::<Result<Vec<_>>>()?);

    let lengths = texts::LENGTHS.iter();
    let cases =
        lengths.flat_map(|(length, _)| Dialect::ALL.iter().map(|&dialect| (*length, dialect)));
    let rows = cases.map(|(length, dialect)| row(&[length, &dialect.to_string()], dialect, length));
    let title = format!("sql: analysis by length and dialect, {beside}");
    table(&title, &format!("length | dialect | {HEAD}"), &rows.collect::<Result<Vec<_>>>()?);

    let dialects = [Dialect::PostgreSql, Dialect::MySql];
    let cases = texts::LONG.iter().flat_map(|text| dialects.map(|dialect| (*text, dialect)));
    let rows = cases.map(|(text, dialect)| row(&[text, &dialect.to_string()], dialect, text));
    let title = format!("sql: analysis of 1 MB, {beside}");
    table(&title, &format!("made of | dialect | {HEAD}"), &rows.collect::<Result<Vec<_>>>()?);

    cache::measure()
}

#[cfg(test)]
mod tests {
    use sqlparser::tokenizer::Token;

    use super::*;

    /// Else the two would not be worth comparing.
    #[test]
    fn both_find_the_same_literals() {
        let statements = texts::STATEMENTS.iter().map(|(kind, _)| *kind);
        let lengths = texts::LENGTHS.iter().map(|(length, _)| *length);
        // A list after `IN` becomes one `?`.
        let long = texts::LONG.into_iter().filter(|name| *name != "IN list");
        let bound = ["SELECT, bound values", "comment", "80 B", "no literals"];
        let marks = |text: &str| text.matches('?').count();
        for name in statements.chain(lengths).chain(long) {
            for &dialect in Dialect::ALL {
                let case = Case::new(dialect, name).unwrap();
                let analyzer = case.analyzer.max_length(usize::MAX);
                let shown = analyzer.analyze(&case.text).text.unwrap();
                let tokens = case.tokens.borrow();
                let literals = tokens.iter().filter(|token| {
                    matches!(token.token, Token::Number(..) | Token::SingleQuotedString(_))
                });
                let replaced = marks(&shown) - marks(&case.text);
                assert_eq!(replaced, literals.count(), "{dialect}: {name}");
                assert_eq!(replaced == 0, bound.contains(&name), "{dialect}: {name}");
            }
        }
    }
}
