//! lapin's builder of this name, which makes instrumented connections.

use std::fmt;

use async_rs::Runtime;
use async_rs::traits::RuntimeKit;
use lapin::Result;
use lapin::tcp::OwnedTLSConfig;
use lapin::uri::AMQPUri;

use crate::connection::{Connection, facts};
use crate::connection_properties::ConnectionProperties;
use crate::forward::forward;

/// Collects what a connection is made of: lapin's `ConnectionBuilder`.
pub struct ConnectionBuilder<RK: RuntimeKit + Send + Sync + Clone + 'static> {
    raw: lapin::ConnectionBuilder<RK>,
    uri: Option<AMQPUri>,
    properties: ConnectionProperties,
}

impl<RK> fmt::Debug for ConnectionBuilder<RK>
where
    RK: RuntimeKit + fmt::Debug + Send + Sync + Clone + 'static,
{
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.raw.fmt(formatter)
    }
}

/// What a builder of lapin's runs on: it has no name of its own there.
#[doc(hidden)]
#[expect(unnameable_types, reason = "only the alias names it")]
pub trait Runs {
    type Kit: RuntimeKit + Send + Sync + Clone + 'static;
}

impl<RK: RuntimeKit + Send + Sync + Clone + 'static> Runs for lapin::ConnectionBuilder<RK> {
    type Kit = RK;
}

/// One on the default runtime: lapin's `DefaultConnectionBuilder`.
pub type DefaultConnectionBuilder =
    ConnectionBuilder<<lapin::DefaultConnectionBuilder as Runs>::Kit>;

impl DefaultConnectionBuilder {
    /// As lapin's `DefaultConnectionBuilder::new`.
    pub fn new() -> Result<Self> {
        Ok(Self::of(lapin::DefaultConnectionBuilder::new()?))
    }
}

impl<RK: RuntimeKit + Send + Sync + Clone + 'static> ConnectionBuilder<RK> {
    fn of(raw: lapin::ConnectionBuilder<RK>) -> Self {
        Self { raw, uri: None, properties: ConnectionProperties::default() }
    }

    /// As lapin's `ConnectionBuilder::new_with_runtime`.
    pub fn new_with_runtime(runtime: Runtime<RK>) -> Self {
        Self::of(lapin::ConnectionBuilder::new_with_runtime(runtime))
    }

    /// As lapin's `ConnectionBuilder::with_uri`.
    pub fn with_uri(self, uri: AMQPUri) -> Self {
        Self { uri: Some(uri.clone()), raw: self.raw.with_uri(uri), ..self }
    }

    /// As lapin's `ConnectionBuilder::with_uri_str`.
    pub fn with_uri_str(self, uri: String) -> Self {
        Self { uri: uri.parse().ok(), raw: self.raw.with_uri_str(uri), ..self }
    }

    /// As lapin's `ConnectionBuilder::with_properties`.
    pub fn with_properties(self, properties: ConnectionProperties) -> Self {
        Self { raw: self.raw.with_properties(properties.raw.clone()), properties, ..self }
    }

    /// As lapin's `ConnectionBuilder::connect`.
    pub async fn connect(&self) -> Result<Connection> {
        let (facts, telemetry) = facts(&self.properties, self.uri.as_ref());
        Ok(Connection::of(self.raw.connect().await?, &facts, &telemetry))
    }

    forward! { "ConnectionBuilder"
        set with_tls_config [] (tls_config: OwnedTLSConfig);
    }
}
