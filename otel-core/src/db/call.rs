//! Layer `db`: the facts of a server and of a call, as an adapter states them.

use std::borrow::Cow;
use std::fmt;

use opentelemetry::{KeyValue, StringValue, Value};

use super::fact::Fact;
use crate::address::{default_port, host, is_plain, with_port};
use crate::sql::{Dialect, Syntax};
use crate::text::{shared, told};

/// A database server as the client was configured for it. A clone is cheap.
#[derive(Clone)]
pub struct DbServer {
    system: StringValue,
    syntax: Option<Syntax>,
    namespace: Option<StringValue>,
    address: Option<StringValue>,
    port: Option<u16>,
    peer: Option<(StringValue, Option<u16>)>,
    /// Set when a fact shows that a URL was misread: a password with an unescaped `/` or `@` ends
    /// up in any of them, so none is told.
    misread: bool,
}

impl DbServer {
    /// A server of a system, by its `db.system.name`.
    pub fn new(system: &'static str) -> Self {
        Self {
            system: system.into(),
            syntax: None,
            namespace: None,
            address: None,
            port: None,
            peer: None,
            misread: false,
        }
    }

    /// The namespace that the handle is connected to.
    ///
    /// One with a character that belongs to a URL (`/ @ : ? #`) shows that the driver took a piece
    /// of a password for it; then neither it nor the address is told.
    pub fn namespace(mut self, namespace: impl Into<Cow<'static, str>>) -> Self {
        let namespace = namespace.into();
        self.misread |= !is_plain(&namespace);
        self.namespace = told(namespace).map(shared);
        self
    }

    /// The host or socket path as configured, and the port, which is left out of what is emitted
    /// where it is the system's default one.
    pub fn address(mut self, address: impl Into<Cow<'static, str>>, port: Option<u16>) -> Self {
        let address = address.into();
        self.misread |= address.contains(['@', '?', '#']) || address.contains(char::is_control);
        self.address = told(address).map(|address| host(shared(address)));
        self.port = port;
        self
    }

    /// The node that is really contacted and its port, where that is known before any call: an
    /// address that is an IP address. One that is learnt during a call is told by
    /// [`Operation::peer`](crate::Operation::peer).
    pub fn peer(mut self, address: impl Into<Cow<'static, str>>, port: Option<u16>) -> Self {
        self.peer = told(address).map(|address| (host(shared(address)), port));
        self
    }

    /// The system, where it shows to be another one than the driver says.
    pub fn with_system(mut self, system: &'static str) -> Self {
        self.system = system.into();
        self
    }

    /// How its SQL is to be read: a [`Dialect`], or a [`Syntax`] with settings. Without this it
    /// follows from the system.
    pub fn syntax(mut self, syntax: impl Into<Syntax>) -> Self {
        self.syntax = Some(syntax.into());
        self
    }

    /// The `db.system.name`.
    pub fn system(&self) -> &str {
        self.system.as_str()
    }

    /// The name that the conventions give a pool without a name of its own:
    /// `server.address:server.port/db.namespace`, as far as these are known, else the system.
    pub fn pool_name(&self) -> String {
        match (self.address_and_port(), self.known_namespace()) {
            (Some(address), Some(namespace)) => format!("{address}/{namespace}"),
            (Some(address), None) => address,
            (None, Some(namespace)) => namespace.to_string(),
            (None, None) => self.system().to_owned(),
        }
    }

    pub(super) fn address_and_port(&self) -> Option<String> {
        Some(with_port(self.known_address()?.as_str(), self.port))
    }

    /// The port where it is told: beside an address, and not the default one.
    pub(super) fn told_port(&self) -> Option<u16> {
        self.known_address()?;
        self.port.filter(|port| !self.is_default(*port))
    }

    /// The host or socket path and the port, unless a URL was misread for them: for systems that are
    /// brokers of messages as well.
    pub fn server(&self) -> Option<(&str, Option<u16>)> {
        Some((self.known_address()?.as_str(), self.port))
    }

    /// The node that is really contacted, likewise.
    pub fn contacted(&self) -> Option<(&str, Option<u16>)> {
        self.known_peer().map(|(address, port)| (address.as_str(), *port))
    }

    pub(super) fn known_address(&self) -> Option<&StringValue> {
        self.address.as_ref().filter(|_| !self.misread)
    }

    pub(super) fn known_syntax(&self) -> Syntax {
        self.syntax.unwrap_or_else(|| Dialect::from_system(self.system()).into())
    }

    pub(super) fn known_namespace(&self) -> Option<&StringValue> {
        self.namespace.as_ref().filter(|_| !self.misread)
    }

    pub(super) fn system_value(&self) -> &StringValue {
        &self.system
    }

    pub(super) fn known_peer(&self) -> Option<&(StringValue, Option<u16>)> {
        self.peer.as_ref().filter(|_| !self.misread)
    }

    pub(super) fn has_address(&self) -> bool {
        self.known_address().is_some()
    }

    pub(super) fn is_default(&self, port: u16) -> bool {
        default_port(self.system.as_str()) == Some(port)
    }
}

impl fmt::Debug for DbServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DbServer")
            .field("system", &self.system)
            .field("namespace", &self.known_namespace())
            .field("address", &self.known_address())
            .field("port", &self.told_port())
            .finish_non_exhaustive()
    }
}

/// One call, as the adapter knows it. Which of its facts are emitted, and how the span is named, is
/// decided by the core and not by the adapter.
///
/// Facts that come again and again (statement, operation, collection) are borrowed where that is
/// possible: what is made of them is kept.
#[derive(Clone, Debug, Default)]
pub struct DbCall<'a> {
    pub(super) kind: Kind<'a>,
    sanitized: Option<StringValue>,
    batch: Option<usize>,
    more: Vec<KeyValue>,
}

/// The facts that tell one kind of call from another.
#[derive(Clone, Debug, Default)]
pub(super) struct Kind<'a> {
    /// Which of the servers of a client it goes to.
    pub(super) server: u32,
    pub(super) text: Option<Text<'a>>,
    pub(super) parameterized: bool,
    pub(super) prefix: Option<&'static str>,
    pub(super) namespace: Option<Cow<'a, str>>,
    pub(super) collection: Option<Cow<'a, str>>,
    pub(super) operation: Option<Cow<'a, str>>,
    pub(super) procedure: Option<Cow<'a, str>>,
    pub(super) summary: Option<Cow<'a, str>>,
}

/// The text of a statement.
#[derive(Clone, Copy, Debug)]
pub(super) enum Text<'a> {
    Borrowed(&'a str),
    /// What lies at its address will always be the same.
    Static(&'static str),
}

impl<'a> Text<'a> {
    pub(super) fn as_str(self) -> &'a str {
        match self {
            Self::Borrowed(text) | Self::Static(text) => text,
        }
    }
}

impl<'a> DbCall<'a> {
    /// A call of which nothing is known yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A call that sends the text of a statement. `parameterized` tells whether its values were
    /// bound, in which case the text is not expected to quote data.
    pub fn statement(text: &'a str, parameterized: bool) -> Self {
        Self::text(Text::Borrowed(text), parameterized)
    }

    /// As [`statement`](Self::statement), for a text that a later call is recognized by without
    /// reading it, however long it is.
    pub fn static_statement(text: &'static str, parameterized: bool) -> Self {
        Self::text(Text::Static(text), parameterized)
    }

    fn text(text: Text<'a>, parameterized: bool) -> Self {
        let kind = Kind { text: Some(text), parameterized, ..Kind::default() };
        Self { kind, ..Self::default() }
    }

    /// The operation or command, where the call itself, and not a text, says so: `COMMIT`, `GET`.
    pub fn operation(mut self, name: impl Into<Cow<'a, str>>) -> Self {
        self.kind.operation = told(name);
        self
    }

    /// The collection, where the call itself, and not a text, says so.
    pub fn collection(mut self, name: impl Into<Cow<'a, str>>) -> Self {
        self.kind.collection = told(name);
        self
    }

    /// The stored procedure, where the call itself, and not a text, says so.
    pub fn stored_procedure(mut self, name: impl Into<Cow<'a, str>>) -> Self {
        self.kind.procedure = told(name);
        self
    }

    /// The namespace of this call, where it is not the server's.
    pub fn namespace(mut self, name: impl Into<Cow<'a, str>>) -> Self {
        self.kind.namespace = told(name);
        self
    }

    /// A summary made by a higher-level API that builds the query itself.
    pub fn summary(mut self, summary: impl Into<Cow<'a, str>>) -> Self {
        self.kind.summary = told(summary);
        self
    }

    /// A word before the operation and the summary, for what is done with a statement short of
    /// running it: `PREPARE`. Where neither is known, the word is the operation.
    pub fn prefix(mut self, word: &'static str) -> Self {
        self.kind.prefix = Some(word);
        self
    }

    /// The number of operations of a batch, 0 for an empty one; 1 is no batch and is not told. Give
    /// the operation or the summary that all of them share; it is told as `BATCH` and that one, or
    /// as `BATCH` alone. For a system with a word of its own, call [`prefix`](Self::prefix) after
    /// this.
    pub fn batch(mut self, operations: usize) -> Self {
        if operations != 1 {
            self.batch = Some(operations);
            self.kind.prefix = Some("BATCH");
        }
        self
    }

    /// As [`batch`](Self::batch), for an operation that is itself the word for several: `bulkWrite`.
    pub fn batch_by_itself(mut self, operations: usize) -> Self {
        self.batch = Some(operations).filter(|operations| *operations != 1);
        self
    }

    /// A text that holds no data, made by the adapter for a system whose queries are no SQL.
    pub fn sanitized_text(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        // Of this call only, so nobody clones it.
        self.sanitized = Some(text.into().into());
        self
    }

    /// A fact of one system only, as its page defines it.
    pub fn with<T: Into<Value>>(mut self, fact: Fact<T>, value: impl Into<T>) -> Self {
        self.more.push(KeyValue::new(fact.name(), value.into()));
        self
    }

    /// What is told of this call only, and not of its kind: text, batch size, and attributes of the
    /// system, none of which is on points.
    pub(super) fn own(self) -> (Option<StringValue>, Option<usize>, Vec<KeyValue>) {
        (self.sanitized, self.batch, self.more)
    }
}
