//! Layer `telemetry`: a bounded cache of what is made of texts that come again and again.
//!
//! Each group of threads has a stripe of its own, so that threads that run at the same time
//! rarely write to the same memory: not to a lock, not to a count of references, not to those
//! inside a value. Within a stripe, whoever meets a lock that is taken passes by.

use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock, RwLock};

use foldhash::fast::RandomState;

/// Groups of threads. Each keeps what it uses, so more of them are bought with memory.
const STRIPES: usize = 4;
/// Sets of places in a stripe, and the places in each.
const SETS: usize = 64;
const WAYS: usize = 8;
/// Words that remember what was missed, in a stripe. Each holds the last four.
const DOORS: usize = 512;
/// Addresses in a stripe of which is known what lay there.
const HINTS: usize = 256;
/// Sets in which room is looked for, for one entry: bounds what keeping costs.
const SWEPT: usize = 4;

/// The entries that a cache holds at most.
pub const ENTRIES: usize = STRIPES * SETS * WAYS;
/// The bytes that the entries of a stripe own at most: some 300 statements of usual length.
const BUDGET: usize = 256 * 1024;
/// The bytes that one entry owns at most.
pub const LARGEST: usize = BUDGET / 4;

/// What is looked for: borrowed, and copied only when it is kept.
pub trait Key {
    /// What is kept of it.
    type Kept;

    /// Equal keys have equal hashes.
    fn hash(&self, hasher: &RandomState) -> u64;

    /// Address and length of what would have to be read for the hash, if that is much. What lies
    /// there may change: this only tells where to look first, and [`is`](Self::is) decides.
    fn lies_at(&self) -> Option<(usize, usize)>;

    /// Whether this was kept.
    fn is(&self, kept: &Self::Kept) -> bool;

    /// A copy that does not borrow.
    fn keep(&self) -> Self::Kept;

    /// The bytes that such a copy owns, itself not counted.
    fn bytes(&self) -> usize;
}

/// What is made of a key.
pub trait Value {
    /// The bytes that it owns, itself not counted.
    fn bytes(&self) -> usize;
}

/// The cache. Takes no memory of its own before its first use.
pub struct Cache<K, V> {
    stripes: [OnceLock<Box<Stripe<K, V>>>; STRIPES],
    hasher: RandomState,
}

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self { stripes: [const { OnceLock::new() }; STRIPES], hasher: RandomState::default() }
    }
}

impl<K, V> fmt::Debug for Cache<K, V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Cache").field("memory", &self.memory()).finish_non_exhaustive()
    }
}

impl<K, V> Cache<K, V> {
    /// The bytes that [`memory`](Self::memory) never exceeds.
    pub const BOUND: usize = STRIPES * (size_of::<Stripe<K, V>>() + BUDGET);

    /// The bytes held now. What the allocator adds is not known here, nor is what was let go but
    /// is still in use.
    pub fn memory(&self) -> usize {
        let stripes = self.stripes.iter().filter_map(OnceLock::get);
        stripes.map(|stripe| size_of_val(&**stripe) + stripe.bytes.load(Relaxed)).sum()
    }

    /// The entries held now.
    pub fn entries(&self) -> usize {
        let sets = self.stripes.iter().filter_map(OnceLock::get).flat_map(|stripe| &stripe.sets);
        sets.filter_map(|set| set.try_read().ok())
            .map(|set| set.entries.iter().flatten().count())
            .sum()
    }
}

impl<K, V: Value> Cache<K, V> {
    /// The value of `key`. It is kept the second time that it is made, since most keys that do not
    /// come again come once. `make` may use this cache.
    pub fn get<Q: Key<Kept = K>>(&self, key: &Q, make: impl FnOnce() -> V) -> Arc<V> {
        if key.bytes() > LARGEST {
            return Arc::new(make());
        }
        let stripe = self.stripes[stripe()].get_or_init(Box::default);
        let hint = key.lies_at().map(|lies_at| stripe.hint(lies_at));
        let hinted = hint.map_or(0, |hint| hint.load(Relaxed));
        if hinted != 0
            && let Some(value) = stripe.find(hinted, key)
        {
            return value;
        }
        let hash = key.hash(&self.hasher);
        if let Some(value) = stripe.find(hash, key) {
            if let Some(hint) = hint {
                hint.store(hash, Relaxed);
            }
            return value;
        }
        let missed_before = stripe.missed_before(hash);
        let value = Arc::new(make());
        if missed_before {
            stripe.keep(hash, key, &value);
        }
        value
    }
}

/// The stripe of this thread, in any cache.
fn stripe() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static STRIPE: usize = NEXT.fetch_add(1, Relaxed) % STRIPES;
    }
    STRIPE.with(|stripe| *stripe)
}

/// The part of a cache that one group of threads uses.
#[repr(align(64))]
struct Stripe<K, V> {
    sets: [RwLock<Set<K, V>>; SETS],
    /// Fingerprints of the hashes missed last, four to a word.
    doors: [AtomicU64; DOORS],
    /// The hash of what lay at an address when it was last found.
    hints: [AtomicU64; HINTS],
    /// Owned by entries; never more than [`BUDGET`].
    bytes: AtomicUsize,
    /// The set where room is looked for next.
    hand: AtomicUsize,
}

/// The places for keys whose hashes have the same remainder.
struct Set<K, V> {
    /// Beside the entries, so that a wrong one need not be looked at.
    hashes: [u64; WAYS],
    entries: [Option<Box<Entry<K, V>>>; WAYS],
    /// The place that is replaced next unless it is in use.
    hand: usize,
}

struct Entry<K, V> {
    /// Used since a hand passed.
    used: AtomicBool,
    bytes: usize,
    key: K,
    value: Arc<V>,
}

impl<K, V> Default for Stripe<K, V> {
    fn default() -> Self {
        let set =
            |_| RwLock::new(Set { hashes: [0; WAYS], entries: [const { None }; WAYS], hand: 0 });
        Self {
            sets: std::array::from_fn(set),
            doors: [const { AtomicU64::new(0) }; DOORS],
            hints: [const { AtomicU64::new(0) }; HINTS],
            bytes: AtomicUsize::new(0),
            hand: AtomicUsize::new(0),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "any bits of a hash are as good as all")]
impl<K, V: Value> Stripe<K, V> {
    fn set(&self, hash: u64) -> &RwLock<Set<K, V>> {
        &self.sets[hash as usize % SETS]
    }

    fn hint(&self, (address, length): (usize, usize)) -> &AtomicU64 {
        // Addresses have a few bits that tell them apart: the product carries them to the top.
        let mixed = (address as u64 ^ (length as u64) << 48).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        &self.hints[(mixed >> 40) as usize % HINTS]
    }

    fn find<Q: Key<Kept = K>>(&self, hash: u64, key: &Q) -> Option<Arc<V>> {
        let set = self.set(hash).try_read().ok()?;
        let entry = set.find(hash, key)?;
        // Written only when it changes: a write takes the memory away from other cores.
        if !entry.used.load(Relaxed) {
            entry.used.store(true, Relaxed);
        }
        Some(Arc::clone(&entry.value))
    }

    /// Whether this hash was missed lately, which it is now. One in eight thousand only seems to
    /// have been, and what two threads write at once may be lost: neither matters.
    fn missed_before(&self, hash: u64) -> bool {
        let door = &self.doors[(hash >> 16) as usize % DOORS];
        // Not zero, which is what an empty word is full of.
        let fingerprint = (hash >> 48) as u16 | 1;
        let missed = door.load(Relaxed);
        if [0, 16, 32, 48].iter().any(|bits| (missed >> bits) as u16 == fingerprint) {
            return true;
        }
        door.store(missed << 16 | u64::from(fingerprint), Relaxed);
        false
    }

    fn keep<Q: Key<Kept = K>>(&self, hash: u64, key: &Q, value: &Arc<V>) {
        let counts = 2 * size_of::<usize>(); // of an `Arc`
        let own = size_of::<Entry<K, V>>() + counts + size_of::<V>();
        let bytes = own.saturating_add(key.bytes()).saturating_add(value.bytes());
        if bytes > LARGEST {
            return;
        }
        // Declared first and dropped last: nothing is freed under a lock.
        let mut gone = Vec::new();
        for _ in 0..SWEPT {
            if self.has_room(bytes) {
                break;
            }
            self.sweep(&mut gone);
        }
        let reserve = |held: usize| held.checked_add(bytes).filter(|sum| *sum <= BUDGET);
        if self.bytes.fetch_update(Relaxed, Relaxed, reserve).is_err() {
            return;
        }
        let (used, value) = (AtomicBool::new(false), Arc::clone(value));
        let entry = Box::new(Entry { used, bytes, key: key.keep(), value });
        let left_over = match self.set(hash).try_write() {
            // Another thread may have been faster.
            Ok(mut set) if set.find(hash, key).is_none() => set.put(hash, entry),
            _ => Some(entry),
        };
        if let Some(entry) = left_over {
            self.bytes.fetch_sub(entry.bytes, Relaxed);
            gone.push(entry);
        }
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.bytes.load(Relaxed).saturating_add(bytes) <= BUDGET
    }

    /// Takes from the next set what was not used since the last time.
    fn sweep(&self, gone: &mut Vec<Box<Entry<K, V>>>) {
        let next = self.hand.fetch_add(1, Relaxed) % SETS;
        let Ok(mut set) = self.sets[next].try_write() else { return };
        for place in &mut set.entries {
            let unused = |entry: &mut Box<Entry<K, V>>| !mem::take(entry.used.get_mut());
            if let Some(entry) = place.take_if(unused) {
                self.bytes.fetch_sub(entry.bytes, Relaxed);
                gone.push(entry);
            }
        }
    }
}

impl<K, V> Set<K, V> {
    fn find<Q: Key<Kept = K>>(&self, hash: u64, key: &Q) -> Option<&Entry<K, V>> {
        let places = self.hashes.iter().zip(&self.entries);
        let alike = places.filter(|(known, _)| **known == hash);
        alike.filter_map(|(_, entry)| entry.as_deref()).find(|entry| key.is(&entry.key))
    }

    /// Puts an entry into a free place, or into that of one that was not used since the last time;
    /// answers what has no place any more. That is the new entry itself if all are in use.
    fn put(&mut self, hash: u64, entry: Box<Entry<K, V>>) -> Option<Box<Entry<K, V>>> {
        let free = self.entries.iter().position(Option::is_none);
        let place = free.or_else(|| {
            (0..WAYS).map(|step| (self.hand + step) % WAYS).find(|place| {
                let entry = &mut self.entries[*place];
                entry.as_mut().is_none_or(|entry| !mem::take(entry.used.get_mut()))
            })
        });
        let Some(place) = place else { return Some(entry) };
        self.hand = (place + 1) % WAYS;
        self.hashes[place] = hash;
        self.entries[place].replace(entry)
    }
}
