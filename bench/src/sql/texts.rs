//! The texts that are analysed: what applications and their libraries send, at the lengths that are
//! compared.

use std::fmt::Write as _;

use otel_core::sql::Dialect;

use crate::stub;

/// The length of a short statement.
pub(super) const SHORT: usize = 80;
/// Lengths that are compared: of a statement typed by hand to that of an import.
pub(super) const LENGTHS: [(&str, usize); 6] = [
    ("10 B", 10),
    ("80 B", SHORT),
    ("1 KB", 1_000),
    ("10 KB", 10_000),
    ("100 KB", 100_000),
    ("1 MB", 1_000_000),
];

/// Kinds of short statements.
pub(super) const STATEMENTS: [(&str, &str); 6] = [
    ("SELECT, bound values", stub::TEXT),
    (
        "SELECT, literals",
        "SELECT id, amount FROM orders WHERE customer = 'Ada Lovelace' AND amount > 12.50",
    ),
    ("INSERT", "INSERT INTO orders (id, customer, amount) VALUES (4711, 'Ada Lovelace', 12.5000)"),
    ("UPDATE", "UPDATE orders SET amount = amount + 2.5, note = 'paid in cash' WHERE id = 471142"),
    ("WITH", "WITH o AS (SELECT id FROM orders WHERE amount > 19999.99) SELECT count(*) FROM o"),
    ("comment", "/* controller='orders', action='list_all' */ SELECT id FROM orders WHERE id = $1"),
];
const MARKS: &str =
    "SELECT id, customer, amount, placed FROM orders WHERE customer = ? AND paid <= ?";
const TINY: &str = "SELECT 142";

/// What the longest texts are made of, when they are not rows of literals.
pub(super) const LONG: [&str; 4] = ["one string", "one comment", "IN list", "no literals"];

/// The text of a name, which is a kind of a short statement, a length, or what a long text is made
/// of.
pub(super) fn text(name: &str, dialect: Dialect) -> Option<String> {
    if let Some((_, text)) = STATEMENTS.iter().find(|(kind, _)| *kind == name) {
        return Some((*text).to_owned());
    }
    if let Some((_, length)) = LENGTHS.iter().find(|(label, _)| *label == name) {
        return Some(match *length {
            10 => TINY.to_owned(),
            SHORT if dialect == Dialect::PostgreSql => stub::TEXT.to_owned(),
            SHORT => MARKS.to_owned(),
            length => rows(length),
        });
    }
    let length = 1_000_000;
    match name {
        "one string" => {
            Some(filled("INSERT INTO notes (text) VALUES ('", |_| PROSE.to_owned(), "')", length))
        }
        "one comment" => Some(filled("/* ", |_| PROSE.to_owned(), "*/ SELECT 1", length)),
        "IN list" => {
            let id = |number| format!("{}, ", 100_000 + number);
            Some(filled("SELECT id FROM orders WHERE id IN (", id, "7)", length))
        }
        "no literals" => {
            let column = |number| format!("o.amount_{number} AS total_{number}, ");
            Some(filled("SELECT ", column, "o.id FROM orders AS o WHERE o.id = o.paid", length))
        }
        _ => None,
    }
}

/// Not all of what people write is ASCII.
const PROSE: &str = "Paid in cash at the door; the receipt went to Zoë. ";

/// An import: `INSERT` of many rows.
fn rows(length: usize) -> String {
    let head = "INSERT INTO orders (id, customer, amount, placed, note) VALUES ";
    let row =
        |number| format!("({number}, 'Ada Lovelace', {number}.50, '2026-07-14 09:30:00', NULL), ");
    filled(head, row, "(0, '', 0, '', NULL)", length)
}

/// A text of a head, as many parts as fit, white space, and a tail.
fn filled(head: &str, part: impl Fn(usize) -> String, tail: &str, length: usize) -> String {
    let mut text = head.to_owned();
    for number in 1.. {
        let part = part(number);
        if text.len() + part.len() + tail.len() > length {
            break;
        }
        text.push_str(&part);
    }
    let rest = length.saturating_sub(text.len());
    // Writing to a string does not fail.
    let _ = write!(text, "{tail:>rest$}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_is_as_long_as_it_says() {
        for &dialect in Dialect::ALL {
            for (label, length) in LENGTHS {
                assert_eq!(text(label, dialect).map(|text| text.len()), Some(length), "{label}");
            }
        }
        for (kind, text) in STATEMENTS {
            assert_eq!(text.len(), SHORT, "{kind}");
        }
        for name in LONG {
            let text = text(name, Dialect::Generic);
            assert_eq!(text.map(|text| text.len()), Some(1_000_000), "{name}");
        }
    }
}
