//! The files that the rules look at, read once.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::lexer::{self, Line};
use crate::workspace::{Crate, Workspace};

/// Every Rust and Markdown file, by path relative to the root.
#[derive(Default)]
pub(crate) struct Files {
    pub(crate) sources: Vec<Source>,
    pub(crate) pages: Vec<Page>,
}

/// A Rust file.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
    lines: Vec<Line>,
    /// How many lines come before the unit tests, which stand at the end.
    before_tests: usize,
}

/// A Markdown file.
pub(crate) struct Page {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Files {
    pub(crate) fn read(workspace: &Workspace) -> Result<Self> {
        let mut files = Self::default();
        files.read_folder(&workspace.root, "")?;
        Ok(files)
    }

    fn read_folder(&mut self, root: &Path, folder: &str) -> Result<()> {
        let read = |path: &str| {
            fs::read_to_string(root.join(path)).with_context(|| format!("cannot read {path}"))
        };
        let here = root.join(folder);
        let entries = fs::read_dir(&here).with_context(|| format!("no {}", here.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            if entry.file_type()?.is_dir() {
                if name != "target" && (!name.starts_with('.') || name == ".github") {
                    self.read_folder(root, &path)?;
                }
                continue;
            }
            match name.rsplit_once('.') {
                Some((_, "rs")) => self.sources.push(Source::new(read(&path)?, path)),
                Some((_, "md")) => self.pages.push(Page { text: read(&path)?, path }),
                _ => {}
            }
        }
        Ok(())
    }

    /// What a crate has under `src`.
    pub(crate) fn sources_of(&self, one: &Crate) -> impl Iterator<Item = &Source> {
        let folder = format!("{}/src/", one.folder);
        self.sources.iter().filter(move |source| source.path.starts_with(&folder))
    }
}

impl Source {
    pub(crate) fn new(text: String, path: String) -> Self {
        let lines = lexer::lines(&text);
        let tests = lines.iter().position(|line| line.bare.trim() == "#[cfg(test)]");
        let is_module = |start: &usize| {
            lines.get(start + 1).is_some_and(|line| line.bare.trim_start().starts_with("mod "))
        };
        let is_tests = path.ends_with("/tests.rs");
        let before_tests = tests.filter(is_module).unwrap_or(lines.len());
        Self { path, text, before_tests: if is_tests { 0 } else { before_tests }, lines }
    }

    /// All of it, with line numbers.
    pub(crate) fn all(&self) -> impl Iterator<Item = (usize, &Line)> {
        (1..).zip(&self.lines)
    }

    /// What is compiled into the library, with line numbers.
    pub(crate) fn shipped(&self) -> impl Iterator<Item = (usize, &Line)> {
        self.all().take(self.before_tests)
    }
}
