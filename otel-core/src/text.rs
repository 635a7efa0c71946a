//! Layer `telemetry`: texts that are told again and again, as values that are cloned without
//! copying.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use opentelemetry::{KeyValue, StringValue, Value};

/// A value that is cloned without copying: static or shared.
pub(crate) fn shared(text: impl Into<Cow<'static, str>>) -> StringValue {
    match text.into() {
        Cow::Borrowed(text) => text.into(),
        Cow::Owned(text) => Arc::<str>::from(text).into(),
    }
}

/// A longer fact is none: what systems have names for is shorter, and whoever sends a message does not
/// choose the size of what its receiver tells.
pub(crate) const LONGEST: usize = 1024;

/// A fact, unless it is empty, blank or too long: then it is none.
pub(crate) fn told<'a>(text: impl Into<Cow<'a, str>>) -> Option<Cow<'a, str>> {
    Some(text.into()).filter(|text| text.len() <= LONGEST && !is_blank(text))
}

/// Whether there is nothing in it but white space. Most texts show with their first character that
/// there is more.
pub(crate) fn is_blank(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}

/// Names of spans that are kept for good, at most: a quarter of a megabyte at their longest.
const NAMES: usize = 1024;

/// The name as one that every span can borrow, which spares each of them an allocation. Summaries
/// are few, so they are kept for good; where there are too many, or somebody else is at it, the name
/// is copied into each span. It ends with no white space, whatever what it is made of ends with.
pub(crate) fn kept(mut name: String) -> Cow<'static, str> {
    static KEPT: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    name.truncate(name.trim_end().len());
    let Ok(mut names) = KEPT.try_lock() else { return name.into() };
    if let Some(known) = names.get(name.as_str()) {
        return Cow::Borrowed(known);
    }
    if names.len() >= NAMES || name.len() > 255 {
        return name.into();
    }
    let name: &'static str = Box::leak(name.into_boxed_str());
    names.insert(name);
    Cow::Borrowed(name)
}

/// The bytes that attributes own.
pub(crate) fn bytes_of(attributes: &[KeyValue]) -> usize {
    let values = attributes.iter().map(|attribute| match &attribute.value {
        // With the counts of an `Arc`.
        Value::String(text) => text.as_str().len() + 2 * size_of::<usize>(),
        _ => 0,
    });
    size_of_val(attributes) + values.sum::<usize>()
}
