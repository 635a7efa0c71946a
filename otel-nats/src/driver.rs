//! The only file that knows the vocabulary of NATS and of async-nats: subjects, headers, what a
//! connection tells, and errors.

#[cfg(test)]
mod tests;

use std::any::Any;
use std::error::Error as StdError;
use std::fmt::{self, Debug, Display};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_nats::error::Error;
use async_nats::header::{self, HeaderMap};
use async_nats::{Message, PublishError, Statistics, SubscribeError, ToServerAddrs};
use otel_core::messaging::{Destination, fact};
use otel_core::propagation::{ByteCarrier, NoHeaders};
use otel_core::{
    Classify, Client, Failure, Messaging, MessagingCall, MessagingOperation, MessagingServer,
    Telemetry,
};

use crate::carrier::{self, Outgoing};

const SYSTEM: &str = "nats";
/// What inboxes begin with, unless a client was told otherwise.
const INBOX: &str = "_INBOX";
/// What a message of JetStream is acknowledged by: a subject for each delivery.
const ACK: &str = "$JS.ACK";
/// What a service answers that failed.
///
/// Source: <https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-32.md>.
#[cfg(feature = "service")]
const SERVICE_ERROR: &str = "Nats-Service-Error";
const SERVICE_ERROR_CODE: &str = "Nats-Service-Error-Code";

/// Names this crate as the source of what it emits.
#[derive(Debug)]
pub(crate) enum Nats {}

impl Client for Nats {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
}

/// What a client does not tell of itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// Of several servers the first: host and port.
    server: Option<(String, u16)>,
    /// The name that the client gives to the server.
    pub(crate) name: Option<String>,
    /// What the inboxes of other clients begin with.
    pub(crate) inboxes: Vec<String>,
}

impl Facts {
    pub(crate) fn set_servers(&mut self, servers: &impl ToServerAddrs) {
        let first = servers.to_server_addrs().ok().and_then(|mut servers| servers.next());
        if let Some(server) = first {
            self.server = Some((server.host().to_owned(), server.port()));
        }
    }

    pub(crate) fn messaging(&self, telemetry: &Telemetry) -> Messaging<Nats> {
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

/// What an instrumented handle has beside async-nats's own. It keeps no connection open: messages
/// have it as well.
#[derive(Clone)]
pub(crate) struct Instrumentation {
    pub(crate) messaging: Messaging<Nats>,
    /// What inboxes begin with: those of this client, and of others.
    inboxes: Arc<[Box<str>]>,
}

impl Debug for Instrumentation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Debug::fmt(&self.messaging, formatter)
    }
}

impl Instrumentation {
    pub(crate) fn new(messaging: Messaging<Nats>, own_inbox: &str, facts: &Facts) -> Self {
        let own = own_inbox.rsplit_once('.').map(|(prefix, _)| prefix);
        let known = own.into_iter().chain(facts.inboxes.iter().map(String::as_str)).chain([INBOX]);
        Self { messaging, inboxes: known.map(Box::from).collect() }
    }

    fn inbox_of<'a>(&'a self, subject: &str) -> Option<&'a str> {
        let mut inboxes = self.inboxes.iter().map(|prefix| &**prefix);
        inboxes.find(|prefix| is_below(subject, prefix))
    }

    /// Where a message goes to. Each inbox, and each acknowledgement, is a subject of its own; so is
    /// where an answer goes to, whose reply is itself.
    pub(crate) fn destination<'a>(
        &'a self,
        subject: &'a str,
        reply: Option<&str>,
    ) -> Destination<'a> {
        let acknowledges = || is_below(subject, ACK).then_some(ACK);
        match self.inbox_of(subject).or_else(acknowledges) {
            Some(prefix) => Destination::temporary(subject).template(prefix),
            None if reply == Some(subject) => Destination::temporary(subject),
            None => Destination::named(subject),
        }
    }

    /// What ties a question and its answers together: the subject that they go to.
    pub(crate) fn conversation<'a>(
        &self,
        subject: &'a str,
        reply: Option<&'a str>,
    ) -> Option<&'a str> {
        let reply = reply.filter(|reply| !is_below(reply, ACK));
        reply.or_else(|| self.inbox_of(subject).map(|_| subject))
    }

    /// Starts to send a message, and writes what fits of its context into the headers.
    pub(crate) fn send(
        &self,
        connection: &Connection,
        message: Sent<'_>,
        headers: &mut Option<HeaderMap>,
    ) -> MessagingOperation<Nats> {
        let Sent { operation, subject, reply, payload, others } = message;
        let describe = || {
            let call = MessagingCall::new(operation, self.destination(subject, reply))
                .with(fact::BODY_SIZE, size(payload));
            match self.conversation(subject, reply) {
                Some(conversation) => call.with(fact::CONVERSATION_ID, conversation.to_owned()),
                None => call,
            }
        };
        let most = if connection.takes_headers() { connection.client.max_payload() } else { 0 };
        let mut operation = match Outgoing::new(headers, payload + others, most) {
            Some(mut room) => self.messaging.send(&mut ByteCarrier::new(&mut room), describe),
            None => self.messaging.send(&mut NoHeaders, describe),
        };
        if !operation.is_empty() {
            let envelope = carrier::wire_length(headers.as_ref()) + others + payload;
            operation.learn(fact::ENVELOPE_SIZE, size(envelope));
            if let Some(id) = message_id(headers.as_ref()) {
                operation.learn(fact::MESSAGE_ID, id.to_owned());
            }
        }
        operation
    }
}

/// A message that is to be sent, without its headers.
#[derive(Clone, Copy)]
pub(crate) struct Sent<'m> {
    pub(crate) operation: &'static str,
    pub(crate) subject: &'m str,
    pub(crate) reply: Option<&'m str>,
    /// Bytes of its payload.
    pub(crate) payload: usize,
    /// Bytes of headers that async-nats adds by itself.
    pub(crate) others: usize,
}

impl<'m> Sent<'m> {
    pub(crate) fn publish(subject: &'m str, reply: Option<&'m str>, payload: usize) -> Self {
        Self { operation: "publish", subject, reply, payload, others: 0 }
    }
}

fn is_below(subject: &str, prefix: &str) -> bool {
    subject.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.'))
}

/// Whether a subject stands for several.
pub(crate) fn is_pattern(subject: &str) -> bool {
    subject.split('.').any(|token| token == "*" || token == ">")
}

/// Whether a subject is one of those that a pattern stands for.
pub(crate) fn matches(pattern: &str, subject: &str) -> bool {
    let mut tokens = subject.split('.');
    for wanted in pattern.split('.') {
        let token = tokens.next();
        match wanted {
            ">" => return token.is_some(),
            "*" if token.is_some() => {}
            wanted if token == Some(wanted) => {}
            _ => return false,
        }
    }
    tokens.next().is_none()
}

pub(crate) fn size(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// The id that the application gave to a message.
pub(crate) fn message_id(headers: Option<&HeaderMap>) -> Option<&str> {
    Some(headers?.get(header::NATS_MESSAGE_ID)?.as_str())
}

/// What the reply of a message of JetStream says of it: `$JS.ACK.` with seven tokens, or, from newer
/// servers, with nine and more, of which the first two are a domain and an account.
///
/// Source: <https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-15.md>.
pub(crate) struct Stored<'r> {
    stream: &'r str,
    sequence: &'r str,
}

impl<'r> Stored<'r> {
    pub(crate) fn read(reply: &'r str) -> Option<Self> {
        let tokens = reply.strip_prefix(ACK)?.strip_prefix('.')?;
        let skipped = match tokens.split('.').count() {
            7 => 0,
            9.. => 2,
            _ => return None,
        };
        let mut tokens = tokens.split('.').skip(skipped);
        // Between them the consumer, and how often it was delivered.
        Some(Self { stream: tokens.next()?, sequence: tokens.nth(2)? })
    }

    pub(crate) fn id(&self) -> String {
        let Self { stream, sequence } = self;
        format!("{stream}:{sequence}")
    }
}

/// What async-nats's own `Message::info` reads of a reply, which is for its own messages only.
#[cfg(feature = "jetstream")]
pub(crate) fn info(
    reply: &str,
) -> Result<async_nats::jetstream::message::Info<'_>, async_nats::Error> {
    use async_nats::jetstream::message::Info;
    let wrong = |what: &str| async_nats::Error::from(io::Error::other(what));
    let tokens = reply.strip_prefix(ACK).and_then(|rest| rest.strip_prefix('.'));
    let tokens = tokens.ok_or_else(|| wrong("did not found proper prefix"))?;
    let is_new = match tokens.split('.').count() {
        7 => false,
        9.. => true,
        _ => return Err(wrong("bad token number")),
    };
    let mut tokens = tokens.split('.');
    let (domain, acc_hash) = if is_new { (tokens.next(), tokens.next()) } else { (None, None) };
    let mut next = || tokens.next().ok_or_else(|| wrong("too few tokens"));
    Ok(Info {
        domain: domain.filter(|domain| *domain != "_"),
        acc_hash,
        stream: next()?,
        consumer: next()?,
        delivered: next()?.parse()?,
        stream_sequence: next()?.parse()?,
        consumer_sequence: next()?.parse()?,
        published: async_nats::datetime::from_nanos(next()?.parse()?)?,
        pending: next()?.parse()?,
        token: tokens.next(),
    })
}

/// Tells what an answer says: the inbox that it came to, and whether it is a service's word for a
/// failure.
pub(crate) fn answered(operation: &mut MessagingOperation<Nats>, answer: &Message) {
    operation.learn(fact::CONVERSATION_ID, answer.subject.to_string());
    let headers = answer.headers.as_ref();
    if let Some(code) = headers.and_then(|headers| headers.get_last(SERVICE_ERROR_CODE)) {
        operation.failed(service_error(code.as_str()));
    }
}

/// The code is somebody else's text: one that is no number of few digits is not told.
pub(crate) fn service_error(code: &str) -> Failure {
    let is_code = (1..=5).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_digit());
    if is_code { Failure::new(code.to_owned()) } else { Failure::default() }
}

/// The bytes of the headers that async-nats tells a service's failure by.
#[cfg(feature = "service")]
pub(crate) fn service_headers(status: &str, code: usize) -> usize {
    let code = code.checked_ilog10().map_or(1, |digits| digits as usize + 1);
    carrier::line_length(SERVICE_ERROR.len(), status.len())
        + carrier::line_length(SERVICE_ERROR_CODE.len(), code)
}

/// What the connection is asked before a message goes out. It has a client of its own, since that of
/// a `Context` is copied at each look.
pub(crate) struct Connection {
    client: async_nats::Client,
    statistics: Arc<Statistics>,
    /// Whether the server takes headers, and after how many connects it was asked.
    headers: AtomicU64,
}

impl Connection {
    pub(crate) fn new(client: &async_nats::Client) -> Arc<Self> {
        Arc::new(Self {
            client: client.clone(),
            statistics: client.statistics(),
            headers: AtomicU64::new(u64::MAX),
        })
    }

    /// A server that was not reached yet is thought to be a new one. What it says is copied as a
    /// whole at each question, so it is asked again only after another connect.
    fn takes_headers(&self) -> bool {
        let connects = self.statistics.connects.load(Ordering::Relaxed);
        let known = self.headers.load(Ordering::Relaxed);
        if known >> 1 == connects {
            return known & 1 == 1;
        }
        let info = self.client.try_server_info();
        let takes = info.is_none_or(|info| info.headers);
        self.headers.store((connects << 1) | u64::from(takes), Ordering::Relaxed);
        takes
    }
}

impl Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Connection").finish_non_exhaustive()
    }
}

/// An error is told by the name of its kind; where that says nothing, by the number that JetStream
/// has for it. Texts may quote what was sent, so none is shown.
impl<K: Clone + Debug + Display + PartialEq + 'static> Classify<Error<K>> for Nats {
    fn classify(error: &Error<K>) -> Failure {
        let name = format!("{:?}", error.kind());
        // A kind that has something inside is told by its name alone.
        let name = name.split(|it: char| !it.is_alphanumeric()).next().unwrap_or_default();
        let number = || stored_error(error.source()?);
        let says_nothing = matches!(name, "Other" | "JetStream");
        let number = says_nothing.then(|| number().or_else(|| of_kind(&error.kind())));
        number.flatten().unwrap_or_else(|| Failure::new(name.to_owned()))
    }
}

#[cfg(feature = "jetstream")]
fn of_kind(kind: &dyn Any) -> Option<Failure> {
    use async_nats::jetstream::stream::ConsumerErrorKind;
    match kind.downcast_ref()? {
        ConsumerErrorKind::JetStream(error) => stored_error(error),
        _ => None,
    }
}

#[cfg(not(feature = "jetstream"))]
fn of_kind(_: &dyn Any) -> Option<Failure> {
    None
}

#[cfg(feature = "jetstream")]
fn stored_error(error: &(dyn StdError + 'static)) -> Option<Failure> {
    let error = error.downcast_ref::<async_nats::jetstream::Error>()?;
    let number = match error.error_code().0 {
        0 => error.code().to_string(),
        number => number.to_string(),
    };
    Some(Failure::new(number))
}

#[cfg(not(feature = "jetstream"))]
fn stored_error(_: &(dyn StdError + 'static)) -> Option<Failure> {
    None
}

/// What a batch of JetStream says before the status that ended it.
const ENDED_BY: &str = "error while processing messages from the stream: ";

/// What acknowledgements and batches answer.
impl Classify<async_nats::Error> for Nats {
    fn classify(error: &async_nats::Error) -> Failure {
        if let Some(error) = error.downcast_ref::<PublishError>() {
            return Self::classify(error);
        }
        if let Some(error) = error.downcast_ref::<SubscribeError>() {
            return Self::classify(error);
        }
        match error.downcast_ref::<io::Error>() {
            Some(error) if error.kind() == io::ErrorKind::TimedOut => Failure::new("TimedOut"),
            Some(error) => {
                let text = error.to_string();
                let status = text.strip_prefix(ENDED_BY).and_then(|rest| rest.get(..3));
                status.map_or_else(Failure::default, service_error)
            }
            None => Failure::default(),
        }
    }
}
