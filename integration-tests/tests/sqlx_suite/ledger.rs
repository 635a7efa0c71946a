//! For each test that has a database of its own: what the server counted is what was traced.

use std::cell::Cell;
use std::fmt::Debug;
use std::ops::Deref;
use std::sync::LazyLock;
use std::thread;

use integration_tests::apart;
use integration_tests::ledger::Watch;
use opentelemetry::KeyValue;
use opentelemetry::trace::SpanKind;
use otel_sqlx::Telemetry;
use otel_testing::CaptureTracerProvider;
use otel_testing::ledger::{Balance, Counted, Ledger, Traced, Watched};
use otel_testing::otel_core::TelemetryBuilder;
use sqlx::Executor as _;

use super::{ALL, Live, by_id};
use crate::backend::SYSTEM;

/// What all tests trace. Each looks at its own database.
static TRACED: LazyLock<Traced> = LazyLock::new(Traced::new);

/// A capture whose telemetry is noted for the ledger, too, sampled or not, and stays there when it is
/// cleared.
pub(crate) struct Capture(otel_testing::Capture);

impl Capture {
    pub(crate) fn new() -> Self {
        Self(otel_testing::Capture::new())
    }

    pub(crate) fn not_sampled() -> Self {
        Self(otel_testing::Capture::not_sampled())
    }

    pub(crate) fn unchecked() -> Self {
        Self(otel_testing::Capture::builder().check_on_drop(false).build())
    }

    pub(crate) fn telemetry(&self) -> Telemetry {
        self.telemetry_builder().build()
    }

    pub(crate) fn telemetry_builder(&self) -> TelemetryBuilder {
        self.0.telemetry_builder().tracer_provider(self.watched())
    }

    pub(crate) fn watched(&self) -> Watched<CaptureTracerProvider> {
        TRACED.watch(self.0.tracer_provider())
    }
}

impl Deref for Capture {
    type Target = otel_testing::Capture;

    fn deref(&self) -> &otel_testing::Capture {
        &self.0
    }
}

/// The ledger of one test, which must be even when the test is over.
pub(crate) struct Audit<C: Counted<Error: Debug>> {
    watch: Watch<C>,
    past: Cell<u64>,
    left_out: Cell<fn(&str) -> bool>,
}

impl<C: Counted<Error: Debug>> Audit<C> {
    /// Of a user that is new, and what the telemetry says of a database whose name has this in it.
    pub(crate) fn new(counted: C, namespace: String) -> Self {
        let traced = TRACED.only("db.namespace", namespace);
        Self {
            watch: Watch::new(counted, traced),
            past: Cell::new(0),
            left_out: Cell::new(|_| false),
        }
    }

    /// So many statements more go past the wrapper, on purpose.
    pub(crate) fn goes_past(&self, statements: u64) {
        self.past.set(self.past.get() + statements);
    }

    /// Of what goes past, such texts are the driver's own, however many.
    pub(crate) fn leaves_out(&self, is_left_out: fn(&str) -> bool) {
        self.left_out.set(is_left_out);
    }

    pub(crate) async fn balance(&mut self) -> Balance {
        self.watch.balance_without(self.past.get(), self.left_out.get()).await
    }
}

impl<C: Counted<Error: Debug>> Drop for Audit<C> {
    fn drop(&mut self) {
        if !thread::panicking() {
            apart(async || self.balance().await);
        }
    }
}

#[tokio::test]
async fn what_goes_past_the_wrapper_is_found_and_named() {
    let Some(mut live) = Live::new().await else { return };
    let capture = Capture::new();
    let pool = live.pool(&capture.telemetry());
    let count = "SELECT count(*) FROM users WHERE id > 2";
    for _ in 0..3 {
        sqlx::query(by_id()).bind(1).fetch_one(&pool).await.unwrap();
        pool.execute(ALL).await.unwrap();
    }
    // Of a text that is traced too, of another of the same kind, and of none that is.
    let past = pool.raw();
    sqlx::query(by_id()).bind(2).fetch_one(past).await.unwrap();
    past.execute(count).await.unwrap();
    past.execute(count).await.unwrap();
    past.execute("UPDATE users SET name = 'dan' WHERE id = 3").await.unwrap();
    live.0.audit.goes_past(4);

    let balance = live.0.audit.balance().await;
    assert_eq!((balance.traced, balance.counted, balance.failed), (6, 10, 0));
    assert_eq!(
        balance.to_string(),
        "6 of 10 statements traced
past the instrumentation: 2 x SELECT count(*) FROM users WHERE id > ?
past the instrumentation: 1 x SELECT name FROM users WHERE id = ?
past the instrumentation: 1 x UPDATE users SET name = ? WHERE id = ?"
    );
}

/// A call that failed accounts for nothing but its own text.
#[tokio::test]
async fn a_call_that_failed_hides_no_other() {
    let Some(mut live) = Live::new().await else { return };
    let capture = Capture::new();
    let pool = live.pool(&capture.telemetry());
    let add = "INSERT INTO users (id, name) VALUES (1, 'ann')";
    pool.execute(add).await.unwrap_err();
    let another = "INSERT INTO users (id, name) SELECT id + 10, 'dan' FROM users WHERE id = 1";
    pool.raw().execute(another).await.unwrap();
    live.0.audit.goes_past(1);
    let balance = live.0.audit.balance().await;
    assert_eq!(
        balance.past.iter().map(|count| count.text.as_str()).collect::<Vec<_>>(),
        ["INSERT INTO users (id, name) SELECT id + ?, ? FROM users WHERE id = ?"]
    );
}

#[tokio::test]
async fn what_was_told_and_not_done_is_found_too() {
    let Some(live) = Live::new().await else { return };
    let traced = Traced::new();
    let mut ledger = Ledger::open(live.0.server.clone()).await.unwrap();
    let told = |text| [("db.system.name", SYSTEM), ("db.query.text", text)];
    let note = |text| {
        let attributes = told(text).map(|(key, value)| KeyValue::new(key, value));
        traced.note(SpanKind::Client, attributes);
    };
    note("DELETE FROM users WHERE id = ?");
    let balance = ledger.balance(&traced).await.unwrap();
    assert!(!balance.is_even());
    assert_eq!(
        balance.to_string(),
        "0 of 0 statements traced\ntold, and not counted: 1 x DELETE FROM users WHERE id = ?"
    );
}
