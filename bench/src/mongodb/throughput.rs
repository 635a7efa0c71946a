//! Finds and inserts a second on a real server, bare and through the handles in turn.

use std::time::Instant;

use ::mongodb::bson::{Document, doc};
use ::mongodb::options::ClientOptions;
use anyhow::Result;
use bench::{cell, median, table};
use futures_util::future::try_join_all;

use super::DATABASE;
use crate::stub::telemetry;

const ROUNDS: usize = 9;
const CALLS: u32 = 960;
/// How many calls wait for their answer at once.
const AT_ONCE: [u32; 2] = [1, 8];
const STATES: [&str; 3] = ["off", "not sampled", "sampled"];
const CALL_NAMES: [&str; 2] = ["find_one", "insert_one"];

/// For both collections, which have one interface and no trait.
macro_rules! per_second {
    ($collection:expr, $call:expr, $at_once:expr) => {{
        let start = Instant::now();
        let callers = (0..$at_once).map(|_| async {
            for _ in 0..CALLS / $at_once {
                if $call == "find_one" {
                    $collection.find_one(doc! { "_id": 1 }).await?;
                } else {
                    $collection.insert_one(doc! { "name": "Ada Lovelace" }).await?;
                }
            }
            anyhow::Ok(())
        });
        try_join_all(callers).await?;
        f64::from(CALLS / $at_once * $at_once) / start.elapsed().as_secs_f64()
    }};
}

pub(super) async fn measure(url: &str) -> Result<()> {
    let mut rows = Vec::new();
    for call in CALL_NAMES {
        for state in STATES {
            for at_once in AT_ONCE {
                let [ours, bare, ratio] = compare(url, call, state, at_once).await?;
                let numbers = [cell(Some(ours), 0), cell(Some(bare), 0), cell(Some(ratio), 2)];
                let case = [call.to_owned(), state.to_owned(), at_once.to_string()];
                rows.push(case.into_iter().chain(numbers).collect());
            }
        }
    }
    let title = "mongodb: calls a second on the server of OTEL_TEST_MONGODB, through the handles";
    table(title, "call | state | at once | ours | bare mongodb | ratio", &rows);
    Ok(())
}

/// The medians of both, and of the ratio in each round.
async fn compare(url: &str, call: &str, state: &str, at_once: u32) -> Result<[f64; 3]> {
    let mut options = ClientOptions::parse(url).await?;
    let bare = ::mongodb::Client::with_options(options.clone())?.database(DATABASE);
    let telemetry = telemetry(state);
    let ours = otel_mongodb::builder(&mut options).telemetry(&telemetry).client()?;
    let ours = ours.database(DATABASE).collection::<Document>("calls");
    let bare = bare.collection::<Document>("calls");
    bare.drop().await?;
    bare.insert_one(doc! { "_id": 1, "name": "Ada Lovelace" }).await?;
    let (mut of_ours, mut of_bare) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        // In turn the first.
        let (first, second);
        if round % 2 == 0 {
            first = per_second!(ours, call, at_once);
            second = per_second!(bare, call, at_once);
        } else {
            second = per_second!(bare, call, at_once);
            first = per_second!(ours, call, at_once);
        }
        // The first round is for connections and late providers.
        if round > 0 {
            of_ours.push(first);
            of_bare.push(second);
        }
    }
    let ratios = of_ours.iter().zip(&of_bare).map(|(ours, bare)| ours / bare).collect();
    bare.drop().await?;
    Ok([median(of_ours), median(of_bare), median(ratios)])
}
