//! The analysis of statements, kept per handle so that a statement is analysed once.

use std::hash::BuildHasher as _;
use std::sync::{Arc, RwLock};

use foldhash::fast::RandomState;
use opentelemetry::StringValue;

use crate::options::Options;
use crate::sql::{Dialect, Literals, analyze};

/// Number of statements that are remembered, at most.
const PLACES: usize = 512;
/// Longer statements are analysed each time: they are rare, slow by themselves, and would make the
/// bound on memory (places times this, twice) meaningless.
const LONGEST: usize = 4096;

/// What may be shown of a statement.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) text: Option<StringValue>,
    pub(super) summary: Option<StringValue>,
}

struct Entry {
    statement: Box<str>,
    literals: Literals,
    known: Known,
}

/// A cache of one place per hash: a statement that falls on a taken place replaces what was there.
/// Bounded without bookkeeping, and nobody ever waits: a place that is being written is passed by.
pub(super) struct Texts {
    places: Box<[RwLock<Option<Arc<Entry>>>]>,
    hasher: RandomState,
}

impl Default for Texts {
    fn default() -> Self {
        let places = (0..PLACES).map(|_| RwLock::default()).collect();
        Self { places, hasher: RandomState::default() }
    }
}

impl Texts {
    pub(super) fn analyze(
        &self,
        statement: &str,
        dialect: Dialect,
        literals: Literals,
        options: &Options,
    ) -> Known {
        if statement.len() > LONGEST {
            return fresh(statement, dialect, literals, options);
        }
        let hash = self.hasher.hash_one(statement);
        let place = usize::try_from(hash % PLACES as u64).ok().and_then(|at| self.places.get(at));
        let Some(place) = place else {
            return fresh(statement, dialect, literals, options);
        };
        if let Ok(entry) = place.try_read()
            && let Some(entry) = entry.as_ref()
            && entry.literals == literals
            && *entry.statement == *statement
        {
            return entry.known.clone();
        }
        let known = fresh(statement, dialect, literals, options);
        let entry = Entry { statement: statement.into(), literals, known: known.clone() };
        let entry = Arc::new(entry);
        let replaced = match place.try_write() {
            Ok(mut place) => place.replace(entry),
            Err(_) => None,
        };
        drop(replaced);
        known
    }
}

fn fresh(statement: &str, dialect: Dialect, literals: Literals, options: &Options) -> Known {
    let analysis = analyze(statement, dialect, literals);
    let summary = match options.summarize(statement) {
        Some(summary) => Some(summary.into_owned()),
        None => analysis.summary,
    };
    Known {
        text: analysis.text.map(|text| Arc::<str>::from(text).into()),
        summary: summary.map(|summary| Arc::<str>::from(summary).into()),
    }
}
