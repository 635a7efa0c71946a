//! Layer `telemetry`: the names of connection pools, told apart in the whole process.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use opentelemetry::StringValue;

use crate::text::shared;

/// The pools that live, by their names. By default one for the process: two pools under one name
/// would overwrite each other's gauges, and which meter providers are the same cannot be told.
#[doc(hidden)]
#[derive(Clone, Default)]
pub struct PoolNames(Arc<Mutex<Taken>>);

/// All by the client, which is the scope of its metrics.
#[derive(Default)]
struct Taken {
    names: HashSet<(&'static str, StringValue)>,
    /// The number to try first for a name that was asked for; 1 without a word.
    lowest: HashMap<(&'static str, String), u64>,
    pools: HashMap<(&'static str, usize), Weak<Named>>,
}

impl fmt::Debug for PoolNames {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("PoolNames").field(&self.lock().names).finish()
    }
}

impl PoolNames {
    /// Those of the process.
    pub(crate) fn shared() -> Self {
        static SHARED: LazyLock<PoolNames> = LazyLock::new(PoolNames::default);
        SHARED.clone()
    }

    /// A pool that is known keeps its name; of two, the second becomes `name#2`.
    pub(crate) fn name(
        &self,
        client: &'static str,
        name: &str,
        identity: Option<usize>,
    ) -> Arc<Named> {
        let mut taken = self.lock();
        let identity = identity.map(|identity| (client, identity));
        let known = identity.and_then(|identity| taken.pools.get(&identity)?.upgrade());
        if let Some(known) = known {
            return known;
        }
        let asked = (client, name.to_owned());
        let mut number = taken.lowest.get(&asked).copied().unwrap_or(1);
        let name = loop {
            let text = if number == 1 { name.to_owned() } else { format!("{name}#{number}") };
            let unique = shared(text);
            if taken.names.insert((client, unique.clone())) {
                break unique;
            }
            number += 1;
        };
        taken.lowest.insert(asked.clone(), number + 1);
        let pending = AtomicI64::new(0);
        let named = Named { name, asked, number, identity, pending, names: self.clone() };
        let named = Arc::new(named);
        taken.pools.extend(identity.map(|identity| (identity, Arc::downgrade(&named))));
        named
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pool, and what all its registrations share. Its name is free again when this is dropped.
pub(crate) struct Named {
    pub(crate) name: StringValue,
    asked: (&'static str, String),
    number: u64,
    identity: Option<(&'static str, usize)>,
    pub(crate) pending: AtomicI64,
    names: PoolNames,
}

impl Drop for Named {
    fn drop(&mut self) {
        let mut taken = self.names.lock();
        taken.names.remove(&(self.asked.0, self.name.clone()));
        if self.number == 1 {
            taken.lowest.remove(&self.asked);
        } else if let Some(lowest) = taken.lowest.get_mut(&self.asked) {
            *lowest = self.number.min(*lowest);
        }
        // Unless another pool has come to this place meanwhile.
        if let Some(identity) = self.identity
            && taken.pools.get(&identity).is_some_and(|pool| pool.strong_count() == 0)
        {
            taken.pools.remove(&identity);
        }
    }
}
