//! The tasks of this workspace: what CI calls and a human calls.
//!
//! One file per command. Programs are started through `duct`, never through a shell.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line program")]

mod analyze;
mod bench;
mod docs;
mod interrupt;
mod services;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// The tasks of this workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Check the rules of this workspace that no compiler knows
    Tidy,
    /// Start, stop or list the servers of the live tests
    #[command(subcommand)]
    Services(services::Task),
    /// Run the tests, with the servers that they ask for
    Test(test::Options),
    /// Install what it takes to build all drivers, or say how to; `test` does it too
    Needs,
    /// Show what would be emitted for what is on standard input, one JSON value per line
    #[command(subcommand)]
    Analyze(analyze::Task),
    /// Measure what the instrumentation costs
    Bench(bench::Options),
    /// Write down what the adapters emit, and check it against the conventions
    Docs(docs::Options),
}

fn main() -> ExitCode {
    let result = run(Arguments::parse().task);
    if let Some(code) = interrupt::instead(&result) {
        return code;
    }
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<ExitCode> {
    match task {
        Task::Tidy => tidy::run(&Workspace::find()?),
        Task::Services(task) => services::run(&task),
        Task::Needs => test::provide(&Workspace::find()?).map(|()| ExitCode::SUCCESS),
        Task::Test(options) => {
            interrupt::listen()?;
            test::run(&Workspace::find()?, &options)
        }
        Task::Analyze(task) => analyze::run(&task),
        Task::Bench(options) => bench::run(&Workspace::find()?, &options),
        Task::Docs(options) => docs::run(&Workspace::find()?, &options),
    }
}
