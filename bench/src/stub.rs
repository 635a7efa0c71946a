//! The measurement `stub`: what the core adds to a call that does nothing, beside what the bare
//! SDK adds.

use std::convert::Infallible;
use std::pin::pin;
use std::thread;

use anyhow::Result;
use bench::{
    CALLS, COMPARED, Pair as _, THREADS, WARM_UP, cell, compared, poll_once, scaling, table,
};
use opentelemetry::global::{self, BoxedTracer, ObjectSafeTracerProvider as _};
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::{Context, ContextGuard, InstrumentationScope};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use otel_core::{Classify, Client, Db, DbCall, DbServer, Failure, Telemetry};

use crate::bare::Bare;

pub(crate) const NAME: &str = "stub";

pub(crate) const SYSTEM: &str = "postgresql";
pub(crate) const NAMESPACE: &str = "shop";
pub(crate) const ADDRESS: &str = "db.example.com";
pub(crate) const SUMMARY: &str = "SELECT orders";
pub(crate) const TEXT: &str =
    "SELECT id, customer, amount, placed FROM orders WHERE customer = $1 AND id <= $2";
const _: () = assert!(TEXT.len() == 80);

pub(crate) enum Stub {}

impl Client for Stub {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
}

impl Classify<Infallible> for Stub {
    fn classify(error: &Infallible) -> Failure {
        match *error {}
    }
}

/// The driver: nothing.
#[expect(clippy::unused_async, reason = "the future of a driver, without its work")]
async fn stub() -> Result<(), Infallible> {
    Ok(())
}

pub(crate) const STATES: [&str; 4] = ["off", "not sampled", "sampled", "suppressed"];

bench::providers!(providers, opentelemetry, opentelemetry_sdk);

/// Where the measurement of a driver reports to in one state.
#[cfg(any(
    feature = "kafka",
    feature = "mongodb",
    feature = "nats",
    feature = "rabbitmq",
    feature = "redis"
))]
pub(crate) fn telemetry(state: &str) -> Telemetry {
    let builder = Telemetry::builder().propagator(crate::kafka::propagator());
    if state == "off" {
        return builder.build();
    }
    let (tracer, meter) = providers::new(state != "not sampled");
    builder.tracer_provider(tracer).meter_provider(meter).build()
}

pub(crate) fn ours(telemetry: &Telemetry) -> Db<Stub> {
    let server = DbServer::new(SYSTEM).namespace(NAMESPACE).address(ADDRESS, Some(5432));
    Db::new(telemetry, server)
}

fn call_ours(db: &Db<Stub>) -> impl Future<Output = Result<(), Infallible>> {
    db.run((), |()| DbCall::statement(TEXT, true), |()| stub())
}

/// Both contenders in one state, warmed up. The providers live as long as this.
struct Pair {
    ours: Db<Stub>,
    bare: Bare,
    _providers: Option<(SdkTracerProvider, SdkMeterProvider)>,
}

impl Pair {
    fn new(state: &str) -> Self {
        let providers = (state != "off").then(|| providers::new(state != "not sampled"));
        let (ours, bare) = match &providers {
            None => {
                let bare = Bare::new(global::tracer("bare"), &global::meter("bare"));
                (ours(&Telemetry::global()), bare)
            }
            Some((tracer, meter)) => {
                let telemetry = Telemetry::builder()
                    .tracer_provider(tracer.clone())
                    .meter_provider(meter.clone())
                    .build();
                let tracer = BoxedTracer::new(tracer.boxed_tracer(InstrumentationScope::default()));
                (ours(&telemetry), Bare::new(tracer, &meter.meter("bare")))
            }
        };
        let pair = Self { ours, bare, _providers: providers };
        pair.run_ours(WARM_UP);
        pair.run_bare(WARM_UP);
        pair
    }
}

impl bench::Pair for Pair {
    fn run_ours(&self, calls: u32) {
        for _ in 0..calls {
            poll_once(pin!(call_ours(&self.ours)));
        }
    }

    fn run_bare(&self, calls: u32) {
        for _ in 0..calls {
            poll_once(pin!(self.bare.run(stub())));
        }
    }
}

/// What the state wants of the thread that calls.
pub(crate) fn enter(state: &str) -> Option<ContextGuard> {
    (state == "suppressed").then(|| Context::current().with_telemetry_suppressed().attach())
}

/// Runs under callgrind.
pub(crate) fn child(who: &str, state: &str, calls: u32) {
    let _guard = enter(state);
    let pair = Pair::new(state);
    pair.run(who, calls);
}

pub(crate) fn measure() -> Result<()> {
    let mut costs = Vec::new();
    let mut threads = Vec::new();
    for state in STATES {
        let _guard = enter(state);
        let pair = Pair::new(state);
        let mut row = vec![state.to_owned()];
        row.extend(compared(NAME, &[state], &pair)?);
        costs.push(row);
        if matches!(state, "off" | "sampled") {
            let ratios = [
                scaling(THREADS, |calls| pair.run_ours(calls), CALLS),
                scaling(THREADS, |calls| pair.run_bare(calls), CALLS),
            ];
            let ratios = ratios.map(|ratio| cell(Some(ratio), 2));
            threads.push([state.to_owned()].into_iter().chain(ratios).collect());
        }
    }
    let title = "stub: one call, ours beside the bare SDK, with metrics in every state but off";
    table(title, &format!("state | {COMPARED}"), &costs);
    let title = format!(
        "stub: calls per second of {THREADS} threads on one client, as a multiple of one thread's \
         ({} processors)",
        thread::available_parallelism()?
    );
    table(&title, "state | ours | bare", &threads);
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeSet;

    use opentelemetry::KeyValue;
    use otel_testing::Capture;

    use super::*;

    /// What is worth comparing of everything that was told.
    pub(crate) fn told(capture: &Capture) -> [BTreeSet<String>; 2] {
        let facts = |attributes: &[KeyValue]| {
            let told = attributes.iter().map(|fact| format!("{}={}", fact.key, fact.value));
            told.collect::<BTreeSet<_>>()
        };
        let spans = capture.spans().into_iter().map(|span| {
            let links = span.links.iter().map(|link| link.span_context.span_id());
            let links = links.collect::<Vec<_>>();
            format!("{} {:?} {:?} {links:?}", span.name, span.span_kind, facts(&span.attributes))
        });
        let metrics = capture.metrics().into_iter().map(|metric| {
            let points = metric.points.iter().map(|point| facts(&point.attributes));
            format!("{} {} {:?}", metric.name, metric.unit, points.collect::<Vec<_>>())
        });
        [spans.collect(), metrics.collect()]
    }

    /// Else the two would not be worth comparing.
    #[test]
    fn both_contenders_tell_the_same() {
        let [ours, bare] = [true, false].map(|is_ours| {
            let capture = Capture::new();
            if is_ours {
                poll_once(pin!(call_ours(&ours(&capture.telemetry()))));
            } else {
                let scope = InstrumentationScope::default();
                let tracer = BoxedTracer::new(capture.tracer_provider().boxed_tracer(scope));
                let bare = Bare::new(tracer, &capture.meter_provider().meter("bare"));
                poll_once(pin!(bare.run(stub())));
            }
            told(&capture)
        });
        assert_eq!(ours, bare);
    }
}
