//! Manifests say what differs; what is common is said once, at the root.

use std::fs;

use toml::{Table, Value};

use super::Finding;
use super::files::Files;
use crate::workspace::{Crate, Workspace};

pub(crate) fn inherited_lints(workspace: &Workspace, _: &Files, found: &mut Vec<Finding>) {
    for one in &workspace.crates {
        if !one.manifest.get("lints").is_some_and(is_inherited) {
            found.push(finding(
                workspace,
                one,
                "[lints]",
                "write `[lints]` and `workspace = true`",
            ));
        }
    }
}

pub(crate) fn inherited_package_fields(workspace: &Workspace, _: &Files, found: &mut Vec<Finding>) {
    for one in &workspace.crates {
        for field in ["edition", "license"] {
            if !package(one, field).is_some_and(is_inherited) {
                let what = format!("write `{field}.workspace = true`");
                found.push(finding(workspace, one, field, &what));
            }
        }
    }
}

pub(crate) fn own_versions(workspace: &Workspace, _: &Files, found: &mut Vec<Finding>) {
    for one in &workspace.crates {
        for field in ["version", "rust-version"] {
            if !package(one, field).is_some_and(Value::is_str) {
                let what = format!("write this crate's own `{field} = \"…\"`");
                found.push(finding(workspace, one, field, &what));
            }
        }
    }
}

pub(crate) fn workspace_dependencies(workspace: &Workspace, _: &Files, found: &mut Vec<Finding>) {
    for one in &workspace.crates {
        let targets = one.manifest.get("target").and_then(Value::as_table);
        let targets = targets.into_iter().flatten().filter_map(|(_, target)| target.as_table());
        for table in targets.chain([&one.manifest]) {
            // A crate that its own tests want with more features: with a version it could not be
            // published.
            let others = dependencies(table).filter(|(name, _)| **name != one.name);
            for (name, _) in others.filter(|(_, value)| !is_inherited(value)) {
                let what = format!(
                    "write `{name}.workspace = true`, with the version in the root's Cargo.toml"
                );
                found.push(finding(workspace, one, name, &what));
            }
        }
    }
}

fn dependencies(table: &Table) -> impl Iterator<Item = (&String, &Value)> {
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    kinds.into_iter().filter_map(|kind| table.get(kind)?.as_table()).flatten()
}

fn package<'a>(one: &'a Crate, field: &str) -> Option<&'a Value> {
    one.manifest.get("package")?.get(field)
}

fn is_inherited(value: &Value) -> bool {
    value.get("workspace") == Some(&Value::Boolean(true))
}

/// At the line that starts with `key`.
fn finding(workspace: &Workspace, one: &Crate, key: &str, what: &str) -> Finding {
    let path = format!("{}/Cargo.toml", one.folder);
    let text = fs::read_to_string(workspace.root.join(&path)).unwrap_or_default();
    let line = text.lines().position(|line| line.starts_with(key)).unwrap_or_default() + 1;
    Finding::new(path, line, what)
}
