//! How costs are measured: time, allocations and instructions of one call. `bench/peers` measures
//! with the same code.

use std::env;
use std::fs;
use std::hint::black_box;
use std::io::ErrorKind;
use std::pin::Pin;
use std::process::Command;
use std::task::{Context, Waker};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

/// First argument of a program of this folder that runs as a child of itself.
pub const CHILD: &str = "child";
/// The names of all measurements: each program knows the others' and leaves them to them.
const NAMES: [&str; 2] = ["stub", "sqlite"];

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

/// Something that makes a number of calls.
pub type Contender<'a> = Box<dyn FnMut(u32) -> Result<()> + 'a>;

/// The number of allocations that so many calls make on this thread.
pub fn allocations(contender: &mut Contender<'_>, calls: u32) -> Result<u64> {
    let mut result = Ok(());
    let counted = allocation_counter::measure(|| result = contender(calls));
    result.map(|()| counted.count_total)
}

/// Runs code with the counting of allocations out of its way, as far as it can be.
pub fn uncounted<T>(code: impl FnOnce() -> T) -> Option<T> {
    let (mut code, mut result) = (Some(code), None);
    allocation_counter::opt_out(|| result = code.take().map(|code| code()));
    result
}

/// Nanoseconds per call of each contender: the median of `rounds`, in each of which all of them
/// run `calls` times, one after the other.
pub fn nanoseconds(
    contenders: &mut [Contender<'_>],
    rounds: usize,
    calls: u32,
) -> Result<Vec<f64>> {
    let mut times = vec![Vec::with_capacity(rounds); contenders.len()];
    for _ in 0..rounds {
        for (times, contender) in times.iter_mut().zip(&mut *contenders) {
            let start = Instant::now();
            uncounted(|| contender(calls)).transpose()?;
            times.push(start.elapsed().as_secs_f64() * 1e9 / f64::from(calls));
        }
    }
    Ok(times.into_iter().map(median).collect())
}

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Instructions per call on the main thread: this program, as its own child under callgrind, told to
/// make `calls` and then twice as many. The difference is free of start and warm-up. `function`, if
/// not empty, is a pattern: only what it runs is counted. None without valgrind.
pub fn instructions(case: &[&str], function: &str, calls: u32) -> Result<Option<f64>> {
    let once = callgrind(case, function, calls)?;
    let twice = callgrind(case, function, 2 * calls)?;
    Ok(once.zip(twice).map(|(once, twice)| (twice - once) / f64::from(calls)))
}

fn callgrind(case: &[&str], function: &str, calls: u32) -> Result<Option<f64>> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("thread");
    let child = Command::new("valgrind")
        // The allocator tidies up now and then, at the cost of whoever it meets.
        .env("GLIBC_TUNABLES", "glibc.malloc.mxfast=0")
        .args(["--quiet", "--tool=callgrind", "--separate-threads=yes"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .args((!function.is_empty()).then(|| format!("--toggle-collect={function}")))
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

/// A number for a table: none where it was not measured.
pub fn cell(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"))
}

/// Prints a table, with a title above it.
#[expect(clippy::print_stdout, reason = "it is what the program is for")]
pub fn table(title: &str, head: &[&str], rows: &[Vec<String>]) {
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
    line(&head.iter().map(ToString::to_string).collect::<Vec<_>>());
    line(&widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>());
    rows.iter().for_each(|row| line(row));
}

/// Says that there are no instruction counts, and how to get them.
#[expect(clippy::print_stdout, reason = "it belongs to the tables")]
pub fn say_without_valgrind() {
    println!("\nvalgrind is not installed: no instructions are counted.");
}
