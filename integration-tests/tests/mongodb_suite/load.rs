//! Ten thousand tasks over one client, half of them given up on after a while. A few dozen at a time:
//! the driver's pool looks at one of those that wait for each connection that is handed back, also at
//! one that waits no more, so that thousands of these would keep it busy for minutes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use futures_util::future::join_all;
use integration_tests::eventually;
use mongodb::Collection;
use mongodb::bson::{Document, doc};
use mongodb::error::Result;
use opentelemetry::Context;
use opentelemetry::trace::{FutureExt as _, SpanContext, TraceContextExt as _, Tracer as _};
use otel_testing::Capture;
use otel_testing::opentelemetry_sdk::trace::SpanData;
use tokio::sync::Semaphore;

use crate::suite::{Scratch, connections, error};

const TASKS: u64 = 10_000;
const AT_ONCE: usize = 48;
const SEED: u64 = 20_261_129;

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

/// How many commands it is.
async fn run(call: u64, numbers: &Collection<Document>) -> Result<usize> {
    Ok(match call {
        0 => numbers.find_one(doc! {}).await.map(|_| 1)?,
        1 => {
            let found = numbers.find(doc! {}).batch_size(2).await?;
            found.try_collect::<Vec<_>>().await.map(|_| 3)?
        }
        _ => numbers.count_documents(doc! {}).await.map(|_| 1)?,
    })
}

/// What became of the tasks: the span of each, and its result if it was not given up on.
pub(crate) struct Done<T>(pub(crate) Vec<(SpanContext, Option<Result<T>>)>);

/// Runs them, half of them with less patience than most take, so that they are dropped in each of
/// their states.
pub(crate) async fn run_tasks<F, T>(capture: &Capture, call: impl Fn(u64) -> F) -> Done<T>
where
    F: Future<Output = Result<T>> + Send + 'static,
    T: Send + 'static,
{
    let mut random = Random(SEED);
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let tasks = (0..TASKS).map(|_| {
        let (run, is_patient) = (call(random.below(3)), random.below(2) == 0);
        let patience = Duration::from_micros(random.below(60_000));
        let (turns, tracer) = (Arc::clone(&turns), capture.tracer("test"));
        tokio::spawn(async move {
            let _turn = turns.acquire_owned().await.unwrap();
            let context = Context::current_with_span(tracer.start("task"));
            let run = run.with_context(context.clone());
            let result = if is_patient {
                Some(run.await)
            } else {
                tokio::time::timeout(patience, run).await.ok()
            };
            context.span().end();
            (context.span().span_context().clone(), result)
        })
    });
    let tasks: Vec<_> = tasks.collect();
    Done(join_all(tasks).await.into_iter().map(|done| done.unwrap()).collect())
}

impl<T> Done<T> {
    /// Shows each with the spans that are in its trace; there are no others.
    pub(crate) fn each(
        &self,
        capture: &Capture,
        mut check: impl FnMut(&SpanContext, Option<&Result<T>>, &[&SpanData]),
    ) {
        let dropped = self.0.iter().filter(|(_, result)| result.is_none()).count();
        assert!(dropped > 0 && dropped < self.0.len(), "{dropped} were dropped");
        let spans = capture.spans();
        let mut of_task: HashMap<_, Vec<&SpanData>> = HashMap::new();
        for span in spans.iter().filter(|span| span.name != "task") {
            of_task.entry(span.span_context.trace_id()).or_default().push(span);
        }
        for (task, result) in &self.0 {
            let own = of_task.remove(&task.trace_id()).unwrap_or_default();
            check(task, result.as_ref(), &own);
        }
        assert!(of_task.is_empty(), "spans of no task: {of_task:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_tasks_of_which_many_are_dropped_keep_their_spans_apart() {
    let scratch = Scratch::with(|it| it, |options| options.max_pool_size = Some(8)).await;
    let Some(scratch) = scratch else { return };
    let numbers = scratch.filled(1..=5).await;
    let capture = &scratch.capture;
    let done = run_tasks(capture, |call| {
        let numbers = numbers.clone();
        async move { run(call, &numbers).await }
    });
    let done = done.await;
    eventually("no connection is in use", async || {
        connections(capture).get("used").is_none_or(|used| *used == 0)
    })
    .await;
    capture.check();
    scratch.assert_measured();
    done.each(capture, |task, result, own| {
        if let Some(result) = result {
            assert_eq!(own.len(), *result.as_ref().unwrap(), "{own:#?}");
        }
        for span in own {
            let error = error(span);
            let is_cancelled = error.as_deref() == Some("cancelled");
            assert!(error.is_none() || (result.is_none() && is_cancelled), "{span:#?}");
            // A cursor that is dropped is ended below its find.
            let is_below = span.parent_span_id == task.span_id();
            assert!(is_below || span.name == "killCursors numbers", "{span:#?}");
        }
    });
    assert!(numbers.find_one(doc! {}).await.unwrap().is_some());
    scratch.remove().await;
}
