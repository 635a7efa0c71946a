//! What is expected of one metric.

use std::borrow::Cow;
use std::fmt::Debug;

use opentelemetry::{Key, Value};

use crate::attribute::{Attribute, ExpectedAttributes, show_all};
use crate::{Metric, MetricKind, Point, PointValue};

/// A metric that is expected, with exactly the points that are added. Of its kind, unit,
/// description, bounds and scope only those are looked at that are told.
pub fn metric(name: impl Into<Cow<'static, str>>) -> ExpectedMetric {
    ExpectedMetric {
        name: name.into(),
        kind: None,
        unit: None,
        description: None,
        scope: None,
        bounds: None,
        points: None,
    }
}

/// A point that is expected, with exactly the attributes that are added. Its value is looked at
/// only if told.
pub fn point() -> ExpectedPoint {
    ExpectedPoint {
        attributes: ExpectedAttributes::default(),
        count: None,
        value: None,
        bucket_counts: None,
    }
}

/// What is expected of one metric; made by [`metric`], or from a name alone: then it must be there.
#[derive(Clone, Debug)]
#[must_use]
pub struct ExpectedMetric {
    name: Cow<'static, str>,
    kind: Option<MetricKind>,
    unit: Option<Cow<'static, str>>,
    description: Option<Cow<'static, str>>,
    scope: Option<Cow<'static, str>>,
    bounds: Option<Vec<f64>>,
    /// `None` until the first is added: a metric without points is never captured.
    points: Option<Vec<ExpectedPoint>>,
}

impl From<&'static str> for ExpectedMetric {
    fn from(name: &'static str) -> Self {
        metric(name)
    }
}

impl ExpectedMetric {
    /// Expects this kind.
    pub fn kind(mut self, kind: MetricKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Expects a counter.
    pub fn counter(self) -> Self {
        self.kind(MetricKind::Counter)
    }

    /// Expects a gauge.
    pub fn gauge(self) -> Self {
        self.kind(MetricKind::Gauge)
    }

    /// Expects a histogram.
    pub fn histogram(self) -> Self {
        self.kind(MetricKind::Histogram)
    }

    /// Expects a sum that goes up and down.
    pub fn up_down_counter(self) -> Self {
        self.kind(MetricKind::UpDownCounter)
    }

    /// Expects this unit.
    pub fn unit(mut self, unit: impl Into<Cow<'static, str>>) -> Self {
        self.unit = Some(unit.into());
        self
    }

    /// Expects this description.
    pub fn description(mut self, description: impl Into<Cow<'static, str>>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Expects a meter of this name.
    pub fn scope(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.scope = Some(name.into());
        self
    }

    /// Expects each point to be a histogram with these bounds.
    pub fn bounds(mut self, bounds: impl IntoIterator<Item = f64>) -> Self {
        self.bounds = Some(bounds.into_iter().collect());
        self
    }

    /// Expects one more point.
    pub fn point(mut self, point: ExpectedPoint) -> Self {
        self.points.get_or_insert_default().push(point);
        self
    }

    /// Expects these points as well, in any order.
    pub fn points(self, points: impl IntoIterator<Item = ExpectedPoint>) -> Self {
        points.into_iter().fold(self, ExpectedMetric::point)
    }

    /// The metric, or what is wrong.
    pub(super) fn find_in(&self, metrics: Vec<Metric>) -> Result<Metric, String> {
        let names: Vec<String> = metrics.iter().map(|metric| metric.name.clone()).collect();
        let of_name = metrics.into_iter().filter(|metric| metric.name == self.name);
        let mut found: Vec<Metric> = of_name.collect();
        let metric = match (found.pop(), found.len()) {
            (Some(metric), 0) => metric,
            (None, _) => {
                let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                return Err(format!("metric {} is missing; captured: {names}", self.name));
            }
            (Some(last), _) => {
                let scopes: Vec<_> =
                    found.iter().chain([&last]).map(|found| &found.scope).collect();
                return Err(format!(
                    "metric {} was made {} times, by the scopes {scopes:?}",
                    self.name,
                    scopes.len()
                ));
            }
        };
        let lines = self.differences(&metric);
        if lines.is_empty() {
            return Ok(metric);
        }
        Err(format!("metric {} is not as expected:\n{}", self.name, lines.join("\n")))
    }

    fn differences(&self, metric: &Metric) -> Vec<String> {
        let mut lines = Vec::new();
        compare(&mut lines, "kind", self.kind.as_ref(), &metric.kind);
        compare(&mut lines, "unit", self.unit.as_deref(), &*metric.unit);
        compare(&mut lines, "description", self.description.as_deref(), &*metric.description);
        compare(&mut lines, "scope", self.scope.as_deref(), &*metric.scope);
        if let Some(expected) = &self.bounds {
            let bounds = metric.points.iter().map(|point| match &point.value {
                PointValue::Histogram { bounds, .. } => bounds.as_slice(),
                _ => &[],
            });
            // Points of one metric share their bounds: one line is enough.
            if let Some(other) = bounds.into_iter().find(|bounds| bounds != expected) {
                compare(&mut lines, "bounds", Some(expected.as_slice()), other);
            }
        }
        if let Some(points) = &self.points {
            lines.extend(point_differences(points, &metric.points));
        }
        lines.iter().map(|line| format!("  {line}")).collect()
    }
}

fn compare<T: Debug + PartialEq + ?Sized>(
    lines: &mut Vec<String>,
    what: &str,
    expected: Option<&T>,
    captured: &T,
) {
    if let Some(expected) = expected.filter(|expected| *expected != captured) {
        lines.push(format!("{what}: expected {expected:?}, captured {captured:?}"));
    }
}

/// Pairs each expected point with the captured one that fits best, best fits first.
fn point_differences(expected: &[ExpectedPoint], captured: &[Point]) -> Vec<String> {
    let mut lines = Vec::new();
    if expected.len() != captured.len() {
        lines.push(format!("points: {} expected, {} captured", expected.len(), captured.len()));
    }
    let mut pairs: Vec<(usize, usize, Vec<String>)> = Vec::new();
    for (expected_index, point) in expected.iter().enumerate() {
        for (captured_index, found) in captured.iter().enumerate() {
            pairs.push((expected_index, captured_index, point.differences(found)));
        }
    }
    pairs.sort_by_key(|(_, _, differences)| differences.len());
    let mut expected_left: Vec<usize> = (0..expected.len()).collect();
    let mut captured_left: Vec<usize> = (0..captured.len()).collect();
    for (expected_index, captured_index, differences) in pairs {
        if !expected_left.contains(&expected_index) || !captured_left.contains(&captured_index) {
            continue;
        }
        expected_left.retain(|index| *index != expected_index);
        captured_left.retain(|index| *index != captured_index);
        if !differences.is_empty() {
            let title = show_all(&captured[captured_index].attributes);
            lines.push(format!("! point with {title}"));
            lines.extend(differences.iter().map(|line| format!("      {line}")));
        }
    }
    lines.extend(
        expected_left
            .iter()
            .map(|index| format!("- point is missing: {}", expected[*index].attributes.show())),
    );
    lines.extend(
        captured_left.iter().map(|index| {
            format!("+ point is unexpected: {}", show_all(&captured[*index].attributes))
        }),
    );
    lines
}

/// What is expected of one point; made by [`point`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ExpectedPoint {
    attributes: ExpectedAttributes,
    count: Option<u64>,
    value: Option<f64>,
    bucket_counts: Option<Vec<u64>>,
}

impl ExpectedPoint {
    /// Expects one more attribute, or another value of one.
    pub fn attribute(mut self, key: impl Into<Key>, value: impl Into<Value>) -> Self {
        self.attributes.set(key.into(), Some(value.into()));
        self
    }

    /// Expects these attributes as well.
    pub fn attributes<A: Into<Attribute>>(
        mut self,
        attributes: impl IntoIterator<Item = A>,
    ) -> Self {
        self.attributes.extend(attributes);
        self
    }

    /// Expects one more attribute, of whatever value.
    pub fn any_attribute(mut self, key: impl Into<Key>) -> Self {
        self.attributes.set(key.into(), None);
        self
    }

    /// Expects a histogram that recorded so many values.
    pub fn count(mut self, count: u64) -> Self {
        self.count = Some(count);
        self
    }

    /// Expects this value of a sum or gauge, or this sum of a histogram's values.
    pub fn value(mut self, value: impl Into<f64>) -> Self {
        self.value = Some(value.into());
        self
    }

    /// Expects a histogram with so many values in each bucket.
    pub fn bucket_counts(mut self, counts: impl IntoIterator<Item = u64>) -> Self {
        self.bucket_counts = Some(counts.into_iter().collect());
        self
    }

    fn differences(&self, point: &Point) -> Vec<String> {
        let mut lines = self.attributes.differences(&point.attributes);
        let (count, buckets) = match &point.value {
            PointValue::Histogram { count, bucket_counts, .. } => {
                (*count, bucket_counts.as_slice())
            }
            _ => (0, &[][..]),
        };
        compare(&mut lines, "count", self.count.as_ref(), &count);
        compare(&mut lines, "value", self.value.as_ref(), &point.sum());
        compare(&mut lines, "bucket counts", self.bucket_counts.as_deref(), buckets);
        lines
    }
}
