//! How a client connects: async-nats's `ConnectOptions` and functions, which make the instrumented
//! client.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::rustls;
use async_nats::{
    Auth, AuthError, ConnectError, Event, ReconnectToServer, Server, ServerInfo, ToServerAddrs,
};
use otel_core::messaging::statistic::{NATS_MESSAGE_DROPPED, NATS_RECONNECT};
use otel_core::{Messaging, Telemetry};

use crate::client::Client;
use crate::driver::{Facts, Nats};
use crate::forward::forward;

/// Connects to a server: async-nats's `connect`.
pub async fn connect<A: ToServerAddrs>(addrs: A) -> Result<Client, ConnectError> {
    connect_with_options(addrs, ConnectOptions::default()).await
}

/// Connects to a server: async-nats's `connect_with_options`.
pub async fn connect_with_options<A: ToServerAddrs>(
    addrs: A,
    options: ConnectOptions,
) -> Result<Client, ConnectError> {
    options.connect(addrs).await
}

type Hearing = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

/// What the application wants to be told of.
type Listener = Arc<dyn Fn(Event) -> Hearing + Send + Sync>;

/// Options of a connection: async-nats's `ConnectOptions`.
#[derive(Clone)]
pub struct ConnectOptions {
    raw: async_nats::ConnectOptions,
    facts: Facts,
    telemetry: Telemetry,
    /// async-nats has one place for it, which this crate takes.
    listener: Option<Listener>,
}

impl fmt::Debug for ConnectOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.raw.fmt(formatter)
    }
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self::of(async_nats::ConnectOptions::default())
    }
}

/// Makes ours of what async-nats's constructor of the same name makes.
macro_rules! forward_constructors {
    ($($name:ident[$($generics:tt)*]($($argument:ident: $type:ty),*);)*) => {$(
        #[doc = concat!("As async-nats's `ConnectOptions::", stringify!($name), "`.")]
        pub fn $name<$($generics)*>($($argument: $type),*) -> Self {
            Self::of(async_nats::ConnectOptions::$name($($argument),*))
        }
    )*};
}

impl ConnectOptions {
    fn of(raw: async_nats::ConnectOptions) -> Self {
        Self { raw, facts: Facts::default(), telemetry: Telemetry::global(), listener: None }
    }

    /// As async-nats's `ConnectOptions::new`.
    pub fn new() -> Self {
        Self::default()
    }

    forward_constructors! {
        with_token[](token: String);
        with_user_and_password[](user: String, pass: String);
        with_auth_callback[
            F: Fn(Vec<u8>) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = Result<Auth, AuthError>> + 'static + Send + Sync
        ](callback: F);
    }

    /// Default: [`Telemetry::global`]. Where the client's telemetry goes.
    pub fn telemetry(self, telemetry: &Telemetry) -> Self {
        Self { telemetry: telemetry.clone(), ..self }
    }

    /// What the inboxes of other clients begin with, where these have a prefix of their own. `_INBOX`,
    /// and what this client has, are known.
    pub fn inbox_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.facts.inboxes.push(prefix.into());
        self
    }

    /// As async-nats's `ConnectOptions::connect`.
    pub async fn connect<A: ToServerAddrs>(mut self, addrs: A) -> Result<Client, ConnectError> {
        self.facts.set_servers(&addrs);
        let messaging = self.facts.messaging(&self.telemetry);
        let hear = hearing(messaging.clone(), self.listener);
        let raw = self.raw.event_callback(hear).connect(addrs).await?;
        Ok(Client::from_parts(raw, messaging, &self.facts))
    }

    /// As async-nats's `ConnectOptions::name`.
    #[expect(clippy::needless_pass_by_value, reason = "as async-nats's")]
    pub fn name<T: ToString>(mut self, name: T) -> Self {
        let name = name.to_string();
        self.facts.name = Some(name.clone());
        Self { raw: self.raw.name(name), ..self }
    }

    /// As async-nats's `ConnectOptions::event_callback`. It hears all that this crate hears.
    pub fn event_callback<F, Fut>(self, cb: F) -> Self
    where
        F: Fn(Event) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + 'static + Send + Sync,
    {
        let listener: Listener = Arc::new(move |event| Box::pin(cb(event)));
        Self { listener: Some(listener), ..self }
    }

    forward! { "ConnectOptions"
        set token[](token: String);
        set user_and_password[](user: String, pass: String);
        set add_root_certificates[](path: PathBuf);
        set add_client_certificate[](cert: PathBuf, key: PathBuf);
        set require_tls[](is_required: bool);
        set tls_first[]();
        set ping_interval[](ping_interval: Duration);
        set no_echo[]();
        set subscription_capacity[](capacity: usize);
        set connection_timeout[](timeout: Duration);
        set request_timeout[](timeout: Option<Duration>);
        set reconnect_delay_callback[F: Fn(usize) -> Duration + Send + Sync + 'static](cb: F);
        set reconnect_to_server_callback[
            F: Fn(Vec<Server>, ServerInfo) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = Option<ReconnectToServer>> + Send + Sync + 'static
        ](cb: F);
        set client_capacity[](capacity: usize);
        set custom_inbox_prefix[T: ToString](prefix: T);
        set retry_on_initial_connect[]();
        set max_reconnects[T: Into<Option<usize>>](max_reconnects: T);
        set skip_subject_validation[](skip: bool);
        set ignore_discovered_servers[]();
        set retain_servers_order[]();
        set tls_client_config[](config: rustls::ClientConfig);
        set read_buffer_capacity[](size: u16);
        set local_address[](address: SocketAddr);
    }
}

#[cfg(feature = "nkeys")]
mod nkeys {
    use std::io;
    use std::path::Path;

    use super::{AuthError, ConnectOptions, Future, forward};

    impl ConnectOptions {
        forward_constructors! {
            with_nkey[](seed: String);
            with_jwt[
                F: Fn(Vec<u8>) -> Fut + Send + Sync + 'static,
                Fut: Future<Output = Result<Vec<u8>, AuthError>> + 'static + Send + Sync
            ](jwt: String, sign_cb: F);
        }

        /// As async-nats's `ConnectOptions::with_credentials_file`.
        pub async fn with_credentials_file(path: impl AsRef<Path>) -> io::Result<Self> {
            async_nats::ConnectOptions::with_credentials_file(path).await.map(Self::of)
        }

        /// As async-nats's `ConnectOptions::with_credentials`.
        pub fn with_credentials(creds: &str) -> io::Result<Self> {
            async_nats::ConnectOptions::with_credentials(creds).map(Self::of)
        }

        /// As async-nats's `ConnectOptions::credentials_file`.
        pub async fn credentials_file(self, path: impl AsRef<Path>) -> io::Result<Self> {
            Ok(Self { raw: self.raw.credentials_file(path).await?, ..self })
        }

        /// As async-nats's `ConnectOptions::credentials`.
        pub fn credentials(self, creds: &str) -> io::Result<Self> {
            Ok(Self { raw: self.raw.credentials(creds)?, ..self })
        }

        forward! { "ConnectOptions"
            set nkey[](seed: String);
            set jwt[
                F: Fn(Vec<u8>) -> Fut + Send + Sync + 'static,
                Fut: Future<Output = Result<Vec<u8>, AuthError>> + 'static + Send + Sync
            ](jwt: String, sign_cb: F);
        }
    }
}

/// What async-nats tells the client of: this crate first, then the application.
fn hearing(
    messaging: Messaging<Nats>,
    listener: Option<Listener>,
) -> impl Fn(Event) -> Hearing + Send + Sync + 'static {
    let was_connected = AtomicBool::new(false);
    move |event| {
        let counted = match &event {
            Event::Connected if was_connected.swap(true, Ordering::Relaxed) => Some(NATS_RECONNECT),
            Event::SlowConsumer(_) => Some(NATS_MESSAGE_DROPPED),
            _ => None,
        };
        if let Some((counted, statistics)) = counted.zip(messaging.statistics()) {
            statistics.count(counted);
        }
        match &listener {
            Some(listener) => listener(event),
            None => Box::pin(std::future::ready(())),
        }
    }
}
