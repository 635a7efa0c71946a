//! Layer `operation`: operations whose end arrives elsewhere than their start.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

/// Operations that wait for their end, keyed by what start and end have in common: the request id
/// of a driver's events, the handle of a delivery report.
///
/// Bounded: when it is full, the oldest entry makes room. What leaves without having been taken is
/// dropped, which ends an [`Operation`](crate::Operation) as cancelled.
pub struct Pending<K, T> {
    capacity: usize,
    state: Mutex<State<K, T>>,
}

struct State<K, T> {
    entries: HashMap<K, (u64, T)>,
    /// Keys in the order of insertion. A key that was taken or inserted anew stays here until it is
    /// at the front; the number tells that it is stale.
    order: VecDeque<(u64, K)>,
    next: u64,
}

impl<K: Hash + Eq + Clone, T> Pending<K, T> {
    /// Keeps up to `capacity` entries, at least one.
    pub fn new(capacity: usize) -> Self {
        let state = State { entries: HashMap::new(), order: VecDeque::new(), next: 0 };
        Self { capacity: capacity.max(1), state: Mutex::new(state) }
    }

    /// Keeps an entry until its key is taken. One that had the same key is dropped.
    pub fn insert(&self, key: K, value: T) {
        // Dropped after the lock is released: the end of an operation runs code of the provider.
        let mut left = Vec::new();
        {
            let mut state = self.lock();
            let number = state.next;
            state.next += 1;
            left.extend(state.entries.insert(key.clone(), (number, value)));
            state.order.push_back((number, key));
            while state.entries.len() > self.capacity || state.order.len() > 2 * self.capacity {
                let Some((number, key)) = state.order.pop_front() else {
                    break;
                };
                let current = state.entries.get(&key).map(|(current, _)| *current);
                if current != Some(number) {
                    continue;
                }
                if state.entries.len() > self.capacity {
                    left.extend(state.entries.remove(&key));
                } else {
                    // Only the order was too long: the oldest living entry keeps its place.
                    state.order.push_front((number, key));
                    state.compact();
                }
            }
        }
        drop(left);
    }

    /// Takes the entry of a key, if it is still there.
    pub fn take(&self, key: &K) -> Option<T> {
        self.lock().entries.remove(key).map(|(_, value)| value)
    }

    /// The entry of a key, which stays: for what is looked up more than once, such as the context
    /// that commands belong to of which nobody waits for the end.
    pub fn get(&self, key: &K) -> Option<T>
    where
        T: Clone,
    {
        self.lock().entries.get(key).map(|(_, value)| value.clone())
    }

    /// The number of entries that wait now.
    pub fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// Whether nothing waits now.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K, T> Pending<K, T> {
    fn lock(&self) -> std::sync::MutexGuard<'_, State<K, T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq, T> State<K, T> {
    fn compact(&mut self) {
        let entries = &self.entries;
        self.order
            .retain(|(number, key)| entries.get(key).is_some_and(|(current, _)| current == number));
    }
}

impl<K, T> fmt::Debug for Pending<K, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Pending")
            .field("capacity", &self.capacity)
            .field("len", &self.lock().entries.len())
            .finish_non_exhaustive()
    }
}
