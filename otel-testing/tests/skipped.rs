//! What did not run is seen, though the harness captures what tests print, and under its name.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::env;
use std::process::Command;

use otel_testing::live;

/// Set in the process that plays the machine without a server.
const INSIDE: &str = "OTEL_TESTING_SKIPPED";

#[test]
fn without_a_server() {
    if env::var_os(INSIDE).is_some() {
        assert_eq!(live::address("POSTGRES"), None);
    }
}

#[test]
fn a_test_that_does_not_run_says_so_with_its_name() {
    let home = tempfile::tempdir().unwrap();
    let mut test = Command::new(env::current_exe().unwrap());
    test.env(INSIDE, "1").env("OTEL_SERVICES_HOME", home.path());
    test.env_remove("OTEL_TEST_REQUIRE").env_remove("OTEL_TEST_POSTGRES");
    test.args(["--exact", "without_a_server"]);
    let output = test.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let place = home.path().join("addresses.json").display().to_string();
    assert_eq!(said, format!("skipped: no postgres at {place} (in without_a_server)\n"));
}
