//! What tests emitted, read from the files that `OTEL_TEST_EXPORT` made: OTLP in JSON, an object a
//! line.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// By name.
pub(crate) type Attributes = BTreeMap<String, Value>;

/// What one instrumentation emitted.
#[derive(Debug, Default)]
pub(crate) struct Emitted {
    pub(crate) spans: Vec<Span>,
    pub(crate) points: Vec<Point>,
}

/// Who emitted something.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Origin {
    /// The test's binary.
    pub(crate) suite: String,
    pub(crate) test: String,
    /// One of the test's captures, unlike those of all others.
    pub(crate) capture: String,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Span {
    pub(crate) origin: Origin,
    /// Trace and span.
    pub(crate) id: (String, String),
    pub(crate) name: String,
    /// In the conventions' word: `client`.
    pub(crate) kind: String,
    pub(crate) attributes: Attributes,
    pub(crate) links: Vec<Link>,
    pub(crate) status: Status,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Link {
    /// Trace and span.
    pub(crate) to: (String, String),
    pub(crate) attributes: Attributes,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Status {
    #[default]
    Unset,
    Ok,
    /// With its description.
    Error(String),
}

/// The last state of a series.
#[derive(Clone, Debug, Default)]
pub(crate) struct Point {
    pub(crate) origin: Origin,
    pub(crate) metric: String,
    /// In the conventions' word: `updowncounter`.
    pub(crate) instrument: String,
    pub(crate) unit: String,
    pub(crate) bounds: Vec<f64>,
    pub(crate) attributes: Attributes,
    /// How many values a histogram has, or the value of a counter.
    pub(crate) count: u64,
    /// Whether its test was over.
    pub(crate) is_last: bool,
}

/// What these crates emitted, by their names, which those of the scopes are.
pub(crate) fn read(folder: &Path, crates: &[&str]) -> Result<BTreeMap<String, Emitted>> {
    let all = crates.iter().map(|name| ((*name).to_owned(), Emitted::default()));
    let mut all: BTreeMap<String, Emitted> = all.collect();
    let entries = fs::read_dir(folder).with_context(|| format!("no {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_none_or(|it| it != "jsonl") {
            continue;
        }
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut lines = BufReader::new(File::open(&path)?).lines().enumerate().peekable();
        while let Some((number, line)) = lines.next() {
            match serde_json::from_str(&line?) {
                Ok(line) => read_line(&line, &file, &mut all),
                // A process that a test killed may have left half a line.
                Err(_) if lines.peek().is_none() => {}
                Err(error) => bail!("{}:{}: {error}", path.display(), number + 1),
            }
        }
    }
    all.values_mut().for_each(Emitted::settle);
    Ok(all)
}

fn read_line(line: &Value, file: &str, all: &mut BTreeMap<String, Emitted>) {
    let groups = list(line, "resourceSpans").chain(list(line, "resourceMetrics"));
    for group in groups {
        let resource = attributes(&group["resource"]);
        let said = |name: &str| resource.get(name).and_then(Value::as_str).unwrap_or_default();
        let origin = Origin {
            suite: said("test.suite.name").to_owned(),
            test: said("test.case.name").to_owned(),
            capture: format!("{file} {}", said("service.instance.id")),
        };
        for scoped in list(group, "scopeSpans").chain(list(group, "scopeMetrics")) {
            let Some(emitted) = all.get_mut(&text(&scoped["scope"], "name")) else { continue };
            emitted.spans.extend(list(scoped, "spans").map(|it| span(it, &origin)));
            let is_last = !said("test.case.result.status").is_empty();
            let metrics = list(scoped, "metrics");
            emitted.points.extend(metrics.flat_map(|it| points(it, &origin, is_last)));
        }
    }
}

impl Emitted {
    /// Files come in any order, and a series several times.
    fn settle(&mut self) {
        let key = |span: &Span| (span.origin.clone(), span.id.clone());
        self.spans.sort_by_cached_key(key);
        let key = |point: &Point| {
            (point.origin.clone(), point.metric.clone(), format!("{:?}", point.attributes))
        };
        self.points.sort_by_cached_key(|point| {
            (key(point), std::cmp::Reverse((point.is_last, point.count)))
        });
        self.points.dedup_by_key(|point| key(point));
    }
}

fn span(from: &Value, origin: &Origin) -> Span {
    const KINDS: [&str; 6] = ["internal", "internal", "server", "client", "producer", "consumer"];
    let kind = from["kind"].as_u64().and_then(|it| KINDS.get(usize::try_from(it).ok()?));
    let links = list(from, "links");
    Span {
        origin: origin.clone(),
        id: id(from),
        name: text(from, "name"),
        kind: kind.map_or("", |it| it).to_owned(),
        attributes: attributes(from),
        links: links.map(|it| Link { to: id(it), attributes: attributes(it) }).collect(),
        status: match from["status"]["code"].as_u64() {
            Some(1) => Status::Ok,
            Some(2) => Status::Error(text(&from["status"], "message")),
            _ => Status::Unset,
        },
    }
}

fn points(metric: &Value, origin: &Origin, is_last: bool) -> Vec<Point> {
    let kinds = ["gauge", "sum", "histogram", "exponentialHistogram"];
    let Some(kind) = kinds.into_iter().find(|kind| metric[kind].is_object()) else {
        return Vec::new();
    };
    let data = &metric[kind];
    let instrument = match kind {
        "gauge" => "gauge",
        "sum" if data["isMonotonic"] == true => "counter",
        "sum" => "updowncounter",
        _ => "histogram",
    };
    let point = |from: &Value| Point {
        origin: origin.clone(),
        metric: text(metric, "name"),
        instrument: instrument.to_owned(),
        unit: text(metric, "unit"),
        bounds: list(from, "explicitBounds").filter_map(Value::as_f64).collect(),
        attributes: attributes(from),
        count: whole(&from["count"]).or_else(|| whole(&from["asInt"])).unwrap_or_default(),
        is_last,
    };
    list(data, "dataPoints").map(point).collect()
}

fn list<'a>(of: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    of[name].as_array().into_iter().flatten()
}

fn text(of: &Value, name: &str) -> String {
    of[name].as_str().unwrap_or_default().to_owned()
}

fn id(of: &Value) -> (String, String) {
    (text(of, "traceId"), text(of, "spanId"))
}

fn attributes(of: &Value) -> Attributes {
    list(of, "attributes").map(|pair| (text(pair, "key"), plain(&pair["value"]))).collect()
}

/// `{"intValue": "7"}` is 7.
fn plain(value: &Value) -> Value {
    let Some((kind, value)) = value.as_object().and_then(|it| it.iter().next()) else {
        return Value::Null;
    };
    match kind.as_str() {
        "intValue" => value.as_i64().or_else(|| value.as_str()?.parse().ok()).into(),
        // Of a whole number JSON does not show that it is a double.
        "doubleValue" => value.as_f64().into(),
        "arrayValue" => list(value, "values").map(plain).collect(),
        _ => value.clone(),
    }
}

/// 64 bits are text in JSON.
fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests;
