//! Servers that are built: each beside one of a test's own, crash, return, nothing left behind.
//!
//! What is not built yet is fetched, which takes minutes once.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "test code")]

mod support;

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Mutex, PoisonError};

use native::{Private, Server, Services, State};
use support::available;

fn address(url: &str) -> SocketAddr {
    let host = url.rsplit(['/', '@']).find(|part| part.contains(':')).unwrap();
    host.parse().unwrap()
}

fn accepts(url: &str) -> bool {
    TcpStream::connect(address(url)).is_ok()
}

fn life(server: &'static Server) {
    // A start takes a whole core for seconds.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);

    let home = tempfile::tempdir().unwrap();
    let services = Services::at(home.path());
    let Some(started) = available(services.up(server)) else {
        return;
    };
    assert!(started && !services.up(server).unwrap());
    let status = services.status().unwrap();
    let status = status.iter().find(|status| status.server.name() == server.name()).unwrap();
    assert!(matches!(status.state, State::Running { .. }));
    let shared = status.url.clone().unwrap();

    let mut private = Private::start_in(&services, server).unwrap();
    let url = private.url().to_string();
    assert_ne!(url, shared);
    private.kill().unwrap();
    assert!(!accepts(&url) && accepts(&shared));
    private.restart().unwrap();
    assert_eq!(private.url(), url);
    assert!(accepts(&url));

    // Only this machine can reach it: the port is free on another of its own addresses.
    let other = SocketAddr::from(([127, 0, 0, 2], address(&url).port()));
    TcpListener::bind(other).unwrap();

    drop(private);
    assert!(!accepts(&url));
    assert_eq!(fs::read_dir(home.path().join("private")).unwrap().count(), 0);
    assert!(services.down(server).unwrap());
    assert!(!accepts(&shared));
    assert!(!home.path().join(server.name()).exists());
}

#[test]
fn postgres_18_lives_and_dies() {
    life(Server::postgres18());
}

#[test]
fn valkey_lives_and_dies() {
    life(Server::valkey());
}

#[test]
fn cassandra_lives_and_dies() {
    life(Server::cassandra());
}

#[test]
fn elasticsearch_8_lives_and_dies() {
    life(Server::elasticsearch());
}

#[test]
fn elasticsearch_9_lives_and_dies() {
    life(Server::elasticsearch9());
}

#[test]
fn kafka_lives_and_dies() {
    life(Server::kafka());
}

#[test]
fn pulsar_lives_and_dies() {
    life(Server::pulsar());
}
