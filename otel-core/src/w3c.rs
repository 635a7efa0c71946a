//! Beside the pages: what a propagator gets to see of the headers of the W3C, and what is written
//! of what it makes: whichever it is, a header that is broken is as if it were not there.
//!
//! The application chooses the propagator, and the official ones take malformed ids and lists for
//! valid: see RATIONALE.md.
//!
//! Source: <https://www.w3.org/TR/trace-context-2/> and <https://www.w3.org/TR/baggage/>.

use std::cell::OnceCell;
use std::fmt::Write as _;

use opentelemetry::propagation::{Extractor, Injector};

const PARENT: &str = "traceparent";
const STATE: &str = "tracestate";
const BAGGAGE: &str = "baggage";

/// A carrier as it is read.
pub(crate) struct Read<'c> {
    carrier: &'c dyn Extractor,
    /// Where it has to be in other words.
    baggage: OnceCell<String>,
}

impl<'c> Read<'c> {
    pub(crate) fn new(carrier: &'c dyn Extractor) -> Self {
        Self { carrier, baggage: OnceCell::new() }
    }
}

impl Extractor for Read<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        let value = self.carrier.get(name)?;
        match name {
            PARENT => Some(value).filter(|value| is_parent(value)),
            STATE => Some(value).filter(|value| is_state(value)),
            // To a reader of the format both are the same, but some cut a value at this sign.
            BAGGAGE if equals_in_values(value).next().is_some() => {
                Some(self.baggage.get_or_init(|| encoded(value, equals_in_values(value))))
            }
            _ => Some(value),
        }
    }

    fn keys(&self) -> Vec<&str> {
        self.carrier.keys()
    }

    fn get_all(&self, name: &str) -> Option<Vec<&str>> {
        match name {
            PARENT | STATE | BAGGAGE => Some(vec![self.get(name)?]),
            _ => self.carrier.get_all(name),
        }
    }
}

/// A carrier as it is written.
pub(crate) struct Written<'c> {
    carrier: &'c mut dyn Injector,
    /// Whether a parent was written, and no state with it.
    lacks_state: bool,
}

impl<'c> Written<'c> {
    pub(crate) fn new(carrier: &'c mut dyn Injector) -> Self {
        Self { carrier, lacks_state: false }
    }

    /// A state that was there belongs to a parent that is there no more.
    pub(crate) fn finish(self) {
        if self.lacks_state {
            self.carrier.set(STATE, String::new());
        }
    }
}

impl Injector for Written<'_> {
    fn set(&mut self, name: &str, mut value: String) {
        match name {
            PARENT => self.lacks_state = true,
            STATE => {
                self.lacks_state = false;
                if !is_state(&value) {
                    value.clear();
                }
            }
            BAGGAGE if odd_bytes(&value).next().is_some() => {
                value = encoded(&value, odd_bytes(&value));
            }
            _ => {}
        }
        self.carrier.set(name, value);
    }

    fn reserve(&mut self, additional: usize) {
        self.carrier.reserve(additional);
    }
}

/// Whether a value that stands under this name, without a parent beside it, stays: the application's
/// baggage, or something else that it calls so. A list of states belongs to a parent, and what should
/// be a parent is one that broke.
pub(crate) fn is_kept(name: &str, value: &str) -> bool {
    !value.trim_ascii().is_empty() && (name == BAGGAGE || name == STATE && !is_state(value))
}

/// `{version}-{trace}-{span}-{flags}`. A version of the future may have more behind it.
fn is_parent(header: &str) -> bool {
    let Some((known, more)) = trimmed(header.as_bytes()).split_first_chunk::<55>() else {
        return false;
    };
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    // All but the dashes. Of bytes, so that many are counted at once.
    known.iter().map(|byte| u8::from(is_digit(byte))).sum::<u8>() == 2 + 32 + 16 + 2
        && [known[2], known[35], known[52]] == *b"---"
        && known[3..35] != [b'0'; 32]
        && known[36..52] != [b'0'; 16]
        && !known.starts_with(b"ff")
        && (more.is_empty() || more.starts_with(b"-") && !known.starts_with(b"00"))
}

/// A list of at most 32 members, some of which may be empty.
fn is_state(list: &str) -> bool {
    let members = list.as_bytes().split(|byte| *byte == b',').map(trimmed);
    let mut members = members.filter(|member| !member.is_empty());
    members.by_ref().take(32).all(is_member) && members.next().is_none()
}

fn is_member(member: &[u8]) -> bool {
    let in_key =
        |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@');
    let in_value = |byte| matches!(byte, b' '..=b'~') && byte != b'=';
    let Some(length) = member.iter().position(|byte| !in_key(*byte)) else { return false };
    let (key, rest) = member.split_at(length);
    let ([first, ..], [b'=', value @ ..]) = (key, rest) else { return false };
    first.is_ascii_alphanumeric()
        && key.len() <= 256
        && (1..=256).contains(&value.len())
        && value.iter().all(|byte| in_value(*byte))
}

/// Without the white space around it.
fn trimmed(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// The `=` that are part of a value, which may have any number of them.
fn equals_in_values(baggage: &str) -> impl Iterator<Item = (usize, u8)> + '_ {
    let (mut in_value, mut in_properties) = (false, false);
    baggage.bytes().enumerate().filter(move |(_, byte)| {
        match byte {
            b',' => (in_value, in_properties) = (false, false),
            b';' => in_properties = true,
            b'=' => return std::mem::replace(&mut in_value, true) && !in_properties,
            _ => {}
        }
        false
    })
}

/// What has a place neither in a list of members nor in the white space around them.
fn odd_bytes(baggage: &str) -> impl Iterator<Item = (usize, u8)> + '_ {
    let has_a_place = |byte| matches!(byte, b' '..=b'~' | b'\t') && byte != b'"' && byte != b'\\';
    baggage.bytes().enumerate().filter(move |(_, byte)| !has_a_place(*byte))
}

/// A text with these of its bytes percent-encoded.
fn encoded(text: &str, bytes: impl Iterator<Item = (usize, u8)>) -> String {
    let mut encoded = String::with_capacity(text.len() + 16);
    let mut done = 0;
    for (at, byte) in bytes {
        // Nothing between two bytes of one character, all of which are encoded.
        encoded.push_str(text.get(done..at).unwrap_or_default());
        // Writing to a `String` cannot fail.
        let _ = write!(encoded, "%{byte:02X}");
        done = at + 1;
    }
    encoded + text.get(done..).unwrap_or_default()
}
