//! Which messages were delivered and not yet committed: a commit tells offsets, its span links to
//! messages.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opentelemetry::trace::SpanContext;
use otel_core::messaging::Delivery;
use otel_core::opentelemetry;
use rdkafka::Offset;
use rdkafka::topic_partition_list::TopicPartitionListElem;

/// A consumer that never commits keeps the last of its messages, not all.
const MOST_MESSAGES: usize = 1024;
/// No span takes more links; see the core. The last messages are those that are looked for.
const MOST_LINKS: usize = 128;

/// The spans that messages carried, in the order of their delivery.
#[derive(Debug, Default)]
pub(super) struct Unsettled(Mutex<VecDeque<Entry>>);

#[derive(Debug)]
pub(super) struct Entry {
    topic: Arc<str>,
    partition: i32,
    pub(super) offset: i64,
    span: SpanContext,
    /// Whether the application stored its offset, to be committed later.
    pub(super) stored: bool,
}

impl Entry {
    fn is_in(&self, topic: &str, partition: i32) -> bool {
        self.partition == partition && *self.topic == *topic
    }
}

impl Unsettled {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    pub(super) fn note(&self, topic: &str, partition: i32, offset: i64, span: SpanContext) {
        let mut entries = self.lock();
        let last = entries.iter().rev().find(|entry| entry.is_in(topic, partition));
        // Delivered again, after a seek or a rebalance: what came after it will be as well.
        if last.is_some_and(|last| last.offset >= offset) {
            entries.retain(|entry| !entry.is_in(topic, partition) || entry.offset < offset);
        }
        if entries.len() == MOST_MESSAGES {
            entries.pop_front();
        }
        let known = entries.back().filter(|entry| *entry.topic == *topic);
        let topic = known.map_or_else(|| Arc::from(topic), |entry| Arc::clone(&entry.topic));
        entries.push_back(Entry { topic, partition, offset, span, stored: false });
    }

    /// Notes that of these partitions all before an offset may be committed, and nothing from there
    /// on.
    pub(super) fn store(&self, stored: &Covered<'_>) {
        for entry in &mut *self.lock() {
            if let Some(next) = stored.next_of(entry) {
                entry.stored = entry.offset < next;
            }
        }
    }

    /// Takes out what is covered, in order: it is settled by one commit and by no other.
    pub(super) fn take(&self, covers: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        let mut entries = self.lock();
        let (taken, rest) = entries.drain(..).partition(covers);
        *entries = rest;
        taken.into()
    }

    /// Has back what was not settled after all.
    pub(super) fn put_back(&self, taken: Vec<Entry>) {
        let mut entries = self.lock();
        for entry in taken.into_iter().rev() {
            if entries.len() < MOST_MESSAGES {
                entries.push_front(entry);
            }
        }
    }
}

/// The last of the messages.
pub(super) fn links(taken: &[Entry], own: Option<Delivery>) -> Vec<Delivery> {
    let most = MOST_LINKS - usize::from(own.is_some());
    let last = taken.get(taken.len().saturating_sub(most)..).unwrap_or_default();
    last.iter().map(|entry| entry.span.clone().into()).chain(own).collect()
}

/// What a commit covers: of each partition, what is before an offset.
pub(super) struct Covered<'l>(HashMap<(&'l str, i32), i64>);

impl<'l> Covered<'l> {
    pub(super) fn before(topic: &'l str, partition: i32, offset: i64) -> Self {
        Self(HashMap::from([((topic, partition), offset)]))
    }

    /// By the offsets of a list, of those partitions that have one.
    pub(super) fn by<'e: 'l>(
        elements: impl IntoIterator<Item = &'l TopicPartitionListElem<'e>>,
    ) -> Self {
        let offsets = elements.into_iter().filter_map(|element| match element.offset() {
            Offset::Offset(offset) => Some(((element.topic(), element.partition()), offset)),
            _ => None,
        });
        Self(offsets.collect())
    }

    /// All of the partitions of a list.
    pub(super) fn all_of(elements: &'l [TopicPartitionListElem<'_>]) -> Self {
        let places = elements.iter().map(|element| (element.topic(), element.partition()));
        Self(places.map(|place| (place, i64::MAX)).collect())
    }

    pub(super) fn covers(&self, entry: &Entry) -> bool {
        self.next_of(entry).is_some_and(|next| entry.offset < next)
    }

    fn next_of(&self, entry: &Entry) -> Option<i64> {
        self.0.get(&(&*entry.topic, entry.partition)).copied()
    }

    /// The topic, if it is one alone, and the partition, if that is.
    pub(super) fn place(&self) -> (Option<&'l str>, Option<i32>) {
        let mut places = self.0.keys();
        match places.next() {
            Some((topic, partition)) if self.0.len() == 1 => (Some(topic), Some(*partition)),
            Some((topic, _)) if places.all(|(other, _)| other == topic) => (Some(topic), None),
            _ => (None, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanId, TraceFlags, TraceId, TraceState};

    use super::*;

    fn span(number: i64) -> SpanContext {
        let number = u64::try_from(number).unwrap() + 1;
        let (trace, span) = (TraceId::from(u128::from(number)), SpanId::from(number));
        SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::NONE)
    }

    /// A consumer that never commits, and one that does once: the last messages are linked.
    #[test]
    fn bounded() {
        let unsettled = Unsettled::default();
        for offset in 0..1100 {
            unsettled.note("orders", 0, offset, span(offset));
        }
        assert_eq!(unsettled.lock().len(), 1024);
        assert_eq!(unsettled.lock()[0].offset, 1100 - 1024);
        let taken = unsettled.take(|_| true);
        let last: Vec<_> = links(&taken, None).iter().filter_map(Delivery::span_context).collect();
        assert_eq!(last, (1100 - 128..1100).map(span).collect::<Vec<_>>());
        assert_eq!(links(&taken, Some(Delivery::default())).len(), 128);
        assert!(unsettled.is_empty());
        // Some more came while the commit failed.
        for offset in 1100..1110 {
            unsettled.note("orders", 0, offset, span(offset));
        }
        unsettled.put_back(taken);
        assert_eq!(unsettled.lock().len(), 1024);
        let offsets: Vec<_> = unsettled.lock().iter().map(|entry| entry.offset).collect();
        assert_eq!(offsets, (1110 - 1024..1110).collect::<Vec<_>>());
    }
}
