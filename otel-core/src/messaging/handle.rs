//! Layer `messaging`: the handle of a client, and the operations that it makes.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::{Link, SpanBuilder, SpanKind};
use opentelemetry::{Context, KeyValue};

use super::call::{MessagingCall, MessagingServer, Step, tell};
use super::delivery::{Delivery, MOST_LINKS, span_of};
use super::page::{Inner, MessagingOperation, Page, Shared};
use super::shape::{Shape, Shapes};
use super::statistic::Statistics;
use crate::attribute as names;
use crate::client::Client;
use crate::contain::contain;
use crate::operation::{Clock, Live};
use crate::page::Site;
use crate::propagation::Carrier;
use crate::telemetry::Telemetry;
use crate::w3c::is_kept;

/// An instrumented client of a message broker: makes the operations of one handle. A clone is
/// another handle of the same value.
///
/// An operation starts where it is made: make it inside the future that it belongs to (an `async`
/// block starts at its first poll), so that what is never polled emits nothing.
pub struct Messaging<C> {
    pub(super) shared: Arc<Shared>,
    client: PhantomData<fn() -> C>,
}

impl<C> Clone for Messaging<C> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), client: PhantomData }
    }
}

impl<C> fmt::Debug for Messaging<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = &self.shared.server;
        formatter.debug_struct("Messaging").field("server", server).finish_non_exhaustive()
    }
}

impl<C: Client> Messaging<C> {
    /// Instruments a handle that talks to `server`.
    pub fn new(telemetry: &Telemetry, server: MessagingServer) -> Self {
        let shared = Shared { site: Site::new::<C>(telemetry), server, shapes: Shapes::default() };
        Self { shared: Arc::new(shared), client: PhantomData }
    }

    /// Where its telemetry goes: for what an adapter injects, extracts or must know beside this.
    pub fn telemetry(&self) -> &Telemetry {
        self.shared.site.telemetry()
    }

    /// Whether a call made now would emit nothing. It may still have to carry a context.
    pub fn is_off(&self) -> bool {
        self.shared.site.is_off()
    }

    /// Whether names are told that may be those of persons: option
    /// [`keys`](crate::TelemetryBuilder::keys). For systems whose destinations are keys.
    pub fn tells_keys(&self) -> bool {
        self.telemetry().options().keys
    }

    /// Starts to send one message, by a PRODUCER span whose context the message then carries.
    ///
    /// The ambient context is injected also where nothing is emitted. A message that has a trace
    /// context already keeps it, and the span, now CLIENT, links to it (see
    /// [`replace_trace_headers`](crate::TelemetryBuilder::replace_trace_headers)).
    pub fn send<'a>(
        &self,
        message: &mut impl Carrier,
        describe: impl FnOnce() -> MessagingCall<'a>,
    ) -> MessagingOperation<C> {
        self.start_producing(Step::Send, message, describe)
    }

    /// Starts to create one message that is sent later, by a PRODUCER span whose context it then
    /// carries. There is none for a message that has a trace context already, or takes no headers.
    /// Nothing is measured: no call is made and no message sent.
    pub fn create<'a>(
        &self,
        message: &mut impl Carrier,
        describe: impl FnOnce() -> MessagingCall<'a>,
    ) -> MessagingOperation<C> {
        self.start_producing(Step::Create, message, describe)
    }

    fn start_producing<'a>(
        &self,
        step: Step,
        message: &mut impl Carrier,
        describe: impl FnOnce() -> MessagingCall<'a>,
    ) -> MessagingOperation<C> {
        let own = self.shared.own(message);
        let link = span_of(&own).map(Link::with_context);
        let is_creation =
            || link.is_none() && message.takes_headers() && self.telemetry().carries_spans();
        let off = self.is_off();
        let is_creation = !off && is_creation();
        // A message that carries another span, or none, was not created by this one.
        let operation = if off || (step == Step::Create && !is_creation) {
            MessagingOperation::empty()
        } else {
            let kind = if is_creation { SpanKind::Producer } else { SpanKind::Client };
            let links = link.into_iter().collect();
            self.start(Start { kind, links, ..Start::of(step) }, describe)
        };
        self.shared.inject(&operation.context(), &own, message);
        operation
    }

    /// Starts to handle one message, by a CONSUMER span that links to what the message carries. The
    /// message's baggage is in the operation's context; its parent is told by
    /// [`process_parent`](crate::TelemetryBuilder::process_parent).
    ///
    /// The operation carries the message's context also where nothing is emitted. End it with
    /// [`handle`](crate::Operation::handle), for errors of any type, or [`run`](crate::Operation::run).
    pub fn process<'a>(
        &self,
        delivery: &Delivery,
        describe: impl FnOnce() -> MessagingCall<'a>,
    ) -> MessagingOperation<C> {
        let ambient = Context::current();
        let handling = delivery.handling(&ambient, self.telemetry().options());
        let (links, parent) = (handling.links, handling.parent);
        let operation = if self.is_off() {
            MessagingOperation::empty()
        } else {
            let messages = usize::from(delivery.is_first_count());
            let start =
                Start { links, messages, parent: Some(parent.clone()), ..Start::of(Step::Process) };
            self.start(start, describe)
        };
        if operation.is_empty() && handling.brings {
            return MessagingOperation::live(Live::carrying(parent));
        }
        operation
    }

    /// Runs the handler of one message as an operation that starts at the first poll; see
    /// [`process`](Self::process). Its error may be of any type, whose name is the `error.type`.
    pub async fn handle<'m, 'a, M, D, H, F, T, E>(
        &'m self,
        delivery: &'m Delivery,
        message: &'m M,
        describe: D,
        handler: H,
    ) -> Result<T, E>
    where
        M: ?Sized,
        D: FnOnce(&'m M) -> MessagingCall<'a>,
        H: FnOnce(&'m M) -> F,
        F: Future<Output = Result<T, E>>,
    {
        let operation = self.process(delivery, || describe(message));
        // In a future of its own, so that the handler is called within the context.
        operation.handle(async move { handler(message).await }).await
    }

    /// Starts to settle messages (acknowledge, reject, commit), by a CLIENT span that links to what
    /// they carry. Where not all of what is settled is known, give what is; a call for batches says
    /// by [`MessagingCall::batch`] how many it is about.
    pub fn settle<'a, 'd>(
        &self,
        deliveries: impl IntoIterator<Item = &'d Delivery>,
        describe: impl FnOnce() -> MessagingCall<'a>,
    ) -> MessagingOperation<C> {
        self.start_settling(true, deliveries, describe)
    }

    /// Starts to report what the client settled by itself, such as an automatic commit, once it is
    /// told of it: as [`settle`](Self::settle), but how long it took is not known, so its duration is
    /// not measured.
    pub fn settled<'a, 'd>(
        &self,
        deliveries: impl IntoIterator<Item = &'d Delivery>,
        describe: impl FnOnce() -> MessagingCall<'a>,
    ) -> MessagingOperation<C> {
        self.start_settling(false, deliveries, describe)
    }

    fn start_settling<'a, 'd>(
        &self,
        timed: bool,
        deliveries: impl IntoIterator<Item = &'d Delivery>,
        describe: impl FnOnce() -> MessagingCall<'a>,
    ) -> MessagingOperation<C> {
        if self.is_off() {
            return MessagingOperation::empty();
        }
        let links = deliveries.into_iter().filter_map(Delivery::link).take(MOST_LINKS).collect();
        self.start(Start { links, messages: 0, timed, ..Start::of(Step::Settle) }, describe)
    }

    /// Reads what a message carries, where it comes without being asked for: for handlers that the
    /// client calls. It counts when it is processed.
    pub fn delivery(&self, message: &impl Extractor) -> Delivery {
        Delivery::read(self.telemetry(), message, false, !self.is_off())
    }

    /// Where statistics go, if anybody measures. A series stays as it was last told, also when what
    /// it is of is gone: instruments cannot forget.
    pub fn statistics(&self) -> Option<Statistics<'_>> {
        if self.is_off() {
            return None;
        }
        let Shared { site, server, .. } = &*self.shared;
        let meter = &site.instruments()?.meter;
        Some(Statistics { meter, client: server.client_id.as_ref() })
    }

    /// Starts an operation that somebody listens to.
    pub(super) fn start<'a>(
        &self,
        start: Start,
        describe: impl FnOnce() -> MessagingCall<'a>,
    ) -> MessagingOperation<C> {
        let clock = start.clock.unwrap_or_else(Clock::start);
        contain(|| self.begin(clock, start, describe()))
            .map_or_else(MessagingOperation::empty, MessagingOperation::live)
    }

    fn begin(&self, clock: Clock, start: Start, mut call: MessagingCall<'_>) -> Live<Page> {
        let Start { step, kind, parent, links, messages, timed, .. } = start;
        let shared = Arc::clone(&self.shared);
        let options = shared.site.telemetry().options();
        call.kind.step = step;
        let shape =
            shared.shapes.get(&call.kind, || Shape::new(&call.kind, &shared.server, options));
        let parent = parent.unwrap_or_else(Context::current);
        let wanted = step != Step::Receive || options.receive_spans;
        let page = Page(Box::new(Inner {
            shared,
            shape,
            step,
            batch: call.batch.is_some(),
            messages,
            timed,
            told: Vec::new(),
            failed: Vec::new(),
            gave_up: false,
        }));
        let live = Live::start(clock, &parent, page, wanted, |Page(page)| {
            let options = page.shared.site.telemetry().options();
            let batch = call.batch.map(|size| i64::try_from(size).unwrap_or(i64::MAX));
            let common = page.shape.on_span();
            let mut attributes = Vec::with_capacity(common.len() + call.facts.len() + 4);
            attributes.extend_from_slice(common);
            page.told = tell(call.facts, batch.is_some(), options, &mut attributes);
            let size = |size| KeyValue::new(names::MESSAGING_BATCH_MESSAGE_COUNT, size);
            attributes.extend(batch.map(size));
            SpanBuilder {
                span_kind: Some(kind),
                attributes: Some(attributes),
                links: (!links.is_empty()).then_some(links),
                ..SpanBuilder::default()
            }
        });
        // What a handler sends carries on what it got, with a span or without.
        if step == Step::Process { live.and_carries() } else { live }
    }
}

impl Shared {
    /// What the application itself put into a message, if it is to be kept.
    pub(super) fn own(&self, message: &impl Carrier) -> Context {
        let telemetry = self.site.telemetry();
        if telemetry.options().replace_trace_headers || !message.takes_headers() {
            return Context::new();
        }
        telemetry.extract(message)
    }

    /// Writes a context into a message, but for what the message has of its own.
    pub(super) fn inject(&self, context: &Context, own: &Context, message: &mut impl Carrier) {
        let telemetry = self.site.telemetry();
        if span_of(own).is_some() || !message.takes_headers() {
            return;
        }
        if telemetry.options().replace_trace_headers {
            return telemetry.inject(context, message);
        }
        // Nobody but the propagator knows the names that baggage stands under.
        let mut names = HashMap::new();
        if !own.baggage().is_empty() {
            telemetry.inject(own, &mut names);
        }
        telemetry.inject(context, &mut Keeping { message, names });
    }
}

/// Headers of which some are left as they are: what the application put there itself.
struct Keeping<'m, M> {
    message: &'m mut M,
    names: HashMap<String, String>,
}

impl<M: Carrier> Injector for Keeping<'_, M> {
    fn set(&mut self, name: &str, value: String) {
        let is_own = |own: &str| {
            self.names.keys().any(|kept| kept.eq_ignore_ascii_case(name)) || is_kept(name, own)
        };
        if !self.message.get(name).is_some_and(is_own) {
            self.message.set(name, value);
        }
    }
}

/// How an operation starts, beside what its call tells.
pub(super) struct Start {
    pub(super) step: Step,
    pub(super) kind: SpanKind,
    /// The ambient context without a word.
    pub(super) parent: Option<Context>,
    /// Now without a word.
    pub(super) clock: Option<Clock>,
    pub(super) links: Vec<Link>,
    /// The messages that it counts.
    pub(super) messages: usize,
    pub(super) timed: bool,
}

impl Start {
    pub(super) fn of(step: Step) -> Self {
        let kind = match step {
            Step::Create | Step::Send => SpanKind::Producer,
            Step::Receive | Step::Settle => SpanKind::Client,
            Step::Process => SpanKind::Consumer,
        };
        // A creation is neither a call nor a message that was sent.
        let timed = step != Step::Create;
        Self { step, kind, parent: None, clock: None, links: Vec::new(), messages: 1, timed }
    }
}
