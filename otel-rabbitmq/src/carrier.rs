//! Headers of RabbitMQ as carriers: a table of names and values of many types, of which text and bytes
//! carry a context. It is never converted: what else stands in it stays as it is.

use std::collections::BTreeMap;
use std::mem;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use otel_core::propagation::{ByteHeaders, ByteHeadersMut};

/// What a frame has around its content: type, channel, length, end.
const FRAME: usize = 1 + 2 + 4 + 1;
/// What a header frame has before the properties: class, weight, length of the body.
const BEFORE: usize = 2 + 2 + 8;
/// The length of a table, or of a long string.
const LENGTH: usize = 4;
/// The shortest header that carries a trace: `traceparent` and its value.
const SHORTEST: usize = entry_length("traceparent".len(), LENGTH + 55);

/// A name with its length, and a value with its type.
const fn entry_length(name: usize, value: usize) -> usize {
    1 + name + 1 + value
}

/// The bytes that properties take in the header of a message, which is one frame and is never split.
///
/// Source: <https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf>, sections 2.3.5 and 4.2.6.
pub(crate) fn properties_length(properties: &BasicProperties) -> usize {
    let texts = [
        properties.content_type(),
        properties.content_encoding(),
        properties.correlation_id(),
        properties.reply_to(),
        properties.expiration(),
        properties.message_id(),
        properties.kind(),
        properties.user_id(),
        properties.app_id(),
        properties.cluster_id(),
    ];
    let texts = texts.into_iter().flatten().map(|text| 1 + text.as_str().len());
    let bytes = [properties.delivery_mode(), properties.priority()].into_iter().flatten().count();
    let time = properties.timestamp().map_or(0, |_| 8);
    let headers = properties.headers().as_ref().map_or(0, table_length);
    // Which of them are there is told before.
    2 + texts.sum::<usize>() + bytes + time + headers
}

fn table_length(table: &FieldTable) -> usize {
    let entries = table.inner().iter();
    let entries = entries.map(|(name, value)| entry_length(name.as_str().len(), length(value)));
    LENGTH + entries.sum::<usize>()
}

fn length(value: &AMQPValue) -> usize {
    match value {
        AMQPValue::Void => 0,
        AMQPValue::Boolean(_) | AMQPValue::ShortShortInt(_) | AMQPValue::ShortShortUInt(_) => 1,
        AMQPValue::ShortInt(_) | AMQPValue::ShortUInt(_) => 2,
        AMQPValue::LongInt(_) | AMQPValue::LongUInt(_) | AMQPValue::Float(_) => 4,
        AMQPValue::DecimalValue(_) => 5,
        AMQPValue::LongLongInt(_) | AMQPValue::Double(_) | AMQPValue::Timestamp(_) => 8,
        AMQPValue::ShortString(text) => 1 + text.as_str().len(),
        AMQPValue::LongString(bytes) => LENGTH + bytes.len(),
        AMQPValue::ByteArray(bytes) => LENGTH + bytes.len(),
        AMQPValue::FieldTable(table) => table_length(table),
        AMQPValue::FieldArray(array) => {
            LENGTH + array.as_slice().iter().map(|value| 1 + length(value)).sum::<usize>()
        }
    }
}

/// The headers of a message that is to be sent, and the room for more. They are put into the
/// properties when this is dropped.
pub(crate) struct Outgoing<'m> {
    properties: &'m mut BasicProperties,
    /// Once there was something to write.
    changed: Option<FieldTable>,
    room: usize,
}

impl<'m> Outgoing<'m> {
    /// `None` where there is no room for a trace within a frame: a longer one ends the connection.
    pub(crate) fn new(properties: &'m mut BasicProperties, frame_max: usize) -> Option<Self> {
        let table = if properties.headers().is_none() { LENGTH } else { 0 };
        let taken = FRAME + BEFORE + properties_length(properties) + table;
        let room = frame_max.checked_sub(taken)?;
        (room >= SHORTEST).then_some(Self { properties, changed: None, room })
    }

    fn table(&self) -> Option<&FieldTable> {
        self.changed.as_ref().or(self.properties.headers().as_ref())
    }
}

impl ByteHeadersMut for Outgoing<'_> {
    /// What has no room, or is no name to RabbitMQ, is left out: a message is sent without rather than
    /// not at all.
    fn append(&mut self, name: &str, value: Vec<u8>) {
        let length = entry_length(name.len(), LENGTH + value.len());
        let Some(room) = self.room.checked_sub(length) else { return };
        let Ok(name) = ShortString::try_new(name) else { return };
        self.room = room;
        let table = self.changed.take().or_else(|| self.properties.headers().clone());
        let mut table = table.unwrap_or_default();
        // As the clients for Java and .NET write text.
        table.insert(name, AMQPValue::LongString(LongString::from(value)));
        self.changed = Some(table);
    }

    /// Built anew: a table of lapin only grows.
    fn remove(&mut self, name: &str) {
        let is_named = |known: &ShortString| known.as_str().eq_ignore_ascii_case(name);
        let Some(table) = self.table() else { return };
        if !table.inner().keys().any(is_named) {
            return;
        }
        let before = table_length(table);
        let rest = table.inner().iter().filter(|(known, _)| !is_named(known));
        let rest: BTreeMap<_, _> =
            rest.map(|(name, value)| (name.clone(), value.clone())).collect();
        let rest = FieldTable::from(rest);
        self.room += before - table_length(&rest);
        self.changed = Some(rest);
    }
}

impl ByteHeaders for Outgoing<'_> {
    fn entries(&self) -> impl Iterator<Item = (&str, &[u8])> {
        entries(self.table())
    }
}

impl Drop for Outgoing<'_> {
    fn drop(&mut self) {
        if let Some(table) = self.changed.take() {
            *self.properties = mem::take(self.properties).with_headers(table);
        }
    }
}

/// The headers of a message that was received.
pub(crate) struct Incoming<'m>(pub(crate) &'m BasicProperties);

impl ByteHeaders for Incoming<'_> {
    fn entries(&self) -> impl Iterator<Item = (&str, &[u8])> {
        entries(self.0.headers().as_ref())
    }
}

fn entries(table: Option<&FieldTable>) -> impl Iterator<Item = (&str, &[u8])> {
    let all = table.into_iter().flat_map(|table| table.inner());
    all.filter_map(|(name, value)| {
        let value = match value {
            AMQPValue::LongString(bytes) => bytes.as_bytes(),
            AMQPValue::ShortString(text) => text.as_str().as_bytes(),
            AMQPValue::ByteArray(bytes) => bytes.as_slice(),
            _ => return None,
        };
        Some((name.as_str(), value))
    })
}
