//! The end of a launcher before its work is done, as by Ctrl-C: nothing new is begun, what waits
//! gives up, and what runs for it ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nix::sys::signal::Signal;
use nix::unistd::getpgrp;

use crate::process::{POLL, Process};

/// Tools that do not end by then, after they were asked to, are killed.
const PATIENCE: Duration = Duration::from_secs(3);

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on every call that starts a server, or builds one, ends with an error and leaves
/// nothing running that it began; tools that run for this process are ended until it has ended
/// itself. Servers that were ready already stay.
///
/// Does not return: it wants a thread of its own.
pub fn interrupt() -> ! {
    INTERRUPTED.store(true, Ordering::Relaxed);
    let start = Instant::now();
    let mut asked = Vec::new();
    loop {
        for tool in tools() {
            // Who pressed Ctrl-C has told all of them; who sent a signal, only us.
            if start.elapsed() > PATIENCE {
                let _ = tool.kill();
            } else if !asked.contains(&tool) {
                let _ = tool.signal(Signal::SIGTERM);
                asked.push(tool);
            }
        }
        sleep(POLL);
    }
}

/// Whether [`interrupt`] was called.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// An error after [`interrupt`].
pub(crate) fn check() -> Result<()> {
    if interrupted() {
        bail!("what was begun is stopped");
    }
    Ok(())
}

/// What this process started, and what that started, but for those in a group of their own: the
/// servers, and the package manager.
fn tools() -> Vec<Process> {
    let all = Process::own().map(|own| own.family()).unwrap_or_default();
    let group = Some(getpgrp().as_raw());
    all.into_iter().skip(1).filter(|process| process.group() == group).collect()
}
