//! The cache by itself: bounded, never stale, and of no harm to what it serves.

use std::hash::BuildHasher as _;
use std::iter;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier};
use std::thread;

use foldhash::fast::RandomState;
use otel_core::cache::{self, Key, Value};

/// A text; what is kept of it is a copy.
struct Text<'a>(&'a str);

impl Key for Text<'_> {
    type Kept = Box<str>;

    fn hash(&self, hasher: &RandomState) -> u64 {
        hasher.hash_one(self.0)
    }

    fn lies_at(&self) -> Option<(usize, usize)> {
        Some((self.0.as_ptr().addr(), self.0.len()))
    }

    fn is(&self, kept: &Box<str>) -> bool {
        *self.0 == **kept
    }

    fn keep(&self) -> Box<str> {
        self.0.into()
    }

    fn bytes(&self) -> usize {
        self.0.len()
    }
}

/// What is made of a text: the text again, so that a wrong value shows, and some weight.
struct Made {
    of: Box<str>,
    weight: Box<[u8]>,
}

impl Value for Made {
    fn bytes(&self) -> usize {
        self.of.len() + self.weight.len()
    }
}

type Cache = cache::Cache<Box<str>, Made>;

/// Gets a value, demands that it is the right one, and tells whether it had to be made.
fn missed_of(cache: &Cache, text: &str, weight: usize) -> bool {
    let mut missed = false;
    let made = cache.get(&Text(text), || {
        missed = true;
        Made { of: text.into(), weight: vec![0; weight].into() }
    });
    assert_eq!(*made.of, *text);
    missed
}

fn missed(cache: &Cache, text: &str) -> bool {
    missed_of(cache, text, 100)
}

/// Another thread that was stopped while it has a lock has to go on first.
fn is_kept_soon(cache: &Cache, text: &str) -> bool {
    (0..100_000).any(|_| {
        let missed = missed(cache, text);
        if missed {
            thread::yield_now();
        }
        !missed
    })
}

fn until_kept(cache: &Cache, text: &str) {
    assert!(is_kept_soon(cache, text), "never kept");
}

fn until_all_kept(cache: &Cache, texts: &[String]) {
    for text in texts {
        until_kept(cache, text);
    }
}

/// A text that comes twice; by chance it is kept at once.
fn twice(cache: &Cache, text: &str, weight: usize) {
    assert!(missed_of(cache, text, weight));
    missed_of(cache, text, weight);
}

/// Of varied lengths, as statements with their literals are.
fn unique(number: usize) -> String {
    let list = "?, ".repeat(number % 100);
    format!("SELECT id FROM orders WHERE customer = {number} AND id IN ({list}?)")
}

#[test]
fn kept_when_it_comes_again() {
    let cache = Cache::default();
    assert_eq!((cache.memory(), cache.entries()), (0, 0));
    let misses: Vec<_> = (0..4).map(|_| missed(&cache, "SELECT 1")).collect();
    assert_eq!(misses, [true, true, false, false]);
    assert_eq!(cache.entries(), 1);
}

#[test]
fn a_hit_allocates_nothing() {
    let cache = Cache::default();
    // Others than these come between, so that the address tells nothing, or the wrong thing.
    let texts: Vec<_> = (0..10).map(unique).collect();
    until_all_kept(&cache, &texts);
    let copies = texts.clone();
    let hits = || texts.iter().chain(&copies).for_each(|text| assert!(!missed(&cache, text)));
    assert_eq!(allocation_counter::measure(hits).count_total, 0);
}

#[test]
fn texts_that_come_once_are_not_kept() {
    let cache = Cache::default();
    missed(&cache, "SELECT 1");
    let empty = cache.memory();
    let texts: Vec<_> = (0..100_000).map(unique).collect();
    let made = |text: &String| assert!(missed(&cache, text));
    let kept = allocation_counter::measure(|| texts.iter().for_each(made)).bytes_current;
    assert_eq!(usize::try_from(kept).unwrap(), cache.memory() - empty);
    // A dozen by chance.
    assert!(cache.entries() < 100, "{}", cache.entries());
}

/// All of them are kept, for a while.
#[test]
fn the_bounds_hold() {
    for (weight, texts) in [(0, 100_000), (100, 100_000), (5_000, 100_000), (50_000, 2_000)] {
        let cache = Cache::default();
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for number in iter::repeat_with(|| next.fetch_add(1, Relaxed)) {
                        if number >= texts {
                            break;
                        }
                        twice(&cache, &unique(number), weight);
                        if number % 16 == 0 {
                            assert!(cache.memory() <= Cache::BOUND);
                        }
                    }
                });
            }
        });
        assert!(cache.memory() <= Cache::BOUND);
        let full = cache.memory() > Cache::BOUND / 2 || cache.entries() > cache::ENTRIES / 2;
        assert!(full || weight == 50_000, "{weight}");
        assert!(cache.entries() <= cache::ENTRIES);
    }
}

/// What it says to hold is what is allocated, to the byte, also after much was replaced.
#[test]
fn the_memory_is_known_exactly() {
    for weight in [0, 5_000] {
        let cache = Cache::default();
        let texts: Vec<_> = (0..5_000).map(unique).collect();
        let fill = || {
            for text in &texts {
                twice(&cache, text, weight);
            }
        };
        let held = allocation_counter::measure(fill).bytes_current;
        assert_eq!(usize::try_from(held).unwrap(), cache.memory());
    }
}

#[test]
fn what_is_hot_survives_a_storm() {
    // Entries so small that places run out, and so large that bytes do.
    for (weight, comes_again) in [(0, false), (0, true), (5_000, false), (5_000, true)] {
        let cache = Cache::default();
        let hot: Vec<_> = (0..16).map(|number| format!("SELECT {number}")).collect();
        until_all_kept(&cache, &hot);
        let mut lost = 0;
        for number in 0..20_000 {
            let text = unique(number);
            if comes_again {
                twice(&cache, &text, weight);
            } else {
                assert!(missed_of(&cache, &text, weight));
            }
            lost += u32::from(missed(&cache, &hot[number % hot.len()]));
        }
        // A set that is full while room is looked for in it may lose one.
        let few = if comes_again { 20 } else { 0 };
        assert!(lost <= few, "{lost} of weight {weight}, {comes_again}");
    }
}

/// What was hot yesterday does not keep out what is hot today.
#[test]
fn what_is_hot_changes() {
    let cache = Cache::default();
    for day in 0..10 {
        let hot: Vec<_> = (0..100).map(|number| unique(day * 100 + number)).collect();
        let round = || hot.iter().filter(|text| missed_of(&cache, text, 1_000)).count();
        assert_eq!(round(), 100);
        // All but those of a set that has more of them than places.
        assert!((0..100).any(|_| round() <= 10), "day {day}");
    }
}

#[test]
fn eight_threads_hit() {
    let cache = Cache::default();
    let hot: Vec<_> = (0..16).map(|number| format!("SELECT {number}")).collect();
    let warm = Barrier::new(8);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let are_kept = hot.iter().all(|text| is_kept_soon(&cache, text));
                // One that panics before it would leave the others waiting.
                warm.wait();
                assert!(are_kept, "never kept");
                for _ in 0..1_000 {
                    assert!(!hot.iter().any(|text| missed(&cache, text)));
                }
            });
        }
    });
}

#[test]
fn what_is_too_large_is_not_kept() {
    let cache = Cache::default();
    let text = "x".repeat(cache::LARGEST + 1);
    let half = &text[..cache::LARGEST / 2];
    for _ in 0..4 {
        assert!(missed(&cache, &text));
        assert!(missed_of(&cache, half, cache::LARGEST / 2));
    }
    assert_eq!(cache.entries(), 0);
    until_kept(&cache, &text[..cache::LARGEST / 3]);
}

/// All at one address, of one length.
#[test]
fn an_address_is_no_proof() {
    let cache = Cache::default();
    let mut buffer = String::with_capacity(100);
    for number in 0..1_000 {
        buffer.clear();
        buffer.push_str(["SELECT a FROM b", "SELECT c FROM d", "SELECT e FROM f"][number % 3]);
        assert_eq!(missed(&cache, &buffer), number < 6, "call {number}");
    }
}

#[test]
fn equal_hashes_are_told_apart() {
    struct Alike(u32);

    impl Key for Alike {
        type Kept = u32;

        fn hash(&self, _: &RandomState) -> u64 {
            7
        }

        fn lies_at(&self) -> Option<(usize, usize)> {
            None
        }

        fn is(&self, kept: &u32) -> bool {
            self.0 == *kept
        }

        fn keep(&self) -> u32 {
            self.0
        }

        fn bytes(&self) -> usize {
            0
        }
    }

    let cache = cache::Cache::<u32, Made>::default();
    let made = AtomicUsize::new(0);
    for number in (0..20).cycle().take(1_000).flat_map(|number| [number; 2]) {
        let value = cache.get(&Alike(number), || {
            made.fetch_add(1, Relaxed);
            Made { of: number.to_string().into(), weight: Box::default() }
        });
        assert_eq!(*value.of, *number.to_string());
    }
    assert_eq!(cache.entries(), cache::ENTRIES / 4 / 64);
    assert!(made.load(Relaxed) < 1_500, "the second is found");
}

#[test]
fn making_may_use_the_cache() {
    fn made(cache: &Cache, text: &str, depth: usize) -> Arc<Made> {
        cache.get(&Text(text), || {
            if depth > 0 {
                assert_eq!(*made(cache, text, depth - 1).of, *text);
                assert_eq!(*made(cache, &unique(depth), depth - 1).of, *unique(depth));
            }
            Made { of: text.into(), weight: Box::default() }
        })
    }
    let cache = Cache::default();
    for _ in 0..3 {
        assert_eq!(*made(&cache, "SELECT 1", 5).of, *"SELECT 1");
    }
    assert!(!missed(&cache, "SELECT 1"));
    // Kept once, although several calls had it to keep.
    assert_eq!(cache.entries(), 6);
}

#[test]
fn making_may_panic() {
    let cache = Cache::default();
    let text = Text("SELECT 1");
    for _ in 0..3 {
        let panicking = || drop(cache.get(&text, || panic!("of the one who makes")));
        catch_unwind(AssertUnwindSafe(panicking)).unwrap_err();
    }
    assert_eq!(cache.entries(), 0);
    until_kept(&cache, "SELECT 1");
}
