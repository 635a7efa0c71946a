//! Beside the pages: how many bytes are looked at: the analysis is linear, whatever the text tempts
//! it to look for.

use std::cell::Cell;

use super::Analyzer;
use super::dialect::Dialect;

thread_local! {
    static STEPS: Cell<usize> = const { Cell::new(0) };
}

/// Takes note of bytes that are looked at, or copied.
pub(super) fn count(bytes: usize) {
    STEPS.with(|steps| steps.update(|steps| steps + bytes));
}

/// What a text is made of that opens things, or never ends them.
const PIECES: [&str; 40] = [
    "'''' ",
    "\"\"\"a",
    "UPDATE t SET \"a\" ",
    "SET a = b ,",
    "FROM t, ",
    "EXPLAIN a\t",
    "'",
    "\"",
    "`",
    "[",
    "[a]",
    "[(]",
    "$a$",
    "$a$b$a$",
    "/*",
    "--",
    "-- \n",
    "(",
    ")",
    "\\",
    "$",
    "a.",
    "IN (1,",
    "'a",
    "E'",
    ":",
    "?",
    "1e",
    "/*!",
    "\"\".",
    "{",
    ";",
    ",",
    "$a(",
    "a-",
    "f47ac10b-",
    "f47ac10b-58cc-4372-a567-",
    "a PASSWORD 'b' ",
    "UPDATE only ",
    "SET a = b FROM c d, ",
];

fn steps(text: &str, dialect: Dialect) -> usize {
    STEPS.set(0);
    Analyzer::new(dialect).max_length(usize::MAX).analyze(text);
    STEPS.get()
}

#[test]
fn steps_grow_as_the_text_does() {
    for piece in PIECES {
        for &dialect in Dialect::ALL {
            let short = steps(&piece.repeat(1_000), dialect);
            let long = steps(&piece.repeat(64_000), dialect);
            assert!(long <= 65 * short, "{piece} {dialect}: {short}, {long}");
            assert!(long <= 16 * 64_000 * piece.len(), "{piece} {dialect}: {long}");
        }
    }
}
