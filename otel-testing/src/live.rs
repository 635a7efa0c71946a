//! Addresses of real servers: a test that needs one says so and passes without it, unless the
//! server is required.

mod example;

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

pub use self::example::{Shown, assert_needs_server, example, shown};

const REQUIRE: &str = "OTEL_TEST_REQUIRE";
const START: &str = "start the servers with `cargo xtask services up`";

/// A server that is there answers at once.
const PATIENCE: Duration = Duration::from_secs(2);

/// The URL of a server, if one accepts connections.
///
/// For the name `POSTGRES` it is `OTEL_TEST_POSTGRES`, else the entry `POSTGRES` of the file that
/// `cargo xtask services up` writes: `addresses.json` in `OTEL_SERVICES_HOME`, or in the folder
/// `services` of the target folder. Without a server, says as [`skipped`] does that there is `no
/// postgres at`, and where it looked.
///
/// # Panics
///
/// If the server is missing and `OTEL_TEST_REQUIRE` is `all` or names it (in a list with commas),
/// and if one of the three cannot be understood.
pub fn address(name: &str) -> Option<String> {
    match look(name) {
        Ok(Look::Found(url)) => Some(url),
        Ok(Look::Missing(message)) => {
            skipped(message);
            None
        }
        Err(message) => panic!("{message}"),
    }
}

/// As [`address`], for a program that is no test.
///
/// # Errors
///
/// Without a server, one line: where it looked, and how to start one.
pub fn find(name: &str) -> Result<String, String> {
    match look(name)? {
        Look::Found(url) => Ok(url),
        Look::Missing(message) => {
            let server = name.to_lowercase().replace('_', "-");
            Err(format!("{message}: start one with `cargo xtask services up {server}`"))
        }
    }
}

fn look(name: &str) -> Result<Look, String> {
    let environment = Environment {
        variable: |name: &str| env::var_os(name),
        folder: env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(env::current_dir, |dir| Ok(dir.into())),
    };
    environment.look(name)
}

/// Says that the test which calls it does not run, or not all of it: prints `skipped: `, why, and the
/// name of the test, past the capture of the test harness, since what did not run must be seen.
pub fn skipped(why: impl fmt::Display) {
    let thread = thread::current();
    // The harness calls it after the test.
    let test = thread.name().map_or_else(String::new, |test| format!(" (in {test})"));
    // At once, or what others say would stand in the middle of it.
    _ = io::stderr().write_all(format!("skipped: {why}{test}\n").as_bytes());
}

#[derive(Debug, PartialEq)]
enum Look {
    Found(String),
    /// And why.
    Missing(String),
}

/// Where a URL was looked for, and whether there was one.
struct Source {
    shown: String,
    url: Option<String>,
}

/// What the answer depends on. Errors are whole sentences.
struct Environment<V> {
    variable: V,
    /// Where the search for the target folder starts.
    folder: io::Result<PathBuf>,
}

impl<V: Fn(&str) -> Option<OsString>> Environment<V> {
    fn look(&self, name: &str) -> Result<Look, String> {
        let required = self.requires(name)?;
        let source = self.source(name)?;
        let place = match source.url {
            None => source.shown,
            Some(url) => {
                let server = Server::of(&url).ok_or_else(|| {
                    format!(
                        "{} has no host and port for {name}: set it to a URL like \
                         `postgres://user@localhost:5432/test`",
                        source.shown
                    )
                })?;
                if server.answers() {
                    return Ok(Look::Found(url));
                }
                format!("{server} ({})", source.shown)
            }
        };
        let missing = format!("no {} at {place}", name.to_lowercase());
        if required {
            return Err(format!("{missing}, but {REQUIRE} requires it: {START}"));
        }
        Ok(Look::Missing(missing))
    }

    fn text(&self, name: &str) -> Result<Option<String>, String> {
        match (self.variable)(name).map(OsString::into_string) {
            None => Ok(None),
            Some(Ok(text)) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
            Some(Err(_)) => Err(format!("{name} is not valid Unicode: set it again or unset it")),
        }
    }

    /// Whether the server must be there. A misspelt name would require nothing, in silence: each
    /// must be known.
    fn requires(&self, name: &str) -> Result<bool, String> {
        let Some(list) = self.text(REQUIRE)? else {
            return Ok(false);
        };
        let mut required = false;
        for entry in list.split(',').map(str::trim) {
            let is_name = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
            if entry.is_empty() || !entry.chars().all(is_name) {
                return Err(format!(
                    "{REQUIRE}={list:?} is not understood: set it to `all` or to names of servers \
                     with commas between them, for example `postgres,mariadb`"
                ));
            }
            let is_this = entry.eq_ignore_ascii_case("all") || entry.eq_ignore_ascii_case(name);
            if !is_this && self.source(entry)?.url.is_none() {
                return Err(format!(
                    "{REQUIRE} requires {entry:?}, and no such server is known: {START}, or \
                     correct the name"
                ));
            }
            required |= is_this;
        }
        Ok(required)
    }

    fn source(&self, name: &str) -> Result<Source, String> {
        let variable = format!("OTEL_TEST_{}", name.to_uppercase().replace('-', "_"));
        if let Some(url) = self.text(&variable)? {
            return Ok(Source { shown: variable, url: Some(url) });
        }
        let folder = self
            .folder
            .as_deref()
            .map_err(|error| format!("the current folder is gone ({error}): change to another"))?;
        let Some(file) = self.file(folder)? else {
            let shown = format!("{} (no target folder there or above)", folder.display());
            return Ok(Source { shown, url: None });
        };
        let shown = file.display().to_string();
        let url = read(&file)?.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        Ok(Source { shown, url: url.map(|(_, url)| url) })
    }

    /// The file of addresses; `None` without a target folder.
    fn file(&self, folder: &Path) -> Result<Option<PathBuf>, String> {
        let nearest =
            |path: &str| folder.ancestors().map(|up| up.join(path)).find(|up| up.is_dir());
        // A relative path was meant from where cargo was called, at or above the crate.
        let given = |path: String| nearest(&path).unwrap_or_else(|| folder.join(path));
        let services = match self.text("OTEL_SERVICES_HOME")? {
            Some(home) => Some(given(home)),
            None => match self.text("CARGO_TARGET_DIR")? {
                Some(target) => Some(given(target).join("services")),
                None => nearest("target").map(|target| target.join("services")),
            },
        };
        Ok(services.map(|services| services.join("addresses.json")))
    }
}

/// Names and URLs; none where there is no file.
fn read(file: &Path) -> Result<BTreeMap<String, String>, String> {
    let shown = file.display();
    match fs::read_to_string(file) {
        Ok(text) => serde_json::from_str(&text).map_err(|_| {
            format!("{shown} is not a JSON object of names and URLs: remove it and {START} again")
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(format!("{shown} cannot be read ({error}): make it readable")),
    }
}

/// Ports of URLs that leave them out.
const PORTS: [(&str, u16); 15] = [
    ("amqp", 5672),
    ("amqps", 5671),
    ("http", 80),
    ("https", 443),
    ("kafka", 9092),
    ("mariadb", 3306),
    ("mongodb", 27017),
    ("mysql", 3306),
    ("nats", 4222),
    ("postgres", 5432),
    ("postgresql", 5432),
    ("pulsar", 6650),
    ("redis", 6379),
    ("rediss", 6379),
    ("scylla", 9042),
];

/// The first server of a URL, or of a list `host:port,…`, without its credentials.
#[derive(Debug, PartialEq)]
struct Server<'a> {
    host: &'a str,
    port: u16,
}

impl<'a> Server<'a> {
    fn of(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
        let first = hosts.split(',').next().unwrap_or_default();
        let (host, port) = match first.rsplit_once(':') {
            // The colons of `[::1]` are no port's.
            Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
            _ => (first, PORTS.iter().find(|(known, _)| *known == scheme)?.1),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        (!host.is_empty()).then_some(Self { host, port })
    }

    /// A name may stand for several addresses, of which one is enough.
    fn answers(&self) -> bool {
        let addresses = (self.host, self.port).to_socket_addrs();
        let mut addresses = addresses.into_iter().flatten();
        addresses.any(|address| TcpStream::connect_timeout(&address, PATIENCE).is_ok())
    }
}

impl fmt::Display for Server<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests;
