//! Spans on their way to a terminal or a page: whose they are, and no longer than anybody reads.

use std::borrow::Cow;

use opentelemetry::trace::{SpanId, SpanKind, Status, TraceId};
use opentelemetry::{Array, Key, KeyValue, StringValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;

/// The attribute of a resource, and here of a span, that tells the service.
pub(crate) const SERVICE: &str = "service.name";

/// Attributes, events, links; values of a list. The SDK's own limits are half of it, but may be set.
const MANY: usize = 256;

/// The service of a provider, if somebody named it.
pub(crate) fn service(resource: &Resource) -> Option<String> {
    let name = resource.get(&Key::from_static_str(SERVICE))?.as_str().into_owned();
    // What the SDK calls a service without a name.
    (!name.starts_with("unknown_service")).then_some(name)
}

/// Span data do not hold their resource: an attribute says whose they are, unless one does.
pub(crate) fn name_service(span: &mut SpanData, service: Option<&str>) {
    let is_named = span.attributes.iter().any(|known| known.key.as_str() == SERVICE);
    if let Some(service) = service.filter(|_| !is_named) {
        span.attributes.push(KeyValue::new(SERVICE, service.to_owned()));
    }
}

/// Of a trace, the one span that its only span links to: it is drawn there.
pub(crate) fn only_link(trace: &[SpanData]) -> Option<(TraceId, SpanId)> {
    let [span] = trace else { return None };
    let [link] = &span.links[..] else { return None };
    let is_guest = span.parent_span_id == SpanId::INVALID && span.span_kind != SpanKind::Producer;
    is_guest.then(|| (link.span_context.trace_id(), link.span_context.span_id()))
}

/// Cuts texts to `longest` bytes and lists to what a span normally has: what is kept for show is
/// bounded, whatever it is sent.
pub(crate) fn shrink(span: &mut SpanData, longest: usize) {
    if let Some(short) = shortened(&span.name, longest) {
        span.name = Cow::Owned(short);
    }
    let dropped = span.attributes.len().saturating_sub(MANY);
    span.dropped_attributes_count += u32::try_from(dropped).unwrap_or(u32::MAX);
    span.events.events.truncate(MANY);
    span.links.links.truncate(MANY);
    shrink_all(&mut span.attributes, longest);
    for event in &mut span.events.events {
        if let Some(short) = shortened(&event.name, longest) {
            event.name = Cow::Owned(short);
        }
        shrink_all(&mut event.attributes, longest);
    }
    for link in &mut span.links.links {
        shrink_all(&mut link.attributes, longest);
    }
    if let Status::Error { description } = &mut span.status
        && let Some(short) = shortened(description, longest)
    {
        *description = Cow::Owned(short);
    }
}

/// About how many bytes a span takes.
pub(crate) fn weight(span: &SpanData) -> usize {
    let texts = |attributes: &[KeyValue]| {
        let one = |known: &KeyValue| {
            let value = match &known.value {
                Value::String(text) => text.as_str().len(),
                Value::Array(Array::String(list)) => {
                    list.iter().map(|text| size_of::<StringValue>() + text.as_str().len()).sum()
                }
                Value::Array(_) => MANY * size_of::<f64>(),
                _ => 0,
            };
            size_of::<KeyValue>() + known.key.as_str().len() + value
        };
        attributes.iter().map(one).sum::<usize>()
    };
    let events = span.events.iter().map(|event| event.name.len() + texts(&event.attributes) + 64);
    let links = span.links.iter().map(|link| texts(&link.attributes) + 64);
    let own = size_of::<SpanData>() + span.name.len() + texts(&span.attributes);
    own + events.sum::<usize>() + links.sum::<usize>()
}

fn shrink_all(attributes: &mut Vec<KeyValue>, longest: usize) {
    attributes.truncate(MANY);
    for known in attributes {
        if let Some(short) = shortened(known.key.as_str(), longest) {
            known.key = Key::new(short);
        }
        match &mut known.value {
            Value::String(text) => shrink_text(text, longest),
            Value::Array(Array::Bool(list)) => list.truncate(MANY),
            Value::Array(Array::I64(list)) => list.truncate(MANY),
            Value::Array(Array::F64(list)) => list.truncate(MANY),
            Value::Array(Array::String(list)) => {
                list.truncate(MANY);
                for text in list {
                    shrink_text(text, longest / MANY + 16);
                }
            }
            _ => {}
        }
    }
}

fn shrink_text(text: &mut StringValue, longest: usize) {
    if let Some(short) = shortened(text.as_str(), longest) {
        *text = short.into();
    }
}

fn shortened(text: &str, longest: usize) -> Option<String> {
    // No letter is longer than four bytes.
    let cut = || (0..=longest).rev().take(4).find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    (text.len() > longest).then(|| format!("{}…", &text[..cut()]))
}
