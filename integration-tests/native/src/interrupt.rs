//! The end of a launcher before its work is done, as by Ctrl-C: nothing new is begun, what waits
//! gives up, and what runs for it ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;

use anyhow::{Result, bail};
use nix::sys::signal::Signal;
use nix::unistd::getpgrp;

use crate::process::{POLL, Process};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on every call that starts a server, or builds one, ends with an error and leaves
/// nothing running that it began; what runs for this process is killed until it has ended itself.
/// Servers that were ready already stay.
///
/// Does not return: it wants a thread of its own.
pub fn interrupt() -> ! {
    INTERRUPTED.store(true, Ordering::Relaxed);
    loop {
        // Paused first, until there is no other: one that is killed may have started another just
        // now, to which nothing leads any more.
        let mut paused: Vec<Process> = Vec::new();
        while let Some(tool) = tools().into_iter().find(|tool| !paused.contains(tool)) {
            // One that is gone meanwhile, or somebody else's, is not ours to end.
            let _ = tool.signal(Signal::SIGSTOP);
            paused.push(tool);
        }
        // Our own child last: who waits for it goes on, and this process may be gone.
        for tool in paused.into_iter().rev() {
            let _ = tool.signal(Signal::SIGKILL);
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
