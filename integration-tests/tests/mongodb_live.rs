//! The adapter of MongoDB's driver, on a server.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

#[path = "mongodb_suite/mod.rs"]
mod suite;

#[path = "mongodb_suite/callbacks.rs"]
mod callbacks;
#[path = "mongodb_suite/changes.rs"]
mod changes;
#[path = "mongodb_suite/errors.rs"]
mod errors;
#[path = "mongodb_suite/handlers.rs"]
mod handlers;
#[path = "mongodb_suite/killed.rs"]
mod killed;
#[path = "mongodb_suite/lean.rs"]
mod lean;
#[path = "mongodb_suite/lean_failures.rs"]
mod lean_failures;
#[path = "mongodb_suite/life.rs"]
mod life;
#[path = "mongodb_suite/load.rs"]
mod load;
#[path = "mongodb_suite/parity.rs"]
mod parity;
#[path = "mongodb_suite/pools.rs"]
mod pools;
#[path = "mongodb_suite/sessions.rs"]
mod sessions;
#[path = "mongodb_suite/texts.rs"]
mod texts;
#[path = "mongodb_suite/unseen.rs"]
mod unseen;
