//! Beside the pages: carriers for the two shapes that headers of messages have: maps of strings,
//! and lists of bytes where a name may stand several times.
//!
//! What goes in and out of them is decided by the propagator; see
//! [`Telemetry::inject`](crate::Telemetry::inject) and
//! [`Telemetry::extract`](crate::Telemetry::extract).
//!
//! Reading is bounded: values longer than any propagator writes, and headers after the first thousand
//! or so, are as if they were not there.
//!
//! Names are compared without regard to case, as HTTP does and as brokers in between may rewrite
//! them. An injected name replaces every value that stood under it; an empty value (propagators write
//! a `tracestate` that has no entries) is none, since brokers may refuse it.
//!
//! Source: <https://www.w3.org/TR/trace-context/> and <https://www.w3.org/TR/baggage/>.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use std::sync::OnceLock;

use opentelemetry::propagation::{Extractor, Injector};

/// A longer value is not read: no propagator writes one, and what a message carries is not ours to
/// trust. The W3C limits are 512 characters for `tracestate` and 8192 bytes for `baggage`.
const LONGEST_VALUE: usize = 8192;

/// Headers that may stand several times, and then are one list in their order.
const LISTS: [&str; 2] = ["tracestate", "baggage"];

/// Headers after these are not looked at: whoever fills a message with thousands of them must not
/// make the reader search them all.
const MOST_HEADERS: usize = 1024;

/// The headers of a message that is to be sent: what is there already is read, the context written.
pub trait Carrier: Injector + Extractor {
    /// Whether this message can take headers at all. One that cannot is sent without, and the span
    /// of sending it does not claim to be what the message carries.
    fn takes_headers(&self) -> bool {
        true
    }
}

/// Carrier of a message that has no place for headers.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHeaders;

impl Injector for NoHeaders {
    fn set(&mut self, _: &str, _: String) {}
}

impl Extractor for NoHeaders {
    fn get(&self, _: &str) -> Option<&str> {
        None
    }

    fn keys(&self) -> Vec<&str> {
        Vec::new()
    }
}

impl Carrier for NoHeaders {
    fn takes_headers(&self) -> bool {
        false
    }
}

/// Headers that are a map from name to text.
pub trait StringHeaders {
    /// The value of a header, by its name in whatever case.
    fn value(&self, name: &str) -> Option<&str>;
    /// The names of all headers.
    fn names(&self) -> Vec<&str>;
}

/// [`StringHeaders`] of a message that is to be sent.
pub trait StringHeadersMut: StringHeaders {
    /// Sets a header, in place of all that had this name in whatever case.
    fn put(&mut self, name: &str, value: String);

    /// Removes all headers of this name in whatever case. By itself it leaves an empty one.
    fn remove(&mut self, name: &str) {
        self.put(name, String::new());
    }
}

/// The maps of the standard library, whose methods have the same names without a trait for them.
macro_rules! string_headers {
    ($map:ty $(, $hasher:ident)?) => {
        impl $(<$hasher: BuildHasher>)? StringHeadersMut for $map {
            fn put(&mut self, name: &str, value: String) {
                self.retain(|known, _| !known.eq_ignore_ascii_case(name));
                self.insert(name.to_owned(), value);
            }

            fn remove(&mut self, name: &str) {
                self.retain(|known, _| !known.eq_ignore_ascii_case(name));
            }
        }

        impl $(<$hasher: BuildHasher>)? StringHeaders for $map {
            fn value(&self, name: &str) -> Option<&str> {
                let found = self.get(name).or_else(|| {
                    let mut headers = self.iter().take(MOST_HEADERS);
                    Some(headers.find(|(known, _)| known.eq_ignore_ascii_case(name))?.1)
                });
                found.map(String::as_str)
            }

            fn names(&self) -> Vec<&str> {
                self.keys().map(String::as_str).take(MOST_HEADERS).collect()
            }
        }
    };
}

string_headers!(HashMap<String, String, S>, S);
string_headers!(BTreeMap<String, String>);

/// Carrier over [`StringHeaders`]: give `&mut` headers to send, `&` headers to receive.
#[derive(Debug)]
pub struct StringCarrier<H>(pub H);

impl<H: StringHeadersMut> Injector for StringCarrier<&mut H> {
    fn set(&mut self, name: &str, value: String) {
        if value.is_empty() { self.0.remove(name) } else { self.0.put(name, value) }
    }
}

/// Reading is the same, whichever way the headers are lent.
macro_rules! extractor {
    ($carrier:ident over $headers:ident, $headers_mut:ident: $($method:item)*) => {
        impl<H: $headers> Extractor for $carrier<&H> { $($method)* }
        impl<H: $headers> Extractor for $carrier<&mut H> { $($method)* }
        impl<H: $headers_mut> Carrier for $carrier<&mut H> {}
    };
}

extractor!(StringCarrier over StringHeaders, StringHeadersMut:
    fn get(&self, name: &str) -> Option<&str> {
        self.0.value(name).filter(|value| value.len() <= LONGEST_VALUE)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.names()
    }
);

/// Headers that are a list of names and bytes, where a name may stand several times.
pub trait ByteHeaders {
    /// All headers that have a value, in their order.
    fn entries(&self) -> impl Iterator<Item = (&str, &[u8])>;
}

/// [`ByteHeaders`] of a message that is to be sent.
pub trait ByteHeadersMut: ByteHeaders {
    /// Appends a header.
    fn append(&mut self, name: &str, value: Vec<u8>);
    /// Removes all headers of this name in whatever case.
    fn remove(&mut self, name: &str);
}

impl ByteHeadersMut for Vec<(String, Vec<u8>)> {
    fn append(&mut self, name: &str, value: Vec<u8>) {
        self.push((name.to_owned(), value));
    }

    fn remove(&mut self, name: &str) {
        self.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }
}

impl ByteHeaders for Vec<(String, Vec<u8>)> {
    fn entries(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }
}

/// Carrier over [`ByteHeaders`]: give `&mut` headers to send, `&` headers to receive.
///
/// Of several values under one name the last readable one counts, as in Kafka's own clients; a
/// value that is no UTF-8 is as if it were not there. Those of `tracestate` and `baggage` are one
/// list, in their order; an empty one adds nothing, and what makes the list longer than a value may
/// be is left out.
#[derive(Debug)]
pub struct ByteCarrier<H> {
    headers: H,
    /// The lists that were put together, as they were asked for.
    joined: [OnceLock<String>; LISTS.len()],
}

impl<H> ByteCarrier<H> {
    /// A carrier over these headers.
    pub fn new(headers: H) -> Self {
        Self { headers, joined: Default::default() }
    }
}

impl<H: ByteHeadersMut> Injector for ByteCarrier<&mut H> {
    fn set(&mut self, name: &str, value: String) {
        self.joined.iter_mut().for_each(|joined| drop(joined.take()));
        self.headers.remove(name);
        if !value.is_empty() {
            self.headers.append(name, value.into_bytes());
        }
    }
}

extractor!(ByteCarrier over ByteHeaders, ByteHeadersMut:
    fn get(&self, name: &str) -> Option<&str> {
        let values = readable::<H>(self.headers, name);
        let mut lists = LISTS.iter().zip(&self.joined);
        let Some((_, joined)) = lists.find(|(list, _)| list.eq_ignore_ascii_case(name)) else {
            return values.last();
        };
        let mut filled = values.filter(|value| !value.trim_ascii().is_empty());
        match (filled.next()?, filled.next()) {
            (one, None) => Some(one),
            (one, Some(other)) => Some(joined.get_or_init(|| join([one, other], filled))),
        }
    }

    fn keys(&self) -> Vec<&str> {
        self.headers.entries().take(MOST_HEADERS).map(|(name, _)| name).collect()
    }

    fn get_all(&self, name: &str) -> Option<Vec<&str>> {
        let values: Vec<_> = readable::<H>(self.headers, name).collect();
        (!values.is_empty()).then_some(values)
    }
);

fn readable<'h, H: ByteHeaders>(headers: &'h H, name: &str) -> impl Iterator<Item = &'h str> {
    // Most are written alike, which is cheaper to find out.
    let is_same = move |known: &str| known == name || known.eq_ignore_ascii_case(name);
    let of_name = headers
        .entries()
        .take(MOST_HEADERS)
        .filter(move |(known, value)| is_same(known) && value.len() <= LONGEST_VALUE);
    of_name.filter_map(|(_, value)| std::str::from_utf8(value).ok())
}

fn join<'h>(first: [&'h str; 2], rest: impl Iterator<Item = &'h str>) -> String {
    let mut list = String::new();
    for value in first.into_iter().chain(rest) {
        let comma = if list.is_empty() { "" } else { "," };
        if list.len() + comma.len() + value.len() <= LONGEST_VALUE {
            list.extend([comma, value]);
        }
    }
    list
}
