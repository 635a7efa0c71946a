//! Assertions over everything that was captured: what is not said is not there.

mod metric;
mod reference;
mod span;

use opentelemetry_sdk::trace::SpanData;

pub use self::metric::{ExpectedMetric, ExpectedPoint, metric, point};
use self::reference::Known;
pub use self::reference::SpanReference;
use self::span::show_kind;
pub use self::span::{ExpectedSpan, span};
use crate::attribute::show_all;
use crate::{Capture, Metric};

impl Capture {
    /// Panics unless exactly these spans ended, in this order.
    #[track_caller]
    pub fn assert_spans(&self, expected: impl IntoIterator<Item = ExpectedSpan>) {
        let expected: Vec<_> = expected.into_iter().collect();
        let captured = self.spans();
        if let Err(report) = compare(&expected, &captured, &self.known(&captured)) {
            panic!("{report}");
        }
    }

    /// Panics unless exactly these spans ended, in any order.
    #[track_caller]
    pub fn assert_spans_in_any_order(&self, expected: impl IntoIterator<Item = ExpectedSpan>) {
        let captured = self.spans();
        let known = self.known(&captured);
        // Each captured span takes the expected one that fits best; what is left stands last, as
        // missing.
        let mut rest: Vec<_> = expected.into_iter().collect();
        let mut ordered = Vec::with_capacity(rest.len());
        for span in &captured {
            let fits = |expected: &ExpectedSpan| {
                expected.may_be(span, &known) && cost(expected, span, &known) == 0
            };
            let best = || rest.iter().enumerate().min_by_key(|(_, next)| cost(next, span, &known));
            let best = rest.iter().position(fits).or_else(|| best().map(|(place, _)| place));
            ordered.extend(best.map(|place| rest.remove(place)));
        }
        ordered.append(&mut rest);
        if let Err(report) = compare(&ordered, &captured, &known) {
            panic!("{report}");
        }
    }

    /// Panics if a span was captured.
    #[track_caller]
    pub fn assert_no_spans(&self) {
        self.assert_spans([]);
    }

    /// Panics unless there is exactly one metric of this name, as expected. Gives the metric back
    /// for questions of one's own.
    #[track_caller]
    pub fn assert_metric(&self, expected: impl Into<ExpectedMetric>) -> Metric {
        match expected.into().find_in(self.metrics()) {
            Ok(metric) => metric,
            Err(report) => panic!("{report}"),
        }
    }

    /// Panics if there is a metric of this name.
    #[track_caller]
    pub fn assert_no_metric(&self, name: &str) {
        let metrics = self.metrics();
        let points: Vec<String> = metrics
            .iter()
            .filter(|metric| metric.name == name)
            .flat_map(|metric| &metric.points)
            .map(|point| format!("  {:?} with {}", point.value, show_all(&point.attributes)))
            .collect();
        assert!(points.is_empty(), "no metric {name} expected, captured:\n{}", points.join("\n"));
    }

    /// Panics if anything was captured: span, metric or log record.
    #[track_caller]
    pub fn assert_silent(&self) {
        self.assert_no_spans();
        let metrics: Vec<String> = self.metrics().into_iter().map(|metric| metric.name).collect();
        assert!(metrics.is_empty(), "no metric expected, captured {}", metrics.join(", "));
        let logs = self.logs();
        assert!(logs.is_empty(), "no log record expected, captured {logs:#?}");
    }

    /// Spans that have ended come first: a name may stand for both.
    fn known(&self, captured: &[SpanData]) -> Known {
        let ended = captured.iter().map(|span| (span.name.to_string(), span.span_context.clone()));
        Known(ended.chain(self.ledger().open_spans()).collect())
    }
}

/// Costs of leaving a span without its counterpart, and of pairing spans of different names: one
/// span too many must not shift all that follow, and a wrong name must still find its span.
const ALONE: usize = 4;
const OTHER_NAME: usize = 3;

/// Never more than leaving both alone; strictly less for spans of one name.
fn cost(expected: &ExpectedSpan, captured: &SpanData, known: &Known) -> usize {
    let differences = expected.differences(captured, known).len();
    if expected.has_name(&captured.name) {
        differences.min(2 * ALONE - 1)
    } else {
        (differences + OTHER_NAME).min(2 * ALONE)
    }
}

fn compare(expected: &[ExpectedSpan], captured: &[SpanData], known: &Known) -> Result<(), String> {
    let mut report = format!(
        "spans are not as expected: {} expected, {} captured, in order of ending:",
        expected.len(),
        captured.len()
    );
    let mut as_expected = true;
    for pair in align(expected, captured, known) {
        let (mark, title, lines) = match pair {
            (Some(expected), Some(captured)) => {
                let lines = expected.differences(captured, known);
                (if lines.is_empty() { ' ' } else { '!' }, captured.name.to_string(), lines)
            }
            (Some(expected), None) => ('-', format!("{} is missing", expected.title()), vec![]),
            (None, Some(span)) => {
                let kind = show_kind(&span.span_kind);
                let lines = vec![format!("{kind}, {}", show_all(&span.attributes))];
                ('+', format!("{} is unexpected", span.name), lines)
            }
            (None, None) => continue,
        };
        as_expected &= mark == ' ';
        report.extend([format!("\n{mark} {title}")]);
        report.extend(lines.iter().map(|line| format!("\n      {line}")));
    }
    if as_expected { Ok(()) } else { Err(report) }
}

type Pair<'a> = (Option<&'a ExpectedSpan>, Option<&'a SpanData>);

/// Pairs spans in order so that there is the least to tell: the usual edit distance. Its effort
/// grows with the square: of many spans, those that are as expected at the start are left out, and
/// too many others are paired by their place.
fn align<'a>(
    mut expected: &'a [ExpectedSpan],
    mut captured: &'a [SpanData],
    known: &Known,
) -> Vec<Pair<'a>> {
    const MANY: usize = 200;

    let mut pairs = Vec::new();
    while let ([one, expected_rest @ ..], [other, captured_rest @ ..]) = (expected, captured)
        && cost(one, other, known) == 0
    {
        pairs.push((Some(one), Some(other)));
        (expected, captured) = (expected_rest, captured_rest);
    }
    let (rows, columns) = (expected.len(), captured.len());
    if rows.max(columns) > MANY {
        pairs
            .extend((0..rows.max(columns)).map(|place| (expected.get(place), captured.get(place))));
        return pairs;
    }
    // rest[e][c]: the least cost of all from expected e and captured c on.
    let mut rest = vec![vec![0; columns + 1]; rows + 1];
    let mut pair_cost = vec![vec![0; columns]; rows];
    for row in (0..=rows).rev() {
        for column in (0..=columns).rev() {
            rest[row][column] = match (row < rows, column < columns) {
                (false, _) => ALONE * (columns - column),
                (_, false) => ALONE * (rows - row),
                (true, true) => {
                    let pair = cost(&expected[row], &captured[column], known);
                    pair_cost[row][column] = pair;
                    let alone = rest[row + 1][column].min(rest[row][column + 1]) + ALONE;
                    alone.min(rest[row + 1][column + 1] + pair)
                }
            };
        }
    }
    let (mut row, mut column) = (0, 0);
    while row < rows || column < columns {
        let here = rest[row][column];
        let both = row < rows && column < columns;
        if both && here == rest[row + 1][column + 1] + pair_cost[row][column] {
            pairs.push((Some(&expected[row]), Some(&captured[column])));
            (row, column) = (row + 1, column + 1);
        } else if row < rows && here == rest[row + 1][column] + ALONE {
            pairs.push((Some(&expected[row]), None));
            row += 1;
        } else {
            pairs.push((None, Some(&captured[column])));
            column += 1;
        }
    }
    pairs
}
