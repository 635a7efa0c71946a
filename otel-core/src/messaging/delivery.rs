//! Layer `messaging`: what travels with a received message: the context it carries, and whether it
//! was counted.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::baggage::{Baggage, BaggageExt as _, BaggageMetadata};
use opentelemetry::propagation::Extractor;
use opentelemetry::trace::{FutureExt as _, Link, SpanContext, TraceContextExt as _};
use opentelemetry::{Context, Key, StringValue};

use crate::options::{InboundBaggage, Options, ProcessParent};
use crate::telemetry::Telemetry;

/// The links of a span at most: the SDK's own limit. Of more messages, their number tells the rest.
pub(super) const MOST_LINKS: usize = 128;

/// Travels with a received message to where it is processed and settled. What the message carries
/// was read once, and a message that was counted is not counted again. A clone is another handle of
/// the same value; the default stands for a message that carried nothing.
#[derive(Clone, Debug, Default)]
pub struct Delivery(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    /// What the message carried, over an empty context.
    creation: Context,
    counted: AtomicBool,
}

/// How a message is to be handled.
pub(super) struct Handling {
    pub(super) parent: Context,
    pub(super) links: Vec<Link>,
    /// Whether the message brought anything that is in `parent`.
    pub(super) brings: bool,
}

/// The identity of a context's span, if it has one.
pub(super) fn span_of(context: &Context) -> Option<SpanContext> {
    let span = context.span();
    Some(span.span_context()).filter(|span| span.is_valid()).cloned()
}

/// The baggage of a context, which cannot be cloned as a whole.
fn entries(context: &Context) -> impl Iterator<Item = (Key, (StringValue, BaggageMetadata))> {
    context.baggage().iter().map(|(name, value)| (name.clone(), value.clone()))
}

/// A message that carried this span: for those who settle by what they have noted of it.
impl From<SpanContext> for Delivery {
    fn from(span: SpanContext) -> Self {
        let creation = Context::new().with_remote_span_context(span);
        Self(Some(Arc::new(Inner { creation, counted: AtomicBool::new(true) })))
    }
}

impl Delivery {
    /// Reads what a message carries. Kept also where that is nothing if it is to be counted.
    pub(super) fn read(
        telemetry: &Telemetry,
        message: &impl Extractor,
        counted: bool,
        listening: bool,
    ) -> Self {
        let creation = telemetry.extract(message);
        let creation = match &telemetry.options().inbound_baggage {
            _ if creation.baggage().is_empty() => creation,
            InboundBaggage::All => creation,
            InboundBaggage::Drop => creation.with_cleared_baggage(),
            InboundBaggage::Only(names) => {
                let names = names.iter().map(String::as_str);
                let carried = entries(&creation)
                    .filter(|(name, _)| names.clone().any(|it| it == name.as_str()));
                creation.with_baggage(carried.collect::<Baggage>())
            }
        };
        let brings = span_of(&creation).is_some() || !creation.baggage().is_empty();
        let counted = AtomicBool::new(counted);
        Self((brings || listening).then(|| Arc::new(Inner { creation, counted })))
    }

    /// The current context with what the message carries: its trace as the remote parent, its
    /// baggage. For those who handle messages in spans of their own, or in none.
    pub fn context(&self) -> Context {
        let current = Context::current();
        match &self.0 {
            Some(inner) => inner.carried_by(&inner.below(&current)),
            None => current,
        }
    }

    /// Runs a future in [`context`](Self::context).
    pub fn instrument<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        future.with_context(self.context())
    }

    /// The span that the message was created in, if it carries one.
    pub fn span_context(&self) -> Option<SpanContext> {
        span_of(&self.0.as_ref()?.creation)
    }

    pub(super) fn link(&self) -> Option<Link> {
        self.span_context().map(Link::with_context)
    }

    /// Whether there is nothing to keep of the message: it carried nothing, and nobody counts it.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether the message has still to be counted; only the first to ask hears yes.
    pub(super) fn is_first_count(&self) -> bool {
        self.0.as_ref().is_none_or(|inner| !inner.counted.swap(true, Ordering::Relaxed))
    }

    /// Parent, links and baggage of a span that handles this message alone.
    pub(super) fn handling(&self, ambient: &Context, options: &Options) -> Handling {
        let Some(inner) = &self.0 else {
            return Handling { parent: ambient.clone(), links: Vec::new(), brings: false };
        };
        let mut links: Vec<_> = self.link().into_iter().collect();
        let ambient_span = span_of(ambient);
        let message_is_parent = match options.process_parent {
            ProcessParent::Ambient => ambient_span.is_none(),
            ProcessParent::Message => true,
            ProcessParent::Link => false,
        };
        let below = message_is_parent && !links.is_empty();
        links.extend(ambient_span.filter(|_| below).map(Link::with_context));
        let parent = if below { inner.below(ambient) } else { ambient.clone() };
        let brings = below || !inner.creation.baggage().is_empty();
        Handling { parent: inner.carried_by(&parent), links, brings }
    }
}

impl Inner {
    /// A context whose span is the message's, if it carries one.
    fn below(&self, context: &Context) -> Context {
        match span_of(&self.creation) {
            Some(span) => context.with_remote_span_context(span),
            None => context.clone(),
        }
    }

    /// A context with the message's baggage; of one name the message's counts.
    fn carried_by(&self, context: &Context) -> Context {
        if self.creation.baggage().is_empty() {
            return context.clone();
        }
        let all = entries(context).chain(entries(&self.creation));
        context.with_baggage(all.collect::<Baggage>())
    }
}

/// The deliveries of a batch, in the order of its messages.
#[derive(Debug, Default)]
pub struct Deliveries {
    pub(super) known: std::vec::IntoIter<Delivery>,
    /// Messages that carried nothing, while nobody listened.
    pub(super) empty: usize,
}

impl Iterator for Deliveries {
    type Item = Delivery;

    fn next(&mut self) -> Option<Delivery> {
        self.known.next().or_else(|| {
            self.empty = self.empty.checked_sub(1)?;
            Some(Delivery::default())
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let length = self.known.len() + self.empty;
        (length, Some(length))
    }
}

impl ExactSizeIterator for Deliveries {}
