//! Headers of Kafka as carriers: a list of names and bytes, where a value may be null.

use otel_core::propagation::{ByteHeaders, ByteHeadersMut};
use rdkafka::message::{BorrowedHeaders, Header, Headers as _, OwnedHeaders};

/// The headers of a record that is to be sent, as its field has them.
#[derive(Debug)]
pub(crate) struct Outgoing<'r>(pub(crate) &'r mut Option<OwnedHeaders>);

impl ByteHeadersMut for Outgoing<'_> {
    fn append(&mut self, name: &str, value: Vec<u8>) {
        let headers = self.0.take().unwrap_or_default();
        *self.0 = Some(headers.insert(Header { key: name, value: Some(&value) }));
    }

    fn remove(&mut self, name: &str) {
        let is_named = |header: &Header<'_, &[u8]>| header.key.eq_ignore_ascii_case(name);
        // librdkafka's headers only grow: without one they are made anew.
        if let Some(headers) = self.0.take_if(|headers| headers.iter().any(|it| is_named(&it))) {
            let rest = headers.iter().filter(|header| !is_named(header));
            let empty = OwnedHeaders::new_with_capacity(headers.count());
            *self.0 = Some(rest.fold(empty, OwnedHeaders::insert::<[u8]>));
        }
    }
}

impl ByteHeaders for Outgoing<'_> {
    fn entries(&self) -> impl Iterator<Item = (&str, &[u8])> {
        entries(self.0.as_ref().map(OwnedHeaders::as_borrowed))
    }
}

/// The headers of a message that was received.
pub(crate) struct Incoming<'m>(pub(crate) Option<&'m BorrowedHeaders>);

impl ByteHeaders for Incoming<'_> {
    fn entries(&self) -> impl Iterator<Item = (&str, &[u8])> {
        entries(self.0)
    }
}

fn entries(headers: Option<&BorrowedHeaders>) -> impl Iterator<Item = (&str, &[u8])> {
    let headers = headers.into_iter().flat_map(|headers| headers.iter());
    headers.filter_map(|header| Some((header.key, header.value?)))
}
