//! Facts that a client hides, for clients that exist already.

use async_nats::ToServerAddrs;
use otel_core::Telemetry;

use crate::client::Client;
use crate::driver::Facts;

/// Instruments a client that exists, with what it does not tell of itself. One that is connected by
/// this crate knows it.
#[derive(Debug)]
#[must_use]
pub struct Builder {
    raw: async_nats::Client,
    facts: Facts,
    telemetry: Telemetry,
}

impl Builder {
    pub(crate) fn of(raw: async_nats::Client) -> Self {
        Self { raw, facts: Facts::default(), telemetry: Telemetry::global() }
    }

    /// The servers as they were given to connect to. Of several the first is told.
    pub fn servers(mut self, servers: impl ToServerAddrs) -> Self {
        self.facts.set_servers(&servers);
        self
    }

    /// The name that the client gives to the server.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.facts.name = Some(name.into());
        self
    }

    /// What the inboxes of other clients begin with, where these have a prefix of their own. `_INBOX`,
    /// and what this client has, are known.
    pub fn inbox_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.facts.inboxes.push(prefix.into());
        self
    }

    /// Default: [`Telemetry::global`].
    pub fn telemetry(mut self, telemetry: &Telemetry) -> Self {
        self.telemetry = telemetry.clone();
        self
    }

    /// Makes the instrumented client.
    pub fn build(self) -> Client {
        let messaging = self.facts.messaging(&self.telemetry);
        Client::from_parts(self.raw, messaging, &self.facts)
    }
}
