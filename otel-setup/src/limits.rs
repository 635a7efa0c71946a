//! `OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT`, which the SDK does not know.

use std::time::Duration;

use opentelemetry::{Array, KeyValue, StringValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

/// Cuts the texts of attributes before they are exported: on the exporter's thread, not on that of
/// the application.
#[derive(Debug)]
pub(crate) struct Cut<E> {
    exporter: E,
    length: Option<usize>,
}

impl<E> Cut<E> {
    pub(crate) fn new(exporter: E, length: Option<usize>) -> Self {
        Self { exporter, length }
    }
}

impl<E: SpanExporter> SpanExporter for Cut<E> {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        if let Some(length) = self.length {
            for span in &mut batch {
                cut_span(span, length);
            }
        }
        self.exporter.export(batch).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

fn cut_span(span: &mut SpanData, length: usize) {
    let of_events = span.events.events.iter_mut().map(|event| &mut event.attributes);
    let of_links = span.links.links.iter_mut().map(|link| &mut link.attributes);
    for attribute in of_events.chain(of_links).chain([&mut span.attributes]).flatten() {
        cut_attribute(attribute, length);
    }
}

fn cut_attribute(attribute: &mut KeyValue, length: usize) {
    match &mut attribute.value {
        Value::String(text) => cut(text, length),
        Value::Array(Array::String(texts)) => texts.iter_mut().for_each(|text| cut(text, length)),
        _ => {}
    }
}

/// The specification counts characters.
fn cut(text: &mut StringValue, length: usize) {
    if let Some((end, _)) = text.as_str().char_indices().nth(length) {
        *text = text.as_str()[..end].to_owned().into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters_and_nothing_else_is() {
        let cut = |value: Value, length| {
            let mut attribute = KeyValue::new("key", value);
            cut_attribute(&mut attribute, length);
            attribute.value
        };
        assert_eq!(cut("añob".into(), 3), "año".into());
        assert_eq!(cut("año".into(), 3), "año".into());
        assert_eq!(cut("año".into(), 0), "".into());
        assert_eq!(cut(1234.into(), 1), 1234.into());
        let texts = |texts: [&'static str; 2]| {
            Value::Array(Array::String(texts.into_iter().map(Into::into).collect()))
        };
        assert_eq!(cut(texts(["abc", "d"]), 2), texts(["ab", "d"]));
    }
}
