//! Ten thousand tasks over one pool on PostgreSQL, half of them given up on after a while.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use futures_util::future::join_all;
use integration_tests::ledger::Watch;
use integration_tests::ledger::postgres::Postgres;
use integration_tests::{PATIENCE, count, eventually, total, unique_name};
use opentelemetry::trace::{FutureExt as _, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, Value};
use opentelemetry_sdk::trace::SpanData;
use otel_sqlx::PgPool;
use otel_sqlx::otel_core::QueryText;
use otel_testing::ledger::Traced;
use otel_testing::{Capture, live, opentelemetry_sdk};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Error, Executor as _};

const TASKS: usize = 10_000;
const CONNECTIONS: u32 = 8;
const SEED: u64 = 20_261_121;
const PENDING: &str = "db.client.connection.pending_requests";

/// The same tasks in each run: `SplitMix64`.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// One task: what it does, and how long it is waited for.
struct Task {
    number: usize,
    call: Call,
    patience: Option<Duration>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Call {
    Query,
    FirstRow,
    Transaction,
    Connection,
}

impl Task {
    fn new(number: usize, random: &mut Random) -> Self {
        let call = match random.below(4) {
            0 => Call::Query,
            1 => Call::FirstRow,
            2 => Call::Transaction,
            _ => Call::Connection,
        };
        // Up to as long as all together take, so that tasks are dropped in each of their states.
        let patience = Duration::from_millis(random.below(3000));
        Self { number, call, patience: (random.below(2) == 0).then_some(patience) }
    }

    /// Its number is in its text.
    async fn run(&self, pool: &PgPool) -> Result<(), Error> {
        let query = || sqlx::raw_sql(AssertSqlSafe(format!("SELECT {}", self.number)));
        match self.call {
            Call::Query => {
                pool.execute(query()).await?;
            }
            Call::FirstRow => {
                pool.fetch(query()).try_next().await?;
            }
            Call::Transaction => {
                let mut transaction = pool.begin().await?;
                transaction.execute(query()).await?;
                transaction.commit().await?;
            }
            Call::Connection => {
                let mut connection = pool.acquire().await?;
                connection.execute(query()).await?;
                connection.fetch_one(query()).await?;
            }
        }
        Ok(())
    }

    /// How many spans it may have.
    fn spans(&self, finished: bool) -> std::ops::RangeInclusive<usize> {
        match (self.call, finished) {
            (Call::Query | Call::FirstRow, _) => 1..=1,
            (Call::Transaction, true) => 3..=3,
            // With a rollback.
            (Call::Transaction, false) => 1..=4,
            (Call::Connection, true) => 2..=2,
            (Call::Connection, false) => 0..=2,
        }
    }
}

fn text_of<'s>(span: &'s SpanData, key: &str) -> Option<&'s str> {
    let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == key)?;
    match &found.value {
        Value::String(text) => Some(text.as_str()),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_tasks_of_which_many_are_dropped_keep_their_spans_apart() {
    let Some(url) = live::address("POSTGRES") else { return };
    let (capture, told) = (Capture::new(), Traced::new());
    let telemetry = capture.telemetry_builder().query_text(QueryText::Verbatim);
    let telemetry = telemetry.tracer_provider(told.watch(capture.tracer_provider())).build();
    // The ledger's is a role of its own.
    let (whole, role) = (url.parse::<PgConnectOptions>().unwrap(), unique_name());
    let mut admin = whole.connect().await.unwrap();
    let make = format!("CREATE ROLE {role} LOGIN PASSWORD '{role}'");
    admin.execute(AssertSqlSafe(make)).await.unwrap();
    let server = Postgres::new(whole.clone(), &role).await.unwrap();
    let mut ledger = Watch::new(server, told);
    // The last of them waits for all others.
    let options = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(PATIENCE);
    let raw = options.connect_with(whole.username(&role).password(&role)).await.unwrap();
    let pool = PgPool::with(raw, &telemetry);

    let mut random = Random(SEED);
    let tasks = (0..TASKS).map(|number| Task::new(number, &mut random)).map(|task| {
        let (pool, tracer) = (pool.clone(), capture.tracer("test"));
        tokio::spawn(async move {
            let context = Context::current_with_span(tracer.start("task"));
            let run = task.run(&pool).with_context(context.clone());
            let result = match task.patience {
                Some(patience) => tokio::time::timeout(patience, run).await.ok(),
                None => Some(run.await),
            };
            let span = context.span();
            span.end();
            (task, span.span_context().clone(), result)
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let done: Vec<_> = join_all(tasks).await.into_iter().map(Result::unwrap).collect();
    eventually("nothing waits, and all connections are idle", async || {
        total(&capture, PENDING) == 0 && pool.num_idle() == pool.size() as usize
    })
    .await;
    capture.check();

    // Some of those with a patience were in time, however busy the machine.
    let dropped = done.iter().filter(|(.., result)| result.is_none()).count();
    let patient = done.iter().filter(|(task, ..)| task.patience.is_some()).count();
    assert!((TASKS / 20..patient).contains(&dropped), "{dropped} of {patient} were dropped");
    let spans = capture.spans();
    let mut of_task: HashMap<_, Vec<&SpanData>> = HashMap::new();
    for span in spans.iter().filter(|span| span.name != "task") {
        of_task.entry(span.span_context.trace_id()).or_default().push(span);
    }
    for (task, parent, result) in &done {
        let own = of_task.remove(&parent.trace_id()).unwrap_or_default();
        if let Some(result) = result {
            result.as_ref().unwrap();
        }
        let (number, finished) = (task.number, result.is_some());
        assert!(task.spans(finished).contains(&own.len()), "task {number}: {own:#?}");
        let text = format!("SELECT {number}");
        for span in own {
            assert_eq!(span.parent_span_id, parent.span_id(), "task {number}: {span:#?}");
            assert_eq!(text_of(span, "db.query.text").unwrap_or(&text), text);
            let error = text_of(span, "error.type");
            assert!(error.is_none() || (!finished && error == Some("cancelled")), "{span:#?}");
        }
    }
    assert!(of_task.is_empty(), "spans of no task: {of_task:#?}");

    // The rollback of a dropped transaction has a span and no duration.
    let own = spans.iter().filter(|span| span.name != "task" && !span.name.starts_with("ROLLBACK"));
    assert_eq!(count(&capture, "db.client.operation.duration"), own.count() as u64);
    pool.execute("SELECT 1").await.unwrap();

    let balance = ledger.balance(0).await;
    // Each task that was not given up on made a call, at least.
    assert!(balance.counted >= (TASKS - dropped) as u64, "{balance}");
    pool.close().await;
    admin.execute(AssertSqlSafe(format!("DROP ROLE {role}"))).await.unwrap();
}
