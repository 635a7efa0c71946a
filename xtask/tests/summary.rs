//! What `test` says while tests run, and its summary, for tests that pass, fail, are skipped or die,
//! in programs and in documentation, and for what cannot be built.
#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::{answer, command};
use tempfile::TempDir;

const FILES: &[(&str, &str)] = &[
    ("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"one\", \"integration-tests\"]\n"),
    // The first test of a program has ended when the last one begins.
    (".cargo/config.toml", "[env]\nRUST_TEST_THREADS = \"1\"\n"),
    ("one/Cargo.toml", "[package]\nname = \"one\"\nedition = \"2024\"\n"),
    (
        "one/src/lib.rs",
        "//! ```\n//! assert_eq!(one::two(), 2);\n//! ```\n
/// ```
/// assert_eq!(one::two(), 3);
/// ```
/// ```should_panic
/// panic!();
/// ```
pub fn two() -> u8 { 2 }
#[cfg(test)]
mod tests {
    #[test]
    fn holds() {}
    #[test]
    fn does_not() {
        println!(\"failures:\\n    other\\nskipped: not this\");
        panic!(\"once\");
    }
    #[test]
    #[ignore]
    fn waits() {}
}
",
    ),
    (
        "one/tests/dies.rs",
        "#[test] fn first() {}
#[test] fn last() { std::process::abort(); }
",
    ),
    (
        "one/tests/skips.rs",
        "use std::io::Write as _;
fn skip(why: &str) { _ = std::io::stderr().write_all(format!(\"skipped: {why}\\n\").as_bytes()); }
#[test] fn a() { skip(\"no moon (in a)\"); skip(\"no sun (in a)\"); }
#[test] fn b() { skip(\"no moon (in b)\"); }
#[test] fn c() { skip(\"no cheese\"); }
#[test] fn d() {}
",
    ),
    (
        "integration-tests/Cargo.toml",
        "[package]\nname = \"integration-tests\"\nedition = \"2024\"
[package.metadata.drivers]\nsky = { servers = [] }
[features]\nsky = []
[[test]]\nname = \"sky\"\nrequired-features = [\"sky\"]
",
    ),
    ("integration-tests/src/lib.rs", ""),
    ("integration-tests/tests/sky.rs", "#[test] fn falls() { panic!(); }\n#[test] fn holds() {}"),
];

/// A workspace of a test's own.
fn workspace(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn test(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = command(folder, &[&["test"], arguments].concat());
    command.env("CARGO_TARGET_DIR", folder.join("target")).env_remove("OTEL_TEST_REQUIRE");
    answer(&mut command, "")
}

/// Where it was, program by program, without the time.
fn places(out: &str) -> Vec<String> {
    let lines = out.lines().filter_map(|line| line.strip_prefix('[')?.strip_suffix(']'));
    lines.map(|line| without_time(line, ", after ", " s")).collect()
}

fn without_time(line: &str, before: &str, behind: &str) -> String {
    let (start, rest) = line.split_once(before).unwrap();
    let (time, end) = rest.split_once(behind).unwrap();
    assert!(time.split(" min ").all(|part| part.parse::<u64>().is_ok()), "{line}");
    format!("{start}{end}")
}

/// What stands below the output of the last program.
fn summary(out: &str) -> Vec<String> {
    let from = out.lines().position(|line| line.contains(" programs of tests in ")).unwrap();
    let mut lines: Vec<String> = out.lines().skip(from).map(str::to_owned).collect();
    lines[0] = without_time(&lines[0], " in ", " s");
    lines
}

#[test]
fn what_failed_or_was_skipped_is_listed_with_what_runs_it_alone() {
    let folder = workspace(FILES);
    let (code, out, said) = test(folder.path(), &[]);
    assert_eq!(code, 1, "{out}{said}");
    let expected = [
        "1 of 7, 0 failed: integration-tests, src/lib.rs",
        "2 of 7, 0 failed: integration-tests, tests/sky.rs",
        "3 of 7, 1 failed: one, src/lib.rs",
        "4 of 7, 2 failed: one, tests/dies.rs",
        "5 of 7, 3 failed: one, tests/skips.rs",
        "6 of 7, 3 failed: integration-tests, documentation",
        "7 of 7, 3 failed: one, documentation",
    ];
    assert_eq!(places(&out), expected);
    // What others read is still there, a line for each program that told its end.
    assert_eq!(out.matches("\ntest result: ").count(), 6, "{out}");
    let commands = [
        ("  integration-tests, tests/sky.rs: falls", "sky --test sky -- --exact falls"),
        ("  one, src/lib.rs: tests::does_not", "one --lib -- --exact tests::does_not"),
        (
            "  one, tests/dies.rs: signal: 6, SIGABRT: process abort signal, in last",
            "one --test dies",
        ),
        ("  one, documentation: one/src/lib.rs - two (line 5)", "one --doc -- 'two'"),
    ];
    let mut expected = vec!["7 of 7 programs of tests".to_owned(), String::new()];
    expected.push("failed:".to_owned());
    for (what, command) in commands {
        expected.extend([what.to_owned(), format!("      cargo xtask test {command}")]);
    }
    expected.extend(
        [
            "",
            "skipped:",
            "  1: marked as ignored",
            "  1: no cheese",
            "  2: no moon",
            "",
            "6 passed, 4 failed, 4 skipped",
        ]
        .map(str::to_owned),
    );
    assert_eq!(summary(&out), expected, "{out}");

    for (what, line) in commands {
        let arguments: Vec<&str> = line.split(' ').map(|word| word.trim_matches('\'')).collect();
        let (code, out, said) = test(folder.path(), &arguments);
        assert_eq!((code, places(&out).len()), (1, 1), "{line}: {out}{said}");
        let found = summary(&out);
        assert_eq!(found[3..5], [what, &*format!("      cargo xtask test {line}")], "{out}");
        // The other example of the same function, and the other test of the same program.
        let passed = u8::from(line.contains("--doc") || line.contains("dies"));
        assert_eq!(found[6], format!("{passed} passed, 1 failed, 0 skipped"), "{out}");
    }
}

#[test]
fn a_success_has_only_numbers() {
    let folder = workspace(FILES);
    let (code, out, said) = test(folder.path(), &["one", "--test", "skips", "--", "--exact", "d"]);
    assert_eq!(code, 0, "{out}{said}");
    assert_eq!(summary(&out), ["1 of 1 programs of tests", "", "1 passed, 0 failed, 0 skipped"]);
}

#[test]
fn what_cannot_be_built_is_a_failure_and_the_rest_is_tested() {
    let folder = workspace(FILES);
    fs::write(folder.path().join("one/tests/skips.rs"), "fn").unwrap();
    let (code, out, said) = test(folder.path(), &["one", "sky"]);
    assert_eq!(code, 1);
    assert!(said.contains("could not compile `one`"), "{said}");
    let expected = [
        "1 of 1 programs of tests",
        "",
        "failed:",
        "  not built, see above",
        "      cargo test --no-run --package one --all-features",
        "  integration-tests, tests/sky.rs: falls",
        "      cargo xtask test sky --test sky -- --exact falls",
        "",
        "1 passed, 2 failed, 0 skipped",
    ];
    assert_eq!(summary(&out), expected, "{out}");
}

#[test]
fn what_a_test_leaves_running_is_not_waited_for() {
    let folder = workspace(FILES);
    let leaves = "#[test] fn leaves() {
        let left = std::process::Command::new(\"sleep\").arg(\"600\").spawn().unwrap();
        std::fs::write(\"left\", left.id().to_string()).unwrap();
    }";
    fs::write(folder.path().join("one/tests/skips.rs"), leaves).unwrap();
    let start = Instant::now();
    let mut command = command(folder.path(), &["test", "one", "--test", "skips"]);
    command.env("CARGO_TARGET_DIR", folder.path().join("target"));
    // A pipe would not end either.
    let out = folder.path().join("out");
    let told = command.stdout(fs::File::create(&out).unwrap()).stderr(Stdio::null()).status();
    let took = start.elapsed();
    let left = fs::read_to_string(folder.path().join("one/left")).unwrap();
    assert!(Command::new("kill").arg(left).status().unwrap().success(), "it ended by itself");
    assert!(told.unwrap().success() && took < Duration::from_secs(300), "{took:?}");
    let out = fs::read_to_string(out).unwrap();
    assert_eq!(summary(&out)[2], "1 passed, 0 failed, 0 skipped", "{out}");
}
