//! A server's process, told from a later one with the same id, and its descendants.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// How often something awaited is looked at.
pub(crate) const POLL: Duration = Duration::from_millis(50);

/// One process of this boot. Ids are given out again, the moment of the start is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    pid: i32,
    started: String,
}

impl Process {
    /// The living process with this id.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        let (process, ended) = Self::look(pid)?;
        (!ended).then_some(process)
    }

    /// The process with this id, and whether it has ended and only waits for its parent to notice.
    fn look(pid: i32) -> Option<(Self, bool)> {
        let [state, _parent, _group, threads, started] = stat(pid)?;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let started = format!("{}/{started}", boot.trim());
        // While threads of it are still ending, its sockets are open and its port is taken.
        let ended = state == "X" || state == "Z" && ["0", "1"].contains(&threads.as_str());
        Some((Self { pid, started }, ended))
    }

    /// This process.
    pub(crate) fn own() -> Result<Self> {
        let pid = Pid::this().as_raw();
        Self::of(pid).context("the launcher needs Linux: there is no /proc to tell processes by")
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    pub(crate) fn is_alive(&self) -> bool {
        match Self::look(self.pid) {
            Some((process, ended)) if process == *self => {
                if ended {
                    // Takes it off the process table if it is our child, else does nothing.
                    let _ = waitpid(Pid::from_raw(self.pid), Some(WaitPidFlag::WNOHANG));
                }
                !ended
            }
            _ => false,
        }
    }

    /// It is alive, or its parent has not noticed its end, for which nobody waits: the first process
    /// of some containers takes seconds.
    pub(crate) fn lingers(&self) -> bool {
        self.is_alive() || Self::look(self.pid).is_some_and(|(process, _)| process == *self)
    }

    /// Ends it with `signal`, after `patience` with force.
    pub(crate) fn stop(&self, signal: Signal, patience: Duration) -> Result<()> {
        let family = self.family();
        self.signal(signal)?;
        // One that is paused would not notice.
        self.signal_all(Signal::SIGCONT)?;
        if wait_for_end(&family, patience) { Ok(()) } else { self.end(&family) }
    }

    /// SIGKILL, also for its descendants: a busy PostgreSQL backend outlives its postmaster, and
    /// its client would never learn of the crash.
    pub(crate) fn kill(&self) -> Result<()> {
        self.end(&self.family())
    }

    /// SIGKILL for these, which were found while it was alive: nothing leads to them afterwards.
    fn end(&self, family: &[Self]) -> Result<()> {
        for process in family {
            process.signal(Signal::SIGKILL)?;
        }
        if !wait_for_end(family, Duration::from_secs(30)) {
            bail!("process {} does not end, not even by SIGKILL", self.pid);
        }
        Ok(())
    }

    /// SIGSTOP, also for its descendants. They stand still when this returns: the signal alone may
    /// come while a thread is at work, which goes on for a while.
    pub(crate) fn pause(&self) -> Result<()> {
        let family = self.family();
        family.iter().try_for_each(|process| process.signal(Signal::SIGSTOP))?;
        let start = Instant::now();
        while !family.iter().all(Self::stands_still) {
            if start.elapsed() > Duration::from_secs(30) {
                bail!("process {} does not stand still", self.pid);
            }
            sleep(POLL);
        }
        Ok(())
    }

    fn stands_still(&self) -> bool {
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid)).into_iter().flatten();
        threads
            .filter_map(|thread| read_stat(&thread.ok()?.path().join("stat")))
            .all(|[state, ..]| ["T", "X", "Z"].contains(&state.as_str()))
    }

    /// To it and to its descendants.
    pub(crate) fn signal_all(&self, signal: Signal) -> Result<()> {
        self.family().iter().try_for_each(|process| process.signal(signal))
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        if !self.is_alive() {
            return Ok(());
        }
        match kill(Pid::from_raw(self.pid), signal) {
            Err(Errno::ESRCH) => Ok(()),
            result => result.with_context(|| {
                format!("cannot send {signal} to process {}; it belongs to somebody else", self.pid)
            }),
        }
    }

    /// The group that a terminal's signals go to.
    pub(crate) fn group(&self) -> Option<i32> {
        stat(self.pid)?[2].parse().ok()
    }

    /// Itself first, then all below it; nothing if it is gone.
    pub(crate) fn family(&self) -> Vec<Self> {
        let mut family: Vec<Self> = self.is_alive().then(|| self.clone()).into_iter().collect();
        let all: Vec<(i32, i32)> = fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter_map(|pid| Some((pid, stat(pid)?[1].parse().ok()?)))
            .collect();
        let mut next = 0;
        while let Some(parent) = family.get(next).map(Self::pid) {
            let children = all.iter().filter(|(_, its_parent)| *its_parent == parent);
            family.extend(children.filter_map(|(pid, _)| Self::of(*pid)));
            next += 1;
        }
        family
    }
}

fn wait_for_end(family: &[Process], patience: Duration) -> bool {
    let start = Instant::now();
    while family.iter().any(Process::is_alive) {
        if start.elapsed() > patience {
            return false;
        }
        sleep(POLL);
    }
    true
}

/// State, parent, group, number of threads and moment of the start.
fn stat(pid: i32) -> Option<[String; 5]> {
    read_stat(Path::new(&format!("/proc/{pid}/stat")))
}

fn read_stat(path: &Path) -> Option<[String; 5]> {
    let stat = fs::read_to_string(path).ok()?;
    // The name before may hold spaces and parentheses.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(
        [fields.first()?, fields.get(1)?, fields.get(2)?, fields.get(17)?, fields.get(19)?]
            .map(ToString::to_string),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    #[test]
    fn a_recycled_id_is_not_the_process() {
        let own = Process::own().unwrap();
        let earlier = Process { pid: own.pid, started: "boot/1".into() };
        assert!(own.is_alive());
        assert!(!earlier.is_alive());
        // Were it taken for the process, this would end the test.
        earlier.stop(Signal::SIGKILL, Duration::ZERO).unwrap();
        earlier.kill().unwrap();
    }

    #[test]
    fn killing_ends_the_descendants_too() {
        let mut shell =
            Command::new("sh").args(["-c", "sleep 600 & sleep 600; true"]).spawn().unwrap();
        let process = Process::of(shell.id().try_into().unwrap()).unwrap();
        while process.family().len() < 3 {
            sleep(POLL);
        }
        let family = process.family();
        process.kill().unwrap();
        assert!(family.iter().all(|process| !process.is_alive()));
        let _ = shell.wait();
    }

    #[test]
    fn what_was_paused_stands_still_at_once() {
        let shell = "while :; do :; done & while :; do :; done";
        let mut shell = Command::new("sh").args(["-c", shell]).spawn().unwrap();
        let process = Process::of(shell.id().try_into().unwrap()).unwrap();
        while process.family().len() < 2 {
            sleep(POLL);
        }
        for _ in 0..100 {
            process.pause().unwrap();
            let states = process.family().into_iter().map(|it| stat(it.pid).unwrap()[0].clone());
            assert_eq!(states.collect::<Vec<_>>(), ["T", "T"]);
            process.signal_all(Signal::SIGCONT).unwrap();
        }
        process.kill().unwrap();
        let _ = shell.wait();
    }

    #[test]
    fn an_end_that_its_parent_does_not_notice_is_not_waited_for() {
        // The shell becomes a program that never asks for its child.
        let mut parent = Command::new("sh")
            .args(["-c", "sleep 600 & echo $!; exec sleep 600"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(parent.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let process = Process::of(line.trim().parse().unwrap()).unwrap();
        let start = Instant::now();
        process.kill().unwrap();
        let (took, ended) = (start.elapsed(), process.lingers() && !process.is_alive());
        Process::of(parent.id().try_into().unwrap()).unwrap().kill().unwrap();
        let _ = parent.wait();
        assert!(ended && took < Duration::from_secs(2), "{took:?}");
    }
}
