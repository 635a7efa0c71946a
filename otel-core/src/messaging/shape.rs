//! Layer `messaging`: what all calls of one kind have in common, made once and kept: the span's
//! name, the attributes of span and point.

use std::borrow::Cow;
use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;
use opentelemetry::KeyValue;

use super::call::{Destination, Kind, MessagingServer, Nature, Number, Partition, Step, tell};
use super::fact::Fact;
use crate::address::{host, with_port};
use crate::attribute as names;
use crate::cache::{Cache, Key, Value};
use crate::options::Options;
use crate::text::{bytes_of, kept, shared, told};

impl Step {
    fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Send => "send",
            Self::Receive => "receive",
            Self::Process => "process",
            Self::Settle => "settle",
        }
    }
}

/// What the calls of one kind have in common.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(super) name: Cow<'static, str>,
    /// The attributes of all points, the operation's type, then those that only spans carry.
    attributes: Box<[KeyValue]>,
    on_points: usize,
}

impl Shape {
    pub(super) fn on_span(&self) -> &[KeyValue] {
        &self.attributes
    }

    /// The attributes of points, and the operation's type, which the duration alone tells, as the
    /// last one.
    pub(super) fn on_duration(&self) -> &[KeyValue] {
        self.attributes.get(..=self.on_points).unwrap_or_default()
    }

    pub(super) fn new(kind: &Kind<'_>, server: &MessagingServer, options: &Options) -> Self {
        let Destination { name, template, nature } = &kind.destination;
        let hooked = name.as_deref().and_then(|name| options.template_of(name));
        let template = hooked.as_deref().or(template.as_deref());
        // A name of which there may be many is told on spans alone.
        let is_few = template.is_none() && *nature == Nature::Named;
        let name = name.as_deref();
        let span_name = span_name(kind, template.or(name.filter(|_| is_few)), server);
        let mut attributes = vec![
            KeyValue::new(names::MESSAGING_SYSTEM, server.system.clone()),
            KeyValue::new(names::MESSAGING_OPERATION_NAME, kind.operation),
        ];
        let mut put = |attribute: &'static str, value: Option<&str>| {
            let value = value.map(|value| shared(value.to_owned()));
            attributes.extend(value.map(|value| KeyValue::new(attribute, value)));
        };
        put(names::MESSAGING_DESTINATION_NAME, name.filter(|_| is_few));
        put(names::MESSAGING_DESTINATION_TEMPLATE, template);
        put(names::MESSAGING_CONSUMER_GROUP_NAME, kind.group.as_deref());
        put(names::MESSAGING_DESTINATION_SUBSCRIPTION_NAME, kind.subscription.as_deref());
        match &kind.partition {
            Some(Partition(Number::Name(partition))) => {
                let partition = told(&**partition);
                put(names::MESSAGING_DESTINATION_PARTITION_ID, partition.as_deref());
            }
            Some(Partition(Number::Number(partition))) => {
                put(names::MESSAGING_DESTINATION_PARTITION_ID, Some(&partition.to_string()));
            }
            None => {}
        }
        let learnt = || {
            let (address, port) = kind.server.as_ref()?;
            Some((host(shared(address.clone().into_owned())), *port))
        };
        let known = server.known_address().map(|(address, port)| (address.clone(), port));
        if let Some((address, port)) = known.or_else(learnt) {
            attributes.push(KeyValue::new(names::SERVER_ADDRESS, address));
            let port = port.map(|port| KeyValue::new(names::SERVER_PORT, i64::from(port)));
            attributes.extend(port);
        }
        let on_points = attributes.len();
        attributes.push(KeyValue::new(names::MESSAGING_OPERATION_TYPE, kind.step.as_str()));
        let name = name.filter(|_| !is_few).map(|name| shared(name.to_owned()));
        attributes.extend(name.map(|name| KeyValue::new(names::MESSAGING_DESTINATION_NAME, name)));
        attributes.extend(nature_of(kind).map(|nature| KeyValue::new(nature, true)));
        if kind.step != Step::Create {
            let id = server.client_id.clone();
            attributes.extend(id.map(|id| KeyValue::new(names::MESSAGING_CLIENT_ID, id)));
            // To handle a message nobody is contacted.
            let is_told = |(fact, _): &&(Fact<_>, _)| kind.step != Step::Process || !fact.is_peer();
            let facts = server.facts.iter().filter(is_told).cloned().collect();
            tell(facts, false, options, &mut attributes);
        }
        Self { name: kept(span_name), attributes: attributes.into(), on_points }
    }
}

fn nature_of(kind: &Kind<'_>) -> Option<&'static str> {
    match kind.destination.nature {
        // What is settled is a delivery; its page does not ask where it came from.
        _ if kind.step == Step::Settle => None,
        Nature::Named => None,
        Nature::Temporary => Some(names::MESSAGING_DESTINATION_TEMPORARY),
        Nature::Anonymous => Some(names::MESSAGING_DESTINATION_ANONYMOUS),
    }
}

/// The operation and the first of: template; name, if there are few of it; the broker, if there is
/// no destination.
fn span_name(kind: &Kind<'_>, destination: Option<&str>, server: &MessagingServer) -> String {
    let operation = kind.operation;
    match (destination, server.known_address()) {
        (Some(destination), _) => format!("{operation} {destination}"),
        (None, Some((address, port))) if kind.destination.name.is_none() => {
            format!("{operation} {}", with_port(address.as_str(), port))
        }
        _ => operation.to_owned(),
    }
}

/// What was made of the calls of one handle.
pub(super) type Shapes = Cache<Kind<'static>, Shape>;

impl Kind<'_> {
    fn texts(&self) -> [Option<&str>; 6] {
        let partition = match &self.partition {
            Some(Partition(Number::Name(name))) => Some(&**name),
            _ => None,
        };
        let Destination { name, template, .. } = &self.destination;
        let known = [name, template, &self.group, &self.subscription].map(Option::as_deref);
        let [name, template, group, subscription] = known;
        let server = self.server.as_ref().map(|(address, _)| &**address);
        [name, template, group, subscription, partition, server]
    }
}

impl Key for Kind<'_> {
    type Kept = Kind<'static>;

    fn hash(&self, hasher: &RandomState) -> u64 {
        // What the calls of one handle differ in, as a rule. The rest is compared.
        let Self { operation, destination, group, partition, .. } = self;
        hasher.hash_one((operation, &destination.name, group, partition))
    }

    fn lies_at(&self) -> Option<(usize, usize)> {
        None
    }

    fn is(&self, kept: &Kind<'static>) -> bool {
        self == kept
    }

    fn keep(&self) -> Kind<'static> {
        fn owned(text: Option<&Cow<'_, str>>) -> Option<Cow<'static, str>> {
            text.map(|text| Cow::Owned(text.as_ref().to_owned()))
        }
        let Destination { name, template, nature } = &self.destination;
        let destination = Destination {
            name: owned(name.as_ref()),
            template: owned(template.as_ref()),
            nature: *nature,
        };
        let partition = self.partition.as_ref().map(|Partition(partition)| match partition {
            Number::Number(number) => Partition(Number::Number(*number)),
            Number::Name(name) => Partition(Number::Name(Cow::Owned(name.as_ref().to_owned()))),
        });
        Kind {
            step: self.step,
            operation: self.operation,
            destination,
            group: owned(self.group.as_ref()),
            subscription: owned(self.subscription.as_ref()),
            partition,
            server: self
                .server
                .as_ref()
                .map(|(address, port)| (Cow::Owned(address.as_ref().to_owned()), *port)),
        }
    }

    fn bytes(&self) -> usize {
        self.texts().into_iter().flatten().fold(0, |sum, text| sum.saturating_add(text.len()))
    }
}

impl Value for Shape {
    fn bytes(&self) -> usize {
        let name = match &self.name {
            Cow::Borrowed(_) => 0,
            Cow::Owned(name) => name.capacity(),
        };
        name + bytes_of(&self.attributes)
    }
}
