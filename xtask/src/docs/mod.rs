//! `docs`: what each adapter emits, written down from what its tests emitted, and checked against
//! the conventions.

mod agree;
mod check;
mod condition;
mod conventions;
mod emitted;
mod facts;
mod model;
mod page;
mod stale;
mod summary;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use duct::cmd;

use crate::workspace::{Crate, Workspace};
use check::Rules;
use conventions::Conventions;
use emitted::{Emitted, Origin};
use facts::Facts;
use summary::{Summary, steady};

/// What each adapter has.
const PAGE: &str = "TELEMETRY.md";
const FACTS: &str = "telemetry.toml";

/// What to do.
#[derive(Args)]
pub(crate) struct Options {
    /// Write nothing, and fail where a page is not as it would be written
    #[arg(long)]
    check: bool,
    /// What tests emitted, from a run of all with `OTEL_TEST_EXPORT=<folder>`; without it, the tests
    /// of the adapters are run
    #[arg(long, value_name = "FOLDER")]
    from: Option<PathBuf>,
    /// Make the facts of the conventions anew, from a checkout of them
    #[arg(long, value_name = "CHECKOUT", conflicts_with_all = ["check", "from"])]
    registry: Option<PathBuf>,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let path = workspace.root.join(conventions::PATH);
    if let Some(checkout) = &options.registry {
        fs::write(path, model::read(checkout)?.to_toml()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let conventions = Conventions::parse(&fs::read_to_string(path)?)?;
    let adapters: Vec<&Crate> = workspace.crates.iter().filter(|it| it.is_adapter()).collect();
    let folder = match &options.from {
        Some(folder) => folder.clone(),
        None => test(workspace, &adapters)?,
    };
    let names: Vec<&str> = adapters.iter().map(|it| it.name.as_str()).collect();
    let emitted = emitted::read(&folder, &names)?;
    let mut code = ExitCode::SUCCESS;
    for (adapter, own) in adapters.iter().filter_map(|it| Some((it, emitted.get(&it.name)?))) {
        if own.spans.is_empty() {
            bail!("{} has nothing of {}: were its tests run?", folder.display(), adapter.name);
        }
        if !write(workspace, &conventions, adapter, own, options.check)? {
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

/// Runs all tests of the adapters, with their servers, and gives the folder of what they emitted.
fn test(workspace: &Workspace, adapters: &[&Crate]) -> Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let folder = workspace.root.join(target.unwrap_or_else(|| "target".into())).join("telemetry");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let mut names = vec!["test"];
    for adapter in adapters {
        let driver = adapter.name.strip_prefix("otel-").and_then(|it| workspace.driver(it));
        names.push(&adapter.name);
        names.extend(driver.map(|driver| driver.name));
    }
    let run = cmd(std::env::current_exe()?, names).dir(&workspace.root);
    let run = run.env("OTEL_TEST_EXPORT", &folder).env("OTEL_TEST_REQUIRE", "all").unchecked();
    if !run.run()?.status.success() {
        bail!("the tests failed: what they emitted is not written down");
    }
    Ok(folder)
}

/// Whether all is as it should be.
fn write(
    workspace: &Workspace,
    conventions: &Conventions,
    adapter: &Crate,
    emitted: &Emitted,
    check: bool,
) -> Result<bool> {
    let folder = workspace.root.join(&adapter.folder);
    let facts = fs::read_to_string(folder.join(FACTS)).unwrap_or_default();
    let facts = Facts::parse(&facts).with_context(|| adapter.folder.clone())?;
    let rules = Rules { conventions, facts: &facts };
    let findings = findings(rules, emitted);
    for (what, (times, origin)) in &findings {
        let Origin { suite, test, .. } = origin;
        println!("{}: {what} ({times} times, first in {suite}, {test})", adapter.name);
    }
    let summary = Summary::of(rules, emitted);
    let words = stale::faults(rules, emitted, &summary);
    for fault in &words {
        println!("{}/{FACTS}: {fault}", adapter.folder);
    }
    let page = page::of(&summary, &adapter.name);
    let is_new = is_new(&folder.join(PAGE), &page, check)?;
    Ok(findings.is_empty() && words.is_empty() && !(check && is_new))
}

/// Whether a page is another one than there was; tells where, or writes it.
fn is_new(path: &Path, page: &str, check: bool) -> Result<bool> {
    let before = fs::read_to_string(path).unwrap_or_default();
    if before == page {
        return Ok(false);
    }
    if !check {
        fs::write(path, page)?;
        return Ok(true);
    }
    let (old, new) = (before.lines(), page.lines());
    let mut lines =
        (1..).zip(old.clone().map(Some).chain([None]).zip(new.clone().map(Some).chain([None])));
    if let Some((number, (old, new))) = lines.find(|(_, (old, new))| old != new) {
        let shown = |line: Option<&str>| line.unwrap_or("(the end)").to_owned();
        println!("{}:{number}: is no longer what the tests emit", path.display());
        println!("  - {}\n  + {}", shown(old), shown(new));
        println!("  run `cargo xtask docs`, with all servers");
    }
    Ok(true)
}

/// Each kind of fault, with how often it was found, and where first.
type Findings = BTreeMap<String, (usize, Origin)>;

fn findings(rules: Rules, emitted: &Emitted) -> Findings {
    let mut findings = Findings::new();
    let mut add = |origin: &Origin, what: String| {
        findings.entry(what).or_insert_with(|| (0, origin.clone())).0 += 1;
    };
    for span in &emitted.spans {
        for fault in rules.span(span) {
            let of = rules.type_of(span).map_or(&*span.kind, |(name, _)| name);
            add(&span.origin, format!("span `{}` ({of}) {fault}", steady(&span.name)));
        }
    }
    for point in &emitted.points {
        for fault in rules.point(point) {
            add(&point.origin, format!("{} {fault}", point.metric));
        }
    }
    for (origin, name, fault) in agree::of(rules, emitted).faults {
        add(&origin, format!("`{}`: {fault}", steady(&name)));
    }
    findings
}

#[cfg(test)]
mod tests;
