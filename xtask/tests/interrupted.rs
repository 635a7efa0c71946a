//! Ctrl-C, or the signal of a CI, while servers are fetched, started or tested: one sentence, a code
//! that is not 0, no process left, and the next `up` goes on.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use otel_testing::live::skipped;
use support::{answer_in, command, here};
use tempfile::TempDir;

/// Does not end before it is killed, nor what it starts.
const ENDLESS: &str = "trap '' INT TERM\necho begun >> \"${0%/*}/begun\"\nsleep 600 &\nsleep 600\n";
const REDIS: &str = "/usr/bin/redis-server";

/// A server that is down keeps its port, and another test must not take it meanwhile.
static PORTS: Mutex<()> = Mutex::new(());

/// A home and a cache of its own, and programs in place of others.
struct Machine {
    home: TempDir,
    cache: TempDir,
    tools: TempDir,
}

impl Machine {
    fn new(programs: &[(&str, &str)]) -> Self {
        let [home, cache, tools] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        for (name, text) in programs {
            let path = tools.path().join(name);
            fs::write(&path, format!("#!/bin/sh\n{text}")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self { home, cache, tools }
    }

    /// Runs the tasks in a session of their own, whose id is the child's.
    fn run(&self, arguments: &[&str]) -> Child {
        let task = command(here(), arguments);
        let path = format!("{}:/usr/bin:/bin", self.tools.path().display());
        let mut command = Command::new("setsid");
        command.arg(task.get_program()).args(arguments).current_dir(here());
        command.env("OTEL_SERVICES_HOME", self.home.path()).env("PATH", path);
        command.env("OTEL_SERVICES_CACHE", self.cache.path());
        command.env("OTEL_TEST_REQUIRE", "redis").env_remove("OTEL_TEST_REDIS");
        let [out, said] =
            ["out", "said"].map(|name| fs::File::create(self.home.path().join(name)).unwrap());
        command.stdin(Stdio::null()).stdout(out).stderr(said).spawn().unwrap()
    }

    fn said(&self) -> String {
        fs::read_to_string(self.home.path().join("said")).unwrap_or_default()
    }

    /// Waits until `count` of the programs have begun, and until this was said.
    fn wait(&self, count: usize, said: &str) {
        let begun = || fs::read_to_string(self.tools.path().join("begun")).unwrap_or_default();
        until(|| begun().lines().count() == count && self.said().contains(said), || self.said());
    }

    /// The code after this signal, with what was said; nothing it started is left.
    fn interrupt(&self, mut child: Child, signal: &str, target: &str) -> (Option<i32>, String) {
        let session = child.id();
        let target = format!("{target}{session}");
        assert!(Command::new("kill").args([signal, "--", &target]).status().unwrap().success());
        let mut status = None;
        until(
            || {
                status = child.try_wait().unwrap();
                status.is_some()
            },
            || self.said(),
        );
        let left = session_of(session);
        assert!(left.is_empty(), "{left:?}: {}", self.said());
        (status.unwrap().code(), self.said())
    }

    fn services(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut command = command(here(), &[&["services"], arguments].concat());
        command.env("OTEL_SERVICES_CACHE", self.cache.path());
        answer_in(self.home.path(), &mut command, "")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Nothing stays of a test that failed either.
        let mut down = command(here(), &["services", "down"]);
        let _ = down.env("OTEL_SERVICES_HOME", self.home.path()).output();
    }
}

fn until(mut is_so: impl FnMut() -> bool, said: impl Fn() -> String) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(30), "{}", said());
        sleep(Duration::from_millis(20));
    }
}

/// The processes of this session of the system.
fn session_of(session: u32) -> Vec<String> {
    let stats = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("stat")).ok());
    let lives = |stat: &String| {
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        fields[3] == session.to_string() && !["Z", "X"].contains(&fields[0])
    };
    stats.filter(lives).collect()
}

/// One error, the last line.
fn is_clear(said: &str, error: &str) {
    let errors: Vec<&str> = said.lines().filter(|line| line.contains("error")).collect();
    assert_eq!(errors, [format!("error: interrupted{error}")], "{said}");
    assert!(said.trim_end().ends_with(errors[0]), "{said}");
}

const UP: &str = ": what was started is stopped; `cargo xtask services up` goes on, `down` removes \
                  the data";

#[test]
fn a_build_is_ended_with_all_it_started_and_begun_anew() {
    for (task, signal, target, code, error) in [
        ("up", "-INT", "-", 130, UP),
        ("up", "-TERM", "", 143, UP),
        ("fetch", "-INT", "", 130, ": what was begun is stopped, and begun anew the next time"),
    ] {
        let machine = Machine::new(&[("go", ENDLESS)]);
        let child = machine.run(&["services", task, "collector"]);
        machine.wait(1, "collector: building it");
        let (ended, said) = machine.interrupt(child, signal, target);
        assert_eq!(ended, Some(code), "{said}");
        is_clear(&said, error);
        // No half build, and nobody holds the lock.
        let built = fs::read_dir(machine.cache.path()).unwrap().map(|it| it.unwrap().file_name());
        let built: Vec<_> = built.filter(|it| !it.to_string_lossy().ends_with(".lock")).collect();
        assert!(built.is_empty(), "{built:?}");
        let go = "while [ $# -gt 2 ]; do shift; done\necho built > $1\n";
        fs::write(machine.tools.path().join("go"), format!("#!/bin/sh\n{go}")).unwrap();
        let mut again = machine.run(&["services", "fetch", "collector"]);
        assert!(again.wait().unwrap().success(), "{}", machine.said());
    }
}

#[test]
fn of_several_servers_those_that_were_started_are_stopped_and_those_that_ran_stay() {
    if !Path::new(REDIS).exists() {
        skipped(format!("there is no {REDIS}"));
        return;
    }
    let _ports = PORTS.lock().unwrap_or_else(PoisonError::into_inner);
    // One is ready, one never is, one is built.
    let redis = format!("case $PWD in */redis-acl/*) ;; *) exec {REDIS} \"$@\"; esac\n{ENDLESS}");
    for (signal, target, code) in [("-INT", "-", 130), ("-TERM", "", 143)] {
        let machine = Machine::new(&[("redis-server", &redis), ("go", ENDLESS)]);
        assert_eq!(machine.services(&["up", "redis-cluster"]).0, 0);
        let names = ["services", "up", "redis", "redis-acl", "redis-cluster", "collector"];
        let child = machine.run(&names);
        machine.wait(2, "redis: ready");
        let (ended, said) = machine.interrupt(child, signal, target);
        assert_eq!(ended, Some(code), "{said}");
        is_clear(&said, UP);
        let (_, shown, _) = machine.services(&["status"]);
        let state = |name: &str| {
            let line = shown.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
            [" down", " dead", " running"].into_iter().find(|state| line.contains(state)).unwrap()
        };
        let states = ["redis", "redis-acl", "redis-cluster", "collector"].map(state);
        assert_eq!(states, [" dead", " dead", " running", " down"], "{shown}");

        let (code, _, said) = machine.services(&["up", "redis", "redis-acl"]);
        assert_eq!(code, 0, "{said}");
        assert_eq!(machine.services(&["down"]).0, 0);
    }
}

#[test]
fn tests_are_ended_and_their_servers_removed() {
    if !Path::new(REDIS).exists() {
        skipped(format!("there is no {REDIS}"));
        return;
    }
    let _ports = PORTS.lock().unwrap_or_else(PoisonError::into_inner);
    let core = here().parent().unwrap().join("otel-core").display().to_string();
    let built = ["off", "sql"].map(|name| {
        format!(
            r#"{{"manifest_path": "{core}/Cargo.toml", "executable": "/deps/{name}-1",
            "profile": {{"test": true}}, "target": {{"kind": ["test"], "name": "{name}",
            "src_path": "{core}/tests/{name}.rs"}}}}"#
        )
        .replace('\n', "")
    });
    let told = "     Running tests/off.rs (/deps/off-1)\ntest a ... FAILED\n\nfailures:\n    a\n\n\
                test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured\n     Running \
                tests/sql.rs (/deps/sql-1)\n";
    let [built, told] =
        [&*built.join("\n"), told].map(|text| format!("cat << 'END'\n{text}\nEND\n"));
    let cargo = format!("case \"$*\" in *--no-run*) {built}exit;; esac\n{told}{ENDLESS}");
    for (signal, target, code) in [("-INT", "-", 130), ("-TERM", "", 143)] {
        let machine = Machine::new(&[("cargo", &cargo)]);
        let child = machine.run(&["test", "otel-core"]);
        machine.wait(1, "redis: ready");
        let out = || fs::read_to_string(machine.home.path().join("out")).unwrap();
        until(|| out().ends_with("(/deps/sql-1)\n\n"), out);
        let (ended, said) = machine.interrupt(child, signal, target);
        assert_eq!(ended, Some(code), "{said}");
        is_clear(&said, "");
        assert!(!machine.home.path().join("redis").exists());
        // What was known by then is not lost.
        let told = out();
        let place = "\ninterrupted in 2 of 2, after ";
        assert!(
            told.contains(place) && told.contains("1 failed: otel-core, tests/sql.rs\n"),
            "{told}"
        );
        assert!(told.contains("cargo xtask test otel-core --test off -- --exact a\n"), "{told}");
        assert!(told.ends_with("\n3 passed, 1 failed, 0 skipped\n"), "{told}");
    }
}

#[test]
fn docker_is_ended_and_what_it_started_is_remembered() {
    let docker = format!(
        "case \"$*\" in *' config '*) echo '{{\"services\": {{\"mysql\": {{}}}}}}';; *' up '*) \
         {ENDLESS};; esac"
    );
    for (signal, target, code) in [("-INT", "-", 130), ("-TERM", "", 143)] {
        let machine = Machine::new(&[("docker", &docker)]);
        let child = machine.run(&["services", "up", "--docker", "mysql"]);
        machine.wait(1, "");
        let (ended, said) = machine.interrupt(child, signal, target);
        assert_eq!(ended, Some(code), "{said}");
        let advice = ": `docker compose --profile '*' up --wait mysql` failed, see above; `cargo \
                      xtask services logs NAME` shows a log, `cargo xtask services down` ends what \
                      was started";
        is_clear(&said, advice);
        assert!(machine.home.path().join("docker.json").exists());
        fs::remove_file(machine.home.path().join("docker.json")).unwrap();
    }
}
