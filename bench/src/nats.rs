//! The measurement `nats`: messages a second through async-nats, bare and instrumented, on a real server
//! that is started for it and shares the processors. What the core adds to a step of a message by itself
//! is the measurement `kafka`: the core is the same.

use std::time::Instant;

use anyhow::Result;
use async_nats::jetstream::stream::{Config, StorageType};
use bench::{in_turn, in_turn_cells, table};
use native::{Private, Server};
use otel_core::Telemetry;
use otel_nats::ConnectOptions;
use tokio::runtime::Builder;

use crate::kafka::STATES;
use crate::stub::telemetry;

pub(crate) const NAME: &str = "nats";

const CALLS: [&str; 3] = ["publish", "request", "JetStream publish"];
const ROUNDS: usize = 9;
const PAYLOAD: &[u8] = &[b'x'; 100];
const SUBJECT: &str = "orders";
const STORED: &str = "stored";
const ANSWERED: &str = "prices";

/// Both clients have the methods and no trait for all of them.
macro_rules! calls_per_second {
    ($client:expr, $context:expr, $call:expr) => {{
        let payload = || PAYLOAD.into();
        let start = Instant::now();
        let calls = match $call {
            "publish" => {
                for _ in 0..50_000 {
                    $client.publish(SUBJECT, payload()).await?;
                }
                $client.flush().await?;
                50_000
            }
            "request" => {
                for _ in 0..2_000 {
                    $client.request(ANSWERED, payload()).await?;
                }
                2_000
            }
            _ => {
                for _ in 0..2_000 {
                    $context.publish(STORED, payload()).await?.await?;
                }
                2_000
            }
        };
        Ok(f64::from(calls) / start.elapsed().as_secs_f64())
    }};
}

pub(crate) fn measure() -> Result<()> {
    let server = Private::start(Server::nats())?;
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut rows = Vec::new();
    for call in CALLS {
        for state in STATES {
            let telemetry = telemetry(state);
            let compared = runtime.block_on(compare(server.url(), &telemetry, call))?;
            let numbers = in_turn_cells(compared);
            rows.push([call.to_owned(), state.to_owned()].into_iter().chain(numbers).collect());
        }
    }
    let title = "nats: calls a second, one after another, on a server beside it";
    table(title, "call | state | ours | bare async-nats | ratio", &rows);
    Ok(())
}

fn options() -> ConnectOptions {
    ConnectOptions::with_user_and_password("otel".to_owned(), "otel".to_owned()).name("shop")
}

/// Answers with what it is asked.
async fn answer(url: String) -> Result<(), async_nats::Error> {
    use futures_util::StreamExt as _;
    let client = options().connect(url).await?.into_inner();
    let mut requests = client.subscribe(ANSWERED).await?;
    client.flush().await?;
    tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            if let Some(reply) = request.reply {
                _ = client.publish(reply, request.payload).await;
            }
        }
    });
    Ok(())
}

/// As [`in_turn`] gives it.
async fn compare(url: &str, telemetry: &Telemetry, call: &str) -> Result<[f64; 3]> {
    let to_anyhow = |error: async_nats::Error| anyhow::anyhow!(error);
    let ours = options().telemetry(telemetry).connect(url).await?;
    let bare = options().connect(url).await?.into_inner();
    let our_context = otel_nats::jetstream::new(ours.clone());
    let bare_context = async_nats::jetstream::new(bare.clone());
    answer(url.to_owned()).await.map_err(to_anyhow)?;
    let (subjects, storage) = (vec![STORED.to_owned()], StorageType::Memory);
    let config = Config { name: STORED.to_owned(), subjects, storage, ..Config::default() };
    bare_context.get_or_create_stream(config).await?;
    let ours = async || calls_per_second!(ours, our_context, call);
    let bare = async || calls_per_second!(bare, bare_context, call);
    in_turn(ROUNDS, ours, bare).await
}
