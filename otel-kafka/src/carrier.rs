//! Headers of Kafka as carriers: a list of names and bytes, where a value may be null.

use otel_core::propagation::{ByteHeaders, ByteHeadersMut};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedHeaders, Header, Headers as _, OwnedHeaders};

/// The headers of a record that is to be sent, as its field has them, and what is needed to hand
/// the record back as it was.
pub(crate) struct Outgoing<'r> {
    headers: &'r mut Option<OwnedHeaders>,
    kept: Kept,
}

/// What the headers of a record were before a context was written into them. Written ones come
/// last, so that their number is enough unless one was replaced.
#[derive(Default)]
pub(crate) struct Kept {
    count: Option<usize>,
    replaced: Option<OwnedHeaders>,
}

impl<'r> Outgoing<'r> {
    pub(crate) fn new(headers: &'r mut Option<OwnedHeaders>) -> Self {
        let count = headers.as_ref().map(OwnedHeaders::count);
        Self { headers, kept: Kept { count, replaced: None } }
    }

    pub(crate) fn kept(self) -> Kept {
        self.kept
    }
}

impl Kept {
    /// Whether a record that the client refused is to be sent without what was written into it:
    /// headers count for the size of a message.
    pub(crate) fn is_too_much(&self, error: &KafkaError, headers: Option<&OwnedHeaders>) -> bool {
        let is_written = self.replaced.is_some() || headers.map(OwnedHeaders::count) != self.count;
        let too_large = KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge);
        is_written && *error == too_large
    }

    /// The headers as they were, of those that come back with a record that was not sent.
    pub(crate) fn restored(&mut self, headers: Option<OwnedHeaders>) -> Option<OwnedHeaders> {
        match (self.replaced.take(), self.count?, headers?) {
            (Some(original), ..) => Some(original),
            (None, count, headers) if headers.count() == count => Some(headers),
            (None, count, headers) => Some(copy(headers.iter().take(count))),
        }
    }
}

/// A list of its own: those of librdkafka only grow.
fn copy<'h>(headers: impl Iterator<Item = Header<'h, &'h [u8]>>) -> OwnedHeaders {
    headers.fold(OwnedHeaders::new(), OwnedHeaders::insert::<[u8]>)
}

impl ByteHeadersMut for Outgoing<'_> {
    fn append(&mut self, name: &str, value: Vec<u8>) {
        let headers = self.headers.take().unwrap_or_default();
        *self.headers = Some(headers.insert(Header { key: name, value: Some(&value) }));
    }

    fn remove(&mut self, name: &str) {
        let is_named = |header: &Header<'_, &[u8]>| header.key.eq_ignore_ascii_case(name);
        let Some(headers) = self.headers.as_ref() else { return };
        if !headers.iter().any(|header| is_named(&header)) {
            return;
        }
        // Assigned at the end: to read a name that is no UTF-8 panics, and nothing may be lost by it.
        let rest = copy(headers.iter().filter(|header| !is_named(header)));
        if let (None, Some(count)) = (&self.kept.replaced, self.kept.count) {
            self.kept.replaced = Some(copy(headers.iter().take(count)));
        }
        *self.headers = Some(rest);
    }
}

impl ByteHeaders for Outgoing<'_> {
    fn entries(&self) -> impl Iterator<Item = (&str, &[u8])> {
        entries(self.headers.as_ref().map(OwnedHeaders::as_borrowed))
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
