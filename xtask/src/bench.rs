//! `bench`: what the instrumentation costs.

use std::process::ExitCode;

use anyhow::Result;
use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use duct::cmd;

use crate::workspace::Workspace;

/// What to measure.
#[derive(Args)]
pub(crate) struct Options {
    /// One measurement; all, unless it is given
    measurement: Option<Measurement>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Measurement {
    /// A call that does nothing, beside the bare SDK
    Stub,
    /// The analysis of statements, beside a tokenizer
    Sql,
    /// A step of a message whose driver does nothing, beside the bare SDK
    Kafka,
    /// A find of MongoDB's driver, with and without the handlers of its events
    Mongodb,
    /// Messages a second through async-nats on a real server, beside the bare driver
    Nats,
    /// A step of a message through lapin to a server that answers at once, beside the bare SDK
    Rabbitmq,
    /// A call of Redis on a connection that answers at once, beside the bare SDK
    Redis,
    /// What `otel_setup::init!` adds to a process, and what leaves it
    Setup,
    /// A query on SQLite, beside sqlx-otel
    Sqlite,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let ours = ["--package", "bench"];
    // A workspace of its own, since peers speak other OpenTelemetry minors.
    let peers = ["--manifest-path", "bench/peers/Cargo.toml"];
    // What is not asked for is not built: the peers bring a database with them.
    let programs = match options.measurement {
        None => &[ours, peers][..],
        Some(Measurement::Sqlite) => &[peers],
        Some(_) => &[ours],
    };
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let name = options.measurement.and_then(|it| it.to_possible_value());
    let mut code = ExitCode::SUCCESS;
    // The measurement `setup` runs it.
    if matches!(options.measurement, None | Some(Measurement::Setup)) {
        let shop = cmd!("cargo", "build", "--quiet", "--release", "--package", "shop");
        shop.env("CARGO_TARGET_DIR", &target).dir(&workspace.root).run()?;
    }
    for program in programs {
        let line = ["run", "--quiet", "--release"].into_iter().chain(*program).chain(["--"]);
        let line = line.chain(name.as_ref().map(PossibleValue::get_name));
        let cargo = cmd("cargo", line).env("CARGO_TARGET_DIR", &target);
        let status = cargo.dir(&workspace.root).unchecked().run()?.status;
        if !status.success() {
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}
