//! Which messages came back, and so which operations failed.
//!
//! The broker returns a message before it confirms it. lapin keeps what came back in one queue, and
//! gives the first to whichever confirm it tells next. So, in lapin's order: a confirm without a message
//! says that the queue was empty, and all that were told before are what they seem. A confirm with
//! another's message says whose that was; its own may yet come with a later one.

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::sync::Arc;

use lapin::BasicProperties;
use lapin::message::BasicReturnMessage;
use lapin::types::ShortString;
use otel_core::opentelemetry::trace::{SpanContext, SpanId, TraceId};
use otel_core::propagation::ByteCarrier;
use otel_core::{Failure, Messaging, MessagingOperation};

use super::{MOST_DROPPED, Watched};
use crate::carrier::Incoming;
use crate::driver::{self, RabbitMq};

/// So many wait at most for others' confirms.
const MOST_UNSURE: usize = 1024;

/// What a message that may come back is known by. Messages that the application gave one trace may be
/// alike; then they also go to the same place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    span: Option<(TraceId, SpanId)>,
    exchange: ShortString,
    routing_key: ShortString,
    length: usize,
}

impl Identity {
    pub(crate) fn new(
        messaging: &Messaging<RabbitMq>,
        (exchange, routing_key): (&ShortString, &ShortString),
        properties: &BasicProperties,
        length: usize,
    ) -> Self {
        let delivery = messaging.delivery(&ByteCarrier::new(&Incoming(properties)));
        let ids = |span: SpanContext| (span.trace_id(), span.span_id());
        let span = delivery.span_context().map(ids);
        Self { span, exchange: exchange.clone(), routing_key: routing_key.clone(), length }
    }
}

/// What is known of a message whose operation has not ended.
#[derive(Default)]
struct Open {
    receipt: Option<Arc<Watched>>,
    /// Of a message that may come back.
    identity: Option<Identity>,
    /// Why it came back.
    returned: Option<u16>,
    answer: Option<Answer>,
    /// When it was let go of.
    dropped: Option<u64>,
}

/// What was said of a message.
pub(super) struct Answer {
    pub(super) operation: MessagingOperation<RabbitMq>,
    pub(super) failure: Option<Failure>,
    /// A message that came back, and why; whosever it is.
    pub(super) carried: Option<(Identity, u16)>,
    /// Whether the channel was lost.
    pub(super) is_lost: bool,
}

impl Answer {
    fn ending(self, returned: Option<u16>) -> Ending {
        let failure = returned.map(driver::returned).or(self.failure);
        Ending { operation: self.operation, failure }
    }
}

/// An operation, and how it ends.
pub(super) struct Ending {
    operation: MessagingOperation<RabbitMq>,
    failure: Option<Failure>,
}

impl Ending {
    pub(super) fn tell(self) {
        match self.failure {
            Some(failure) => self.operation.fail_with(failure),
            None => self.operation.finish(),
        }
    }
}

/// A message that came back with a confirm that nobody held.
struct Returned {
    /// Whether it came only after that was let go of, which are the later ones to lapin.
    late: bool,
    dropped: u64,
    message: Kept,
}

pub(super) enum Kept {
    There(Box<BasicReturnMessage>),
    Inside(Arc<Watched>),
}

impl Kept {
    pub(super) fn message(self) -> Option<BasicReturnMessage> {
        match self {
            Self::There(message) => Some(*message),
            Self::Inside(receipt) => receipt.take().and_then(super::message_of),
        }
    }
}

#[derive(Default)]
pub(super) struct State {
    last: u64,
    open: HashMap<u64, Open>,
    /// What lapin told, in its order, and is not decided.
    order: VecDeque<u64>,
    /// Told with another's message.
    unsure: VecDeque<(Identity, Answer)>,
    /// Came back before it was heard that they are written.
    strays: VecDeque<(Identity, u16)>,
    dropped: VecDeque<u64>,
    drops: u64,
    returned: Vec<Returned>,
}

impl State {
    pub(super) fn open(&mut self, identity: Option<Identity>) -> u64 {
        self.last += 1;
        let place = |known: &Identity| self.strays.iter().position(|(stray, _)| stray == known);
        let known = identity.as_ref().and_then(place);
        let returned = known.and_then(|place| self.strays.remove(place)).map(|(_, code)| code);
        self.open.insert(self.last, Open { identity, returned, ..Open::default() });
        self.last
    }

    pub(super) fn watched(&mut self, number: u64, receipt: &Arc<Watched>) {
        if let Some(open) = self.open.get_mut(&number) {
            open.receipt = Some(Arc::clone(receipt));
        }
    }

    pub(super) fn is_decided(&self) -> bool {
        self.order.is_empty()
    }

    /// Notes what was told, and answers what is to be looked at.
    pub(super) fn told(&mut self, fresh: Vec<u64>) -> Vec<(u64, Arc<Watched>)> {
        let receipt = |number: &u64| {
            let receipt = self.open.get(number)?.receipt.as_ref()?;
            Some((*number, Arc::clone(receipt)))
        };
        let looked = fresh.iter().filter_map(receipt).collect();
        self.order.extend(fresh);
        looked
    }

    /// Notes that one was woken and not told.
    pub(super) fn not_yet(&mut self, number: u64) {
        self.order.retain(|other| *other != number);
    }

    /// Notes what was said of a message. Has it back if nobody asks any more.
    pub(super) fn answered(&mut self, number: u64, answer: Answer) -> Option<Ending> {
        match self.open.get_mut(&number) {
            Some(open) => {
                open.answer = Some(answer);
                None
            }
            None => Some(answer.ending(None)),
        }
    }

    /// What can be decided now.
    pub(super) fn decide(&mut self) -> Vec<Ending> {
        let mut endings = Vec::new();
        while let Some(number) = self.order.front().copied() {
            let looks = |open: &Open| open.answer.is_none();
            // Somebody else looks at it right now, and decides then.
            if self.open.get(&number).is_some_and(looks) {
                break;
            }
            self.order.pop_front();
            let Some(open) = self.open.remove(&number) else { continue };
            self.decide_one(open, &mut endings);
        }
        let may_come_back = |open: &Open| open.identity.is_some();
        if !self.unsure.is_empty() && !self.open.values().any(may_come_back) {
            endings.extend(self.no_more_returned());
        }
        while self.unsure.len() > MOST_UNSURE {
            endings.extend(self.unsure.pop_front().map(|(_, answer)| answer.ending(None)));
        }
        endings
    }

    fn decide_one(&mut self, open: Open, endings: &mut Vec<Ending>) {
        let Open { receipt, identity, mut returned, answer, dropped } = open;
        let Some(mut answer) = answer else { return };
        if answer.is_lost {
            // As lapin, which forgets them with the channel.
            self.returned.retain(|returned| !returned.late);
        }
        let Some((carried, code)) = answer.carried.take() else {
            endings.extend(self.no_more_returned());
            endings.push(answer.ending(returned));
            return;
        };
        if let (Some(dropped), Some(receipt)) = (dropped, receipt) {
            self.returned.push(Returned { late: true, dropped, message: Kept::Inside(receipt) });
        }
        if returned.is_none() && identity.as_ref() == Some(&carried) {
            returned = Some(code);
        } else {
            endings.extend(self.came_back(&carried, code));
        }
        match identity {
            Some(identity) if returned.is_none() => self.unsure.push_back((identity, answer)),
            _ => endings.push(answer.ending(returned)),
        }
    }

    /// Notes a message that came back with another's confirm. Its own may have been told before.
    fn came_back(&mut self, identity: &Identity, code: u16) -> Option<Ending> {
        let known = self.unsure.iter().position(|(other, _)| other == identity);
        if let Some((_, answer)) = known.and_then(|place| self.unsure.remove(place)) {
            return Some(answer.ending(Some(code)));
        }
        let mut open = self.open.values_mut();
        let same =
            |open: &&mut Open| open.returned.is_none() && open.identity.as_ref() == Some(identity);
        if let Some(open) = open.find(same) {
            open.returned = Some(code);
            return None;
        }
        if self.strays.len() == MOST_UNSURE {
            self.strays.pop_front();
        }
        self.strays.push_back((identity.clone(), code));
        None
    }

    /// Nothing that came back is left for those that were told with another's message.
    pub(super) fn no_more_returned(&mut self) -> Vec<Ending> {
        let unsure = mem::take(&mut self.unsure);
        unsure.into_iter().map(|(_, answer)| answer.ending(None)).collect()
    }

    /// Notes that nobody holds a confirm any more. Answers what lapin is to have back.
    pub(super) fn dropped(
        &mut self,
        number: u64,
        message: Option<BasicReturnMessage>,
    ) -> Option<Arc<Watched>> {
        self.drops += 1;
        let dropped = self.drops;
        if let Some(message) = message {
            let message = Kept::There(Box::new(message));
            self.returned.push(Returned { late: false, dropped, message });
            return None;
        }
        self.open.get_mut(&number)?.dropped = Some(dropped);
        self.dropped.push_back(number);
        if self.dropped.len() <= MOST_DROPPED {
            return None;
        }
        let oldest = self.dropped.pop_front()?;
        self.open.remove(&oldest)?.receipt
    }

    /// In lapin's order: first those that came before their confirm was let go of.
    pub(super) fn take_returned(&mut self) -> Vec<Kept> {
        let mut returned = mem::take(&mut self.returned);
        returned.sort_by_key(|returned| (returned.late, returned.dropped));
        returned.into_iter().map(|returned| returned.message).collect()
    }
}

#[cfg(test)]
mod tests {
    use otel_core::Telemetry;

    use super::*;
    use crate::driver::Facts;

    fn identity(key: &str) -> Identity {
        let messaging = Facts::default().messaging(&Telemetry::builder().enabled(false).build());
        let place = (&ShortString::default(), &ShortString::from(key));
        Identity::new(&messaging, place, &BasicProperties::default(), 7)
    }

    /// Tells of a message, with what came with it. Whether those came back that end by that.
    fn told(state: &mut State, number: u64, with: Option<&str>) -> Vec<bool> {
        let answer = Answer {
            operation: MessagingOperation::empty(),
            failure: None,
            carried: with.map(|key| (identity(key), 312)),
            is_lost: false,
        };
        assert!(state.told(vec![number]).is_empty(), "nothing is watched here");
        assert!(state.answered(number, answer).is_none());
        let came_back = Some(Failure::new("NO_ROUTE"));
        state.decide().into_iter().map(|ending| ending.failure == came_back).collect()
    }

    #[test]
    fn with_its_own_or_another_that_is_told_later() {
        let mut state = State::default();
        let [a, b, c] = ["a", "b", "c"].map(|key| state.open(Some(identity(key))));
        assert_eq!(told(&mut state, a, Some("a")), [true]);
        // It is not clear yet whether this came back as well.
        assert_eq!(told(&mut state, b, Some("c")), [false; 0]);
        assert_eq!(told(&mut state, c, Some("b")), [true, true]);
    }

    #[test]
    fn an_empty_queue_says_that_the_others_did_not_come_back() {
        let mut state = State::default();
        let [a, b, c] = ["a", "b", "c"].map(|key| state.open(Some(identity(key))));
        assert_eq!(told(&mut state, a, Some("b")), [false; 0]);
        assert_eq!(told(&mut state, c, None), [false, false]);
        assert_eq!(told(&mut state, b, None), [true]);
    }

    #[test]
    fn with_one_that_cannot_come_back() {
        let mut state = State::default();
        let plain = state.open(None);
        let a = state.open(Some(identity("a")));
        assert_eq!(told(&mut state, plain, Some("a")), [false]);
        assert_eq!(told(&mut state, a, None), [true]);
    }

    /// Once all that may come back were told, nothing is left in lapin's queue.
    #[test]
    fn nothing_is_left_at_the_end() {
        let mut state = State::default();
        let [a, b] = ["a", "b"].map(|key| state.open(Some(identity(key))));
        assert_eq!(told(&mut state, b, Some("a")), [false; 0]);
        assert_eq!(told(&mut state, a, None), [false, true]);
        let a = state.open(Some(identity("a")));
        assert_eq!(told(&mut state, a, Some("gone")), [false]);
    }

    /// The broker may answer before the task runs that publishes.
    #[test]
    fn came_back_before_it_was_heard_that_it_is_written() {
        let mut state = State::default();
        let a = state.open(Some(identity("a")));
        let other = state.open(Some(identity("other")));
        assert_eq!(told(&mut state, a, Some("b")), [false; 0]);
        let b = state.open(Some(identity("b")));
        assert_eq!(told(&mut state, b, None), [false, true]);
        assert_eq!(told(&mut state, other, None), [false]);
        assert!(state.open.is_empty() && state.strays.is_empty() && state.unsure.is_empty());
    }

    /// Somebody looks at one right now: those behind it wait for that.
    #[test]
    fn in_the_order_of_lapin() {
        let mut state = State::default();
        let [a, b] = ["a", "b"].map(|key| state.open(Some(identity(key))));
        assert!(state.told(vec![a]).is_empty());
        assert_eq!(told(&mut state, b, None), [false; 0]);
        assert_eq!(told(&mut state, a, Some("b")), [false, true]);
    }
}
