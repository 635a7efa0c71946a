//! SecantusDB, which speaks MongoDB's protocol and says it is a replica set of one node.
//!
//! No registry has the real server, which is a container's matter. Of what an instrumentation is
//! tested with, this one has: cursors with `getMore` and `killCursors`, transactions and their
//! conflicts, retryable writes, change streams, `failCommand` (for one client, so often, with a code,
//! a closed connection or a delay), `maxTimeMS`, users by SCRAM-SHA-256 (demanded with `--auth`), TLS
//! (`--tls-cert-file`, `--tls-key-file`). What was acknowledged with `journal` outlives a kill.
//!
//! It has not, and who tests that asks `integration_tests::is_real`: fields of commands and fail
//! points that are refused because there are none such; JavaScript (`$where`, `$function`;
//! `mapReduce` finds nothing); `killOp` and `replSetStepDown`, which succeed and do nothing; text
//! indexes; SCRAM-SHA-1. After a state change by a fail point (codes 91 and 10107) a driver may wait
//! for its next heartbeat, ten seconds. Without `journal` a kill loses what was written just before.

use crate::build::Build;
use crate::server::{PLAIN, Server};
use crate::wire::ask;

pub(crate) static MONGODB: Server = Server {
    name: "mongodb",
    title: "SecantusDB 0.7.0b3",
    packages: &["python3-pip"],
    programs: &["python3", "pip3"],
    build: Some(Build::python(&[("requirements.txt", include_str!("../../python/mongodb.txt"))])),
    ports: &[27017],
    // Without one it looks for configurations of the user's; a device it refuses.
    init: |place| place.write("secantus.toml", ""),
    command: |place| {
        place.command(
            "bin/python -m secantus --config {data}/secantus.toml --host 127.0.0.1 --port {port} \
             --storage-path {data}/db --cache-size 64M --session-max 200 --enable-test-commands",
        )
    },
    ready: |place| ask(place.port(0), HELLO, b"\x08isWritablePrimary\0\x01"),
    // Drivers of a replica set would follow it to the address it has in its own eyes.
    url: "mongodb://127.0.0.1:{port}/?directConnection=true",
    ..PLAIN
};

// OP_MSG with {hello: 1, $db: "admin"}.
const HELLO: &[u8] = b"\x34\0\0\0\x01\0\0\0\0\0\0\0\xdd\x07\0\0\0\0\0\0\0\
    \x1f\0\0\0\x10hello\0\x01\0\0\0\x02$db\0\x06\0\0\0admin\0\0";
