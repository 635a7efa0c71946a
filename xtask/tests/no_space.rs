//! A disk that is full: the folder is named with what to do, and what was half written is not used
//! once there is room. Each test has a small disk of its own, which takes root.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use otel_testing::live::skipped;
use support::{command, here};
use tempfile::TempDir;

/// What a task says when the disk of its folder is too small, and again once it is not.
struct Said {
    full: String,
    roomy: String,
}

/// Runs the task while this folder is a disk of so many KiB, and the same with room, and `services
/// down`. None where nobody may mount one.
fn on_small_disk(folder: &Path, size: u32, task: &mut Command) -> Option<Said> {
    const SCRIPT: &str = "mount -t tmpfs -o size=$1k,mode=755 tmpfs \"$0\" || exit\nshift\n\
                          \"$@\" 2>&1; echo \"code $?\"; echo ----\n\
                          mount -o remount,size=256m \"$0\"\n\
                          \"$@\" 2>&1; echo \"code $?\"; \"$1\" services down > /dev/null";
    let mut script = Command::new("unshare");
    script.args(["--mount", "sh", "-c", SCRIPT]).arg(folder).arg(size.to_string());
    script.arg(task.get_program()).args(task.get_args()).current_dir(here());
    script.envs(task.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = script.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let Some((full, roomy)) = said.split_once("----\n") else {
        skipped(format!("cannot mount: {}", String::from_utf8_lossy(&output.stderr).trim()));
        return None;
    };
    Some(Said { full: full.into(), roomy: roomy.into() })
}

fn open_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    // Accounts of servers pass.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

fn is_clear(said: &str, name: &str, folder: &Path, variable: &str) {
    let errors: Vec<&str> = said.split("error: ").skip(1).collect();
    let [error] = errors[..] else { panic!("{said}") };
    assert!(error.starts_with(&format!("{name}: the disk of {}", folder.display())), "{said}");
    let advice = format!(" is full; make room there, or set {variable} to a folder on another one");
    assert!(error.contains(&advice), "{said}");
    assert!(error.contains("No space left on device") && said.ends_with("code 1\n"), "{said}");
}

#[test]
fn a_home_without_room_for_the_data_of_a_server() {
    if !Path::new("/usr/lib/postgresql/15/bin/initdb").exists() {
        skipped("there is no PostgreSQL 15");
        return;
    }
    // Nothing at all fits; a few files do, but not the data.
    for size in [4, 4096] {
        let home = open_folder();
        let mut task = command(here(), &["services", "up", "postgres"]);
        task.env("OTEL_SERVICES_HOME", home.path());
        let Some(said) = on_small_disk(home.path(), size, &mut task) else { return };
        is_clear(&said.full, "postgres", &home.path().join("postgres"), "OTEL_SERVICES_HOME");
        assert!(said.roomy.contains("postgres: ready"), "{}", said.roomy);
        assert!(said.roomy.ends_with("code 0\n"), "{}", said.roomy);
    }
}

#[test]
fn a_cache_without_room_for_a_build() {
    let (cache, home, tools) = (open_folder(), open_folder(), tempfile::tempdir().unwrap());
    let go = tools.path().join("go");
    // Its last but one argument is the program that it makes.
    let script = "while [ $# -gt 2 ]; do shift; done\nhead --bytes 2M /dev/zero > $1\n";
    fs::write(&go, format!("#!/bin/sh\n{script}")).unwrap();
    fs::set_permissions(&go, fs::Permissions::from_mode(0o755)).unwrap();
    let mut task = command(here(), &["services", "fetch", "collector"]);
    task.env("OTEL_SERVICES_CACHE", cache.path()).env("OTEL_SERVICES_HOME", home.path());
    task.env("PATH", format!("{}:/usr/bin:/bin", tools.path().display()));
    let Some(said) = on_small_disk(cache.path(), 1024, &mut task) else { return };
    is_clear(&said.full, "collector", cache.path(), "OTEL_SERVICES_CACHE");
    // Had half of it been kept, it would not be built.
    assert!(said.roomy.contains("collector: building it"), "{}", said.roomy);
    assert!(said.roomy.ends_with("code 0\n"), "{}", said.roomy);
}
