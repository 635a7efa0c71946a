//! What a commit covers of the messages that were delivered: it tells offsets, its span links to
//! messages.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use rdkafka::Offset;
use rdkafka::topic_partition_list::TopicPartitionListElem;

/// A message that was delivered and not yet committed.
#[derive(Debug)]
pub(super) struct Delivered {
    topic: Arc<str>,
    partition: i32,
    pub(super) offset: i64,
    /// Whether the application stored its offset, to be committed later.
    pub(super) stored: bool,
}

impl Delivered {
    /// A message after another one, which is often of the same topic.
    pub(super) fn after(last: Option<&Self>, topic: &str, partition: i32, offset: i64) -> Self {
        let known = last.filter(|last| *last.topic == *topic);
        let topic = known.map_or_else(|| Arc::from(topic), |last| Arc::clone(&last.topic));
        Self { topic, partition, offset, stored: false }
    }

    /// Where it stands to an offset of a partition, if it is of that.
    pub(super) fn order(&self, topic: &str, partition: i32, offset: i64) -> Option<Ordering> {
        let is_in = self.partition == partition && *self.topic == *topic;
        is_in.then(|| self.offset.cmp(&offset))
    }

    /// Notes that of these partitions all before an offset may be committed, and nothing from there
    /// on.
    pub(super) fn store(&mut self, stored: &Covered<'_>) {
        if let Some(next) = stored.next_of(self) {
            self.stored = self.offset < next;
        }
    }
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

    pub(super) fn covers(&self, entry: &Delivered) -> bool {
        self.next_of(entry).is_some_and(|next| entry.offset < next)
    }

    fn next_of(&self, entry: &Delivered) -> Option<i64> {
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
