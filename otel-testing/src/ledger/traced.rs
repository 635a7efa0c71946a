//! A watch over what instrumentation tells, whether or not it is sampled.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use opentelemetry::trace::{
    Span, SpanBuilder, SpanContext, SpanKind, Status, Tracer, TracerProvider,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue};

use super::Unit;
use super::form::{Call, calls};

/// What the spans of a watched provider told, each when it ended. A clone is another handle of the
/// same value.
#[derive(Clone, Debug, Default)]
pub struct Traced {
    told: Arc<Mutex<Vec<Told>>>,
    only: Option<(Cow<'static, str>, Cow<'static, str>)>,
}

/// What one span told.
type Told = (SpanKind, Vec<KeyValue>);

impl Traced {
    /// With nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same provider, whose spans are noted here. For one client:
    /// `Telemetry::builder().tracer_provider(traced.watch(global::tracer_provider()))`.
    pub fn watch<P>(&self, provider: P) -> Watched<P> {
        Watched { inner: provider, traced: self.clone() }
    }

    /// Notes what a span says that ended elsewhere, in another process for example.
    pub fn note(&self, kind: SpanKind, attributes: impl IntoIterator<Item = KeyValue>) {
        self.lock().push((kind, attributes.into_iter().collect()));
    }

    /// Of what is noted here, that with an attribute whose value has this part: one database of many,
    /// `traced.only("db.namespace", "orders")`.
    pub fn only(
        &self,
        attribute: impl Into<Cow<'static, str>>,
        part: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { told: Arc::clone(&self.told), only: Some((attribute.into(), part.into())) }
    }

    pub(crate) fn calls(&self, unit: Unit) -> Vec<Call> {
        let wanted = |attributes: &[KeyValue]| {
            self.only.as_ref().is_none_or(|(key, part)| {
                attributes.iter().any(|attribute| {
                    attribute.key.as_str() == key && attribute.value.as_str().contains(&**part)
                })
            })
        };
        let told = self.lock();
        let told = told.iter().filter(|(_, attributes)| wanted(attributes));
        told.flat_map(|(kind, attributes)| calls(unit, kind, attributes)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Told>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A tracer provider, watched; made by [`Traced::watch`].
#[derive(Clone, Debug)]
pub struct Watched<P> {
    inner: P,
    traced: Traced,
}

impl<P: TracerProvider> TracerProvider for Watched<P> {
    type Tracer = TracedTracer<P::Tracer>;

    fn tracer_with_scope(&self, scope: InstrumentationScope) -> Self::Tracer {
        TracedTracer { inner: self.inner.tracer_with_scope(scope), traced: self.traced.clone() }
    }
}

/// A tracer, watched.
#[derive(Clone, Debug)]
pub struct TracedTracer<T> {
    inner: T,
    traced: Traced,
}

impl<T: Tracer> Tracer for TracedTracer<T> {
    type Span = TracedSpan<T::Span>;

    fn build_with_context(&self, builder: SpanBuilder, parent: &Context) -> Self::Span {
        let kind = builder.span_kind.clone().unwrap_or(SpanKind::Internal);
        let attributes = builder.attributes.clone().unwrap_or_default();
        TracedSpan {
            inner: self.inner.build_with_context(builder, parent),
            traced: self.traced.clone(),
            told: Some((kind, attributes)),
        }
    }
}

/// A span, watched.
#[derive(Debug)]
pub struct TracedSpan<S> {
    inner: S,
    traced: Traced,
    /// Until its end.
    told: Option<Told>,
}

impl<S> TracedSpan<S> {
    fn note(&mut self) {
        if let Some((kind, attributes)) = self.told.take() {
            self.traced.note(kind, attributes);
        }
    }
}

impl<S: Span> Span for TracedSpan<S> {
    fn add_event_with_timestamp<T: Into<Cow<'static, str>>>(
        &mut self,
        name: T,
        timestamp: SystemTime,
        attributes: Vec<KeyValue>,
    ) {
        self.inner.add_event_with_timestamp(name, timestamp, attributes);
    }

    fn span_context(&self) -> &SpanContext {
        self.inner.span_context()
    }

    fn is_recording(&self) -> bool {
        self.inner.is_recording()
    }

    fn set_attribute(&mut self, attribute: KeyValue) {
        if let Some((_, attributes)) = &mut self.told {
            attributes.push(attribute.clone());
        }
        self.inner.set_attribute(attribute);
    }

    fn set_status(&mut self, status: Status) {
        self.inner.set_status(status);
    }

    fn update_name<T: Into<Cow<'static, str>>>(&mut self, name: T) {
        self.inner.update_name(name);
    }

    fn add_link(&mut self, context: SpanContext, attributes: Vec<KeyValue>) {
        self.inner.add_link(context, attributes);
    }

    fn end_with_timestamp(&mut self, timestamp: SystemTime) {
        self.inner.end_with_timestamp(timestamp);
        self.note();
    }
}

impl<S> Drop for TracedSpan<S> {
    fn drop(&mut self) {
        // To drop a span is a way of ending it.
        self.note();
    }
}
