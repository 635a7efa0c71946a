//! The servers, one description per file.

mod collector;
mod mariadb;
mod postgres;

pub(crate) use collector::COLLECTOR;
pub(crate) use mariadb::MARIADB;
pub(crate) use postgres::POSTGRES;

use crate::server::Server;

/// In the order in which they are listed.
pub(crate) static ALL: &[&Server] = &[&POSTGRES, &MARIADB, &COLLECTOR];
