//! `bench`: what the instrumentation costs.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use duct::cmd;

use crate::workspace::Workspace;

/// What to measure.
#[derive(Args)]
pub(crate) struct Options {
    /// Arguments of the bench program, such as the name of one measurement
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let ours = ["--package", "bench"];
    // A workspace of its own, since peers speak other OpenTelemetry minors.
    let peers = ["--manifest-path", "bench/peers/Cargo.toml"];
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let mut code = ExitCode::SUCCESS;
    for program in [ours, peers] {
        if program == peers && !workspace.root.join("bench/peers/Cargo.toml").exists() {
            continue;
        }
        let arguments = options.arguments.iter().map(String::as_str);
        let line = ["run", "--quiet", "--release"].into_iter().chain(program).chain(["--"]);
        let cargo = cmd("cargo", line.chain(arguments)).env("CARGO_TARGET_DIR", &target);
        let status = cargo.dir(&workspace.root).unchecked().run()?.status;
        if !status.success() {
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}
