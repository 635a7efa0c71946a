//! Examples as programs: what they show on the terminal, and what they say without a server.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use super::{REQUIRE, address};

/// Runs an example of the crate under test, in an environment that says no more than where servers
/// are. Cargo builds examples with the tests, unless it is told which tests.
///
/// # Panics
///
/// If the example was not built, or its sources were changed since.
pub fn example(name: &str) -> Command {
    let test = env::current_exe().unwrap_or_default();
    // The test is `{profile}/deps/{test}-{hash}`.
    let profile = test.ancestors().nth(2).unwrap_or(&test);
    let program = profile.join("examples").join(name).with_extension(env::consts::EXE_EXTENSION);
    assert!(is_fresh(&program), "build it: cargo build --all-features --example {name}");
    let mut command = Command::new(program);
    let says_where = |(name, _): &(OsString, OsString)| {
        let name = name.to_string_lossy();
        ["CARGO_", "OTEL_SERVICES_", "OTEL_TEST_"].iter().any(|start| name.starts_with(start))
    };
    command.env_clear().envs(env::vars_os().filter(says_where));
    command
}

/// Whether a program is there, and not older than one of the sources that Cargo notes beside it.
fn is_fresh(program: &Path) -> bool {
    let changed = |file: &Path| file.metadata()?.modified();
    let Ok(built) = changed(program) else { return false };
    // `{program}: {source} {source}`, with `\\ ` for a blank in a name.
    let noted = fs::read_to_string(program.with_extension("d")).unwrap_or_default();
    let noted = noted.replace("\\ ", "\0");
    let mut sources = noted.split_ascii_whitespace().skip(1).map(|name| name.replace('\0', " "));
    sources.all(|source| changed(Path::new(&source)).map_or(true, |source| source <= built))
}

/// What an example showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Everything.
    pub text: String,
    /// Of the trace that was asked for, what each line names, as it is drawn: `├ process orders`.
    pub names: Vec<String>,
}

impl Shown {
    /// Panics unless the trace has these lines, and somewhere there is that one, such as a metric's:
    /// `messaging.process.duration · histogram · s`.
    #[track_caller]
    pub fn check(&self, names: &[&str], line: &str) {
        assert_eq!(self.names, names, "{}", self.text);
        assert!(self.text.lines().any(|it| it == line), "no {line}: {}", self.text);
    }
}

/// Runs an [`example`] that shows what it tells on the terminal, by `otel_setup`: what that is, and the
/// first trace that begins with a span of this name. Nothing without its server, as with [`address`].
///
/// # Panics
///
/// If the example fails, or writes to its standard error.
pub fn shown(name: &str, server: &str, root: &str) -> Option<Shown> {
    // After these a line says more of a span.
    const ENDS: [&str; 6] =
        [" client ", " internal ", " consumer ", " producer ", " (from trace ", " (in this trace)"];
    address(server)?;
    let Output { status, stdout, stderr } = run(&mut example(name));
    let (text, errors) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success() && errors.is_empty(), "{text}{errors}");
    let tree = text.lines().skip_while(|line| !line.starts_with(&format!("{root} ")));
    let names = tree.take_while(|line| !line.is_empty()).map(|line| {
        let end = ENDS.iter().filter_map(|end| line.find(end)).min();
        line.get(..end.unwrap_or(line.len())).unwrap_or(line).trim_end().to_owned()
    });
    let names = names.collect();
    Some(Shown { text: text.into_owned(), names })
}

/// Panics unless an [`example`] says in one line that there is no server of this name, and how to start
/// one.
#[track_caller]
pub fn assert_needs_server(name: &str, server: &str) {
    let mut example = example(name);
    example.env_remove(format!("OTEL_TEST_{server}")).env_remove(REQUIRE);
    let Output { status, stderr, .. } = run(example.env("OTEL_SERVICES_HOME", "/nowhere"));
    assert!(!status.success(), "{name} found {server}");
    let server = server.to_lowercase().replace('_', "-");
    let expected = format!(
        "no {server} at /nowhere/addresses.json: start one with `cargo xtask services up {server}`"
    );
    assert_eq!(String::from_utf8_lossy(&stderr), format!("Error: {expected:?}\n"));
}

fn run(example: &mut Command) -> Output {
    example.output().unwrap_or_else(|error| panic!("{example:?}: {error}"))
}
