//! Spans as an exporter sees them: batch by batch.

use std::io::Write;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use super::output::Output;
use super::span::{name_service, service};
use super::style::Style;

/// Prints the spans of each batch, grouped by trace: for a batch processor that others share, and for
/// tests.
///
/// An exporter only hears of spans that have ended, so a trace that is longer than the delay of the
/// batch is printed in parts. [`Waterfall`](super::Waterfall) hears of starts, too, and prints whole
/// traces.
#[derive(Debug)]
pub struct WaterfallExporter {
    output: Output,
    service: Option<String>,
}

impl WaterfallExporter {
    pub(crate) fn new() -> Self {
        Self { output: Output::stdout(), service: None }
    }

    /// Prints to this writer, in this style, and not to standard output.
    pub fn to(self, writer: impl Write + Send + 'static, style: Style) -> Self {
        Self { output: Output::to(writer, style), ..self }
    }
}

impl SpanExporter for WaterfallExporter {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        for span in &mut batch {
            name_service(span, self.service.as_deref());
        }
        self.output.write(&super::render(&batch, &self.output.style))
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.service = service(resource);
    }
}
