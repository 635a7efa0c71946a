//! Messages a second through rdkafka's `FutureProducer`, bare and instrumented, to librdkafka's mock
//! cluster, which runs in this process and shares its processors.

use std::time::Instant;

use anyhow::{Result, anyhow};
use bench::{in_turn, in_turn_cells, table};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use otel_kafka::ClientConfig;
use otel_kafka::mocking::MockCluster;
use otel_kafka::producer::FutureRecord;
use rdkafka::producer::FutureProducer as Bare;

use super::{STATES, TOPIC};
use crate::stub::telemetry;

const MESSAGES: u32 = 20_000;
/// How many wait for their report at once.
const WINDOW: usize = 1_000;
const ROUNDS: usize = 9;
const PAYLOAD: [u8; 100] = [b'x'; 100];

/// Both producers have the method and no trait for it.
macro_rules! messages_per_second {
    ($producer:expr) => {{
        let start = Instant::now();
        let mut receipts = FuturesUnordered::new();
        for _ in 0..MESSAGES {
            let record = FutureRecord::to(TOPIC).key("customer-4711").payload(&PAYLOAD[..]);
            let receipt = $producer.send_result(record).map_err(|(error, _)| error)?;
            receipts.push(receipt);
            if receipts.len() == WINDOW {
                delivered(receipts.next().await)?;
            }
        }
        while let Some(receipt) = receipts.next().await {
            delivered(Some(receipt))?;
        }
        Ok(f64::from(MESSAGES) / start.elapsed().as_secs_f64())
    }};
}

type Receipt = <otel_kafka::producer::DeliveryFuture as Future>::Output;

fn delivered(receipt: Option<Receipt>) -> Result<()> {
    match receipt {
        Some(Ok(Err((error, _)))) => Err(error.into()),
        Some(Err(_)) => Err(anyhow!("a report was lost")),
        Some(Ok(Ok(_))) | None => Ok(()),
    }
}

pub(super) fn measure() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let mut rows = Vec::new();
    for state in STATES {
        let numbers = in_turn_cells(runtime.block_on(compare(state))?);
        rows.push([state.to_owned()].into_iter().chain(numbers).collect());
    }
    let title = "kafka: messages a second through FutureProducer on librdkafka's mock cluster";
    table(title, "state | ours | bare rdkafka | ratio", &rows);
    Ok(())
}

/// As [`in_turn`] gives it.
async fn compare(state: &str) -> Result<[f64; 3]> {
    let cluster = MockCluster::new(1)?;
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", cluster.bootstrap_servers());
    let ours = otel_kafka::FutureProducer::builder(config.create::<Bare>()?)
        .config(&config)
        .telemetry(&telemetry(state))
        .build();
    let bare: Bare = config.create()?;
    let ours = async || messages_per_second!(ours);
    let bare = async || messages_per_second!(bare);
    in_turn(ROUNDS, ours, bare).await
}
