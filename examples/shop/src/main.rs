//! A shop, its customer and its warehouse: a service over a database and a broker, a client that places
//! three orders, and a consumer that ships them. Each order is one trace, across all of them.

mod broker;
mod client;
mod database;
mod service;
mod warehouse;

use std::io::{Write as _, stderr, stdout};
use std::net::{Ipv4Addr, SocketAddr};
use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};
use otel_kafka::{consumer::Consumer as _, producer::Producer as _};
use otel_setup::Exporter;
use otel_sqlx::AnyPool;
use otel_testing::ledger::{Balance, Ledger, SqlxLog, Traced};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};
use tokio::{sync::oneshot, try_join};

use crate::broker::Broker;

/// Places three orders at a small shop and shows the trace of each
#[derive(Parser)]
struct Arguments {
    /// Only a part of it; the other is another process
    #[arg(requires = "kafka")]
    part: Option<Part>,
    /// Send the orders to the warehouse through this Kafka and not through one that is played
    #[arg(long, value_name = "HOST:PORT")]
    kafka: Option<String>,
    /// Keep the stock in this database and not in memory: postgres://user:password@host:port/name
    /// or sqlite:file.db?mode=rwc
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Serve customers of yours at this address, until Ctrl-C or SIGTERM
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "127.0.0.1:8080")]
    serve: Option<SocketAddr>,
    /// Write the traces to a page for your browser as well
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

#[derive(Clone, PartialEq, ValueEnum)]
enum Part {
    /// The service and its customer
    Orders,
    /// The consumer, until Ctrl-C or SIGTERM
    Warehouse,
}

/// What has begun gets so long to come to its end.
const PATIENCE: Duration = Duration::from_secs(10);

const NEXT: &str = "\
Next: cargo run -p shop -- --html trace.html      the same in your browser; or --serve, and order yourself
      cargo run -p shop -- --database postgres://user:password@localhost/name      a real database
      cargo run -p shop -- --kafka localhost:9092      a real broker; with `orders` and `warehouse` in two terminals
      OTEL_TRACES_EXPORTER=otlp OTEL_METRICS_EXPORTER=otlp cargo run -p shop      to a collector";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Where telemetry goes if no variable says otherwise: to this terminal. A service of yours leaves
    // the line out, and exports OTLP. Logged is what RUST_LOG says, else this: that a table exists
    // already, as the driver tells, is no news.
    let mut builder = otel_setup::builder().default_exporters([Exporter::Console]);
    builder = builder.filter("info,sqlx=warn");
    if arguments.part == Some(Part::Warehouse) {
        builder = builder.service_name("warehouse");
    }
    if let Some(page) = &arguments.html {
        builder = builder.html(page);
    }
    // Hears of each statement what sqlx itself logs, beside the traces.
    let log = SqlxLog::new();
    builder = builder.tracing_layer(log.layer());
    // The one line that a service needs: `let guard = otel_setup::init!();`. Before the first span,
    // and before the handles that make spans, though these would find the providers later, too.
    let guard = otel_setup::init!(builder);
    let result = run(&arguments, log).await;
    // Hands over what an exporter still holds: without it, a program loses its last spans.
    let flushed = guard.shutdown().await.context("the last spans are lost");
    // What the customer was answered, if there was one, whether the traces told all, and what to try
    // next.
    let told = result.and_then(|(answers, balance)| match &answers[..] {
        [] => Ok(writeln!(stdout(), "\n{balance}")?),
        _ => Ok(writeln!(stdout(), "\n{}\n\n{balance}\n\n{NEXT}", answers.join("\n"))?),
    });
    let Err(error) = told.and(flushed) else {
        return ExitCode::SUCCESS;
    };
    _ = writeln!(stderr(), "error: {error:#}");
    ExitCode::FAILURE
}

async fn run(arguments: &Arguments, log: SqlxLog) -> Result<(Vec<String>, Balance)> {
    let (url, traced) = (arguments.database.as_deref().unwrap_or("sqlite::memory:"), Traced::new());
    let pool = database::open(url, &traced).await?;
    let mut ledger = Ledger::open(log).await?;
    let broker = Broker::open(arguments.kafka.as_deref()).await?;
    let answers = match arguments.part {
        Some(Part::Orders) => sell(arguments, &pool, &broker).await?,
        Some(Part::Warehouse) => {
            let (consumer, stop) = (broker.consumer()?, otel_setup::until_signal());
            warehouse::work(&consumer, &pool, stop).await.map(|()| Vec::new())?
        }
        None => {
            let consumer = broker.consumer()?;
            let (stop, stopped) = oneshot::channel::<()>();
            let selling = async {
                // Or the first trace would show how the warehouse joins its group.
                until(|| Ok(consumer.assignment()?.count() > 0)).await?;
                let answers = sell(arguments, &pool, &broker).await?;
                // A broker that is played ends with this process, and what it has with it.
                until(|| broker::is_done(&consumer)).await?;
                drop(stop);
                Ok(answers)
            };
            let working = warehouse::work(&consumer, &pool, async { _ = stopped.await });
            try_join!(selling, working)?.0
        }
    };
    pool.close().await;
    Ok((answers, ledger.balance(&traced).await?))
}

/// The service, until its own customer is served, or those of others.
async fn sell(arguments: &Arguments, pool: &AnyPool, broker: &Broker) -> Result<Vec<String>> {
    let producer = broker.producer()?;
    let routes = service::routes((pool.clone(), producer.clone()));
    let address = arguments.serve.unwrap_or((Ipv4Addr::LOCALHOST, 0).into());
    let taken = || format!("{address} is not to be had: give --serve another one");
    let listener = TcpListener::bind(address).await.with_context(taken)?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, routes).with_graceful_shutdown(async { _ = stopped.await });
    let server = tokio::spawn(server.into_future());
    let mut answers = Vec::new();
    if arguments.serve.is_none() {
        answers = client::order(address).await?;
    } else {
        let order = json!({ "item": "lamp", "quantity": 2 });
        writeln!(stdout(), "curl http://{address}/orders --json '{order}'")?;
        // A rolling update ends a service by SIGTERM. What it has begun it finishes, within a bound,
        // then `main` goes on to the guard, and the spans of the last requests arrive as well.
        otel_setup::until_signal().await;
    }
    drop(stop);
    if let Ok(ended) = timeout(PATIENCE, server).await {
        ended??;
    }
    // What was answered is sent already; these are orders whose customers went away.
    producer.flush(PATIENCE).context("the last orders are not sent")?;
    Ok(answers)
}

/// Waits until it is so, though not for ever.
async fn until(is_so: impl Fn() -> Result<bool>) -> Result<()> {
    let waiting = async {
        while !is_so()? {
            sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    };
    timeout(PATIENCE, waiting).await.unwrap_or(Ok(()))
}
