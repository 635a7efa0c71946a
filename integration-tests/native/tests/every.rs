//! What holds for every server: heard on loopback alone, two at a time, killed and back where it
//! was, and nothing left.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "test code")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use native::{Private, Server, Services, State};
use serde_json::Value;
use support::available;

/// The folder of each private instance and what is known of it.
fn states(home: &Path) -> Vec<Value> {
    let folders = fs::read_dir(home.join("private")).into_iter().flatten();
    let texts = folders.filter_map(|it| fs::read(it.unwrap().path().join("state.json")).ok());
    texts.map(|text| serde_json::from_slice(&text).unwrap()).collect()
}

/// Its processes and all that they started.
fn processes(state: &Value) -> BTreeSet<i64> {
    let own = [&state["process"]].into_iter().chain(state["beside"].as_array().unwrap());
    let mut all: BTreeSet<i64> = own.map(|process| process["pid"].as_i64().unwrap()).collect();
    let parents: Vec<(i64, i64)> = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, stat(pid)?.1)))
        .collect();
    loop {
        let children = parents.iter().filter(|(_, parent)| all.contains(parent));
        let children: Vec<i64> = children.map(|(pid, _)| *pid).collect();
        let before = all.len();
        all.extend(children);
        if all.len() == before {
            return all;
        }
    }
}

fn ended(pid: i64) -> bool {
    stat(pid).is_none_or(|(state, _)| state == "Z")
}

/// State and parent.
fn stat(pid: i64) -> Option<(String, i64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.to_string(), fields.next()?.parse().ok()?))
}

/// The addresses on which they listen, as the kernel writes them.
fn listeners(processes: &BTreeSet<i64>) -> Vec<String> {
    let sockets: BTreeSet<PathBuf> = processes
        .iter()
        .flat_map(|pid| fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten())
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .collect();
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(fs::read_to_string);
    let text = tables.map(Result::unwrap_or_default).concat();
    let fields = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    // The tenth field is the socket; a state of 0A is listening.
    let listening = fields.filter(|fields| fields.len() > 9 && fields[3] == "0A");
    let ours =
        listening.filter(|fields| sockets.contains(Path::new(&format!("socket:[{}]", fields[9]))));
    ours.map(|fields| fields[1].to_string()).collect()
}

fn is_loopback(address: &str) -> bool {
    // ::1 is what epmd adds to any address.
    address.starts_with("0100007F:") || address.starts_with("00000000000000000000000001000000:")
}

/// What is said and what is expected: all but the last writes, the last reads it after a crash.
type Kept = &'static [(&'static str, &'static str)];

fn life(server: &'static Server, kept: Kept) {
    let home = tempfile::tempdir().unwrap();
    let services = Services::at(home.path());
    let Some(mut first) = available(Private::start_in(&services, server)) else {
        return;
    };
    let url = first.url().to_string();
    let (read, write) = kept.split_last().map_or((None, kept), |(read, write)| (Some(read), write));
    let talk = |&(said, expected): &(&str, &str)| hear(&url, said, expected);
    write.iter().for_each(talk);
    let second = Private::start_in(&services, server).unwrap();
    assert_ne!(second.url(), url);

    let before = states(home.path());
    assert_eq!(before.len(), 2);
    for state in &before {
        let addresses = listeners(&processes(state));
        assert!(!addresses.is_empty());
        assert!(addresses.iter().all(|address| is_loopback(address)), "{addresses:?}");
    }
    drop(second);

    first.kill().unwrap();
    first.restart().unwrap();
    assert_eq!(first.url(), url);
    read.into_iter().for_each(talk);
    first.restart().unwrap();
    read.into_iter().for_each(talk);

    let states = states(home.path());
    let last: BTreeSet<i64> = states.iter().chain(&before).flat_map(processes).collect();
    drop(first);
    assert!(last.iter().all(|pid| ended(*pid)), "{last:?}");
    for state in states.iter().chain(&before) {
        assert!(!Path::new(state["data"].as_str().unwrap()).exists());
    }
    assert_eq!(fs::read_dir(home.path().join("private")).unwrap().count(), 0);
}

/// Says it in one go and waits until the answer holds what is expected.
fn hear(url: &str, said: &str, expected: &str) {
    let authority = url.split(['/', '@', '?']).find(|part| part.starts_with("127.0.0.1:")).unwrap();
    let mut stream = TcpStream::connect(authority).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(said.as_bytes()).unwrap();
    let (mut heard, mut part, start) = (String::new(), [0; 4096], Instant::now());
    while !heard.contains(expected) {
        let length = stream.read(&mut part).unwrap_or_default();
        assert!(length > 0 && start.elapsed().as_secs() < 10, "{heard}");
        heard.push_str(&String::from_utf8_lossy(&part[..length]));
    }
}

#[test]
fn postgres() {
    life(Server::postgres(), &[]);
}

#[test]
fn mariadb() {
    life(Server::mariadb(), &[]);
}

#[test]
fn redis() {
    life(Server::redis(), &[("SET key kept\r\n", "+OK"), ("GET key\r\n", "kept")]);
}

#[test]
fn redis_acl() {
    // Nobody is let in without a password, and the reader only reads.
    const WRITE: &str = "GET key\r\nAUTH reader reader\r\nSET key no\r\n\
                         AUTH default otel\r\nSET key kept\r\n";
    const ANSWERS: &str = "-NOAUTH Authentication required.\r\n+OK\r\n-NOPERM this user has no \
                           permissions to run the 'set' command\r\n+OK\r\n+OK\r\n";
    life(Server::redis_acl(), &[(WRITE, ANSWERS), ("AUTH otel otel\r\nGET key\r\n", "kept")]);
}

#[test]
fn redis_cluster() {
    // The slot of `key` is the third node's, and {06S} is in slot 0.
    const WRITE: &str = "SET {06S} kept\r\nSET key no\r\n";
    life(
        Server::redis_cluster(),
        &[(WRITE, "+OK\r\n-MOVED 12539 127.0.0.1:"), ("GET {06S}\r\n", "kept")],
    );
}

#[test]
fn a_server_that_has_lost_one_of_its_processes_is_dead_and_comes_back_as_a_whole() {
    let home = tempfile::tempdir().unwrap();
    let services = Services::at(home.path());
    let server = Server::redis_cluster();
    if available(services.up(server)).is_none() {
        return;
    }
    let path = home.path().join("redis-cluster/state.json");
    let state = || -> Value { serde_json::from_slice(&fs::read(&path).unwrap()).unwrap() };
    let status = || {
        let all = services.status().unwrap();
        all.into_iter().find(|status| status.server.name() == server.name()).unwrap().state
    };
    let first = processes(&state());
    assert_eq!(first.len(), 3);
    assert!(matches!(status(), State::Running { .. }));

    let one = state()["beside"][1]["pid"].to_string();
    Command::new("kill").args(["-9", &one]).status().unwrap();
    let start = Instant::now();
    while status() != State::Dead {
        assert!(start.elapsed().as_secs() < 10);
    }
    assert!(services.up(server).unwrap());
    assert!(matches!(status(), State::Running { .. }));
    let second = processes(&state());
    assert!(second.len() == 3 && second.is_disjoint(&first), "{first:?} {second:?}");

    assert!(services.down(server).unwrap());
    assert!(first.union(&second).all(|pid| ended(*pid)));
    assert!(matches!(status(), State::Down));
}

#[test]
fn mongodb() {
    life(Server::mongodb(), &[]);
}

#[test]
fn rabbitmq() {
    life(Server::rabbitmq(), &[]);
}

/// As the user of the tests, who gets answers.
macro_rules! connected {
    ($said:literal) => {
        concat!(
            "CONNECT {\"verbose\":false,\"user\":\"otel\",\"pass\":\"otel\"}\r\nSUB answer 1\r\n",
            $said
        )
    };
}

#[test]
fn nats() {
    const CREATE: &str = connected!(
        "PUB $JS.API.STREAM.CREATE.s answer 46\r\n\
         {\"name\":\"s\",\"subjects\":[\"s\"],\"storage\":\"file\"}\r\n"
    );
    const WRITE: &str = connected!("PUB s answer 4\r\nkept\r\n");
    const READ: &str = connected!("PUB $JS.API.STREAM.INFO.s answer 0\r\n\r\n");
    life(
        Server::nats(),
        &[(CREATE, "\"did_create\":true"), (WRITE, "\"seq\":1"), (READ, "\"messages\":1")],
    );
}

#[test]
fn moto() {
    life(Server::moto(), &[]);
}

#[test]
fn collector() {
    life(Server::collector(), &[]);
}
