//! What a server needs that is not here, and what to say of it.

use std::error::Error;
use std::fmt;

use crate::jdk;
use crate::server::Server;

/// What to say of a tool that could not fetch anything.
pub(crate) const OFFLINE: &str =
    "nothing can be fetched; check the network, and the proxy where there is one";

/// How the tools say that: pip, Maven, Go, apt.
const NO_NETWORK: [&str; 6] = [
    "Could not transfer artifact",
    "Failed to establish a new connection",
    "Temporary failure resolving",
    "Temporary failure in name resolution",
    "Could not connect to",
    "dial tcp",
];

pub(crate) fn is_offline(said: &str) -> bool {
    NO_NETWORK.iter().any(|it| said.contains(it))
}

/// What a server needs and this machine does not have.
#[derive(Clone, Debug)]
pub struct Missing {
    /// The server, as people read it.
    pub title: &'static str,
    /// What people call it.
    pub what: String,
    /// Where there is one, or nothing.
    pub from: &'static str,
    /// The Debian packages of the server; with none it is in no package.
    pub packages: &'static [&'static str],
}

impl Missing {
    pub(crate) fn new(server: &Server, program: &str) -> Self {
        let jdk = server.jdk.as_ref().filter(|_| jdk::PROGRAMS.contains(&program));
        let what = jdk.map_or_else(|| format!("`{program}`"), jdk::describe);
        let tools = server.build.as_ref().map_or(&[][..], |build| build.tools);
        let from = tools.iter().find(|(tool, _)| *tool == program).map_or("", |(_, from)| from);
        // Which one was said.
        let from = if jdk.is_some() { "it from https://adoptium.net" } else { from };
        Self { title: server.title, what, from, packages: server.packages }
    }

    /// What to do, for all of these packages at once.
    pub fn how(&self, packages: &[&str]) -> String {
        let debian = on_debian(packages);
        match (self.from, packages) {
            (from, []) => format!("get {from}"),
            ("", _) => debian,
            (from, _) => format!("get {from}; {debian}"),
        }
    }
}

pub(crate) fn on_debian(packages: &[&str]) -> String {
    let packages = packages.join(" ");
    format!(
        "on Debian: sudo apt-get update && sudo apt-get install -y --no-install-recommends \
         {packages}"
    )
}

impl fmt::Display for Missing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (title, what, how) = (self.title, &self.what, self.how(self.packages));
        write!(formatter, "{title} needs {what}, which is not installed; {how}")
    }
}

impl Error for Missing {}
