//! What a collector wrote, one JSON object of OTLP a line, as a test wants to look at it.

use std::collections::BTreeMap;

use otel_testing::opentelemetry::trace::{SpanKind, Status};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// By name. Whole numbers are numbers, bytes are text in base 64, lists and maps as in JSON.
pub type Attributes = BTreeMap<String, Value>;

/// Who made it: an instrumentation.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Scope {
    /// The name of a library, as a rule.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What else it says of itself.
    #[serde(deserialize_with = "attributes")]
    pub attributes: Attributes,
}

/// A finished span. Ids are hexadecimal, in lower case.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// What the service says of itself.
    pub resource: Attributes,
    /// Who made it.
    pub scope: Scope,
    /// 32 digits.
    pub trace_id: String,
    /// 16 digits.
    pub span_id: String,
    /// 16 digits, or empty at a root.
    pub parent_id: String,
    /// Whether the parent is another process's.
    pub parent_is_remote: bool,
    /// The state of the trace.
    pub state: String,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: SpanKind,
    /// Nanoseconds since 1970.
    pub start: u64,
    /// Nanoseconds since 1970.
    pub end: u64,
    /// What it says.
    pub attributes: Attributes,
    /// The trace id and the span id of each link.
    pub links: Vec<(String, String)>,
    /// The name and the attributes of each event.
    pub events: Vec<(String, Attributes)>,
    /// How it ended.
    pub status: Status,
}

/// One metric of one export; later exports have later points of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// What the service says of itself.
    pub resource: Attributes,
    /// Who made it.
    pub scope: Scope,
    /// Its name.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// `sum`, `gauge`, `histogram`, `exponentialHistogram` or `summary`.
    pub kind: String,
    /// What was measured.
    pub points: Vec<Point>,
}

/// One point of a metric.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Point {
    /// What tells it from the others.
    pub attributes: Attributes,
    /// The value of a sum or gauge.
    pub value: Option<f64>,
    /// How many values a histogram has.
    pub count: Option<u64>,
    /// Their sum.
    pub sum: Option<f64>,
    /// All of it, for what is not said above.
    pub all: Value,
}

/// One log record.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// What the service says of itself.
    pub resource: Attributes,
    /// Who made it.
    pub scope: Scope,
    /// `INFO`, as a rule.
    pub severity: String,
    /// The text, or a map.
    pub body: Value,
    /// What else it says.
    pub attributes: Attributes,
    /// 32 digits, or empty outside of a trace.
    pub trace_id: String,
    /// 16 digits, or empty outside of a span.
    pub span_id: String,
}

/// One line of any of the three files.
#[allow(clippy::struct_field_names, reason = "they are named by OTLP")]
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Line {
    resource_spans: Vec<Group>,
    resource_metrics: Vec<Group>,
    resource_logs: Vec<Group>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Group {
    resource: Resource,
    scope_spans: Vec<Scoped>,
    scope_metrics: Vec<Scoped>,
    scope_logs: Vec<Scoped>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Resource {
    #[serde(deserialize_with = "attributes")]
    attributes: Attributes,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Scoped {
    scope: Scope,
    spans: Vec<RawSpan>,
    metrics: Vec<BTreeMap<String, Value>>,
    log_records: Vec<RawLog>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawSpan {
    trace_id: String,
    span_id: String,
    parent_span_id: String,
    trace_state: String,
    flags: u32,
    name: String,
    kind: u8,
    start_time_unix_nano: Value,
    end_time_unix_nano: Value,
    #[serde(deserialize_with = "attributes")]
    attributes: Attributes,
    links: Vec<RawLink>,
    events: Vec<RawEvent>,
    status: RawStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawLink {
    trace_id: String,
    span_id: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawEvent {
    name: String,
    #[serde(deserialize_with = "attributes")]
    attributes: Attributes,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawStatus {
    code: u8,
    message: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawLog {
    severity_text: String,
    body: Value,
    #[serde(deserialize_with = "attributes")]
    attributes: Attributes,
    trace_id: String,
    span_id: String,
}

impl Line {
    pub(crate) fn add_to(
        self,
        spans: &mut Vec<Span>,
        metrics: &mut Vec<Metric>,
        logs: &mut Vec<Log>,
    ) {
        for group in self.resource_spans {
            for Scoped { scope, spans: raw, .. } in group.scope_spans {
                spans.extend(raw.into_iter().map(|it| it.of(&group.resource, &scope)));
            }
        }
        for group in self.resource_metrics {
            for Scoped { scope, metrics: raw, .. } in group.scope_metrics {
                metrics.extend(raw.into_iter().map(|it| metric(it, &group.resource, &scope)));
            }
        }
        for group in self.resource_logs {
            for Scoped { scope, log_records: raw, .. } in group.scope_logs {
                logs.extend(raw.into_iter().map(|it| it.of(&group.resource, &scope)));
            }
        }
    }
}

impl RawSpan {
    fn of(self, resource: &Resource, scope: &Scope) -> Span {
        Span {
            resource: resource.attributes.clone(),
            scope: scope.clone(),
            trace_id: self.trace_id,
            span_id: self.span_id,
            parent_id: self.parent_span_id,
            // SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK
            parent_is_remote: self.flags & 0x200 != 0,
            state: self.trace_state,
            name: self.name,
            kind: match self.kind {
                2 => SpanKind::Server,
                3 => SpanKind::Client,
                4 => SpanKind::Producer,
                5 => SpanKind::Consumer,
                _ => SpanKind::Internal,
            },
            start: whole(&self.start_time_unix_nano).unwrap_or_default(),
            end: whole(&self.end_time_unix_nano).unwrap_or_default(),
            attributes: self.attributes,
            links: self.links.into_iter().map(|link| (link.trace_id, link.span_id)).collect(),
            events: self.events.into_iter().map(|it| (it.name, it.attributes)).collect(),
            status: match self.status.code {
                1 => Status::Ok,
                2 => Status::error(self.status.message),
                _ => Status::Unset,
            },
        }
    }
}

impl RawLog {
    fn of(self, resource: &Resource, scope: &Scope) -> Log {
        Log {
            resource: resource.attributes.clone(),
            scope: scope.clone(),
            severity: self.severity_text,
            body: plain(&self.body),
            attributes: self.attributes,
            trace_id: self.trace_id,
            span_id: self.span_id,
        }
    }
}

fn metric(mut raw: BTreeMap<String, Value>, resource: &Resource, scope: &Scope) -> Metric {
    let mut text = |name| match raw.remove(name) {
        Some(Value::String(text)) => text,
        _ => String::new(),
    };
    let (name, unit) = (text("name"), text("unit"));
    let (kind, mut data) = raw.into_iter().find(|(_, data)| data.is_object()).unwrap_or_default();
    let points = match data.get_mut("dataPoints").map(Value::take) {
        Some(Value::Array(points)) => points.into_iter().map(point).collect(),
        _ => Vec::new(),
    };
    Metric { resource: resource.attributes.clone(), scope: scope.clone(), name, unit, kind, points }
}

fn point(all: Value) -> Point {
    let attributes = all["attributes"].as_array().map(Vec::as_slice).unwrap_or_default();
    #[allow(clippy::cast_precision_loss, reason = "a test's numbers are small")]
    let value = match &all["asInt"] {
        Value::Null => all["asDouble"].as_f64(),
        int => signed(int).map(|int| int as f64),
    };
    Point {
        attributes: attributes.iter().filter_map(pair).collect(),
        value,
        count: whole(&all["count"]),
        sum: all["sum"].as_f64(),
        all,
    }
}

fn attributes<'de, D: Deserializer<'de>>(from: D) -> Result<Attributes, D::Error> {
    Ok(Vec::<Value>::deserialize(from)?.iter().filter_map(pair).collect())
}

fn pair(pair: &Value) -> Option<(String, Value)> {
    Some((pair["key"].as_str()?.to_owned(), plain(&pair["value"])))
}

/// `{"intValue": "7"}` is 7.
fn plain(value: &Value) -> Value {
    let Some((kind, value)) = value.as_object().and_then(|it| it.iter().next()) else {
        return Value::Null;
    };
    let values = value["values"].as_array().map(Vec::as_slice).unwrap_or_default();
    match kind.as_str() {
        "intValue" => signed(value).map_or(Value::Null, Value::from),
        "arrayValue" => values.iter().map(plain).collect(),
        "kvlistValue" => Value::Object(values.iter().filter_map(pair).collect()),
        _ => value.clone(),
    }
}

/// 64 bits are text in JSON, but not from everybody.
fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn signed(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}
