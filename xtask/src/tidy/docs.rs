//! Pages that lead somewhere, and say the same things in the same order.

use super::Finding;
use super::files::{Files, Page};
use crate::workspace::Workspace;

/// What a user of one adapter finds in the README of every other one.
const SECTIONS: &[&str] = &[
    "## Quick start",
    "## What is emitted",
    "## Options",
    "## Errors",
    "## Limits",
    "## Versions",
];

pub(crate) fn readme_sections(workspace: &Workspace, files: &Files, found: &mut Vec<Finding>) {
    for one in workspace.crates.iter().filter(|one| one.is_adapter()) {
        let path = format!("{}/README.md", one.folder);
        // A README that is missing has been told of.
        let Some(page) = files.pages.iter().find(|page| page.path == path) else {
            continue;
        };
        for section in SECTIONS {
            if !prose(page).any(|(_, line)| line.trim_end() == *section) {
                found.push(Finding::new(&path, 1, format!("write the section `{section}`")));
            }
        }
    }
}

pub(crate) fn links_resolve(workspace: &Workspace, files: &Files, found: &mut Vec<Finding>) {
    for page in &files.pages {
        for (number, line) in prose(page) {
            for target in targets(line).filter(|target| !target.contains("://")) {
                if !target.starts_with("mailto:") && !resolves(workspace, files, page, target) {
                    let what = format!("the link to `{target}` leads nowhere");
                    found.push(Finding::new(&page.path, number, what));
                }
            }
        }
    }
}

pub(crate) fn architecture_names_every_crate(
    workspace: &Workspace,
    files: &Files,
    found: &mut Vec<Finding>,
) {
    let path = "ARCHITECTURE.md";
    let text = files.pages.iter().find(|page| page.path == path).map_or("", |page| &page.text);
    for one in &workspace.crates {
        let is_name = |word: &str| word == one.name || word == one.folder;
        let mut words = text.split(|it: char| !it.is_alphanumeric() && !"-_/".contains(it));
        if !words.any(|word| is_name(word.trim_matches('/'))) {
            let what = format!("does not name the crate `{}`; say what it is for", one.name);
            found.push(Finding::new(path, 1, what));
        }
    }
}

/// The lines outside of code blocks, with their numbers.
fn prose(page: &Page) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    (1..).zip(page.text.lines()).filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        !in_code && !fence
    })
}

/// Of `[text](target)`, outside of `code`.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    let outside = line.split('`').step_by(2);
    outside.flat_map(|part| part.split("](").skip(1)).filter_map(|rest| {
        let target = rest.split([')', ' ']).next()?;
        (!target.is_empty()).then_some(target)
    })
}

fn resolves(workspace: &Workspace, files: &Files, page: &Page, target: &str) -> bool {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let folder = page.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let path = if path.is_empty() { page.path.clone() } else { join(folder, path) };
    let other = files.pages.iter().find(|other| other.path == path);
    let there = workspace.root.join(&path).exists();
    there && (anchor.is_empty() || other.is_none_or(|other| anchors(other).any(|it| it == anchor)))
}

/// `folder/path` without its `..`.
fn join(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The headings, as GitHub and docs.rs make anchors of them.
fn anchors(page: &Page) -> impl Iterator<Item = String> {
    prose(page).filter(|(_, line)| line.starts_with('#')).map(|(_, line)| {
        let words = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        words.chars().filter(|it| it.is_alphanumeric() || "-_".contains(*it)).collect()
    })
}
