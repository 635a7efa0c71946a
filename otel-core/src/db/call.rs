//! The facts of a server and of a call, and the span that the conventions make of them.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use opentelemetry::{KeyValue, StringValue, Value};

use super::text::Texts;
use crate::address::default_port;
use crate::attribute as names;
use crate::options::{Options, QueryText};
use crate::sql::{Dialect, Literals};

/// Attributes that a span may get after its start: room for them is made at once.
const LEARNT_LATER: usize = 3;

/// A database server as the client was configured for it. A clone is cheap.
#[derive(Clone, Debug)]
pub struct DbServer {
    system: StringValue,
    dialect: Dialect,
    namespace: Option<StringValue>,
    address: Option<StringValue>,
    port: Option<u16>,
}

impl DbServer {
    /// A server of a system, by its `db.system.name`.
    pub fn new(system: &'static str) -> Self {
        Self {
            system: system.into(),
            dialect: Dialect::from_system(system),
            namespace: None,
            address: None,
            port: None,
        }
    }

    /// The namespace that the handle is connected to.
    pub fn namespace(mut self, namespace: impl Into<Cow<'static, str>>) -> Self {
        self.namespace = Some(cheap(namespace));
        self
    }

    /// The host or socket path as configured, and the port, which is left out of what is emitted
    /// where it is the system's default one.
    pub fn address(mut self, address: impl Into<Cow<'static, str>>, port: Option<u16>) -> Self {
        self.address = Some(cheap(address));
        self.port = port;
        self
    }

    /// The system, where it shows to be another one than the driver says.
    pub fn with_system(mut self, system: &'static str) -> Self {
        self.system = system.into();
        self.dialect = Dialect::from_system(system);
        self
    }

    /// The dialect of its SQL; without this it follows from the system.
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// The `db.system.name`.
    pub fn system(&self) -> &str {
        self.system.as_str()
    }

    /// The name that the conventions give a pool without a name of its own:
    /// `server.address:server.port/db.namespace`, as far as these are known, else the system.
    pub fn pool_name(&self) -> String {
        let mut name = String::new();
        if let Some(address) = &self.address {
            name.push_str(address.as_str());
            if let Some(port) = self.port {
                // Writing to a `String` cannot fail.
                let _ = write!(name, ":{port}");
            }
        }
        if let Some(namespace) = &self.namespace {
            if !name.is_empty() {
                name.push('/');
            }
            name.push_str(namespace.as_str());
        }
        if name.is_empty() { self.system().to_owned() } else { name }
    }

    pub(crate) fn has_address(&self) -> bool {
        self.address.is_some()
    }

    pub(crate) fn is_default(&self, port: u16) -> bool {
        default_port(self.system.as_str()) == Some(port)
    }

    /// The port where it is told: beside an address, and not the default one.
    fn told_port(&self) -> Option<u16> {
        self.address.as_ref()?;
        self.port.filter(|port| !self.is_default(*port))
    }

    /// System, namespace, address and port, in the form that spans and metrics share.
    pub(super) fn describe(&self, namespace: Option<&StringValue>, mut put: impl FnMut(KeyValue)) {
        put(KeyValue::new(names::DB_SYSTEM_NAME, self.system.clone()));
        if let Some(namespace) = namespace.or(self.namespace.as_ref()) {
            put(KeyValue::new(names::DB_NAMESPACE, namespace.clone()));
        }
        if let Some(address) = &self.address {
            put(KeyValue::new(names::SERVER_ADDRESS, address.clone()));
        }
        if let Some(port) = self.told_port() {
            put(KeyValue::new(names::SERVER_PORT, i64::from(port)));
        }
    }
}

/// A value that is cloned without copying: static or shared.
fn cheap(text: impl Into<Cow<'static, str>>) -> StringValue {
    match text.into() {
        Cow::Borrowed(text) => text.into(),
        Cow::Owned(text) => Arc::<str>::from(text).into(),
    }
}

/// One call, as the adapter knows it. Which of its facts are emitted, and how the span is named, is
/// decided here and not by the adapter.
#[derive(Clone, Debug, Default)]
pub struct DbCall<'a> {
    text: Option<&'a str>,
    parameterized: bool,
    identity: Identity,
    sanitized: Option<StringValue>,
    prefix: Option<&'static str>,
    batch: Option<usize>,
    more: Vec<KeyValue>,
}

/// The facts that tell one kind of call from another: those that metrics carry too.
#[derive(Clone, Debug, Default)]
pub(crate) struct Identity {
    pub(super) namespace: Option<StringValue>,
    pub(super) collection: Option<StringValue>,
    pub(super) operation: Option<StringValue>,
    pub(super) procedure: Option<StringValue>,
    pub(super) summary: Option<StringValue>,
}

impl Identity {
    /// In the order of their names, which is also the order on spans and metrics.
    pub(super) fn describe(&self, mut put: impl FnMut(KeyValue)) {
        let facts = [
            (names::DB_COLLECTION_NAME, &self.collection),
            (names::DB_OPERATION_NAME, &self.operation),
            (names::DB_STORED_PROCEDURE_NAME, &self.procedure),
            (names::DB_QUERY_SUMMARY, &self.summary),
        ];
        for (name, value) in facts {
            if let Some(value) = value {
                put(KeyValue::new(name, value.clone()));
            }
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
        Self { text: Some(text), parameterized, ..Self::default() }
    }

    /// The operation or command, where the call itself, and not a text, says so: `COMMIT`, `GET`.
    pub fn operation(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.identity.operation = Some(cheap(name));
        self
    }

    /// The collection, where the call itself, and not a text, says so.
    pub fn collection(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.identity.collection = Some(cheap(name));
        self
    }

    /// The stored procedure, where the call itself, and not a text, says so.
    pub fn stored_procedure(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.identity.procedure = Some(cheap(name));
        self
    }

    /// The namespace of this call, where it is not the server's.
    pub fn namespace(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.identity.namespace = Some(cheap(name));
        self
    }

    /// A summary made by a higher-level API that builds the query itself.
    pub fn summary(mut self, summary: impl Into<Cow<'static, str>>) -> Self {
        self.identity.summary = Some(cheap(summary));
        self
    }

    /// A word before the summary of the text, for what is done with a statement short of running
    /// it: `PREPARE`.
    pub fn prefix(mut self, word: &'static str) -> Self {
        self.prefix = Some(word);
        self
    }

    /// A text that holds no data, made by the adapter for a system whose queries are no SQL.
    pub fn sanitized_text(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.sanitized = Some(cheap(text));
        self
    }

    /// The number of operations of a batch, 0 for an empty one; 1 is no batch and is not told.
    pub fn batch(mut self, operations: usize) -> Self {
        self.batch = (operations != 1).then_some(operations);
        self
    }

    /// An attribute of one system only, as its page defines it.
    pub fn attribute(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.more.push(KeyValue::new(name, value));
        self
    }

    /// Turns the raw text into what may be shown of it.
    pub(super) fn analyzed(mut self, server: &DbServer, texts: &Texts, options: &Options) -> Self {
        let Some(text) = self.text.take() else {
            self.sanitized = self.sanitized.filter(|_| options.query_text != QueryText::Off);
            return self;
        };
        let literals = match options.query_text {
            QueryText::Auto if self.parameterized => Literals::Keep,
            _ => Literals::Replace,
        };
        let known = texts.analyze(text, server.dialect, literals, options);
        if self.identity.summary.is_none() {
            self.identity.summary = match (self.prefix, &known.summary) {
                (Some(word), Some(summary)) => Some(cheap(format!("{word} {summary}"))),
                (Some(word), None) => Some(word.into()),
                (None, summary) => summary.clone(),
            };
        }
        self.sanitized = match options.query_text {
            QueryText::Off => None,
            QueryText::Verbatim => Some(Arc::<str>::from(text).into()),
            QueryText::Auto | QueryText::Sanitized => known.text.clone(),
        };
        self
    }

    pub(super) fn identity(&self) -> Identity {
        self.identity.clone()
    }

    /// The first of: summary; operation and target; target; system.
    ///
    /// Target is the first of: collection, stored procedure, namespace, `address:port`.
    pub(super) fn span_name(&self, server: &DbServer) -> Cow<'static, str> {
        let identity = &self.identity;
        if let Some(summary) = &identity.summary {
            return Cow::Owned(summary.as_str().to_owned());
        }
        let target =
            identity
                .collection
                .as_ref()
                .or(identity.procedure.as_ref())
                .or(identity.namespace.as_ref())
                .or(server.namespace.as_ref())
                .map(|target| Cow::Borrowed(target.as_str()))
                .or_else(|| {
                    let address = server.address.as_ref()?.as_str();
                    Some(server.port.map_or(Cow::Borrowed(address), |port| {
                        Cow::Owned(format!("{address}:{port}"))
                    }))
                });
        Cow::Owned(match (&identity.operation, target) {
            (Some(operation), Some(target)) => format!("{operation} {target}"),
            (Some(operation), None) => operation.as_str().to_owned(),
            (None, Some(target)) => target.into_owned(),
            (None, None) => server.system().to_owned(),
        })
    }

    /// All that is known at the start: a sampler may look at any of it.
    pub(super) fn into_attributes(self, server: &DbServer) -> Vec<KeyValue> {
        let mut attributes = Vec::with_capacity(10 + LEARNT_LATER + self.more.len());
        server.describe(self.identity.namespace.as_ref(), |fact| attributes.push(fact));
        self.identity.describe(|fact| attributes.push(fact));
        if let Some(text) = self.sanitized {
            attributes.push(KeyValue::new(names::DB_QUERY_TEXT, text));
        }
        if let Some(batch) = self.batch {
            let batch = i64::try_from(batch).unwrap_or(i64::MAX);
            attributes.push(KeyValue::new(names::DB_OPERATION_BATCH_SIZE, batch));
        }
        attributes.extend(self.more);
        attributes
    }
}
