//! Ten thousand tasks at once, each with a span of its own, some of which are dropped at some point.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use otel_testing::Capture;
use otel_testing::opentelemetry::Context;
use otel_testing::opentelemetry::trace::{
    FutureExt as _, SpanId, TraceContextExt as _, Tracer as _,
};
use otel_testing::opentelemetry_sdk::trace::SpanData;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::soon;

/// How many.
pub const TASKS: usize = 10_000;
const AT_ONCE: usize = 128;

/// The tasks, after they are done.
#[derive(Debug)]
pub struct Crowd(HashMap<SpanId, usize>);

impl Crowd {
    /// Lets each task make its calls, by its number. Those of odd numbers are dropped after a while, if
    /// they are not done.
    pub async fn run<F>(capture: &Capture, calls: impl Fn(usize) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let tracer = capture.tracer("application");
        let (mut tasks, mut parents) = (JoinSet::new(), HashMap::new());
        let permits = Arc::new(Semaphore::new(AT_ONCE));
        for number in 0..TASKS {
            let task = Context::new().with_span(tracer.start(format!("task {number}")));
            parents.insert(task.span().span_context().span_id(), number);
            // By its number: chance that is the same at each run.
            let patience = (number as u64).wrapping_mul(2_654_435_761) % 3000;
            let (permits, calls) = (Arc::clone(&permits), calls(number));
            let work = async move {
                let _permit = permits.acquire().await;
                if number % 2 == 0 {
                    calls.await;
                } else {
                    let _dropped = timeout(Duration::from_micros(patience), calls).await;
                }
                Context::current().span().end();
            };
            tasks.spawn(work.with_context(task));
        }
        let done = async {
            while let Some(done) = tasks.join_next().await {
                done.unwrap_or_else(|error| panic!("{error}"));
            }
        };
        soon("all are done", done).await;
        Self(parents)
    }

    /// The spans of the calls, each with the number of the task that it is below.
    pub fn calls(&self, capture: &Capture) -> Vec<(usize, SpanData)> {
        let mut spans = capture.spans();
        spans.retain(|span| !span.name.starts_with("task "));
        spans.into_iter().map(|span| (self.0[&span.parent_span_id], span)).collect()
    }
}
