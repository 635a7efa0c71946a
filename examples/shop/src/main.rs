//! A shop and a customer in one process: an HTTP service over a database, and a client that places
//! three orders, each of which is one trace from the client to the database.

mod client;
mod service;
mod trace;

use std::io::{Write as _, stderr, stdout};
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use opentelemetry::global;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::{net::TcpListener, sync::oneshot, time::timeout};

use crate::client::Client;
use crate::trace::{Collector, Tree};

/// Places three orders at a small shop and prints the trace of each
#[derive(Parser)]
struct Arguments {
    /// The shop's database: postgres://user:password@host:port/name or sqlite:file.db?mode=rwc
    #[arg(long, value_name = "URL", default_value = "sqlite::memory:", hide_default_value = true)]
    database: String,
    /// Print the attributes of each span too
    #[arg(long)]
    attributes: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            _ = writeln!(stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    // The provider decides where spans go: here into trees on the terminal. A service in production
    // gives it a batch exporter instead, and nothing else in this example changes.
    let (collector, mut traces) = Collector::new();
    let provider = SdkTracerProvider::builder().with_span_processor(collector).build();
    // Set globally, all libraries find it: the HTTP layer of the service and otel-sqlx.
    global::set_tracer_provider(provider.clone());
    // How a trace goes on in another process: as the header `traceparent` of W3C. Without this line
    // the client and the service would each start a trace of their own.
    global::set_text_map_propagator(TraceContextPropagator::new());

    let pool = service::open(&arguments.database).await?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let client = Client::new(listener.local_addr()?);
    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, service::routes(pool.clone()));
    let server = server.with_graceful_shutdown(async { _ = stopped.await });
    let server = tokio::spawn(server.into_future());

    for (item, quantity) in [("lamp", 2), ("chair", 1), ("lamp", 50)] {
        let answer = client.place(item, quantity).await?;
        // The answer may be here before the service has ended its span: the trace says when it is
        // whole. One that is never whole has a span that nobody ended.
        let trace = timeout(Duration::from_secs(10), traces.recv()).await;
        let trace = trace.ok().flatten().context("a span of the order never ended; report this")?;
        let tree = Tree { spans: &trace, attributes: arguments.attributes };
        writeln!(stdout(), "{quantity} x {item}: {answer}\n{tree}")?;
    }

    drop((client, stop));
    server.await??;
    pool.close().await;
    // Hands over what an exporter still holds; a program that ends without it loses its last spans.
    provider.shutdown()?;
    Ok(())
}
