//! The measurement `mongodb`: what handlers of the driver's events, and handles of our own, add to a find. The server is a stub
//! that answers at once, since a real one takes longer than all of this; with `OTEL_TEST_MONGODB`
//! that one is asked as well.

mod server;
mod throughput;

use std::env;
use std::thread;
use std::time::Instant;

use ::mongodb::bson::{Document, doc};
use ::mongodb::event::EventHandler;
use ::mongodb::options::{ClientOptions, ServerApi, ServerApiVersion};
use ::mongodb::{Client, Collection};
use anyhow::{Context as _, Result};
use bench::{allocations, cell, instructions, median, table, uncounted};
use serde::Deserialize;
use tokio::runtime::Runtime;

use crate::stub::telemetry;

pub(crate) const NAME: &str = "mongodb";

/// Documents that a find returns, and how many finds are a round.
const CASES: [(usize, u32); 3] = [(1, 400), (100, 100), (1_000, 30)];
const ROUNDS: usize = 9;
const COUNTED: u32 = 10;
const DATABASE: &str = "otel_bench";

/// Beside the bare driver: a handler of commands that does nothing; that of this crate, without a
/// provider, with spans that are not sampled, with all; that of pools alone; and the handles of this
/// crate, which have no handler of commands.
const WAYS: [&str; 9] = [
    "bare",
    "empty handler",
    "hook, off",
    "hook, not sampled",
    "hook, sampled",
    "pools alone",
    "lean, off",
    "lean, not sampled",
    "lean, sampled",
];

/// What an application makes of a document.
#[derive(Deserialize)]
#[expect(dead_code, reason = "it is made, which takes its time")]
struct Person {
    #[serde(rename = "_id")]
    id: i32,
    name: String,
    email: String,
    age: i32,
    city: String,
    tags: Vec<String>,
    about: String,
}

/// 220 bytes as BSON.
fn person(id: i32) -> Document {
    doc! {
        "_id": id, "name": "Ada Lovelace", "email": "ada@example.com", "age": 36, "city": "London",
        "tags": ["mathematics", "engines", "poetry"], "about": "x".repeat(44),
    }
}

struct Finds {
    runtime: Runtime,
    collection: People,
    rows: usize,
}

enum People {
    Drivers(Collection<Person>),
    Ours(otel_mongodb::Collection<Person>),
}

macro_rules! find {
    ($collection:expr, $rows:expr) => {{
        let size = u32::try_from($rows)?;
        let mut cursor = $collection.find(doc! {}).batch_size(size + 1).await?;
        let mut seen = 0;
        while cursor.advance().await? {
            let _person: Person = cursor.deserialize_current()?;
            seen += 1;
        }
        anyhow::ensure!(seen == $rows, "{seen} documents");
    }};
}

impl Finds {
    fn new(url: &str, way: &str, rows: usize) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let collection = runtime.block_on(async {
            let mut options = ClientOptions::parse(url).await?;
            options.server_api = Some(ServerApi::builder().version(ServerApiVersion::V1).build());
            let name = format!("rows{rows}");
            let state = way.rsplit(", ").next().unwrap_or_default();
            let telemetry = telemetry(state);
            match way {
                "bare" => {}
                "empty handler" => {
                    options.command_event_handler = Some(EventHandler::callback(drop));
                }
                "pools alone" => {
                    let builder = otel_mongodb::builder(&mut options).telemetry(&telemetry);
                    builder.commands(false).instrument();
                }
                hook if hook.starts_with("hook") => otel_mongodb::with(&mut options, &telemetry),
                _ => {
                    let builder = otel_mongodb::builder(&mut options).telemetry(&telemetry);
                    let database = builder.client()?.database(DATABASE);
                    return anyhow::Ok(People::Ours(database.collection(&name)));
                }
            }
            let database = Client::with_options(options)?.database(DATABASE);
            anyhow::Ok(People::Drivers(database.collection(&name)))
        })?;
        Ok(Self { runtime, collection, rows })
    }

    fn run(&self, calls: u32) -> Result<()> {
        self.runtime.block_on(async {
            for _ in 0..calls {
                match &self.collection {
                    People::Drivers(people) => find!(people, self.rows),
                    People::Ours(people) => find!(people, self.rows),
                }
            }
            Ok(())
        })
    }
}

pub(crate) fn child(way: &str, rows: usize, calls: u32) -> Result<()> {
    let finds = Finds::new(&server::start()?, way, rows)?;
    uncounted(|| finds.run(calls)).unwrap_or(Ok(()))
}

pub(crate) fn measure() -> Result<()> {
    let stub = server::start()?;
    on(&stub, "mongodb: one find, to a server that answers at once", true)?;
    let Ok(url) = env::var("OTEL_TEST_MONGODB") else { return Ok(()) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let database = Client::with_uri_str(&url).await?.database(DATABASE);
        database.drop().await?;
        for (rows, _) in CASES {
            let people = (0..i32::try_from(rows)?).map(person);
            database.collection(&format!("rows{rows}")).insert_many(people).await?;
        }
        anyhow::Ok(())
    })?;
    on(&url, "mongodb: one find, to the server of OTEL_TEST_MONGODB", false)?;
    runtime.block_on(throughput::measure(&url))
}

fn on(url: &str, title: &str, counted: bool) -> Result<()> {
    for (rows, calls) in CASES {
        let mut lines = Vec::new();
        let calls = if counted { calls } else { calls.div_ceil(10) };
        let all: Result<Vec<Finds>> = WAYS.iter().map(|way| Finds::new(url, way, rows)).collect();
        let all = all?;
        let mut times = vec![Vec::new(); WAYS.len()];
        for round in 0..=ROUNDS {
            for (finds, times) in all.iter().zip(&mut times) {
                let start = Instant::now();
                uncounted(|| finds.run(calls)).context("it ran")??;
                // The first round is for connections and late providers.
                if round > 0 {
                    times.push(start.elapsed().as_secs_f64() * 1e6 / f64::from(calls));
                }
            }
        }
        // The bare driver comes first.
        let (bare, mut bare_ran) = (times[0].clone(), None);
        for ((way, finds), times) in WAYS.iter().zip(&all).zip(times) {
            let ratios = times.iter().zip(&bare).map(|(ours, bare)| ours / bare).collect();
            let mut line = vec![(*way).to_owned()];
            line.extend([cell(Some(median(times)), 0), cell(Some(median(ratios)), 2)]);
            if counted {
                let (made, ran) = allocations(|| finds.run(COUNTED));
                ran.context("it ran")??;
                line.push(cell(Some(f64::from(u32::try_from(made)?) / f64::from(COUNTED)), 0));
                let case = [NAME, way, &rows.to_string()];
                let ran = instructions(&case, None, COUNTED)?;
                bare_ran = bare_ran.or(ran);
                line.push(cell(ran, 0));
                line.push(cell(ran.zip(bare_ran).map(|(ours, bare)| ours / bare), 2));
            }
            lines.push(line);
        }
        let counts = if counted { " | allocations | instructions | of bare" } else { "" };
        let head = format!("way | µs | of bare{counts}");
        table(&format!("{title}, of {rows} documents"), &head, &lines);
    }
    Ok(())
}

/// Runs on a thread of its own until the process ends.
fn forever(run: impl FnOnce() + Send + 'static) {
    drop(thread::spawn(run));
}
