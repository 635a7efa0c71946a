//! Redis 7.0 from Debian's package: one that anybody may use, and one with users.

use crate::server::{PLAIN, Server};
use crate::wire::ask;

pub(crate) static REDIS: Server = OPEN;

/// What anybody may use.
pub(super) const OPEN: Server = Server {
    name: "redis",
    title: "Redis 7.0",
    ports: &[26379],
    init: |place| place.write("redis.conf", CONFIGURATION),
    ready: |place| ask(place.port(0), b"PING\r\n", b"+PONG"),
    url: "redis://127.0.0.1:{port}",
    ..BASE
};

pub(crate) static REDIS_ACL: Server = Server {
    name: "redis-acl",
    title: "Redis 7.0 with users",
    ports: &[26380],
    init: |place| place.write("redis.conf", &format!("{CONFIGURATION}{USERS}")),
    ready: |place| ask(place.port(0), b"AUTH otel otel\r\nPING\r\n", b"+PONG"),
    url: "redis://otel:otel@127.0.0.1:{port}",
    addresses: &[
        ("PASSWORD", "redis://:otel@127.0.0.1:{port}"),
        ("READER", "redis://reader:reader@127.0.0.1:{port}"),
    ],
    ..BASE
};

/// What all of them are.
pub(super) const BASE: Server = Server {
    packages: &["redis-server"],
    programs: &["redis-server"],
    command: |place| place.command("redis-server redis.conf --port {port}"),
    ..PLAIN
};

// What was acknowledged is in the page cache, which outlives a killed server. The default would
// also write snapshots. All paths are in the working folder.
pub(super) const CONFIGURATION: &str = "bind 127.0.0.1
appendonly yes
save \"\"
";

// The user without a name has a password as well: that of a server with `requirepass`.
const USERS: &str = "user default on >otel ~* &* +@all
user otel on >otel ~* &* +@all
user reader on >reader ~* &* +@read +@connection
";
