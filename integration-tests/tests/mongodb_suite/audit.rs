//! For each test: what the driver sent is what was traced.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::thread;

use integration_tests::eventually_ok;
use integration_tests::ledger::mongodb::Sent;
use mongodb::options::ClientOptions;
use otel_testing::Capture;
use otel_testing::ledger::{Balance, Count, Ledger, Traced};
use otel_testing::otel_core::TelemetryBuilder;

/// The ledger of what one test does in one way, which must be even when the test is over.
pub(crate) struct Audit {
    sent: Sent,
    traced: Traced,
    /// Texts that belong to a call which is told under another one, or to none.
    left_out: fn(&str) -> bool,
    past: RefCell<BTreeMap<String, u64>>,
    is_read: bool,
}

impl Audit {
    /// Each command is a span of its own.
    pub(crate) fn by_events() -> Self {
        Self::new(Sent::default(), |_| false)
    }

    /// Each call is one. The batches of a cursor belong to it, and the pieces of a file; what the
    /// driver does about what is dropped is nobody's. Whether sessions are there to be ended is decided
    /// by chance, see the crate's RATIONALE.md.
    pub(crate) fn by_handles() -> Self {
        Self::new(Sent::without(&["endSessions"]), |text| {
            let (command, collection) = text.split_once(' ').unwrap_or((text, ""));
            ["abortTransaction", "getMore", "killCursors"].contains(&command)
                || collection.starts_with("fs.")
        })
    }

    fn new(sent: Sent, left_out: fn(&str) -> bool) -> Self {
        Self { sent, traced: Traced::new(), left_out, past: RefCell::default(), is_read: false }
    }

    /// Counts what clients of these options send.
    pub(crate) fn watch(&self, options: &mut ClientOptions) {
        self.sent.watch(options);
    }

    /// Notes what this telemetry says.
    pub(crate) fn note(&self, capture: &Capture) -> TelemetryBuilder {
        let provider = self.traced.watch(capture.tracer_provider());
        capture.telemetry_builder().tracer_provider(provider)
    }

    /// So many commands of a name have no span, on purpose.
    pub(crate) fn goes_past(&self, text: &str, times: u64) {
        self.past.borrow_mut().insert(text.to_owned(), times);
    }

    /// Waits until the ledger is even, but for what goes past on purpose.
    pub(crate) async fn balance(&mut self) -> Balance {
        self.is_read = true;
        let mut ledger = Ledger::new(self.sent.clone());
        let expected = self.past.borrow().clone();
        let balance = eventually_ok("the ledger is even", async || {
            let Ok(balance) = ledger.balance(&self.traced).await;
            let past = balance.past.iter().filter(|count| !(self.left_out)(&count.text));
            let past: BTreeMap<_, _> = past.map(|it| (it.text.clone(), it.times)).collect();
            let uncounted: Vec<&Count> = balance.uncounted.iter().collect();
            if past == expected && uncounted.is_empty() { Ok(balance) } else { Err(balance) }
        });
        balance.await
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        assert!(thread::panicking() || self.is_read, "nobody looked into the ledger of this test");
    }
}
