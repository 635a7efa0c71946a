//! The propagation formats of the W3C: <https://www.w3.org/TR/trace-context-2/> and
//! <https://www.w3.org/TR/baggage/>.
//!
//! The official propagators take malformed ids for valid, and change what baggage says: see
//! RATIONALE.md.

use std::borrow::Cow;
use std::fmt::Write as _;

use opentelemetry::Context;
use opentelemetry::baggage::{BaggageExt as _, KeyValueMetadata};
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

const PARENT: &str = "traceparent";
const STATE: &str = "tracestate";
const BAGGAGE: &str = "baggage";

/// The flags that are defined: sampled, and that the trace's id is random. The others are to be
/// zero.
const FLAGS: TraceFlags = TraceFlags::new(0b11);

/// The most members of a `tracestate`.
const MOST_STATES: usize = 32;

/// What every platform carries of baggage, and this one no more, in bytes. That it is no more than
/// 64 members sees [`opentelemetry::baggage::Baggage`] to.
const LONGEST_BAGGAGE: usize = 8192;

/// Optional white space.
const BLANK: [char; 2] = [' ', '\t'];

/// A trace goes on by `traceparent` and `tracestate`.
#[derive(Debug)]
pub(crate) struct TraceContext {
    fields: [String; 2],
}

impl TraceContext {
    pub(crate) fn new() -> Self {
        Self { fields: [PARENT, STATE].map(ToOwned::to_owned) }
    }
}

impl TextMapPropagator for TraceContext {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        let span = context.span();
        let span = span.span_context();
        if !span.is_valid() {
            return;
        }
        let (trace, id, flags) = (span.trace_id(), span.span_id(), span.trace_flags() & FLAGS);
        injector.set(PARENT, format!("00-{trace}-{id}-{flags:02x}"));
        let mut state = String::new();
        for (key, value) in span.trace_state().into_iter().filter(is_member).take(MOST_STATES) {
            // Writing to a `String` cannot fail.
            let _ = write!(state, "{}{key}={value}", if state.is_empty() { "" } else { "," });
        }
        if !state.is_empty() {
            injector.set(STATE, state);
        }
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let parent = extractor.get(PARENT).and_then(parse_parent);
        let Some((trace, span, flags)) = parent else { return context.clone() };
        let state = listed(extractor, STATE).map(|list| parse_state(&list)).unwrap_or_default();
        context.with_remote_span_context(SpanContext::new(trace, span, flags, true, state))
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.fields)
    }
}

/// `{version}-{trace}-{span}-{flags}`. A version of the future may have more behind it.
fn parse_parent(header: &str) -> Option<(TraceId, SpanId, TraceFlags)> {
    let (known, more) = header.trim_matches(BLANK).split_at_checked(55)?;
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let mut fields = known.split('-');
    let mut field = |length| {
        fields.next().filter(|text: &&str| text.len() == length && text.bytes().all(is_digit))
    };
    let (version, trace, span, flags) = (field(2)?, field(32)?, field(16)?, field(2)?);
    if version == "ff" || !(more.is_empty() || version != "00" && more.starts_with('-')) {
        return None;
    }
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & FLAGS;
    (trace != TraceId::INVALID && span != SpanId::INVALID).then_some((trace, span, flags))
}

/// A list with a member that is none is no list.
fn parse_state(list: &str) -> TraceState {
    let members = list.split(',').map(|member| member.trim_matches(BLANK));
    let members = members.filter(|member| !member.is_empty());
    let pairs = members.map(|member| member.split_once('=').filter(is_member));
    let Some(pairs) = pairs.collect::<Option<Vec<_>>>().filter(|all| all.len() <= MOST_STATES)
    else {
        return TraceState::NONE;
    };
    TraceState::from_key_value(pairs.iter().copied()).unwrap_or_else(|_| {
        // OpenTelemetry's type has no place for some keys that the format allows.
        let fits = |pair: &&(&str, &str)| TraceState::from_key_value([**pair]).is_ok();
        TraceState::from_key_value(pairs.iter().filter(fits).copied()).unwrap_or_default()
    })
}

fn is_member((key, value): &(&str, &str)) -> bool {
    let in_key =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/@".contains(&byte);
    let in_value = |byte: u8| matches!(byte, b' '..=b'~') && byte != b',' && byte != b'=';
    (1..=256).contains(&key.len())
        && key.bytes().all(in_key)
        && key.starts_with(|first: char| first.is_ascii_alphanumeric())
        && (1..=256).contains(&value.len())
        && value.bytes().all(in_value)
        && !value.ends_with(' ')
}

/// All headers of a name, which are one list, in their order. An empty one adds nothing.
fn listed<'h>(extractor: &'h dyn Extractor, name: &str) -> Option<Cow<'h, str>> {
    let mut all = extractor.get_all(name)?;
    all.retain(|header| !header.trim_matches(BLANK).is_empty());
    match *all {
        [] => None,
        [one] => Some(Cow::Borrowed(one)),
        _ => Some(Cow::Owned(all.join(","))),
    }
}

/// What is to be percent-encoded in a value. Of `=` the format does not ask it, but readers that cut
/// a value there are about.
const IN_VALUE: &AsciiSet = &IN_PROPERTIES.add(b';').add(b'=').add(b'%');

/// The same of properties, whose separators and encoded characters are their own.
const IN_PROPERTIES: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b',').add(b'\\');

/// Names and values go along, by `baggage`.
#[derive(Debug)]
pub(crate) struct Baggage {
    fields: [String; 1],
}

impl Baggage {
    pub(crate) fn new() -> Self {
        Self { fields: [BAGGAGE.to_owned()] }
    }
}

impl TextMapPropagator for Baggage {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        let mut header = String::new();
        for (key, (value, properties)) in context.baggage() {
            let before = header.len();
            let comma = if header.is_empty() { "" } else { "," };
            let value = utf8_percent_encode(value.as_str(), IN_VALUE);
            // Writing to a `String` cannot fail.
            let _ = write!(header, "{comma}{key}={value}");
            if !properties.as_str().is_empty() {
                let encoded = utf8_percent_encode(properties.as_str(), IN_PROPERTIES);
                let _ = write!(header, ";{encoded}");
            }
            // Members are left out whole.
            if header.len() > LONGEST_BAGGAGE {
                header.truncate(before);
            }
        }
        if !header.is_empty() {
            injector.set(BAGGAGE, header);
        }
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let Some(header) = listed(extractor, BAGGAGE) else { return context.clone() };
        let mut length = 0;
        let is_within = |member: &&str| {
            length += member.len() + 1;
            length <= LONGEST_BAGGAGE + 1
        };
        let members = header.split(',').take_while(is_within).filter_map(parse_member);
        context.with_baggage(members)
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.fields)
    }
}

/// `{key}={value};{properties}`. Properties mean nothing here: they stay as they are written. A key
/// that is no token is refused by [`opentelemetry::baggage::Baggage`].
fn parse_member(member: &str) -> Option<KeyValueMetadata> {
    let (pair, properties) = member.split_once(';').unwrap_or((member, ""));
    let (key, value) = pair.split_once('=')?;
    let value = percent_decode_str(value.trim_matches(BLANK)).decode_utf8_lossy();
    let properties = properties.trim_matches(BLANK);
    Some(KeyValueMetadata::new(key.trim_matches(BLANK).to_owned(), value.into_owned(), properties))
}
