//! Metrics as tables.

use std::io::Write;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::{
    AggregatedMetrics, Metric, MetricData, ResourceMetrics, ScopeMetrics,
};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;

use super::output::Output;
use super::percentile::{Bucket, Estimate, explicit, exponential, float, percentile, signed};
use super::span::service;
use super::style::{BOLD, DIM, Style};
use super::text::{self, clip};

/// Of one metric.
const ROWS: usize = 100;
const CELL: usize = 9;
/// Below, there is no place for all percentiles.
const ROOMY: usize = 72;

/// Prints each export as a table: a block for each metric, a row for each set of attributes, with the
/// value of counters and gauges, and of histograms the count, percentiles and the maximum.
///
/// Percentiles (`~p50`) are estimated from buckets: as if the values of a bucket were spread evenly
/// over it. `>10 s` is all that a bucket without end tells. Seconds and bytes are shown in units that
/// fit. Values are cumulative: those since the start of the process.
#[derive(Debug)]
pub struct MetricsTable {
    output: Output,
}

impl MetricsTable {
    pub(crate) fn new() -> Self {
        Self { output: Output::stdout() }
    }

    /// Prints to this writer, in this style, and not to standard output.
    pub fn to(self, writer: impl Write + Send + 'static, style: Style) -> Self {
        Self { output: Output::to(writer, style) }
    }
}

impl PushMetricExporter for MetricsTable {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.output.write(&table(metrics, self.output.style))
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

fn table(metrics: &ResourceMetrics, style: Style) -> String {
    let metrics_of = metrics.scope_metrics().flat_map(ScopeMetrics::metrics);
    let blocks: String = metrics_of.map(|metric| block(metric, style)).collect();
    if blocks.is_empty() {
        return blocks;
    }
    let title = match service(metrics.resource()) {
        Some(name) => format!("metrics{}{name}", style.pick(" · ", " | ")),
        None => "metrics".to_owned(),
    };
    style.paint(BOLD, &clip(&title, style.width, style.unicode)) + "\n" + &blocks + "\n"
}

/// One set of attributes.
struct Point<'m> {
    attributes: Vec<&'m KeyValue>,
    value: Value,
}

enum Value {
    One(f64),
    Many { count: u64, buckets: Vec<Bucket>, ends: (Option<f64>, Option<f64>) },
}

fn block(metric: &Metric, style: Style) -> String {
    let (what, mut points) = match metric.data() {
        AggregatedMetrics::F64(data) => points(data, |value| value),
        AggregatedMetrics::U64(data) => points(data, float),
        AggregatedMetrics::I64(data) => points(data, signed),
    };
    if points.is_empty() {
        return String::new();
    }
    // Threads that measure leave them in any order.
    for point in &mut points {
        point.attributes.sort_by(|a, b| a.key.as_str().cmp(b.key.as_str()));
    }
    points.sort_by_cached_key(|point| shown(point.attributes.iter().copied()));
    // What is true of all is said once.
    let first = points.first().map(|point| point.attributes.clone()).unwrap_or_default();
    let is_common = |known: &&KeyValue| points.iter().all(|point| point.attributes.contains(known));
    let common: Vec<_> =
        first.into_iter().filter(|known| points.len() > 1 && is_common(known)).collect();

    let separator = style.pick(" · ", " | ");
    let unit = if metric.unit().is_empty() { "1" } else { metric.unit() };
    let mut lines = Lines { style, text: String::new() };
    lines.push(BOLD, "", &format!("{}{separator}{what}{separator}{unit}", metric.name()));
    if !common.is_empty() {
        lines.push(DIM, "  ", &shown(common.iter().copied()));
    }
    let shares: &[(&str, f64)] = match style.width {
        ROOMY.. => &[("~p50", 0.5), ("~p95", 0.95), ("~p99", 0.99)],
        _ => &[("~p50", 0.5), ("~p95", 0.95)],
    };
    if let Some(Point { value: Value::Many { .. }, .. }) = points.first() {
        let names = shares.iter().map(|(name, _)| *name);
        let names = ["count"].into_iter().chain(names).chain(["max"]);
        let names: String = names.map(|name| text::right(name, CELL) + " ").collect();
        lines.push(DIM, "", &names);
    }
    for point in points.iter().take(ROWS) {
        let amount = |value| amount(value, metric.unit(), style);
        let cells = match &point.value {
            Value::One(value) => vec![amount(*value)],
            Value::Many { count, buckets, ends } => {
                let percentiles =
                    shares.iter().map(|(_, share)| match percentile(buckets, *share, *ends) {
                        Some(Estimate::About(value)) => amount(value),
                        Some(Estimate::MoreThan(value)) => format!(">{}", amount(value)),
                        None => "-".to_owned(),
                    });
                let most = ends.1.map_or_else(|| "-".to_owned(), amount);
                [count.to_string()].into_iter().chain(percentiles).chain([most]).collect()
            }
        };
        let cells: String = cells.iter().map(|cell| text::right(cell, CELL) + " ").collect();
        let own = shown(point.attributes.iter().copied().filter(|known| !common.contains(known)));
        match &point.value {
            // Beside so many numbers nothing would be left of them.
            Value::Many { .. } if style.width < ROOMY && !own.is_empty() => {
                lines.push("", "  ", &own);
                lines.push("", &cells, "");
            }
            _ => lines.push("", &cells, &own),
        }
    }
    if points.len() > ROWS {
        lines.push(DIM, "  ", &format!("and {} more", points.len() - ROWS));
    }
    lines.text
}

struct Lines {
    style: Style,
    text: String,
}

impl Lines {
    fn push(&mut self, color: &str, prefix: &str, text: &str) {
        // Numbers first: what there is no room for are attributes.
        let line = clip(&format!("{prefix}{text}"), self.style.width, self.style.unicode);
        self.text += &self.style.paint(color, line.trim_end());
        self.text.push('\n');
    }
}

fn shown<'k>(attributes: impl Iterator<Item = &'k KeyValue>) -> String {
    let attributes = attributes.map(|known| format!("{}={}", known.key, known.value));
    attributes.collect::<Vec<_>>().join(" ")
}

fn points<T: Copy>(
    data: &MetricData<T>,
    number: impl Fn(T) -> f64,
) -> (&'static str, Vec<Point<'_>>) {
    match data {
        MetricData::Gauge(gauge) => {
            let point = gauge.data_points().map(|point| Point {
                attributes: point.attributes().collect(),
                value: Value::One(number(point.value())),
            });
            ("gauge", point.collect())
        }
        MetricData::Sum(sum) => {
            let point = sum.data_points().map(|point| Point {
                attributes: point.attributes().collect(),
                value: Value::One(number(point.value())),
            });
            (if sum.is_monotonic() { "counter" } else { "up-down counter" }, point.collect())
        }
        MetricData::Histogram(histogram) => {
            let point = histogram.data_points().map(|point| Point {
                attributes: point.attributes().collect(),
                value: Value::Many {
                    count: point.count(),
                    buckets: explicit(point.bounds(), point.bucket_counts()),
                    ends: (point.min().map(&number), point.max().map(&number)),
                },
            });
            ("histogram", point.collect())
        }
        MetricData::ExponentialHistogram(histogram) => {
            let point = histogram.data_points().map(|point| {
                let half = |bucket: &opentelemetry_sdk::metrics::data::ExponentialBucket| {
                    exponential(point.scale(), bucket.offset(), bucket.counts()).collect::<Vec<_>>()
                };
                let negative = half(point.negative_bucket()).into_iter().rev();
                let negative = negative.map(|it| Bucket { low: -it.high, high: -it.low, ..it });
                let zero = point.zero_threshold();
                let zero = Bucket { low: -zero, high: zero, count: point.zero_count() };
                let buckets = negative.chain([zero]).chain(half(point.positive_bucket()));
                Point {
                    attributes: point.attributes().collect(),
                    value: Value::Many {
                        count: point.count() as u64,
                        buckets: buckets.collect(),
                        ends: (point.min().map(&number), point.max().map(&number)),
                    },
                }
            });
            ("exponential histogram", point.collect())
        }
    }
}

/// A value in a unit that fits.
fn amount(value: f64, unit: &str, style: Style) -> String {
    let nanoseconds = match unit {
        "s" => Some(value * 1e9),
        "ms" => Some(value * 1e6),
        "us" => Some(value * 1e3),
        "ns" => Some(value),
        _ => None,
    };
    match nanoseconds {
        Some(time) if time.is_finite() => {
            let sign = if time <= -0.5 { "-" } else { "" };
            #[expect(clippy::cast_possible_truncation, reason = "saturates")]
            let whole = time.abs().round() as i128;
            return format!("{sign}{}", text::duration(whole, style.unicode));
        }
        _ => {}
    }
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let large = units.into_iter().find(|(_, power)| value.abs() >= f64::from(1 << power));
    match large.filter(|_| unit == "By" && value.is_finite()) {
        Some((name, power)) => format!("{:.1} {name}", value / f64::from(1 << power)),
        None if unit == "By" => format!("{} B", number(value)),
        None => number(value),
    }
}

fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 1e9 || (size > 0.0 && size < 1e-3) {
        format!("{value:.2e}")
    } else if value.fract() == 0.0 || !value.is_finite() {
        value.to_string()
    } else if size >= 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.3}")
    }
}
