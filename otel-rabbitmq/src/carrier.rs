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
        // A number or a table under this name is the application's.
        if self.table().is_some_and(|table| table.contains_key(name.as_str())) {
            return;
        }
        self.room = room;
        let table = self.changed.take().or_else(|| self.properties.headers().clone());
        let mut table = table.unwrap_or_default();
        // As the clients for Java and .NET write text.
        table.insert(name, AMQPValue::LongString(LongString::from(value)));
        self.changed = Some(table);
    }

    /// Built anew: a table of lapin only grows.
    fn remove(&mut self, name: &str) {
        let is_text = |(known, value): &(&ShortString, &AMQPValue)| {
            known.as_str().eq_ignore_ascii_case(name) && text(value).is_some()
        };
        let Some(table) = self.table() else { return };
        if !table.inner().iter().any(|entry| is_text(&entry)) {
            return;
        }
        let before = table_length(table);
        let rest = table.inner().iter().filter(|entry| !is_text(entry));
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
    let all = table.into_iter().flat_map(FieldTable::inner);
    all.filter_map(|(name, value)| Some((name.as_str(), text(value)?)))
}

fn text(value: &AMQPValue) -> Option<&[u8]> {
    Some(match value {
        AMQPValue::LongString(bytes) => bytes.as_bytes(),
        AMQPValue::ShortString(text) => text.as_str().as_bytes(),
        AMQPValue::ByteArray(bytes) => bytes.as_slice(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use lapin::types::{ByteArray, DecimalValue, FieldArray};

    use super::*;

    fn long(text: &str) -> AMQPValue {
        AMQPValue::LongString(text.into())
    }

    fn table(all: &[(&str, AMQPValue)]) -> FieldTable {
        let entries = all.iter().map(|(name, value)| (ShortString::from(*name), value.clone()));
        entries.collect::<BTreeMap<_, _>>().into()
    }

    fn properties(all: &[(&str, AMQPValue)]) -> BasicProperties {
        BasicProperties::default().with_headers(table(all))
    }

    /// By what the protocol writes; the live tests compare it with the broker's limit.
    #[test]
    fn lengths_are_those_on_the_wire() {
        let short = |length: usize| ShortString::from("s".repeat(length));
        assert_eq!(properties_length(&BasicProperties::default()), 2);
        let all = BasicProperties::default()
            .with_content_type(short(1))
            .with_content_encoding(short(2))
            .with_correlation_id(short(3))
            .with_reply_to(short(4))
            .with_expiration(short(5))
            .with_message_id(short(6))
            .with_type(short(7))
            .with_user_id(short(8))
            .with_app_id(short(9))
            .with_cluster_id(short(10))
            .with_delivery_mode(2)
            .with_priority(1)
            .with_timestamp(7);
        assert_eq!(properties_length(&all), 2 + 10 + 55 + 2 + 8);
        assert_eq!(properties_length(&properties(&[])), 2 + 4);
        let inner = table(&[("ab", AMQPValue::Void)]);
        for (value, expected) in [
            (AMQPValue::Void, 0),
            (AMQPValue::Boolean(true), 1),
            (AMQPValue::ShortShortInt(1), 1),
            (AMQPValue::ShortShortUInt(1), 1),
            (AMQPValue::ShortInt(1), 2),
            (AMQPValue::ShortUInt(1), 2),
            (AMQPValue::LongInt(1), 4),
            (AMQPValue::LongUInt(1), 4),
            (AMQPValue::Float(1.0), 4),
            (AMQPValue::DecimalValue(DecimalValue { scale: 1, value: 1 }), 5),
            (AMQPValue::LongLongInt(1), 8),
            (AMQPValue::Double(1.0), 8),
            (AMQPValue::Timestamp(1), 8),
            (AMQPValue::ShortString(short(3)), 1 + 3),
            (long("abc"), 4 + 3),
            (AMQPValue::ByteArray(ByteArray::from(&b"abc"[..])), 4 + 3),
            (AMQPValue::FieldTable(inner.clone()), 4 + 1 + 2 + 1),
            (AMQPValue::FieldArray(FieldArray::from(vec![long("a"), AMQPValue::Void])), 4 + 6 + 1),
        ] {
            let length = properties_length(&properties(&[("name", value.clone())]));
            assert_eq!(length, 2 + 4 + 1 + 4 + 1 + expected, "{value:?}");
        }
    }

    #[test]
    fn no_more_than_there_is_room_for() {
        let parent = "0".repeat(55);
        for own in [None, Some(properties(&[("own", AMQPValue::Void)]))] {
            let bare = own.unwrap_or_default();
            let headers = if bare.headers().is_none() { LENGTH } else { 0 };
            let least = FRAME + BEFORE + properties_length(&bare) + headers + SHORTEST;
            let mut sent = bare.clone();
            assert!(Outgoing::new(&mut sent, least - 1).is_none());
            let mut outgoing = Outgoing::new(&mut sent, least).unwrap();
            outgoing.append("traceparent", parent.clone().into_bytes());
            outgoing.append("baggage", b"a=1".to_vec());
            drop(outgoing);
            assert_eq!(FRAME + BEFORE + properties_length(&sent), least);
            let names: Vec<_> = sent.headers().as_ref().unwrap().inner().keys().collect();
            assert!(names.iter().any(|name| name.as_str() == "traceparent"));
            assert!(!names.iter().any(|name| name.as_str() == "baggage"));
        }
        let mut nothing = BasicProperties::default();
        drop(Outgoing::new(&mut nothing, usize::MAX).unwrap());
        assert_eq!(nothing, BasicProperties::default(), "nothing was written");
    }

    /// What is no text of ours is as it was, in its order.
    #[test]
    fn replaced_in_any_case_and_nothing_else_is_touched() {
        let death =
            AMQPValue::FieldArray(FieldArray::from(vec![AMQPValue::FieldTable(table(&[(
                "count",
                AMQPValue::LongLongInt(1),
            )]))]));
        let mut sent = properties(&[
            ("Traceparent", long("old")),
            ("TRACEPARENT", AMQPValue::LongInt(7)),
            ("x-death", death.clone()),
            ("nothing", AMQPValue::Void),
        ]);
        let mut outgoing = Outgoing::new(&mut sent, 10_000).unwrap();
        let before = outgoing.room;
        outgoing.remove("traceparent");
        assert_eq!(outgoing.room, before + (1 + 11 + 1) + (4 + 3));
        outgoing.append("traceparent", b"new".to_vec());
        drop(outgoing);
        let expected = [
            ("TRACEPARENT", AMQPValue::LongInt(7)),
            ("nothing", AMQPValue::Void),
            ("traceparent", long("new")),
            ("x-death", death),
        ];
        assert_eq!(sent, properties(&expected));

        let mut sent = properties(&[("baggage", AMQPValue::LongInt(2))]);
        let mut outgoing = Outgoing::new(&mut sent, 10_000).unwrap();
        outgoing.remove("baggage");
        outgoing.append("baggage", b"a=1".to_vec());
        drop(outgoing);
        assert_eq!(sent, properties(&[("baggage", AMQPValue::LongInt(2))]));
    }

    /// lapin panics where such a name is made of text.
    #[test]
    fn long_names_are_left_out() {
        let mut sent = BasicProperties::default();
        let mut outgoing = Outgoing::new(&mut sent, usize::MAX).unwrap();
        outgoing.append(&"n".repeat(256), b"value".to_vec());
        outgoing.append(&"n".repeat(255), b"value".to_vec());
        drop(outgoing);
        assert_eq!(sent, properties(&[(&"n".repeat(255), long("value"))]));
    }

    /// As Java, .NET and old clients write them.
    #[test]
    fn text_of_each_type_is_read() {
        let received = properties(&[
            ("a", long("long")),
            ("b", AMQPValue::ShortString("short".into())),
            ("c", AMQPValue::ByteArray(ByteArray::from(&b"bytes"[..]))),
            ("d", AMQPValue::LongInt(7)),
            ("e", AMQPValue::Void),
        ]);
        let incoming = Incoming(&received);
        let read: Vec<_> = incoming.entries().collect();
        assert_eq!(read, [("a", &b"long"[..]), ("b", b"short"), ("c", b"bytes")]);
        assert_eq!(Incoming(&BasicProperties::default()).entries().count(), 0);
    }
}
