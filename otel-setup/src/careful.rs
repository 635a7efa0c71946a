//! Layers and filters that hold although a value uses `tracing` itself while somebody reads it.
//!
//! A `Display` may log, and the argument of a macro may be a function that is instrumented. Both run
//! in the middle of a span or an event, on its thread, and `tracing-subscriber` counts on nobody doing
//! so: what the filters of the layers said is kept in one place for each thread, and overwritten from
//! within. A layer behind is then shown what its filter refused, and asks for a span that was not made
//! for it, which is a panic. And where a value is read under a lock, what runs inside of it waits for
//! that lock forever.

use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::dispatcher::get_default;
use tracing::field::{Field, FieldSet, Value, Visit, display};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

use crate::subscriber::Boxed;

type Shared<S> = Arc<dyn Filter<S> + Send + Sync>;

thread_local! {
    /// The layer that is not to be called this time, if any.
    static CLOSED: Cell<usize> = const { Cell::new(OPEN) };
}

const OPEN: usize = 0;

/// Puts a layer behind a filter that is asked once more at the moment at which the layer is called. It
/// can be found by its type, as `tracing-opentelemetry` wants it.
///
/// A [`Gate`] stands before it, which cannot keep a call from what stands behind it. So there is one
/// more filter, a [`Door`], which says no only while the gate asks all filters anew.
pub(crate) fn layer<S, L>(layer: L, filter: impl Filter<S> + Send + Sync + 'static) -> Boxed<S>
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    L: Layer<S> + Send + Sync,
{
    static LAYERS: AtomicUsize = AtomicUsize::new(OPEN + 1);
    let number = LAYERS.fetch_add(1, Ordering::Relaxed);
    let filter: Shared<S> = Arc::new(filter);
    let gate = Gate { number, filter: Arc::clone(&filter) };
    gate.and_then(layer.with_filter(Door(number))).with_filter(Fence { number, filter }).boxed()
}

struct Gate<S> {
    number: usize,
    filter: Shared<S>,
}

impl<S> Gate<S> {
    /// Everybody's filter says what it said at first, but for the one that is closed.
    fn close(&self, metadata: &Metadata<'_>) {
        CLOSED.set(self.number);
        get_default(|dispatch| dispatch.enabled(metadata));
        CLOSED.set(OPEN);
    }
}

impl<S> Layer<S> for Gate<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let metadata = attributes.metadata();
        // The span knows which filters it passed when it was made.
        if context.span(id).is_none() || !self.filter.enabled(metadata, &context) {
            self.close(metadata);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        with_metadata(event, |metadata| {
            if !self.filter.enabled(metadata, &context) {
                self.close(metadata);
            }
        });
    }
}

/// What a filter has to look at: an event of the crate `log` has the metadata of its level.
fn with_metadata<T>(event: &Event<'_>, look: impl FnOnce(&Metadata<'_>) -> T) -> T {
    look(event.normalized_metadata().as_ref().unwrap_or_else(|| event.metadata()))
}

struct Door(usize);

impl<S> Filter<S> for Door {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        CLOSED.get() != self.0
    }

    fn callsite_enabled(&self, _: &'static Metadata<'static>) -> Interest {
        // It adds nothing to what the fence says.
        Interest::never()
    }
}

struct Fence<S> {
    number: usize,
    filter: Shared<S>,
}

impl<S> Filter<S> for Fence<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, S>) -> bool {
        // The door behind it is asked only then.
        CLOSED.get() == self.number || self.filter.enabled(metadata, context)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        self.filter.callsite_enabled(metadata)
    }

    fn event_enabled(&self, event: &Event<'_>, context: &Context<'_, S>) -> bool {
        with_metadata(event, |metadata| self.filter.enabled(metadata, context))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.filter.max_level_hint()
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if context.span(id).is_some() {
            self.filter.on_new_span(attributes, id, context);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        self.filter.on_record(id, values, context);
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        self.filter.on_enter(id, context);
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        self.filter.on_exit(id, context);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        self.filter.on_close(id, context);
    }
}

/// The layer that formats. What is recorded later on it would read while it holds the span, which the
/// line of an event within needs too.
pub(crate) struct Formatting<L>(pub(crate) L);

impl<S, L> Layer<S> for Formatting<L>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    L: Layer<S>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        self.0.on_new_span(attributes, id, context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(metadata) = context.metadata(id) else { return };
        one_by_one(
            metadata.fields(),
            |read| values.record(read),
            |value| {
                self.0.on_record(id, value, context.clone());
            },
        );
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        self.0.on_event(event, context);
    }
}

/// The directives of `RUST_LOG`. Those that ask for a value read it under a lock.
#[derive(Debug)]
pub(crate) struct Directives {
    filter: EnvFilter,
    by_value: bool,
}

impl Directives {
    pub(crate) fn new(directives: &str) -> Self {
        Self { filter: EnvFilter::new(directives), by_value: directives.contains('{') }
    }
}

impl<S> Filter<S> for Directives
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        Filter::<S>::callsite_enabled(&self.filter, metadata)
    }

    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, S>) -> bool {
        // After the question of `enabled!` comes nothing that it is about: a no would stand for the
        // span that it is an argument of.
        let only_asked = !metadata.is_span() && !metadata.is_event();
        only_asked || Filter::enabled(&self.filter, metadata, context)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.filter.max_level_hint()
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if !self.by_value {
            return self.filter.on_new_span(attributes, id, context);
        }
        let metadata = attributes.metadata();
        let nothing = metadata.fields().value_set(&[]);
        self.filter.on_new_span(&Attributes::new(metadata, &nothing), id, context.clone());
        one_by_one(
            metadata.fields(),
            |read| attributes.record(read),
            |value| {
                self.filter.on_record(id, value, context.clone());
            },
        );
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(metadata) = context.metadata(id).filter(|_| self.by_value) else {
            return self.filter.on_record(id, values, context);
        };
        one_by_one(
            metadata.fields(),
            |read| values.record(read),
            |value| {
                self.filter.on_record(id, value, context.clone());
            },
        );
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        self.filter.on_enter(id, context);
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        self.filter.on_exit(id, context);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        self.filter.on_close(id, context);
    }
}

/// Gives each value on its own, as a text where it would have to be formatted.
fn one_by_one(fields: &FieldSet, read: impl FnOnce(&mut dyn Visit), give: impl FnMut(&Record<'_>)) {
    read(&mut OneByOne { fields, give });
}

struct OneByOne<'a, G> {
    fields: &'a FieldSet,
    give: G,
}

impl<G: FnMut(&Record<'_>)> OneByOne<'_, G> {
    fn give(&mut self, field: &Field, value: &dyn Value) {
        (self.give)(&Record::new(&self.fields.value_set(&[(field, Some(value))])));
    }
}

impl<G: FnMut(&Record<'_>)> Visit for OneByOne<'_, G> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.give(field, &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.give(field, &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.give(field, &value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.give(field, &value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.give(field, &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.give(field, &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.give(field, &value);
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        self.give(field, &value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let read: Box<dyn Error> = Box::new(Read::new(value));
        self.give(field, &read);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.give(field, &display(format!("{value:?}")));
    }
}

/// An error, and those it comes from, after they have been formatted.
#[derive(Debug)]
struct Read {
    text: String,
    source: Option<Box<Self>>,
}

impl Read {
    fn new(error: &(dyn Error + 'static)) -> Self {
        let source = error.source().map(|source| Box::new(Self::new(source)));
        Self { text: error.to_string(), source }
    }
}

impl fmt::Display for Read {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl Error for Read {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
