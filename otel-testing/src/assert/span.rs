//! What is expected of one span.

use std::borrow::Cow;

use opentelemetry::trace::{SpanKind, Status};
use opentelemetry::{Key, KeyValue, Value};
use opentelemetry_sdk::trace::SpanData;

use super::reference::{Known, SpanReference, show_reference};
use crate::attribute::{Attribute, ExpectedAttributes};

/// A span that is expected. Until told otherwise it is a bare one: internal, a root, status unset,
/// no attributes, links or events. Its scope is looked at only if told.
pub fn span(name: impl Into<Cow<'static, str>>) -> ExpectedSpan {
    ExpectedSpan {
        name: name.into(),
        kind: SpanKind::Internal,
        parent: None,
        status: ExpectedStatus::Exactly(Status::Unset),
        attributes: ExpectedAttributes::default(),
        links: Vec::new(),
        events: Vec::new(),
        scope: None,
    }
}

/// What is expected of one span; made by [`span`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ExpectedSpan {
    name: Cow<'static, str>,
    kind: SpanKind,
    parent: Option<SpanReference>,
    status: ExpectedStatus,
    attributes: ExpectedAttributes,
    links: Vec<(SpanReference, ExpectedAttributes)>,
    events: Vec<Cow<'static, str>>,
    scope: Option<(Cow<'static, str>, Option<Cow<'static, str>>)>,
}

#[derive(Clone, Debug)]
enum ExpectedStatus {
    Exactly(Status),
    AnyError,
}

impl ExpectedSpan {
    /// Expects this kind.
    pub fn kind(mut self, kind: SpanKind) -> Self {
        self.kind = kind;
        self
    }

    /// Expects the kind CLIENT.
    pub fn client(self) -> Self {
        self.kind(SpanKind::Client)
    }

    /// Expects the kind CONSUMER.
    pub fn consumer(self) -> Self {
        self.kind(SpanKind::Consumer)
    }

    /// Expects the kind INTERNAL, as without a word.
    pub fn internal(self) -> Self {
        self.kind(SpanKind::Internal)
    }

    /// Expects the kind PRODUCER.
    pub fn producer(self) -> Self {
        self.kind(SpanKind::Producer)
    }

    /// Expects the kind SERVER.
    pub fn server(self) -> Self {
        self.kind(SpanKind::Server)
    }

    /// Expects no parent, as without a word.
    pub fn root(mut self) -> Self {
        self.parent = None;
        self
    }

    /// Expects this parent.
    pub fn child_of(mut self, parent: impl Into<SpanReference>) -> Self {
        self.parent = Some(parent.into());
        self
    }

    /// Expects this status.
    pub fn status(mut self, status: Status) -> Self {
        self.status = ExpectedStatus::Exactly(status);
        self
    }

    /// Expects the status Error with exactly this description, which may be empty.
    pub fn error(self, description: impl Into<Cow<'static, str>>) -> Self {
        self.status(Status::error(description))
    }

    /// Expects the status Error, whatever its description.
    pub fn any_error(mut self) -> Self {
        self.status = ExpectedStatus::AnyError;
        self
    }

    /// Expects one more attribute, or another value of one.
    pub fn attribute(mut self, key: impl Into<Key>, value: impl Into<Value>) -> Self {
        self.attributes.set(key.into(), Some(value.into()));
        self
    }

    /// Expects these attributes as well.
    pub fn attributes<A: Into<Attribute>>(
        mut self,
        attributes: impl IntoIterator<Item = A>,
    ) -> Self {
        self.attributes.extend(attributes);
        self
    }

    /// Expects one more attribute, of whatever value.
    pub fn any_attribute(mut self, key: impl Into<Key>) -> Self {
        self.attributes.set(key.into(), None);
        self
    }

    /// Expects an attribute no more.
    pub fn without_attribute(mut self, key: &str) -> Self {
        self.attributes.remove(key);
        self
    }

    /// Expects one more link, without attributes.
    pub fn link(self, to: impl Into<SpanReference>) -> Self {
        self.link_with(to, [] as [KeyValue; 0])
    }

    /// Expects these links as well, without attributes, in this order.
    pub fn links<R: Into<SpanReference>>(self, to: impl IntoIterator<Item = R>) -> Self {
        to.into_iter().fold(self, ExpectedSpan::link)
    }

    /// Expects one more link, with exactly these attributes.
    pub fn link_with<A: Into<Attribute>>(
        mut self,
        to: impl Into<SpanReference>,
        attributes: impl IntoIterator<Item = A>,
    ) -> Self {
        let mut expected = ExpectedAttributes::default();
        expected.extend(attributes);
        self.links.push((to.into(), expected));
        self
    }

    /// Expects one more event of this name.
    pub fn event(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.events.push(name.into());
        self
    }

    /// Expects this instrumentation scope, of any version.
    pub fn scope(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.scope = Some((name.into(), None));
        self
    }

    /// Expects this instrumentation scope.
    pub fn scope_version(
        mut self,
        name: impl Into<Cow<'static, str>>,
        version: impl Into<Cow<'static, str>>,
    ) -> Self {
        self.scope = Some((name.into(), Some(version.into())));
        self
    }

    /// Whether this attribute is among the expected ones.
    pub(crate) fn allows(&self, attribute: &KeyValue) -> bool {
        self.attributes.allow(attribute)
    }

    pub(super) fn has_name(&self, name: &str) -> bool {
        self.name == name
    }

    /// A cheap question before that for all differences.
    pub(super) fn may_be(&self, span: &SpanData, known: &Known) -> bool {
        self.has_name(&span.name) && known.is_parent(self.parent.as_ref(), span)
    }

    pub(super) fn title(&self) -> String {
        format!("{} ({})", self.name, show_kind(&self.kind))
    }

    /// One line per difference.
    pub(super) fn differences(&self, span: &SpanData, known: &Known) -> Vec<String> {
        let mut lines = Vec::new();
        let mut compare = |what: &str, expected: String, captured: String| {
            if expected != captured {
                lines.push(format!("{what}: expected {expected}, captured {captured}"));
            }
        };
        compare("name", format!("{:?}", self.name), format!("{:?}", span.name));
        compare("kind", show_kind(&self.kind), show_kind(&span.span_kind));
        match &self.status {
            ExpectedStatus::Exactly(status) => {
                compare("status", show_status(status), show_status(&span.status));
            }
            ExpectedStatus::AnyError if matches!(span.status, Status::Error { .. }) => {}
            ExpectedStatus::AnyError => {
                compare("status", "an error".to_owned(), show_status(&span.status));
            }
        }
        if !known.is_parent(self.parent.as_ref(), span) {
            let expected = self.parent.as_ref().map_or("none (a root)".to_owned(), show_reference);
            compare("parent", expected, known.show_parent(span));
        }
        let events: Vec<_> = span.events.iter().map(|event| &event.name).collect();
        compare("events", format!("{:?}", self.events), format!("{events:?}"));
        if let Some((name, version)) = &self.scope {
            let scope = &span.instrumentation_scope;
            compare("scope", name.to_string(), scope.name().to_owned());
            if let Some(version) = version {
                let captured = scope.version().unwrap_or("none");
                compare("scope version", version.to_string(), captured.to_owned());
            }
        }
        lines.extend(self.attributes.differences(&span.attributes));
        lines.extend(self.link_differences(span, known));
        lines
    }

    fn link_differences(&self, span: &SpanData, known: &Known) -> Vec<String> {
        let mut lines = Vec::new();
        for index in 0..self.links.len().max(span.links.len()) {
            let number = index + 1;
            match (self.links.get(index), span.links.get(index)) {
                (Some((to, attributes)), Some(link)) => {
                    if !known.is(to, &link.span_context) {
                        let (expected, captured) =
                            (show_reference(to), known.show(&link.span_context));
                        lines.push(format!(
                            "link {number}: expected {expected}, captured {captured}"
                        ));
                    }
                    let differences = attributes.differences(&link.attributes);
                    lines.extend(differences.iter().map(|line| format!("link {number}: {line}")));
                }
                (Some((to, _)), None) => {
                    lines.push(format!("link {number}: missing, expected {}", show_reference(to)));
                }
                (None, Some(link)) => {
                    let captured = known.show(&link.span_context);
                    lines.push(format!("link {number}: unexpected, captured {captured}"));
                }
                (None, None) => {}
            }
        }
        lines
    }
}

pub(super) fn show_kind(kind: &SpanKind) -> String {
    format!("{kind:?}").to_uppercase()
}

fn show_status(status: &Status) -> String {
    match status {
        Status::Error { description } => format!("Error {description:?}"),
        Status::Ok => "Ok".to_owned(),
        Status::Unset => "Unset".to_owned(),
    }
}
