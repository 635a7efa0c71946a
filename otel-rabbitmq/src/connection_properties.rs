//! How a connection is made: lapin's type of this name, which also says where telemetry goes.

use std::fmt;

use backon::ExponentialBuilder;
use lapin::auth::AuthProvider;
use lapin::types::{LongString, ShortString};
use otel_core::Telemetry;

use crate::driver::CONNECTION_NAME;
use crate::forward::forward;

/// Properties of a connection: lapin's `ConnectionProperties`.
#[derive(Clone)]
pub struct ConnectionProperties {
    pub(crate) raw: lapin::ConnectionProperties,
    pub(crate) name: Option<String>,
    pub(crate) telemetry: Telemetry,
}

impl Default for ConnectionProperties {
    fn default() -> Self {
        lapin::ConnectionProperties::default().into()
    }
}

/// Without the connection's name, which lapin's does not tell.
impl From<lapin::ConnectionProperties> for ConnectionProperties {
    fn from(raw: lapin::ConnectionProperties) -> Self {
        Self { raw, name: None, telemetry: Telemetry::global() }
    }
}

impl fmt::Debug for ConnectionProperties {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.raw.fmt(formatter)
    }
}

impl ConnectionProperties {
    /// Where the telemetry of the connection goes. Default: [`Telemetry::global`].
    pub fn with_telemetry(self, telemetry: &Telemetry) -> Self {
        Self { telemetry: telemetry.clone(), ..self }
    }

    /// As lapin's `ConnectionProperties::with_client_property`.
    pub fn with_client_property(mut self, key: ShortString, value: LongString) -> Self {
        if key.as_str() == CONNECTION_NAME {
            self.name = std::str::from_utf8(value.as_bytes()).ok().map(str::to_owned);
        }
        Self { raw: self.raw.with_client_property(key, value), ..self }
    }

    /// As lapin's `ConnectionProperties::with_connection_name`. It is the id of the client.
    pub fn with_connection_name(self, connection_name: LongString) -> Self {
        self.with_client_property(CONNECTION_NAME.into(), connection_name)
    }

    forward! { "ConnectionProperties"
        set with_locale [] (locale: ShortString);
        set with_auth_provider [AP: AuthProvider] (provider: AP);
        set with_backoff [] (backoff: ExponentialBuilder);
        set configure_backoff [] (conf: impl Fn(ExponentialBuilder) -> ExponentialBuilder);
        set enable_auto_recover [] ();
    }
}
