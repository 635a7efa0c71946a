//! What a server lacks: Debian packages, installed without leaving a default instance running, or
//! a build.

use std::collections::BTreeSet;
use std::fs;
use std::mem;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::{self, sleep};

use anyhow::{Context, Result, anyhow, bail};
use nix::sys::signal::Signal;
use nix::unistd::geteuid;

use crate::build;
use crate::home;
use crate::interrupt;
use crate::missing::{Missing, OFFLINE, is_offline, on_debian};
use crate::place::{cache, find};
use crate::process::{POLL, Process};
use crate::server::{PLAIN, Report, Server};

const APT: &str = "/usr/bin/apt-get";
const POLICY: &str = "/usr/sbin/policy-rc.d";
const CLUSTERS: &str = "/etc/postgresql-common/createcluster.conf";

/// Where what one of us installs is kept from the others, whatever their homes and caches: there is
/// one package manager.
const LOCK: &str = "/var/cache/otel-clients";

/// What a build takes beside Rust.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// A program, or a file by its whole path.
    pub what: String,
    /// The Debian package that has it.
    pub package: String,
}

impl Need {
    fn is_missing(&self) -> bool {
        let file = Path::new(&self.what);
        if file.is_absolute() { !file.exists() } else { find(&PLAIN, &self.what).is_none() }
    }
}

/// Installs what of these is not there, or says how to; `tell` hears what takes long.
pub fn provide(needs: &[Need], tell: impl Fn(&str)) -> Result<()> {
    let missing = || needs.iter().filter(|need| need.is_missing());
    let packages: BTreeSet<&str> = missing().map(|need| need.package.as_str()).collect();
    let packages: Vec<&str> = packages.into_iter().collect();
    if can_install() && !packages.is_empty() {
        install(&packages, || missing().next().is_some(), tell)?;
    }
    let names: Vec<String> = missing().map(|need| format!("`{}`", need.what)).collect();
    if names.is_empty() {
        return Ok(());
    }
    bail!("to build the drivers {} is needed; {}", names.join(", "), on_debian(&packages))
}

/// Installs what `server` lacks, or says how to.
pub(crate) fn ensure(server: &Server, report: Report) -> Result<()> {
    if can_install() && missing(server).is_some() && !server.packages.is_empty() {
        install(server.packages, || missing(server).is_some(), |step| report(server, step))?;
    }
    match missing(server) {
        // A program of what is built is not there before.
        Some(lacks) if !server.packages.is_empty() => bail!(lacks),
        _ if server.build.is_some() => build::ensure(server, &cache(server)?, report)?,
        _ => {}
    }
    missing(server).map_or(Ok(()), |lacks| bail!(lacks))
}

fn can_install() -> bool {
    geteuid().is_root() && Path::new(APT).exists()
}

/// Installs these packages, if they are still `wanted` once it is our turn.
fn install(packages: &[&str], wanted: impl Fn() -> bool, tell: impl Fn(&str)) -> Result<()> {
    // One at a time: the policy file below is everybody's, and so are the lists of packages.
    let _lock = home::lock(Path::new(LOCK), "install")?;
    if !wanted() {
        return Ok(());
    }
    tell(&format!("installing {}", packages.join(" ")));
    let _guard = NoDefaultInstances::forbid()?;
    let updated = apt(&["update", "-q"])?;
    let options = ["install", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"];
    // Where nothing can be fetched the update succeeds, and then there is no such package.
    let result = apt(&[&options, packages].concat());
    let result = if is_offline(&updated) { result.context(OFFLINE) } else { result };
    result.map(drop)
}

/// The first program that it needs and nobody has.
fn missing(server: &Server) -> Option<Missing> {
    let mut wanted = server.programs.iter().copied().chain(build::tools(server));
    let program = wanted.find(|program| find(server, program).is_none())?;
    Some(Missing::new(server, program))
}

/// What it complained of, also where it succeeded.
fn apt(arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(APT);
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    // A group of its own: it is told to end by itself, not what it runs, for half a package would
    // be in everybody's way.
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).spawn();
    let child = child.with_context(|| format!("cannot run {APT}"))?;
    let process = i32::try_from(child.id()).ok().and_then(Process::of);
    let output = thread::scope(|scope| {
        let output = scope.spawn(|| child.wait_with_output());
        let mut asked = false;
        while !output.is_finished() {
            if interrupt::interrupted() && !mem::replace(&mut asked, true) {
                process.as_ref().map_or(Ok(()), |apt| apt.signal(Signal::SIGINT))?;
            }
            sleep(POLL);
        }
        output.join().map_err(|_| anyhow!("the launcher panicked; please report it"))
    })?;
    let output = output.with_context(|| format!("lost {APT}"))?;
    interrupt::check()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("`apt-get {}` failed; try it by hand:\n{}", arguments.join(" "), errors.trim_end());
    }
    Ok(errors.into_owned())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::Build;

    const BUILD: Build = Build {
        tools: &[("no-such-tool", "Tool 7 from afar")],
        files: &[],
        commands: &[],
        environment: &[],
    };

    fn said(server: &Server) -> String {
        Missing::new(server, "no-such-tool").to_string()
    }

    #[test]
    fn what_is_missing_is_told_with_how_to_get_it() {
        let packaged = Server { title: "A 1", packages: &["b", "c"], ..PLAIN };
        let debian = "on Debian: sudo apt-get update && sudo apt-get install -y \
                      --no-install-recommends b c";
        let needs = "A 1 needs `no-such-tool`, which is not installed; ";
        assert_eq!(said(&packaged), format!("{needs}{debian}"));
        let built = Server { build: Some(BUILD), ..packaged };
        assert_eq!(said(&built), format!("{needs}get Tool 7 from afar; {debian}"));
        let only_built = Server { packages: &[], ..built };
        assert_eq!(said(&only_built), format!("{needs}get Tool 7 from afar"));
    }

    #[test]
    fn a_jdk_of_another_version_is_as_none() {
        let jdk = Some(4000..=4001);
        let server = Server { title: "A 1", programs: &["java", "javac"], jdk, ..PLAIN };
        let error = ensure(&server, |_, line| panic!("{line}")).unwrap_err().to_string();
        let expected = "A 1 needs JDK 4000 to 4001 in /usr/lib/jvm or JAVA_HOME, which is not \
                        installed; get it from https://adoptium.net";
        assert_eq!(error, expected);
    }

    #[test]
    fn what_a_build_takes_is_a_program_or_a_file() {
        let need = |what: &str| Need { what: what.into(), package: "no-such-package".into() };
        for (what, missing) in [
            ("sh", false),
            ("no-such-tool", true),
            ("/usr/include/no-such-header.h", true),
            ("/proc/version", false),
        ] {
            assert_eq!(need(what).is_missing(), missing, "{what}");
        }
        provide(&[need("sh"), need("/proc/version")], |step| panic!("{step}")).unwrap();
    }

    #[test]
    fn nothing_is_installed_or_built_for_what_no_package_has() {
        let server = Server { title: "A 1", programs: &["no-such-tool"], ..PLAIN };
        let error = ensure(&server, |_, line| panic!("{line}")).unwrap_err();
        assert_eq!(error.downcast::<Missing>().unwrap().what, "`no-such-tool`");
    }
}
