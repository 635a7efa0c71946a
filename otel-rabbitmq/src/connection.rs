//! The instrumented connection, and the ways to make one.

use std::fmt;
use std::pin::Pin;
use std::task::{self, Poll};

use async_rs::Runtime;
use async_rs::traits::{Reactor, RuntimeKit};
use async_trait::async_trait;
use futures_core::Stream;
use lapin::tcp::{AsyncTcpStream, OwnedTLSConfig};
use lapin::types::{LongString, ReplyCode, ShortString};
use lapin::uri::AMQPUri;
use lapin::{Configuration, ConnectionStatus, Event, Result, runtime};
use otel_core::messaging::statistic::{RABBITMQ_BLOCKED, RABBITMQ_RECONNECT};
use otel_core::{Messaging, Telemetry};
use pin_project_lite::pin_project;

use crate::builder::Builder;
use crate::channel::Channel;
use crate::connection_properties::ConnectionProperties;
use crate::driver::{Facts, Instrumentation, RabbitMq};
use crate::forward::{forward, leads_to_raw};

/// The ways to connect to an address, by [`Connect`].
macro_rules! forward_connects {
    ($address:ty: $plain:ident, $with_runtime:ident, $with_config:ident) => {
        #[doc = concat!("As lapin's `Connection::", stringify!($plain), "`.")]
        pub async fn $plain(uri: $address, options: ConnectionProperties) -> Result<Self> {
            Connect::connect(uri, options).await
        }

        #[doc = concat!("As lapin's `Connection::", stringify!($with_runtime), "`.")]
        pub async fn $with_runtime<RK: RuntimeKit + Send + Sync + Clone + 'static>(
            uri: $address,
            options: ConnectionProperties,
            runtime: Runtime<RK>,
        ) -> Result<Self> {
            uri.connect_with_config(options, OwnedTLSConfig::default(), runtime).await
        }

        #[doc = concat!("As lapin's `Connection::", stringify!($with_config), "`.")]
        pub async fn $with_config<RK: RuntimeKit + Send + Sync + Clone + 'static>(
            uri: $address,
            options: ConnectionProperties,
            config: OwnedTLSConfig,
            runtime: Runtime<RK>,
        ) -> Result<Self> {
            uri.connect_with_config(options, config, runtime).await
        }
    };
}

/// An instrumented connection: lapin's `Connection`. Its channels are instrumented.
///
/// What needs lapin's own is one call away, at [`raw`](Self::raw), and is not traced.
pub struct Connection {
    raw: lapin::Connection,
    instrumentation: Instrumentation,
}

leads_to_raw!(Connection, lapin::Connection);

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.raw.fmt(formatter)
    }
}

impl Connection {
    /// Instruments a connection, reporting to the global providers.
    pub fn new(raw: lapin::Connection) -> Self {
        Self::builder(raw).build()
    }

    /// Instruments a connection, reporting to `telemetry`.
    pub fn with(raw: lapin::Connection, telemetry: &Telemetry) -> Self {
        Self::builder(raw).telemetry(telemetry).build()
    }

    /// Instruments a connection, with what it does not tell of itself.
    pub fn builder(raw: lapin::Connection) -> Builder<lapin::Connection> {
        Builder::of(raw)
    }

    pub(crate) fn of(raw: lapin::Connection, facts: &Facts, telemetry: &Telemetry) -> Self {
        let messaging = facts.messaging(telemetry);
        let instrumentation = Instrumentation::new(messaging, Some(raw.configuration()));
        Self { raw, instrumentation }
    }

    forward_connects! { &str: connect, connect_with_runtime, connect_with_config }
    forward_connects! { AMQPUri: connect_uri, connect_uri_with_runtime, connect_uri_with_config }

    /// As lapin's `Connection::connector`. What it is told to connect to is the server.
    pub async fn connector<RK: RuntimeKit + Clone + Send + 'static>(
        uri: AMQPUri,
        runtime: Runtime<RK>,
        connect: impl AsyncFn(
            AMQPUri,
            Runtime<RK>,
        ) -> Result<AsyncTcpStream<<RK as Reactor>::TcpStream>>
        + Send
        + Sync
        + 'static,
        options: ConnectionProperties,
    ) -> Result<Self> {
        let (facts, telemetry) = facts(&options, Some(&uri));
        let raw = lapin::Connection::connector(uri, runtime, connect, options.raw).await?;
        Ok(Self::of(raw, &facts, &telemetry))
    }

    /// As lapin's `Connection::create_channel`.
    pub async fn create_channel(&self) -> Result<Channel> {
        Ok(Channel::of(self.raw.create_channel().await?, self.instrumentation.clone()))
    }

    /// As lapin's `Connection::events_listener`. What goes through it is counted: an event of lapin
    /// goes to one listener alone, so this crate has none of its own.
    pub fn events_listener(&self) -> impl Stream<Item = Event> + Send + 'static {
        let messaging = self.instrumentation.messaging.clone();
        Heard { stream: self.raw.events_listener(), messaging }
    }

    forward! { "Connection"
        fn run(self) -> Result<()>;
        fn configuration(&self) -> &Configuration;
        fn status(&self) -> &ConnectionStatus;
        async fn close(&self, reply_code: ReplyCode, reply_text: ShortString) -> Result<()>;
        async fn update_secret(&self, new_secret: LongString, reason: ShortString) -> Result<()>;
    }
}

pub(crate) fn facts(options: &ConnectionProperties, uri: Option<&AMQPUri>) -> (Facts, Telemetry) {
    let mut facts = Facts::default();
    facts.name.clone_from(&options.name);
    if let Some(uri) = uri {
        facts.set_uri(uri);
    }
    (facts, options.telemetry.clone())
}

pin_project! {
    /// The events of a connection, counted as they pass.
    struct Heard<S> {
        #[pin]
        stream: S,
        messaging: Messaging<RabbitMq>,
    }
}

impl<S: Stream<Item = Event>> Stream for Heard<S> {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<Option<Event>> {
        let this = self.project();
        this.stream.poll_next(task).map(|event| {
            let count = match &event {
                // Of the first one nobody could hear.
                Some(Event::Connected) => RABBITMQ_RECONNECT,
                Some(Event::ConnectionBlocked(_)) => RABBITMQ_BLOCKED,
                _ => return event,
            };
            if let Some(statistics) = this.messaging.statistics() {
                statistics.count(count);
            }
            event
        })
    }
}

/// What can be connected to: lapin's trait of this name, which makes instrumented connections.
#[async_trait]
pub trait Connect {
    /// As lapin's `Connect::connect`.
    async fn connect(self, options: ConnectionProperties) -> Result<Connection>
    where
        Self: Sized,
    {
        let runtime = runtime::default_runtime()?;
        self.connect_with_config(options, OwnedTLSConfig::default(), runtime).await
    }

    /// As lapin's `Connect::connect_with_config`.
    async fn connect_with_config<RK: RuntimeKit + Send + Sync + Clone + 'static>(
        self,
        options: ConnectionProperties,
        config: OwnedTLSConfig,
        runtime: Runtime<RK>,
    ) -> Result<Connection>
    where
        Self: Sized;
}

#[async_trait]
impl Connect for AMQPUri {
    async fn connect_with_config<RK: RuntimeKit + Send + Sync + Clone + 'static>(
        self,
        options: ConnectionProperties,
        config: OwnedTLSConfig,
        runtime: Runtime<RK>,
    ) -> Result<Connection> {
        let (facts, telemetry) = facts(&options, Some(&self));
        let raw = lapin::Connect::connect_with_config(self, options.raw, config, runtime).await?;
        Ok(Connection::of(raw, &facts, &telemetry))
    }
}

#[async_trait]
impl Connect for &str {
    async fn connect_with_config<RK: RuntimeKit + Send + Sync + Clone + 'static>(
        self,
        options: ConnectionProperties,
        config: OwnedTLSConfig,
        runtime: Runtime<RK>,
    ) -> Result<Connection> {
        // What is none, lapin says itself.
        let (facts, telemetry) = facts(&options, self.parse().ok().as_ref());
        let raw = lapin::Connect::connect_with_config(self, options.raw, config, runtime).await?;
        Ok(Connection::of(raw, &facts, &telemetry))
    }
}
