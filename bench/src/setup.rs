//! The measurement `setup`: what `otel_setup::init!` adds to the start of a process, in time and in
//! memory. A process starts once, so each sample is a child.

mod export;

use std::env;
use std::fs;
use std::process::{Command, Stdio, exit};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use bench::{CHILD, cell, median, table};

pub(crate) const NAME: &str = "setup";

const SAMPLES: usize = 21;

const CASES: [(&str, &[(&str, &str)]); 4] = [
    ("http", &[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]),
    ("grpc", &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]),
    ("https", &[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://localhost:4318")]),
    ("disabled", &[("OTEL_SDK_DISABLED", "true")]),
];

/// Milliseconds and MiB of each case, as the median and the slowest of so many processes.
pub(crate) fn measure() -> Result<()> {
    let mut rows = Vec::new();
    for (name, variables) in CASES {
        let mut samples = Vec::new();
        for _ in 0..SAMPLES {
            samples.push(sample(variables)?);
        }
        let times: Vec<f64> = samples.iter().map(|(time, _)| *time).collect();
        let slowest = times.iter().copied().fold(0.0, f64::max);
        let memory = median(samples.into_iter().map(|(_, memory)| memory).collect());
        let numbers = [median(times), slowest, memory];
        let cells = numbers.map(|number| cell(Some(number), 2));
        rows.push([name.to_owned()].into_iter().chain(cells).collect());
    }
    let head = "to | ms, median | ms, slowest | MiB resident";
    table("setup: what `init!` adds to a process", head, &rows);
    export::measure()
}

fn sample(variables: &[(&str, &str)]) -> Result<(f64, f64)> {
    let mut child = Command::new(env::current_exe()?);
    child.args([CHILD, NAME, "1"]).env_clear().envs(variables.iter().copied());
    let output = child.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("a process with {variables:?} failed: {}", output.status);
    }
    let output = String::from_utf8(output.stdout)?;
    let (time, memory) = output.trim().split_once(' ').context("a process told nothing")?;
    Ok((time.parse()?, memory.parse()?))
}

/// One start. What is set up is not ended: there is nothing to hand over.
#[expect(clippy::print_stdout, reason = "the parent reads it")]
pub(crate) fn child(rate: Option<&str>) -> Result<()> {
    if let Some(rate) = rate {
        export::child(rate.parse()?);
        return Ok(());
    }
    let before = resident()?;
    let start = Instant::now();
    let guard = otel_setup::init!();
    let time = start.elapsed().as_secs_f64() * 1e3;
    println!("{time} {}", resident()? - before);
    std::mem::forget(guard);
    exit(0);
}

/// MiB that the process has in memory, as Linux tells it.
fn resident() -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next());
    Ok(kibibytes.context("no VmRSS")?.parse::<f64>()? / 1024.0)
}
