//! The measurement `stub`: what the core adds to a call that does nothing, beside what the bare
//! SDK adds.

mod bare;

use std::convert::Infallible;
use std::env;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use bench::{CHILD, allocations, cell, instructions, nanoseconds, poll_once, table};
use opentelemetry::global::{self, BoxedTracer, ObjectSafeTracerProvider as _};
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::{Context, ContextGuard, InstrumentationScope};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, Span, SpanData, SpanProcessor};
use otel_core::{Classify, Client, Db, DbCall, DbServer, Failure, Telemetry};

use crate::bare::Bare;

const SYSTEM: &str = "postgresql";
const NAMESPACE: &str = "shop";
const ADDRESS: &str = "db.example.com";
const SUMMARY: &str = "SELECT orders";
/// 80 characters.
const TEXT: &str =
    "SELECT id, customer, total, created_at FROM orders WHERE customer = $1 LIMIT $2 ";

/// More than the calls at each of which a late provider is asked for, and a multiple of the
/// distance between two later ones.
const WARM_UP: u32 = 1280;
const CALLS: u32 = 64_000;
const CALLS_COUNTED: u32 = 6_400;
const ROUNDS: usize = 31;
const THREADS: u32 = 8;

enum Stub {}

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
async fn stub() -> Result<(), Infallible> {
    Ok(())
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Off,
    NotSampled,
    Sampled,
    Suppressed,
}

const STATES: [(State, &str); 4] = [
    (State::Off, "off"),
    (State::NotSampled, "not sampled"),
    (State::Sampled, "sampled"),
    (State::Suppressed, "suppressed"),
];

/// Drops each span at once, so that no exporter's cost is counted.
#[derive(Debug)]
struct Drops;

impl SpanProcessor for Drops {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, _span: SpanData) {}

    fn force_flush(&self) -> opentelemetry_sdk::error::OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> opentelemetry_sdk::error::OTelSdkResult {
        Ok(())
    }
}

fn ours(telemetry: &Telemetry) -> Db<Stub> {
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
    _suppressed: Option<ContextGuard>,
    _providers: Option<(SdkTracerProvider, SdkMeterProvider)>,
}

impl Pair {
    fn new(state: State) -> Self {
        let scope = InstrumentationScope::builder("bare").build();
        let providers = (state != State::Off).then(|| {
            let sampler =
                if state == State::NotSampled { Sampler::AlwaysOff } else { Sampler::AlwaysOn };
            let tracer =
                SdkTracerProvider::builder().with_sampler(sampler).with_span_processor(Drops);
            let reader = PeriodicReader::builder(InMemoryMetricExporter::default())
                .with_interval(Duration::from_hours(1));
            (tracer.build(), SdkMeterProvider::builder().with_reader(reader.build()).build())
        });
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
                let tracer = BoxedTracer::new(tracer.boxed_tracer(scope));
                (ours(&telemetry), Bare::new(tracer, &meter.meter("bare")))
            }
        };
        let suppressed = (state == State::Suppressed)
            .then(|| Context::current().with_telemetry_suppressed().attach());
        let pair = Self { ours, bare, _suppressed: suppressed, _providers: providers };
        pair.run_ours(WARM_UP);
        pair.run_bare(WARM_UP);
        pair
    }

    fn run_ours(&self, calls: u32) {
        (0..calls).for_each(|_| poll_once(call_ours(&self.ours)));
    }

    fn run_bare(&self, calls: u32) {
        (0..calls).for_each(|_| poll_once(self.bare.run(stub())));
    }

    /// How many times as many calls per second `THREADS` threads make as one does.
    fn scaling(&self, run: impl Fn(&Self, u32) + Sync + Copy) -> f64
    where
        Self: Sync,
    {
        let seconds = |threads: u32| {
            let start = Instant::now();
            thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(|| bench::uncounted(|| run(self, CALLS)));
                }
            });
            start.elapsed().as_secs_f64()
        };
        let mut ratios: Vec<f64> =
            (0..5).map(|_| f64::from(THREADS) * seconds(1) / seconds(THREADS)).collect();
        ratios.sort_by(f64::total_cmp);
        ratios[ratios.len() / 2]
    }
}
