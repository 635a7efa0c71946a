//! What RabbitMQ counted: the messages that are in a queue; and, of a broker of one test's own that traces,
//! each message that it got and that it gave away, and how many were acknowledged.

use std::collections::BTreeMap;

use lapin::message::Delivery;
use lapin::options::{BasicGetOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Error};
use native::Private;
use otel_testing::ledger::{Count, Counted, Unit};

/// The messages that a queue has, whoever sent them, as those that were sent to it by its name.
///
/// Nobody may consume from it.
#[derive(Clone, Debug)]
pub struct Stored {
    channel: Channel,
    queue: ShortString,
    target: String,
}

impl Stored {
    /// Of a queue that is a test's own. The channel is for the question alone.
    pub fn new(channel: Channel, queue: ShortString) -> Self {
        let target = queue.to_string();
        Self { channel, queue, target }
    }

    /// The same, where they were sent to another destination that leads there.
    #[must_use]
    pub fn sent_to(mut self, target: String) -> Self {
        self.target = target;
        self
    }
}

impl Counted for Stored {
    type Error = Error;

    async fn counted(&mut self) -> Result<Vec<Count>, Error> {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let declaring =
            self.channel.queue_declare(self.queue.clone(), options, FieldTable::default());
        let messages = declaring.await?.message_count();
        Ok(vec![Count::new(self.target.as_str(), u64::from(messages))])
    }

    fn unit(&self) -> Unit {
        Unit::Sent
    }
}

/// Each message that a broker got, or gave away, by its own trace: a copy of it goes to an exchange.
///
/// Source: <https://www.rabbitmq.com/docs/firehose>.
#[derive(Debug)]
pub struct Traffic {
    channel: Channel,
    queue: ShortString,
    unit: Unit,
    seen: BTreeMap<String, u64>,
}

impl Traffic {
    /// What clients publish from now on. The channel is for the question alone.
    pub async fn sent(broker: &Private, channel: Channel) -> Result<Self, Error> {
        Self::of(broker, channel, "publish.#", Unit::Sent).await
    }

    /// What clients are given from now on, asked for or not.
    pub async fn received(broker: &Private, channel: Channel) -> Result<Self, Error> {
        Self::of(broker, channel, "deliver.#", Unit::Received).await
    }

    async fn of(
        broker: &Private,
        channel: Channel,
        which: &str,
        unit: Unit,
    ) -> Result<Self, Error> {
        broker.ask("rabbitmqctl trace_on").unwrap_or_else(|error| panic!("{error:#}"));
        let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        let queue = channel.queue_declare("".into(), options, FieldTable::default()).await?;
        let (queue, exchange) = (queue.name().clone(), "amq.rabbitmq.trace".into());
        let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
        channel.queue_bind(queue.clone(), exchange, which.into(), options, arguments).await?;
        Ok(Self { channel, queue, unit, seen: BTreeMap::new() })
    }
}

/// A destination as the conventions write it, and the message's id, of what the trace says of a message.
fn place(copy: &Delivery) -> String {
    let headers = copy.properties.headers().as_ref().map(FieldTable::inner);
    let header = |name: &str| headers.and_then(|headers| headers.get(name));
    let keys = match header("routing_keys") {
        Some(AMQPValue::FieldArray(keys)) => keys.as_slice().to_vec(),
        _ => Vec::new(),
    };
    let (exchange, key) = (text(header("exchange_name")), text(keys.first()));
    let queue = copy.routing_key.as_str().strip_prefix("deliver.").unwrap_or_default();
    let key = if key == queue { String::new() } else { key };
    let parts = [&exchange, &key, queue];
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    let destination = if parts.is_empty() { "amq.default".to_owned() } else { parts.join(":") };
    let id = match header("properties") {
        Some(AMQPValue::FieldTable(properties)) => text(properties.inner().get("message_id")),
        _ => String::new(),
    };
    if id.is_empty() { destination } else { format!("{destination}[{id}]") }
}

fn text(value: Option<&AMQPValue>) -> String {
    match value {
        Some(AMQPValue::LongString(text)) => String::from_utf8_lossy(text.as_bytes()).into_owned(),
        _ => String::new(),
    }
}

impl Counted for Traffic {
    type Error = Error;

    async fn counted(&mut self) -> Result<Vec<Count>, Error> {
        let options = BasicGetOptions { no_ack: true };
        while let Some(copy) = self.channel.basic_get(self.queue.clone(), options).await? {
            *self.seen.entry(place(&copy.delivery)).or_default() += 1;
        }
        Ok(self.seen.iter().map(|(text, times)| Count::new(text.as_str(), *times)).collect())
    }

    fn unit(&self) -> Unit {
        self.unit
    }
}

/// How many messages a broker has seen acknowledged, as of the one destination that a test received from.
#[derive(Debug)]
pub struct Acknowledged<'b> {
    broker: &'b Private,
    source: String,
}

impl<'b> Acknowledged<'b> {
    /// Of a broker of a test's own, where nobody else acknowledges.
    pub fn new(broker: &'b Private, source: String) -> Self {
        Self { broker, source }
    }
}

impl Counted for Acknowledged<'_> {
    type Error = String;

    async fn counted(&mut self) -> Result<Vec<Count>, String> {
        let asked = self.broker.ask("rabbitmqctl --silent eval rabbit_global_counters:overview().");
        let all = asked.map_err(|error| format!("{error:#}"))?;
        // `messages_acknowledged_total => 7`, for each protocol and type of queue.
        let counts = all.split("messages_acknowledged_total").skip(1).filter_map(|rest| {
            let rest = rest.trim_start().strip_prefix("=>")?.trim_start();
            rest.split(|it: char| !it.is_ascii_digit()).next()?.parse::<u64>().ok()
        });
        Ok(vec![Count::new(self.source.as_str(), counts.sum())])
    }

    fn unit(&self) -> Unit {
        Unit::Settled
    }
}
