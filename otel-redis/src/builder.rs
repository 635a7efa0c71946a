//! The crate's own options, and facts that the driver hides.

use std::borrow::Cow;
use std::fmt;

use otel_core::{DbServer, Telemetry};

use crate::connection::Connection;
use crate::link::Link;
use crate::message::Messaging;

/// A connection, as a [`Builder`] holds it.
pub struct Single<C>(pub(crate) C);

impl<C> fmt::Debug for Single<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Single").finish_non_exhaustive()
    }
}

/// Instruments a handle with more than [`Client::new`](crate::Client::new) or
/// [`Connection::with`] can tell.
#[must_use]
pub struct Builder<H> {
    pub(crate) handle: H,
    server: DbServer,
    telemetry: Telemetry,
    messaging: Option<Messaging>,
}

impl<H> fmt::Debug for Builder<H> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Builder")
            .field("server", &self.server)
            .field("telemetry", &self.telemetry)
            .finish_non_exhaustive()
    }
}

impl<H> Builder<H> {
    pub(crate) fn of(handle: H, server: DbServer) -> Self {
        Self { handle, server, telemetry: Telemetry::global(), messaging: None }
    }

    /// Default: [`Telemetry::global`].
    pub fn telemetry(mut self, telemetry: &Telemetry) -> Self {
        self.telemetry = telemetry.clone();
        self
    }

    /// Default: what the client is configured for; of a connection none. The server's host, or the
    /// path of its socket, and its port.
    pub fn server(mut self, address: impl Into<Cow<'static, str>>, port: Option<u16>) -> Self {
        self.server = self.server.address(address, port);
        self
    }

    /// Default: none. Makes streams and pub/sub messaging, as it says.
    pub fn messaging(self, messaging: Messaging) -> Self {
        self.messaging_as(Some(messaging))
    }

    pub(crate) fn messaging_as(self, messaging: Option<Messaging>) -> Self {
        Self { messaging, ..self }
    }

    pub(crate) fn link(&self) -> Link {
        Link::of_broker(&self.telemetry, self.server.clone(), self.messaging)
    }
}

impl<C> Builder<Single<C>> {
    /// Makes the instrumented connection.
    pub fn build(self) -> Connection<C> {
        let link = self.link().connected(false);
        Connection { inner: self.handle.0, link }
    }
}
