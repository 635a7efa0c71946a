//! Which entries of streams were read: what a program handles and acknowledges is known by the
//! stream and the id alone.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use otel_core::messaging::Delivery;

/// A client that never acknowledges keeps the last of its entries, not all.
const MOST_ENTRIES: usize = 8192;

/// The entries that the connections of a client have read, and that are not acknowledged yet.
#[derive(Default)]
pub(crate) struct Memory(Mutex<VecDeque<Read>>);

/// An entry that was read.
#[derive(Clone)]
pub(crate) struct Read {
    pub(crate) stream: Arc<[u8]>,
    pub(crate) group: Option<Arc<[u8]>>,
    id: Id,
    pub(crate) delivery: Delivery,
}

/// Milliseconds and number.
type Id = (u64, u64);

/// As the server reads it: a number that is left out is 0.
fn id(text: &[u8]) -> Option<Id> {
    let text = str::from_utf8(text).ok()?;
    let (time, number) = text.split_once('-').unwrap_or((text, "0"));
    Some((time.parse().ok()?, number.parse().ok()?))
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Read>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what was read.
    pub(crate) fn note(
        &self,
        stream: &[u8],
        group: Option<&[u8]>,
        entry: &[u8],
        delivery: Delivery,
    ) {
        let Some(id) = id(entry).filter(|_| !delivery.is_empty()) else { return };
        let mut reads = self.lock();
        if reads.len() == MOST_ENTRIES {
            reads.pop_front();
        }
        // Those of one answer share what they have in common.
        let last = reads.back();
        let known = last.map(|last| &last.stream).filter(|known| ***known == *stream);
        let stream = known.map_or_else(|| stream.into(), Arc::clone);
        let known = last.and_then(|last| last.group.as_ref());
        let known = known.filter(|known| Some(&***known) == group).map(Arc::clone);
        let group = known.or_else(|| group.map(Arc::from));
        reads.push_back(Read { stream, group, id, delivery });
    }

    /// What was read last under this id, by whatever group.
    pub(crate) fn find(&self, stream: &[u8], entry: &[u8]) -> Option<Read> {
        let id = id(entry)?;
        let reads = self.lock();
        // What is asked for was mostly read a moment ago.
        reads.iter().rev().find(|read| read.id == id && *read.stream == *stream).cloned()
    }

    /// Takes out what a group is done with.
    pub(crate) fn take(&self, stream: &[u8], group: &[u8], entries: &[&[u8]]) -> Vec<Read> {
        let mut reads = self.lock();
        let mut take = |entry: &&[u8]| {
            let id = id(entry)?;
            let is = |read: &Read| {
                read.id == id && *read.stream == *stream && read.group.as_deref() == Some(group)
            };
            let mut last = None;
            // One that was claimed, or asked for again, was read more than once.
            while let Some(place) = reads.iter().rposition(is) {
                let read = reads.remove(place);
                last = last.or(read);
            }
            last
        };
        entries.iter().filter_map(&mut take).collect()
    }

    /// Has back what was not acknowledged after all.
    pub(crate) fn put_back(&self, taken: Vec<Read>) {
        let mut reads = self.lock();
        let space = MOST_ENTRIES - reads.len();
        taken.into_iter().rev().take(space).for_each(|read| reads.push_front(read));
    }
}

#[cfg(test)]
mod tests {
    use otel_core::opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

    use super::*;

    fn delivery(number: u64) -> Delivery {
        let (trace, span) = (TraceId::from(1), SpanId::from(number + 1));
        SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::NONE).into()
    }

    #[test]
    fn of_a_client_that_never_acknowledges_the_last_entries_are_known() {
        let memory = Memory::default();
        for number in 0..8200 {
            let id = format!("5-{number}");
            memory.note(b"s", Some(b"g"), id.as_bytes(), delivery(number));
        }
        assert_eq!(memory.lock().len(), MOST_ENTRIES);
        assert!(memory.find(b"s", b"5-7").is_none());
        let found = memory.find(b"s", b"5-8").unwrap().delivery.span_context();
        assert_eq!(found, delivery(8).span_context());
        let taken = memory.take(b"s", b"g", &[b"5-8", b"5-8199"]);
        assert_eq!(taken.len(), 2);
        memory.note(b"s", None, b"6", delivery(1));
        memory.put_back(taken);
        assert_eq!(memory.lock().len(), MOST_ENTRIES);
        assert!(memory.find(b"s", b"6-0").is_some());
    }

    #[test]
    fn each_group_has_its_own() {
        let memory = Memory::default();
        for (group, number) in [(Some(&b"a"[..]), 1), (Some(b"b"), 2), (None, 3)] {
            memory.note(b"s", group, b"5-1", delivery(number));
        }
        memory.note(b"s", Some(b"a"), b"5-1", delivery(4));
        let taken = memory.take(b"s", b"a", &[b"5-1", b"5-2", b"broken", b"5-1"]);
        assert_eq!(taken.len(), 1);
        assert_eq!(taken[0].delivery.span_context(), delivery(4).span_context());
        assert!(memory.take(b"t", b"b", &[b"5-1"]).is_empty());
        memory.note(b"s", None, b"5-9", Delivery::default());
        assert!(memory.find(b"s", b"5-9").is_none(), "it carries nothing");
    }
}
