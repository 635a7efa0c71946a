//! Layer `messaging`: what the pages of the systems define beyond what all of them have.
//!
//! Each is a constant with the type of its value, so that an adapter can neither misspell a name
//! nor give a number as text. When it is told is decided here and not by the adapter.

use std::fmt;
use std::marker::PhantomData;

use opentelemetry::{StringValue, Value};

use crate::attribute as names;
use crate::options::Options;
use crate::text::{LONGEST, is_blank};

/// A fact of a call or of a message, whose value is a `T`.
pub struct Fact<T> {
    name: &'static str,
    of: Of,
    told: Told,
    value: PhantomData<fn(T)>,
}

/// What a fact belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// The call, or the client that makes it.
    Call,
    /// A message; told of a batch where it is the same for all of its messages.
    Message,
    /// A message; the span of a batch never has it, only the links of its messages.
    OneMessage,
}

/// When a fact is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Always,
    /// Unless it is false, zero or empty, which is what its absence says.
    UnlessNone,
    /// Unless keys are left out; see [`keys`](crate::TelemetryBuilder::keys).
    UnlessKeysAreOut,
    /// Where the user wants it; see [`message_sizes`](crate::TelemetryBuilder::message_sizes).
    OptIn,
}

impl<T> Clone for Fact<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Fact<T> {}

impl<T> fmt::Debug for Fact<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Fact").field(&self.name).finish()
    }
}

impl<T> Fact<T> {
    const fn new(name: &'static str, of: Of, told: Told) -> Self {
        Self { name, of, told, value: PhantomData }
    }

    /// Name of the attribute.
    pub fn name(self) -> &'static str {
        self.name
    }

    pub(super) fn of(self) -> Of {
        self.of
    }

    /// Whether it is about the node that is contacted.
    pub(super) fn is_peer(&self) -> bool {
        [PEER_ADDRESS.name, PEER_PORT.name].contains(&self.name)
    }

    pub(super) fn untyped(self) -> Fact<Value> {
        Fact::new(self.name, self.of, self.told)
    }

    /// The value, if it is to be told.
    pub(crate) fn shown(self, value: Value, options: &Options) -> Option<Value> {
        let wanted = match self.told {
            Told::Always => true,
            Told::UnlessNone => match &value {
                Value::Bool(value) => *value,
                Value::I64(value) => *value != 0,
                value => !is_blank(&value.as_str()),
            },
            Told::UnlessKeysAreOut => options.keys,
            Told::OptIn => options.message_sizes,
        };
        let fits = !matches!(&value, Value::String(text) if text.as_str().len() > LONGEST);
        (wanted && fits).then_some(value)
    }
}

pub(super) const PEER_ADDRESS: Fact<StringValue> =
    Fact::new(names::NETWORK_PEER_ADDRESS, Of::Call, Told::Always);
pub(super) const PEER_PORT: Fact<i64> = Fact::new(names::NETWORK_PEER_PORT, Of::Call, Told::Always);

macro_rules! facts {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $attribute:literal, $of:ident, $told:ident;)*) => {
        $($(#[$doc])* pub const $name: Fact<$type> =
            Fact::new($attribute, Of::$of, Told::$told);)*

        /// The names of all, for the test that compares them with the conventions crate.
        #[doc(hidden)]
        pub const NAMES: &[&str] = &[$($attribute),*];
    };
}

facts! {
    /// Size of the message without its headers, in bytes. Told only where the user asks for it.
    BODY_SIZE: i64 = "messaging.message.body.size", Message, OptIn;
    /// Size of the message with its headers, in bytes. Told only where the user asks for it.
    ENVELOPE_SIZE: i64 = "messaging.message.envelope.size", Message, OptIn;
    /// What ties a question and its answers together; the correlation id.
    CONVERSATION_ID: StringValue = "messaging.message.conversation_id", Message, Always;
    /// Id of the message.
    MESSAGE_ID: StringValue = "messaging.message.id", OneMessage, Always;
    /// Destination of a message, where those of a batch may have several.
    DESTINATION_NAME: StringValue = "messaging.destination.name", Message, UnlessNone;
    /// Partition, where it is learnt with the message, or differs in a batch.
    PARTITION_ID: StringValue = "messaging.destination.partition.id", Message, UnlessNone;

    /// Id of the cluster, where it is known without asking.
    KAFKA_CLUSTER_ID: StringValue = "messaging.kafka.cluster.id", Call, Always;
    /// Key of the message, where it is text.
    KAFKA_MESSAGE_KEY: StringValue = "messaging.kafka.message.key", OneMessage, UnlessKeysAreOut;
    /// Whether the message is a tombstone.
    KAFKA_MESSAGE_TOMBSTONE: bool = "messaging.kafka.message.tombstone", Message, UnlessNone;
    /// Offset of the message.
    KAFKA_OFFSET: i64 = "messaging.kafka.offset", OneMessage, Always;

    /// Routing key of the message.
    RABBITMQ_ROUTING_KEY: StringValue =
        "messaging.rabbitmq.destination.routing_key", Message, UnlessNone;
    /// Tag of the delivery; 0, which stands for all, is not told.
    RABBITMQ_DELIVERY_TAG: i64 = "messaging.rabbitmq.message.delivery_tag", OneMessage, UnlessNone;

    /// Id of the request.
    AWS_REQUEST_ID: StringValue = "aws.request_id", Call, Always;
    /// URL of the queue.
    AWS_SQS_QUEUE_URL: StringValue = "aws.sqs.queue.url", Call, Always;
    /// ARN of the topic.
    AWS_SNS_TOPIC_ARN: StringValue = "aws.sns.topic.arn", Call, Always;

    /// Seconds until the message must be acknowledged.
    GCP_PUBSUB_ACK_DEADLINE: i64 = "messaging.gcp_pubsub.message.ack_deadline", Message, Always;
    /// Id that the message is acknowledged by.
    GCP_PUBSUB_ACK_ID: StringValue = "messaging.gcp_pubsub.message.ack_id", OneMessage, Always;
    /// Number of the delivery.
    GCP_PUBSUB_DELIVERY_ATTEMPT: i64 =
        "messaging.gcp_pubsub.message.delivery_attempt", OneMessage, Always;
    /// Key that messages are kept in order by.
    GCP_PUBSUB_ORDERING_KEY: StringValue =
        "messaging.gcp_pubsub.message.ordering_key", OneMessage, UnlessKeysAreOut;

    /// How the message was settled.
    SERVICEBUS_DISPOSITION_STATUS: StringValue =
        "messaging.servicebus.disposition_status", Call, Always;
    /// Number of deliveries.
    SERVICEBUS_DELIVERY_COUNT: i64 = "messaging.servicebus.message.delivery_count", Message, Always;
    /// When the broker took the message, in seconds of the epoch.
    SERVICEBUS_ENQUEUED_TIME: i64 = "messaging.servicebus.message.enqueued_time", Message, Always;
    /// When the broker took the message, in seconds of the epoch.
    EVENTHUBS_ENQUEUED_TIME: i64 = "messaging.eventhubs.message.enqueued_time", Message, Always;
}
