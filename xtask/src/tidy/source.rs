//! What may be written where.

use super::Finding;
use super::files::{Files, Source};
use super::lexer::Line;
use crate::workspace::{Crate, Workspace};

/// The one file of the libraries that asks for global providers.
const GLOBALS: &str = "otel-core/src/providers.rs";
/// The one file of the libraries that makes a context current.
const ATTACH: &str = "otel-core/src/instrument.rs";
/// How attribute names and metric names of the conventions begin.
const CONVENTIONS: &[&str] = &["db.", "messaging.", "server.", "network.", "error.type"];

pub(crate) fn module_docs(workspace: &Workspace, files: &Files, found: &mut Vec<Finding>) {
    for source in workspace.crates.iter().flat_map(|one| files.sources_of(one)) {
        let is_attribute = |line: &&str| line.starts_with("#![") || line.trim().is_empty();
        let mut first = source.text.lines().skip_while(is_attribute);
        let starts_with_docs = first.next().is_some_and(|line| line.starts_with("//!"));
        // A crate may show its README instead.
        if !starts_with_docs && !source.text.starts_with("#![doc = ") {
            let what = "starts without `//!`; say what the file is for";
            found.push(Finding::new(&source.path, 1, what));
        }
    }
}

/// Decided once, in the core: an adapter states facts about its driver.
pub(crate) fn convention_names(workspace: &Workspace, files: &Files, found: &mut Vec<Finding>) {
    let names = |line: &Line| CONVENTIONS.iter().any(|it| line.code.contains(&format!("\"{it}")));
    let what = "a name of the conventions; say the fact through otel-core, which knows the name";
    for (source, number) in lines(workspace, files, Crate::is_adapter, names) {
        found.push(Finding::new(&source.path, number, what));
    }
}

/// Providers are arguments; the global ones are asked for in one place.
pub(crate) fn globals(workspace: &Workspace, files: &Files, found: &mut Vec<Finding>) {
    let reads = |line: &Line| {
        line.bare.match_indices("global").any(|(at, name)| {
            let (before, after) = (&line.bare[..at], &line.bare[at + name.len()..]);
            let is_word = !before.ends_with(|it: char| it.is_alphanumeric() || it == '_');
            // Its types, which begin with a capital, are nobody's state.
            let is_read = match after.strip_prefix("::") {
                Some(item) => !item.starts_with(char::is_uppercase),
                None => before.ends_with("opentelemetry::"),
            };
            is_word && is_read
        })
    };
    let what = format!("reads a global provider; only {GLOBALS} does");
    let places = lines(workspace, files, Crate::is_library, reads);
    for (source, number) in places.filter(|(source, _)| source.path != GLOBALS) {
        found.push(Finding::new(&source.path, number, what.as_str()));
    }
}

/// A guard across an await would leave the context on another thread.
pub(crate) fn attached_contexts(workspace: &Workspace, files: &Files, found: &mut Vec<Finding>) {
    let attaches = |line: &Line| line.bare.contains(".attach()");
    let what = format!("makes a context current; only {ATTACH} does");
    let places = lines(workspace, files, Crate::is_library, attaches);
    for (source, number) in places.filter(|(source, _)| source.path != ATTACH) {
        found.push(Finding::new(&source.path, number, what.as_str()));
    }
}

/// Ended once, measured once.
pub(crate) fn clocks_and_ends(workspace: &Workspace, files: &Files, found: &mut Vec<Finding>) {
    let ends = |line: &Line| line.bare.contains("Instant::now") || line.bare.contains(".end()");
    let what = "reads a clock or ends a span; only otel-core does, through an Operation";
    for (source, number) in lines(workspace, files, Crate::is_adapter, ends) {
        found.push(Finding::new(&source.path, number, what));
    }
}

pub(crate) fn nothing_put_off(_: &Workspace, files: &Files, found: &mut Vec<Finding>) {
    for source in &files.sources {
        for (number, line) in source.all() {
            if line.bare.contains("#[ignore") {
                let what = "an ignored test; make it run, or say `skipped: no …` when it cannot";
                found.push(Finding::new(&source.path, number, what));
            }
            if line.bare.contains("todo!(") || line.bare.contains("unimplemented!(") {
                found.push(Finding::new(&source.path, number, "unfinished; finish it"));
            }
        }
    }
}

/// The shipped lines of crates of a kind that are as asked.
fn lines<'a>(
    workspace: &'a Workspace,
    files: &'a Files,
    kind: fn(&Crate) -> bool,
    wanted: fn(&Line) -> bool,
) -> impl Iterator<Item = (&'a Source, usize)> {
    let crates = workspace.crates.iter().filter(move |one| kind(one));
    crates.flat_map(|one| files.sources_of(one)).flat_map(move |source| {
        let lines = source.shipped().filter(move |(_, line)| wanted(line));
        lines.map(move |(number, _)| (source, number))
    })
}
