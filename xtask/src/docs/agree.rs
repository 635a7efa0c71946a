//! Whether spans and measurements of the same calls say the same: the same attributes, the same
//! error, as many of the one as of the other.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::check::Rules;
use super::condition::Condition;
use super::conventions::{Level, Requirements};
use super::emitted::{Attributes, Emitted, Origin, Span};

/// What differs between calls of a kind by how they ended.
const OUTCOME: [&str; 2] = ["db.response.status_code", "error.type"];

/// The calls of a kind in one capture: the metric, and the attributes that do not tell how they
/// ended.
type Kind = (Origin, String, String);

/// The calls of a kind that ended in one way.
#[derive(Default)]
struct Calls {
    spans: u64,
    measured: u64,
    /// Of one of the spans.
    name: String,
    operation: String,
}

/// What does not agree, and what was found to lack a measurement.
#[derive(Default)]
pub(crate) struct Agreement {
    /// With the origin and the name of a span.
    pub(crate) faults: Vec<(Origin, String, String)>,
    /// The operations that the adapter says this of.
    pub(crate) span_only: BTreeSet<String>,
}

pub(crate) fn of(rules: Rules, emitted: &Emitted) -> Agreement {
    let mut kinds = BTreeMap::<Kind, BTreeMap<String, Calls>>::new();
    let points = emitted.points.iter().filter(|it| it.is_last);
    // Of the others it is not known how many calls there were.
    let measuring: BTreeSet<&Origin> = points.clone().map(|it| &it.origin).collect();
    for point in points {
        let (kind, outcome) = split(&point.origin, &point.metric, point.attributes.clone());
        let calls = kinds.entry(kind).or_default().entry(outcome).or_default();
        calls.measured += point.count;
    }
    for span in emitted.spans.iter().filter(|span| measuring.contains(&span.origin)) {
        let metrics = if rules.facts.added_span(span).is_some() { &[] } else { metrics_of(span) };
        for metric in metrics {
            let Some(wanted) = rules.conventions.metrics.get(*metric) else { continue };
            let on_point = projected(&span.attributes, &wanted.attributes);
            let (kind, outcome) = split(&span.origin, metric, on_point);
            let calls = kinds.entry(kind).or_default().entry(outcome).or_default();
            calls.spans += 1;
            calls.name.clone_from(&span.name);
            operation_of(span).clone_into(&mut calls.operation);
        }
    }
    let mut found = Agreement::default();
    for ((origin, metric, _), outcomes) in kinds {
        let all = |count: fn(&Calls) -> u64| outcomes.values().map(count).sum::<u64>();
        // Where no span was sampled, or not each, nothing is known of the others.
        let all_have_spans = all(|it| it.measured) <= all(|it| it.spans);
        for (outcome, calls) in &outcomes {
            let mut is_measured = calls.spans <= calls.measured;
            if !is_measured && rules.facts.span_only.contains_key(&calls.operation) {
                found.span_only.insert(calls.operation.clone());
                is_measured = true;
            }
            let has_spans = calls.measured <= calls.spans || !all_have_spans;
            if !is_measured || !has_spans {
                let name = outcomes.values().map(|it| &*it.name).find(|it| !it.is_empty());
                let outcome = if outcome.is_empty() { "without error" } else { outcome };
                found.faults.push((
                    origin.clone(),
                    name.unwrap_or_default().to_owned(),
                    format!(
                        "spans and {metric} do not agree: {} and {} {outcome}",
                        calls.spans, calls.measured
                    ),
                ));
            }
        }
    }
    found
}

/// The metrics that count what a span is about.
fn metrics_of(span: &Span) -> &'static [&'static str] {
    const CALLS: &str = "messaging.client.operation.duration";
    let said = |name: &str| span.attributes.get(name).and_then(Value::as_str);
    match said("messaging.operation.type") {
        None if said("db.system.name").is_some() => &["db.client.operation.duration"],
        Some("process") => &["messaging.process.duration"],
        // Of a batch, some messages may fail and others not.
        Some("send") if !span.attributes.contains_key("messaging.batch.message_count") => {
            &[CALLS, "messaging.client.sent.messages"]
        }
        Some("send" | "receive" | "settle") => &[CALLS],
        _ => &[],
    }
}

pub(crate) fn operation_of(span: &Span) -> &str {
    let names = ["db.operation.name", "messaging.operation.name"];
    let name = names.iter().find_map(|name| span.attributes.get(*name));
    name.and_then(Value::as_str).unwrap_or_default()
}

/// What a point has of a span's attributes.
fn projected(attributes: &Attributes, wanted: &Requirements) -> Attributes {
    // Destinations of which there are many are told by what stands for them.
    let many = ["template", "temporary", "anonymous"];
    let are_many =
        many.iter().any(|it| attributes.contains_key(&format!("messaging.destination.{it}")));
    let on_points = attributes.iter().filter(|(name, _)| {
        wanted.get(*name).is_some_and(|it| {
            let is_few = it.condition == Some(Condition::FewDestinations);
            it.level != Level::OptIn && !(is_few && are_many)
        })
    });
    on_points.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn split(origin: &Origin, metric: &str, mut attributes: Attributes) -> (Kind, String) {
    let outcome = OUTCOME.iter().filter_map(|name| Some((name, attributes.remove(*name)?)));
    let outcome: Vec<String> = outcome.map(|(name, value)| format!("{name} = {value}")).collect();
    ((origin.clone(), metric.to_owned(), format!("{attributes:?}")), outcome.join(", "))
}

#[cfg(test)]
mod tests;
