//! `test`: the tests, with the servers that they ask for.

mod cargo;
mod chosen;
mod program;
mod report;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use native::Server;

use crate::services;
use crate::workspace::Workspace;
use chosen::{Chosen, needed, required, runs};
use report::Report;

/// Which tests.
#[derive(Args, Default)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(crate) struct Options {
    /// Only what needs no server
    #[arg(long, conflicts_with = "live")]
    unit: bool,
    /// Only what needs servers: `integration-tests`, and `tests/live*` of the crates
    #[arg(long)]
    live: bool,
    /// Only the unit tests of the libraries
    #[arg(long, conflicts_with = "live")]
    lib: bool,
    /// Only the unit tests of this program
    #[arg(long, value_name = "NAME", conflicts_with = "live")]
    bin: Vec<String>,
    /// Only this file, or folder, of `tests`
    #[arg(long, value_name = "NAME", conflicts_with = "live")]
    test: Vec<String>,
    /// Only the examples in the documentation
    #[arg(long, conflicts_with_all = ["live", "lib", "bin", "test"])]
    doc: bool,
    /// Crates to test, all by default; or drivers, such as `mongodb`: then nothing is built and
    /// started but these, for their live tests
    names: Vec<String>,
    /// For the programs of the tests, such as `--exact NAME`
    #[arg(last = true)]
    arguments: Vec<String>,
}

impl Options {
    /// As cargo takes them; none for all.
    fn targets(&self) -> Vec<String> {
        let named = |option: &'static str, names: &[String]| -> Vec<String> {
            names.iter().flat_map(|name| [option.to_owned(), name.clone()]).collect()
        };
        let flags = [(self.lib, "--lib"), (self.doc, "--doc")];
        let flags =
            flags.into_iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| flag.to_owned());
        flags.chain(named("--bin", &self.bin)).chain(named("--test", &self.test)).collect()
    }
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let chosen = Chosen::of(workspace, &options.names)?;
    let mut report = Report::new(workspace);
    let runs = runs(workspace, options, &chosen)?;
    if !options.unit {
        native::provide(&chosen.needs(), |step| eprintln!("{step}"))?;
    }
    let mut built = Vec::new();
    for run in &runs {
        match cargo::build(workspace, run)? {
            Some(programs) => {
                report.expect(programs);
                built.push(run);
            }
            // That is said elsewhere.
            None if native::interrupted() => return Ok(ExitCode::FAILURE),
            None => report.not_built(run),
        }
    }
    let tested = |report: &mut Report, services| {
        built.iter().try_for_each(|run| cargo::test(workspace, run, options, services, report))
    };
    if options.unit || built.is_empty() {
        tested(&mut report, None)?;
    } else {
        let services = services::open()?;
        let mut started = Vec::new();
        let mut missing = Vec::new();
        for (server, result) in services::up(&services, &needed(&chosen, &options.test, set)?, &[])?
        {
            match result {
                Ok(true) => started.push(server),
                Ok(false) => {}
                Err(error) => {
                    eprintln!("warning: tests of {} are skipped: {error:#}", server.title());
                    missing.push(server);
                }
            }
        }
        let result = demanded(&missing).and_then(|()| tested(&mut report, Some(&services)));
        // Also after a failure everything is as it was before.
        for (_, down) in services::each(&started, |server| services.down(server)) {
            down?;
        }
        result?;
    }
    Ok(report.print())
}

/// An error if one of these must be there.
fn demanded(missing: &[&Server]) -> Result<()> {
    let required = required(set);
    let is_required = |server: &&&Server| {
        required.iter().any(|name| *name == "all" || *name == server.key().to_lowercase())
    };
    let Some(server) = missing.iter().find(is_required) else { return Ok(()) };
    bail!(
        "{} could not be started (see above) and OTEL_TEST_REQUIRE demands it; install it, or set \
         OTEL_TEST_{} to the URL of a running one",
        server.title(),
        server.key()
    )
}

/// Installs what it takes to build all drivers, or says how to.
pub(crate) fn provide(workspace: &Workspace) -> Result<()> {
    native::provide(&Chosen::of(workspace, &[])?.needs(), |step| eprintln!("{step}"))
}

fn set(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
