//! What the engine has to know about one server.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, anyhow};
use nix::sys::signal::Signal;

use crate::build::Build;
use crate::jdk::Versions;
use crate::place::Place;
use crate::servers;

/// Told what takes long: the server and the step.
pub type Report = fn(&Server, &str);

/// One server, described; [`crate::Services`] and [`crate::Private`] run it.
#[derive(Debug)]
pub struct Server {
    /// What people type; in upper case, with `_` for `-`, the key of the address file and of
    /// `OTEL_TEST_<NAME>`.
    pub(crate) name: &'static str,
    /// What people read.
    pub(crate) title: &'static str,
    /// Which one is built: `{version}` in the texts of a build.
    pub(crate) version: &'static str,
    /// The Debian packages that hold `programs`.
    pub(crate) packages: &'static [&'static str],
    /// Without one of these the packages are installed.
    pub(crate) programs: &'static [&'static str],
    /// Where to look for `programs` before `PATH`; `{out}` is what was built.
    pub(crate) folders: &'static [&'static str],
    /// How it is built, where no package has it.
    pub(crate) build: Option<Build>,
    /// The JDKs that run and build it, where it is one of the JVM's.
    pub(crate) jdk: Option<Versions>,
    /// The account that runs it when we are root; nobody else may be impersonated.
    pub(crate) account: &'static str,
    /// Wanted ports; the next free one is taken instead of one that is in use. In texts they are
    /// `{port}`, `{port2}`, `{port3}`.
    pub(crate) ports: &'static [u16],
    /// Fills the empty data folder. Runs once.
    pub(crate) init: fn(&Place) -> Result<()>,
    /// Processes that it needs beside its own, in the foreground too. They start before it and end
    /// with it, and when one of them has ended the server counts as dead.
    pub(crate) beside: &'static [fn(&Place) -> Command],
    /// The server itself, in the foreground, logging to its standard streams.
    pub(crate) command: fn(&Place) -> Command,
    /// On top of the environment that all servers have.
    pub(crate) environment: &'static [(&'static str, &'static str)],
    /// A real request as the user of the tests, which returns soon also when nobody answers.
    pub(crate) ready: fn(&Place) -> Result<()>,
    /// In the data folder: where it keeps its process id, and refuses to start while a process has
    /// it, be it one that has ended and waits for its parent to notice.
    pub(crate) pid_file: Option<&'static str>,
    /// What a test connects to.
    pub(crate) url: &'static str,
    /// What else a test may need to know, in the address file as `<KEY>_<NAME>`.
    pub(crate) addresses: &'static [(&'static str, &'static str)],
    /// The signal that ends it at once but in good order.
    pub(crate) stop: Signal,
    /// How long to wait for `ready`, and for the end after `stop`.
    pub(crate) patience: Duration,
}

/// What most servers have in common; a description says what differs.
pub(crate) const PLAIN: Server = Server {
    name: "",
    title: "",
    version: "",
    packages: &[],
    programs: &[],
    folders: &[],
    build: None,
    jdk: None,
    account: "root",
    ports: &[],
    init: |_| Ok(()),
    beside: &[],
    command: |place| place.command(""),
    environment: &[],
    ready: |_| Ok(()),
    pid_file: None,
    url: "",
    addresses: &[],
    stop: Signal::SIGTERM,
    patience: Duration::from_secs(120),
};

impl Server {
    /// PostgreSQL 15.
    pub fn postgres() -> &'static Server {
        &servers::POSTGRES
    }

    /// PostgreSQL 18.
    pub fn postgres18() -> &'static Server {
        &servers::POSTGRES18
    }

    /// MariaDB 10.11.
    pub fn mariadb() -> &'static Server {
        &servers::MARIADB
    }

    /// Redis 7.0.
    pub fn redis() -> &'static Server {
        &servers::REDIS
    }

    /// Redis 7.0 with users and passwords.
    pub fn redis_acl() -> &'static Server {
        &servers::REDIS_ACL
    }

    /// A Redis cluster of three nodes.
    pub fn redis_cluster() -> &'static Server {
        &servers::REDIS_CLUSTER
    }

    /// Valkey 9.1.
    pub fn valkey() -> &'static Server {
        &servers::VALKEY
    }

    /// SecantusDB, which speaks MongoDB's protocol.
    pub fn mongodb() -> &'static Server {
        &servers::MONGODB
    }

    /// RabbitMQ 3.10.
    pub fn rabbitmq() -> &'static Server {
        &servers::RABBITMQ
    }

    /// NATS 2.15 with JetStream.
    pub fn nats() -> &'static Server {
        &servers::NATS
    }

    /// SQS and SNS.
    pub fn moto() -> &'static Server {
        &servers::MOTO
    }

    /// Apache Cassandra 5.
    pub fn cassandra() -> &'static Server {
        &servers::CASSANDRA
    }

    /// Elasticsearch 8.
    pub fn elasticsearch() -> &'static Server {
        &servers::ELASTICSEARCH
    }

    /// Elasticsearch 9, where there is a JDK of 21 or newer.
    pub fn elasticsearch9() -> &'static Server {
        &servers::ELASTICSEARCH9
    }

    /// Apache Kafka 4.
    pub fn kafka() -> &'static Server {
        &servers::KAFKA
    }

    /// Apache Pulsar 4.
    pub fn pulsar() -> &'static Server {
        &servers::PULSAR
    }

    /// The OpenTelemetry Collector.
    pub fn collector() -> &'static Server {
        &servers::COLLECTOR
    }

    /// Every server the launcher knows.
    pub fn all() -> &'static [&'static Server] {
        servers::ALL
    }

    /// The server of this name; the error names the known ones.
    pub fn named(name: &str) -> Result<&'static Server> {
        let wanted = name.to_lowercase();
        Self::all().iter().copied().find(|server| server.name == wanted).ok_or_else(|| {
            let known: Vec<&str> = Self::all().iter().map(|server| server.name).collect();
            let near = |name: &&&str| strsim::damerau_levenshtein(&wanted, name) <= 2;
            let meant = known
                .iter()
                .find(near)
                .map_or_else(String::new, |name| format!("did you mean `{name}`? "));
            anyhow!("there is no server named `{name}`; {meant}use one of: {}", known.join(", "))
        })
    }

    /// What people type: `postgres`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What people read: `PostgreSQL 15`.
    pub fn title(&self) -> &'static str {
        self.title
    }

    /// The key in the address file, and `<NAME>` in `OTEL_TEST_<NAME>`.
    pub fn key(&self) -> String {
        self.name.to_uppercase().replace('-', "_")
    }

    /// All its keys in the address file: that of `url`, then those of `addresses`.
    pub(crate) fn keys(&self) -> Vec<String> {
        let more = self.addresses.iter().map(|(name, _)| format!("{}_{name}", self.key()));
        [self.key()].into_iter().chain(more).collect()
    }
}
