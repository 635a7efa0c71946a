//! What leaves: spans a second that a real collector gets whole, and what a request of the shop takes
//! while they do.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bench::{CHILD, cell, table};
use native::{Private, Server};
use opentelemetry::global;
use opentelemetry::trace::{Span as _, Tracer as _};

/// Spans a second that are tried: each twice the one before.
const RATES: [u32; 6] = [5_000, 10_000, 20_000, 40_000, 80_000, 160_000];
/// Runs of the shop in each state, in turn, and the requests of each.
const ROUNDS: usize = 5;
const WARM_UP: usize = 50;
const REQUESTS: usize = 400;

const PROTOCOLS: [&str; 2] = ["http/protobuf", "grpc"];

pub(super) fn measure() -> Result<()> {
    let mut collector = Private::start(Server::collector())?;
    let endpoint = |collector: &Private, protocol: &str| match protocol {
        "grpc" => collector.address("GRPC"),
        _ => Ok(collector.url().to_owned()),
    };
    let out = collector.address("OUT")?;
    let mut rows = Vec::new();
    for protocol in PROTOCOLS {
        let mut best = None;
        for rate in RATES {
            let endpoint = endpoint(&collector, protocol)?;
            burst(protocol, &endpoint, rate)?;
            // Its end writes down what it accepted.
            collector.stop()?;
            let got = count(Path::new(&out), &name(rate))?;
            collector.restart()?;
            if got < u64::from(rate) {
                break;
            }
            best = Some(f64::from(rate));
        }
        rows.push(vec![protocol.to_owned(), cell(best, 0)]);
    }
    table("setup: spans in a second that a collector gets whole", "by | spans", &rows);

    let mut states = vec![("off", vec![("OTEL_SDK_DISABLED", "true".to_owned())])];
    for protocol in PROTOCOLS {
        let mut variables = vec![
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_owned()),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint(&collector, protocol)?),
        ];
        let signals = ["OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER"];
        variables.extend(signals.map(|name| (name, "otlp".to_owned())));
        states.push((protocol, variables));
    }
    let mut times = vec![Vec::new(); states.len()];
    for _ in 0..ROUNDS {
        for ((_, variables), times) in states.iter().zip(&mut times) {
            times.extend(requests(variables)?);
        }
    }
    let rows = states.iter().zip(times).map(|((name, _), mut times)| {
        times.sort_by(f64::total_cmp);
        let at = |percent: usize| times.get(times.len() * percent / 100).copied();
        vec![(*name).to_owned(), cell(at(50), 0), cell(at(99), 0)]
    });
    let head = "export | µs, p50 | µs, p99";
    table("setup: a request of the shop", head, &rows.collect::<Vec<_>>());
    Ok(())
}

fn name(rate: u32) -> String {
    format!("burst-{rate}")
}

fn burst(protocol: &str, endpoint: &str, rate: u32) -> Result<()> {
    let mut child = Command::new(std::env::current_exe()?);
    child.args([CHILD, super::NAME, "burst", &rate.to_string()]).env_clear();
    child.env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol);
    child.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
    // What is lost is told there, and counted by who asked.
    let status = child.stderr(Stdio::null()).status()?;
    if !status.success() {
        bail!("a process with {protocol} failed: {status}");
    }
    Ok(())
}

/// So many spans, evenly over a second, and the end.
pub(super) fn child(rate: u32) {
    const TICKS: u32 = 1_000;
    let guard = otel_setup::init!();
    let (tracer, name, start) = (global::tracer("bench"), name(rate), Instant::now());
    for tick in 0..TICKS {
        for _ in 0..rate / TICKS {
            tracer.start(name.clone()).end();
        }
        sleep(
            (start + Duration::from_millis(tick.into())).saturating_duration_since(Instant::now()),
        );
    }
    drop(guard);
}

/// How many spans of this name were written down.
fn count(folder: &Path, name: &str) -> Result<u64> {
    let text = fs::read_to_string(folder.join("traces.jsonl"))?;
    Ok(u64::try_from(text.matches(&format!("\"name\":\"{name}\"")).count())?)
}

/// Ended with whoever started it.
struct Shop(Child);

impl Drop for Shop {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// Microseconds of each request, one after the other.
fn requests(variables: &[(&str, String)]) -> Result<Vec<f64>> {
    let program = std::env::current_exe()?.with_file_name("shop");
    let mut shop = Command::new(&program);
    shop.args(["--serve", "127.0.0.1:0"]).env_clear().envs(variables.iter().cloned());
    let shop = shop.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut shop = Shop(shop.with_context(|| format!("cannot run {}", program.display()))?);
    let mut line = String::new();
    let stdout = shop.0.stdout.take().context("no output")?;
    BufReader::new(stdout).read_line(&mut line)?;
    let address = line.strip_prefix("curl http://").and_then(|rest| rest.split('/').next());
    let address = address.context("the shop told no address")?;
    let order = r#"{"item":"chair","quantity":1}"#;
    let request = format!(
        "POST /orders HTTP/1.1\r\nhost: shop\r\nconnection: close\r\ncontent-type: \
         application/json\r\ncontent-length: {}\r\n\r\n{order}",
        order.len()
    );
    let mut times = Vec::new();
    for _ in 0..WARM_UP + REQUESTS {
        let (start, mut answer) = (Instant::now(), String::new());
        let mut connection = TcpStream::connect(address)?;
        connection.write_all(request.as_bytes())?;
        connection.read_to_string(&mut answer)?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
        if !answer.starts_with("HTTP/1.1 ") {
            bail!("the shop answered {answer:?}");
        }
    }
    Ok(times.split_off(WARM_UP))
}
