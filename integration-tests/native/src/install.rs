//! What a server lacks: Debian packages, installed without leaving a default instance running, or
//! a build.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use nix::unistd::geteuid;

use crate::build;
use crate::home;
use crate::jdk;
use crate::place::{cache, find};
use crate::server::Server;

const APT: &str = "/usr/bin/apt-get";
const POLICY: &str = "/usr/sbin/policy-rc.d";
const CLUSTERS: &str = "/etc/postgresql-common/createcluster.conf";

/// Installs what `server` lacks, or says how to.
pub(crate) fn ensure(server: &Server, home: &Path, report: fn(&str)) -> Result<()> {
    if missing(server).is_some() && !server.packages.is_empty() {
        packages(server, home, report)?;
    }
    if server.build.is_some() {
        build::ensure(server, &cache(server)?, report)?;
    }
    // What is in no package, and was there when it was built.
    match missing(server) {
        Some(lacks) => bail!("{} needs {lacks}, which is not installed", server.title),
        None => Ok(()),
    }
}

fn packages(server: &Server, home: &Path, report: fn(&str)) -> Result<()> {
    // One at a time: the policy file below is everybody's.
    let _lock = home::lock(home, "install")?;
    let Some(lacks) = missing(server) else {
        return Ok(());
    };
    if !geteuid().is_root() || !Path::new(APT).exists() {
        bail!(
            "{} is not installed (no {lacks}); on Debian: sudo apt-get update && \
             sudo apt-get install -y --no-install-recommends {}",
            server.title,
            server.packages.join(" ")
        );
    }
    report(&format!("{}: installing {}", server.name, server.packages.join(" ")));
    let _guard = NoDefaultInstances::forbid()?;
    apt(&["update", "-q"])?;
    let options = ["install", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"];
    apt(&[&options, server.packages].concat())?;
    match missing(server) {
        Some(lacks) => bail!("{lacks} is missing after installing its package"),
        None => Ok(()),
    }
}

/// What it lacks, for people.
fn missing(server: &Server) -> Option<String> {
    let mut wanted = server.programs.iter().copied().chain(build::tools(server));
    let program = wanted.find(|program| find(server, program).is_none())?;
    let jdk = server.jdk.as_ref().filter(|_| jdk::PROGRAMS.contains(&program));
    Some(jdk.map_or_else(|| format!("`{program}`"), jdk::describe))
}

fn apt(arguments: &[&str]) -> Result<()> {
    let output = Command::new(APT)
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {APT}"))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("`apt-get {}` failed; try it by hand:\n{}", arguments.join(" "), errors.trim_end());
    }
    Ok(())
}

/// While it lives, packages do not start what they bring: that would take the default ports, and
/// be an instance which we do not stop. Files that are there already stay as they are.
struct NoDefaultInstances {
    made_policy: bool,
}

impl NoDefaultInstances {
    fn forbid() -> Result<Self> {
        if !Path::new(CLUSTERS).exists() {
            fs::create_dir_all("/etc/postgresql-common")
                .and_then(|()| fs::write(CLUSTERS, "create_main_cluster = false\n"))
                .with_context(|| format!("cannot write {CLUSTERS}"))?;
        }
        let made_policy = !Path::new(POLICY).exists();
        let guard = Self { made_policy };
        if made_policy {
            fs::write(POLICY, "#!/bin/sh\nexit 101\n")
                .and_then(|()| fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755)))
                .with_context(|| format!("cannot write {POLICY}"))?;
        }
        Ok(guard)
    }
}

impl Drop for NoDefaultInstances {
    fn drop(&mut self) {
        if self.made_policy {
            let _ = fs::remove_file(POLICY);
        }
    }
}
