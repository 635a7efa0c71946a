//! All that the driver has is here too: its source says what that is.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as such")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The folder of the driver's source, where Cargo has it.
fn driver() -> PathBuf {
    let cargo = env::var_os("CARGO").unwrap();
    let arguments = ["metadata", "--format-version", "1", "--offline", "--manifest-path"];
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let output = Command::new(cargo).args(arguments).arg(manifest).output().unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let driver = packages.iter().find(|package| package["name"] == "mongodb").unwrap();
    Path::new(driver["manifest_path"].as_str().unwrap()).parent().unwrap().join("src")
}

fn sources(folder: &Path, found: &mut BTreeMap<PathBuf, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.insert(path, text);
        }
    }
}

/// What is between `start` and the next `end`.
fn between<'t>(text: &'t str, start: &str, end: &str) -> Option<&'t str> {
    text.split_once(start)?.1.split_once(end).map(|(inside, _)| inside)
}

/// The public fields of each struct of options, but those of features that this crate leaves alone.
fn options(sources: &BTreeMap<PathBuf, String>) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut all = BTreeMap::new();
    for structs in sources.values().flat_map(|text| text.split("pub struct ").skip(1)) {
        let Some((name, rest)) = structs.split_once(" {") else { continue };
        if !name.ends_with("Options") {
            continue;
        }
        let body = rest.split_once("\n}").map_or("", |(body, _)| body);
        let body = if rest.starts_with('}') { "" } else { body };
        let mut names = BTreeSet::new();
        let mut skips = false;
        for line in body.lines().map(str::trim) {
            skips |= line.contains("in-use-encryption");
            let Some(field) = line.strip_prefix("pub ") else {
                skips &= line.starts_with('#') || line.starts_with("//");
                continue;
            };
            if let Some((name, _)) = field.split_once(": Option<").filter(|_| !skips) {
                names.insert(name);
            }
            skips = false;
        }
        all.insert(name, names);
    }
    all
}

/// The setters of each action as this crate has them.
fn ours() -> BTreeMap<String, BTreeSet<String>> {
    let text = include_str!("../src/action/setters.rs");
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for block in text.split("forward_setters! { [").skip(1) {
        let (head, body) = block.split_once(" {\n").unwrap();
        let action = head.split_once("] ").unwrap().1;
        let body = body.split_once("\n} }").unwrap().0;
        let names = body.lines().filter_map(|line| {
            let line = line.trim().trim_start_matches("#[allow(deprecated)] ");
            line.split_once(": ").map(|(name, _)| name.to_owned())
        });
        all.entry(without_generics(action)).or_default().extend(names);
    }
    let session = include_str!("../src/session.rs");
    let start = between(session, "forward_options! {\n", "\n}").unwrap();
    let names = start.lines().filter_map(|line| Some(line.trim().split_once(": ")?.0.to_owned()));
    all.entry("StartTransaction".to_owned()).or_default().extend(names);
    all
}

/// `Find` of `Find<'a, T, S>`, and which of two `list_…` it is.
fn without_generics(action: &str) -> String {
    let name = action.split('<').next().unwrap();
    let mode = ["ListNames", "ListSpecifications"].iter().find(|mode| action.contains(**mode));
    name.to_owned() + mode.unwrap_or(&"")
}

#[test]
fn each_setter_of_the_driver_is_here() {
    let mut all = BTreeMap::new();
    sources(&driver(), &mut all);
    let options = options(&all);
    let ours = ours();
    let mut seen = 0;
    for (path, text) in &all {
        if path.components().any(|part| part.as_os_str() == "csfle") {
            continue;
        }
        let is_file = path.components().any(|part| part.as_os_str() == "gridfs");
        for block in text.split("#[option_setters(").skip(1) {
            let (arguments, rest) = block.split_once(")]").unwrap();
            let Some((_, head)) = rest.split_once("\nimpl") else { continue };
            let head = head.split_once('{').unwrap().0.split(" where").next().unwrap();
            let action = head.trim().rsplit_once("> ").map_or(head.trim(), |(_, action)| action);
            let action = action.split_whitespace().next().map_or(String::new(), |_| {
                let prefix = if is_file { "gridfs::" } else { "" };
                prefix.to_owned() + &without_generics(action)
            });
            let name = arguments.split([',', ' ']).next().unwrap().rsplit("::").next().unwrap();
            let skipped = between(arguments, "[", "]").unwrap_or("");
            let expected = options[name].iter().filter(|field| {
                // Those it has by hand are in its list all the same.
                !skipped.split(", ").any(|skipped| skipped == **field)
            });
            let known = ours.get(&action);
            assert!(known.is_some(), "`{action}` of {} is not in setters.rs", path.display());
            let missing: Vec<_> =
                expected.filter(|field| !known.unwrap().contains(**field)).collect();
            assert!(missing.is_empty(), "`{action}` lacks {missing:?} of `{name}`");
            seen += 1;
        }
    }
    assert!(seen > 35, "the driver's source is not read as it is written: {seen}");
}

/// The public methods of a handle's inherent `impl`s.
fn methods(sources: &BTreeMap<PathBuf, String>, handle: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for text in sources.values() {
        let mut inside = false;
        for line in text.lines() {
            if let Some(head) = line.strip_prefix("impl") {
                let target = head.split(" where").next().unwrap().trim_end_matches([' ', '{']);
                let target = if target.starts_with('<') {
                    target.split_once("> ").map_or("", |(_, target)| target)
                } else {
                    target.trim()
                };
                inside = !head.contains(" for ") && target.split('<').next() == Some(handle);
            } else if line.starts_with('}') {
                inside = false;
            }
            let method = line.trim_start().strip_prefix("pub ").filter(|_| inside);
            let method = method.map(|line| line.trim_start_matches("async "));
            if let Some(name) = method.and_then(|line| line.strip_prefix("fn ")) {
                found.insert(name.split(['(', '<']).next().unwrap().to_owned());
            }
        }
    }
    found
}

#[test]
fn each_method_of_the_drivers_handles_is_here() {
    let mut all = BTreeMap::new();
    sources(&driver(), &mut all);
    all.retain(|path, _| !path.components().any(|part| part.as_os_str() == "csfle"));
    let mut own = BTreeMap::new();
    sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut own);
    let text: String = own.into_values().collect();
    // The README's table of what is left to `.raw()`.
    let left = ["encrypted_builder", "new"];
    let handles = [
        "Client",
        "ClientSession",
        "Collection<T>",
        "Cursor<T>",
        "Database",
        "GridFsBucket",
        "GridFsUploadStream",
        "SessionChangeStream<T>",
        "SessionCursor<T>",
        "SessionRawBatchCursor",
        "StartTransaction",
    ];
    for handle in handles {
        let name = handle.split('<').next().unwrap();
        let methods = methods(&all, name);
        assert!(!methods.is_empty(), "`{name}` has no methods as this reads them");
        let is_here = |method: &&String| {
            text.contains(&format!("fn {method}(")) || text.contains(&format!("fn {method}<"))
        };
        let missing: Vec<_> = methods
            .iter()
            .filter(|method| !is_here(method) && !left.contains(&method.as_str()))
            .collect();
        assert!(missing.is_empty(), "`{name}` lacks {missing:?}");
    }
}
