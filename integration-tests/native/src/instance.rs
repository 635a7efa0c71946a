//! The engine: takes one server through install, init, start, ready, stop and removal.

use std::fs::{self, File, OpenOptions};
use std::mem;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::thread::{self, sleep};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use crate::extra::Extra;
use crate::home::{self, Port};
use crate::install;
use crate::interrupt;
use crate::place::{Place, last_lines, make_data_folder, said};
use crate::process::{POLL, Process};
use crate::server::{Report, Server};

/// One server in one folder. Whoever changes it holds a lock.
#[derive(Debug)]
pub(crate) struct Instance {
    server: &'static Server,
    folder: PathBuf,
    state: State,
    /// Not kept in the state: whoever owns the instance has it.
    extra: Extra,
    /// The wish for the first port.
    fixed: Option<u16>,
    /// Kept from others while this value lives.
    ports: Vec<Port>,
}

/// What outlives the launcher.
#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    /// Not always in the folder: see `make_data_folder`.
    data: Option<PathBuf>,
    /// It was ready once: what an earlier end left is begun anew, for only the server would know
    /// whether it is whole.
    initialised: bool,
    ports: Vec<u16>,
    process: Option<Process>,
    #[serde(default)]
    beside: Vec<Process>,
    /// The test that a private instance belongs to.
    owner: Option<Process>,
}

impl Instance {
    /// Whatever lives in this folder, perhaps nothing yet.
    pub(crate) fn open(server: &'static Server, folder: PathBuf) -> Result<Self> {
        let state = home::read_json(&folder.join("state.json"))?.unwrap_or_default();
        let extra = Extra::default();
        Ok(Self { server, folder, state, extra, fixed: None, ports: Vec::new() })
    }

    /// From now on it belongs to this process.
    pub(crate) fn own(&mut self) -> Result<()> {
        self.state.owner = Some(Process::own()?);
        self.make_folder()?;
        self.save()
    }

    /// From its next start on.
    pub(crate) fn extend(&mut self, extra: Extra) {
        self.extra = extra;
    }

    /// From its first start on: what is in the data folder may name the port.
    pub(crate) fn fix(&mut self, port: u16) -> Result<()> {
        if let Some(known) = self.state.ports.first().filter(|known| **known != port) {
            let name = self.server.name;
            bail!("{name} has port {known} already; `cargo xtask services down {name}` frees it");
        }
        self.fixed = Some(port);
        Ok(())
    }

    /// Its owner ended without removing it.
    pub(crate) fn is_abandoned(&self) -> bool {
        !self.state.owner.as_ref().is_some_and(Process::is_alive)
    }

    pub(crate) fn exists(&self) -> bool {
        self.folder.exists()
    }

    /// The server's own process, unless it, or one beside it, has ended.
    pub(crate) fn process(&self) -> Option<&Process> {
        let complete = self.state.beside.len() == self.server.beside.len();
        let process = self.state.process.as_ref();
        process.filter(|_| complete && self.processes().all(Process::is_alive))
    }

    fn processes(&self) -> impl Iterator<Item = &Process> {
        self.state.process.iter().chain(&self.state.beside)
    }

    /// Side by side, for the end of one may take long to be seen.
    fn each(&self, act: impl Fn(&Process) -> Result<()> + Sync) -> Result<()> {
        thread::scope(|scope| {
            let threads: Vec<_> = self.processes().map(|it| scope.spawn(|| act(it))).collect();
            threads.into_iter().try_for_each(|thread| {
                thread.join().unwrap_or_else(|_| bail!("the launcher panicked; please report it"))
            })
        })
    }

    pub(crate) fn url(&self) -> Result<String> {
        Ok(self.place()?.fill(self.server.url))
    }

    /// Keys of the address file and what stands there.
    pub(crate) fn addresses(&self) -> Result<Vec<(String, String)>> {
        let place = self.place()?;
        let all = self.server.addresses.iter().map(|(_, template)| *template);
        let filled = [self.server.url].into_iter().chain(all).map(|it| place.fill(it));
        Ok(self.server.keys().into_iter().zip(filled).collect())
    }

    /// Runs it on its data and its ports, or on new ones from `ports` on; waits until it answers.
    pub(crate) fn start(&mut self, ports: &[u16], report: Report) -> Result<()> {
        if self.process().is_some() {
            // Whoever started it may still be waiting for it, or have been interrupted.
            return self.wait_until_ready();
        }
        interrupt::check()?;
        // What is left of one that has lost a process would be in the way.
        self.kill()?;
        install::ensure(self.server, report)?;
        self.begin(ports, report).map_err(|error| {
            let folder = self.state.data.as_ref().unwrap_or(&self.folder);
            home::explain_full(error, folder, "OTEL_SERVICES_HOME")
        })
    }

    fn begin(&mut self, ports: &[u16], report: Report) -> Result<()> {
        self.take_ports(ports)?;
        self.make_folder()?;
        if !self.state.initialised {
            report(self.server, "preparing its data folder");
            self.init()?;
        }
        let ports: Vec<String> = self.state.ports.iter().map(ToString::to_string).collect();
        report(self.server, &format!("starting on port {}", ports.join(", ")));
        let ready = self.spawn().and_then(|()| self.wait_until_ready());
        if ready.is_err() {
            self.kill()?;
        }
        ready
    }

    /// Ends it in good order; data and ports stay.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.each(|it| it.stop(self.server.stop, self.server.patience))
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.each(Process::kill)
    }

    /// It answers nothing until it goes on.
    pub(crate) fn pause(&self) -> Result<()> {
        self.each(Process::pause)
    }

    /// After a pause.
    pub(crate) fn resume(&self) -> Result<()> {
        self.each(|it| it.signal_all(Signal::SIGCONT))
    }

    /// Stops it and removes all it had.
    pub(crate) fn remove(&mut self) -> Result<()> {
        self.stop()?;
        for folder in self.state.data.iter().chain([&self.folder]) {
            home::remove_folder(folder)?;
        }
        self.state = State::default();
        self.ports.clear();
        Ok(())
    }

    fn place(&self) -> Result<Place> {
        let data = self.state.data.clone().context("it was never started")?;
        Place::new(self.server, data, self.state.ports.clone())
    }

    fn make_folder(&self) -> Result<()> {
        home::make_folder(&self.folder)?;
        // Others may pass to a data folder inside, whatever the umask was.
        fs::set_permissions(&self.folder, fs::Permissions::from_mode(0o711))
            .with_context(|| format!("cannot open {} to others", self.folder.display()))
    }

    /// Ports once chosen stay: clients hold the address, and it is to come back there.
    fn take_ports(&mut self, wanted: &[u16]) -> Result<()> {
        if self.ports.len() == wanted.len() {
            return Ok(());
        }
        self.ports.clear();
        for (index, wanted) in wanted.iter().enumerate() {
            let fixed = self.fixed.filter(|_| index == 0);
            let port = match self.state.ports.get(index).copied().or(fixed) {
                Some(number) => Port::take(number)?.ok_or_else(|| {
                    let name = self.server.name;
                    anyhow!(
                        "port {number} of {name} is in use by another process; end that, or give \
                         {name} a new one with `cargo xtask services down {name}` and `up {name}`"
                    )
                })?,
                None => Port::from(*wanted)?,
            };
            self.ports.push(port);
        }
        self.state.ports = self.ports.iter().map(|port| port.number).collect();
        Ok(())
    }

    fn init(&mut self) -> Result<()> {
        if let Some(half) = self.state.data.take() {
            home::remove_folder(&half)?;
        }
        self.state.data = Some(make_data_folder(self.server, &self.folder)?);
        self.save()?;
        (self.server.init)(&self.place()?)
            .with_context(|| format!("{} cannot make its data folder", self.server.title))
    }

    fn spawn(&mut self) -> Result<()> {
        let lingers = self.state.process.as_ref().is_some_and(Process::lingers);
        if let (true, Some(data), Some(file)) = (lingers, &self.state.data, self.server.pid_file) {
            // Nothing alive is behind it: `start` has looked.
            let _ = fs::remove_file(data.join(file));
        }
        let place = self.place()?;
        self.state.beside.clear();
        for command in self.server.beside {
            let process = self.launch(command(&place))?;
            self.state.beside.extend(process);
            self.save()?;
        }
        let mut command = (self.server.command)(&place);
        command.args(self.extra.arguments.iter().map(|argument| place.fill(argument)));
        command.envs(self.extra.environment.iter().map(|(name, value)| (name, value)));
        self.state.process = self.launch(command)?;
        self.save()
    }

    /// What a program of the server's says, run beside it with its settings.
    pub(crate) fn ask(&self, line: &str) -> Result<String> {
        let mut command = self.place()?.command(line);
        command.envs(self.extra.environment.iter().map(|(name, value)| (name, value)));
        said(&mut command, "")
    }

    fn launch(&self, mut command: Command) -> Result<Option<Process>> {
        let log = self.folder.join("log");
        let open = || OpenOptions::new().create(true).append(true).open(&log);
        let (out, err): (File, File) = open()
            .and_then(|out| Ok((out, open()?)))
            .with_context(|| format!("cannot write {}", log.display()))?;
        // What else is open here, a lock of whoever called us say, is not to outlive the launcher.
        close_fds::set_fds_cloexec_threadsafe(3, &[]);
        // A group of its own: Ctrl-C is for the launcher, and the server outlives it.
        let child = command.stdout(out).stderr(err).process_group(0).spawn();
        let child = child.with_context(|| format!("cannot run {}", self.server.title))?;
        Ok(i32::try_from(child.id()).ok().and_then(Process::of))
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let (server, place, start) = (self.server, self.place()?, Instant::now());
        loop {
            interrupt::check()?;
            // In this order: what has just died may have been answered for by another.
            let answer = (server.ready)(&place);
            if self.process().is_none() {
                bail!("{} ended while starting; its log:\n{}", server.title, self.log());
            }
            match answer {
                Ok(()) => break,
                Err(error) if start.elapsed() > server.patience => bail!(
                    "{} did not answer within {:?}: {error:#}; its log:\n{}",
                    server.title,
                    server.patience,
                    self.log()
                ),
                Err(_) => sleep(POLL),
            }
        }
        if !mem::replace(&mut self.state.initialised, true) {
            self.save()?;
        }
        Ok(())
    }

    /// The last lines.
    fn log(&self) -> String {
        let path = self.folder.join("log");
        let text = fs::read(&path).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let (lines, path, name) = (last_lines(&text), path.display(), self.server.name);
        // What a test has of its own is gone with it.
        let more = if self.state.owner.is_some() {
            String::new()
        } else {
            format!(
                ", or `cargo xtask services logs {name}`; with new data and another port: `cargo \
                 xtask services down {name}`, then `up {name}`"
            )
        };
        format!("  {lines}\n  (all of it: {path}{more})")
    }

    fn save(&self) -> Result<()> {
        home::write_json(&self.folder.join("state.json"), &self.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::PLAIN;
    use std::time::Duration;

    #[test]
    fn a_server_that_never_answers_is_ended_and_its_log_shown() {
        static DEAF: Server = Server {
            name: "deaf",
            title: "Deaf 1",
            command: |place| {
                let mut command = place.command("sh -c");
                command.arg("echo listening to nobody; sleep 600 & sleep 600");
                command
            },
            ready: |_| bail!("it is silent"),
            patience: Duration::from_millis(500),
            ..PLAIN
        };
        let home = tempfile::tempdir().unwrap();
        let mut instance = Instance::open(&DEAF, home.path().join("deaf")).unwrap();
        let start = Instant::now();
        let error = instance.start(&[], |_, _| ()).unwrap_err().to_string();
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
        let expected = "Deaf 1 did not answer within 500ms: it is silent; its log:\n  listening to \
                        nobody\n  (all of it: ";
        assert!(error.starts_with(expected), "{error}");
        assert!(!instance.processes().any(Process::lingers));
        // Nobody knows how far it came, so the next start has data of its own.
        let first = instance.state.data.clone().unwrap();
        assert!(instance.start(&[], |_, _| ()).is_err());
        assert!(!first.exists() && instance.state.data.as_ref().is_some_and(|it| it.exists()));
    }
}
