//! Clients of other languages, instrumented by what is official there: whoever talks to them sees
//! whether a trace goes on between the two.
//!
//! One is described by the packages that it takes, pinned by their hashes, and a script. The packages
//! become a virtual environment of its own, once per machine, as a server is built.

use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::build::{self, Build};
use crate::install;
use crate::server::{PLAIN, Server};

/// A client of another language, described.
#[derive(Debug)]
pub struct Foreign {
    /// Installed and built like a server, and never started as one.
    environment: Server,
    script: &'static str,
}

/// A description of a client in Python, from its name and its title: `foreign/{name}.txt` has the
/// packages, `foreign/{script}.py` sends and receives, `foreign/play.py` does the rest.
macro_rules! python {
    ($name:literal, $title:literal, $script:literal) => {
        Foreign {
            environment: Server {
                name: $name,
                title: $title,
                packages: &["python3-pip"],
                programs: &["python3", "pip3"],
                build: Some(Build::python(&[(
                    "requirements.txt",
                    include_str!(concat!("../foreign/", $name, ".txt")),
                )])),
                ..PLAIN
            },
            script: concat!(
                include_str!("../foreign/play.py"),
                include_str!(concat!("../foreign/", $script, ".py"))
            ),
        }
    };
}

static CONFLUENT_KAFKA: Foreign =
    python!("confluent-kafka", "Python's confluent-kafka", "confluent_kafka");
static KAFKA_PYTHON: Foreign = python!("kafka-python", "Python's kafka-python", "kafka_python");
static NATS_PY: Foreign = python!("nats-py", "Python's nats-py", "nats_py");
static REDIS_PY: Foreign = python!("redis-py", "Python's redis-py", "redis_py");
static PIKA: Foreign = python!("pika", "Python's pika", "pika");

impl Foreign {
    /// Python's client over librdkafka. Its handlers have spans that link to the message's.
    pub fn confluent_kafka() -> &'static Self {
        &CONFLUENT_KAFKA
    }

    /// A client all in Python. What it receives has spans below the message's.
    pub fn kafka_python() -> &'static Self {
        &KAFKA_PYTHON
    }

    /// NATS's own client. It has no official instrumentation: its headers are written and read by the
    /// propagators, as a service does by hand.
    pub fn nats_py() -> &'static Self {
        &NATS_PY
    }

    /// Redis's own client for Python, with the official propagators, by hand: nothing official carries
    /// a context in messages. Destinations are `stream:NAME` and `channel:NAME`; a channel is heard
    /// from when it is subscribed to.
    pub fn redis_py() -> &'static Self {
        &REDIS_PY
    }

    /// RabbitMQ's own client for Python. What it receives has spans below the message's.
    pub fn pika() -> &'static Self {
        &PIKA
    }

    /// What people read.
    pub fn title(&self) -> &'static str {
        self.environment.title
    }

    /// What runs its script, which wants its role as an argument and tells on its standard output.
    /// Before, installs and builds what is not there, which takes a minute once. Nothing of our
    /// environment reaches it: one stray `OTEL_PROPAGATORS` would change what it sends.
    pub fn command(&self) -> Result<Command> {
        install::ensure(&self.environment, |_, _| ())?;
        let folder = build::output(&self.environment).context("there is no folder for caches")?;
        let mut command = Command::new(folder.join("bin/python"));
        // Isolated: no packages of the user's, and no module of the current folder.
        command.args(["-I", "-c", self.script]).env_clear().env("LC_ALL", "C.UTF-8");
        command.stdin(Stdio::null());
        Ok(command)
    }
}
