//! Carriers for the two shapes that headers of messages have: maps of strings, and lists of bytes
//! where a name may stand several times.
//!
//! What goes in and out of them is decided by the propagator; see
//! [`Telemetry::inject`](crate::Telemetry::inject) and
//! [`Telemetry::extract`](crate::Telemetry::extract).
//!
//! Names are compared without regard to case, as HTTP does and as brokers in between may rewrite
//! them. An injected name replaces every value that stood under it.
//!
//! Source: <https://www.w3.org/TR/trace-context/>.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;

use opentelemetry::propagation::{Extractor, Injector};

/// A longer value is not read: no propagator writes one, and what a message carries is not ours to
/// trust. The W3C limits are 512 characters for `tracestate` and 8192 bytes for `baggage`.
const LONGEST_VALUE: usize = 8192;

/// Headers that are a map from name to text.
pub trait StringHeaders {
    /// Sets a header, in place of all that had this name in whatever case.
    fn put(&mut self, name: &str, value: String);
    /// The value of a header, by its name in whatever case.
    fn value(&self, name: &str) -> Option<&str>;
    /// The names of all headers.
    fn names(&self) -> Vec<&str>;
}

/// The maps of the standard library, whose methods have the same names without a trait for them.
macro_rules! string_headers {
    ($map:ty $(, $hasher:ident)?) => {
        impl $(<$hasher: BuildHasher>)? StringHeaders for $map {
            fn put(&mut self, name: &str, value: String) {
                self.retain(|known, _| !known.eq_ignore_ascii_case(name));
                self.insert(name.to_owned(), value);
            }

            fn value(&self, name: &str) -> Option<&str> {
                let found = self.get(name).or_else(|| {
                    let mut headers = self.iter();
                    Some(headers.find(|(known, _)| known.eq_ignore_ascii_case(name))?.1)
                });
                found.map(String::as_str)
            }

            fn names(&self) -> Vec<&str> {
                self.keys().map(String::as_str).collect()
            }
        }
    };
}

string_headers!(HashMap<String, String, S>, S);
string_headers!(BTreeMap<String, String>);

/// Carrier over [`StringHeaders`]: give `&mut` headers to inject, `&` headers to extract.
#[derive(Debug)]
pub struct StringCarrier<H>(pub H);

impl<H: StringHeaders> Injector for StringCarrier<&mut H> {
    fn set(&mut self, name: &str, value: String) {
        self.0.put(name, value);
    }
}

impl<H: StringHeaders> Extractor for StringCarrier<&H> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.value(name).filter(|value| value.len() <= LONGEST_VALUE)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.names()
    }
}

/// Headers that are a list of names and bytes, where a name may stand several times.
pub trait ByteHeaders {
    /// Appends a header.
    fn append(&mut self, name: &str, value: Vec<u8>);
    /// Removes all headers of this name in whatever case.
    fn remove(&mut self, name: &str);
    /// All headers, in their order.
    fn entries(&self) -> impl Iterator<Item = (&str, &[u8])>;
}

impl ByteHeaders for Vec<(String, Vec<u8>)> {
    fn append(&mut self, name: &str, value: Vec<u8>) {
        self.push((name.to_owned(), value));
    }

    fn remove(&mut self, name: &str) {
        self.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }

    fn entries(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }
}

/// Carrier over [`ByteHeaders`]: give `&mut` headers to inject, `&` headers to extract.
///
/// Of several values under one name the last readable one counts, as in Kafka's own clients; a
/// value that is no UTF-8 is as if it were not there.
#[derive(Debug)]
pub struct ByteCarrier<H>(pub H);

impl<H: ByteHeaders> Injector for ByteCarrier<&mut H> {
    fn set(&mut self, name: &str, value: String) {
        self.0.remove(name);
        self.0.append(name, value.into_bytes());
    }
}

impl<H: ByteHeaders> Extractor for ByteCarrier<&H> {
    fn get(&self, name: &str) -> Option<&str> {
        self.get_all(name)?.last().copied()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.entries().map(|(name, _)| name).collect()
    }

    fn get_all(&self, name: &str) -> Option<Vec<&str>> {
        let values: Vec<_> = self
            .0
            .entries()
            .filter(|(known, value)| {
                known.eq_ignore_ascii_case(name) && value.len() <= LONGEST_VALUE
            })
            .filter_map(|(_, value)| std::str::from_utf8(value).ok())
            .collect();
        (!values.is_empty()).then_some(values)
    }
}
