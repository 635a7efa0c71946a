//! Ten thousand tasks over one connection, half of them given up on after a while.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use integration_tests::{count, unique_name};
use opentelemetry::Context;
use opentelemetry::trace::{FutureExt as _, TraceContextExt as _, Tracer as _};
use otel_redis::Client;
use otel_redis::aio::MultiplexedConnection;
use otel_testing::opentelemetry_sdk::trace::SpanData;
use otel_testing::{Capture, live};
use redis::{AsyncCommands as _, AsyncConnectionConfig, RedisResult};

const TASKS: u64 = 10_000;

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

/// What one task does, with its number in each of its keys.
async fn run(mut connection: MultiplexedConnection, key: String, kind: u64) -> RedisResult<()> {
    match kind {
        0 => connection.set(&key, 1).await,
        1 => connection.get::<_, Option<i64>>(&key).await.map(drop),
        2 => {
            let mut pipeline = redis::pipe();
            pipeline.get(&key).del(&key);
            pipeline.exec_async(&mut connection).await
        }
        _ => {
            let mut pipeline = redis::pipe();
            pipeline.atomic().get(&key).del(&key);
            pipeline.exec_async(&mut connection).await
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_tasks_of_which_many_are_dropped_keep_their_spans_apart() {
    let Some(url) = live::address("REDIS") else { return };
    let capture = Capture::new();
    let client = Client::with(redis::Client::open(url).unwrap(), &capture.telemetry());
    let settings = AsyncConnectionConfig::new().set_response_timeout(None);
    let settings = settings.set_connection_timeout(None);
    let connecting = client.get_multiplexed_async_connection_with_config(&settings);
    let (connection, prefix) = (connecting.await.unwrap(), unique_name());

    let mut random = Random(20_261_129);
    let tasks: Vec<_> = (0..TASKS)
        .map(|number| {
            let key = format!("{prefix}:{number}");
            let (kind, is_patient) = (random.below(4), random.below(2) == 0);
            let patience = Duration::from_micros(random.below(100_000));
            let (connection, tracer) = (connection.clone(), capture.tracer("test"));
            tokio::spawn(async move {
                let context = Context::current_with_span(tracer.start("task"));
                let run = run(connection, key.clone(), kind).with_context(context.clone());
                let result = if is_patient {
                    Some(run.await)
                } else {
                    tokio::time::timeout(patience, run).await.ok()
                };
                let span = context.span();
                span.end();
                (key, span.span_context().clone(), result)
            })
        })
        .collect();
    let done: Vec<_> = join_all(tasks).await.into_iter().map(Result::unwrap).collect();
    capture.check();
    let dropped = done.iter().filter(|(.., result)| result.is_none()).count();
    assert!((1..6_000).contains(&dropped), "{dropped} were dropped");
    let spans = capture.spans();
    let mut of_task: HashMap<_, Vec<&SpanData>> = HashMap::new();
    for span in spans.iter().filter(|span| span.name != "task") {
        of_task.entry(span.span_context.trace_id()).or_default().push(span);
    }
    for (key, parent, result) in &done {
        let own = of_task.remove(&parent.trace_id()).unwrap_or_default();
        assert_eq!(own.len(), 1, "{key}: {own:#?}");
        assert_eq!(own[0].parent_span_id, parent.span_id(), "{key}: {own:#?}");
        let text = |name: &str| {
            let found = own[0].attributes.iter().find(|it| it.key.as_str() == name);
            found.map(|it| it.value.to_string())
        };
        let words: Vec<String> =
            text("db.query.text").unwrap().split([' ', ';']).map(str::to_owned).collect();
        assert!(words.contains(key), "{key}: {words:?}");
        match result {
            Some(result) => {
                result.as_ref().unwrap();
                assert_eq!(text("error.type"), None);
            }
            None => assert_eq!(text("error.type").as_deref(), Some("cancelled")),
        }
    }
    assert!(of_task.is_empty(), "spans of no task: {of_task:#?}");
    assert_eq!(count(&capture, "db.client.operation.duration"), TASKS);
    let mut connection = connection;
    let left: Vec<String> = connection.keys(format!("{prefix}:*")).await.unwrap();
    for key in left {
        connection.del::<_, ()>(key).await.unwrap();
    }
}
