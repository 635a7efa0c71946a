//! `test`: the tests, with the servers that they ask for.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use duct::cmd;
use native::{Server, Services};

use crate::services;
use crate::workspace::{Crate, Workspace};

/// Which tests.
#[derive(Args)]
pub(crate) struct Options {
    /// Only what needs no server
    #[arg(long, conflicts_with = "live")]
    unit: bool,
    /// Only what needs servers: `integration-tests`, and `tests/live*` of the crates
    #[arg(long)]
    live: bool,
    /// Crates to test, all by default
    crates: Vec<String>,
}

/// One call of cargo: its arguments after `cargo test`.
type Run = Vec<OsString>;

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let crates: Vec<&Crate> = if options.crates.is_empty() {
        workspace.crates.iter().collect()
    } else {
        options.crates.iter().map(|name| workspace.named(name)).collect::<Result<_>>()?
    };
    let runs = runs(workspace, options, &crates)?;
    if options.unit {
        return cargo_test(workspace, &runs, None);
    }
    let services = services::open()?;
    let mut started = Vec::new();
    let mut missing = Vec::new();
    for (server, result) in services::up(&services, &needed(&crates, set)?, &[])? {
        match result {
            Ok(true) => started.push(server),
            Ok(false) => {}
            Err(error) => {
                eprintln!("warning: tests of {} are skipped: {error:#}", server.title());
                missing.push(server);
            }
        }
    }
    let required = required(set);
    let is_required = |server: &&&Server| {
        required.iter().any(|name| *name == "all" || *name == server.key().to_lowercase())
    };
    let result = match missing.iter().find(is_required) {
        None => cargo_test(workspace, &runs, Some(&services)),
        Some(server) => Err(anyhow::anyhow!(
            "{} could not be started (see above) and OTEL_TEST_REQUIRE demands it; install it, or \
             set OTEL_TEST_{} to the URL of a running one",
            server.title(),
            server.key()
        )),
    };
    // Also after a failure everything is as it was before.
    for (_, down) in services::each(&started, |server| services.down(server)) {
        down?;
    }
    result
}

/// The servers that these crates say their tests ask for, and those that are demanded by name;
/// without what somebody brings along.
fn needed(crates: &[&Crate], set: impl Fn(&str) -> Option<String>) -> Result<Vec<&'static Server>> {
    let mut names = BTreeSet::new();
    for one in crates {
        for name in one.servers() {
            let server = Server::named(name);
            let server = server.with_context(|| format!("in {}/Cargo.toml", one.folder))?;
            names.insert(server.name());
        }
    }
    let is_brought = |server: &Server| set(&format!("OTEL_TEST_{}", server.key())).is_some();
    let is_needed = |server: &&Server| {
        let is_demanded = required(&set).contains(&server.key().to_lowercase());
        (names.contains(server.name()) || is_demanded) && !is_brought(server)
    };
    Ok(Server::all().iter().copied().filter(is_needed).collect())
}

fn runs(workspace: &Workspace, options: &Options, crates: &[&Crate]) -> Result<Vec<Run>> {
    let package = |one: &&Crate| ["--package".into(), one.name.clone().into()];
    let everything = |some: Vec<&Crate>| -> Run {
        some.iter().flat_map(package).chain(["--all-features".into()]).collect()
    };
    let (live, rest): (Vec<&Crate>, Vec<&Crate>) =
        crates.iter().partition(|one| one.folder.starts_with("integration-tests"));
    let runs: Vec<Run> = if options.unit {
        if rest.is_empty() { Vec::new() } else { vec![everything(rest)] }
    } else if options.live {
        let with_live = rest.into_iter().filter(|one| has_live_tests(workspace, one));
        let runs = with_live.map(|one| {
            let mut run = everything(vec![one]);
            run.extend(["--test".into(), "live*".into()]);
            run
        });
        let whole = if live.is_empty() { None } else { Some(everything(live)) };
        whole.into_iter().chain(runs).collect()
    } else {
        vec![everything(crates.to_vec())]
    };
    if runs.is_empty() {
        let (kind, other) = if options.live { ("live", "--live") } else { ("unit", "--unit") };
        bail!("there are no {kind} tests in {}; leave out {other}", options.crates.join(", "));
    }
    Ok(runs)
}

/// In cargo's layout: `tests/live*.rs`, or a folder of this name.
fn has_live_tests(workspace: &Workspace, one: &Crate) -> bool {
    let tests = fs::read_dir(workspace.root.join(&one.folder).join("tests"));
    let mut names = tests.into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.any(|name| name.to_string_lossy().starts_with("live"))
}

/// Every run, also after one has failed; cargo says which.
fn cargo_test(
    workspace: &Workspace,
    runs: &[Run],
    services: Option<&Services>,
) -> Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    for run in runs {
        let start = ["test", "--no-fail-fast"].map(OsString::from);
        let mut cargo = cmd("cargo", start.into_iter().chain(run.clone()));
        if let Some(services) = services {
            cargo = cargo.env("OTEL_SERVICES_HOME", services.home());
        }
        if !cargo.dir(&workspace.root).unchecked().run()?.status.success() {
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

/// `all`, or keys of servers.
fn required(set: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let list = set("OTEL_TEST_REQUIRE").unwrap_or_default().to_lowercase().replace('-', "_");
    list.split(',').map(|name| name.trim().to_string()).collect()
}

fn set(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The runs for these arguments in a workspace of two crates with live tests and one without.
    fn chosen(arguments: &[&str]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let folders = ["core", "sqlx", "integration-tests"];
        for name in folders {
            fs::create_dir_all(folder.path().join(name).join("tests")).unwrap();
            let manifest = format!("[package]\nname = \"{name}\"");
            fs::write(folder.path().join(name).join("Cargo.toml"), manifest).unwrap();
        }
        fs::write(folder.path().join("sqlx/tests/live_faults.rs"), "").unwrap();
        let manifest = format!("[workspace]\nmembers = {folders:?}");
        fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
        let workspace = Workspace::at(folder.path()).unwrap();
        let is = |flag| arguments.contains(&flag);
        let names = arguments.iter().filter(|name| !name.starts_with("--"));
        let crates: Vec<String> = names.map(ToString::to_string).collect();
        let options = Options { unit: is("--unit"), live: is("--live"), crates };
        let known = |one: &&Crate| options.crates.is_empty() || options.crates.contains(&one.name);
        let crates: Vec<&Crate> = workspace.crates.iter().filter(known).collect();
        match runs(&workspace, &options, &crates) {
            Ok(runs) => {
                runs.iter().map(|run| run.join(" ".as_ref()).into_string().unwrap()).collect()
            }
            Err(error) => vec![error.to_string()],
        }
    }

    fn asking_for(servers: &str) -> Crate {
        let manifest = format!("[package.metadata]\nservers = {servers}").parse().unwrap();
        Crate { name: "a".into(), folder: "folder".into(), manifest }
    }

    #[test]
    fn the_servers_are_those_that_the_manifests_name() {
        let crates = [r#"["mariadb", "kafka"]"#, "[]", r#"["kafka"]"#].map(asking_for);
        let needed = |crates: &[&Crate], variables: &[(&str, &str)]| {
            let set = |name: &str| {
                let value = variables.iter().find(|(known, _)| *known == name);
                value.map(|(_, value)| (*value).to_string())
            };
            needed(crates, set).map(|all| all.iter().map(|it| it.name()).collect::<Vec<_>>())
        };
        for (variables, expected) in [
            (&[][..], &["mariadb", "kafka"][..]),
            (&[("OTEL_TEST_REQUIRE", "all")], &["mariadb", "kafka"]),
            // What is demanded is started too, what is brought is not.
            (
                &[("OTEL_TEST_REQUIRE", "NATS, redis_acl")],
                &["mariadb", "redis-acl", "kafka", "nats"],
            ),
            (&[("OTEL_TEST_KAFKA", "127.0.0.1:9092")], &["mariadb"]),
        ] {
            assert_eq!(needed(&crates.each_ref(), variables).unwrap(), expected, "{variables:?}");
        }
        let error = needed(&[&asking_for(r#"["oracle"]"#)], &[]).unwrap_err();
        assert!(format!("{error:#}").starts_with("in folder/Cargo.toml: there is no server named"));
    }

    #[test]
    fn each_kind_of_test_is_run_where_it_is() {
        let (all, live) = ("--all-features", "--all-features --test live*");
        let integration = format!("--package integration-tests {all}");
        for (arguments, expected) in [
            (&[][..], &[format!("--package core --package sqlx {integration}")][..]),
            (&["sqlx"], &[format!("--package sqlx {all}")]),
            (&["--unit"], &[format!("--package core --package sqlx {all}")]),
            (&["--unit", "core"], &[format!("--package core {all}")]),
            (&["--live"], &[integration.clone(), format!("--package sqlx {live}")]),
            (&["--live", "sqlx"], &[format!("--package sqlx {live}")]),
            (&["--live", "core"], &["there are no live tests in core; leave out --live".into()]),
            (
                &["--unit", "integration-tests"],
                &["there are no unit tests in integration-tests; leave out --unit".into()],
            ),
        ] {
            assert_eq!(chosen(arguments), expected, "{arguments:?}");
        }
    }
}
