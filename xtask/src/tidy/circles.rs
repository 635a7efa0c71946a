//! Arrows between the files of the core: they lead one way, from a layer to those below it.

use std::collections::BTreeMap;

use super::Finding;
use super::files::{Files, Source};
use crate::workspace::Workspace;

const CORE: &str = "otel-core/src/";

/// The layers, each with those that its files may import, beside their own.
const LAYERS: [(&str, &[&str]); 5] = [
    ("Beside the pages", &[]),
    ("Layer `telemetry`", &["Beside the pages"]),
    ("Layer `operation`", &["Layer `telemetry`", "Beside the pages"]),
    ("Layer `db`", &["Layer `operation`", "Layer `telemetry`", "Beside the pages"]),
    ("Layer `messaging`", &["Layer `operation`", "Layer `telemetry`", "Beside the pages"]),
];

/// A module, by its path below the crate: `["db", "call"]`.
type Module = Vec<String>;

/// The files of the core, and what each of them imports with the line that does.
#[derive(Default)]
struct Arrows<'f> {
    files: BTreeMap<Module, &'f Source>,
    imports: BTreeMap<Module, Vec<(Module, usize)>>,
}

pub(crate) fn layers(_: &Workspace, files: &Files, found: &mut Vec<Finding>) {
    let arrows = Arrows::read(files);
    for (from, source) in &arrows.files {
        let Some((layer, below)) = layer_of(source) else {
            // The root of the crate shows its README.
            if !from.is_empty() {
                let names = LAYERS.map(|(name, _)| format!("`//! {name}: …`")).join(", ");
                let what = format!("says no layer in its first line; begin with one of {names}");
                found.push(Finding::new(&source.path, 1, what));
            }
            continue;
        };
        for (to, line) in arrows.imports_of(from) {
            let Some(other) = arrows.files.get(to) else { continue };
            let name = layer_of(other).map_or("the crate's root", |(name, _)| name);
            if name != layer && !below.contains(&name) {
                let what = format!("{layer} imports {}, which is {name}", other.path);
                found.push(Finding::new(&source.path, *line, what));
            }
        }
    }
}

pub(crate) fn circles(_: &Workspace, files: &Files, found: &mut Vec<Finding>) {
    let arrows = Arrows::read(files);
    let mut done = Vec::new();
    for module in arrows.files.keys() {
        arrows.walk(module, &mut Vec::new(), &mut done, found);
    }
}

fn layer_of(source: &Source) -> Option<(&'static str, &'static [&'static str])> {
    let first = source.text.lines().next()?.strip_prefix("//! ")?;
    let says = |name: &str| first.strip_prefix(name).is_some_and(|rest| rest.starts_with(':'));
    LAYERS.into_iter().find(|(name, _)| says(name))
}

impl<'f> Arrows<'f> {
    fn read(files: &'f Files) -> Self {
        let mut this = Self::default();
        for source in &files.sources {
            let path = source.path.strip_prefix(CORE).and_then(|path| path.strip_suffix(".rs"));
            let Some(path) = path.filter(|path| !path.ends_with("tests")) else { continue };
            let module = if path == "lib" { "" } else { path };
            let module = module.split('/').filter(|it| !it.is_empty()).map(str::to_owned);
            this.files.insert(module.collect(), source);
        }
        for (module, source) in &this.files {
            let imports = this.imports_in(module, source);
            this.imports.insert(module.clone(), imports);
        }
        this
    }

    fn imports_of(&self, module: &Module) -> &[(Module, usize)] {
        self.imports.get(module).map_or(&[], Vec::as_slice)
    }

    /// The other files that a file names by a path, each once.
    fn imports_in(&self, module: &Module, source: &Source) -> Vec<(Module, usize)> {
        let mut imports: Vec<(Module, usize)> = Vec::new();
        let lines: Vec<_> = source.shipped().collect();
        let children = children(source);
        let mut at = 0;
        while let Some((number, line)) = lines.get(at) {
            let text = line.bare.trim();
            at += 1;
            // What is there for unit tests alone does not ship.
            if text == "#[cfg(test)]" {
                at += 1;
                continue;
            }
            let mut statement = text.to_owned();
            let is_use = text.starts_with("use ") || text.contains(" use ");
            while is_use
                && !statement.contains(';')
                && let Some((_, more)) = lines.get(at)
            {
                statement.push_str(more.bare.trim());
                at += 1;
            }
            for path in paths(&statement, &children) {
                let to = self.file_of(module, &path);
                if to != *module && imports.iter().all(|(known, _)| *known != to) {
                    imports.push((to, *number));
                }
            }
        }
        imports
    }

    /// The file that has what a path names: that of the longest module in it.
    fn file_of(&self, from: &Module, path: &[String]) -> Module {
        let mut absolute = match path.first().map(String::as_str) {
            Some("crate") => Vec::new(),
            _ => from.clone(),
        };
        for name in path {
            match name.as_str() {
                "crate" | "self" => {}
                "super" => drop(absolute.pop()),
                name => absolute.push(name.to_owned()),
            }
        }
        while !self.files.contains_key(&absolute) && absolute.pop().is_some() {}
        absolute
    }

    /// Follows the arrows from a file, and tells each circle by the import that closes it.
    fn walk(
        &self,
        module: &Module,
        way: &mut Vec<Module>,
        done: &mut Vec<Module>,
        found: &mut Vec<Finding>,
    ) {
        if done.contains(module) {
            return;
        }
        way.push(module.clone());
        for (to, line) in self.imports_of(module) {
            if let Some(start) = way.iter().position(|on_it| on_it == to) {
                let circle = way[start..].iter().chain([to]);
                let circle: Vec<_> =
                    circle.map(|module| self.files[module].path.as_str()).collect();
                let what = format!("closes a circle of imports: {}", circle.join(" → "));
                found.push(Finding::new(&self.files[module].path, *line, what));
            } else {
                self.walk(to, way, done, found);
            }
        }
        way.pop();
        done.push(module.clone());
    }
}

/// The modules that a file declares, which a path may begin with.
fn children(source: &Source) -> Vec<String> {
    let declared = source.shipped().filter_map(|(_, line)| {
        let (_, name) = line.bare.trim().strip_suffix(';')?.rsplit_once("mod ")?;
        Some(name.to_owned())
    });
    declared.collect()
}

/// The paths into the crate that a statement names, those of a `use` with braces one by one.
fn paths(statement: &str, children: &[String]) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    let is_name = |it: char| it.is_alphanumeric() || it == '_';
    let mut rest = statement;
    while let Some(start) = rest.find(is_name) {
        let before = &rest[..start];
        rest = &rest[start..];
        let end = rest.find(|it| !is_name(it)).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let begins =
            ["crate", "super", "self"].contains(&name) || children.iter().any(|it| it == name);
        if begins && !before.ends_with("::") && after.starts_with("::") {
            rest = &after[2..];
            tree(&mut rest, &mut vec![name.to_owned()], &mut paths);
        } else {
            rest = after;
        }
    }
    paths
}

/// Reads what comes after `prefix::`: a path, or a list of paths in braces.
fn tree(rest: &mut &str, prefix: &mut Vec<String>, paths: &mut Vec<Vec<String>>) {
    *rest = rest.trim_start();
    if let Some(list) = rest.strip_prefix('{') {
        *rest = list;
        while !rest.is_empty() && !rest.starts_with('}') {
            tree(rest, prefix, paths);
            *rest = rest.trim_start_matches([',', ' ']);
        }
        *rest = rest.strip_prefix('}').unwrap_or(rest);
        return;
    }
    let end = rest.find(|it: char| !it.is_alphanumeric() && it != '_').unwrap_or(rest.len());
    let (name, after) = rest.split_at(end);
    prefix.push(name.to_owned());
    match after.strip_prefix("::") {
        Some(more) if end > 0 => {
            *rest = more;
            tree(rest, prefix, paths);
        }
        _ => {
            paths.push(prefix.clone());
            // Past another name (`x as y`), or what is no name at all.
            let next = after.find([',', '}']).filter(|_| after.starts_with(" as "));
            *rest = &after[next.unwrap_or(usize::from(end == 0 && !after.is_empty()))..];
        }
    }
    prefix.pop();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_statement_names() {
        let named = |statement: &str| -> Vec<String> {
            let children = ["call".to_owned()];
            paths(statement, &children).iter().map(|path| path.join("::")).collect()
        };
        assert_eq!(named("use std::fmt;"), [""; 0]);
        assert_eq!(
            named("use crate::db::{self, call::{A, B as C}, D};"),
            ["crate::db::self", "crate::db::call::A", "crate::db::call::B", "crate::db::D",]
        );
        assert_eq!(named("pub use call::Call;"), ["call::Call"]);
        assert_eq!(
            named("let a = super::b(crate::c::D, std::call::e);"),
            ["super::b", "crate::c::D",]
        );
        assert_eq!(named("impl crate::page::Page for Page {"), ["crate::page::Page"]);
        assert_eq!(named("use super::*;"), ["super::"]);
    }
}
