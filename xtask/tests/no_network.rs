//! No network: said as that, not as whatever the tool makes of it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

mod support;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use otel_testing::live::skipped;
use support::{command, here};

#[test]
fn what_cannot_be_fetched_is_said() {
    // In a namespace without a network, which takes root.
    if !Command::new("unshare").args(["--net", "true"]).status().is_ok_and(|it| it.success()) {
        skipped("cannot leave the network");
        return;
    }
    for (tool, server) in [("go", "collector"), ("mvn", "kafka"), ("pip3", "nats")] {
        let empty = tempfile::tempdir().unwrap();
        let task = command(here(), &["services", "fetch", server]);
        let mut offline = Command::new("unshare");
        offline.arg("--net").arg(task.get_program()).args(task.get_args()).current_dir(here());
        offline.env("OTEL_SERVICES_HOME", empty.path()).env("OTEL_SERVICES_CACHE", empty.path());
        // Nor what was fetched before; and two tries are enough.
        offline.env("GOMODCACHE", empty.path().join("go")).env("GOFLAGS", "-modcacherw");
        offline.env("PIP_NO_CACHE_DIR", "1").env("PIP_RETRIES", "1").env_remove("PIP_FIND_LINKS");
        let output = offline.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        if said.contains("is not installed") {
            skipped(format!("{tool} is not installed"));
            continue;
        }
        assert_eq!(output.status.code(), Some(1), "{said}");
        let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("error: ")).collect();
        let [error] = errors[..] else { panic!("{said}") };
        let what = " cannot be built (nothing can be fetched; check the network, and the proxy \
                    where there is one): ";
        assert!(error.starts_with(&format!("error: {server}: ")) && error.contains(what), "{said}");
        let left = fs::read_dir(empty.path()).unwrap().map(|it| it.unwrap().path());
        let is_build = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.starts_with(server) && path.extension().is_none_or(|it| it != "lock")
        };
        let built: Vec<PathBuf> = left.filter(is_build).collect();
        assert!(built.is_empty(), "{built:?}");
    }
}
