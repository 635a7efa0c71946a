//! Layer `messaging`: the facts of a broker, of a call and of a message, as an adapter states them.

use std::borrow::Cow;
use std::fmt;

use opentelemetry::{KeyValue, StringValue, Value};

use super::fact::{Fact, Of, PEER_ADDRESS, PEER_PORT};
use crate::address::host;
use crate::options::Options;
use crate::text::{shared, told};

/// Facts, with the rules that say when each is told.
pub(super) type Facts = Vec<(Fact<Value>, Value)>;

/// A broker and the client that talks to it, as configured. A clone is cheap.
#[derive(Clone)]
pub struct MessagingServer {
    pub(super) system: StringValue,
    address: Option<StringValue>,
    port: Option<u16>,
    pub(super) client_id: Option<StringValue>,
    pub(super) facts: Facts,
}

impl MessagingServer {
    /// A broker of a system, by its `messaging.system`.
    pub fn new(system: &'static str) -> Self {
        Self {
            system: system.into(),
            address: None,
            port: None,
            client_id: None,
            facts: Vec::new(),
        }
    }

    /// The host as configured, and the port. One that a URL was misread for is not told.
    pub fn address(mut self, address: impl Into<Cow<'static, str>>, port: Option<u16>) -> Self {
        let address = address.into();
        // A password with such a character, unescaped in a URL, may stand in it.
        let misread = address.contains(['@', '?', '#']) || address.contains(char::is_control);
        let address = told(address).filter(|_| !misread);
        self.address = address.map(|address| host(shared(address)));
        self.port = port.filter(|_| !misread);
        self
    }

    /// The id that the client gave to the broker.
    pub fn client_id(mut self, id: impl Into<Cow<'static, str>>) -> Self {
        self.client_id = told(id).map(shared);
        self
    }

    /// The node that is really contacted and its port, where that is known before any call. To handle
    /// a message nobody is contacted.
    pub fn peer(self, address: impl Into<StringValue>, port: Option<u16>) -> Self {
        let this = self.with(PEER_ADDRESS, host(address.into()));
        match port {
            Some(port) => this.with(PEER_PORT, port),
            None => this,
        }
    }

    /// A fact that holds for all calls.
    pub fn with<T: Into<Value>>(mut self, fact: Fact<T>, value: impl Into<T>) -> Self {
        self.facts.push((fact.untyped(), value.into().into()));
        self
    }

    /// The `messaging.system`.
    pub fn system(&self) -> &str {
        self.system.as_str()
    }

    pub(super) fn known_address(&self) -> Option<(&StringValue, Option<u16>)> {
        Some((self.address.as_ref()?, self.port))
    }
}

impl fmt::Debug for MessagingServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("MessagingServer")
            .field("system", &self.system)
            .field("address", &self.address)
            .field("port", &self.port)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// Where messages go to or come from: queue, topic, subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination<'a> {
    pub(super) name: Option<Cow<'a, str>>,
    pub(super) template: Option<Cow<'a, str>>,
    pub(super) nature: Nature,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Nature {
    Named,
    Temporary,
    Anonymous,
}

impl<'a> Destination<'a> {
    fn new(name: Option<Cow<'a, str>>, nature: Nature) -> Self {
        Self { name, template: None, nature }
    }

    /// One with a name that somebody chose.
    pub fn named(name: impl Into<Cow<'a, str>>) -> Self {
        Self::new(told(name), Nature::Named)
    }

    /// One that goes with the client that made it, such as an inbox for answers. Its name is told,
    /// but is part of neither the span's name nor the points.
    pub fn temporary(name: impl Into<Cow<'a, str>>) -> Self {
        Self::new(told(name), Nature::Temporary)
    }

    /// One whose name the broker made up; as [`temporary`](Self::temporary).
    pub fn anonymous(name: impl Into<Cow<'a, str>>) -> Self {
        Self::new(told(name), Nature::Anonymous)
    }

    /// No one destination: a poll of several, a commit of all.
    pub fn none() -> Self {
        Self::new(None, Nature::Named)
    }

    /// A name of low cardinality that stands for this destination and its like. A hook of the user's
    /// wins; see [`destination_template`](crate::TelemetryBuilder::destination_template).
    pub fn template(mut self, template: impl Into<Cow<'a, str>>) -> Self {
        self.template = told(template);
        self
    }
}

/// What a step of a message's way is to the conventions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    Create,
    Send,
    Receive,
    Process,
    Settle,
}

/// One call, as the adapter knows it. Which of its facts are emitted, and how the span is named, is
/// decided by the core and not by the adapter.
#[derive(Clone, Debug)]
pub struct MessagingCall<'a> {
    pub(super) kind: Kind<'a>,
    pub(super) batch: Option<usize>,
    pub(super) facts: Facts,
}

/// The facts that tell one kind of call from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kind<'a> {
    pub(super) step: Step,
    pub(super) operation: &'static str,
    pub(super) destination: Destination<'a>,
    pub(super) group: Option<Cow<'a, str>>,
    pub(super) subscription: Option<Cow<'a, str>>,
    pub(super) partition: Option<Partition<'a>>,
    /// Where the client knows none.
    pub(super) server: Option<(Cow<'a, str>, Option<u16>)>,
}

/// A partition: made from its number or its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Partition<'a>(pub(super) Number<'a>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Number<'a> {
    Number(i64),
    Name(Cow<'a, str>),
}

impl From<i32> for Partition<'_> {
    fn from(number: i32) -> Self {
        Self(Number::Number(number.into()))
    }
}

impl From<i64> for Partition<'_> {
    fn from(number: i64) -> Self {
        Self(Number::Number(number))
    }
}

impl<'a> From<&'a str> for Partition<'a> {
    fn from(name: &'a str) -> Self {
        Self(Number::Name(name.into()))
    }
}

impl<'a> MessagingCall<'a> {
    /// A call by the client's own word for it (`send`, `publish`, `poll`, `ack`), at a destination.
    pub fn new(operation: &'static str, destination: Destination<'a>) -> Self {
        let kind = Kind {
            // Whoever starts the operation knows better.
            step: Step::Send,
            operation,
            destination,
            group: None,
            subscription: None,
            partition: None,
            server: None,
        };
        Self { kind, batch: None, facts: Vec::new() }
    }

    /// The group that the consumer belongs to.
    pub fn consumer_group(mut self, name: impl Into<Cow<'a, str>>) -> Self {
        self.kind.group = told(name);
        self
    }

    /// The subscription that the messages come through.
    pub fn subscription(mut self, name: impl Into<Cow<'a, str>>) -> Self {
        self.kind.subscription = told(name);
        self
    }

    /// The partition, where it is known before the call.
    pub fn partition(mut self, partition: impl Into<Partition<'a>>) -> Self {
        self.kind.partition = Some(partition.into());
        self
    }

    /// The server, where the client learns it with the call. One that was configured stays.
    pub fn server(mut self, address: impl Into<Cow<'a, str>>, port: Option<u16>) -> Self {
        self.kind.server = told(address).map(|address| (address, port));
        self
    }

    /// The number of messages that a call for batches is about. Where the messages themselves are
    /// given, they are counted, and this is not needed.
    pub fn batch(mut self, messages: usize) -> Self {
        self.batch = Some(messages);
        self
    }

    /// A fact of the call or, where it is about one message, of that. Told twice, the first word
    /// counts.
    pub fn with<T: Into<Value>>(mut self, fact: Fact<T>, value: impl Into<T>) -> Self {
        self.facts.push((fact.untyped(), value.into().into()));
        self
    }

    /// The node that was really contacted, for calls that are told of afterwards; others learn it
    /// by [`Operation::peer`](crate::Operation::peer).
    pub fn peer(self, address: impl Into<StringValue>, port: Option<u16>) -> Self {
        let this = self.with(PEER_ADDRESS, host(address.into()));
        match port {
            Some(port) => this.with(PEER_PORT, port),
            None => this,
        }
    }
}

/// What is known of one message of a batch.
#[derive(Clone, Debug, Default)]
pub struct MessageFacts(pub(super) Facts);

impl MessageFacts {
    /// A message of which nothing is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// A fact of this message.
    pub fn with<T: Into<Value>>(mut self, fact: Fact<T>, value: impl Into<T>) -> Self {
        self.0.push((fact.untyped(), value.into().into()));
        self
    }
}

/// Adds the attributes that facts become, of those that are to be told and were not told before, and
/// answers their names. Of a batch's call, facts of one message are not told: nobody knows which.
pub(super) fn tell(
    facts: Facts,
    batch: bool,
    options: &Options,
    told: &mut Vec<KeyValue>,
) -> Vec<&'static str> {
    let fits = facts.into_iter().filter(|(fact, _)| !batch || fact.of() != Of::OneMessage);
    fits.filter_map(|(fact, value)| {
        let is_new = told.iter().all(|told| told.key.as_str() != fact.name());
        let value = fact.shown(value, options).filter(|_| is_new)?;
        told.push(KeyValue::new(fact.name(), value));
        Some(fact.name())
    })
    .collect()
}
