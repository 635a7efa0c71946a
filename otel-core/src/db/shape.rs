//! What all calls of one kind have in common, made once and kept: the analysis of the statement,
//! the span's name, the attributes of span and point.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::hash::BuildHasher as _;
use std::ptr;
use std::sync::{Arc, Mutex};

use foldhash::fast::RandomState;
use opentelemetry::{KeyValue, StringValue};

use super::call::{DbServer, Kind, Text};
use crate::attribute as names;
use crate::cache::{Cache, Key, Value};
use crate::options::{Options, QueryText};
use crate::sql::{Analyzer, Literals};

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

    pub(super) fn new(kind: &Kind<'_>, server: &DbServer, options: &Options) -> Self {
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
/// is copied into each span. It ends with no white space, whatever what it is made of ends with.
pub(crate) fn kept(mut name: String) -> Cow<'static, str> {
    name.truncate(name.trim_end().len());
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
    let Some(text) = kind.text.map(Text::as_str) else { return (None, given) };
    let literals = match options.query_text {
        QueryText::Auto if kind.parameterized => Literals::Keep,
        _ => Literals::Replace,
    };
    let analyzer = Analyzer::new(server.known_syntax()).literals(literals);
    let analysis = analyzer.max_length(options.query_text_max_length).analyze(text);
    let shown = match options.query_text {
        QueryText::Off => None,
        QueryText::Verbatim => Some(options.cut(text).into()),
        QueryText::Auto | QueryText::Sanitized => analysis.text,
    };
    let shown = shown.filter(|text| !text.is_empty()).map(shared);
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

/// What was made of the calls of one handle.
pub(super) type Shapes = Cache<KeptKind, Shape>;

/// A [`Kind`] that is kept.
#[derive(Debug)]
pub(super) struct KeptKind {
    /// Its text only if that is static.
    kind: Kind<'static>,
    copy: Option<Box<str>>,
}

impl Kind<'_> {
    fn facts(&self) -> [&Option<Cow<'_, str>>; 5] {
        [&self.namespace, &self.collection, &self.operation, &self.procedure, &self.summary]
    }
}

impl Key for Kind<'_> {
    type Kept = KeptKind;

    /// A text tells nearly all kinds apart; the comparison tells the others.
    fn hash(&self, hasher: &RandomState) -> u64 {
        match self.text {
            Some(Text::Borrowed(text)) => hasher.hash_one(text),
            Some(Text::Static(text)) => hasher.hash_one((text.as_ptr().addr(), text.len())),
            None => hasher.hash_one(self),
        }
    }

    fn lies_at(&self) -> Option<(usize, usize)> {
        match self.text {
            Some(Text::Borrowed(text)) => Some((text.as_ptr().addr(), text.len())),
            _ => None,
        }
    }

    fn is(&self, kept: &KeptKind) -> bool {
        let same_text = match (self.text, kept.kind.text, &kept.copy) {
            (Some(Text::Borrowed(text)), None, Some(copy)) => *text == **copy,
            (Some(Text::Static(text)), Some(Text::Static(kept)), _) => ptr::eq(text, kept),
            (None, None, None) => true,
            _ => false,
        };
        same_text
            && self.parameterized == kept.kind.parameterized
            && self.prefix == kept.kind.prefix
            && self.facts() == kept.kind.facts()
    }

    fn keep(&self) -> KeptKind {
        let owned = |fact: &Option<Cow<'_, str>>| fact.clone().map(|fact| fact.into_owned().into());
        let (text, copy) = match self.text {
            Some(Text::Borrowed(text)) => (None, Some(text.into())),
            Some(Text::Static(text)) => (Some(Text::Static(text)), None),
            None => (None, None),
        };
        let kind = Kind {
            text,
            parameterized: self.parameterized,
            prefix: self.prefix,
            namespace: owned(&self.namespace),
            collection: owned(&self.collection),
            operation: owned(&self.operation),
            procedure: owned(&self.procedure),
            summary: owned(&self.summary),
        };
        KeptKind { kind, copy }
    }

    fn bytes(&self) -> usize {
        let text = self.lies_at().map_or(0, |(_, length)| length);
        self.facts().into_iter().flatten().fold(text, |sum, fact| sum.saturating_add(fact.len()))
    }
}

impl Value for Shape {
    /// At most: values of the server are counted too, although they are shared.
    fn bytes(&self) -> usize {
        let name = match &self.name {
            Cow::Borrowed(_) => 0,
            Cow::Owned(name) => name.capacity(),
        };
        name + bytes_of(&self.attributes)
    }
}

pub(crate) fn bytes_of(attributes: &[KeyValue]) -> usize {
    let values = attributes.iter().map(|attribute| match &attribute.value {
        // With the counts of an `Arc`.
        opentelemetry::Value::String(text) => text.as_str().len() + 2 * size_of::<usize>(),
        _ => 0,
    });
    size_of_val(attributes) + values.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which also shows that the text is not read.
    #[test]
    fn only_the_identity_of_a_static_text_counts() {
        let kind = |text| Kind { text: Some(Text::Static(text)), ..Kind::default() };
        let [one, equal] = ["SELECT 1"; 2].map(|text| &*text.to_owned().leak());
        let kept = kind(one).keep();
        assert!(kind(one).is(&kept));
        assert!(!kind(equal).is(&kept));
        assert!(!kind(&one[..6]).is(&kept));
    }
}
