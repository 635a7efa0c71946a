//! Metrics in a plain form.

use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};

use crate::attribute::show_all;

/// A metric as it was read.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Metric {
    /// Name of the scope whose meter made the instrument.
    pub scope: String,
    /// Name of the instrument.
    pub name: String,
    /// Unit of the instrument.
    pub unit: String,
    /// Description of the instrument.
    pub description: String,
    /// What the instrument is.
    pub kind: MetricKind,
    /// One point per set of attributes.
    pub points: Vec<Point>,
}

/// The kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricKind {
    /// A sum that only grows.
    Counter,
    /// A histogram whose buckets the SDK chooses: its points have no bounds.
    ExponentialHistogram,
    /// A value of its moment.
    Gauge,
    /// A histogram.
    Histogram,
    /// A sum that goes up and down.
    UpDownCounter,
}

/// What was measured under one set of attributes.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Point {
    /// The set.
    pub attributes: Vec<KeyValue>,
    /// The value.
    pub value: PointValue,
}

/// The value of a point.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PointValue {
    /// Of a sum or gauge of floating-point numbers.
    F64(f64),
    /// Of a histogram.
    Histogram {
        /// How many values were recorded.
        count: u64,
        /// The sum of the values.
        sum: f64,
        /// The upper bounds of the buckets but the last.
        bounds: Vec<f64>,
        /// How many values are in each bucket.
        bucket_counts: Vec<u64>,
    },
    /// Of a sum or gauge of whole numbers, with or without a sign.
    I64(i64),
}

impl Point {
    /// How many values a histogram recorded.
    pub fn count(&self) -> Option<u64> {
        match &self.value {
            PointValue::Histogram { count, .. } => Some(*count),
            _ => None,
        }
    }

    /// The sum of a histogram's values, or the value of a sum or gauge.
    #[expect(clippy::cast_precision_loss, reason = "tests count few")]
    pub fn sum(&self) -> f64 {
        match &self.value {
            PointValue::F64(value) => *value,
            PointValue::Histogram { sum, .. } => *sum,
            PointValue::I64(value) => *value as f64,
        }
    }

    /// The value of one attribute.
    pub fn attribute(&self, key: &str) -> Option<&Value> {
        self.attributes.iter().find(|found| found.key.as_str() == key).map(|found| &found.value)
    }

    /// What came after an earlier reading of the same counter, if anything did.
    fn since(mut self, before: Option<&Self>) -> Option<Self> {
        match (&mut self.value, before.map(|before| &before.value)) {
            (PointValue::I64(now), Some(PointValue::I64(before))) => *now -= before,
            (PointValue::F64(now), Some(PointValue::F64(before))) => *now -= before,
            (
                PointValue::Histogram { count, sum, bucket_counts, .. },
                Some(PointValue::Histogram {
                    count: count_before,
                    sum: sum_before,
                    bucket_counts: buckets_before,
                    ..
                }),
            ) => {
                *count -= count_before;
                *sum -= sum_before;
                for (now, before) in bucket_counts.iter_mut().zip(buckets_before) {
                    *now -= before;
                }
            }
            _ => return Some(self),
        }
        (self.count() != Some(0) && (self.count().is_some() || self.sum() != 0.0)).then_some(self)
    }
}

impl Metric {
    fn is(&self, other: &Self) -> bool {
        self.name == other.name && self.scope == other.scope && self.kind == other.kind
    }

    /// What came after an earlier reading, if anything did.
    pub(crate) fn since(mut self, before: &[Self]) -> Option<Self> {
        if !matches!(self.kind, MetricKind::Gauge | MetricKind::UpDownCounter) {
            let before = before.iter().find(|earlier| earlier.is(&self));
            let earlier = before.map_or(&[][..], |metric| &metric.points);
            self.points = std::mem::take(&mut self.points)
                .into_iter()
                .filter_map(|point| {
                    let same =
                        |other: &&Point| show_all(&other.attributes) == show_all(&point.attributes);
                    let before = earlier.iter().find(same);
                    point.since(before)
                })
                .collect();
        }
        (!self.points.is_empty()).then_some(self)
    }
}

/// The SDK's nested form, flattened.
pub(crate) fn flatten(metrics: &ResourceMetrics) -> Vec<Metric> {
    let scopes = metrics.scope_metrics();
    let all = scopes.flat_map(|scope| scope.metrics().map(move |metric| (scope, metric)));
    let all = all.map(|(scope, metric)| {
        let (kind, points) = match metric.data() {
            AggregatedMetrics::F64(data) => read(data, PointValue::F64),
            AggregatedMetrics::I64(data) => read(data, PointValue::I64),
            AggregatedMetrics::U64(data) => {
                read(data, |value| PointValue::I64(value.try_into().unwrap_or(i64::MAX)))
            }
        };
        Metric {
            scope: scope.scope().name().to_owned(),
            name: metric.name().to_owned(),
            unit: metric.unit().to_owned(),
            description: metric.description().to_owned(),
            kind,
            points,
        }
    });
    let mut all: Vec<Metric> = all.collect();
    // The SDK gives the scopes in no order.
    all.sort_by(|one, other| (&one.name, &one.scope).cmp(&(&other.name, &other.scope)));
    all
}

fn read<T: Copy>(
    data: &MetricData<T>,
    single: impl Fn(T) -> PointValue,
) -> (MetricKind, Vec<Point>) {
    let point = |attributes: Vec<KeyValue>, value| Point { attributes, value };
    let sum_of = |value| Point { attributes: Vec::new(), value: single(value) }.sum();
    match data {
        MetricData::Gauge(gauge) => (
            MetricKind::Gauge,
            gauge
                .data_points()
                .map(|from| point(from.attributes().cloned().collect(), single(from.value())))
                .collect(),
        ),
        MetricData::Sum(sum) => (
            if sum.is_monotonic() { MetricKind::Counter } else { MetricKind::UpDownCounter },
            sum.data_points()
                .map(|from| point(from.attributes().cloned().collect(), single(from.value())))
                .collect(),
        ),
        MetricData::Histogram(histogram) => (
            MetricKind::Histogram,
            histogram
                .data_points()
                .map(|from| {
                    let value = PointValue::Histogram {
                        count: from.count(),
                        sum: sum_of(from.sum()),
                        bounds: from.bounds().collect(),
                        bucket_counts: from.bucket_counts().collect(),
                    };
                    point(from.attributes().cloned().collect(), value)
                })
                .collect(),
        ),
        MetricData::ExponentialHistogram(histogram) => (
            MetricKind::ExponentialHistogram,
            histogram
                .data_points()
                .map(|from| {
                    let value = PointValue::Histogram {
                        count: from.count() as u64,
                        sum: sum_of(from.sum()),
                        bounds: Vec::new(),
                        bucket_counts: Vec::new(),
                    };
                    point(from.attributes().cloned().collect(), value)
                })
                .collect(),
        ),
    }
}
