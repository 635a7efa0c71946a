//! How many bytes are looked at: the analysis is linear, whatever the text tempts it to look for.

use super::dialect::{Dialect, Syntax};
use super::lexer::{Kind, Lexer};
use super::walk::Walker;

/// What a text is made of that opens things, or never ends them.
const PIECES: [&str; 30] = [
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
];

fn steps(text: &str, dialect: Dialect) -> usize {
    let syntax = Syntax::new(dialect);
    let mut lexer = Lexer::new(text, syntax);
    let mut walker = Walker::new(text, syntax);
    loop {
        let kind = lexer.next(0, usize::MAX, || walker.only_a_name());
        let span = lexer.span();
        match kind {
            Kind::End | Kind::Unsafe => return lexer.steps.get(),
            Kind::Word => _ = walker.word(lexer.keyword, span),
            Kind::Symbol(symbol) => _ = walker.symbol(symbol, span),
            Kind::Comment => {}
            _ => _ = walker.value(kind, span),
        }
    }
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
