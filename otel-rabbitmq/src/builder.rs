//! Facts that a handle hides, for handles that exist already.

use lapin::Configuration;
use lapin::uri::AMQPUri;
use otel_core::Telemetry;

use crate::channel::Channel;
use crate::connection::Connection;
use crate::driver::{Facts, Instrumentation};

/// Instruments a handle that exists, with what it does not tell of itself. One that is made by this
/// crate knows it.
#[derive(Debug)]
#[must_use]
pub struct Builder<H> {
    raw: H,
    facts: Facts,
    configuration: Option<Configuration>,
    telemetry: Telemetry,
}

impl<H> Builder<H> {
    pub(crate) fn of(raw: H) -> Self {
        let telemetry = Telemetry::global();
        Self { raw, facts: Facts::default(), configuration: None, telemetry }
    }

    /// What was connected to. Only host and port are told.
    pub fn uri(mut self, uri: &AMQPUri) -> Self {
        self.facts.set_uri(uri);
        self
    }

    /// The name that the connection gives to the server.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.facts.name = Some(name.into());
        self
    }

    /// Default: [`Telemetry::global`].
    pub fn telemetry(mut self, telemetry: &Telemetry) -> Self {
        self.telemetry = telemetry.clone();
        self
    }
}

impl Builder<lapin::Connection> {
    /// Makes the instrumented connection.
    pub fn build(self) -> Connection {
        Connection::of(self.raw, &self.facts, &self.telemetry)
    }
}

impl Builder<lapin::Channel> {
    /// Makes the instrumented channel.
    pub fn build(self) -> Channel {
        let messaging = self.facts.messaging(&self.telemetry);
        Channel::of(self.raw, Instrumentation::new(messaging, self.configuration.as_ref()))
    }

    /// The connection of the channel, which knows how long a frame may be. Without it, a trace is
    /// left out of messages whose header would be longer than each server takes: 4096 bytes.
    pub fn connection(mut self, connection: &lapin::Connection) -> Self {
        self.configuration = Some(connection.configuration().clone());
        self
    }
}
