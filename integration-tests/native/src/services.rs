//! The shared instances of one workspace.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::home;
use crate::install;
use crate::instance::Instance;
use crate::private;
use crate::server::{Report, Server};

/// The shared instances below one home folder.
///
/// Each call takes a lock for its server, so that several launchers, or threads, may work side by
/// side.
#[derive(Clone, Debug)]
pub struct Services {
    home: PathBuf,
    report: Report,
}

/// How a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It was not brought up.
    Down,
    /// It was brought up and has ended since: killed, crashed, or the machine was restarted.
    Dead,
    /// It runs.
    Running {
        /// Its process.
        pid: i32,
    },
}

/// A server and how it is.
#[derive(Clone, Debug)]
pub struct Status {
    /// Which one.
    pub server: &'static Server,
    /// How it is.
    pub state: State,
    /// What a test connects to, unless it is down.
    pub url: Option<String>,
}

impl Services {
    /// At `OTEL_SERVICES_HOME`, else in the folder `services` of the target folder:
    /// `CARGO_TARGET_DIR`, else the nearest `target` at or above the current folder.
    pub fn from_env() -> Result<Self> {
        Ok(Self::at(home::from_env()?))
    }

    /// At this folder, which is made when it is needed.
    pub fn at(home: impl Into<PathBuf>) -> Self {
        let home = home.into();
        // The servers run in folders of their own.
        let home = std::path::absolute(&home).unwrap_or(home);
        Self { home, report: |_, _| () }
    }

    /// Where what takes long is told.
    pub fn report(self, report: Report) -> Self {
        Self { report, ..self }
    }

    /// The folder that holds everything.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The file that tests read: a JSON object, `{"POSTGRES": "postgres://…"}`.
    pub fn addresses(&self) -> PathBuf {
        home::addresses_file(&self.home)
    }

    /// Starts the server unless it runs, and waits until it answers; true if it was started.
    pub fn up(&self, server: &'static Server) -> Result<bool> {
        self.up_on(server, None)
    }

    /// As [`Services::up`]; a `port` is the one that clients use, and an error if it is in use.
    pub fn up_on(&self, server: &'static Server, port: Option<u16>) -> Result<bool> {
        self.locked(server, |instance| {
            port.map_or(Ok(()), |port| instance.fix(port))?;
            let was_running = instance.process().is_some();
            self.start(server, instance)?;
            Ok(!was_running)
        })
    }

    /// Installs and builds what the server needs, and starts nothing.
    pub fn fetch(&self, server: &Server) -> Result<()> {
        install::ensure(server, self.report)
    }

    /// The file that the server writes its log to, from its first start until it is down.
    pub fn log(&self, server: &Server) -> PathBuf {
        self.home.join(server.name).join("log")
    }

    /// Stops the server and removes its data; true if there was anything.
    pub fn down(&self, server: &'static Server) -> Result<bool> {
        self.locked(server, |instance| {
            let existed = instance.exists();
            instance.remove()?;
            // None of it is known where none was up: somebody else may have written it.
            if existed {
                let keys = server.keys();
                self.change_addresses(|all| all.retain(|key, _| !keys.contains(key)))?;
            }
            Ok(existed)
        })
    }

    /// Changes the address file, for servers that somebody else starts.
    pub fn change_addresses(
        &self,
        change: impl FnOnce(&mut BTreeMap<String, String>),
    ) -> Result<()> {
        home::change_addresses(&self.home, change)
    }

    /// Removes the [`crate::Private`] instances of tests that were killed.
    pub fn sweep(&self) -> Result<()> {
        private::sweep(&self.home)
    }

    /// SIGKILL. The address stays, for [`Services::restart`] brings it back there.
    pub fn kill(&self, server: &'static Server) -> Result<()> {
        self.locked(server, |instance| {
            if instance.process().is_none() {
                bail!("{0} does not run; start it with `cargo xtask services up {0}`", server.name);
            }
            instance.kill()
        })
    }

    /// Stops the server if it runs and starts it on the same data and port.
    pub fn restart(&self, server: &'static Server) -> Result<()> {
        self.locked(server, |instance| {
            instance.stop()?;
            self.start(server, instance)
        })
    }

    /// How every server is.
    pub fn status(&self) -> Result<Vec<Status>> {
        let status = |server| {
            let instance = self.instance(server)?;
            let state = match instance.process() {
                Some(process) => State::Running { pid: process.pid() },
                None if instance.exists() => State::Dead,
                None => State::Down,
            };
            Ok(Status { server, state, url: instance.url().ok() })
        };
        Server::all().iter().copied().map(status).collect()
    }

    fn start(&self, server: &Server, instance: &mut Instance) -> Result<()> {
        instance.start(server.ports, self.report)?;
        let addresses = instance.addresses()?;
        self.change_addresses(|all| all.extend(addresses))
            .map_err(|error| home::explain_full(error, &self.home, "OTEL_SERVICES_HOME"))?;
        (self.report)(server, "ready");
        Ok(())
    }

    fn instance(&self, server: &'static Server) -> Result<Instance> {
        Instance::open(server, self.home.join(server.name))
    }

    fn locked<T>(
        &self,
        server: &'static Server,
        act: impl FnOnce(&mut Instance) -> Result<T>,
    ) -> Result<T> {
        let _lock = home::lock(&self.home, server.name)?;
        act(&mut self.instance(server)?)
    }
}
