//! References to other spans: parents and links.

use std::borrow::Cow;

use opentelemetry::trace::{SpanContext, SpanId};
use opentelemetry_sdk::trace::SpanData;

/// Another span: by the name of a captured or still open one, or by its identity. An identity that
/// is remote must have come from another process.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SpanReference {
    /// By identity.
    Context(SpanContext),
    /// By name; each span of that name will do.
    Name(Cow<'static, str>),
}

impl From<&'static str> for SpanReference {
    fn from(name: &'static str) -> Self {
        Self::Name(name.into())
    }
}

impl From<String> for SpanReference {
    fn from(name: String) -> Self {
        Self::Name(name.into())
    }
}

impl From<SpanContext> for SpanReference {
    fn from(context: SpanContext) -> Self {
        Self::Context(context)
    }
}

impl From<&SpanContext> for SpanReference {
    fn from(context: &SpanContext) -> Self {
        Self::Context(context.clone())
    }
}

impl From<&SpanData> for SpanReference {
    fn from(span: &SpanData) -> Self {
        Self::Context(span.span_context.clone())
    }
}

/// The spans that names can stand for.
pub(super) struct Known(pub(super) Vec<(String, SpanContext)>);

impl Known {
    pub(super) fn is(&self, reference: &SpanReference, context: &SpanContext) -> bool {
        let same = |other: &SpanContext| {
            other.span_id() == context.span_id() && other.trace_id() == context.trace_id()
        };
        match reference {
            SpanReference::Context(expected) => {
                same(expected) && expected.is_remote() == context.is_remote()
            }
            SpanReference::Name(expected) => {
                self.0.iter().any(|(name, known)| name == expected && same(known))
            }
        }
    }

    pub(super) fn is_parent(&self, expected: Option<&SpanReference>, span: &SpanData) -> bool {
        match expected {
            None => span.parent_span_id == SpanId::INVALID,
            Some(reference) => self.is(reference, &parent_of(span)),
        }
    }

    pub(super) fn show(&self, context: &SpanContext) -> String {
        let named = self.0.iter().find(|(_, known)| known.span_id() == context.span_id());
        match named {
            Some((name, _)) => format!("`{name}`"),
            None => show_context(context),
        }
    }

    pub(super) fn show_parent(&self, span: &SpanData) -> String {
        if span.parent_span_id == SpanId::INVALID {
            return "none (a root)".to_owned();
        }
        self.show(&parent_of(span))
    }
}

/// The identity of the parent, which is in the same trace by definition.
fn parent_of(span: &SpanData) -> SpanContext {
    let own = &span.span_context;
    SpanContext::new(
        own.trace_id(),
        span.parent_span_id,
        own.trace_flags(),
        span.parent_span_is_remote,
        own.trace_state().clone(),
    )
}

pub(super) fn show_reference(reference: &SpanReference) -> String {
    match reference {
        SpanReference::Context(context) => show_context(context),
        SpanReference::Name(name) => format!("`{name}`"),
    }
}

fn show_context(context: &SpanContext) -> String {
    let place = if context.is_remote() { "remote" } else { "local" };
    format!("the {place} span {} of trace {}", context.span_id(), context.trace_id())
}
