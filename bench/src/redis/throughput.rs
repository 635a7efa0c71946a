//! Calls a second on a real server, bare and instrumented in turn.

use std::time::Instant;

use ::redis::aio::ConnectionLike;
use ::redis::{Client, Value, cmd};
use anyhow::Result;
use bench::{in_turn, in_turn_cells, table};
use futures_util::future::try_join_all;

use crate::stub::{STATES, enter, telemetry};

const ROUNDS: usize = 15;
const CALLS: u32 = 8_000;
/// How many calls wait for their answer at once.
const AT_ONCE: [u32; 2] = [1, 64];

pub(super) fn measure() -> Result<()> {
    let Ok(url) = std::env::var("OTEL_TEST_REDIS") else { return Ok(()) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = Client::open(url)?;
    let mut rows = Vec::new();
    for state in STATES {
        let _guard = enter(state);
        for at_once in AT_ONCE {
            let compared = runtime.block_on(compare(&client, state, at_once))?;
            let numbers = in_turn_cells(compared);
            rows.push([state.to_owned(), at_once.to_string()].into_iter().chain(numbers).collect());
        }
    }
    let title =
        "redis: GETs a second on the server of OTEL_TEST_REDIS, over a multiplexed connection";
    table(title, "state | at once | ours | bare redis | ratio", &rows);
    Ok(())
}

/// As [`in_turn`] gives it.
async fn compare(client: &Client, state: &str, at_once: u32) -> Result<[f64; 3]> {
    let ours = otel_redis::Client::with(client.clone(), &telemetry(state));
    let ours = ours.get_multiplexed_async_connection().await?;
    let bare = client.get_multiplexed_async_connection().await?;
    let (ours, bare) =
        (async || per_second(&ours, at_once).await, async || per_second(&bare, at_once).await);
    in_turn(ROUNDS, ours, bare).await
}

async fn per_second<C: ConnectionLike + Clone>(connection: &C, at_once: u32) -> Result<f64> {
    let get = cmd("GET").arg("otel_bench:customer:4711").take();
    let start = Instant::now();
    let callers = (0..at_once).map(|_| {
        let mut connection = connection.clone();
        let get = &get;
        async move {
            for _ in 0..CALLS / at_once {
                get.query_async::<Value>(&mut connection).await?;
            }
            anyhow::Ok(())
        }
    });
    try_join_all(callers).await?;
    Ok(f64::from(CALLS / at_once * at_once) / start.elapsed().as_secs_f64())
}
