//! A server that holds what its caller had open: `flock` of a script would last until `down`.
#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::fs::File;
use std::path::Path;
use std::process::Command;

use otel_testing::live::skipped;
use support::{answer_in, command, here};

#[test]
fn a_lock_that_was_held_while_a_server_was_started_is_free_afterwards() {
    if !Path::new("/usr/bin/redis-server").exists() {
        skipped("there is no /usr/bin/redis-server");
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("lock");
    // Two nodes beside the first one.
    for server in ["redis", "redis-cluster"] {
        let up = command(here(), &["services", "up", server]);
        let mut locked = Command::new("flock");
        locked.arg(&path).arg(up.get_program()).args(up.get_args()).current_dir(here());
        let (code, _, said) = answer_in(home.path(), &mut locked, "");
        let is_free = File::open(&path).unwrap().try_lock().is_ok();
        let (down, stopped, _) =
            answer_in(home.path(), &mut command(here(), &["services", "down", server]), "");
        assert_eq!((code, down, stopped), (0, 0, format!("{server}: stopped\n")), "{said}");
        assert!(is_free, "{server} holds it");
    }
}
