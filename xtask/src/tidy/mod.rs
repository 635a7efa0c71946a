//! `tidy`: the rules of this workspace that no compiler knows.
//!
//! A rule is a function from the workspace, or from one file of it, to findings. It is listed
//! below and nowhere else.

mod budget;
mod circles;
mod compose;
mod docs;
mod files;
mod layout;
mod lexer;
mod manifest;
mod source;

use std::fmt::{self, Display};
use std::process::ExitCode;

use anyhow::Result;

use crate::workspace::Workspace;
use files::Files;

/// A rule broken at a place, and what to do.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    line: usize,
    what: String,
}

impl Finding {
    fn new(path: impl Into<String>, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.into(), line, what: what.into() }
    }
}

impl Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.path, self.line, self.what)
    }
}

type Rule = fn(&Workspace, &Files, &mut Vec<Finding>);

const RULES: &[Rule] = &[
    layout::known_folders,
    layout::crate_files,
    manifest::inherited_lints,
    manifest::inherited_package_fields,
    manifest::own_versions,
    manifest::workspace_dependencies,
    compose::compose_file,
    docs::readme_sections,
    docs::links_resolve,
    docs::architecture_names_every_crate,
    budget::files,
    budget::core,
    budget::adapters,
    budget::xtask,
    circles::circles,
    circles::layers,
    source::module_docs,
    source::convention_names,
    source::globals,
    source::attached_contexts,
    source::clocks_and_ends,
    source::nothing_put_off,
];

pub(crate) fn run(workspace: &Workspace) -> Result<ExitCode> {
    let findings = check(workspace)?;
    for finding in &findings {
        println!("{finding}");
    }
    if findings.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("{} to fix", findings.len());
    Ok(ExitCode::FAILURE)
}

fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let files = Files::read(workspace)?;
    let mut findings = Vec::new();
    for rule in RULES {
        rule(workspace, &files, &mut findings);
    }
    findings.sort();
    Ok(findings)
}

#[cfg(test)]
mod tests;
