//! What the page is told: rows that are ready to be drawn.
//!
//! The tree is made here, by the code that draws the console's: the script of the page never follows a
//! parent that a stranger named.

use std::collections::HashMap;

use opentelemetry::KeyValue;
use opentelemetry::trace::{Link, SpanId, SpanKind, Status, TraceId};
use opentelemetry_sdk::trace::SpanData;
use serde_json::{Value, json};

use super::{Kept, Trace, file};
use crate::console::span::only_link;
use crate::console::text::{self, clip};
use crate::console::tree::{Interval, Row, Seen, Tree, What};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Parts of the width of a trace: closer than one of them, two bars are one.
const FINEST: i128 = 1000;
/// Of the axis.
const TICKS: i128 = 4;

pub(super) fn page(kept: &Kept) -> String {
    let mut guests: HashMap<TraceId, Vec<SpanData>> = HashMap::new();
    for (home, span) in kept.in_order().filter_map(|(_, trace)| guest(kept, trace)) {
        guests.entry(home).or_default().push(span);
    }
    let own = kept.in_order().filter(|(_, trace)| guest(kept, trace).is_none());
    let traces = own.map(|(id, kept)| trace(id, kept, guests.get(&id).map_or(&[], Vec::as_slice)));
    let traces: Vec<_> = traces.collect();
    let data = json!({ "dropped": kept.dropped_traces, "traces": traces }).to_string();
    // Within the element, nothing may look like its end or a comment to the parser of the page.
    let data = data.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
    // A script that gets into the page all the same cannot know the number without which it is not run.
    let nonce = format!("{:016x}{:016x}", file::chance(), file::chance());
    let filled = PAGE.split('{').map(|part| {
        let filling =
            [("nonce}", &nonce[..]), ("style}", STYLE), ("script}", SCRIPT), ("data}", &data)];
        let filling =
            filling.into_iter().find_map(|(name, text)| Some((text, part.strip_prefix(name)?)));
        filling.map_or_else(|| part.to_owned(), |(text, rest)| text.to_owned() + rest)
    });
    filled.collect()
}

/// The only span of a trace, if it is drawn where its link leads.
fn guest(kept: &Kept, trace: &Trace) -> Option<(TraceId, SpanData)> {
    let (home, parent_span_id) = only_link(&trace.spans)?;
    let host = kept.traces.get(&home).filter(|host| only_link(&host.spans).is_none())?;
    let is_here = host.spans.iter().any(|span| span.span_context.span_id() == parent_span_id);
    let span = trace.spans.first().filter(|_| is_here)?;
    Some((home, SpanData { parent_span_id, ..span.clone() }))
}

fn trace(id: TraceId, kept: &Trace, guests: &[SpanData]) -> Value {
    let spans = || kept.spans.iter().chain(guests);
    let tree = Tree::new(spans().map(Seen::new).collect(), None);
    let (rows, _) = tree.rows(true, usize::MAX);
    let name = |span: &SpanData| (span.span_context.span_id(), shown(&span.name));
    let names = Names { trace: id, spans: spans().map(name).collect() };
    let length = tree.whole.length();
    let start = spans().map(|span| span.start_time).min();
    json!({
        "id": id.to_string(),
        "clock": start.map(text::clock),
        "duration": text::duration(length, true),
        "length": number(length.max(1)),
        "ticks": (0..=TICKS).map(|at| text::duration(length * at / TICKS, true)).collect::<Vec<_>>(),
        "dropped": kept.dropped,
        "rows": rows.iter().map(|one| row(&tree, &names, one)).collect::<Vec<_>>(),
    })
}

/// Of the spans of a trace, for links within it.
struct Names {
    trace: TraceId,
    spans: HashMap<SpanId, String>,
}

fn row(tree: &Tree<'_>, names: &Names, row: &Row) -> Value {
    let at = match &row.what {
        What::Mark(node) => return json!({ "depth": row.depth, "name": tree.mark(*node) }),
        What::Span(at) => *at,
        What::Fold(spans) => return fold(tree, row.depth, spans),
    };
    let span = tree.spans[at];
    let data = span.data;
    let message = match &data.status {
        Status::Error { description } => shown(description),
        _ => String::new(),
    };
    let start = text::nanoseconds(data.start_time);
    let back = start - text::nanoseconds(data.end_time);
    let back = (back > 0).then(|| format!("ends {} before it starts", text::duration(back, true)));
    let events = data.events.iter().map(|event| {
        let after = (text::nanoseconds(event.timestamp) - start).max(0);
        json!([shown(&event.name), text::duration(after, true), pairs(event.attributes.iter())])
    });
    let from = tree.times[at].start - tree.whole.start;
    let scope = &data.instrumentation_scope;
    let own = data.span_context.trace_id();
    let mut value = head(tree, row.depth, at);
    let more = json!({
        "id": data.span_context.span_id().to_string(),
        "parentId": (data.parent_span_id != SpanId::INVALID).then(|| data.parent_span_id.to_string()),
        // Of a span that is drawn here for its link.
        "trace": (own != names.trace).then(|| own.to_string()),
        "name": shown(&data.name),
        "duration": text::duration(tree.times[at].length(), true),
        "from": text::duration(from, true),
        "bars": parts(tree, std::iter::once(tree.times[at])),
        "critical": parts(tree, tree.critical[at].iter().copied()),
        "error": span.is_error().then(|| span.error_type().map(shown)),
        "message": message,
        "note": back.or_else(|| tree.note(at).map(ToOwned::to_owned)),
        "attributes": pairs(span.attributes()),
        "events": events.collect::<Vec<_>>(),
        "links": data.links.iter().map(|one| link(names, one)).collect::<Vec<_>>(),
        "scope": shown(&format!("{} {}", scope.name(), scope.version().unwrap_or_default())),
    });
    merge(&mut value, more);
    value
}

/// What a row of spans that look the same says, before their own.
fn fold(tree: &Tree<'_>, depth: usize, spans: &[usize]) -> Value {
    let Some(&first) = spans.first() else { return Value::Null };
    let times = spans.iter().map(|&at| tree.times[at].length());
    let shown_time = |time: Option<i128>| text::duration(time.unwrap_or(0), true);
    let (least, most) = (shown_time(times.clone().min()), shown_time(times.clone().max()));
    let mut value = head(tree, depth, first);
    let critical = spans.iter().flat_map(|&at| tree.critical[at].iter().copied());
    let more = json!({
        "fold": true,
        "times": spans.len(),
        "name": shown(&tree.spans[first].data.name),
        "duration": text::duration(times.sum(), true),
        "attributes": [["fastest", least], ["slowest", most]],
        "from": text::duration(tree.times[first].start - tree.whole.start, true),
        "bars": parts(tree, spans.iter().map(|&at| tree.times[at])),
        "critical": parts(tree, critical),
    });
    merge(&mut value, more);
    value
}

fn head(tree: &Tree<'_>, depth: usize, at: usize) -> Value {
    let span = tree.spans[at];
    let kind = match span.data.span_kind {
        SpanKind::Client => "client",
        SpanKind::Server => "server",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
        SpanKind::Internal => "internal",
    };
    let service = span.service.map(shown).unwrap_or_default();
    json!({ "depth": depth, "kind": kind, "service": service, "failed": span.is_error() })
}

fn merge(value: &mut Value, more: Value) {
    if let (Value::Object(value), Value::Object(more)) = (value, more) {
        value.extend(more);
    }
}

/// Start and length of each, with those joined that nobody could tell apart.
fn parts(tree: &Tree<'_>, parts: impl Iterator<Item = Interval>) -> Vec<Value> {
    let mut parts: Vec<_> = parts.collect();
    parts.sort_by_key(|part| part.start);
    let mut joined: Vec<Interval> = Vec::new();
    for part in parts {
        match joined.last_mut() {
            Some(last) if part.start - last.end <= tree.whole.length() / FINEST => {
                last.end = last.end.max(part.end);
            }
            _ => joined.push(part),
        }
    }
    let shown =
        |part: Interval| json!([number(part.start - tree.whole.start), number(part.length())]);
    joined.into_iter().map(shown).collect()
}

fn link(names: &Names, link: &Link) -> Value {
    let (trace, id) = (link.span_context.trace_id(), link.span_context.span_id());
    let name = names.spans.get(&id).filter(|_| trace == names.trace);
    json!([trace.to_string(), id.to_string(), name, pairs(link.attributes.iter())])
}

fn pairs<'k>(attributes: impl Iterator<Item = &'k KeyValue>) -> Vec<Value> {
    attributes
        .map(|known| json!([shown(known.key.as_str()), shown(&known.value.as_str())]))
        .collect()
}

/// What cannot be seen is shown escaped, but for line ends: values of several lines stay so.
fn shown(text: &str) -> String {
    text.split('\n').map(|line| clip(line, usize::MAX, true)).collect::<Vec<_>>().join("\n")
}

/// A float is what the script makes of it anyway.
#[expect(clippy::cast_precision_loss, reason = "a thousandth of a trace is a pixel")]
fn number(nanoseconds: i128) -> f64 {
    nanoseconds as f64
}
