//! Beside the pages: the summary, how it is written, and the names it leaves out.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::dialect::Dialect;

/// The longest summary in characters, as the conventions have it.
const LONGEST: usize = 255;

/// Common table expressions beyond this number are not told from tables: then no table without a
/// schema is named any more.
const EXPRESSIONS: usize = 16;

/// Bytes of a summary that need no allocation.
const INLINE: usize = 64;

/// The value of `db.query.summary`. As most are short, they are kept in place; one of more than 64
/// bytes takes an allocation.
#[derive(Clone)]
pub struct Summary {
    inline: [u8; INLINE],
    length: usize,
    /// The whole, where it does not fit.
    wide: String,
}

impl Deref for Summary {
    type Target = str;

    fn deref(&self) -> &str {
        if !self.wide.is_empty() {
            return &self.wide;
        }
        let bytes = self.inline.get(..self.length).unwrap_or_default();
        // Only whole words are written to it.
        str::from_utf8(bytes).unwrap_or_default()
    }
}

impl AsRef<str> for Summary {
    fn as_ref(&self) -> &str {
        self
    }
}

impl From<Summary> for String {
    fn from(summary: Summary) -> Self {
        (*summary).to_owned()
    }
}

impl From<Summary> for Arc<str> {
    fn from(summary: Summary) -> Self {
        (*summary).into()
    }
}

impl fmt::Debug for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, formatter)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self)
    }
}

impl PartialEq for Summary {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Summary {}

impl Summary {
    const EMPTY: Self = Self { inline: [0; INLINE], length: 0, wide: String::new() };

    fn len(&self) -> usize {
        self.length.max(self.wide.len())
    }

    #[inline]
    fn push(&mut self, text: &str) {
        let end = self.length + text.len();
        match self.inline.get_mut(self.length..end) {
            Some(place) if self.wide.is_empty() => {
                place.copy_from_slice(text.as_bytes());
                self.length = end;
            }
            _ => self.push_wide(text),
        }
    }

    fn push_wide(&mut self, text: &str) {
        if self.wide.is_empty() {
            // As much as it can ever take, so that it does not grow.
            self.wide.reserve(LONGEST * 4);
            let inline = self.inline.get(..self.length).unwrap_or_default();
            self.wide.push_str(str::from_utf8(inline).unwrap_or_default());
        }
        self.wide.push_str(text);
    }

    fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
        self.wide.truncate(length);
    }
}

/// Operations and targets in their order, cut between them.
pub(crate) struct Writer {
    text: Summary,
    /// Where the last target begins, its separator included.
    last: usize,
    /// A `;` has been passed since the last word.
    separate: bool,
    full: bool,
}

impl Writer {
    pub(crate) fn new() -> Self {
        Self { text: Summary::EMPTY, last: 0, separate: false, full: false }
    }

    /// An operation, or a further word of it.
    pub(crate) fn operation(&mut self, word: &str) {
        self.target(word);
    }

    pub(crate) fn target(&mut self, name: &str) {
        let separate = std::mem::take(&mut self.separate);
        self.last = self.text.len();
        match (self.last, separate) {
            (0, _) => {}
            (_, true) => self.append("; "),
            (_, false) => self.append(" "),
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

    /// How long it is by now, for `retract`.
    pub(crate) fn length(&self) -> usize {
        self.text.len()
    }

    /// Takes back what has been written since it was so long.
    pub(crate) fn retract(&mut self, length: usize) {
        if length < self.text.len() {
            self.text.truncate(length);
            self.full = false;
        }
    }

    /// Whether a name is all that has been written since it was so long, whatever its quotes.
    pub(crate) fn is_all(&self, length: usize, name: &str) -> bool {
        let written = self.text.get(length..).map(str::trim_ascii_start);
        written.is_some_and(|written| unquoted(written).eq_ignore_ascii_case(unquoted(name)))
    }

    /// The end of a statement.
    pub(crate) fn separate(&mut self) {
        self.separate = true;
    }

    pub(crate) fn finish(self) -> Option<Summary> {
        Some(self.text).filter(|text| text.length > 0 || !text.wide.is_empty())
    }

    #[inline]
    fn append(&mut self, text: &str) {
        #[cfg(test)]
        super::steps::count(text.len());
        // Characters are no more than bytes: most summaries need not be counted.
        if self.text.len() + text.len() > LONGEST && self.is_too_long(text) {
            self.full = true;
            self.text.truncate(self.last);
        } else if !self.full {
            self.text.push(text);
        }
    }

    #[cold]
    fn is_too_long(&self, more: &str) -> bool {
        !self.full && self.text.chars().chain(more.chars()).count() > LONGEST
    }
}

/// The common table expressions of a statement: names that are no tables.
pub(crate) struct Expressions<'a> {
    names: [&'a str; EXPRESSIONS],
    count: usize,
    /// How deep in parentheses each was defined.
    depths: [u8; EXPRESSIONS],
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
            names: [""; EXPRESSIONS],
            count: 0,
            depths: [0; EXPRESSIONS],
            visible: 0,
            recursive: false,
            // `RECURSIVE` is optional in SQLite, and a name left out is no harm.
            always_recursive: matches!(dialect, Dialect::Sqlite | Dialect::Generic),
            overflow: false,
        }
    }

    pub(crate) fn clear(&mut self) {
        self.count = 0;
        self.visible = 0;
        self.recursive = false;
        self.overflow = false;
    }

    pub(crate) fn set_recursive(&mut self) {
        self.recursive = true;
    }

    /// Returns the number, counted from 1, under which to show it once its body is over.
    pub(crate) fn add(&mut self, name: &'a str, depth: usize) -> u8 {
        let places = self.names.get_mut(self.count).zip(self.depths.get_mut(self.count));
        let Some((place, known_depth)) = places else {
            self.overflow = true;
            return 0;
        };
        *place = unquoted(name);
        *known_depth = u8::try_from(depth).unwrap_or(u8::MAX);
        self.count += 1;
        let number = u8::try_from(self.count).unwrap_or(0);
        if self.recursive || self.always_recursive {
            self.show(number);
        }
        number
    }

    pub(crate) fn show(&mut self, number: u8) {
        self.visible |= 1 << number;
    }

    /// Forgets those defined deeper than this.
    #[inline]
    pub(crate) fn leave(&mut self, depth: usize) {
        while let Some(last) = self.count.checked_sub(1)
            && self.depths.get(last).is_some_and(|&known| usize::from(known) > depth)
        {
            self.count = last;
            self.visible &= !(2 << last);
        }
    }

    /// Whether a target without a schema is left out.
    pub(crate) fn hide(&self, target: &str) -> bool {
        // Bit 0 is of what was not kept.
        if self.visible <= 1 {
            return self.overflow;
        }
        let target = unquoted(target);
        let mut names = self.names.iter().take(self.count).enumerate();
        self.overflow
            || names.any(|(index, name)| {
                self.visible & (2 << index) != 0 && name.eq_ignore_ascii_case(target)
            })
    }
}

/// Without regard to quotes: `"a"` and `a` name the same, or are close enough to be left out.
pub(super) fn unquoted(name: &str) -> &str {
    match name.as_bytes().first() {
        Some(b'"' | b'\'' | b'`' | b'[') => name.trim_matches(['"', '\'', '`', '[', ']']),
        _ => name,
    }
}
