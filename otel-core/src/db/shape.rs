//! Layer `db`: what all calls of one kind have in common, made once and kept: the analysis of the
//! statement, the span's name, the attributes of span and point.

use std::borrow::Cow;
use std::hash::{BuildHasher as _, Hasher as _};
use std::ops::Deref;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use foldhash::fast::RandomState;
use opentelemetry::{KeyValue, StringValue};

use super::call::{DbServer, Kind, Text};
use crate::attribute as names;
use crate::cache::{Cache, Key, Value};
use crate::options::{Options, QueryText};
use crate::sql::{Analyzer, Literals};
use crate::text::{bytes_of, kept};

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
        let number = |name: &'static str, port: Option<u16>| {
            port.map(|port| KeyValue::new(name, i64::from(port)))
        };
        attributes.extend(number(names::SERVER_PORT, server.told_port()));
        if let Some((address, port)) = server.known_peer() {
            attributes.push(KeyValue::new(names::NETWORK_PEER_ADDRESS, address.clone()));
            attributes.extend(number(names::NETWORK_PEER_PORT, *port));
        }
        let on_points = attributes.len();
        attributes.extend(text.map(|text| KeyValue::new(names::DB_QUERY_TEXT, text)));
        Self { name: kept(name), attributes: attributes.into(), on_points }
    }
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
/// Target is the first of: collection, stored procedure, namespace, `address:port`; of Redis, whose
/// page shows commands alone, of the first two.
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
    let is_named = server.system() != "redis";
    let target = kind
        .collection
        .as_deref()
        .or(kind.procedure.as_deref())
        .or(namespace.filter(|_| is_named).map(StringValue::as_str))
        .map(Cow::Borrowed)
        .or_else(|| server.address_and_port().filter(|_| is_named).map(Cow::Owned));
    match (operation, target) {
        (Some(operation), Some(target)) => format!("{operation} {target}"),
        (Some(operation), None) => operation.to_string(),
        (None, Some(target)) => target.into_owned(),
        (None, None) => server.system().to_owned(),
    }
}

/// What was made of the calls of one client, and its servers counted.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    cache: Cache<KeptKind, Shape>,
    servers: AtomicU32,
}

impl Deref for Shapes {
    type Target = Cache<KeptKind, Shape>;

    fn deref(&self) -> &Self::Target {
        &self.cache
    }
}

impl Shapes {
    pub(super) const BOUND: usize = Cache::<KeptKind, Shape>::BOUND;

    /// The number of another server; the first one is 0.
    pub(super) fn next_server(&self) -> u32 {
        self.servers.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }
}

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

    /// A text tells nearly all kinds apart, and without one what is told; the comparison tells the
    /// others.
    fn hash(&self, hasher: &RandomState) -> u64 {
        let hash = match self.text {
            Some(Text::Borrowed(text)) => hasher.hash_one(text),
            Some(Text::Static(text)) => hasher.hash_one((text.as_ptr().addr(), text.len())),
            None => {
                let mut state = hasher.build_hasher();
                state.write_usize(self.prefix.map_or(0, str::len));
                let facts = self.facts().into_iter().flatten();
                facts.for_each(|fact| state.write(fact.as_bytes()));
                state.finish()
            }
        };
        // Two servers are two kinds; of most clients there is but one.
        hash.wrapping_add(u64::from(self.server).wrapping_mul(0x9e37_79b9_7f4a_7c15))
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
            && self.server == kept.kind.server
            && self.parameterized == kept.kind.parameterized
            && self.prefix == kept.kind.prefix
            && self.namespace.as_deref() == kept.kind.namespace.as_deref()
            && self.collection.as_deref() == kept.kind.collection.as_deref()
            && self.operation.as_deref() == kept.kind.operation.as_deref()
            && self.procedure.as_deref() == kept.kind.procedure.as_deref()
            && self.summary.as_deref() == kept.kind.summary.as_deref()
    }

    fn keep(&self) -> KeptKind {
        let owned = |fact: &Option<Cow<'_, str>>| fact.clone().map(|fact| fact.into_owned().into());
        let (text, copy) = match self.text {
            Some(Text::Borrowed(text)) => (None, Some(text.into())),
            Some(Text::Static(text)) => (Some(Text::Static(text)), None),
            None => (None, None),
        };
        let kind = Kind {
            server: self.server,
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
