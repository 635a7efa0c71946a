//! The only file that knows the vocabulary of RabbitMQ and of lapin: destinations, names that are made
//! up, properties, and errors.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::Arc;

use lapin::protocol::AMQPErrorKind;
use lapin::types::ShortString;
use lapin::uri::AMQPUri;
use lapin::{BasicProperties, Configuration, Error, ErrorKind};
use otel_core::messaging::{Destination, fact};
use otel_core::{
    Classify, Client, Failure, Messaging, MessagingCall, MessagingOperation, MessagingServer,
    Telemetry,
};

use crate::carrier::properties_length;

const SYSTEM: &str = "rabbitmq";
/// The exchange without a name, where there is no routing key either.
const DEFAULT_EXCHANGE: &str = "amq.default";
/// What lapin and RabbitMQ's own clients call the property that names a connection.
pub(crate) const CONNECTION_NAME: &str = "connection_name";
/// Bytes of a frame that each broker takes. lapin's number of this name is that of newer ones.
///
/// Source: <https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf>, `frame-min-size`.
const FRAME_MIN_SIZE: u32 = 4096;
/// A queue of the broker's own for answers, one for each channel.
const REPLY_TO: &str = "amq.rabbitmq.reply-to";
/// What queues begin with whose names the broker made, or Spring did.
const MADE_UP: [(&str, &str); 2] = [("amq.gen-", "amq.gen"), ("spring.gen-", "spring.gen")];
/// Between a name and 16 bytes in Base64, as Spring's streams make them.
const ANONYMOUS: &str = ".anonymous.";

/// Names this crate as the source of what it emits.
#[derive(Debug)]
pub(crate) enum RabbitMq {}

impl Client for RabbitMq {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
}

/// What a handle does not tell of itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// Host and port.
    server: Option<(String, u16)>,
    /// The name that the connection gives to the server.
    pub(crate) name: Option<String>,
}

impl Facts {
    pub(crate) fn set_uri(&mut self, uri: &AMQPUri) {
        self.server = Some((uri.authority.host.clone(), uri.authority.port));
    }

    pub(crate) fn messaging(&self, telemetry: &Telemetry) -> Messaging<RabbitMq> {
        let mut server = MessagingServer::new(SYSTEM);
        if let Some((host, port)) = &self.server {
            server = server.address(host.clone(), Some(*port));
        }
        if let Some(name) = &self.name {
            server = server.client_id(name.clone());
        }
        Messaging::new(telemetry, server)
    }
}

/// What an instrumented handle has beside lapin's own.
#[derive(Clone)]
pub(crate) struct Instrumentation {
    pub(crate) messaging: Messaging<RabbitMq>,
    /// What was agreed upon with the server; a channel alone does not tell.
    configuration: Option<Arc<Configuration>>,
}

impl fmt::Debug for Instrumentation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.messaging.fmt(formatter)
    }
}

impl Instrumentation {
    pub(crate) fn new(messaging: Messaging<RabbitMq>, of: Option<&Configuration>) -> Self {
        Self { messaging, configuration: of.map(|of| Arc::new(of.clone())) }
    }

    /// The bytes that a frame may have. Where it is not known: what each server takes.
    pub(crate) fn frame_max(&self) -> usize {
        let known = self.configuration.as_ref().map(|known| known.frame_max());
        match known.unwrap_or(FRAME_MIN_SIZE) {
            0 => usize::MAX,
            most => usize::try_from(most).unwrap_or(usize::MAX),
        }
    }
}

/// Whether there may be many of a name, because nobody chose it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nature {
    Chosen,
    /// It goes with the channel.
    Temporary,
    /// Somebody's program made it up.
    Anonymous,
}

/// What a name is, and what it has in common with its like, which is nothing for some.
fn nature_of(name: &str) -> (Nature, &str) {
    if name.strip_prefix(REPLY_TO).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')) {
        return (Nature::Temporary, REPLY_TO);
    }
    let made_up = MADE_UP.iter().find(|(prefix, _)| name.starts_with(prefix));
    let in_base64 = || {
        let (known, id) = name.rsplit_once(ANONYMOUS)?;
        let is_id = id.len() == 22
            && id.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_".contains(&it));
        name.get(..known.len() + ANONYMOUS.len() - 1).filter(|_| is_id)
    };
    if let Some(stem) = made_up.map(|(_, stem)| *stem).or_else(in_base64) {
        (Nature::Anonymous, stem)
    } else if is_uuid(name) {
        (Nature::Anonymous, "")
    } else {
        (Nature::Chosen, name)
    }
}

fn is_uuid(name: &str) -> bool {
    let is_right = |(place, byte): (usize, u8)| match place {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    name.len() == 36 && name.bytes().enumerate().all(is_right)
}

fn destination<'n>(name: impl Into<Cow<'n, str>>, nature: Nature) -> Destination<'n> {
    match nature {
        Nature::Chosen => Destination::named(name),
        Nature::Temporary => Destination::temporary(name),
        Nature::Anonymous => Destination::anonymous(name),
    }
}

/// Where a message is sent to. With the exchange that has no name, that is the queue of the key.
///
/// Source: <https://opentelemetry.io/docs/specs/semconv/messaging/rabbitmq/>.
pub(crate) fn target<'n>(exchange: &'n str, routing_key: &'n str) -> Destination<'n> {
    match (exchange, routing_key) {
        ("", "") => Destination::named(DEFAULT_EXCHANGE),
        ("", queue) => {
            let (nature, stem) = nature_of(queue);
            let place = destination(queue, nature);
            if nature == Nature::Chosen || stem.is_empty() { place } else { place.template(stem) }
        }
        (exchange, "") => Destination::named(exchange),
        (exchange, key) => Destination::named(format!("{exchange}:{key}")),
    }
}

/// Where a message came from, as the conventions write it.
#[derive(Debug)]
pub(crate) struct Place {
    exchange: ShortString,
    pub(crate) routing_key: ShortString,
    pub(crate) queue: ShortString,
    name: String,
    template: Option<String>,
    nature: Nature,
}

impl Place {
    pub(crate) fn new(
        exchange: &ShortString,
        routing_key: &ShortString,
        queue: &ShortString,
    ) -> Self {
        let (nature, stem) = nature_of(queue.as_str());
        // The key would be the queue once more; of answers it says which channel's.
        let is_queue = |key: &str| {
            key == queue.as_str() || (nature == Nature::Temporary && nature_of(key).0 == nature)
        };
        let key = Some(routing_key.as_str()).filter(|key| !is_queue(key));
        let compose = |queue: &str| {
            let parts = [exchange.as_str(), key.unwrap_or_default(), queue];
            parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(":")
        };
        let name = compose(queue.as_str());
        let template =
            (nature != Nature::Chosen).then(|| compose(stem)).filter(|it| !it.is_empty());
        let name = if name.is_empty() { DEFAULT_EXCHANGE.to_owned() } else { name };
        let (exchange, routing_key) = (exchange.clone(), routing_key.clone());
        Self { exchange, routing_key, queue: queue.clone(), name, template, nature }
    }

    pub(crate) fn is(&self, exchange: &ShortString, routing_key: &ShortString) -> bool {
        self.exchange == *exchange && self.routing_key == *routing_key
    }

    pub(crate) fn destination(&self) -> Destination<'_> {
        let place = destination(&*self.name, self.nature);
        match &self.template {
            Some(template) => place.template(&**template),
            None => place,
        }
    }
}

/// What is told of a received message, at each step of it.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) place: Arc<Place>,
    pub(crate) tag: u64,
    message_id: Option<ShortString>,
    conversation: Option<ShortString>,
    body: usize,
    envelope: usize,
}

impl Known {
    pub(crate) fn new(
        place: Arc<Place>,
        tag: u64,
        properties: &BasicProperties,
        body: usize,
    ) -> Self {
        let message_id = properties.message_id().clone();
        let conversation = properties.correlation_id().clone();
        let envelope = properties_length(properties) + body;
        Self { place, tag, message_id, conversation, body, envelope }
    }

    /// A step that has the message.
    pub(crate) fn about(&self, operation: &'static str) -> MessagingCall<'_> {
        self.settling(operation)
            .with(fact::RABBITMQ_ROUTING_KEY, self.place.routing_key.as_str().to_owned())
            .with(fact::BODY_SIZE, number(self.body))
            .with(fact::ENVELOPE_SIZE, number(self.envelope))
    }

    /// A step that is about this message alone.
    pub(crate) fn settling(&self, operation: &'static str) -> MessagingCall<'_> {
        let mut call = MessagingCall::new(operation, self.place.destination())
            .with(fact::RABBITMQ_DELIVERY_TAG, number(self.tag));
        if let Some(id) = text(self.message_id.as_ref()) {
            call = call.with(fact::MESSAGE_ID, id.to_owned());
        }
        if let Some(id) = text(self.conversation.as_ref()) {
            call = call.with(fact::CONVERSATION_ID, id.to_owned());
        }
        call
    }
}

/// A message is handled. Of one that came while nobody listened it is not known where from.
pub(crate) fn processing(known: Option<&Known>) -> MessagingCall<'_> {
    match known {
        Some(known) => known.about("process"),
        None => MessagingCall::new("process", Destination::none()),
    }
}

/// Where messages came from, if that is one place, or at least one queue.
pub(crate) fn place_of<'k>(mut all: impl Iterator<Item = &'k Known>) -> Destination<'k> {
    let Some(first) = all.next() else { return Destination::none() };
    let (mut is_one_place, mut is_one_queue) = (true, true);
    for other in all {
        is_one_place &= other.place.name == first.place.name;
        is_one_queue &= other.place.queue == first.place.queue;
    }
    match (is_one_place, is_one_queue) {
        (true, _) => first.place.destination(),
        (false, true) => target("", first.place.queue.as_str()),
        (false, false) => Destination::none(),
    }
}

/// The sending of a message.
pub(crate) fn publish<'c>(
    exchange: &'c str,
    routing_key: &'c str,
    body: usize,
) -> MessagingCall<'c> {
    MessagingCall::new("publish", target(exchange, routing_key))
        .with(fact::RABBITMQ_ROUTING_KEY, routing_key.to_owned())
        .with(fact::BODY_SIZE, number(body))
}

/// What the properties of a message tell that is being sent.
pub(crate) fn learn(
    operation: &mut MessagingOperation<RabbitMq>,
    properties: &BasicProperties,
    body: usize,
) {
    operation.learn(fact::ENVELOPE_SIZE, number(properties_length(properties) + body));
    if let Some(id) = text(properties.message_id().as_ref()) {
        operation.learn(fact::MESSAGE_ID, id.to_owned());
    }
    if let Some(id) = text(properties.correlation_id().as_ref()) {
        operation.learn(fact::CONVERSATION_ID, id.to_owned());
    }
}

fn text(id: Option<&ShortString>) -> Option<&str> {
    id.map(ShortString::as_str).filter(|id| !id.is_empty())
}

pub(crate) fn number(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// By its code, as the broker writes it: `NO_ROUTE`.
pub(crate) fn returned(code: u16) -> Failure {
    let kind = AMQPErrorKind::from_id(code);
    kind.map_or_else(|| Failure::new(code.to_string()), |kind| protocol_error(&kind))
}

fn protocol_error(kind: &AMQPErrorKind) -> Failure {
    let name = match kind {
        AMQPErrorKind::Soft(error) => error.to_string(),
        AMQPErrorKind::Hard(error) => error.to_string(),
    };
    Failure::new(name.replace('-', "_"))
}

/// An error is told by the broker's code, by that of the operating system, or by the name of its kind.
/// Texts may quote what was sent, so none is shown.
impl Classify<Error> for RabbitMq {
    fn classify(error: &Error) -> Failure {
        match error.kind() {
            ErrorKind::ProtocolError(error) => protocol_error(error.kind()),
            ErrorKind::IOError(error) if error.kind() != io::ErrorKind::Other => {
                Failure::new(format!("{:?}", error.kind()))
            }
            ErrorKind::IOError(_) => Failure::new("IOError"),
            ErrorKind::RuntimeShutdownError(_) => Failure::new("RuntimeShutdownError"),
            ErrorKind::ChannelsLimitReached => Failure::new("ChannelsLimitReached"),
            ErrorKind::InvalidProtocolVersion(_) => Failure::new("InvalidProtocolVersion"),
            ErrorKind::InvalidChannel(_) => Failure::new("InvalidChannel"),
            ErrorKind::InvalidChannelState(..) => Failure::new("InvalidChannelState"),
            ErrorKind::InvalidConnectionState(_) => Failure::new("InvalidConnectionState"),
            ErrorKind::ParsingError(_) => Failure::new("ParsingError"),
            ErrorKind::SerialisationError(_) => Failure::new("SerialisationError"),
            ErrorKind::AuthProviderError(_) => Failure::new("AuthProviderError"),
            ErrorKind::FutureCompleted => Failure::new("FutureCompleted"),
            ErrorKind::NoDefaultRuntime => Failure::new("NoDefaultRuntime"),
            ErrorKind::MissingHeartbeatError => Failure::new("MissingHeartbeatError"),
            _ => Failure::default(),
        }
    }
}
