//! Where instances live, the locks between launchers, and the address file.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, bail};
use serde::{Serialize, de::DeserializeOwned};

use crate::interrupt;
use crate::process::POLL;

/// Ports from here on are given to outgoing connections, and so are taken at random.
const EPHEMERAL: u16 = 32768;

/// `OTEL_SERVICES_HOME`, else `services` in the target folder: `CARGO_TARGET_DIR`, else the
/// nearest `target` at or above the current folder.
pub(crate) fn from_env() -> Result<PathBuf> {
    let here = std::env::current_dir().context("the current folder is gone; change to another")?;
    if let Some(home) = set("OTEL_SERVICES_HOME") {
        return Ok(here.join(home));
    }
    let target = match set("CARGO_TARGET_DIR") {
        Some(target) => here.join(target),
        None => here
            .ancestors()
            .map(|folder| folder.join("target"))
            .find(|target| target.is_dir())
            .unwrap_or_else(|| here.join("target")),
    };
    Ok(target.join("services"))
}

/// What outlives a target folder: `OTEL_SERVICES_CACHE`, else `otel-clients/servers` in the user's
/// cache folder.
pub(crate) fn cache() -> Result<PathBuf> {
    let set = |name| set(name).map(PathBuf::from);
    match (set("OTEL_SERVICES_CACHE"), set("XDG_CACHE_HOME"), set("HOME")) {
        // Tests run in other folders than the launcher.
        (Some(cache), _, _) if cache.is_relative() => {
            bail!("OTEL_SERVICES_CACHE={} is no whole path; begin it with /", cache.display())
        }
        (Some(cache), _, _) => Ok(cache),
        // As its specification demands, one that is no whole path is passed over.
        (_, Some(caches), _) if caches.is_absolute() => Ok(caches.join("otel-clients/servers")),
        (_, _, Some(home)) => Ok(home.join(".cache/otel-clients/servers")),
        _ => bail!("there is no HOME; set OTEL_SERVICES_CACHE to a folder of yours"),
    }
}

fn set(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

pub(crate) fn make_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| {
        format!("cannot make {}; set OTEL_SERVICES_HOME to a folder of yours", path.display())
    })
}

/// Removes it if it is there. What was interrupted may still write into it for a moment.
pub(crate) fn remove_folder(path: &Path) -> Result<()> {
    let start = Instant::now();
    loop {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error)
                if error.kind() == ErrorKind::DirectoryNotEmpty
                    && start.elapsed() < Duration::from_secs(10) =>
            {
                sleep(POLL);
            }
            result => {
                return result.with_context(|| format!("cannot remove {}", path.display()));
            }
        }
    }
}

/// What to do where the reason is a full disk, whoever found it: we, or a program that said so.
pub(crate) fn explain_full(error: Error, folder: &Path, variable: &str) -> Error {
    let said = format!("{error:#}");
    if !["No space left on device", "Disk quota exceeded"].iter().any(|it| said.contains(it)) {
        return error;
    }
    let folder = folder.display();
    error.context(format!(
        "the disk of {folder} is full; make room there, or set {variable} to a folder on another one"
    ))
}

/// Held until dropped; other launchers wait.
pub(crate) fn lock(home: &Path, name: &str) -> Result<File> {
    make_folder(home)?;
    let (path, start) = (home.join(format!("{name}.lock")), Instant::now());
    let what = || format!("cannot lock {}", path.display());
    let file = File::create(&path).with_context(what)?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(error).with_context(what),
            // Who is to end and cleans up does not wait for a build of somebody else's.
            Err(TryLockError::WouldBlock) if start.elapsed() > Duration::from_secs(2) => {
                interrupt::check()?;
            }
            Err(TryLockError::WouldBlock) => {}
        }
        sleep(POLL);
    }
}

/// A free port, kept from all launchers of this machine until dropped: a server takes seconds until
/// it listens.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) number: u16,
    _lock: UnixListener,
}

impl Port {
    /// This port, or nothing if anybody has it.
    pub(crate) fn take(number: u16) -> Result<Option<Self>> {
        // A name without a file: it is gone with the launcher, and belongs to no user.
        let lock = SocketAddr::from_abstract_name(format!("otel-clients/port/{number}"))
            .and_then(|name| UnixListener::bind_addr(&name));
        let lock = match lock {
            Err(error) if error.kind() == ErrorKind::AddrInUse => return Ok(None),
            lock => lock.with_context(|| format!("cannot reserve port {number}"))?,
        };
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok();
        Ok(free.then_some(Self { number, _lock: lock }))
    }

    /// The first free one from `wanted` on.
    pub(crate) fn from(wanted: u16) -> Result<Self> {
        for number in wanted..EPHEMERAL {
            if let Some(port) = Self::take(number)? {
                return Ok(port);
            }
        }
        bail!("no port from {wanted} to {EPHEMERAL} of 127.0.0.1 is free; end what holds them")
    }
}

/// Server key to URL, as the tests read it.
pub(crate) type Addresses = BTreeMap<String, String>;

pub(crate) fn addresses_file(home: &Path) -> PathBuf {
    home.join("addresses.json")
}

/// Several launchers may change the address file at a time, and tests read it meanwhile.
pub(crate) fn change_addresses(home: &Path, change: impl FnOnce(&mut Addresses)) -> Result<()> {
    let _lock = lock(home, "addresses")?;
    let path = addresses_file(home);
    let mut addresses: Addresses = read_json(&path)?.unwrap_or_default();
    change(&mut addresses);
    write_json(&path, &addresses)
}

pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .with_context(|| format!("{} is damaged; remove it", path.display())),
    }
}

/// Whole or not at all: a reader never sees half a file.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let next = path.with_extension("next");
    let text = serde_json::to_string_pretty(value)? + "\n";
    fs::write(&next, text)
        .and_then(|()| fs::rename(&next, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_not_taken_and_one_taken_is_not_taken_again() {
        let first = Port::from(29000).unwrap();
        assert!(Port::take(first.number).unwrap().is_none());
        let number = first.number;
        drop(first);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, number)).unwrap();
        assert!(Port::take(number).unwrap().is_none());
        drop(listener);
        assert!(Port::take(number).unwrap().is_some());
    }

    #[test]
    fn a_damaged_file_is_named() {
        let home = tempfile::tempdir().unwrap();
        fs::write(addresses_file(home.path()), "{").unwrap();
        let error = change_addresses(home.path(), |_| ()).unwrap_err().to_string();
        assert!(error.contains("addresses.json is damaged; remove it"), "{error}");
    }
}
