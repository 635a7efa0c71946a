//! `services`: the servers of the live tests.

pub(crate) mod docker;
pub(crate) mod progress;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::{fs, io, thread};

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use native::{Missing, Server, Services, State};

use crate::interrupt;
use docker::Docker;

/// What to do with them.
#[derive(Subcommand)]
pub(crate) enum Task {
    /// Start servers, all by default; what runs already stays
    Up {
        /// Names as `status` shows them; with --docker, services of docker-compose.yml
        names: Vec<String>,
        /// Start this one, on this port, which must be free
        #[arg(long = "port", value_name = "NAME=PORT", value_parser = port)]
        ports: Vec<(String, u16)>,
        /// By Docker, as docker-compose.yml says
        #[arg(long, conflicts_with = "ports")]
        docker: bool,
    },
    /// Stop servers, all by default, and remove their data
    Down {
        /// Names as `status` shows them
        names: Vec<String>,
    },
    /// List the servers and their addresses
    Status,
    /// Print the log of a server
    Logs {
        /// A name as `status` shows it
        name: String,
    },
    /// Install and build what servers need, all by default, and start none: for a cache
    Fetch {
        /// Names as `status` shows them
        names: Vec<String>,
    },
    /// End a server as a crash would
    Kill {
        /// A name as `status` shows it
        name: String,
    },
    /// Stop a server if it runs and start it on the same data and port
    Restart {
        /// A name as `status` shows it
        name: String,
    },
}

pub(crate) fn run(task: &Task) -> Result<ExitCode> {
    let services = open()?;
    let docker = Docker::of(&services)?;
    let mut failures = Failures::new();
    if matches!(task, Task::Up { .. } | Task::Restart { .. } | Task::Fetch { .. }) {
        interrupt::listen()?;
    }
    match task {
        Task::Status => {}
        Task::Up { names, docker: true, .. } => docker.up(names)?,
        Task::Up { names, ports, .. } => {
            failures = failed(up(&services, &chosen(names, ports)?, ports)?);
        }
        Task::Kill { name } if docker.has(name) => docker::show(&["kill", name])?,
        Task::Kill { name } => services.kill(Server::named(name)?)?,
        Task::Restart { name } if docker.has(name) => {
            docker::show(&["restart", name])?;
            docker::show(&["up", "--wait", name])?;
        }
        Task::Restart { name } => {
            let result = services.restart(Server::named(name)?);
            progress::close();
            result?;
        }
        Task::Down { names } => return down(&services, &docker, names),
        Task::Fetch { names } => {
            return explain(&failed(each(&chosen(names, &[])?, |server| services.fetch(server))));
        }
        Task::Logs { name } if docker.has(name) => {
            docker::show(&["logs", "--no-color", "--no-log-prefix", name])?;
            return Ok(ExitCode::SUCCESS);
        }
        Task::Logs { name } => {
            let path = services.log(Server::named(name)?);
            let mut log = fs::File::open(&path).with_context(|| {
                format!("{name} has no log {}; it was not started", path.display())
            })?;
            eprintln!("{}:", path.display());
            io::copy(&mut log, &mut io::stdout().lock())?;
            return Ok(ExitCode::SUCCESS);
        }
    }
    print_status(&services)?;
    explain(&failures)
}

fn down(services: &Services, docker: &Docker, names: &[String]) -> Result<ExitCode> {
    let (theirs, ours): (Vec<&String>, Vec<&String>) =
        names.iter().partition(|name| docker.has(name));
    let servers = if theirs.is_empty() || !ours.is_empty() { chosen(&ours, &[])? } else { vec![] };
    let results = each(&servers, |server| services.down(server));
    for (server, result) in &results {
        match result {
            Ok(true) => println!("{}: stopped", server.name()),
            Ok(false) if !docker.has(server.name()) => println!("{}: was not up", server.name()),
            _ => {}
        }
    }
    services.sweep()?;
    if names.is_empty() || !theirs.is_empty() {
        docker.down(&theirs)?;
    }
    explain(&failed(results))
}

pub(crate) fn open() -> Result<Services> {
    Ok(Services::from_env()?.report(progress::report))
}

/// Starts those that Docker does not run; true for each that was started.
pub(crate) fn up(
    services: &Services,
    servers: &[&'static Server],
    ports: &[(String, u16)],
) -> Result<Vec<(&'static Server, Result<bool>)>> {
    let docker = Docker::of(services)?;
    let ours = servers.iter().copied().filter(|server| !docker.has(server.name()));
    let ours: Vec<&Server> = ours.collect();
    let results = each(&ours, |server| {
        let wish = ports.iter().find(|(name, _)| name.eq_ignore_ascii_case(server.name()));
        services.up_on(server, wish.map(|(_, port)| *port))
    });
    if native::interrupted() {
        let started = results.iter().filter(|(_, result)| matches!(result, Ok(true)));
        let started: Vec<&Server> = started.map(|(server, _)| *server).collect();
        each(&started, |server| services.kill(server)).into_iter().try_for_each(|(_, it)| it)?;
        bail!(
            "what was started is stopped; `cargo xtask services up` goes on, `down` removes the \
             data"
        );
    }
    Ok(results)
}

/// Some side by side, for most of a start and of an end is waiting; not all, for the rest takes a
/// whole core.
pub(crate) fn each<T: Send>(
    servers: &[&'static Server],
    act: impl Fn(&'static Server) -> Result<T> + Sync,
) -> Vec<(&'static Server, Result<T>)> {
    let limit = thread::available_parallelism().map_or(1, NonZero::get) * 4;
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(&server) = servers.get(next.fetch_add(1, Ordering::Relaxed)) {
            let result = act(server);
            results.lock().unwrap_or_else(PoisonError::into_inner).push((server, result));
        }
    };
    thread::scope(|scope| {
        for _ in 0..limit.min(servers.len()) {
            scope.spawn(work);
        }
    });
    progress::close();
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    let place = |one: &Server| servers.iter().position(|server| server.name() == one.name());
    results.sort_by_key(|(server, _)| place(server));
    results
}

/// Those of `names` and `ports`, else all.
fn chosen(names: &[impl AsRef<str>], ports: &[(String, u16)]) -> Result<Vec<&'static Server>> {
    let mut all: Vec<&Server> = Vec::new();
    for name in names.iter().map(AsRef::as_ref).chain(ports.iter().map(|(name, _)| name.as_str())) {
        let server = Server::named(name)?;
        if !all.iter().any(|known| known.name() == server.name()) {
            all.push(server);
        }
    }
    Ok(if all.is_empty() { Server::all().to_vec() } else { all })
}

fn port(text: &str) -> Result<(String, u16), String> {
    let both = text.split_once('=').and_then(|(name, port)| Some((name, port.parse().ok()?)));
    match both {
        Some((name, port)) if !name.is_empty() && port > 0 => Ok((name.to_string(), port)),
        _ => Err("write it as NAME=PORT, such as postgres=5432".into()),
    }
}

type Failures = Vec<(&'static Server, anyhow::Error)>;

fn failed<T>(results: Vec<(&'static Server, Result<T>)>) -> Failures {
    results.into_iter().filter_map(|(server, result)| Some((server, result.err()?))).collect()
}

/// A sentence for each that failed; what several lack is said once.
fn explain(failures: &Failures) -> Result<ExitCode> {
    if native::interrupted() {
        bail!("what was begun is stopped, and begun anew the next time");
    }
    let mut lacks: BTreeMap<&str, Vec<(&Server, &Missing)>> = BTreeMap::new();
    let mut said = Vec::new();
    for (server, error) in failures {
        match error.downcast_ref::<Missing>() {
            Some(missing) => lacks.entry(&missing.what).or_default().push((server, missing)),
            None => said.push(format!("{}: {error:#}", server.name())),
        }
    }
    for (what, servers) in lacks {
        let names: Vec<&str> = servers.iter().map(|(server, _)| server.name()).collect();
        let packages: BTreeSet<&str> =
            servers.iter().flat_map(|(_, missing)| missing.packages).copied().collect();
        let packages: Vec<&str> = packages.into_iter().collect();
        let how = servers.first().map(|(_, missing)| missing.how(&packages)).unwrap_or_default();
        said.push(format!("{}: {what} is not installed; {how}", names.join(", ")));
    }
    if said.is_empty() { Ok(ExitCode::SUCCESS) } else { bail!("{}", said.join("\nerror: ")) }
}

/// Servers that no registry has as anything else than an image. What is `mongodb` without Docker
/// only speaks its protocol.
const DOCKER_ONLY: [(&str, &str); 6] = [
    ("mysql", "MySQL 8.4"),
    ("mongodb", "MongoDB 8.0 itself"),
    ("scylla", "ScyllaDB"),
    ("jaeger", "Jaeger"),
    ("prometheus", "Prometheus"),
    ("grafana", "Grafana"),
];

fn print_status(services: &Services) -> Result<()> {
    let docker = Docker::of(services)?;
    for status in services.status()? {
        let state = match status.state {
            State::Running { pid } => format!("running, process {pid}"),
            _ if docker.has(status.server.name()) => continue,
            State::Down => "down".to_string(),
            State::Dead => "dead".to_string(),
        };
        let (name, title) = (status.server.name(), status.server.title());
        println!("{name:14} {title:30} {state:23} {}", status.url.unwrap_or_default());
    }
    for (name, title) in DOCKER_ONLY.into_iter().filter(|(name, _)| !docker.has(name)) {
        println!("{name:14} {title:30} down; cargo xtask services up --docker {name}");
    }
    for (name, addresses) in &docker.started {
        let url = addresses.values().next().map_or("", String::as_str);
        println!("{name:14} {:30} {:23} {url}", "", "in Docker");
    }
    println!("addresses: {}", services.addresses().display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_several_lack_is_said_once_with_all_their_packages() {
        let missing = |what: &str, packages| {
            let (title, what) = ("A 1", what.to_string());
            anyhow::Error::new(Missing { title, what, from: "JDK 7 from afar", packages })
        };
        let jdk = "JDK 7 or newer";
        let error = explain(&vec![
            (Server::kafka(), missing(jdk, &["maven", "jdk"])),
            (Server::postgres(), anyhow::anyhow!("it is out of order")),
            (Server::pulsar(), missing(jdk, &["jdk8", "maven"])),
            (Server::elasticsearch9(), missing("JDK 21", &[])),
        ]);
        let debian = "on Debian: sudo apt-get update && sudo apt-get install -y \
                      --no-install-recommends jdk jdk8 maven";
        let expected = [
            "postgres: it is out of order".to_string(),
            "elasticsearch9: JDK 21 is not installed; get JDK 7 from afar".into(),
            format!("kafka, pulsar: {jdk} is not installed; get JDK 7 from afar; {debian}"),
        ];
        assert_eq!(error.unwrap_err().to_string(), expected.join("\nerror: "));
    }

    #[test]
    fn what_only_docker_has_is_listed() {
        let compose = include_str!("../../../docker-compose.yml");
        let (_, services) = compose.split_once("\nservices:\n").unwrap();
        let names = services.lines().filter_map(|line| {
            let (name, _) = line.strip_prefix("  ")?.split_once(':')?;
            // The other nodes of a cluster are started with the first.
            let is_node = name.starts_with("redis-cluster");
            (!name.starts_with([' ', '#', '-']) && !is_node).then_some(name)
        });
        let mut names: Vec<&str> = names.collect();
        assert!(names.contains(&"postgres") && names.contains(&"mysql"), "{names:?}");
        let is_real = |name: &&str| *name != "mongodb" && Server::named(name).is_ok();
        names.retain(|name| !is_real(name));
        names.sort_unstable();
        let mut listed = DOCKER_ONLY.map(|(name, _)| name);
        listed.sort_unstable();
        assert_eq!(names, listed);
    }

    #[test]
    fn each_is_asked_once_and_answers_come_in_order() {
        let all = each(Server::all(), |server| Ok(server.name()));
        let names: Vec<&str> = all.into_iter().map(|(_, name)| name.unwrap()).collect();
        let expected: Vec<&str> = Server::all().iter().map(|server| server.name()).collect();
        assert_eq!(names, expected);
    }
}
