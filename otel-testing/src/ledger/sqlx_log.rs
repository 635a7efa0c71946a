//! What sqlx logs of the statements that it runs: for databases that count nothing themselves.

use std::convert::Infallible;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use otel_core::sql::Dialect;
use tracing::field::{Field, Visit};
use tracing::span::Id;
use tracing::{Event, Span, Subscriber, info_span};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::{Count, Counted, Unit};

const STATEMENTS: &str = "sqlx::query";
const SCOPE: &str = "otel_testing::ledger";

/// Counts the statements that sqlx logs under the target `sqlx::query`, which it does below whatever
/// wraps it, and without being asked, for every driver. SQLite has nothing that counts better: its
/// trace hook is a C function, which safe Rust cannot set. A clone is another handle of the same value.
///
/// Left out on both sides is what sqlx does not log: `BEGIN`, `COMMIT`, `ROLLBACK` and savepoints; and
/// what it does by itself to set up a connection: `PRAGMA`, and the `SET sql_mode` of MySQL. It logs a
/// statement that the server refused as well, and one that was given up on if it was sent.
#[derive(Clone, Debug, Default)]
pub struct SqlxLog {
    logged: Arc<Mutex<Vec<Logged>>>,
    within: Option<Id>,
}

/// A statement, and the scope it was logged in.
type Logged = (Option<Id>, String);

impl SqlxLog {
    /// With nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Hears what is logged, whatever other layers of the subscriber hide, and has nothing else made
    /// or logged.
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let ours = filter_fn(|metadata| metadata.target() == STATEMENTS);
        self.clone().with_filter(ours.with_max_level_hint(LevelFilter::DEBUG))
    }

    /// A span of `tracing`, and what is logged inside of it: for a process with several users of sqlx.
    /// It takes the log itself for a layer, `registry().with(log.clone())`, and all spans are made.
    pub fn scope(&self) -> (Span, Self) {
        let span = info_span!(target: SCOPE, parent: None, "scope");
        let within = Self { logged: Arc::clone(&self.logged), within: span.id() };
        (span, within)
    }

    /// The statement that sqlx logs with such an event: its text, or its summary where that is all of
    /// it.
    #[doc(hidden)]
    pub fn statement(event: &Event<'_>) -> String {
        let mut statement = Statement(String::new());
        event.record(&mut statement);
        statement.0
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Logged>> {
        self.logged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counted for SqlxLog {
    type Error = Infallible;

    async fn counted(&mut self) -> Result<Vec<Count>, Infallible> {
        let logged = self.lock();
        let wanted =
            logged.iter().filter(|(scope, _)| self.within.is_none() || *scope == self.within);
        Ok(wanted.map(|(_, text)| Count::new(text, 1)).collect())
    }

    fn unit(&self) -> Unit {
        Unit::Statements(Dialect::Generic)
    }

    fn ignores(&self, text: &str) -> bool {
        const IGNORED: [&str; 9] = [
            "BEGIN",
            "COMMIT",
            "PRAGMA",
            "RELEASE SAVEPOINT",
            "ROLLBACK",
            "SAVEPOINT",
            "SET NAMES",
            "SET sql_mode=(SELECT CONCAT(@@sql_mode",
            "START TRANSACTION",
        ];
        IGNORED.iter().any(|beginning| text.trim_start().starts_with(beginning))
    }

    fn counts_refused(&self) -> Option<bool> {
        Some(true)
    }
}

impl<S: Subscriber + for<'span> LookupSpan<'span>> Layer<S> for SqlxLog {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if event.metadata().target() == STATEMENTS {
            let mut around = context.event_scope(event).into_iter().flatten();
            let scope = around.find(|span| span.metadata().target() == SCOPE);
            self.lock().push((scope.map(|span| span.id()), Self::statement(event)));
        }
    }
}

struct Statement(String);

impl Visit for Statement {
    /// A text of at most four words is its own summary; of another one the whole text is there too.
    fn record_str(&mut self, field: &Field, value: &str) {
        let shown = match field.name() {
            "summary" => self.0.is_empty(),
            "db.statement" => !value.is_empty(),
            _ => false,
        };
        if shown {
            value.trim().clone_into(&mut self.0);
        }
    }

    fn record_debug(&mut self, _field: &Field, _value: &dyn Debug) {}
}
