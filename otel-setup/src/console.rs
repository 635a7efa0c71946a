//! Telemetry on a terminal, for who develops a service and wants to see what it emits, now.
//!
//! Traces are trees with bars on a time axis, metrics a small table, log records lines:
//!
//! ```text
//! trace 0af7651916cd43dd8448eb211c80319c · 12.3 ms · 4 spans · shop
//! ━ critical path                     0           12.3 ms
//! POST /orders       server   12.3 ms ━───────────────━━━
//! ├ BEGIN            client   1.20 ms  ━━
//! └ INSERT orders ×2 client   8.90 ms    ━━━━━━━━━━━━━
//! ```
//!
//! Everything goes to standard output, as from OpenTelemetry's own console exporter: the terminal of a
//! service belongs to its telemetry then, and `2>` still separates what the service itself complains
//! about. `to` sends it elsewhere, or to standard output in another [`Style`].
//!
//! What is shown came from strangers: control characters, marks of direction and letters without width
//! are shown escaped, and every line of a trace or table ends at the width of the terminal.

mod collect;
mod exporter;
mod logs;
mod metrics;
mod output;
mod percentile;
pub(crate) mod span;
mod style;
pub(crate) mod text;
pub(crate) mod tree;
mod waterfall;

use std::collections::HashMap;

use opentelemetry_sdk::trace::SpanData;

pub use self::collect::Waterfall;
pub use self::exporter::WaterfallExporter;
pub use self::logs::LogLines;
pub use self::metrics::MetricsTable;
pub(crate) use self::output::UNWRITABLE;
pub use self::style::Style;
use self::tree::{Seen, Tree};

/// A span processor that prints each trace when it is finished: as soon as none of its spans is open
/// in this process. See [`Waterfall`].
pub fn spans() -> Waterfall {
    Waterfall::new()
}

/// A span exporter that prints the spans of each batch, by trace. See [`WaterfallExporter`].
pub fn exporter() -> WaterfallExporter {
    WaterfallExporter::new()
}

/// A metric exporter that prints each export as a table. See [`MetricsTable`].
pub fn metrics() -> MetricsTable {
    MetricsTable::new()
}

/// A log exporter that prints a line for each record. See [`LogLines`].
pub fn logs() -> LogLines {
    LogLines::new()
}

/// Spans as text, each trace a tree, in the order in which the traces started.
///
/// The result is what [`spans`] prints: whole lines, each at most as wide as the style says, with no
/// control characters but line ends and, if the style has colors, SGR commands. Nothing that spans
/// hold makes it panic: neither circles of parents nor times that go backwards. At most 500 rows are
/// drawn of a trace; the last line tells of the others.
///
/// Span data do not hold their resource: where traces cross services, the attribute `service.name` of
/// a span tells its own. [`Waterfall`] takes it from the provider's resource.
pub fn render(spans: &[SpanData], style: &Style) -> String {
    let mut traces = Vec::new();
    let mut known = HashMap::new();
    for span in spans {
        let id = span.span_context.trace_id();
        let at = *known.entry(id).or_insert_with(|| {
            traces.push((id, Vec::new()));
            traces.len() - 1
        });
        traces[at].1.push(Seen::new(span));
    }
    let mut trees: Vec<_> =
        traces.into_iter().map(|(id, spans)| (id, Tree::new(spans, None))).collect();
    trees.sort_by_key(|(_, tree)| tree.whole.start);
    let drawn = trees.iter().map(|(id, tree)| waterfall::draw(*id, tree, 0, *style));
    drawn.collect::<Vec<_>>().join("\n")
}
