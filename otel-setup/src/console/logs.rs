//! Log records as lines.

use std::io::Write;

use opentelemetry::logs::{AnyValue, Severity};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter, SdkLogRecord};

use super::output::Output;
use super::style::{BOLD, DIM, RED, Style};
use super::text::{self, clip};

/// Of a body, and of an attribute.
const BODY: usize = 4096;
const ATTRIBUTE: usize = 512;
/// Of lists and maps within each other.
const DEPTH: usize = 4;

/// Prints a line for each record: time of day in UTC, severity, target, body, attributes, and the ids
/// of trace and span where the record has them.
///
/// A line is as long as it must be, since who reads logs searches them; but a body ends after 4096
/// columns, an attribute after 512, and a line end within a record is shown as `\n`.
#[derive(Debug)]
pub struct LogLines {
    output: Output,
}

impl LogLines {
    pub(crate) fn new() -> Self {
        Self { output: Output::stdout() }
    }

    /// Prints to this writer, in this style, and not to standard output.
    pub fn to(self, writer: impl Write + Send + 'static, style: Style) -> Self {
        Self { output: Output::to(writer, style) }
    }
}

impl LogExporter for LogLines {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let lines: String =
            batch.iter().map(|(record, _)| line(record, self.output.style) + "\n").collect();
        self.output.write(&lines)
    }
}

fn line(record: &SdkLogRecord, style: Style) -> String {
    let clip = |text: &str, columns| clip(text, columns, style.unicode);
    let time = record.timestamp().or_else(|| record.observed_timestamp()).map(text::clock);
    let severity = record.severity_number();
    let shown = record.severity_text().or_else(|| severity.map(|severity| severity.name()));
    let color = match severity {
        Some(severity) if severity >= Severity::Error => RED,
        Some(severity) if severity >= Severity::Warn => "33",
        Some(severity) if severity >= Severity::Info => "32",
        _ => DIM,
    };
    let mut line = style.paint(DIM, &time.unwrap_or_else(|| "-".to_owned()));
    line += " ";
    line += &style.paint(color, &text::left(&clip(shown.unwrap_or("-"), 12), 5));
    if let Some(target) = record.target().filter(|target| !target.is_empty()) {
        line += " ";
        line += &style.paint(DIM, &format!("{}:", clip(target, ATTRIBUTE)));
    }
    if let Some(name) = record.event_name().filter(|_| record.body().is_none()) {
        line += " ";
        line += &clip(name, ATTRIBUTE);
    }
    if let Some(body) = record.body() {
        line += " ";
        line += &style.paint(BOLD, &clip(&shown_value(body, DEPTH), BODY));
    }
    for (key, value) in record.attributes_iter() {
        let key = clip(key.as_str(), ATTRIBUTE);
        line += " ";
        line += &key;
        line += "=";
        line += &clip(&shown_value(value, DEPTH), ATTRIBUTE);
    }
    if let Some(context) = record.trace_context() {
        let ids = format!("trace={} span={}", context.trace_id, context.span_id);
        line += " ";
        line += &style.paint(DIM, &ids);
    }
    line
}

fn shown_value(value: &AnyValue, depth: usize) -> String {
    match value {
        AnyValue::Int(value) => value.to_string(),
        AnyValue::Double(value) => value.to_string(),
        AnyValue::Boolean(value) => value.to_string(),
        // What is cut off is not copied.
        AnyValue::String(value) => value.as_str().chars().take(BODY + 1).collect(),
        AnyValue::Bytes(value) => format!("({} bytes)", value.len()),
        AnyValue::ListAny(list) if depth > 0 => {
            let values = list.iter().take(BODY).map(|value| shown_value(value, depth - 1));
            format!("[{}]", values.collect::<Vec<_>>().join(", "))
        }
        AnyValue::Map(map) if depth > 0 => {
            let mut entries: Vec<_> = map.iter().take(BODY).collect();
            entries.sort_by_key(|(key, _)| key.as_str());
            let shown = |(key, value): (&opentelemetry::Key, &AnyValue)| {
                format!("{key}: {}", shown_value(value, depth - 1))
            };
            format!("{{{}}}", entries.into_iter().map(shown).collect::<Vec<_>>().join(", "))
        }
        _ => "…".to_owned(),
    }
}
