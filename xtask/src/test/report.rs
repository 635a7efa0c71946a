//! What came of the tests, read from what cargo and they say.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::time::Instant;

use duct::cmd;

use super::chosen::Run;
use super::program::Program;
use crate::workspace::Workspace;

/// All that was run, and what is running.
pub(crate) struct Report<'a> {
    workspace: &'a Workspace,
    start: Instant,
    expected: Vec<Program>,
    begun: usize,
    current: Option<Current>,
    passed: usize,
    failures: Vec<Failure>,
    /// Why, and how many.
    skipped: BTreeMap<String, usize>,
}

/// What failed, and the command that runs it alone.
struct Failure {
    what: String,
    command: String,
}

/// What one program has told so far.
#[derive(Default)]
struct Current {
    index: usize,
    passed: usize,
    ignored: usize,
    failed: Vec<String>,
    /// Why, and the name of the test if it was told.
    skipped: Vec<(String, Option<String>)>,
    /// What stands below the last `failures:`: of two of them, the second lists the names.
    listed: Option<Vec<String>>,
    /// Tests whose end was told.
    ended: BTreeSet<String>,
    has_result: bool,
    /// Cargo says that it failed.
    is_error: bool,
    /// And how, where that was not by a test.
    died: Option<String>,
}

impl<'a> Report<'a> {
    pub(crate) fn new(workspace: &'a Workspace) -> Self {
        Self {
            workspace,
            start: Instant::now(),
            expected: Vec::new(),
            begun: 0,
            current: None,
            passed: 0,
            failures: Vec::new(),
            skipped: BTreeMap::new(),
        }
    }

    /// These are going to be run.
    pub(crate) fn expect(&mut self, programs: Vec<Program>) {
        self.expected.extend(programs);
    }

    /// Cargo has said why.
    pub(crate) fn not_built(&mut self, run: &Run) {
        let command = format!("cargo test --no-run {}", run.join(" "));
        self.failures.push(Failure { what: "not built, see above".into(), command });
    }

    /// Takes note of a line; where a program begins, says which one it is.
    pub(crate) fn hear(&mut self, line: &str) -> Option<String> {
        if native::interrupted() {
            // What is told of those that were ended is no result.
            return None;
        }
        let line = plain(line);
        if let Some(index) = self.expected.iter().position(|program| program.is_begun_by(&line)) {
            self.close();
            self.begun += 1;
            self.current = Some(Current { index, ..Current::default() });
            return Some(format!("\n[{}]", self.place()));
        }
        if let Some(current) = &mut self.current {
            current.hear(&line);
        }
        None
    }

    fn place(&self) -> String {
        let program = self.current.as_ref().and_then(|current| self.expected.get(current.index));
        let shown = program.map(Program::shown).unwrap_or_default();
        let (begun, all, took) = (self.begun, self.expected.len(), self.took());
        format!("{begun} of {all}, after {took}, {} failed: {shown}", self.failures.len())
    }

    fn took(&self) -> String {
        match self.start.elapsed().as_secs() {
            seconds @ 0..60 => format!("{seconds} s"),
            seconds => format!("{} min {} s", seconds / 60, seconds % 60),
        }
    }

    /// A call of cargo has ended.
    pub(crate) fn end(&mut self, run: &Run, is_success: bool) {
        if native::interrupted() {
            return;
        }
        let before = self.failures.len();
        self.close();
        if !is_success && self.failures.len() == before && before == 0 {
            let command = format!("cargo test {}", run.join(" "));
            self.failures.push(Failure { what: "cargo, see above".into(), command });
        }
    }

    /// The program that ran has told all.
    fn close(&mut self) {
        let Some(mut current) = self.current.take() else { return };
        let Some(program) = self.expected.get(current.index) else { return };
        let mut failed = |what: String, test: Option<&str>| {
            let command = program.command(self.workspace, test);
            self.failures.push(Failure { what: format!("{}{what}", program.shown()), command });
        };
        for test in &current.failed {
            failed(format!(": {test}"), Some(test));
        }
        if current.died.is_some() || current.is_error && current.failed.is_empty() {
            let how = current.died.as_deref().unwrap_or("it failed, see above");
            let open = if current.has_result { Vec::new() } else { current.open(program) };
            let open =
                if open.is_empty() { String::new() } else { format!(", in {}", open.join(", ")) };
            failed(format!(": {how}{open}"), None);
        }
        if !current.has_result {
            current.passed = current.ended.len();
        }
        let mut known: BTreeSet<String> = current.failed.into_iter().collect();
        for (why, test) in current.skipped {
            // Once, for what it said first.
            if test.is_none_or(|test| known.insert(test)) {
                *self.skipped.entry(why).or_default() += 1;
                current.passed = current.passed.saturating_sub(1);
            }
        }
        if current.ignored > 0 {
            *self.skipped.entry("marked as ignored".into()).or_default() += current.ignored;
        }
        self.passed += current.passed;
    }

    /// The summary; its last line has the numbers.
    pub(crate) fn print(&self) -> ExitCode {
        let programs = format!("{} of {} programs of tests", self.begun, self.expected.len());
        println!("\n{programs} in {}", self.took());
        if native::interrupted() && self.current.is_some() {
            println!("interrupted in {}", self.place());
        }
        if !self.failures.is_empty() {
            println!("\nfailed:");
        }
        for Failure { what, command } in &self.failures {
            println!("  {what}\n      {command}");
        }
        if !self.skipped.is_empty() {
            println!("\nskipped:");
        }
        for (why, count) in &self.skipped {
            println!("  {count}: {why}");
        }
        let (failed, skipped) = (self.failures.len(), self.skipped.values().sum::<usize>());
        println!("\n{} passed, {failed} failed, {skipped} skipped", self.passed);
        if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

impl Current {
    fn hear(&mut self, line: &str) {
        let told = line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... "));
        // What a test says past the harness may stand in the middle of its line.
        let said = told.map_or(line, |(_, said)| said).strip_prefix("skipped: ");
        if let Some(result) = line.strip_prefix("test result: ") {
            self.result(result);
        } else if line == "failures:" {
            self.listed = Some(Vec::new());
        } else if let Some(why) = said.filter(|_| self.listed.is_none()) {
            let named = why.strip_suffix(')').and_then(|why| why.rsplit_once(" (in "));
            let (why, test) = named.map_or((why, None), |(why, test)| (why, Some(test)));
            self.skipped.push((why.to_owned(), test.map(str::to_owned)));
        } else if let Some((test, "ok")) = told {
            self.ended.insert(test.to_owned());
        } else if let Some(cause) = line.strip_prefix("  process didn't exit successfully: ") {
            let how = cause.rsplit_once('(').and_then(|(_, how)| how.strip_suffix(')'));
            self.died = Some(how.unwrap_or(cause).to_owned());
        } else if line.starts_with("error: ") && line.contains("failed, to rerun pass") {
            self.is_error = true;
        } else if let (Some(listed), Some(name)) = (&mut self.listed, line.strip_prefix("    ")) {
            listed.push(name.to_owned());
        }
    }

    /// The examples of a documentation have more than one, those that are compiled alone.
    fn result(&mut self, result: &str) {
        let number = |what: &str| {
            let before = result.split(what).next().unwrap_or_default();
            before.rsplit([' ', '.']).find_map(|it| it.parse().ok()).unwrap_or(0)
        };
        self.passed += number(" passed");
        self.ignored += number(" ignored");
        self.failed.extend(self.listed.take().unwrap_or_default());
        self.has_result = true;
    }

    /// The tests that had not ended when it died.
    fn open(&self, program: &Program) -> Vec<String> {
        let listed = cmd!(&program.executable, "--list", "--format", "terse").stderr_null().read();
        let listed = listed.unwrap_or_default();
        let tests = listed.lines().filter_map(|line| line.strip_suffix(": test"));
        tests.filter(|test| !self.ended.contains(*test)).map(str::to_owned).collect()
    }
}

/// Without colours.
fn plain(line: &str) -> String {
    let mut parts = line.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    let rest = parts.filter_map(|part| part.split_once(|it: char| it.is_ascii_alphabetic()));
    rest.fold(first, |text, (_, part)| text + part)
}
