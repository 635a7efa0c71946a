//! The summary while it is written, and the names it leaves out.

use super::dialect::Dialect;

/// The longest summary in characters, as the conventions have it.
const LONGEST: usize = 255;

/// Common table expressions beyond this number are not told from tables: then no table without a
/// schema is named any more.
const EXPRESSIONS: usize = 16;

/// The number of an expression that was not kept.
pub(crate) const NO_EXPRESSION: u8 = u8::MAX;

/// Operations and targets in their order, cut between them.
#[derive(Default)]
pub(crate) struct Summary {
    text: String,
    /// Where the last target begins, its separator included.
    last: usize,
    /// A `;` has been passed since the last word.
    separate: bool,
    full: bool,
}

impl Summary {
    /// An operation, or a further word of it.
    pub(crate) fn operation(&mut self, word: &str) {
        self.target(word);
    }

    pub(crate) fn target(&mut self, name: &str) {
        let separate = std::mem::take(&mut self.separate);
        self.last = self.text.len();
        match (self.text.is_empty(), separate) {
            (true, _) => self.text = String::with_capacity(64),
            (false, true) => self.append("; "),
            (false, false) => self.append(" "),
        }
        self.append(name);
    }

    /// A further part of the last target.
    pub(crate) fn part(&mut self, dots: usize, name: &str) {
        for _ in 0..dots {
            self.append(".");
        }
        self.append(name);
    }

    /// The end of a statement.
    pub(crate) fn separate(&mut self) {
        self.separate = true;
    }

    pub(crate) fn finish(self) -> Option<String> {
        Some(self.text).filter(|text| !text.is_empty())
    }

    fn append(&mut self, text: &str) {
        // Characters are no more than bytes: most summaries need not be counted.
        let too_long = self.text.len() + text.len() > LONGEST
            && self.text.chars().chain(text.chars()).count() > LONGEST;
        if too_long && !self.full {
            self.full = true;
            self.text.truncate(self.last);
        } else if !self.full {
            self.text.push_str(text);
        }
    }
}

/// The common table expressions of a statement: names that are no tables.
pub(crate) struct Expressions<'a> {
    names: Vec<&'a str>,
    /// One bit for each that can be referred to by now.
    visible: u32,
    /// Whether an expression can refer to itself.
    recursive: bool,
    always_recursive: bool,
    /// There were more than are kept.
    overflow: bool,
}

impl<'a> Expressions<'a> {
    pub(crate) fn new(dialect: Dialect) -> Self {
        Expressions {
            names: Vec::new(),
            visible: 0,
            recursive: false,
            // `RECURSIVE` is optional in SQLite, and a name left out is no harm.
            always_recursive: matches!(dialect, Dialect::Sqlite | Dialect::Generic),
            overflow: false,
        }
    }

    pub(crate) fn clear(&mut self) {
        self.names.clear();
        self.visible = 0;
        self.recursive = false;
        self.overflow = false;
    }

    pub(crate) fn set_recursive(&mut self) {
        self.recursive = true;
    }

    /// Returns the number under which to show it once its body is over.
    pub(crate) fn add(&mut self, name: &'a str) -> u8 {
        let number = self.names.len();
        if number == EXPRESSIONS {
            self.overflow = true;
            return NO_EXPRESSION;
        }
        self.names.push(unquoted(name));
        let number = u8::try_from(number).unwrap_or(NO_EXPRESSION);
        if self.recursive || self.always_recursive {
            self.show(number);
        }
        number
    }

    pub(crate) fn show(&mut self, number: u8) {
        if number != NO_EXPRESSION {
            self.visible |= 1 << number;
        }
    }

    /// Whether a target without a schema is left out.
    pub(crate) fn hide(&self, target: &str) -> bool {
        if self.visible == 0 {
            return self.overflow;
        }
        let target = unquoted(target);
        let mut names = self.names.iter().enumerate();
        self.overflow
            || names.any(|(number, name)| {
                self.visible & (1 << number) != 0 && name.eq_ignore_ascii_case(target)
            })
    }
}

/// Without regard to quotes: `"a"` and `a` name the same, or are close enough to be left out.
pub(super) fn unquoted(name: &str) -> &str {
    name.trim_matches(['"', '\'', '`', '[', ']'])
}
