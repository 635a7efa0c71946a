//! The measurement `sqlite`: what otel-sqlx and sqlx-otel add to a query of sqlx, in one program,
//! on one sqlx.

use std::env;
use std::future::poll_fn;
use std::hint::black_box;
use std::pin::pin;
use std::rc::Rc;
use std::str::FromStr as _;
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};
use bench::{CHILD, Contender, Instructions, allocations, cell, instructions, nanoseconds, table};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{Executor, Sqlite, SqlitePool};
use tokio::runtime::{Builder, Runtime};

/// More than the calls at each of which otel-sqlx asks for a late provider, and a multiple of the
/// distance between two later ones.
const WARM_UP: u32 = 1280;
const CALLS: u32 = 256;
const ROUNDS: usize = 15;

const CONTENDERS: [&str; 3] = ["sqlx", "otel-sqlx", "sqlx-otel"];
const STATES: [&str; 3] = ["off", "not sampled", "sampled"];
const PLACES: [&str; 2] = ["connection", "pool"];

/// Global providers for one minor of OpenTelemetry: spans are dropped as they end, so that no
/// exporter's cost is counted.
macro_rules! providers {
    ($name:ident, $api:ident, $sdk:ident) => {
        mod $name {
            use std::time::Duration;

            use $api::{Context, global};
            use $sdk::error::OTelSdkResult;
            use $sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
            use $sdk::trace::{Sampler, SdkTracerProvider, Span, SpanData, SpanProcessor};

            #[derive(Debug)]
            struct Drops;

            impl SpanProcessor for Drops {
                fn on_start(&self, _span: &mut Span, _context: &Context) {}

                fn on_end(&self, _span: SpanData) {}

                fn force_flush(&self) -> OTelSdkResult {
                    Ok(())
                }

                fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
                    Ok(())
                }
            }

            pub(super) fn install(sampled: bool) {
                let sampler = if sampled { Sampler::AlwaysOn } else { Sampler::AlwaysOff };
                let tracer =
                    SdkTracerProvider::builder().with_sampler(sampler).with_span_processor(Drops);
                global::set_tracer_provider(tracer.build());
                let reader = PeriodicReader::builder(InMemoryMetricExporter::default())
                    .with_interval(Duration::from_secs(3600));
                let meter = SdkMeterProvider::builder().with_reader(reader.build());
                global::set_meter_provider(meter.build());
            }
        }
    };
}

providers!(ours, opentelemetry, opentelemetry_sdk);
providers!(theirs, opentelemetry_032, opentelemetry_sdk_032);

fn enter(state: &str) {
    if state != "off" {
        ours::install(state == "sampled");
        theirs::install(state == "sampled");
    }
}

async fn query(executor: impl Executor<'_, Database = Sqlite>) -> Result<()> {
    let query = sqlx::query("SELECT id, name FROM customers WHERE id = ?").bind(7_i64);
    let mut row = measured(|| query.fetch_one(executor));
    let row = poll_fn(|task| {
        let polled = measured(|| row.as_mut().poll(task));
        if polled.is_pending() {
            // Lets the driver's thread come to rest before the next poll: else the number of
            // polls, and with it all counts, would be a matter of luck.
            thread::sleep(Duration::from_millis(1));
        }
        polled
    });
    black_box(row.await?);
    Ok(())
}

/// The code whose instructions are counted: what the runtime does to wait is left out.
#[inline(never)]
fn measured<T>(code: impl FnOnce() -> T) -> T {
    code()
}

/// A database in memory, of one connection.
async fn database() -> Result<SqlitePool> {
    let options = SqliteConnectOptions::from_str("sqlite::memory:")?;
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
    pool.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL)").await?;
    pool.execute("INSERT INTO customers VALUES (7, 'Ada')").await?;
    Ok(pool)
}

/// A contender in a place, warmed up.
fn contender(runtime: &Rc<Runtime>, who: &str, place: &str) -> Result<Contender<'static>> {
    /// Makes the calls on the connection or on the pool; the same text for all three types.
    macro_rules! calls {
        ($pool:expr, |$connection:ident| $executor:expr) => {{
            let (runtime, pool) = (Rc::clone(runtime), $pool);
            if place == "pool" {
                Box::new(move |calls| {
                    runtime.block_on(async {
                        for _ in 0..calls {
                            query(&pool).await?;
                        }
                        Ok(())
                    })
                })
            } else {
                let mut $connection = runtime.block_on(pool.acquire())?;
                Box::new(move |calls| {
                    runtime.block_on(async {
                        for _ in 0..calls {
                            query($executor).await?;
                        }
                        Ok(())
                    })
                })
            }
        }};
    }
    let database = runtime.block_on(database())?;
    let mut contender: Contender<'static> = match who {
        "sqlx" => calls!(database, |connection| &mut *connection),
        "otel-sqlx" => {
            // Not `Telemetry::global`: that keeps the providers that it found first.
            let telemetry = otel_sqlx::otel_core::Telemetry::builder().build();
            calls!(otel_sqlx::Pool::with(database, &telemetry), |connection| &mut *connection)
        }
        "sqlx-otel" => {
            let pool = sqlx_otel::PoolBuilder::from(database).build();
            calls!(pool, |connection| &mut connection)
        }
        _ => bail!("no contender {who}"),
    };
    contender(WARM_UP)?;
    Ok(contender)
}

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let runtime = Rc::new(Builder::new_current_thread().enable_all().build()?);
    // A connection goes back to its pool in a task.
    let handle = runtime.handle().clone();
    let _entered = handle.enter();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [CHILD, who, state, place, calls] => {
            enter(state);
            let calls = calls.parse()?;
            let mut contender = contender(&runtime, who, place)?;
            bench::uncounted(|| contender(calls)).transpose()?;
            Ok(())
        }
        _ if bench::wanted("sqlite", &arguments)? => measure(&runtime),
        _ => Ok(()),
    }
}

fn measure(runtime: &Rc<Runtime>) -> Result<()> {
    let (mut counts, mut times) = (Vec::new(), Vec::new());
    let mut has_valgrind = true;
    for state in STATES {
        enter(state);
        for place in PLACES {
            let mut contenders = CONTENDERS
                .iter()
                .map(|who| contender(runtime, who, place))
                .collect::<Result<Vec<_>>>()?;
            let allocations = contenders
                .iter_mut()
                .map(|contender| Ok(allocations(contender, CALLS)? as f64 / f64::from(CALLS)))
                .collect::<Result<Vec<f64>>>()?;
            let time = nanoseconds(&mut contenders, ROUNDS, CALLS)?;
            let instructions = CONTENDERS
                .iter()
                .map(|who| instructions(&[who, state, place], CALLS))
                .collect::<Result<Option<Vec<Instructions>>>>();
            let _ = (&allocations, &time, &instructions);
            println!("{state} {place} {allocations:?} {time:?} {instructions:?}");
        }
    }
    let _ = (&mut counts as &mut Vec<Vec<String>>, &mut times as &mut Vec<Vec<String>>, cell(None, 0), &mut has_valgrind);
    table("", &[], &[]);
    Ok(())
}
