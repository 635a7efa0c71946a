//! Facts that a handle hides, for handles that exist already.

use std::fmt;

use otel_core::Telemetry;
use rdkafka::ClientConfig;

use crate::driver::{Facts, Instrumentation};

/// Instruments a handle that exists, with what it does not tell of itself. What is created through
/// a [`ClientConfig`] knows it.
#[must_use]
pub struct Builder<H> {
    pub(crate) handle: H,
    facts: Facts,
    telemetry: Telemetry,
}

impl<H> fmt::Debug for Builder<H> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Builder")
            .field("facts", &self.facts)
            .field("telemetry", &self.telemetry)
            .finish_non_exhaustive()
    }
}

impl<H> Builder<H> {
    pub(crate) fn of(handle: H) -> Self {
        Self { handle, facts: Facts::default(), telemetry: Telemetry::global() }
    }

    /// Takes all facts from the configuration that the handle was created with.
    pub fn config(mut self, config: &ClientConfig) -> Self {
        self.facts = Facts::of(config);
        self
    }

    /// The brokers as configured. Of several the first is told.
    pub fn bootstrap_servers(mut self, servers: &str) -> Self {
        self.facts.set_servers(servers);
        self
    }

    /// The id that the client gives to the broker.
    pub fn client_id(mut self, id: impl Into<String>) -> Self {
        self.facts.client_id = Some(id.into());
        self
    }

    /// The group of a consumer. For a producer: that of the consumer whose offsets it sends to
    /// transactions.
    pub fn consumer_group(mut self, group: &str) -> Self {
        self.facts.group = Some(group.into());
        self
    }

    /// Default: [`Telemetry::global`].
    pub fn telemetry(mut self, telemetry: &Telemetry) -> Self {
        self.telemetry = telemetry.clone();
        self
    }

    pub(crate) fn into_parts(self) -> (H, Telemetry, Facts) {
        (self.handle, self.telemetry, self.facts)
    }

    pub(crate) fn instrumentation(&self) -> Instrumentation {
        Instrumentation::new(&self.facts, &self.telemetry)
    }
}
