//! Ctrl-C, and the signal by which a CI ends its jobs: what was started is stopped first.

use std::process::{ExitCode, exit};
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::services::{self, progress};

/// The code of who was ended by a signal, as shells have it; 0 while there was none.
static CODE: AtomicU8 = AtomicU8::new(0);

/// For tasks that start something. The second signal ends at once.
pub(crate) fn listen() -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("cannot listen for signals")?;
    thread::spawn(move || {
        for signal in signals.forever() {
            let code = u8::try_from(128 + signal).unwrap_or(u8::MAX);
            if CODE.swap(code, Ordering::Relaxed) != 0 {
                exit(code.into());
            }
            progress::say("interrupted: stopping what was started; once more ends this at once");
            thread::spawn(|| native::interrupt());
        }
    });
    Ok(())
}

/// What is said in place of the results of a task that was interrupted.
pub(crate) fn instead(result: &Result<ExitCode>) -> Option<ExitCode> {
    // One that came when all was done changes nothing.
    if !native::interrupted() {
        return None;
    }
    // The tests that were ended could not remove what they had.
    let swept = services::open().and_then(|services| services.sweep()).err();
    match result.as_ref().err().or(swept.as_ref()) {
        Some(error) => eprintln!("error: interrupted: {error:#}"),
        None => eprintln!("error: interrupted"),
    }
    Some(CODE.load(Ordering::Relaxed).into())
}
