//! Where messages of Redis carry a context: an entry of a stream in fields behind its own, a message
//! of pub/sub in an envelope around what was published.

use otel_core::opentelemetry::propagation::{Extractor, Injector};
use otel_core::propagation::{ByteCarrier, ByteHeaders, Carrier};

use crate::edit::Edit;
use crate::stream::{self, Act, Command, MARKER, MOST_FIELDS};

/// An envelope begins with it: no text does.
pub(crate) const MAGIC: &[u8] = b"\0otel/1\n";

/// Names and values: the fields of an entry, or what stands in an envelope.
pub(crate) struct Headers<'h>(pub(crate) Vec<(&'h str, &'h [u8])>);

impl ByteHeaders for Headers<'_> {
    fn entries(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().copied()
    }
}

impl<'h> Headers<'h> {
    /// The fields of an entry that is to be added.
    pub(crate) fn of(command: Option<&'h Command<'_>>) -> Self {
        let fields = command.filter(|command| matches!(command.act, Act::Add(_)));
        let fields = fields.map(Command::rest).unwrap_or_default();
        let pairs = fields.as_chunks::<2>().0.iter();
        Self(pairs.filter_map(|[name, value]| Some((str::from_utf8(name).ok()?, *value))).collect())
    }
}

/// A message that is to be sent.
pub(crate) struct Outgoing<'h> {
    own: ByteCarrier<&'h Headers<'h>>,
    carries: bool,
    written: Vec<(String, String)>,
}

impl<'h> Outgoing<'h> {
    pub(crate) fn new(own: &'h Headers<'h>, carries: bool) -> Self {
        Self { own: ByteCarrier::new(own), carries, written: Vec::new() }
    }

    /// What becomes of the command.
    pub(crate) fn edit(self, command: &Command<'_>) -> Option<Edit> {
        let Self { carries, written, .. } = self;
        let is_needed = !written.is_empty() || stream::is_like_envelope(command.words());
        if !carries || !is_needed {
            return None;
        }
        Some(if command.act == Act::Publish {
            let payload = command.rest().first().copied().unwrap_or_default();
            Edit { kept: command.kept(), added: vec![seal(&written, payload)] }
        } else {
            let marker = (MARKER.to_owned(), written.len().to_string());
            let fields =
                written.into_iter().chain([marker]).flat_map(|(name, value)| [name, value]);
            Edit { kept: usize::MAX, added: fields.map(String::into_bytes).collect() }
        })
    }
}

impl Injector for &mut Outgoing<'_> {
    fn set(&mut self, name: &str, value: String) {
        self.written.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        // Neither may end a line of an envelope.
        let is_line = !name.contains([':', '\n']) && !value.contains('\n');
        if is_line && !value.is_empty() && self.written.len() < MOST_FIELDS {
            self.written.push((name.to_owned(), value));
        }
    }
}

impl Extractor for &mut Outgoing<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.own.get(name)
    }

    fn keys(&self) -> Vec<&str> {
        self.own.keys()
    }
}

impl Carrier for &mut Outgoing<'_> {
    fn takes_headers(&self) -> bool {
        self.carries
    }
}

/// An envelope: the magic bytes, a line for each header, an empty line, and what is published.
fn seal(headers: &[(String, String)], payload: &[u8]) -> Vec<u8> {
    let mut sealed = MAGIC.to_vec();
    for (name, value) in headers {
        sealed.extend([name, ":", value, "\n"].into_iter().flat_map(str::bytes));
    }
    sealed.push(b'\n');
    sealed.extend(payload);
    sealed
}

/// What an envelope has in it, if it is one.
pub(crate) fn open(envelope: &[u8]) -> Option<(Headers<'_>, &[u8])> {
    let mut rest = envelope.strip_prefix(MAGIC)?;
    let mut headers = Vec::new();
    loop {
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let (line, after) = (rest.get(..end)?, rest.get(end + 1..)?);
        rest = after;
        if line.is_empty() {
            return Some((Headers(headers), rest));
        }
        let (name, value) = line.split_at(line.iter().position(|byte| *byte == b':')?);
        headers.push((str::from_utf8(name).ok()?, value.get(1..)?));
        if headers.len() > MOST_FIELDS {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_opened_to_what_was_sealed() {
        for payload in [&b""[..], b"hello", b"\0otel/1\n\nx", b"a:b\n\n\xff\0"] {
            for count in 0..3 {
                let headers: Vec<_> =
                    (0..count).map(|at| (format!("name{at}"), format!("a:b={at}"))).collect();
                let sealed = seal(&headers, payload);
                let (opened, rest) = open(&sealed).unwrap();
                assert_eq!(rest, payload);
                let opened = opened.0.iter().map(|(name, value)| (*name, *value));
                assert!(opened.eq(headers.iter().map(|(name, value)| (&**name, value.as_bytes()))));
            }
        }
    }

    #[test]
    fn what_is_no_envelope_is_not_opened() {
        for broken in [
            &b""[..],
            b"\0",
            b"hello",
            b"\0otel/1",
            b"\0otel/2\n\nx",
            b"\0otel/1\n",
            b"\0otel/1\na:b\nx",
            b"\0otel/1\nno colon\n\nx",
            b"\0otel/1\n\xff:b\n\nx",
            b" \0otel/1\n\nx",
        ] {
            assert!(open(broken).is_none(), "{broken:?}");
        }
        assert!(open(&[MAGIC, b"a:b\n".repeat(17).as_slice(), b"\nx"].concat()).is_none());
    }
}
