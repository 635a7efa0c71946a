//! Where one instance lives and as whom it runs: what a description builds its commands from.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use nix::unistd::{User, geteuid};

use crate::build;
use crate::home;
use crate::interrupt;
use crate::jdk;
use crate::server::Server;

/// The data folder, the ports and the account of one instance.
#[derive(Debug)]
pub(crate) struct Place {
    server: &'static Server,
    data: PathBuf,
    ports: Vec<u16>,
    account: User,
}

impl Place {
    pub(crate) fn new(server: &'static Server, data: PathBuf, ports: Vec<u16>) -> Result<Self> {
        Ok(Self { server, data, ports, account: account(server)? })
    }

    /// Writes a file for the server into the data folder, filled.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.data.join(name);
        fs::write(&path, self.fill(text))
            .and_then(|()| chown(&path, Some(self.uid()), Some(self.gid())))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// The port at this index of the server's wanted ones.
    pub(crate) fn port(&self, index: usize) -> u16 {
        self.ports.get(index).copied().unwrap_or_default()
    }

    /// `{out}` (what was built), `{data}`, `{account}` and `{port}`, `{port2}` and so on of this
    /// instance instead of their names.
    pub(crate) fn fill(&self, text: &str) -> String {
        let mut text = text
            .replace("{data}", &self.data.to_string_lossy())
            .replace("{account}", &self.account.name)
            .replace("{port}", &self.port(0).to_string());
        if let Some(out) = build::output(self.server) {
            text = text.replace("{out}", &out.to_string_lossy());
        }
        for (number, port) in (2..).zip(self.ports.iter().skip(1)) {
            text = text.replace(&format!("{{port{number}}}"), &port.to_string());
        }
        text
    }

    /// A program of the server and its arguments, as its account. The line is split at blanks
    /// before it is filled, and no shell sees it. Nothing of our environment reaches the program:
    /// one stray `PGHOSTADDR` would lead to an instance of the user's.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut words = line.split_whitespace();
        let program = words.next().unwrap_or_default();
        let path = find(self.server, program).unwrap_or_else(|| program.into());
        let mut command = Command::new(path);
        command.args(words.map(|word| self.fill(word)));
        command.env_clear().env("PATH", search_path(self.server)).env("HOME", &self.data);
        command.env("LC_ALL", "C.UTF-8").current_dir(&self.data).stdin(Stdio::null());
        command.envs(self.server.environment.iter().map(|(name, value)| (name, self.fill(value))));
        if geteuid().is_root() {
            // As root this also drops the supplementary groups.
            command.uid(self.uid()).gid(self.gid());
        }
        command
    }

    fn uid(&self) -> u32 {
        self.account.uid.as_raw()
    }

    fn gid(&self) -> u32 {
        self.account.gid.as_raw()
    }
}

/// How much of a log is shown when something fails.
const LOG_LINES: usize = 15;

pub(crate) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n  ")
}

/// Runs a command that ends by itself; what it said is the error.
pub(crate) fn run(command: &mut Command, input: &str) -> Result<()> {
    said(command, input).map(drop)
}

/// The same, and what it said to who reads it.
pub(crate) fn said(command: &mut Command, input: &str) -> Result<String> {
    interrupt::check()?;
    let program = command.get_program().to_string_lossy().into_owned();
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().with_context(|| format!("cannot run {program}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that ends without reading its input says why.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().with_context(|| format!("lost {program}"))?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        bail!("{program}: {}: {}", output.status, String::from_utf8_lossy(&said).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn account(server: &Server) -> Result<User> {
    let user = if geteuid().is_root() {
        User::from_name(server.account)?
    } else {
        User::from_uid(geteuid())?
    };
    user.ok_or_else(|| anyhow!("{} needs an account: add user `{}`", server.title, server.account))
}

/// An empty folder of the account's own in `folder`; where the account cannot enter that (root's
/// home is closed to others), below a folder for temporary files.
pub(crate) fn make_data_folder(server: &Server, folder: &Path) -> Result<PathBuf> {
    let account = account(server)?;
    let (uid, gid) = (account.uid.as_raw(), account.gid.as_raw());
    let temporary = [std::env::temp_dir(), "/tmp".into(), "/var/tmp".into()];
    let mut candidates = std::iter::once(folder.to_path_buf()).chain(temporary);
    let Some(parent) = candidates.find(|folder| can_enter(folder, uid, gid)) else {
        bail!("`{}` can enter no folder of ours: set OTEL_SERVICES_HOME to one", account.name);
    };
    let prefix = format!("otel-{}-", server.name);
    let made = tempfile::Builder::new().prefix(&prefix).tempdir_in(&parent);
    let data =
        made.with_context(|| format!("cannot make a folder in {}", parent.display()))?.keep();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700))
        .and_then(|()| chown(&data, Some(uid), Some(gid)))
        .with_context(|| format!("cannot hand {} to `{}`", data.display(), account.name))?;
    Ok(data)
}

fn can_enter(folder: &Path, uid: u32, gid: u32) -> bool {
    uid == 0
        || folder.ancestors().filter(|ancestor| !ancestor.as_os_str().is_empty()).all(|ancestor| {
            fs::metadata(ancestor).is_ok_and(|about| {
                let bit = match () {
                    () if about.uid() == uid => 0o100,
                    () if about.gid() == gid => 0o010,
                    () => 0o001,
                };
                about.mode() & bit != 0
            })
        })
}

/// Where servers are built: in the user's cache folder, or in that of the system where the account
/// cannot enter the user's.
pub(crate) fn cache(server: &Server) -> Result<PathBuf> {
    let (cache, account) = (home::cache()?, account(server)?);
    let existing = cache.ancestors().find(|folder| folder.exists()).unwrap_or(&cache);
    let enters = can_enter(existing, account.uid.as_raw(), account.gid.as_raw());
    Ok(if enters { cache } else { "/var/cache/otel-clients/servers".into() })
}

/// The full path of a program of this server.
pub(crate) fn find(server: &Server, program: &str) -> Option<PathBuf> {
    let is_program = |path: &PathBuf| {
        fs::metadata(path).is_ok_and(|about| about.is_file() && about.mode() & 0o111 != 0)
    };
    if let Some(versions) = server.jdk.as_ref().filter(|_| jdk::PROGRAMS.contains(&program)) {
        // Not any that happens to be the first.
        return jdk::find(versions).map(|home| home.join("bin").join(program)).filter(is_program);
    }
    let path = search_path(server);
    path.split(':').map(|folder| Path::new(folder).join(program)).find(is_program)
}

fn search_path(server: &Server) -> String {
    let inherited = std::env::var("PATH").unwrap_or_default();
    let built = build::output(server).map(|folder| folder.to_string_lossy().into_owned());
    let folders =
        server.folders.iter().map(|it| it.replace("{out}", built.as_deref().unwrap_or("")));
    let folders: Vec<String> = built.iter().cloned().chain(folders).collect();
    let always = [inherited.as_str(), "/usr/bin:/bin:/usr/sbin:/sbin"];
    folders.iter().map(String::as_str).chain(always).collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_folder_above_is_noticed() {
        let outer = tempfile::tempdir().unwrap();
        let inner = outer.path().join("inner");
        fs::create_dir(&inner).unwrap();
        // Neither the owner nor in the group of anything here.
        let stranger = 4_000_000;
        fs::set_permissions(outer.path(), fs::Permissions::from_mode(0o711)).unwrap();
        assert!(can_enter(&inner, stranger, stranger));
        fs::set_permissions(outer.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert!(!can_enter(&inner, stranger, stranger));
    }
}
