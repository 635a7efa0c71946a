//! The services of `docker-compose.yml`, run by Docker; their addresses stand where those of the
//! other servers do.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use duct::{Expression, cmd};
use native::{Services, State};
use serde_json::Value;

use crate::workspace::Workspace;

/// The labels with addresses are called as the variables of the tests.
const LABEL: &str = "OTEL_TEST_";

/// Services and their addresses, by their keys in the address file.
type Started = BTreeMap<String, BTreeMap<String, String>>;

/// Those that `up` started, also where it failed.
pub(crate) struct Docker<'a> {
    services: &'a Services,
    pub(crate) started: Started,
}

impl<'a> Docker<'a> {
    pub(crate) fn of(services: &'a Services) -> Result<Self> {
        let path = file(services);
        let started = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Started::new(),
            text => serde_json::from_slice(&text?)
                .with_context(|| format!("{} is damaged; remove it", path.display()))?,
        };
        Ok(Self { services, started })
    }

    /// Whether `up` started it.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.started.contains_key(name)
    }

    /// Starts these, all by default, with what they need, and waits for them.
    pub(crate) fn up(&self, names: &[String]) -> Result<()> {
        let no_compose =
            "Docker has no `compose`, get it from https://docs.docker.com/compose/install";
        answer(&cmd!("docker", "compose", "version"), no_compose)?;
        let config = compose(&["config", "--format", "json"])?;
        let project: Value =
            serde_json::from_str(&answer(&config, "docker-compose.yml cannot be used")?)?;
        let known =
            project["services"].as_object().context("docker-compose.yml has no services")?;
        if let Some(name) = names.iter().find(|name| !known.contains_key(*name)) {
            let known: Vec<&str> = known.keys().map(String::as_str).collect();
            bail!("docker-compose.yml has no `{name}`; use one of: {}", known.join(", "));
        }
        let mut wanted: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        if names.is_empty() {
            wanted.extend(known.keys().map(String::as_str));
        }
        complete(&project, &mut wanted);
        let statuses = self.services.status()?;
        let mut native = statuses.iter().filter(|status| status.state != State::Down);
        if let Some(status) = native.find(|status| wanted.contains(status.server.name())) {
            let name = status.server.name();
            bail!("{name} is up without Docker; end it with `cargo xtask services down {name}`");
        }
        // Without an engine nothing was started.
        let engine = cmd!("docker", "version", "--format", "{{.Server.Version}}");
        let silent = "the Docker engine does not answer, start it or leave out --docker";
        answer(&engine, silent)?;
        let addresses = wanted.iter().map(|name| (name.to_string(), addresses(&project, name)));
        let addresses: Started = addresses.collect();
        // Before it is so: what is interrupted has to be ended too.
        self.remember(&self.started.clone().into_iter().chain(addresses.clone()).collect())?;
        show(&[&["up", "--wait"][..], &wanted.into_iter().collect::<Vec<_>>()].concat())?;
        self.services.change_addresses(|all| all.extend(addresses.into_values().flatten()))
    }

    /// Ends these, all by default, with their data.
    pub(crate) fn down(&self, names: &[&String]) -> Result<()> {
        let is_chosen = |name: &String| names.is_empty() || names.contains(&name);
        let (ended, kept): (Started, Started) =
            self.started.clone().into_iter().partition(|(name, _)| is_chosen(name));
        if ended.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = ended.keys().map(String::as_str).collect();
        show(&[&["down", "--volumes"][..], &names].concat())?;
        let keys: BTreeSet<&String> = ended.values().flat_map(BTreeMap::keys).collect();
        self.services.change_addresses(|all| all.retain(|key, _| !keys.contains(key)))?;
        self.remember(&kept)?;
        for name in names {
            println!("{name}: stopped, in Docker");
        }
        Ok(())
    }

    fn remember(&self, started: &Started) -> Result<()> {
        let (path, home) = (file(self.services), self.services.home());
        let next = path.with_extension("next");
        let written = if started.is_empty() {
            fs::remove_file(&path)
        } else {
            let text = serde_json::to_string_pretty(started)? + "\n";
            fs::create_dir_all(home)
                .and_then(|()| fs::write(&next, text))
                .and_then(|()| fs::rename(&next, &path))
        };
        written.with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Runs a command of compose for people to see.
pub(crate) fn show(arguments: &[&str]) -> Result<()> {
    if compose(arguments)?.unchecked().run().map_err(unavailable)?.status.success() {
        return Ok(());
    }
    bail!(
        "`docker compose --profile '*' {}` failed, see above; `cargo xtask services logs NAME` \
         shows a log, `cargo xtask services down` ends what was started",
        arguments.join(" ")
    )
}

fn file(services: &Services) -> PathBuf {
    services.home().join("docker.json")
}

/// Adds what they depend on, and what lives in their network: the other nodes of a cluster.
fn complete<'a>(project: &'a Value, wanted: &mut BTreeSet<&'a str>) {
    let all = || project["services"].as_object().into_iter().flatten();
    loop {
        let before = wanted.len();
        for (name, service) in all() {
            let host = service["network_mode"].as_str().and_then(|it| it.strip_prefix("service:"));
            if host.is_some_and(|host| wanted.contains(host)) {
                wanted.insert(name);
            }
            if wanted.contains(name.as_str()) {
                let needed = service["depends_on"].as_object().into_iter().flatten();
                wanted.extend(needed.map(|(needed, _)| needed.as_str()));
            }
        }
        if wanted.len() == before {
            return;
        }
    }
}

/// What the labels of this service say.
fn addresses(project: &Value, name: &str) -> BTreeMap<String, String> {
    let labels = project["services"][name]["labels"].as_object().into_iter().flatten();
    let address = |(label, url): (&String, &Value)| {
        Some((label.strip_prefix(LABEL)?.to_string(), url.as_str()?.to_string()))
    };
    labels.filter_map(address).collect()
}

fn compose(arguments: &[&str]) -> Result<Expression> {
    let all = ["compose", "--profile", "*"].iter().chain(arguments);
    Ok(cmd("docker", all).dir(Workspace::find()?.root))
}

/// What a command answers; what it complains of is the error.
fn answer(command: &Expression, what: &str) -> Result<String> {
    let output = command.stdout_capture().stderr_capture().unchecked().run();
    let output = output.map_err(unavailable)?;
    if !output.status.success() {
        bail!("{what}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn unavailable(error: std::io::Error) -> anyhow::Error {
    if error.kind() == ErrorKind::NotFound {
        return anyhow::anyhow!(
            "there is no `docker`; get Docker Engine 25 or newer from \
             https://docs.docker.com/engine/install, or leave out --docker"
        );
    }
    anyhow::Error::new(error).context("cannot run docker")
}
