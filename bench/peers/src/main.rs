//! The measurement `sqlite`: what otel-sqlx and sqlx-otel add to a query of sqlx, in one program,
//! on one sqlx.

use std::env;
use std::future::poll_fn;
use std::hint::black_box;
use std::rc::Rc;
use std::str::FromStr as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};
use bench::{CHILD, cell, table};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{Executor, Sqlite, SqlitePool};
use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;

/// More than the calls at each of which otel-sqlx asks for a late provider, and a multiple of the
/// distance between two later ones.
const WARM_UP: u32 = 1280;
const CALLS: u32 = 256;

const MEASURED: &str = "*peers::measured*";
const CONTENDERS: [&str; 3] = ["sqlx", "otel-sqlx", "sqlx-otel"];
const STATES: [&str; 3] = ["off", "not sampled", "sampled"];
const PLACES: [&str; 2] = ["connection", "pool"];

bench::providers!(ours, opentelemetry, opentelemetry_sdk);
bench::providers!(theirs, opentelemetry_032, opentelemetry_sdk_032);

fn enter(state: &str) {
    if state != "off" {
        let (tracer, meter) = ours::new(state == "sampled");
        opentelemetry::global::set_tracer_provider(tracer);
        opentelemetry::global::set_meter_provider(meter);
        let (tracer, meter) = theirs::new(state == "sampled");
        opentelemetry_032::global::set_tracer_provider(tracer);
        opentelemetry_032::global::set_meter_provider(meter);
    }
}

async fn query(executor: impl Executor<'_, Database = Sqlite>) -> Result<()> {
    let query = sqlx::query("SELECT id, name FROM customers WHERE id = ?").bind(7_i64);
    let mut row = counted(|| executor.fetch_one(query));
    let row = poll_fn(|task| {
        let polled = counted(|| row.as_mut().poll(task));
        if polled.is_pending() {
            rest(3);
        }
        polled
    });
    black_box(row.await?);
    // The connection goes back to its pool.
    rest(1);
    yield_now().await;
    rest(1);
    yield_now().await;
    Ok(())
}

/// Whether the threads wait for each other, so that each query takes the same polls: else the
/// number of polls, and with it all counts, would be a matter of luck.
static IN_STEP: AtomicBool = AtomicBool::new(false);

/// Lets the driver's thread come to rest.
fn rest(milliseconds: u64) {
    if IN_STEP.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(milliseconds));
    }
}

/// The code whose instructions are counted: what the runtime does while it waits is left out.
#[inline(never)]
fn measured<T>(code: impl FnOnce() -> T) -> T {
    code()
}

fn counted<T>(code: impl FnOnce() -> T) -> T {
    // Not the warm-up, which is not in step.
    if IN_STEP.load(Ordering::Relaxed) { measured(code) } else { code() }
}

/// A database in memory, of one connection.
async fn database() -> Result<SqlitePool> {
    let options = SqliteConnectOptions::from_str("sqlite::memory:")?;
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        // That would be a question to the driver's thread, whose answer nobody waits for in step.
        .test_before_acquire(false)
        .after_connect(|connection, _| {
            Box::pin(async move {
                // The driver's thread waits in each query, so that it is never done too early.
                let wait = || {
                    rest(1);
                    true
                };
                connection.lock_handle().await?.set_progress_handler(6, wait);
                Ok(())
            })
        })
        .connect_with(options)
        .await?;
    pool.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL)").await?;
    pool.execute("INSERT INTO customers VALUES (7, 'Ada')").await?;
    Ok(pool)
}

type Contender = Box<dyn FnMut(u32) -> Result<()>>;

/// A contender in a place, warmed up.
fn contender(runtime: &Rc<Runtime>, who: &str, place: &str) -> Result<Contender> {
    /// Makes the calls on a connection or on the pool: the same text for all three types.
    macro_rules! calls {
        ($pool:expr, |$connection:ident| $executor:expr) => {{
            let (runtime, pool, on_pool) = (Rc::clone(runtime), $pool, place == "pool");
            let mut connection =
                (!on_pool).then(|| runtime.block_on(pool.acquire())).transpose()?;
            Box::new(move |calls| {
                runtime.block_on(async {
                    for _ in 0..calls {
                        match &mut connection {
                            Some($connection) => query($executor).await?,
                            None => query(&pool).await?,
                        }
                    }
                    Ok(())
                })
            })
        }};
    }
    let database = runtime.block_on(database())?;
    let mut contender: Contender = match who {
        "sqlx" => calls!(database, |connection| &mut **connection),
        "otel-sqlx" => {
            // Not `Telemetry::global`: that keeps the providers that it found first.
            let telemetry = otel_sqlx::otel_core::Telemetry::builder().build();
            calls!(otel_sqlx::Pool::with(database, &telemetry), |connection| &mut **connection)
        }
        "sqlx-otel" => {
            let pool = sqlx_otel::PoolBuilder::from(database).build();
            calls!(pool, |connection| connection)
        }
        _ => bail!("no contender {who}"),
    };
    IN_STEP.store(false, Ordering::Relaxed);
    contender(WARM_UP)?;
    IN_STEP.store(true, Ordering::Relaxed);
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
    let (mut instructions, mut allocations) = (Vec::new(), Vec::new());
    for state in STATES {
        enter(state);
        for place in PLACES {
            let (mut run, mut allocated) = (Vec::new(), Vec::new());
            for who in CONTENDERS {
                run.push(bench::instructions(&[who, state, place], Some(MEASURED), CALLS)?);
                let mut contender = contender(runtime, who, place)?;
                let (count, result) = bench::allocations(|| contender(CALLS));
                result.transpose()?;
                allocated.push(u32::try_from(count).ok().map(|n| f64::from(n) / f64::from(CALLS)));
            }
            instructions.push(row(state, place, &run, 0));
            allocations.push(row(state, place, &allocated, 1));
        }
    }
    let head = "state | on | sqlx | otel-sqlx adds | sqlx-otel adds | ratio";
    table("sqlite: instructions of one query on the caller's thread", head, &instructions);
    table("sqlite: allocations of one query on the caller's thread", head, &allocations);
    Ok(())
}

/// The cost of the bare driver, what each of the two adds, and the ratio of that.
fn row(state: &str, place: &str, costs: &[Option<f64>], decimals: usize) -> Vec<String> {
    let cost = |at: usize| costs.get(at).copied().flatten();
    let added = |at: usize| Some(cost(at)? - cost(0)?);
    let ratio = added(1).zip(added(2)).map(|(ours, theirs)| ours / theirs);
    let numbers = [cost(0), added(1), added(2)].map(|number| cell(number, decimals));
    let row = [state.to_owned(), place.to_owned()].into_iter().chain(numbers);
    row.chain([cell(ratio, 2)]).collect()
}
