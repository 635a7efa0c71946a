//! What a server counted beside what was traced: whether a call went past the instrumentation, and
//! which.
//!
//! A [`Traced`] watches a tracer provider and notes what the instrumentation tells, sampled or not. A
//! [`Ledger`] asks a [`Counted`] server how often it did what, and pairs the two:
//!
//! 1. calls that were told without an error, with what the server counted under the same text;
//! 2. what is left of them, with what is of the same kind: the same operation on the same target;
//! 3. calls that failed, with what is left of the same text. Such a call may have reached the server,
//!    or not: it accounts for one, or for none.
//!
//! What is left of the server's went past the instrumentation; what is left of the calls of 1 was told
//! and not done.

mod form;
#[cfg(feature = "sqlx-log")]
mod sqlx_log;
mod traced;

use std::collections::BTreeMap;
use std::fmt;

use otel_core::sql::Dialect;

use self::form::{Call, Form, Outcome, forms};
#[cfg(feature = "sqlx-log")]
pub use self::sqlx_log::SqlxLog;
pub use self::traced::{Traced, TracedSpan, TracedTracer, Watched};

/// A server, or whatever else knows what a server did without asking the instrumentation.
///
/// All that it counts must have come through the clients that are watched: give them a user, a
/// database or a topic of their own where others use the server too, and ask by another one.
pub trait Counted: Send {
    /// Why it could not be asked.
    type Error;

    /// What it has counted up to now, since whenever: the [`Ledger`] subtracts what was there before.
    /// A text may come several times.
    fn counted(&mut self) -> impl Future<Output = Result<Vec<Count>, Self::Error>> + Send;

    /// What it counts.
    fn unit(&self) -> Unit {
        Unit::Statements(Dialect::Generic)
    }

    /// Whether a text is left out on both sides: what the driver does by itself, or what is not counted
    /// here. It has no literals and no comments.
    fn ignores(&self, _text: &str) -> bool {
        false
    }

    /// Whether it counts what it refused, if it is the same for all that it may refuse. Where nothing
    /// is known, a refused call is one that failed.
    fn counts_refused(&self) -> Option<bool> {
        None
    }
}

/// What is counted, and in which spans it is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// Statements of a database, as a server of this dialect reads them; a text of several is several.
    /// A call without a text is one statement, whose text is its operation and its target: `BEGIN`, or
    /// `find orders`.
    Statements(Dialect),
    /// Calls of a database by their names, whatever their texts say: operation and target, as in
    /// `find orders`. A call of a batch is as many as it has.
    Operations,
    /// Commands of Redis, whose texts are their names: `GET`. A transaction is its commands, a `MULTI`
    /// and an `EXEC`.
    Commands,
    /// Messages that were sent. The text of one is its destination and, where somebody knows, which it
    /// is: `orders[0]@17` by partition and offset, or `orders[…]` by its id. Its kind is the
    /// destination.
    Sent,
    /// Messages that were received, with the same texts.
    Received,
    /// Messages that were settled, with the same texts.
    Settled,
}

/// So many of one text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Count {
    /// A statement, or the place of a message.
    pub text: String,
    /// How many.
    pub times: u64,
}

impl Count {
    /// So many of one text.
    pub fn new(text: impl Into<String>, times: u64) -> Self {
        Self { text: text.into(), times }
    }
}

/// What a server counts, to be compared with what is traced.
#[derive(Debug)]
pub struct Ledger<C> {
    counted: C,
    before: BTreeMap<String, u64>,
}

impl<C: Counted> Ledger<C> {
    /// All that the server has counted, from its first day on.
    pub fn new(counted: C) -> Self {
        Self { counted, before: BTreeMap::new() }
    }

    /// What the server counts from now on.
    pub async fn open(mut counted: C) -> Result<Self, C::Error> {
        let before = by_text(counted.counted().await?);
        Ok(Self { counted, before })
    }

    /// Compares what the server has counted with what was traced. What is still on its way is on
    /// one side only: ask again until it is even, with a bound, where clients work on behind a call's
    /// end, as with the `ROLLBACK` of a transaction that was dropped.
    pub async fn balance(&mut self, traced: &Traced) -> Result<Balance, C::Error> {
        let now = by_text(self.counted.counted().await?);
        let since = now.into_iter().map(|(text, times)| {
            let before = self.before.get(&text).copied().unwrap_or_default();
            (text, times.saturating_sub(before))
        });
        let unit = self.counted.unit();
        let counted = since.filter(|(_, times)| *times > 0).flat_map(|(text, times)| {
            forms(unit, &text).into_iter().map(move |form| (form, times))
        });
        let counted = counted.filter(|(form, _)| !self.counted.ignores(&form.text));
        let calls = traced.calls(unit).into_iter();
        let calls = calls.filter(|call| !self.counted.ignores(&call.form.text));
        Ok(Balance::of(unit, counted, calls, self.counted.counts_refused()))
    }
}

fn by_text(counts: Vec<Count>) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for count in counts {
        *sums.entry(count.text).or_default() += count.times;
    }
    sums
}

/// What a server counted, and how much of it was traced. Shown, it is
/// `43 of 43 statements traced`, and a line for each text that is on one side only.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Balance {
    /// What was counted.
    pub unit: Unit,
    /// How much the server counted.
    pub counted: u64,
    /// How much of that was traced.
    pub traced: u64,
    /// How much of what was traced is there by calls that failed.
    pub failed: u64,
    /// What the server did and no span tells of, by the server's own texts without their literals.
    pub past: Vec<Count>,
    /// What was told without an error, and the server did not count.
    pub uncounted: Vec<Count>,
}

type Sums = BTreeMap<Form, u64>;

impl Balance {
    fn of(
        unit: Unit,
        counted: impl Iterator<Item = (Form, u64)>,
        calls: impl Iterator<Item = Call>,
        counts_refused: Option<bool>,
    ) -> Self {
        let (mut past, mut told, mut failed) = (Sums::new(), Sums::new(), Sums::new());
        for (form, times) in counted {
            *past.entry(form).or_default() += times;
        }
        for call in calls {
            let calls = match (call.outcome, counts_refused) {
                (Outcome::Refused, Some(false)) => continue,
                (Outcome::Done, _) | (Outcome::Refused, Some(true)) => &mut told,
                (Outcome::Refused | Outcome::Failed, _) => &mut failed,
            };
            *calls.entry(call.form).or_default() += call.times;
        }
        let counted = past.values().sum();
        let same = pair(&mut past, &mut told, Form::eq);
        let alike = pair(&mut past, &mut told, |_, _| true);
        // Of a call that failed, less is known: where its message lies, for one. Or more: which it was,
        // where the server only tells how many.
        let failed = pair(&mut past, &mut failed, |form, other| {
            [&form.text, &form.kind].contains(&&other.text) || form.text == form.kind
        });
        let rest = |sums: Sums| {
            sums.into_iter().map(|(form, times)| Count::new(form.text, times)).collect()
        };
        let traced = same + alike + failed;
        Self { unit, counted, traced, failed, past: rest(past), uncounted: rest(told) }
    }

    /// Whether the server did all that was told, and nothing else.
    pub fn is_even(&self) -> bool {
        self.past.is_empty() && self.uncounted.is_empty()
    }

    /// Panics unless it [is even](Self::is_even).
    #[track_caller]
    pub fn check(&self) {
        assert!(self.is_even(), "{self}");
    }
}

/// Takes out of both what belongs together, and tells how much that is.
fn pair(past: &mut Sums, told: &mut Sums, is_pair: impl Fn(&Form, &Form) -> bool) -> u64 {
    let mut paired = 0;
    for (form, left) in past.iter_mut() {
        // They are in order of their kinds, which all pairs have in common.
        let first = Form { kind: form.kind.clone(), text: String::new() };
        let same_kind = told.range_mut(first..).take_while(|(other, _)| other.kind == form.kind);
        for (_, times) in same_kind.filter(|(other, _)| is_pair(form, other)) {
            let both = (*left).min(*times);
            *left -= both;
            *times -= both;
            paired += both;
        }
    }
    past.retain(|_, left| *left > 0);
    told.retain(|_, left| *left > 0);
    paired
}

impl fmt::Display for Balance {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            Unit::Statements(_) => "statements",
            Unit::Operations => "operations",
            Unit::Commands => "commands",
            Unit::Sent => "sent messages",
            Unit::Received => "received messages",
            Unit::Settled => "settled messages",
        };
        write!(formatter, "{} of {} {unit} traced", self.traced, self.counted)?;
        for (title, counts) in
            [("past the instrumentation", &self.past), ("told, and not counted", &self.uncounted)]
        {
            for count in counts {
                // A statement may be a megabyte.
                write!(formatter, "\n{title}: {} x {:.200}", count.times, count.text)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What failed may have come; which message it was, each side may know alone.
    #[test]
    fn a_message_that_failed_accounts_for_one() {
        for (counted, told, traced) in [
            ("orders[7]", "orders[7]", 1),
            ("orders[7]", "orders", 1),
            ("orders", "orders[7]", 1),
            ("orders[8]", "orders[7]", 0),
            ("letters", "orders", 0),
        ] {
            let form = |text| forms(Unit::Sent, text).remove(0);
            let call = Call { form: form(told), outcome: Outcome::Failed, times: 1 };
            let counts = [(form(counted), 1)].into_iter();
            let balance = Balance::of(Unit::Sent, counts, [call].into_iter(), None);
            assert_eq!((balance.traced, balance.failed), (traced, traced), "{counted} {told}");
            assert_eq!(balance.past.len() as u64, 1 - traced);
            assert!(balance.uncounted.is_empty());
        }
    }
}
