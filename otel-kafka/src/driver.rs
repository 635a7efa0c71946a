//! The only file that knows the vocabulary of rdkafka and librdkafka: what a configuration tells,
//! and errors.

use std::sync::Arc;

use otel_core::address::default_port;
use otel_core::{Client, MessagingServer};
use rdkafka::ClientConfig;

const SYSTEM: &str = "kafka";

/// Names this crate as the source of what it emits.
#[derive(Debug)]
pub(crate) enum Kafka {}

impl Client for Kafka {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
}

/// What a handle does not tell of itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// Of several brokers the first.
    pub(crate) broker: Option<(String, Option<u16>)>,
    pub(crate) client_id: Option<String>,
    pub(crate) group: Option<Arc<str>>,
}

impl Facts {
    pub(crate) fn of(config: &ClientConfig) -> Self {
        let servers =
            config.get("bootstrap.servers").or_else(|| config.get("metadata.broker.list"));
        Self {
            broker: servers.and_then(first_broker),
            // librdkafka's own default.
            client_id: Some(config.get("client.id").unwrap_or("rdkafka").to_owned()),
            group: config.get("group.id").map(Arc::from),
        }
    }

    pub(crate) fn server(&self) -> MessagingServer {
        let mut server = MessagingServer::new(SYSTEM);
        if let Some((host, port)) = &self.broker {
            server = server.address(host.clone(), *port);
        }
        match &self.client_id {
            Some(id) => server.client_id(id.clone()),
            None => server,
        }
    }
}

/// The first of `[PROTOCOL://]host[:port],…`, as librdkafka reads it.
fn first_broker(servers: &str) -> Option<(String, Option<u16>)> {
    let first = servers.split(',').map(str::trim).find(|server| !server.is_empty())?;
    let first = first.split_once("://").map_or(first, |(_, rest)| rest);
    let (host, port) = match first.rsplit_once(':') {
        // A colon inside of brackets, or one of several without, belongs to an IPv6 address.
        Some((host, port))
            if !port.contains(']') && (!host.contains(':') || host.ends_with(']')) =>
        {
            (host, port.parse().ok())
        }
        _ => (first, None),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty()).then(|| (host.to_owned(), port.or_else(|| default_port(SYSTEM))))
}
