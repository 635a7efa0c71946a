//! What becomes of the messages that a channel delivers, by the queue that they came through, and which
//! of them it settles.

use std::cell::OnceCell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lapin::Error;
use lapin::types::{DeliveryTag, ShortString};
use otel_core::messaging::{Delivery as Carried, MessagingCall, Poll, Settling, Unsettled, fact};
use otel_core::propagation::ByteCarrier;
use otel_core::{Failure, Messaging, MessagingOperation};

use crate::carrier::Incoming;
use crate::driver::{self, Instrumentation, Known, Place, RabbitMq};
use crate::message::Delivery;

/// What all handles of a channel share. It keeps no channel open: messages have it as well.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) instrumentation: Instrumentation,
    /// By their tags, which begin anew when the channel is recovered.
    unsettled: Unsettled<Arc<Known>>,
    /// The queue that was declared last, which is meant where none is named.
    declared: Mutex<ShortString>,
}

/// Where messages come from: what is known of a consumer.
#[derive(Debug)]
pub(crate) struct Origin {
    queue: ShortString,
    /// Nothing is to be settled.
    no_ack: bool,
    /// Where the last message came from: the next one, as a rule, too.
    last: Mutex<Option<Arc<Place>>>,
}

impl Origin {
    pub(crate) fn new(queue: ShortString, no_ack: bool) -> Self {
        Self { queue, no_ack, last: Mutex::default() }
    }

    fn place(&self, exchange: &ShortString, routing_key: &ShortString) -> Arc<Place> {
        let mut last = lock(&self.last);
        if let Some(place) = last.as_ref().filter(|last| last.is(exchange, routing_key)) {
            return Arc::clone(place);
        }
        let place = Arc::new(Place::new(exchange, routing_key, &self.queue));
        Arc::clone(last.insert(place))
    }

    fn known(&self, raw: &lapin::message::Delivery) -> Arc<Known> {
        let place = self.place(&raw.exchange, &raw.routing_key);
        Arc::new(Known::new(place, raw.delivery_tag, &raw.properties, raw.data.len()))
    }

    /// A call that got no message.
    pub(crate) fn failing(&self, operation: &'static str) -> MessagingCall<'_> {
        MessagingCall::new(operation, driver::target("", self.queue.as_str()))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Link {
    pub(crate) fn new(instrumentation: Instrumentation) -> Self {
        Self { instrumentation, unsettled: Unsettled::default(), declared: Mutex::default() }
    }

    pub(crate) fn messaging(&self) -> &Messaging<RabbitMq> {
        &self.instrumentation.messaging
    }

    pub(crate) fn declared(&self, queue: &ShortString) {
        queue.clone_into(&mut lock(&self.declared));
    }

    /// What is known of a consumer. Nobody asks for that where nobody listens, but for one that stays.
    pub(crate) fn origin(&self, queue: &ShortString, no_ack: bool, stays: bool) -> Origin {
        let queue = match queue.as_str() {
            _ if !stays && self.messaging().is_off() => ShortString::default(),
            "" => lock(&self.declared).clone(),
            _ => queue.clone(),
        };
        Origin::new(queue, no_ack)
    }

    /// Nothing of what was delivered is to be settled by its tag any more.
    pub(crate) fn forget(&self) {
        drop(self.unsettled.take(|_| true));
    }

    /// A message that was asked for.
    pub(crate) fn received(
        self: &Arc<Self>,
        operation: &'static str,
        poll: Poll<RabbitMq>,
        raw: lapin::message::Delivery,
        origin: &Origin,
    ) -> Delivery {
        let known = OnceCell::new();
        let describe = || known.get_or_init(|| origin.known(&raw)).about(operation);
        let carried = poll.received(&ByteCarrier::new(&Incoming(&raw.properties)), describe);
        self.deliver(raw, carried, known.into_inner(), origin)
    }

    /// A message that came without being asked for: it counts when it is handled.
    pub(crate) fn delivered(
        self: &Arc<Self>,
        raw: lapin::message::Delivery,
        origin: &Origin,
    ) -> Delivery {
        let carried = self.messaging().delivery(&ByteCarrier::new(&Incoming(&raw.properties)));
        let known = (!self.messaging().is_off()).then(|| origin.known(&raw));
        self.deliver(raw, carried, known, origin)
    }

    fn deliver(
        self: &Arc<Self>,
        raw: lapin::message::Delivery,
        carried: Carried,
        known: Option<Arc<Known>>,
        origin: &Origin,
    ) -> Delivery {
        if let Some(known) = known.as_ref().filter(|_| !origin.no_ack) {
            let order = |other: &Arc<Known>| Some(other.tag.cmp(&known.tag));
            self.unsettled.note_any(&carried, order, |_| Arc::clone(known));
        }
        Delivery::from_parts(raw, carried, known, self)
    }

    /// Starts to settle messages: the one of a tag, or all up to it, or, by tag 0, all. `own` is one that
    /// is at hand, with what it carries. Without `usable` nothing is sent: the tag may be another
    /// message's by now.
    pub(crate) fn settle(
        &self,
        operation: &'static str,
        (tag, multiple): (DeliveryTag, bool),
        own: Option<(&Known, &Carried)>,
        usable: bool,
    ) -> Settlement<'_> {
        let covered = if multiple && usable {
            self.unsettled.take(|known| tag == 0 || known.tag <= tag)
        } else {
            self.unsettled.take_one(|known| usable && known.tag == tag)
        };
        let own = own.filter(|(own, _)| covered.messages().all(|known| known.tag != own.tag));
        let known = || covered.messages().map(|known| &**known).chain(own.map(|own| own.0));
        let describe = || match known().next() {
            Some(one) if !multiple => one.settling(operation),
            _ => {
                let call = MessagingCall::new(operation, driver::place_of(known()))
                    .with(fact::RABBITMQ_DELIVERY_TAG, driver::number(tag));
                if multiple { call.batch(known().count()) } else { call }
            }
        };
        let carried = if self.messaging().is_off() {
            Vec::new()
        } else {
            covered.deliveries(own.map(|own| own.1.clone()))
        };
        let mut operation = self.messaging().settle(&carried, describe);
        // Once it is polled, it is written, whoever waits for that.
        operation.handed_over();
        Settlement { link: self, operation, covered }
    }
}

/// A call that settles messages, until it is known whether it did.
pub(crate) struct Settlement<'l> {
    link: &'l Link,
    operation: MessagingOperation<RabbitMq>,
    covered: Settling<Arc<Known>>,
}

impl Settlement<'_> {
    pub(crate) async fn run(
        self,
        settling: impl Future<Output = Result<(), Error>>,
    ) -> Result<(), Error> {
        let Self { link, operation, covered } = self;
        let settled = operation.run(settling).await;
        if settled.is_err() {
            link.unsettled.put_back(covered);
        }
        settled
    }

    /// As [`run`](Self::run), for what answers whether it settled anything; `why_not` tells that it did
    /// not.
    pub(crate) async fn run_once(
        self,
        settling: impl Future<Output = Result<bool, Error>>,
        why_not: impl FnOnce() -> Failure,
    ) -> Result<bool, Error> {
        let Self { link, operation, covered } = self;
        let tell = |done: &bool, operation: &mut MessagingOperation<RabbitMq>| {
            if !done {
                operation.failed(why_not());
            }
        };
        let settled = operation.run_with(settling, tell).await;
        if !matches!(settled, Ok(true)) {
            link.unsettled.put_back(covered);
        }
        settled
    }
}
