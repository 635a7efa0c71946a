//! An instance of one test's own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

use crate::extra::Extra;
use crate::home;
use crate::instance::Instance;
use crate::server::Server;
use crate::services::Services;

/// Private instances look for ports this far above the shared ones, so that they never take that
/// of a shared one which is down for a moment.
const ABOVE: u16 = 100;

/// A server that a test has for itself and may kill; removed with its data when dropped.
#[derive(Debug)]
pub struct Private {
    instance: Instance,
    server: &'static Server,
    home: PathBuf,
    url: String,
}

impl Private {
    /// Starts one in the home of [`Services::from_env`] and waits until it answers.
    pub fn start(server: &'static Server) -> Result<Self> {
        Self::start_with(server, Extra::default())
    }

    /// As [`Private::start`], with something on top of the description.
    pub fn start_with(server: &'static Server, extra: Extra) -> Result<Self> {
        Self::launch(&Services::from_env()?, server, extra)
    }

    /// Starts one in the home of these services.
    pub fn start_in(services: &Services, server: &'static Server) -> Result<Self> {
        Self::launch(services, server, Extra::default())
    }

    fn launch(services: &Services, server: &'static Server, extra: Extra) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);

        let lock = lock(services.home())?;
        sweep_locked(services.home())?;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = format!("{}-{}-{count}", server.name, std::process::id());
        let folder = folders(services.home()).join(folder);
        let mut instance = Instance::open(server, folder)?;
        instance.extend(extra);
        // Made before the start, so that a start that fails is cleaned up as well.
        let home = services.home().to_path_buf();
        let mut private = Self { instance, server, home, url: String::new() };
        private.instance.own()?;
        drop(lock);
        private.restart()?;
        private.url = private.instance.url()?;
        Ok(private)
    }

    /// What a test connects to; the same for its whole life.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What else is to know of it, by the name that follows the server's in the address file.
    pub fn address(&self, name: &str) -> Result<String> {
        let key = format!("{}_{name}", self.server.key());
        let mut all = self.instance.addresses()?.into_iter();
        let found = all.find_map(|(known, address)| (known == key).then_some(address));
        found.with_context(|| format!("{} has no address {name}", self.server.title))
    }

    /// Runs a program of the server's beside it, such as `rabbitmqctl status`: what that wrote. The line
    /// is split at blanks.
    pub fn ask(&self, line: &str) -> Result<String> {
        self.instance.ask(line)
    }

    /// SIGKILL, for all processes of the server; returns when they are gone.
    pub fn kill(&mut self) -> Result<()> {
        self.instance.kill()
    }

    /// Ends it in good order, as for an update; [`Private::restart`] brings it back.
    pub fn stop(&mut self) -> Result<()> {
        self.instance.stop()
    }

    /// SIGSTOP: connections stay open and nothing is answered, until [`Private::resume`].
    pub fn pause(&mut self) -> Result<()> {
        self.instance.pause()
    }

    /// SIGCONT, after [`Private::pause`].
    pub fn resume(&mut self) -> Result<()> {
        self.instance.resume()
    }

    /// Stops it if it runs, starts it on the same port and data, and waits until it answers.
    pub fn restart(&mut self) -> Result<()> {
        self.instance.stop()?;
        let ports: Vec<u16> = self.server.ports.iter().map(|port| port + ABOVE).collect();
        self.instance.start(&ports, |_, _| ())
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // Whatever stays is swept by the next one, which shall not see it half removed.
        let _ = self.instance.stop();
        let _lock = lock(&self.home);
        let _ = self.instance.remove();
    }
}

fn lock(home: &Path) -> Result<File> {
    home::lock(home, "private")
}

fn folders(home: &Path) -> PathBuf {
    home.join("private")
}

/// Removes the instances whose test was killed before it could.
pub(crate) fn sweep(home: &Path) -> Result<()> {
    let _lock = lock(home)?;
    sweep_locked(home)
}

fn sweep_locked(home: &Path) -> Result<()> {
    for entry in fs::read_dir(folders(home)).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let server = name.rsplitn(3, '-').nth(2).and_then(|name| Server::named(name).ok());
        if let Some(server) = server {
            let mut instance = Instance::open(server, entry.path())?;
            if instance.is_abandoned() {
                instance.remove()?;
            }
        }
    }
    Ok(())
}
