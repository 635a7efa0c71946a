//! Runs the tasks as a user does.
#![allow(clippy::unwrap_used, dead_code, reason = "test code, of which no file uses all")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs the tasks in a home of services that is empty.
pub(crate) fn xtask(folder: &Path, arguments: &[&str], input: &str) -> (i32, String, String) {
    answer(&mut command(folder, arguments), input)
}

/// The tasks, to be run in an environment of the test's own.
pub(crate) fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(arguments).current_dir(folder);
    command
}

/// Its code, what it printed and what it said, in a home of services that is empty.
pub(crate) fn answer(command: &mut Command, input: &str) -> (i32, String, String) {
    let home = tempfile::tempdir().unwrap();
    answer_in(home.path(), command, input)
}

/// The same in this home.
pub(crate) fn answer_in(home: &Path, command: &mut Command, input: &str) -> (i32, String, String) {
    let mut child = command
        .env("OTEL_SERVICES_HOME", home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that refuses its arguments does not read on.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

pub(crate) fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
