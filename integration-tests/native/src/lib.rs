//! Real servers on 127.0.0.1 without Docker, for live and fault tests.
//!
//! [`Services`] are the shared instances of one workspace: started once, found by every test
//! through one address file, gone after [`Services::down`]. [`Private`] is an instance of a test's
//! own, which it may kill without disturbing anybody. Both run the same descriptions: one
//! [`Server`] per file in `servers/`, a constant of at most sixty lines.
//!
//! [`Foreign`] is a client of another language, in an environment that is built like a server.
//!
//! A server comes from packages, or is built here, from sources or from the jars of a registry, once
//! per machine (`build.rs`).
//!
//! Everything lives in throw-away folders below one home (see [`Services::from_env`]); an instance
//! that somebody else started is never touched. Linux only, since a process is told from a later
//! one with the same id by what `/proc` says.

mod build;
mod extra;
mod foreign;
mod home;
mod install;
mod instance;
mod interrupt;
mod jdk;
mod missing;
mod pins;
mod place;
mod private;
mod process;
mod server;
mod servers;
mod services;
mod wire;

pub use build::built_so_far;
pub use extra::Extra;
pub use foreign::Foreign;
pub use install::{Need, provide};
pub use interrupt::{interrupt, interrupted};
pub use missing::Missing;
pub use private::Private;
pub use server::{Report, Server};
pub use services::{Services, State, Status};
