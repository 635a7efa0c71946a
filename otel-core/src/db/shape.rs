//! What all calls of one kind have in common, made once and kept: the analysis of the statement,
//! the span's name, the attributes of span and point.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::hash::BuildHasher as _;
use std::sync::{Arc, Mutex, OnceLock, RwLock};

use foldhash::fast::RandomState;
use opentelemetry::{KeyValue, StringValue};

use super::call::{DbServer, Kind};
use crate::attribute as names;
use crate::options::{Options, QueryText};
use crate::sql::{Analyzer, Literals};

/// Sets of places; with the places in each, the number of kinds that are remembered at most.
const SETS: usize = 128;
const WAYS: usize = 4;
/// Calls with a longer statement are shaped each time: they are rare, slow by themselves, and would
/// make the bound on memory (places times about three times this) meaningless.
const LONGEST: usize = 4096;

/// What the calls of one kind have in common.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(super) name: Cow<'static, str>,
    /// The attributes of a point, then those that only spans carry.
    attributes: Box<[KeyValue]>,
    on_points: usize,
}

impl Shape {
    pub(super) fn on_span(&self) -> &[KeyValue] {
        &self.attributes
    }

    pub(super) fn on_points(&self) -> &[KeyValue] {
        self.attributes.get(..self.on_points).unwrap_or_default()
    }

    fn new(kind: &Kind<'_>, server: &DbServer, options: &Options) -> Self {
        let (text, summary) = analyzed(kind, server, options);
        let word = |known: Option<StringValue>| match (kind.prefix, known) {
            (Some(word), Some(known)) => Some(shared(format!("{word} {known}"))),
            (_, known) => known,
        };
        let summary = word(summary);
        let operation = word(kind.operation.as_deref().map(shared)).or_else(|| {
            let nothing_else = summary.is_none();
            kind.prefix.filter(|_| nothing_else).map(StringValue::from)
        });
        let namespace =
            kind.namespace.as_deref().map(shared).or_else(|| server.known_namespace().cloned());
        let name =
            span_name(kind, server, summary.as_ref(), operation.as_ref(), namespace.as_ref());
        let mut attributes = Vec::new();
        let mut put = |name: &'static str, value: Option<StringValue>| {
            attributes.extend(value.map(|value| KeyValue::new(name, value)));
        };
        put(names::DB_SYSTEM_NAME, Some(server.system_value().clone()));
        put(names::DB_NAMESPACE, namespace);
        put(names::DB_COLLECTION_NAME, kind.collection.as_deref().map(shared));
        put(names::DB_OPERATION_NAME, operation);
        put(names::DB_STORED_PROCEDURE_NAME, kind.procedure.as_deref().map(shared));
        put(names::DB_QUERY_SUMMARY, summary);
        put(names::SERVER_ADDRESS, server.known_address().cloned());
        if let Some(port) = server.told_port() {
            attributes.push(KeyValue::new(names::SERVER_PORT, i64::from(port)));
        }
        let on_points = attributes.len();
        attributes.extend(text.map(|text| KeyValue::new(names::DB_QUERY_TEXT, text)));
        Self { name: kept(name), attributes: attributes.into(), on_points }
    }
}

/// Names of spans that are kept for good, at most: a quarter of a megabyte at their longest.
const NAMES: usize = 1024;

/// The name as one that every span can borrow, which spares each of them an allocation. Summaries
/// are few, so they are kept for good; where there are too many, or somebody else is at it, the name
/// is copied into each span.
fn kept(name: String) -> Cow<'static, str> {
    static KEPT: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
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

/// A value that is cloned without copying.
fn shared(text: impl Into<Arc<str>>) -> StringValue {
    StringValue::from(text.into())
}

/// The text and the summary that are shown of a call.
fn analyzed(
    kind: &Kind<'_>,
    server: &DbServer,
    options: &Options,
) -> (Option<StringValue>, Option<StringValue>) {
    let given = kind.summary.as_deref().map(shared);
    let Some(text) = kind.text else { return (None, given) };
    let literals = match options.query_text {
        QueryText::Auto if kind.parameterized => Literals::Keep,
        _ => Literals::Replace,
    };
    let analysis = Analyzer::new(server.known_syntax()).literals(literals).analyze(text);
    let shown = match options.query_text {
        QueryText::Off => None,
        QueryText::Verbatim => Some(shared(text)),
        QueryText::Auto | QueryText::Sanitized => analysis.text.map(shared),
    };
    let hooked = options.summarize(text).map(shared);
    (shown, hooked.or(given).or_else(|| analysis.summary.map(shared)))
}

/// The first of: summary; operation and target; target; system.
///
/// Target is the first of: collection, stored procedure, namespace, `address:port`.
fn span_name(
    kind: &Kind<'_>,
    server: &DbServer,
    summary: Option<&StringValue>,
    operation: Option<&StringValue>,
    namespace: Option<&StringValue>,
) -> String {
    if let Some(summary) = summary {
        return summary.to_string();
    }
    let target = kind
        .collection
        .as_deref()
        .or(kind.procedure.as_deref())
        .or(namespace.map(StringValue::as_str))
        .map(Cow::Borrowed)
        .or_else(|| server.address_and_port().map(Cow::Owned));
    match (operation, target) {
        (Some(operation), Some(target)) => format!("{operation} {target}"),
        (Some(operation), None) => operation.to_string(),
        (None, Some(target)) => target.into_owned(),
        (None, None) => server.system().to_owned(),
    }
}

struct Entry {
    hash: u64,
    kind: Kind<'static>,
    text: Option<Box<str>>,
    shape: Arc<Shape>,
}

impl Entry {
    fn is_of(&self, hash: u64, kind: &Kind<'_>) -> bool {
        self.hash == hash
            && self.text.as_deref() == kind.text
            && self.kind.equals_but_for_text(kind)
    }
}

/// The places for kinds whose hashes have the same remainder.
type Set = RwLock<[Option<Box<Entry>>; WAYS]>;

/// A cache of a fixed number of places, made at its first use. A kind whose places are all taken
/// replaces one of them. Bounded without bookkeeping, and nobody ever waits: a set of places that is
/// being written is passed by.
#[derive(Default)]
pub(super) struct Shapes {
    sets: OnceLock<Box<[Set]>>,
    hasher: RandomState,
}

impl Shapes {
    pub(super) fn of(&self, kind: &Kind<'_>, server: &DbServer, options: &Options) -> Arc<Shape> {
        if kind.text.is_some_and(|text| text.len() > LONGEST) {
            return Arc::new(Shape::new(kind, server, options));
        }
        // A text tells nearly all kinds apart; the comparison tells the others.
        let hash =
            kind.text.map_or_else(|| self.hasher.hash_one(kind), |t| self.hasher.hash_one(t));
        let set = self.set(hash);
        if let Some(set) = set.and_then(|set| set.try_read().ok()) {
            let known = set.iter().flatten().find(|entry| entry.is_of(hash, kind));
            if let Some(known) = known {
                return Arc::clone(&known.shape);
            }
        }
        let shape = Arc::new(Shape::new(kind, server, options));
        let entry = Entry {
            hash,
            kind: kind.owned_but_for_text(),
            text: kind.text.map(Box::from),
            shape: Arc::clone(&shape),
        };
        // What is replaced is dropped after the lock is released.
        let _replaced = set.and_then(|set| set.try_write().ok()).and_then(|mut set| {
            let free = set.iter().position(Option::is_none);
            // Bits of the hash that did not choose the set.
            let place = free.unwrap_or((hash >> 32) as usize % WAYS);
            set.get_mut(place)?.replace(Box::new(entry))
        });
        shape
    }

    fn set(&self, hash: u64) -> Option<&Set> {
        let sets = self.sets.get_or_init(|| (0..SETS).map(|_| Set::default()).collect());
        sets.get(usize::try_from(hash % SETS as u64).ok()?)
    }
}
