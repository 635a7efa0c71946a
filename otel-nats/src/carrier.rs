//! Headers of NATS as carriers: a map of lists, whose names keep their case.

use std::str::FromStr as _;

use async_nats::header::{HeaderMap, HeaderName, HeaderValue};
use otel_core::propagation::{ByteHeaders, ByteHeadersMut};

/// `NATS/1.0`, and the ends of that line and of all headers.
const AROUND: usize = b"NATS/1.0\r\n\r\n".len();
/// The shortest header that carries a trace: `traceparent` and its value.
const SHORTEST: usize = line_length("traceparent".len(), 55);

pub(crate) const fn line_length(name: usize, value: usize) -> usize {
    name + b": ".len() + value + b"\r\n".len()
}

/// The bytes that headers take: they count for the size of a message.
pub(crate) fn wire_length(headers: Option<&HeaderMap>) -> usize {
    let Some(headers) = headers.filter(|headers| !headers.is_empty()) else { return 0 };
    let lines = headers.iter().flat_map(|(name, values)| {
        let name = name_of(name).len();
        values.iter().map(move |value| line_length(name, value.as_str().len()))
    });
    AROUND + lines.sum::<usize>()
}

/// A name is always text; async-nats shows it as bytes.
fn name_of(name: &HeaderName) -> &str {
    std::str::from_utf8(name.as_ref()).unwrap_or_default()
}

/// The headers of a message that is to be sent, as its field has them, and the room for more.
pub(crate) struct Outgoing<'m> {
    headers: &'m mut Option<HeaderMap>,
    room: usize,
}

impl<'m> Outgoing<'m> {
    /// `None` where there is no room for a trace within `most` bytes, of which others are `taken`.
    pub(crate) fn new(
        headers: &'m mut Option<HeaderMap>,
        taken: usize,
        most: usize,
    ) -> Option<Self> {
        let length = match wire_length(headers.as_ref()) {
            0 => AROUND,
            length => length,
        };
        let room = most.checked_sub(length)?.checked_sub(taken)?;
        (room >= SHORTEST).then_some(Self { headers, room })
    }
}

impl ByteHeadersMut for Outgoing<'_> {
    /// What has no room, or is no header to NATS, is left out: a message is sent without rather than
    /// not at all.
    fn append(&mut self, name: &str, value: Vec<u8>) {
        let length = line_length(name.len(), value.len());
        let Some(room) = self.room.checked_sub(length) else { return };
        // async-nats takes a name without letters.
        let name = Some(name).filter(|name| !name.is_empty());
        let Some(Ok(name)) = name.map(HeaderName::from_str) else { return };
        let value = String::from_utf8(value).ok();
        let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) else {
            return;
        };
        self.room = room;
        self.headers.get_or_insert_default().append(name, value);
    }

    /// Built anew: a map of async-nats only grows.
    fn remove(&mut self, name: &str) {
        let is_named = |known: &HeaderName| name_of(known).eq_ignore_ascii_case(name);
        let Some(headers) = self.headers.as_ref() else { return };
        if !headers.iter().any(|(known, _)| is_named(known)) {
            return;
        }
        let before = wire_length(Some(headers));
        let mut rest = HeaderMap::new();
        for (known, values) in headers.iter().filter(|(known, _)| !is_named(known)) {
            for value in values {
                rest.append(known.clone(), value.clone());
            }
        }
        self.room += before - wire_length(Some(&rest)).max(AROUND);
        *self.headers = Some(rest);
    }
}

impl ByteHeaders for Outgoing<'_> {
    fn entries(&self) -> impl Iterator<Item = (&str, &[u8])> {
        entries(self.headers.as_ref())
    }
}

/// The headers of a message that was received.
pub(crate) struct Incoming<'m>(pub(crate) Option<&'m HeaderMap>);

impl ByteHeaders for Incoming<'_> {
    fn entries(&self) -> impl Iterator<Item = (&str, &[u8])> {
        entries(self.0)
    }
}

fn entries(headers: Option<&HeaderMap>) -> impl Iterator<Item = (&str, &[u8])> {
    let headers = headers.into_iter().flat_map(HeaderMap::iter);
    headers.flat_map(|(name, values)| {
        let values = values.iter().map(|value| value.as_str().as_bytes());
        values.map(move |value| (name_of(name), value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in all {
            headers.append(*name, *value);
        }
        headers
    }

    /// By what async-nats writes: `NATS/1.0`, a line for each value, an empty one.
    #[test]
    fn length_is_that_on_the_wire() {
        let text = "NATS/1.0\r\na: 1\r\na: 22\r\nName: \r\n\r\n";
        let known = headers(&[("a", "1"), ("a", "22"), ("Name", "")]);
        assert_eq!(wire_length(Some(&known)), text.len());
        assert_eq!((wire_length(None), wire_length(Some(&HeaderMap::new()))), (0, 0));
    }

    #[test]
    fn no_more_than_there_is_room_for() {
        let parent = "0".repeat(55);
        let line = line_length(11, 55);
        let baggage = line_length(7, 3);
        for (spare, fits) in [(0, 1), (baggage - 1, 1), (baggage, 2)] {
            let mut none = None;
            let mut outgoing = Outgoing::new(&mut none, 100, 100 + AROUND + line + spare).unwrap();
            outgoing.append("traceparent", parent.clone().into_bytes());
            outgoing.append("baggage", b"a=1".to_vec());
            let both = [("traceparent", &*parent), ("baggage", "a=1")];
            assert_eq!(none, Some(headers(&both[..fits])));
        }
        assert!(Outgoing::new(&mut None, 100, 100 + AROUND + line - 1).is_none());
        let mut own = Some(headers(&[("own", "1")]));
        let length = wire_length(own.as_ref());
        assert!(Outgoing::new(&mut own, 0, length + line - 1).is_none());
        assert!(Outgoing::new(&mut own, 0, length + line).is_some());
    }

    /// What is removed makes room.
    #[test]
    fn replaced_in_any_case() {
        let mut own =
            Some(headers(&[("Traceparent", "old"), ("TRACEPARENT", "older"), ("own", "")]));
        let most = wire_length(own.as_ref()) + line_length(11, 55);
        let mut outgoing = Outgoing::new(&mut own, 0, most).unwrap();
        let before = outgoing.room;
        outgoing.remove("traceparent");
        assert_eq!(outgoing.room, before + line_length(11, 3) + line_length(11, 5));
        outgoing.append("traceparent", b"new".to_vec());
        assert_eq!(own, Some(headers(&[("traceparent", "new"), ("own", "")])));
        let mut alone = Some(headers(&[("baggage", "a=1")]));
        let mut outgoing = Outgoing::new(&mut alone, 0, 1000).unwrap();
        outgoing.remove("Baggage");
        assert_eq!(outgoing.room, 1000 - AROUND);
    }

    /// async-nats panics on each of them where they are given as text.
    #[test]
    fn odd_names_and_values_are_left_out() {
        let mut none = None;
        let mut outgoing = Outgoing::new(&mut none, 0, 10_000).unwrap();
        for name in ["", " ", "a b", "a:b", "naïve", "\u{0}", "a\r\nb"] {
            outgoing.append(name, b"value".to_vec());
        }
        for value in [&b"a\r\nb"[..], b"\n", b"\r", b"\xff"] {
            outgoing.append("name", value.to_vec());
        }
        assert_eq!(none, None);
    }
}
