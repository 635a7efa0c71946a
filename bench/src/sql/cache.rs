//! The cache of analysed statements: what it costs to ask it, alone and with others, and what it
//! takes.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::hash::BuildHasher as _;
use std::hint::black_box;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::{Context as _, Result};
use bench::{THREADS, allocations, cell, instructions, memory, nanoseconds, scaling, table};
use foldhash::fast::RandomState;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use otel_core::cache::{self, Cache, Key, Value};
use otel_core::sql::{Analyzer, Dialect};
use otel_core::{DbCall, Telemetry};

use super::measured;
use crate::stub;

/// First word of a case of the child.
pub(super) const NAME: &str = "cache";

/// Enough to fill a part of the cache.
const WARM_UP: u32 = 10_000;
const CALLS: u32 = 1_000;
const CALLS_COUNTED: u32 = 500;
const ROUNDS: usize = 101;

/// As `otel_core::db` keeps statements, without the other facts of a call.
#[derive(Clone, Copy)]
enum Text<'a> {
    Borrowed(&'a str),
    Static(&'static str),
}

enum Kept {
    Copy(Box<str>),
    Static(&'static str),
}

impl Key for Text<'_> {
    type Kept = Kept;

    fn hash(&self, hasher: &RandomState) -> u64 {
        match self {
            Self::Borrowed(text) => hasher.hash_one(text),
            Self::Static(text) => hasher.hash_one((text.as_ptr().addr(), text.len())),
        }
    }

    fn lies_at(&self) -> Option<(usize, usize)> {
        match self {
            Self::Borrowed(text) => Some((text.as_ptr().addr(), text.len())),
            Self::Static(_) => None,
        }
    }

    fn is(&self, kept: &Kept) -> bool {
        match (self, kept) {
            (Self::Borrowed(text), Kept::Copy(kept)) => **text == **kept,
            (Self::Static(text), Kept::Static(kept)) => ptr::eq(*text, *kept),
            _ => false,
        }
    }

    fn keep(&self) -> Kept {
        match *self {
            Self::Borrowed(text) => Kept::Copy(text.into()),
            Self::Static(text) => Kept::Static(text),
        }
    }

    fn bytes(&self) -> usize {
        self.lies_at().map_or(0, |(_, length)| length)
    }
}

struct Shown {
    text: Option<Box<str>>,
    summary: Option<Box<str>>,
}

impl Value for Shown {
    fn bytes(&self) -> usize {
        [&self.text, &self.summary].into_iter().flatten().map(|text| text.len()).sum()
    }
}

#[derive(Default)]
struct Statements(Cache<Kept, Shown>);

impl Statements {
    fn get(&self, text: Text<'_>) -> Arc<Shown> {
        self.0.get(&text, || {
            let (Text::Borrowed(text) | Text::Static(text)) = text;
            let analysis = Analyzer::new(Dialect::PostgreSql).analyze(text);
            let [text, summary] = [analysis.text.as_deref(), analysis.summary.as_deref()];
            Shown { text: text.map(Box::from), summary: summary.map(Box::from) }
        })
    }
}

/// What is asked for, again and again.
#[derive(Clone, Copy, PartialEq)]
enum Case {
    Static,
    SamePlace,
    /// Two texts in one place, which never holds what it held when it was last asked about.
    InTurn,
    /// Literals that change from call to call.
    Once,
    /// The second call of each text is the one that is measured: it keeps, and lets go of another.
    Twice,
    /// One new text among ten, the others from a hundred.
    Mixed,
}

const CASES: [(&str, Case); 5] = [
    ("hit, 'static", Case::Static),
    ("hit, same place", Case::SamePlace),
    ("hit, in turn", Case::InTurn),
    ("miss, first", Case::Once),
    ("miss, second", Case::Twice),
];

/// How a case asks: for its time, under callgrind, or not at all, which is what making texts costs.
type Ask = fn(&Statements, Text<'_>);

const ASKED: Ask = |statements, text| drop(black_box(statements.get(black_box(text))));
const COUNTED: Ask = |statements, text| measured(|| ASKED(statements, text));
const NOT_ASKED: Ask = |_, text| {
    black_box(text);
};

impl Case {
    fn run(self, statements: &Statements, calls: u32, ask: Ask) {
        let mut place = String::from(stub::TEXT);
        for number in numbers(calls) {
            match self {
                Self::Static | Self::SamePlace => {}
                Self::InTurn => write(&mut place, number % 2),
                Self::Mixed if number % 10 > 0 => write(&mut place, number % 100),
                Self::Once | Self::Twice | Self::Mixed => write(&mut place, number),
            }
            let text = match self {
                Self::Static => Text::Static(stub::TEXT),
                _ => Text::Borrowed(&place),
            };
            if self == Self::Twice {
                ASKED(statements, text);
            }
            ask(statements, text);
        }
    }

    /// A cache that has seen enough of this.
    fn warm(self) -> Statements {
        let statements = Statements::default();
        self.run(&statements, WARM_UP, ASKED);
        statements
    }
}

/// Numbers that nobody had before, and none that `Case::run` uses again and again.
fn numbers(count: u32) -> impl Iterator<Item = u64> {
    static NEXT: AtomicU64 = AtomicU64::new(100);
    let first = NEXT.fetch_add(count.into(), Ordering::Relaxed);
    first..first + u64::from(count)
}

/// Makes the text of a number, of 80 characters, as one makes a text with a value in it.
fn write(text: &mut String, number: u64) {
    text.clear();
    let head = "SELECT id, customer, amount FROM orders WHERE customer = 'Ada' AND id = ";
    // Writing to a string does not fail.
    let _ = write!(text, "{head}{number:08}");
}

/// Runs under callgrind.
pub(super) fn child(case: &str, calls: u32) -> Result<()> {
    let known = CASES.iter().find(|(name, _)| *name == case);
    let (_, case) = known.with_context(|| format!("no case {case}"))?;
    let statements = case.warm();
    bench::uncounted(|| case.run(&statements, calls, COUNTED));
    Ok(())
}

pub(super) fn measure() -> Result<()> {
    let mut rows = Vec::new();
    for (name, case) in CASES {
        let statements = case.warm();
        let asked = |calls| case.run(&statements, calls, ASKED);
        let not_asked = |calls| case.run(&statements, calls, NOT_ASKED);
        let [asked_time, rest] = nanoseconds([&asked, &not_asked], ROUNDS, CALLS);
        let child = [super::NAME, NAME, name];
        let counted = instructions(&child, Some(super::MEASURED), CALLS_COUNTED)?;
        let allocated = |code: &dyn Fn(u32)| allocations(|| code(CALLS)).0;
        let allocated = allocated(&asked).saturating_sub(allocated(&not_asked));
        let allocated = f64::from(u32::try_from(allocated)?) / f64::from(CALLS);
        let time = cell(Some(asked_time - rest), 0);
        rows.push(vec![name.to_owned(), time, cell(counted, 0), cell(Some(allocated), 1)]);
    }
    let title = "sql: the cache, asked for a text of 80 characters, which a miss analyses";
    table(title, "case | ns | instructions | allocations", &rows);

    let rows = CROWDS.map(|(name, case, ask)| {
        let statements = case.warm();
        let ratio = scaling(THREADS, |calls| case.run(&statements, calls, ask), CALLS_OF_THREADS);
        vec![name.to_owned(), cell(Some(ratio), 2)]
    });
    let title = format!(
        "sql: calls per second of {THREADS} threads on one cache, as a multiple of one thread's \
         ({} processors)",
        thread::available_parallelism()?
    );
    table(&title, "texts | multiple", &rows);

    let rows = LENGTHS.map(|(label, length)| {
        let statements = Statements::default();
        let counted = filled(length, |text| drop(statements.get(Text::Borrowed(text))));
        let told = [statements.0.entries(), statements.0.memory(), BOUND];
        // Without metrics: what they take is not the cache's.
        let provider = SdkTracerProvider::builder().with_sampler(Sampler::AlwaysOff).build();
        let client = stub::ours(&Telemetry::builder().tracer_provider(provider).build());
        let client = filled(length, |text| {
            let operation = client.start(|| DbCall::statement(text, false));
            let _ = operation.call(|| Ok::<_, Infallible>(()));
        });
        let row = told.into_iter().map(|number| number.to_string());
        let row = [label.to_owned()].into_iter().chain(row);
        row.chain([counted.to_string(), client.to_string()]).collect()
    });
    let title = "sql: bytes of a cache that has seen more than it keeps, and of a client with such";
    table(title, "texts | entries | as it tells | its bound | as counted | client", &rows);
    Ok(())
}

const CROWDS: [(&str, Case, Ask); 5] = [
    ("one, 'static", Case::Static, ASKED),
    ("one", Case::SamePlace, ASKED),
    ("ever new", Case::Once, ASKED),
    ("1 of 10 new", Case::Mixed, ASKED),
    // What the machine allows now: nothing is shared.
    ("not asked", Case::Once, NOT_ASKED),
];
/// Many, since a hit is short and threads take a while to start.
const CALLS_OF_THREADS: u32 = 250_000;

const LENGTHS: [(&str, usize); 3] = [("80 B", 80), ("1 KB", 1_000), ("10 KB", 10_000)];
const BOUND: usize = Cache::<Kept, Shown>::BOUND;

/// The bytes that remain when threads, of which there are two or more for each part of the cache,
/// have asked twice for four times as many texts as it keeps.
fn filled(length: usize, ask: impl Fn(&str) + Sync) -> i64 {
    let asks = || {
        let mut text = String::new();
        for number in numbers(u32::try_from(cache::ENTRIES / 2).unwrap_or(u32::MAX)) {
            write(&mut text, number);
            while text.len() < length {
                text.push_str(" AND note IS NOT NULL");
            }
            ask(&text);
            ask(&text);
        }
    };
    // One after the other: none passes by a lock that another holds.
    let of_thread = || thread::scope(|scope| scope.spawn(|| memory(asks)).join());
    (0..THREADS).filter_map(|_| of_thread().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Else the cache would be bounded in what it tells, not in what it takes.
    #[test]
    fn a_cache_takes_what_it_tells() {
        for length in [80, 1_000] {
            let statements = Statements::default();
            let counted = filled(length, |text| drop(statements.get(Text::Borrowed(text))));
            let told = statements.0.memory();
            assert_eq!(i64::try_from(told), Ok(counted), "{length}");
            assert!(told <= BOUND, "{length}: {told} of {BOUND}");
        }
    }
}
