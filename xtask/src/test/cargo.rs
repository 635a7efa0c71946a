//! The calls of cargo: what it builds, and what it says while tests run.

use std::io::{self, BufRead as _, BufReader, IsTerminal as _, Write as _};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use super::Options;
use super::chosen::Run;
use super::program::Program;
use super::report::Report;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use duct::cmd;
use native::Services;

/// Builds what is tested, and says what that is; nothing if it cannot be built.
pub(crate) fn build(workspace: &Workspace, run: &Run) -> Result<Option<Vec<Program>>> {
    let start = ["test", "--no-run", "--message-format=json-render-diagnostics"];
    // Examples of the documentation are built while they are tested.
    let run_or_library = run.iter().map(|it| if it == "--doc" { "--lib" } else { it });
    let cargo = cmd("cargo", start.into_iter().chain(run_or_library));
    let output = cargo.dir(&workspace.root).stdout_capture().unchecked().run()?;
    if !output.status.success() {
        return Ok(None);
    }
    let has = |option: &str| run.iter().any(|it| it == option);
    let messages = String::from_utf8_lossy(&output.stdout);
    let mut programs: Vec<Program> =
        messages.lines().filter_map(|line| Program::of(workspace, line)).collect();
    let documented: Vec<Program> = programs.iter().filter_map(Program::documentation).collect();
    if has("--doc") {
        programs.clear();
    }
    if !["--lib", "--bin", "--test"].into_iter().any(has) {
        programs.extend(documented);
    }
    Ok(Some(programs))
}

/// Tests what was built, also after a test has failed, and reports what comes of it.
pub(crate) fn test(
    workspace: &Workspace,
    run: &Run,
    options: &Options,
    services: Option<&Services>,
    report: &mut Report,
) -> Result<()> {
    // So long nothing comes of what has ended.
    const QUIET: Duration = Duration::from_millis(100);

    let (read, write) = io::pipe().context("there is no pipe for what cargo says")?;
    // Its colours are no longer a matter between it and the terminal.
    let [of_cargo, of_tests]: [&[&str]; 2] = if io::stdout().is_terminal() {
        [&["--color", "always"], &["--color", "always"]]
    } else {
        [&[], &[]]
    };
    let arguments = ["test", "--no-fail-fast"].iter().chain(of_cargo).copied();
    let arguments = arguments.chain(run.iter().map(String::as_str)).chain(["--"]);
    let arguments = arguments.chain(of_tests.iter().copied());
    let arguments = arguments.chain(options.arguments.iter().map(String::as_str));
    let mut cargo = cmd("cargo", arguments).dir(&workspace.root).unchecked();
    if let Some(services) = services {
        cargo = cargo.env("OTEL_SERVICES_HOME", services.home());
    }
    let running = cargo.stderr_to_stdout().stdout_file(write).start()?;
    let (sender, lines) = channel();
    thread::spawn(move || {
        BufReader::new(read).split(b'\n').map_while(Result::ok).try_for_each(|it| sender.send(it))
    });
    let mut out = io::stdout().lock();
    let status = loop {
        // What a test has left behind may hold the pipe for ever, so its end is not waited for.
        let ended = running.try_wait()?.map(|output| output.status);
        match (lines.recv_timeout(QUIET), ended) {
            (Ok(line), _) => {
                let place = report.hear(&String::from_utf8_lossy(&line));
                let place = place.map(|place| place + "\n").unwrap_or_default();
                // Who does not listen any more wants to know the code.
                _ = out.write_all(&[place.as_bytes(), &line, b"\n"].concat());
            }
            (Err(_), Some(status)) => break status,
            (Err(RecvTimeoutError::Disconnected), None) => break running.wait()?.status,
            (Err(RecvTimeoutError::Timeout), None) => {}
        }
    };
    report.end(run, status.success());
    Ok(())
}
