//! Layer `messaging`: calls that are about several messages: what these share is told on the span,
//! what is each one's own on the link to it.

use std::fmt;
use std::time::Instant;

use opentelemetry::propagation::Extractor;
use opentelemetry::trace::{Link, SpanContext, SpanKind};
use opentelemetry::{Context, Value};

use super::call::{
    Destination, Facts, Kind, MessageFacts, MessagingCall, Number, Partition, Step, tell,
};
use super::delivery::{Deliveries, Delivery, MOST_LINKS, span_of};
use super::fact::{DESTINATION_NAME, Fact, Of, PARTITION_ID};
use super::handle::{Messaging, Start};
use super::page::MessagingOperation;
use super::poll::Poll;
use crate::client::Client;
use crate::contain::contain;
use crate::failure::Classify;
use crate::options::Options;
use crate::propagation::Carrier;

impl<C: Client> Messaging<C> {
    /// Starts to send a batch. Each message gets a `create` span of its own, whose context it
    /// carries, and the CLIENT span of the batch links to them; without
    /// [`create_spans`](crate::TelemetryBuilder::create_spans) all carry the context of the batch's
    /// span, which then is PRODUCER. A message that has a trace context already keeps it, and is
    /// linked to.
    ///
    /// What failed of it is told by [`MessagingOperation::failed_messages`].
    pub fn send_batch<'a, X, F>(
        &self,
        messages: impl IntoIterator<Item = (X, F)>,
        describe: impl FnOnce() -> MessagingCall<'a>,
    ) -> MessagingOperation<C>
    where
        X: Carrier,
        F: FnOnce() -> MessageFacts,
    {
        let ambient = Context::current();
        let call = if self.is_off() { None } else { contain(describe) };
        let Some(call) = call else {
            for (mut message, _) in messages {
                let own = self.shared.own(&message);
                self.shared.inject(&ambient, &own, &mut message);
            }
            return MessagingOperation::empty();
        };
        let options = self.telemetry().options();
        let mut batch = Batch::default();
        // The messages that carry the context of the batch's own span.
        let mut carrying = Vec::new();
        for (mut message, facts) in messages {
            let facts = contain(facts).unwrap_or_default();
            let own = self.shared.own(&message);
            let mut link = span_of(&own);
            // Without headers it carries nothing that could be linked to.
            if link.is_none() && message.takes_headers() {
                let create = self.create_one(&call, &facts);
                link = create.own_span().and_then(span_of);
                if link.is_some() {
                    self.shared.inject(&create.context(), &own, &mut message);
                } else {
                    carrying.push((message, own));
                }
                create.finish();
            }
            batch.push(link, facts);
        }
        let is_creation = !carrying.is_empty() && self.telemetry().carries_spans();
        let kind = if is_creation { SpanKind::Producer } else { SpanKind::Client };
        let (call, links, messages) = batch.told(call, options);
        let operation =
            self.start(Start { kind, links, messages, ..Start::of(Step::Send) }, || call);
        for (mut message, own) in carrying {
            self.shared.inject(&operation.context(), &own, &mut message);
        }
        operation
    }

    fn create_one(&self, call: &MessagingCall<'_>, facts: &MessageFacts) -> MessagingOperation<C> {
        let telemetry = self.telemetry();
        if !telemetry.options().create_spans || !telemetry.carries_spans() {
            return MessagingOperation::empty();
        }
        let kind = Kind { operation: "create", ..call.kind.clone() };
        let mut create = MessagingCall { kind, batch: None, facts: facts.0.clone() };
        lift(&mut create, |fact| facts.0.iter().find(|(known, _)| known.name() == fact));
        self.start(Start::of(Step::Create), || create)
    }

    /// Starts to handle a batch at once, by a CONSUMER span that links to what its messages carry.
    /// Its parent is the ambient span: no single message's context could be.
    pub fn process_batch<'a, 'd>(
        &self,
        deliveries: impl IntoIterator<Item = &'d Delivery>,
        describe: impl FnOnce() -> MessagingCall<'a>,
    ) -> MessagingOperation<C> {
        if self.is_off() {
            return MessagingOperation::empty();
        }
        let (mut links, mut size, mut messages) = (Vec::new(), 0, 0);
        for delivery in deliveries {
            size += 1;
            messages += usize::from(delivery.is_first_count());
            links.extend(delivery.link().filter(|_| links.len() < MOST_LINKS));
        }
        let start = Start { links, messages, ..Start::of(Step::Process) };
        self.start(start, || describe().batch(size))
    }
}

impl<C: Client> Poll<C> {
    /// Reports the messages of a call that gives batches, by a CLIENT span over the call that links
    /// to what each of them carries. None of them: nothing is emitted.
    ///
    /// Answers one delivery for each, in their order.
    pub fn received_batch<'a, X, F>(
        self,
        messages: impl IntoIterator<Item = (X, F)>,
        describe: impl FnOnce() -> MessagingCall<'a>,
    ) -> Deliveries
    where
        X: Extractor,
        F: FnOnce() -> MessageFacts,
    {
        let off = self.messaging.is_off();
        let (mut deliveries, mut batch) = (Vec::new(), Batch::default());
        let mut left_out = 0;
        for (message, facts) in messages {
            let delivery = self.read(&message, off);
            if !off {
                let facts = contain(facts).unwrap_or_default();
                batch.push(delivery.span_context(), facts);
            }
            // Without allocating as long as there is nothing to keep.
            if delivery.is_empty() && deliveries.is_empty() {
                left_out += 1;
            } else {
                deliveries.extend((0..std::mem::take(&mut left_out)).map(|_| Delivery::default()));
                deliveries.push(delivery);
            }
        }
        if !off
            && !deliveries.is_empty()
            && let Some(call) = contain(describe)
        {
            let (call, links, messages) = batch.told(call, self.messaging.telemetry().options());
            self.report(None, links, messages, || call).finish();
        }
        Deliveries { known: deliveries.into_iter(), empty: left_out }
    }
}

impl<C: Client> Poll<C> {
    /// As [`received_batch`](Self::received_batch), for a call whose messages come one by one, and
    /// each of which needs its delivery at once. Its span is below what is ambient now.
    pub fn gather<D>(self, describe: D) -> Gathering<C, D>
    where
        D: FnOnce() -> MessagingCall<'static>,
    {
        let open = (!self.messaging.is_off()).then(|| (Context::current(), describe));
        Gathering { poll: self, open, batch: Batch::default(), last: None }
    }
}

/// The messages of one call, as they come: see [`Poll::gather`]. Dropped before the call was over, it
/// reports those that came, and the last of them was the end.
#[must_use = "what was gathered is reported when this is dropped"]
pub struct Gathering<C: Client, D: FnOnce() -> MessagingCall<'static>> {
    poll: Poll<C>,
    /// `None` where nobody listens, and when it was reported.
    open: Option<(Context, D)>,
    batch: Batch,
    /// When the last message came.
    last: Option<Instant>,
}

impl<C: Client, D: FnOnce() -> MessagingCall<'static>> Gathering<C, D> {
    /// One more message.
    pub fn add(
        &mut self,
        message: &impl Extractor,
        facts: impl FnOnce() -> MessageFacts,
    ) -> Delivery {
        let off = self.open.is_none();
        let delivery = self.poll.read(message, off);
        if !off {
            self.batch.push(delivery.span_context(), contain(facts).unwrap_or_default());
            self.last = Some(Instant::now());
        }
        delivery
    }

    /// The call is over. None came: nothing is emitted.
    pub fn finish(mut self) {
        self.last = None;
        if self.batch.size > 0 {
            self.report().finish();
        } else {
            self.open = None;
        }
    }

    /// The call failed, perhaps after some messages.
    pub fn failed<E: ?Sized>(mut self, error: &E)
    where
        C: Classify<E>,
    {
        self.last = None;
        self.report().fail(error);
    }

    fn report(&mut self) -> MessagingOperation<C> {
        let Some((parent, call)) =
            self.open.take().and_then(|(parent, describe)| Some((parent, contain(describe)?)))
        else {
            return MessagingOperation::empty();
        };
        let options = self.poll.messaging.telemetry().options();
        let (call, links, messages) = std::mem::take(&mut self.batch).told(call, options);
        let mut operation = self.poll.report(Some(parent), links, messages, || call);
        if let Some(last) = self.last {
            operation.ended_at(last);
        }
        operation
    }
}

impl<C: Client, D: FnOnce() -> MessagingCall<'static>> Drop for Gathering<C, D> {
    fn drop(&mut self) {
        if self.batch.size > 0 {
            self.report().finish();
        }
    }
}

impl<C: Client, D: FnOnce() -> MessagingCall<'static>> fmt::Debug for Gathering<C, D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Gathering")
            .field("messages", &self.batch.size)
            .finish_non_exhaustive()
    }
}

/// What is known of the messages of a batch.
#[derive(Default)]
struct Batch {
    size: usize,
    /// What all have so far, of what may be told of a batch.
    common: Facts,
    /// What each has, of those that are linked to.
    linked: Vec<(SpanContext, Facts)>,
}

impl Batch {
    fn push(&mut self, link: Option<SpanContext>, MessageFacts(facts): MessageFacts) {
        if self.size == 0 {
            let may_be = |(fact, _): &&(Fact<Value>, Value)| fact.of() != Of::OneMessage;
            self.common = facts.iter().filter(may_be).cloned().collect();
        } else {
            self.common.retain(|one| {
                facts.iter().any(|(fact, value)| fact.name() == one.0.name() && *value == one.1)
            });
        }
        self.size += 1;
        if let Some(link) = link.filter(|_| self.linked.len() < MOST_LINKS) {
            self.linked.push((link, facts));
        }
    }

    /// The call with what all messages have in common, the links with the rest, and the number.
    fn told<'a>(
        self,
        mut call: MessagingCall<'a>,
        options: &Options,
    ) -> (MessagingCall<'a>, Vec<Link>, usize) {
        let Self { size, common, linked } = self;
        let is_common = |name: &str| common.iter().any(|(fact, _)| fact.name() == name);
        let links = linked.into_iter().map(|(context, facts)| {
            let own = facts.into_iter().filter(|(fact, _)| !is_common(fact.name())).collect();
            let mut told = Vec::new();
            tell(own, false, options, &mut told);
            Link::new(context, told, 0)
        });
        let links = links.collect();
        lift(&mut call, |fact| common.iter().find(|(known, _)| known.name() == fact));
        call.facts.extend(common);
        (call.batch(size), links, size)
    }
}

/// Destination and partition, where the call does not know them and the messages do, are facts of
/// its kind: they name the span and are on points.
fn lift<'f>(call: &mut MessagingCall<'_>, find: impl Fn(&str) -> Option<&'f (Fact<Value>, Value)>) {
    let text = |name| match find(name) {
        Some((_, Value::String(text))) => Some(text.as_str().to_owned()),
        _ => None,
    };
    if call.kind.destination == Destination::none()
        && let Some(name) = text(DESTINATION_NAME.name())
    {
        call.kind.destination = Destination::named(name);
    }
    if call.kind.partition.is_none() {
        let name = text(PARTITION_ID.name());
        call.kind.partition = name.map(|name| Partition(Number::Name(name.into())));
    }
}
