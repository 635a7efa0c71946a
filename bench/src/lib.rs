//! How costs are measured: time, allocations and instructions of one call. `bench/peers` measures
//! with the same code.

use std::env;
use std::fs;
use std::hint::black_box;
use std::io::ErrorKind;
use std::pin::Pin;
use std::process::Command;
use std::task::{Context, Waker};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

/// First argument of a program of this folder that runs as a child of itself.
pub const CHILD: &str = "child";
/// The names of all measurements: each program knows the others' and leaves them to them.
const NAMES: [&str; 9] =
    ["stub", "sql", "kafka", "mongodb", "nats", "rabbitmq", "redis", "setup", "sqlite"];
/// How many threads call at once where that is measured.
pub const THREADS: u32 = 8;

/// More than the calls at each of which a late provider is asked for, and a multiple of the
/// distance between two later ones.
pub const WARM_UP: u32 = 1280;
/// Calls of one contender in a row.
pub const CALLS: u32 = 64_000;
const CALLS_COUNTED: u32 = 6_400;
const ROUNDS: usize = 31;

/// Two that do and tell the same, in one state of the providers, warmed up.
pub trait Pair {
    /// Calls ours so many times.
    fn run_ours(&self, calls: u32);
    /// Calls the bare SDK so many times.
    fn run_bare(&self, calls: u32);

    /// What a child of the program does under callgrind.
    fn run(&self, who: &str, calls: u32) {
        uncounted(|| if who == "ours" { self.run_ours(calls) } else { self.run_bare(calls) });
    }
}

/// The head of what [`compared`] gives.
pub const COMPARED: &str =
    "ns | bare | ratio | instructions | bare | ratio | allocations in 10 000 calls | bare";

/// Cells of a table: time, instructions, by a child of `measurement`, `who` and `case`, and
/// allocations.
pub fn compared(measurement: &str, case: &[&str], pair: &impl Pair) -> Result<Vec<String>> {
    let (ours, bare) = (|calls| pair.run_ours(calls), |calls| pair.run_bare(calls));
    let times = nanoseconds([&ours, &bare], ROUNDS, CALLS).map(Some);
    let count = |who| instructions(&[&[measurement, who], case].concat(), None, CALLS_COUNTED);
    let mut row = Vec::new();
    for [ours, bare] in [times, [count("ours")?, count("bare")?]] {
        let ratio = ours.zip(bare).map(|(ours, bare)| ours / bare);
        row.extend([cell(ours, 0), cell(bare, 0), cell(ratio, 2)]);
    }
    row.push(allocations(|| ours(10_000)).0.to_string());
    row.push(allocations(|| bare(10_000)).0.to_string());
    Ok(row)
}

/// Whether a program that measures `own` was asked to do so; an error if the name is nobody's.
pub fn wanted(own: &str, arguments: &[String]) -> Result<bool> {
    match arguments {
        [] => Ok(true),
        [name] if NAMES.contains(&name.as_str()) => Ok(name == own),
        _ => bail!("give no name, to measure all, or one of: {}", NAMES.join(", ")),
    }
}

/// Polls a future that is ready at once.
pub fn poll_once(future: Pin<&mut impl Future>) {
    let _ = black_box(future.poll(&mut Context::from_waker(Waker::noop())));
}

/// The number of allocations that the code makes on this thread, and its result.
pub fn allocations<T>(code: impl FnOnce() -> T) -> (u64, Option<T>) {
    let (mut code, mut result) = (Some(code), None);
    let counted = allocation_counter::measure(|| result = code.take().map(|code| code()));
    (counted.count_total, result)
}

/// The bytes that the code allocates on this thread and leaves there; less than none if it frees
/// what another has allocated.
pub fn memory(code: impl FnOnce()) -> i64 {
    allocation_counter::measure(code).bytes_current
}

/// Runs code with the counting of allocations out of its way, as far as it can be.
pub fn uncounted<T>(code: impl FnOnce() -> T) -> Option<T> {
    let (mut code, mut result) = (Some(code), None);
    allocation_counter::opt_out(|| result = code.take().map(|code| code()));
    result
}

/// Nanoseconds per call of two contenders: the median of `rounds`, in each of which both make so
/// many `calls`, one after the other.
pub fn nanoseconds(contenders: [&dyn Fn(u32); 2], rounds: usize, calls: u32) -> [f64; 2] {
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (times, contender) in times.iter_mut().zip(contenders) {
            let start = Instant::now();
            uncounted(|| contender(calls));
            times.push(start.elapsed().as_secs_f64() * 1e9 / f64::from(calls));
        }
    }
    times.map(median)
}

/// What two do a second: the medians of both and of their ratio, over so many rounds in which they take
/// their turns. One more comes before, for connections and late providers.
pub async fn in_turn(
    rounds: usize,
    mut ours: impl AsyncFnMut() -> Result<f64>,
    mut bare: impl AsyncFnMut() -> Result<f64>,
) -> Result<[f64; 3]> {
    let (mut of_ours, mut of_bare) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        let (first, second);
        if round % 2 == 0 {
            first = ours().await?;
            second = bare().await?;
        } else {
            second = bare().await?;
            first = ours().await?;
        }
        if round > 0 {
            of_ours.push(first);
            of_bare.push(second);
        }
    }
    let ratios = of_ours.iter().zip(&of_bare).map(|(ours, bare)| ours / bare).collect();
    Ok([median(of_ours), median(of_bare), median(ratios)])
}

/// Cells of a table: what [`in_turn`] gave.
pub fn in_turn_cells([ours, bare, ratio]: [f64; 3]) -> [String; 3] {
    [cell(Some(ours), 0), cell(Some(bare), 0), cell(Some(ratio), 2)]
}

/// How many times as many calls per second so many `threads` make, `calls` each, as one does: the
/// median of five.
pub fn scaling(threads: u32, run: impl Fn(u32) + Sync, calls: u32) -> f64 {
    let seconds = |threads: u32| {
        let start = Instant::now();
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| uncounted(|| run(calls)));
            }
        });
        start.elapsed().as_secs_f64()
    };
    median((0..5).map(|_| f64::from(threads) * seconds(1) / seconds(threads)).collect())
}

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Instructions per call on the main thread, counted by callgrind on this program as its own child.
/// None without valgrind.
///
/// With the pattern of a function, only what that runs is counted. Without, the child makes `calls`
/// and then twice as many, and the difference is free of start and warm-up.
pub fn instructions(case: &[&str], function: Option<&str>, calls: u32) -> Result<Option<f64>> {
    let once = callgrind(case, function, calls)?;
    let total = match function {
        Some(_) => once,
        None => callgrind(case, None, 2 * calls)?.zip(once).map(|(twice, once)| twice - once),
    };
    Ok(total.map(|total| total / f64::from(calls)))
}

fn callgrind(case: &[&str], function: Option<&str>, calls: u32) -> Result<Option<f64>> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("thread");
    let child = Command::new("valgrind")
        // The allocator tidies up now and then, at the cost of whoever it meets.
        .env("GLIBC_TUNABLES", "glibc.malloc.mxfast=0")
        .args(["--quiet", "--tool=callgrind", "--separate-threads=yes"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .args(function.map(|function| format!("--toggle-collect={function}")))
        .arg(env::current_exe()?)
        .arg(CHILD)
        .args(case)
        .arg(calls.to_string())
        .output();
    let child = match child {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        child => child.context("cannot start valgrind")?,
    };
    if !child.status.success() {
        bail!("callgrind on {case:?}: {}", String::from_utf8_lossy(&child.stderr).trim());
    }
    let main = fs::read_to_string(out.with_file_name("thread-01"))?;
    let total = main.lines().find_map(|line| line.strip_prefix("totals: "));
    Ok(Some(total.context("callgrind counted nothing")?.trim().parse()?))
}

const NOT_COUNTED: &str = "-";

/// A number for a table: none where it was not measured.
pub fn cell(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| NOT_COUNTED.to_owned(), |value| format!("{value:.decimals$}"))
}

/// Prints a table, with a title above it; the head's words stand between ` | `.
#[expect(clippy::print_stdout, reason = "it is what the program is for")]
pub fn table(title: &str, head: &str, rows: &[Vec<String>]) {
    let head: Vec<String> = head.split(" | ").map(str::to_owned).collect();
    let widths: Vec<usize> = (head.iter().enumerate())
        .map(|(at, head)| {
            rows.iter().filter_map(|row| row.get(at)).map(String::len).fold(head.len(), usize::max)
        })
        .collect();
    let line = |cells: &[String]| {
        let cells = cells.iter().zip(&widths).map(|(cell, width)| format!(" {cell:>width$} "));
        println!("|{}|", cells.collect::<Vec<_>>().join("|"));
    };
    println!("\n{title}\n");
    line(&head);
    line(&widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>());
    for row in rows {
        line(row);
    }
    if rows.iter().flatten().any(|cell| cell == NOT_COUNTED) {
        println!("\nvalgrind is not installed: no instructions are counted.");
    }
}

/// A module of this name whose `new` makes providers of one minor of OpenTelemetry, named by its
/// API and its SDK. Spans are dropped as they end, so that no exporter's cost is counted.
#[macro_export]
macro_rules! providers {
    ($name:ident, $api:ident, $sdk:ident) => {
        pub(crate) mod $name {
            use std::time::Duration;

            use $sdk::error::OTelSdkResult;
            use $sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
            use $sdk::trace::{Sampler, SdkTracerProvider, Span, SpanData, SpanProcessor};

            #[derive(Debug)]
            struct Drops;

            impl SpanProcessor for Drops {
                fn on_start(&self, _span: &mut Span, _context: &$api::Context) {}

                fn on_end(&self, _span: SpanData) {}

                fn force_flush(&self) -> OTelSdkResult {
                    Ok(())
                }

                fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
                    Ok(())
                }
            }

            pub(crate) fn new(sampled: bool) -> (SdkTracerProvider, SdkMeterProvider) {
                let sampler = if sampled { Sampler::AlwaysOn } else { Sampler::AlwaysOff };
                let tracer = SdkTracerProvider::builder().with_sampler(sampler);
                let reader = PeriodicReader::builder(InMemoryMetricExporter::default())
                    .with_interval(Duration::from_hours(1));
                let meter = SdkMeterProvider::builder().with_reader(reader.build());
                (tracer.with_span_processor(Drops).build(), meter.build())
            }
        }
    };
}
