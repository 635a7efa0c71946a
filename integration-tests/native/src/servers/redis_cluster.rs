//! A Redis cluster of three nodes, each with a third of the slots, in one data folder.

use std::process::Command;

use anyhow::Result;

use super::redis::{BASE, CONFIGURATION};
use crate::place::Place;
use crate::server::Server;
use crate::wire::ask;

pub(crate) static REDIS_CLUSTER: Server = Server {
    name: "redis-cluster",
    title: "Redis 7.0, three nodes",
    // Those of the nodes, then those on which the nodes talk to each other.
    ports: &[26390, 26391, 26392, 26393, 26394, 26395],
    init: |place| {
        place.write("redis.conf", &format!("{CONFIGURATION}{CLUSTER}"))?;
        (0..3).try_for_each(|own| place.write(&format!("nodes{own}.conf"), &nodes(place, own)))
    },
    beside: &[|place| node(place, 1), |place| node(place, 2)],
    command: |place| node(place, 0),
    ready: |place| (0..3).try_for_each(|index| joined(place, index)),
    url: "redis://127.0.0.1:{port}",
    addresses: &[("NODE2", "redis://127.0.0.1:{port2}"), ("NODE3", "redis://127.0.0.1:{port3}")],
    ..BASE
};

// A node that is killed shall be missed soon.
const CLUSTER: &str = "cluster-enabled yes
cluster-node-timeout 2000
";

/// What `redis-cli --cluster create` would have made them find out, known from the start.
fn nodes(place: &Place, own: usize) -> String {
    let line = |index| {
        let (port, bus) = (place.port(index), place.port(index + 3));
        let (id, epoch) = (format!("{:040x}", index + 1), index + 1);
        let myself = if index == own { "myself," } else { "" };
        let slots = ["0-5460", "5461-10922", "10923-16383"].get(index).unwrap_or(&"");
        format!("{id} 127.0.0.1:{port}@{bus} {myself}master - 0 0 {epoch} connected {slots}\n")
    };
    (0..3).map(line).chain(["vars currentEpoch 3 lastVoteEpoch 0\n".into()]).collect()
}

fn node(place: &Place, index: usize) -> Command {
    let (port, bus) = (place.port(index), place.port(index + 3));
    place.command(&format!(
        "redis-server redis.conf --port {port} --cluster-port {bus} \
         --cluster-config-file nodes{index}.conf --appenddirname aof{index}"
    ))
}

fn joined(place: &Place, index: usize) -> Result<()> {
    ask(place.port(index), b"CLUSTER INFO\r\n", b"cluster_state:ok")
}
