//! Each rule is broken once, in a workspace that breaks no other.

use std::fs;
use std::path::Path;

use otel_testing::live::skipped;

use super::check;
use crate::workspace::Workspace;

const PACKAGE: &str = "edition.workspace = true\nlicense.workspace = true\nversion = \"0.1.0\"\n\
                       rust-version = \"1.88\"\n[lints]\nworkspace = true\n";
const README: &str = "# x\n## Quick start\n## What is emitted\n## Options\n## Errors\n## Limits\n\
                      ## Versions\n[up](../ARCHITECTURE.md#what-is-where)\n";

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A workspace of a core, an adapter and an xtask that breaks no rule.
fn clean() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let members = "members = [\"otel-core\", \"otel-x\", \"xtask\"]";
    write(root, "Cargo.toml", &format!("[workspace]\n{members}\n"));
    write(root, "ARCHITECTURE.md", "# What is where\n`otel-core`, `otel-x` and xtask/\n");
    for name in ["otel-core", "otel-x", "xtask"] {
        let private = if name == "xtask" { "publish = false\n" } else { "" };
        let manifest = format!("[package]\nname = \"{name}\"\n{private}{PACKAGE}");
        write(root, &format!("{name}/Cargo.toml"), &manifest);
        write(root, &format!("{name}/src/lib.rs"), "//! A crate.\n");
        write(root, &format!("{name}/README.md"), README);
        write(root, &format!("{name}/CHANGELOG.md"), "# Changes\n");
    }
    write(root, "otel-x/src/driver.rs", "//! The driver.\n");
    write(root, "otel-x/TELEMETRY.md", "# What it emits\n");
    write(
        root,
        "otel-core/src/providers.rs",
        "//! Layer `telemetry`: a.\nfn a() { global::tracer(1) }\n",
    );
    let instrument = "//! Layer `operation`: a.\nfn a() { context.attach(); span.end() }\n";
    write(root, "otel-core/src/instrument.rs", instrument);
    folder
}

fn findings(root: &Path) -> Vec<String> {
    let findings = check(&Workspace::at(root).unwrap()).unwrap();
    findings.iter().map(ToString::to_string).collect()
}

#[test]
fn a_clean_workspace_has_no_findings() {
    assert_eq!(findings(clean().path()), Vec::<String>::new());
}

/// What stands in which file, and the finding it must lead to.
type Case = (&'static str, String, &'static str);

fn each_is_found(cases: Vec<Case>) {
    for (path, text, expected) in cases {
        let folder = clean();
        write(folder.path(), path, &text);
        let found = findings(folder.path());
        // A file of 800 lines breaks two rules.
        let count = if expected.contains("800") { 2 } else { 1 };
        assert!(found.len() == count && found.concat().contains(expected), "{path}: {found:?}");
    }
}

#[test]
fn a_manifest_that_repeats_or_lacks_something_is_found() {
    let case = |old: &str, new: &str, expected| {
        let text = format!("[package]\nname = \"otel-x\"\n{PACKAGE}").replace(old, new);
        ("otel-x/Cargo.toml", text, expected)
    };
    let nix = "[target.'cfg(unix)'.dev-dependencies]\nnix = { version = \"1\" }\n[lints]";
    each_is_found(vec![
        case("[lints]\nworkspace = true", "", "otel-x/Cargo.toml:1: write `[lints]`"),
        case("edition.workspace = true", "edition = \"2024\"", "Cargo.toml:3: write `edition."),
        case("license.workspace = true", "", "write `license.workspace = true`"),
        case("version = \"0.1.0\"", "version.workspace = true", "crate's own `version = "),
        case("rust-version = \"1.88\"\n", "", "crate's own `rust-version = "),
        case("[lints]", "[dependencies]\na = \"1\"\n[lints]", "Cargo.toml:8: write `a.workspace"),
        case("[lints]", nix, "Cargo.toml:8: write `nix.workspace = true`"),
    ]);
}

#[test]
fn a_page_that_misleads_is_found() {
    let case = |path, text: &str, expected| (path, text.to_string(), expected);
    let short = README.replace("## Limits\n", "");
    each_is_found(vec![
        case("otel-x/README.md", &short, "README.md:1: write the section `## Limits`"),
        case("a.md", "\nsee [b](b.md)", "a.md:2: the link to `b.md` leads nowhere"),
        case("a.md", "[x](ARCHITECTURE.md#no)", "a.md:1: the link to `ARCHITECTURE.md#no` leads"),
        case(
            "ARCHITECTURE.md",
            "# What is where\notel-core, otel-x-y, xtask",
            "the crate `otel-x`",
        ),
        case("stray/a.txt", "", "stray:1: unknown folder"),
    ]);
}

#[test]
fn source_in_the_wrong_place_is_found() {
    let case = |path, code: &str, expected| (path, format!("//! A.\n{code}\n"), expected);
    let adapter = |code, expected| case("otel-x/src/a.rs", code, expected);
    let long = |lines: usize| "fn a() {}\n".repeat(lines);
    each_is_found(vec![
        case("otel-x/src/a.rs", &long(401), "otel-x/src/a.rs:1: 401 lines of code, 400"),
        adapter(&long(800), "otel-x/src:1: 800 lines of code, 600 are allowed"),
        ("otel-x/src/a.rs", "fn a() {}\n".into(), "otel-x/src/a.rs:1: starts without `//!`"),
        adapter("const A: &str = \"db.system\";", "a.rs:2: a name of the conventions"),
        adapter("use opentelemetry::global;", "a.rs:2: reads a global provider"),
        adapter("fn a() { global::meter(1) }", "a.rs:2: reads a global provider"),
        (
            "otel-core/src/a.rs",
            "//! Layer `db`: a.\nfn a() { global::meter(1) }\n".into(),
            "a.rs:2: reads a global provider",
        ),
        adapter("fn a() { context.attach() }", "a.rs:2: makes a context current"),
        adapter("fn a() { std::time::Instant::now() }", "a.rs:2: reads a clock"),
        adapter("fn a() { span.end() }", "a.rs:2: reads a clock or ends a span"),
        adapter("fn a() { todo!() }", "a.rs:2: unfinished"),
        case("xtask/tests/a.rs", "#[ignore = \"a\"]", "xtask/tests/a.rs:2: an ignored test"),
    ]);
}

#[test]
fn a_missing_file_of_a_crate_is_found() {
    for path in [
        "otel-x/src/driver.rs",
        "otel-x/TELEMETRY.md",
        "otel-x/README.md",
        "otel-core/CHANGELOG.md",
    ] {
        let folder = clean();
        fs::remove_file(folder.path().join(path)).unwrap();
        assert_eq!(
            findings(folder.path()),
            [format!("{path}:1: missing; each crate of this kind has one")]
        );
    }
}

#[test]
fn core_and_xtask_have_budgets_and_the_analyser_none() {
    for (name, is_over) in
        [("otel-core/src", true), ("xtask/src", true), ("otel-core/src/sql", false)]
    {
        let folder = clean();
        for number in 0..11 {
            let text = format!("//! Layer `db`: a.\n{}", "fn a() {}\n".repeat(399));
            write(folder.path(), &format!("{name}/a{number}.rs"), &text);
        }
        let found = findings(folder.path());
        assert_eq!(found.len(), usize::from(is_over), "{name}: {found:?}");
    }
}

#[test]
fn an_arrow_that_leads_the_wrong_way_is_found() {
    let case = |code: &str, expected| {
        let text = format!("//! Layer `operation`: a.\n{code}\n");
        ("otel-core/src/instrument.rs", text.replace("CONTEXT", "context.attach();"), expected)
    };
    each_is_found(vec![
        ("otel-core/src/a.rs", "//! A.\n".into(), "a.rs:1: says no layer in its first line"),
        case(
            "fn a() { CONTEXT crate::Client }",
            "instrument.rs:2: Layer `operation` imports otel-core/src/lib.rs",
        ),
        (
            "otel-core/src/providers.rs",
            "//! Layer `telemetry`: a.\nuse crate::instrument::{\n    A,\n};\n".into(),
            "providers.rs:2: Layer `telemetry` imports otel-core/src/instrument.rs",
        ),
    ]);
    let folder = clean();
    let write = |name: &str, code: &str| {
        let text = format!("//! Layer `db`: a.\n{code}\n");
        write(folder.path(), &format!("otel-core/src/{name}.rs"), &text);
    };
    write("db", "mod a;\nmod b;\npub use a::A;\nuse self::b::B;");
    write("db/a", "use crate::providers::X;\nuse super::b::{self, B};");
    write("db/b", "use crate::instrument::Y;");
    assert_eq!(findings(folder.path()), [""; 0]);
    write("db/b", "use crate::instrument::Y;\nfn b(_: super::a::A) {}");
    assert_eq!(
        findings(folder.path()),
        ["otel-core/src/db/b.rs:3: closes a circle of imports: otel-core/src/db/a.rs → \
          otel-core/src/db/b.rs → otel-core/src/db/a.rs"]
    );
}

#[test]
fn what_only_looks_like_a_violation_is_none() {
    let folder = clean();
    let text = "//! A, not \"db.x\".\n// span.end()\nfn a() { b(\"global::x todo!()\"); meter_global::a() }\nuse global::BoxedTracer;\n\
                #[cfg(test)]\nmod tests {\n    fn a() { c(\"db.x\"); Instant::now() }\n}\n";
    write(folder.path(), "otel-x/src/a.rs", text);
    write(
        folder.path(),
        "a.md",
        "`[a](b)` [c](otel-x/) [`d`](a.md)\n```\n[e](f)\n```\n[g](https://h)\n",
    );
    assert_eq!(findings(folder.path()), Vec::<String>::new());
}

const COMPOSE: &str = r#"
x-no-health-check:
  b: nothing in it can ask
services:
  a:
    image: a:${A_VERSION:?}
    profiles: [sql, aws]
    ports: ["127.0.0.1:${A_PORT:-1}:1"]
    labels: { OTEL_TEST_A: "a://a:a@127.0.0.1:${A_PORT:-1}/a" }
    volumes: ["./Cargo.toml:/a:ro"]
    mem_limit: 1g
    restart: "no"
    healthcheck: { test: a }
  b:
    image: b/b:v${A_VERSION:?}-alpine
    depends_on: [a]
    profiles: [sql]
    mem_limit: 1g
    restart: "no"
"#;

#[test]
fn a_compose_file_that_breaks_a_rule_is_found() {
    if std::process::Command::new("go").arg("version").output().is_err() {
        skipped("no Go");
        return;
    }
    let folder = clean();
    let root = folder.path();
    let check = |version: &str, old: &str, new: &str| {
        assert!(COMPOSE.contains(old), "{old}");
        write(root, ".env", &format!("A_VERSION={version}\n"));
        write(root, "docker-compose.yml", &COMPOSE.replacen(old, new, 1));
        findings(root)
    };
    assert_eq!(check("1.2", "", ""), Vec::<String>::new());
    for (old, new, expected) in [
        // Compose's own rules.
        ("restart:", "restarts:", "1: compose refuses it: validating"),
        ("test: a", "test: $A", "1: compose refuses it: "),
        ("[a]", "[c]", "1: compose refuses it: service \"b\" depends on undefined service"),
        ("A_VERSION:?", "B_VERSION:?", "1: compose refuses it: "),
        // As it is written.
        ("a:${A_VERSION:?}", "a:1.2", "6: write the version as `${…_VERSION:?}`"),
        ("${A_PORT:-1}:1", "1:1", "8: write the port as `${…_PORT:-…}`"),
        // As compose understands it.
        ("{ test: a }", "{ disable: true }", "5: give it either a health check or"),
        ("  b: no", "  a: why\n  b: no", "6: give it either a health check or"),
        ("  b: nothing in it can ask\n", "", "13: give it either a health check or"),
        ("    mem_limit: 1g\n", "", "5: give it a `mem_limit`"),
        ("\"no\"", "always", "5: write `restart: \"no\"`"),
        ("    profiles: [sql, aws]\n", "", "5: put it into one of the profiles sql"),
        ("[sql, aws]", "[sql, web]", "5: put it into one of the profiles sql"),
        ("[sql, aws]", "[aws]", "14: needs `a`, which is in another profile"),
        ("127.0.0.1:${A_PORT:-1}:1", "${A_PORT:-1}:1", "5: publish its ports on 127.0.0.1"),
        ("${A_PORT:-1}/a", "${A_PORT:-2}/a", "5: OTEL_TEST_A is none of its ports"),
        ("./Cargo.toml", "./no.toml", "/no.toml, which does not exist"),
    ] {
        let found = check("1.2", old, new);
        let starts = format!("docker-compose.yml:{expected}");
        let is_it = found.iter().any(|it| it.starts_with(&starts) || it.ends_with(expected));
        assert!(found.len() == 1 && is_it, "{old} -> {new}: {found:?}");
    }
    for version in ["latest", "1", ""] {
        let found = check(version, "", "");
        let what = if version.is_empty() { "compose refuses it: " } else { "names no version" };
        assert!(!found.is_empty() && found.iter().all(|it| it.contains(what)), "{found:?}");
    }
}
