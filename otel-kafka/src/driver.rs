//! The only file that knows the vocabulary of rdkafka and librdkafka: what a configuration and a
//! handle tell, and errors.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use otel_core::address::default_port;
use otel_core::messaging::{Delivery, Destination, fact};
use otel_core::{
    Classify, Client, Failure, Messaging, MessagingCall, MessagingOperation, MessagingServer,
    Telemetry,
};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientConfig, ClientContext, TopicPartitionList};

const SYSTEM: &str = "kafka";

/// Names this crate as the source of what it emits.
#[derive(Debug)]
pub(crate) enum Kafka {}

impl Client for Kafka {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
}

/// What a handle does not tell of itself.
#[derive(Clone, Default)]
pub(crate) struct Facts {
    /// Of several brokers the first.
    broker: Option<(String, Option<u16>)>,
    pub(crate) client_id: Option<String>,
    pub(crate) group: Option<Arc<str>>,
    /// Whether what a consumer delivers is stored, to be committed next. Not so where the
    /// configuration is not known.
    pub(crate) stores_delivered: bool,
    /// Whether a consumer reads what is not committed to a transaction.
    pub(crate) reads_uncommitted: bool,
}

/// Shows of the brokers what is told of them: what is configured may have a password in it.
impl fmt::Debug for Facts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Facts")
            .field("server", &self.server())
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
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
            stores_delivered: config.get("enable.auto.offset.store").is_none_or(is_true),
            reads_uncommitted: config.get("isolation.level") == Some("read_uncommitted"),
        }
    }

    pub(crate) fn set_servers(&mut self, servers: &str) {
        self.broker = first_broker(servers);
    }

    fn server(&self) -> MessagingServer {
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

/// What an instrumented handle has beside rdkafka's own.
#[derive(Clone, Debug)]
pub(crate) struct Instrumentation {
    pub(crate) messaging: Messaging<Kafka>,
    pub(crate) group: Option<Arc<str>>,
    cluster: Arc<Cluster>,
}

/// The cluster's id, once it is known.
#[derive(Debug, Default)]
struct Cluster {
    id: OnceLock<Arc<str>>,
    asked: AtomicU32,
}

/// A broker that is too old to tell its cluster's id is not asked for ever.
const MOST_QUESTIONS: u32 = 1000;

impl Instrumentation {
    pub(crate) fn new(facts: &Facts, telemetry: &Telemetry) -> Self {
        Self {
            messaging: Messaging::new(telemetry, facts.server()),
            group: facts.group.clone(),
            cluster: Arc::default(),
        }
    }

    /// The call with the id of the cluster, if librdkafka has it from an answer that it got anyway.
    pub(crate) fn in_cluster<'a, C: ClientContext>(
        &self,
        call: MessagingCall<'a>,
        client: &rdkafka::client::Client<C>,
    ) -> MessagingCall<'a> {
        match self.cluster.id(|| client.fetch_cluster_id(Duration::ZERO)) {
            Some(id) => call.with(fact::KAFKA_CLUSTER_ID, id),
            None => call,
        }
    }

    /// The call with the id of the cluster, if that was learnt before: the client is not at hand.
    pub(crate) fn in_known_cluster<'a>(&self, call: MessagingCall<'a>) -> MessagingCall<'a> {
        match self.cluster.id.get() {
            Some(id) => call.with(fact::KAFKA_CLUSTER_ID, Arc::clone(id)),
            None => call,
        }
    }

    /// Starts to settle offsets: a commit, by whatever name the client has for it.
    pub(crate) fn settle<'d, C: ClientContext>(
        &self,
        deliveries: impl IntoIterator<Item = &'d Delivery>,
        operation: &'static str,
        offsets: Option<&TopicPartitionList>,
        client: &rdkafka::client::Client<C>,
    ) -> MessagingOperation<Kafka> {
        self.messaging.settle(deliveries, || {
            let call = self.in_cluster(settling(operation, offsets), client);
            match &self.group {
                Some(group) => call.consumer_group(group.to_string()),
                None => call,
            }
        })
    }
}

impl Cluster {
    /// Not asked again once it is known, also because rdkafka leaks a copy at each answer.
    fn id(&self, ask: impl FnOnce() -> Option<String>) -> Option<Arc<str>> {
        if let Some(id) = self.id.get() {
            return Some(Arc::clone(id));
        }
        if self.asked.load(Ordering::Relaxed) >= MOST_QUESTIONS {
            return None;
        }
        self.asked.fetch_add(1, Ordering::Relaxed);
        let id = ask()?;
        Some(Arc::clone(self.id.get_or_init(|| id.into())))
    }
}

/// What is told of offsets that are settled: the topic if it is one, the partition if it is one.
fn settling(
    operation: &'static str,
    offsets: Option<&TopicPartitionList>,
) -> MessagingCall<'static> {
    let offsets = offsets.map(TopicPartitionList::elements).unwrap_or_default();
    let Some(first) = offsets.first() else {
        return MessagingCall::new(operation, Destination::none());
    };
    if offsets.iter().any(|offset| offset.topic() != first.topic()) {
        return MessagingCall::new(operation, Destination::none());
    }
    let call = MessagingCall::new(operation, Destination::named(first.topic().to_owned()));
    if offsets.len() == 1 { call.partition(first.partition()) } else { call }
}

/// A longer key is not told; a part of it would be another key.
const LONGEST_KEY: usize = 256;

/// A key that is text. A number in bytes may be UTF-8 as well, and would not be readable.
pub(crate) fn key_text(key: &[u8]) -> Option<String> {
    let short = Some(key).filter(|key| key.len() <= LONGEST_KEY)?;
    let text = std::str::from_utf8(short).ok()?;
    (!text.contains(char::is_control)).then(|| text.to_owned())
}

/// The size of a payload; there is none of a tombstone.
pub(crate) fn body_size(payload: Option<&[u8]>) -> i64 {
    i64::try_from(payload.map_or(0, <[u8]>::len)).unwrap_or(i64::MAX)
}

/// As librdkafka reads a setting that is on or off.
fn is_true(setting: &str) -> bool {
    ["true", "t", "1"].iter().any(|it| setting.eq_ignore_ascii_case(it))
}

/// The first of `[PROTOCOL://]host[:port],…`, as librdkafka reads it. None if there may be a
/// credential in it, which librdkafka has no place for.
fn first_broker(servers: &str) -> Option<(String, Option<u16>)> {
    if servers.contains('@') {
        return None;
    }
    let first = servers.split(',').map(str::trim).find(|server| !server.is_empty())?;
    let first = first.split_once("://").map_or(first, |(_, rest)| rest);
    let (host, port) = match first.rsplit_once(':') {
        // A colon inside of brackets, or one of several without, belongs to an IPv6 address.
        Some((host, port))
            if !port.contains(']') && (!host.contains(':') || host.ends_with(']')) =>
        {
            (host, Some(port.parse().ok()?))
        }
        _ => (first, default_port(SYSTEM)),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

/// The name of a code in the protocol; of one that librdkafka made up, librdkafka's name.
fn name_of(code: RDKafkaErrorCode) -> Option<&'static str> {
    let names = include_str!("codes.txt").lines().filter_map(|line| line.split_once(' '));
    let code = code as i32;
    names.into_iter().find(|(number, _)| number.parse() == Ok(code)).map(|(_, name)| name)
}

impl Classify<RDKafkaErrorCode> for Kafka {
    fn classify(code: &RDKafkaErrorCode) -> Failure {
        name_of(*code).map_or_else(Failure::default, Failure::new)
    }
}

impl Classify<KafkaError> for Kafka {
    /// Texts of errors may quote a configuration, so none is shown.
    fn classify(error: &KafkaError) -> Failure {
        let code = match error {
            KafkaError::AdminOp(code) => Some(*code),
            KafkaError::PartitionEOF(_) => Some(RDKafkaErrorCode::PartitionEOF),
            _ => error.rdkafka_error_code(),
        };
        if let Some(code) = code {
            return Self::classify(&code);
        }
        Failure::new(match error {
            KafkaError::AdminOpCreation(_) => "AdminOpCreation",
            KafkaError::Canceled => "Canceled",
            KafkaError::ClientConfig(..) => "ClientConfig",
            KafkaError::ClientCreation(_) => "ClientCreation",
            KafkaError::NoMessageReceived => "NoMessageReceived",
            KafkaError::Nul(_) => "Nul",
            KafkaError::PauseResume(_) => "PauseResume",
            KafkaError::Seek(_) => "Seek",
            KafkaError::Subscription(_) => "Subscription",
            _ => return Failure::default(),
        })
    }
}

/// What a producer answers: the error, and the message or record that was not sent.
impl<M> Classify<(KafkaError, M)> for Kafka {
    fn classify((error, _): &(KafkaError, M)) -> Failure {
        Self::classify(error)
    }
}
