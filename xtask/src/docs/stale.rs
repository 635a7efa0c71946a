//! Whether what an adapter says in `telemetry.toml` is all that is needed, and still is.

use std::collections::BTreeSet;

use super::agree;
use super::check::{Faults, Rules};
use super::emitted::Emitted;
use super::facts::is_of;
use super::page::grows_with;
use super::summary::Summary;

pub(crate) fn faults(rules: Rules, emitted: &Emitted, summary: &Summary) -> Faults {
    let facts = rules.facts;
    let mut faults = Faults::new();
    let absent = summary.absent();
    for name in absent.keys().filter(|name| !facts.absent.contains_key(**name)) {
        faults
            .push(format!("the conventions want {name}, and nothing has it: say why in [absent]"));
    }
    let of_added = facts.added.metrics.values().flat_map(|it| &it.attributes);
    let of_added: BTreeSet<&String> = of_added.collect();
    for name in of_added.into_iter().filter(|name| grows_with(rules, name).is_none()) {
        faults.push(format!("say in [grows] what the number of values of {name} grows with"));
    }

    let attributes = || emitted.spans.iter().map(|it| &it.attributes);
    let has =
        |name: &str, value: &str| attributes().any(|it| it.get(name).is_some_and(|it| it == value));
    let origins = || {
        let spans = emitted.spans.iter().map(|it| &it.origin);
        spans.chain(emitted.points.iter().map(|it| &it.origin))
    };
    let on_points = summary.metrics.values().flat_map(|it| it.attributes.iter());
    let on_points: BTreeSet<&str> = on_points.map(|it| it.name).collect();
    let span_only = agree::of(rules, emitted).span_only;
    let mut keep = |section: &str, name: &str, is_needed: bool| {
        if !is_needed {
            faults.push(format!("{name} is no longer needed in {section}"));
        }
    };
    for entry in &facts.chance {
        keep("chance", entry, origins().any(|it| is_of(entry, it)));
    }
    for name in facts.absent.keys() {
        keep("[absent]", name, absent.contains_key(&**name));
    }
    for name in facts.when.keys() {
        keep("[when]", name, attributes().any(|it| it.contains_key(name)));
    }
    for operation in facts.span_only.keys() {
        keep("[span_only]", operation, span_only.contains(operation));
    }
    for operation in facts.added.spans.keys() {
        keep("[added.spans]", operation, has("db.operation.name", operation));
    }
    for name in &facts.added.attributes {
        keep("[added.attributes]", name, attributes().any(|it| it.contains_key(name)));
    }
    for name in facts.added.metrics.keys() {
        keep("[added.metrics]", name, summary.metrics.contains_key(&**name));
    }
    for (name, value) in
        facts.added.values.iter().flat_map(|(it, all)| all.iter().map(move |one| (it, one)))
    {
        keep("[added.values]", value, has(name, value));
    }
    for name in facts.grows.keys() {
        keep("[grows]", name, on_points.contains(&**name));
    }
    faults
}

#[cfg(test)]
mod tests;
