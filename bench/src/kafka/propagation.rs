//! What writing a context into headers and reading it again costs beyond the propagator's own work.

use std::collections::HashMap;
use std::hint::black_box;

use anyhow::Result;
use bench::{COMPARED, compared, table};
use opentelemetry::Context;
use opentelemetry::propagation::{TextMapCompositePropagator, TextMapPropagator as _};
use otel_core::Telemetry;
use otel_core::propagation::ByteCarrier;

use super::{HEADERS, Headers, NAME, headers, propagator, remote, sent_headers};

const STEPS: [&str; 2] = ["inject", "extract"];

/// Ours with a broker's headers, the propagator with the simplest carrier there is.
struct Pair {
    extracts: bool,
    telemetry: Telemetry,
    propagator: TextMapCompositePropagator,
    context: Context,
    headers: Headers,
    map: HashMap<String, String>,
}

impl Pair {
    fn new(step: &str, number: usize) -> Self {
        let extracts = step == "extract";
        let headers = if extracts { sent_headers(number) } else { headers(number) };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let map = headers.iter().map(|(name, value)| (name.clone(), text(value))).collect();
        let telemetry = Telemetry::builder().propagator(propagator()).build();
        Self { extracts, telemetry, propagator: propagator(), context: remote(), headers, map }
    }
}

impl bench::Pair for Pair {
    fn run_ours(&self, calls: u32) {
        for _ in 0..calls {
            let mut headers = self.headers.clone();
            if self.extracts {
                black_box(self.telemetry.extract(&ByteCarrier::new(&headers)));
            } else {
                self.telemetry.inject(&self.context, &mut ByteCarrier::new(&mut headers));
            }
            black_box(headers);
        }
    }

    fn run_bare(&self, calls: u32) {
        for _ in 0..calls {
            // Copied in both, so that the copy does not tell.
            let headers = self.headers.clone();
            if self.extracts {
                let root = Context::new();
                black_box(self.propagator.extract_with_context(&root, &self.map));
            } else {
                let mut map = HashMap::new();
                self.propagator.inject_context(&self.context, &mut map);
                black_box(map);
            }
            black_box(headers);
        }
    }
}

/// Runs under callgrind.
pub(super) fn child(who: &str, step: &str, number: usize, calls: u32) {
    bench::Pair::run(&Pair::new(step, number), who, calls);
}

pub(super) fn measure() -> Result<()> {
    let mut rows = Vec::new();
    for step in STEPS {
        for number in HEADERS {
            let number = number.to_string();
            let pair = Pair::new(step, number.parse()?);
            let mut row = vec![step.to_owned(), number.clone()];
            row.extend(compared(NAME, &[step, &number], &pair)?);
            rows.push(row);
        }
    }
    let title = "kafka: a context in a list of headers, ours beside the propagator with a map";
    table(title, &format!("step | other headers | {COMPARED}"), &rows);
    Ok(())
}
