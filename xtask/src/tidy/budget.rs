//! How long things may be. A budget that hurts is a question about the core, not a reason to
//! squeeze lines. Blanks, comments and unit tests are free.

use super::Finding;
use super::files::{Files, Source};
use crate::workspace::Workspace;

const FILE: usize = 400;
const CORE: usize = 4_010;
const MESSAGING: usize = 1_890;
const ADAPTER: usize = 600;
/// Adapters of drivers whose surface is wider; the reason stands in the crate's RATIONALE.md.
const WIDER: [(&str, usize); 6] = [
    ("otel-kafka", 1_550),
    ("otel-mongodb", 2_490),
    ("otel-nats", 1_850),
    ("otel-rabbitmq", 1_900),
    ("otel-redis", 3_200),
    ("otel-sqlx", 1_100),
];
// A third of it is tidy itself; the servers, with Docker and without, and the tests with what comes
// of them, are a quarter each.
const XTASK: usize = 2_365;
/// What reads the conventions and what tests emitted, compares them and writes the pages.
const DOCS: usize = 1_700;

pub(crate) fn files(_: &Workspace, files: &Files, found: &mut Vec<Finding>) {
    for source in files.sources.iter().filter(|source| source.path.contains("/src/")) {
        let length = source.all().filter(|(_, line)| !line.is_blank()).count();
        if length > FILE {
            let what = format!("{length} lines of code, {FILE} are allowed; split the file");
            found.push(Finding::new(&source.path, 1, what));
        }
    }
}

/// Messaging has a budget of its own, the SQL analyser only the file's.
pub(crate) fn core(workspace: &Workspace, files: &Files, found: &mut Vec<Finding>) {
    over_budget(workspace, files, found, CORE, "otel-core", |source| {
        if is_in("sql", source) || is_in("messaging", source) { 0 } else { length(source) }
    });
    over_budget(workspace, files, found, MESSAGING, "otel-core", |source| {
        if is_in("messaging", source) { length(source) } else { 0 }
    });
}

fn is_in(module: &str, source: &Source) -> bool {
    let inside = source.path.strip_prefix("otel-core/src/").and_then(|it| it.strip_prefix(module));
    inside.is_some_and(|rest| rest.starts_with(['.', '/']))
}

pub(crate) fn adapters(workspace: &Workspace, files: &Files, found: &mut Vec<Finding>) {
    for one in workspace.crates.iter().filter(|one| one.is_adapter()) {
        let wider = WIDER.iter().find(|(name, _)| *name == one.name);
        let budget = wider.map_or(ADAPTER, |(_, budget)| *budget);
        over_budget(workspace, files, found, budget, &one.name, without_forwards);
    }
}

pub(crate) fn xtask(workspace: &Workspace, files: &Files, found: &mut Vec<Finding>) {
    let is_docs = |source: &Source| source.path.starts_with("xtask/src/docs/");
    over_budget(workspace, files, found, XTASK, "xtask", |source| {
        if is_docs(source) { 0 } else { length(source) }
    });
    over_budget(workspace, files, found, DOCS, "xtask", |source| {
        if is_docs(source) { length(source) } else { 0 }
    });
}

fn over_budget(
    workspace: &Workspace,
    files: &Files,
    found: &mut Vec<Finding>,
    budget: usize,
    name: &str,
    count: impl Fn(&Source) -> usize,
) {
    for one in workspace.crates.iter().filter(|one| one.name == name) {
        let length: usize = files.sources_of(one).map(&count).sum();
        if length > budget {
            let what = format!(
                "{length} lines of code, {budget} are allowed; ask what belongs into the core"
            );
            found.push(Finding::new(format!("{}/src", one.folder), 1, what));
        }
    }
}

fn length(source: &Source) -> usize {
    source.shipped().filter(|(_, line)| !line.is_blank()).count()
}

/// Plain forwards are free: what is in a macro with `forward` or `delegate` in its name, and
/// methods that do no more than call the method of the same name.
fn without_forwards(source: &Source) -> usize {
    let lines: Vec<&str> = source.shipped().map(|(_, line)| line.bare.trim()).collect();
    let lines: Vec<&str> = lines.into_iter().filter(|line| !line.is_empty()).collect();
    let (mut at, mut count) = (0, 0);
    while at < lines.len() {
        let free = macro_length(&lines[at..]) + forward_length(&lines[at..]);
        count += usize::from(free == 0);
        at += free.max(1);
    }
    count
}

fn macro_length(lines: &[&str]) -> usize {
    let name = lines[0].split_once('!').map_or("", |(name, _)| name);
    let is_path = name.chars().all(|it| it.is_alphanumeric() || "_:".contains(it));
    if !is_path || !["forward", "delegate"].iter().any(|it| name.contains(it)) {
        return 0;
    }
    let mut depth = 0;
    let ends = lines.iter().position(|line| {
        let count = |brackets: &[char]| line.matches(brackets).count();
        depth = (depth + count(&['{', '('])).saturating_sub(count(&['}', ')']));
        depth == 0
    });
    ends.map_or(0, |last| last + 1)
}

/// Three lines: `fn name(…) {`, `self.….name(…)`, `}`.
fn forward_length(lines: &[&str]) -> usize {
    let [head, body, "}", ..] = lines else {
        return 0;
    };
    let name = head.split_once("fn ").and_then(|(_, rest)| rest.split(['(', '<']).next());
    let forwards = name.is_some_and(|name| body.contains(&format!(".{name}(")));
    if forwards && head.ends_with('{') && body.contains("self") { 3 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_forwards_are_free() {
        let text = "struct A;\nforward! {\n    fn a(&self) -> u32;\n    fn b(&self);\n}\n\n\
                    // c\npub fn size(&self) -> u32 {\n    self.0.size()\n}\n\
                    fn d(&self) {\n    self.0.e()\n}\nforward!();\nconst E: u8 = 1;\n";
        assert_eq!(without_forwards(&Source::new(text.into(), "a.rs".into())), 5);
    }

    #[test]
    fn comments_and_tests_are_free() {
        let text = "//! A.\nfn a() {} // b\n/* c\nd */\n\n#[cfg(test)]\nmod tests {\n}\n";
        assert_eq!(length(&Source::new(text.into(), "a.rs".into())), 1);
    }
}
