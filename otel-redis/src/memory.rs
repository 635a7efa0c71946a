//! Which entries of streams were read: what a program handles and acknowledges is known by the
//! stream and the id alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use otel_core::messaging::Delivery;

/// A client that never acknowledges keeps the last of its entries, not all.
const MOST_ENTRIES: usize = 8192;

/// The entries that the connections of a client have read, and that are not acknowledged yet.
#[derive(Default)]
pub(crate) struct Memory(Mutex<Reads>);

/// Found by their ids, since one call may acknowledge all of them; forgotten in the order in which
/// they came.
#[derive(Default)]
struct Reads {
    by_id: BTreeMap<(Id, u64), Read>,
    ids: BTreeMap<u64, Id>,
    next: u64,
}

/// An entry that was read.
#[derive(Clone)]
pub(crate) struct Read {
    pub(crate) stream: Arc<[u8]>,
    pub(crate) group: Option<Arc<[u8]>>,
    /// The id, and the place in the order.
    key: (Id, u64),
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

impl Reads {
    /// The last one first.
    fn of(&self, id: Id) -> impl Iterator<Item = &Read> {
        self.by_id.range((id, 0)..=(id, u64::MAX)).rev().map(|(_, read)| read)
    }
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, Reads> {
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
        if reads.ids.len() == MOST_ENTRIES
            && let Some((place, id)) = reads.ids.pop_first()
        {
            reads.by_id.remove(&(id, place));
        }
        // Those of one answer share what they have in common.
        let last = reads.ids.last_key_value();
        let last = last.and_then(|(place, id)| reads.by_id.get(&(*id, *place)));
        let known = last.map(|last| &last.stream).filter(|known| ***known == *stream);
        let stream = known.map_or_else(|| stream.into(), Arc::clone);
        let known = last.and_then(|last| last.group.as_ref());
        let known = known.filter(|known| Some(&***known) == group).map(Arc::clone);
        let group = known.or_else(|| group.map(Arc::from));
        let key = (id, reads.next);
        reads.next += 1;
        reads.ids.insert(key.1, id);
        reads.by_id.insert(key, Read { stream, group, key, delivery });
    }

    /// What was read last under this id, by whatever group.
    pub(crate) fn find(&self, stream: &[u8], entry: &[u8]) -> Option<Read> {
        let id = id(entry)?;
        self.lock().of(id).find(|read| *read.stream == *stream).cloned()
    }

    /// What a group has read of these, each once.
    pub(crate) fn of_group(&self, stream: &[u8], group: &[u8], entries: &[&[u8]]) -> Vec<Read> {
        let (reads, mut seen) = (self.lock(), BTreeSet::new());
        let is = |read: &&Read| *read.stream == *stream && read.group.as_deref() == Some(group);
        let last = |entry: &&[u8]| reads.of(id(entry)?).find(is);
        entries.iter().filter_map(last).filter(|read| seen.insert(read.key)).cloned().collect()
    }

    /// Forgets what its group is done with.
    pub(crate) fn forget(&self, done: &[Read]) {
        let mut reads = self.lock();
        for read in done {
            let is = |it: &&Read| it.stream == read.stream && it.group == read.group;
            // One that was claimed, or asked for again, was read more than once.
            let keys: Vec<_> = reads.of(read.key.0).filter(is).map(|it| it.key).collect();
            for key in keys {
                reads.ids.remove(&key.1);
                reads.by_id.remove(&key);
            }
        }
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
        assert_eq!(memory.lock().ids.len(), MOST_ENTRIES);
        assert!(memory.find(b"s", b"5-7").is_none());
        let found = memory.find(b"s", b"5-8").unwrap().delivery.span_context();
        assert_eq!(found, delivery(8).span_context());
        let known = memory.of_group(b"s", b"g", &[b"5-8", b"5-8199"]);
        assert_eq!(known.len(), 2);
        memory.note(b"s", None, b"6", delivery(1));
        assert_eq!(memory.lock().ids.len(), MOST_ENTRIES);
        assert_eq!(memory.lock().by_id.len(), MOST_ENTRIES);
        memory.forget(&known);
        assert_eq!(memory.lock().ids.len(), MOST_ENTRIES - 1);
        assert!(memory.find(b"s", b"6-0").is_some());
    }

    #[test]
    fn each_group_has_its_own() {
        let memory = Memory::default();
        for (group, number) in [(Some(&b"a"[..]), 1), (Some(b"b"), 2), (None, 3)] {
            memory.note(b"s", group, b"5-1", delivery(number));
        }
        memory.note(b"s", Some(b"a"), b"5-1", delivery(4));
        let known = memory.of_group(b"s", b"a", &[b"5-1", b"5-2", b"broken", b"5-1"]);
        assert_eq!(known.len(), 1);
        assert_eq!(known[0].delivery.span_context(), delivery(4).span_context());
        memory.forget(&known);
        assert!(memory.of_group(b"s", b"a", &[b"5-1"]).is_empty());
        assert_eq!(memory.of_group(b"s", b"b", &[b"5-1"]).len(), 1);
        assert!(memory.of_group(b"t", b"b", &[b"5-1"]).is_empty());
        memory.note(b"s", None, b"5-9", Delivery::default());
        assert!(memory.find(b"s", b"5-9").is_none(), "it carries nothing");
    }
}
