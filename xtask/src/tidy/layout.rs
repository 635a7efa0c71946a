//! Who has read one crate has the map of all.

use std::fs;

use super::Finding;
use super::files::Files;
use crate::workspace::Workspace;

/// Folders of the root that are no crate, or hold several.
const FOLDERS: &[&str] =
    &["bench", "docs", "examples", "fuzz", "integration-tests", "target", "xtask"];

pub(crate) fn known_folders(workspace: &Workspace, _: &Files, found: &mut Vec<Finding>) {
    for entry in fs::read_dir(&workspace.root).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let known = name.starts_with('.')
            || FOLDERS.contains(&name.as_str())
            || workspace.crates.iter().any(|one| one.folder == name);
        if entry.path().is_dir() && !known {
            let what = "unknown folder; make it a member in Cargo.toml, or move it below one";
            found.push(Finding::new(name, 1, what));
        }
    }
}

pub(crate) fn crate_files(workspace: &Workspace, _: &Files, found: &mut Vec<Finding>) {
    for one in &workspace.crates {
        let mut wanted = Vec::new();
        if one.is_adapter() {
            wanted.extend(["src/lib.rs", "src/driver.rs", "TELEMETRY.md"]);
        }
        if one.is_published() {
            wanted.extend(["README.md", "CHANGELOG.md"]);
        }
        for file in wanted {
            let path = format!("{}/{file}", one.folder);
            if !workspace.root.join(&path).is_file() {
                found.push(Finding::new(path, 1, "missing; each crate of this kind has one"));
            }
        }
    }
}
