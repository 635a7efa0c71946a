//! Scenarios that are played with bare lapin and with the instrumented one.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]
#![allow(unreachable_pub, reason = "two that say the same")]
#![allow(clippy::duplicate_mod, reason = "that is the point")]
#![allow(clippy::default_trait_access, clippy::wildcard_imports, reason = "as in lapin's examples")]

pub mod bare;
pub mod ours;
