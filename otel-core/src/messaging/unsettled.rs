//! Layer `messaging`: which messages were delivered and are not settled yet, for clients that
//! settle many by one position: a committed offset, an acknowledgement of all up to here. What such
//! a call tells names no message, and its span is to link to all that it covers.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use opentelemetry::trace::SpanContext;

use super::delivery::{Delivery, MOST_LINKS};

/// A consumer that never settles keeps the last of its messages, not all.
const MOST_MESSAGES: usize = 1024;

/// The messages, those with a trace or all, that a consumer delivered and has not settled, in order, by what the
/// client knows them by: a partition and an offset, a channel and a tag. Bounded: of a consumer that
/// never settles, the last ones.
#[derive(Debug)]
pub struct Unsettled<M>(Mutex<VecDeque<(M, SpanContext)>>);

/// What one call settles, taken out of [`Unsettled`] until it is known whether it did.
#[derive(Debug)]
#[must_use = "what is not settled after all is to be put back"]
pub struct Settling<M>(Vec<(M, SpanContext)>);

impl<M> Default for Unsettled<M> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<M> Unsettled<M> {
    fn lock(&self) -> MutexGuard<'_, VecDeque<(M, SpanContext)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Notes a delivered message, if it carries a span. `message` makes it, from the one before it
    /// if there is any, so that both may share what they have in common.
    ///
    /// `order` compares a message that was noted with this one, if both are of the same place. What
    /// does not come before it there is forgotten: it is delivered again, after a seek or when the
    /// place has been somebody else's.
    pub fn note(
        &self,
        delivery: &Delivery,
        order: impl Fn(&M) -> Option<Ordering>,
        message: impl FnOnce(Option<&M>) -> M,
    ) {
        if delivery.span_context().is_some() {
            self.note_any(delivery, order, message);
        }
    }

    /// As [`note`](Self::note), also where it carries no span: for clients whose calls say of no
    /// message what it was and where it came from, and of many not how many.
    pub fn note_any(
        &self,
        delivery: &Delivery,
        order: impl Fn(&M) -> Option<Ordering>,
        message: impl FnOnce(Option<&M>) -> M,
    ) {
        let span = delivery.span_context().unwrap_or(SpanContext::NONE);
        let mut entries = self.lock();
        let last = entries.iter().rev().find_map(|(known, _)| order(known));
        if last.is_some_and(Ordering::is_ge) {
            entries.retain(|(known, _)| order(known).is_none_or(Ordering::is_lt));
        }
        if entries.len() == MOST_MESSAGES {
            entries.pop_front();
        }
        let message = message(entries.back().map(|(known, _)| known));
        entries.push_back((message, span));
    }

    /// Changes what is known of messages.
    pub fn update(&self, mut change: impl FnMut(&mut M)) {
        self.lock().iter_mut().for_each(|(message, _)| change(message));
    }

    /// Takes out what a call covers, in order: it is settled by that call and by no other.
    pub fn take(&self, covers: impl Fn(&M) -> bool) -> Settling<M> {
        let mut entries = self.lock();
        let (taken, rest) = entries.drain(..).partition(|(message, _)| covers(message));
        *entries = rest;
        Settling(VecDeque::into(taken))
    }

    /// Takes out one message that a call settles, if it was noted: of the first that it `is`. The
    /// others stay where they are, which matters where each message is settled by itself.
    pub fn take_one(&self, is: impl Fn(&M) -> bool) -> Settling<M> {
        let mut entries = self.lock();
        let found = entries.iter().position(|(message, _)| is(message));
        Settling(found.and_then(|place| entries.remove(place)).into_iter().collect())
    }

    /// Has back what was not settled after all.
    pub fn put_back(&self, settling: Settling<M>) {
        let mut entries = self.lock();
        for entry in settling.0.into_iter().rev() {
            if entries.len() < MOST_MESSAGES {
                entries.push_front(entry);
            }
        }
    }
}

impl<M> Settling<M> {
    /// The messages, in order.
    pub fn messages(&self) -> impl Iterator<Item = &M> {
        self.0.iter().map(|(message, _)| message)
    }

    /// Keeps only some of them, such as those whose part of the call failed.
    pub fn retain(&mut self, keep: impl Fn(&M) -> bool) {
        self.0.retain(|(message, _)| keep(message));
    }

    /// What [`settle`](crate::Messaging::settle) takes: the messages, and one that was not noted.
    /// Of more than a span has links for, the last ones, which are those that are looked for.
    pub fn deliveries(&self, own: Option<Delivery>) -> Vec<Delivery> {
        let most = MOST_LINKS - usize::from(own.is_some());
        let last = self.0.get(self.0.len().saturating_sub(most)..).unwrap_or_default();
        let spans = last.iter().map(|(_, span)| span).filter(|span| span.is_valid());
        spans.map(|span| span.clone().into()).chain(own).collect()
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanId, TraceFlags, TraceId, TraceState};

    use super::*;

    fn span(number: u64) -> SpanContext {
        let (trace, span) = (TraceId::from(u128::from(number) + 1), SpanId::from(number + 1));
        SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::NONE)
    }

    /// A place and a position in it.
    fn note(unsettled: &Unsettled<(u8, u64)>, place: u8, position: u64) {
        let order = |known: &(u8, u64)| (known.0 == place).then(|| known.1.cmp(&position));
        unsettled.note(&span(position).into(), order, |_| (place, position));
    }

    fn all(unsettled: &Unsettled<(u8, u64)>) -> Vec<(u8, u64)> {
        unsettled.lock().iter().map(|(message, _)| *message).collect()
    }

    /// A consumer that never commits, and one that does once: the last messages are linked.
    #[test]
    fn bounded() {
        let unsettled = Unsettled::default();
        (0..1100).for_each(|position| note(&unsettled, 0, position));
        assert_eq!(all(&unsettled), (76..1100).map(|it| (0, it)).collect::<Vec<_>>());
        let settling = unsettled.take(|_| true);
        let linked = settling.deliveries(None);
        let linked: Vec<_> = linked.iter().filter_map(Delivery::span_context).collect();
        assert_eq!(linked, (972..1100).map(span).collect::<Vec<_>>());
        assert_eq!(settling.deliveries(Some(Delivery::default())).len(), 128);
        assert!(unsettled.is_empty());
        // Some more came while the call failed.
        (1100..1110).for_each(|position| note(&unsettled, 0, position));
        unsettled.put_back(settling);
        assert_eq!(all(&unsettled), (86..1110).map(|it| (0, it)).collect::<Vec<_>>());
    }

    #[test]
    fn delivered_again() {
        let unsettled = Unsettled::default();
        for (place, position) in [(0, 1), (1, 5), (0, 2), (0, 3), (1, 6), (0, 2)] {
            note(&unsettled, place, position);
        }
        assert_eq!(all(&unsettled), [(0, 1), (1, 5), (1, 6), (0, 2)]);
    }

    #[test]
    fn settled_by_one_call() {
        let unsettled = Unsettled::default();
        unsettled.note(&Delivery::default(), |_| None, |_| (0, 0));
        assert!(unsettled.is_empty(), "it carries nothing");
        unsettled.note_any(&Delivery::default(), |_| None, |_| (7, 0));
        let nothing = unsettled.take(|_| true);
        assert_eq!(nothing.messages().collect::<Vec<_>>(), [&(7, 0)]);
        assert!(nothing.deliveries(None).is_empty());
        (0..4).for_each(|position| note(&unsettled, 0, position));
        unsettled.update(|message| message.0 = u8::from(message.1 == 3));
        let mut settling = unsettled.take(|message| message.0 == 0);
        assert_eq!(settling.messages().count(), 3);
        settling.retain(|message| message.1 == 1);
        unsettled.put_back(settling);
        assert_eq!(all(&unsettled), [(0, 1), (1, 3)]);
    }

    /// Out of order, as acknowledgements of single messages come.
    #[test]
    fn settled_one_by_one() {
        let unsettled = Unsettled::default();
        (0..4).for_each(|position| note(&unsettled, 0, position));
        let settling = unsettled.take_one(|message| message.1 == 2);
        assert_eq!(settling.messages().collect::<Vec<_>>(), [&(0, 2)]);
        assert_eq!(unsettled.take_one(|message| message.1 == 2).messages().count(), 0);
        assert_eq!(all(&unsettled), [(0, 0), (0, 1), (0, 3)]);
    }
}
