//! A shop and its customer in one process: an HTTP service over a database, and a client that places
//! three orders, each of which is one trace from the client to the database.

mod client;
mod service;
mod trace;

use std::io::{Write as _, stderr, stdout};
use std::{net::Ipv4Addr, process::ExitCode, time::Duration};

use anyhow::Context as _;
use clap::Parser;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use opentelemetry::{global, trace::SpanId};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use serde_json::json;
use tokio::{net::TcpListener, sync::oneshot, time::timeout};

/// Places three orders at a small shop and prints the trace of each
#[derive(Parser)]
struct Arguments {
    /// Keep the stock in this database and not in memory: postgres://user:password@host:port/name
    /// or sqlite:file.db?mode=rwc
    #[arg(long, value_name = "URL")]
    database: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Err(error) = run(Arguments::parse()).await else { return ExitCode::SUCCESS };
    _ = writeln!(stderr(), "error: {error:#}");
    ExitCode::FAILURE
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    // The provider decides where spans go: here to a tree on the terminal. Elsewhere it is given a
    // batch exporter, and nothing else in this example changes. No order is left out by sampling.
    let (collector, mut traces) = trace::collector();
    let provider = SdkTracerProvider::builder().with_sampler(Sampler::AlwaysOn);
    let provider = provider.with_span_processor(collector).build();
    // Set globally, it is found by all: the HTTP layer of the service, the client and otel-sqlx.
    global::set_tracer_provider(provider.clone());
    // How a trace continues in another process, by the header `traceparent`: without this line client
    // and service would each start a trace of their own.
    global::set_text_map_propagator(TraceContextPropagator::new());

    let pool = service::open(arguments.database.as_deref().unwrap_or("sqlite::memory:")).await?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, service::routes(pool.clone()))
        .with_graceful_shutdown(async { _ = stopped.await });
    let server = tokio::spawn(server.into_future());

    let http = Client::builder(TokioExecutor::new()).build_http();
    for (item, quantity) in [("lamp", 2), ("chair", 1), ("lamp", 50)] {
        let order = json!({ "item": item, "quantity": quantity });
        let answer = client::send(&http, address, &order).await?;
        // The answer may be here before the service has ended its span: wait for the whole trace.
        let trace = timeout(Duration::from_secs(10), traces.recv()).await;
        let trace = trace.ok().flatten().context("a span never ended: report this as a bug")?;
        let tree = trace::tree(&trace, SpanId::INVALID, 1);
        writeln!(stdout(), "{quantity} x {item}: {answer}\n{tree}")?;
    }

    drop((http, stop));
    server.await??;
    pool.close().await;
    // Hands over what an exporter still holds: without it, a program loses its last spans.
    provider.shutdown()?;
    Ok(())
}
