//! What the live tests of all adapters share; the tests are in `tests`, a file per backend.
#![allow(clippy::missing_panics_doc, clippy::panic, reason = "helpers of tests fail by panicking")]

pub mod authority;
pub mod collector;
pub mod crowd;
pub mod foreign;
pub mod ledger;
pub mod otlp;
pub mod received;
#[cfg(feature = "redis")]
pub mod redis_commands;
pub mod roles;
pub mod shop;
pub mod told;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::hash::{BuildHasher as _, RandomState};
use std::panic::resume_unwind;
use std::thread;
use std::time::{Duration, Instant};

use native::{Extra, Private, Server, Services};
use otel_testing::opentelemetry::trace::SpanContext;
use otel_testing::opentelemetry_sdk::trace::SpanData;
use otel_testing::{Capture, Point, PointValue, live};

/// Longer than what a server or a driver of these tests may take by its own settings, also on a busy
/// machine: Kafka waits 45 seconds for a member of a group of which nothing is heard, librdkafka 60
/// for the answer to a request, Pulsar's driver 30. Nothing waits this long unless it fails.
pub const PATIENCE: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(2);

/// A name that no other test has, and no earlier run had.
pub fn unique_name() -> String {
    // The one source of chance in the standard library.
    format!("live_{:016x}", RandomState::new().hash_one(()))
}

/// The same URL for another user, whose password is the name.
pub fn as_user(url: &str, name: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { panic!("no URL: {url}") };
    let server = rest.rsplit_once('@').map_or(rest, |(_, server)| server);
    format!("{scheme}://{name}:{name}@{server}")
}

/// Returns once the condition holds, which must be soon.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    eventually_ok(what, async || if holds().await { Ok(()) } else { Err("it is not so") }).await;
}

/// What an attempt gives once it succeeds, which must be soon.
pub async fn eventually_ok<T, E: Display>(
    what: &str,
    mut attempt: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let start = Instant::now();
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(error) if start.elapsed() > PATIENCE => {
                panic!("waited {PATIENCE:?} in vain until {what}: {error}");
            }
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}

/// What becomes of the future, which must be soon.
pub async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    let Ok(output) = tokio::time::timeout(PATIENCE, future).await else {
        panic!("waited {PATIENCE:?} in vain until {what}");
    };
    output
}

/// Runs something to its end on a thread and a runtime of its own: when something is dropped, those of
/// the test may be over, or wait for this very thread.
pub fn apart<T: Send>(run: impl AsyncFnOnce() -> T + Send) -> T {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap_or_else(|error| panic!("{error}")).block_on(run())
    };
    let ran = thread::scope(|scope| scope.spawn(run).join());
    ran.unwrap_or_else(|panicked| resume_unwind(panicked))
}

/// An instance of a test's own, where one can be started: the shared one is not to be killed. Blocks
/// the thread.
pub fn private(server: &'static Server, extra: Extra) -> Option<Private> {
    live::address(&server.key())?;
    let what = format!("{} of the test's own", server.title());
    or_skipped(&what, Private::start_with(server, extra))
}

/// Says that it was skipped where there is none, unless `OTEL_TEST_REQUIRE` demands something.
fn or_skipped<T, E: Display>(what: &str, made: Result<T, E>) -> Option<T> {
    match made {
        Ok(made) => Some(made),
        Err(error) if std::env::var_os("OTEL_TEST_REQUIRE").is_none() => {
            live::skipped(format!("no {what}: {error:#}"));
            None
        }
        Err(error) => panic!("{error:#}"),
    }
}

/// As [`live::address`], for a server that not every machine can run: `OTEL_TEST_REQUIRE=all` does not
/// demand it.
pub fn address_where_it_runs(server: &Server) -> Option<String> {
    let key = server.key();
    let addresses = Services::from_env().map(|services| services.addresses());
    let addresses = addresses.ok().and_then(|path| std::fs::read(path).ok());
    let addresses: Option<BTreeMap<String, String>> =
        addresses.and_then(|text| serde_json::from_slice(&text).ok());
    let is_started = addresses.is_some_and(|addresses| addresses.contains_key(&key));
    if is_started || std::env::var_os(format!("OTEL_TEST_{key}")).is_some() {
        return live::address(&key);
    }
    live::skipped(format!("no {}, which was not started", server.name()));
    None
}

/// Whether the server is the one that it is called after. Where another stands in for it, says what
/// that one does otherwise, and how to run what was skipped: no machine without Docker has the real
/// one, so `OTEL_TEST_REQUIRE` does not demand it. Ask the server itself who it is.
pub fn is_real(server: &Server, stand_in: Option<&str>, otherwise: &str) -> bool {
    let Some(stand_in) = stand_in else { return true };
    let up = format!("`cargo xtask services up --docker {}`", server.name());
    live::skipped(format!("{stand_in} {otherwise}; for the real server: {up}"));
    false
}

/// Panics if the secret is in anything that was captured.
#[track_caller]
pub fn assert_nowhere(capture: &Capture, secret: &str) {
    let spans = capture.spans().into_iter().map(|span| format!("{span:?}"));
    let metrics = capture.metrics().into_iter().map(|metric| format!("{metric:?}"));
    let logs = capture.logs().into_iter().map(|log| format!("{log:?}"));
    let told: Vec<String> = spans.chain(metrics).chain(logs).collect();
    assert!(!told.is_empty(), "nothing was captured, so nothing is shown");
    for text in told {
        assert!(!text.contains(secret), "a secret was told: {text:.2000}");
    }
}

/// What a span says of something, as text.
pub fn attribute(span: &SpanData, name: &str) -> Option<String> {
    let mut attributes = span.attributes.iter();
    Some(attributes.find(|it| it.key.as_str() == name)?.value.to_string())
}

/// What a span failed with.
pub fn error_type(span: &SpanData) -> Option<String> {
    attribute(span, "error.type")
}

/// A span as it comes out of a message.
pub fn carried(span: &SpanContext) -> SpanContext {
    let state = span.trace_state().clone();
    SpanContext::new(span.trace_id(), span.span_id(), span.trace_flags(), true, state)
}

/// The one span with this name, as it comes out of a message.
pub fn sent(capture: &Capture, name: &str) -> SpanContext {
    let spans = capture.spans_named(name);
    let [span] = &spans[..] else { panic!("not one {name}: {spans:#?}") };
    carried(&span.span_context)
}

/// The sum over all points of a metric of whole numbers; without a point 0.
pub fn total(capture: &Capture, metric: &str) -> i64 {
    let metrics = capture.metrics().into_iter().filter(|found| found.name == metric);
    metrics.flat_map(|metric| metric.points).map(|point| whole(&point)).sum()
}

/// The value of a sum or gauge of whole numbers.
pub fn whole(point: &Point) -> i64 {
    match point.value {
        PointValue::I64(value) => value,
        _ => panic!("not a whole number: {point:?}"),
    }
}

/// How many values a histogram recorded, over all its points.
pub fn count(capture: &Capture, metric: &str) -> u64 {
    let metrics = capture.metrics().into_iter().filter(|found| found.name == metric);
    metrics.flat_map(|metric| metric.points).filter_map(|point| point.count()).sum()
}
