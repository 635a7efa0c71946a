//! A thread that ends with a call in flight: its contexts are gone before the values of the user are
//! dropped, and a panic there would abort the process. The test runs this binary again.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as such")]

mod support;

use std::cell::RefCell;
use std::future::{Future, pending};
use std::pin::Pin;
use std::process::Command;
use std::thread;

use otel_testing::Capture;
use support::{StubError, db, poll_once, select};

type InFlight = Pin<Box<dyn Future<Output = Result<(), StubError>>>>;

thread_local! {
    static KEPT: RefCell<Option<InFlight>> = const { RefCell::new(None) };
}

#[test]
fn a_call_that_outlives_the_threads_contexts() {
    if std::env::var_os("OTEL_CORE_TEST_THREAD_END").is_some() {
        let capture = Capture::builder().check_on_drop(false).build();
        let telemetry = capture.telemetry();
        thread::spawn(move || {
            // First, so that it is dropped last.
            KEPT.with(|_| ());
            let mut call: InFlight =
                Box::pin(db(&telemetry).run((), |()| select(), |()| pending()));
            assert!(poll_once(call.as_mut()).is_pending());
            KEPT.set(Some(call));
        })
        .join()
        .unwrap();
        println!("went on");
        return;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_call_that_outlives_the_threads_contexts", "--nocapture"])
        .env("OTEL_CORE_TEST_THREAD_END", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("went on"), "{text}");
}
