//! What every instrumented client must do, as tests that a client's crate takes over.
//!
//! A client says what it can do ([`Capability`]) and makes the calls; the scenarios judge what they
//! emit. [`database`] holds those of database clients, [`messaging`] those of message brokers.

pub mod database;
pub mod messaging;
mod operation;

use std::any::type_name;
use std::fmt;

pub use self::database::{Call, Database};
pub use self::messaging::{Messaging, Step};

/// What a client can do beyond a call that succeeds and one that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Capability {
    /// Several messages can be sent and received by one call.
    Batch,
    /// A call that is dropped while it is pending ends.
    Cancel,
    /// A call can be made by `off_call`, to count its allocations.
    Off,
    /// A panic can be made to pass through a call.
    Panic,
    /// Messages are settled.
    Settle,
    /// Results come as streams.
    Stream,
    /// A call can be made and dropped before it is polled.
    Unpolled,
}

/// Whether a scenario ran; one that fails panics.
pub type Outcome = Result<(), Skipped>;

/// Why a scenario did not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped(String);

impl Skipped {
    /// The client has no server here.
    fn no_server<C>() -> Self {
        Self(format!("{} could not be connected", type_name::<C>()))
    }

    /// The client does not declare what the scenario is about.
    fn lacks<C>(capability: Capability) -> Self {
        Self(format!("{} does not declare Capability::{capability:?}", type_name::<C>()))
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Skipped {}

/// Runs a scenario on a runtime of its own, and tells if it was skipped.
///
/// The runtime has one thread, so that a context left attached is on the thread that looks for it.
pub fn execute(scenario: impl Future<Output = Outcome>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.unwrap_or_else(|error| panic!("no runtime for the scenario: {error}"));
    if let Err(skipped) = runtime.block_on(scenario) {
        println!("skipped: {skipped}");
    }
}
