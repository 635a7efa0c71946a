//! What is emitted against what the conventions say: each span and each point for itself.

use std::collections::BTreeMap;

use serde_json::Value;

use super::condition::Condition;
use super::conventions::{Conventions, Level, MetricType, Requirement, type_of, wanted};
use super::emitted::{Attributes, Point, Span, Status};
use super::facts::Facts;

/// What is wrong, as a phrase about a span or a point.
pub(crate) type Faults = Vec<String>;

const SYSTEM: &str = "db.system.name";
const BATCH: &str = "messaging.batch.message_count";
const ERROR: &str = "error.type";

/// Names of spans, in order: the first whose attributes are there.
const OF_DATABASES: &[&str] = &[
    "{db.query.summary}",
    "{db.operation.name} {db.collection.name}",
    "{db.operation.name} {db.stored_procedure.name}",
    "{db.operation.name} {db.namespace}",
    "{db.operation.name} {server.address}:{server.port}",
    "{db.operation.name}",
    "{db.collection.name}",
    "{db.stored_procedure.name}",
    "{db.namespace}",
    "{server.address}:{server.port}",
    "{db.system.name}",
];
const OF_MESSAGES: &[&str] = &[
    "{messaging.operation.name} {messaging.destination.template}",
    "{messaging.operation.name} {messaging.destination.name}",
    "{messaging.operation.name} {server.address}:{server.port}",
    "{messaging.operation.name}",
];

/// The conventions, and what an adapter adds to them.
#[derive(Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub(crate) conventions: &'a Conventions,
    pub(crate) facts: &'a Facts,
}

impl<'a> Rules<'a> {
    /// The type of a span, and its system.
    pub(crate) fn type_of<'s>(&self, span: &'s Span) -> Option<(&'a str, &'s str)> {
        let said = |name: &str| span.attributes.get(name).and_then(Value::as_str);
        let (prefix, system) = match (said(SYSTEM), said("messaging.system")) {
            (Some(system), None) => ("db.".to_owned(), system),
            (None, Some(system)) => {
                (format!("messaging.{}.", said("messaging.operation.type")?), system)
            }
            _ => return None,
        };
        let types = self.conventions.span_types(&prefix, system);
        // By kind the senders of messages are told apart.
        let has_kind = |name: &&&str| self.kinds(name).contains(&span.kind);
        let of_kind = types.iter().find(has_kind).filter(|_| prefix != "db.");
        Some((of_kind.or(types.first())?, system))
    }

    fn kinds(&self, span_type: &str) -> &'a [String] {
        self.conventions.spans.get(span_type).map_or(&[], |it| &it.kinds)
    }

    pub(crate) fn span(&self, span: &Span) -> Faults {
        let Some((name, system)) = self.type_of(span) else {
            return vec!["is of no type that the conventions know".to_owned()];
        };
        let mut faults = Faults::new();
        let added = self.facts.added_span(span);
        // In memory, where there is no server, a call need not be one of a client.
        let in_memory = name.starts_with("db.") && !span.attributes.contains_key("server.address");
        let general = if in_memory { self.kinds("db.client") } else { &[] };
        let kinds = self.kinds(name).iter().chain(general).map(String::as_str);
        let kinds: Vec<&str> = added.map_or_else(|| kinds.collect(), |added| vec![&*added.kind]);
        if !kinds.contains(&&*span.kind) {
            faults.push(format!("has the kind {}, not {}", span.kind, kinds.join(" or ")));
        }
        if pattern(span, system).1 != span.name {
            faults.push(format!("is not named {}", pattern(span, system).0));
        }
        match &span.status {
            Status::Ok => faults.push("has the status Ok".to_owned()),
            Status::Error(text) if span.attributes.get(ERROR).is_some_and(|it| it == text) => {
                faults.push("repeats error.type in the status".to_owned());
            }
            Status::Error(_) | Status::Unset => {}
        }
        let failed = matches!(span.status, Status::Error(_));
        let requirements = self.conventions.requirements(name);
        self.attributes(&span.attributes, &requirements, name, &mut faults);
        let when = &self.facts.when;
        let mut needed = requirements.clone();
        // Where the adapter says when one is there, it need not be there always.
        needed.retain(|name, it| {
            let is_needed = it.level == Level::Required
                || matches!(it.condition, Some(Condition::OneDestination));
            !is_needed || !when.contains_key(*name)
        });
        conditions(&span.attributes, &needed, Some(failed), &mut faults);
        let code = span.attributes.get("db.response.status_code");
        if code.is_some_and(|code| span.attributes.get(ERROR).is_some_and(|error| error != code)) {
            faults.push("has a status code that is not its error.type".to_owned());
        }
        for link in &span.links {
            self.attributes(&link.attributes, &requirements, "its links", &mut faults);
        }
        faults
    }

    pub(crate) fn point(&self, point: &Point) -> Faults {
        let mut faults = Faults::new();
        let Some(metric) = self.conventions.metrics.get(&point.metric) else {
            let Some(added) = self.facts.added.metrics.get(&point.metric) else {
                return vec!["is no metric of the conventions".to_owned()];
            };
            instrument(point, &added.instrument, &added.unit, &mut faults);
            if !added.attributes.iter().eq(point.attributes.keys()) {
                let attributes: Vec<_> = point.attributes.keys().map(String::as_str).collect();
                faults.push(format!("has the attributes {}", attributes.join(", ")));
            }
            return faults;
        };
        let MetricType { instrument: kind, unit, buckets, attributes, .. } = metric;
        instrument(point, kind, unit, &mut faults);
        if !buckets.is_empty() && *buckets != point.bounds {
            faults.push(format!("has the buckets {:?}, not {buckets:?}", point.bounds));
        }
        let attributes = wanted(attributes);
        self.attributes(&point.attributes, &attributes, &point.metric, &mut faults);
        conditions(&point.attributes, &attributes, None, &mut faults);
        faults
    }

    /// Whether each is known, where it stands, and of its type.
    fn attributes(
        &self,
        attributes: &Attributes,
        requirements: &BTreeMap<&str, Requirement>,
        of: &str,
        faults: &mut Faults,
    ) {
        for (name, value) in attributes {
            let Some((known, attribute)) = self.conventions.attribute(name) else {
                faults.push(match self.conventions.renamed.get(name) {
                    Some(now) => format!("has {name}, which is {now} now"),
                    None => format!("has {name}, which is no attribute of the conventions"),
                });
                continue;
            };
            let is_added = self.facts.added.attributes.contains(name);
            if !requirements.contains_key(known) && !is_added {
                faults.push(format!("has {name}, which is no attribute of {of}"));
            }
            let template = attribute.r#type.strip_prefix("template[");
            let wanted = template.and_then(|it| it.strip_suffix(']')).unwrap_or(&attribute.r#type);
            let found = type_of(value);
            if found != wanted {
                faults.push(format!("has {name} of the type {found}, not {wanted}"));
            }
            let Some(text) = value.as_str() else { continue };
            let added = self.facts.added.values.get(name);
            if attribute.values.is_empty()
                || attribute.values.iter().chain(added.into_iter().flatten()).any(|it| it == text)
            {
                continue;
            }
            faults.push(match self.conventions.renamed.get(&format!("{name}={text}")) {
                Some(now) => format!("has {name} = {text:?}, which is {now:?} now"),
                None => format!("has {name} = {text:?}, which is none of its values"),
            });
        }
    }
}

fn instrument(point: &Point, instrument: &str, unit: &str, faults: &mut Faults) {
    if point.instrument != instrument {
        faults.push(format!("is a {}, not a {instrument}", point.instrument));
    }
    if point.unit != unit {
        faults.push(format!("has the unit {:?}, not {unit:?}", point.unit));
    }
}

/// Whether what must be there is, and nothing that must not be. Whether a point is that of a failure
/// is known by its error alone.
fn conditions(
    attributes: &Attributes,
    requirements: &BTreeMap<&str, Requirement>,
    failed: Option<bool>,
    faults: &mut Faults,
) {
    let has = |name: &str| attributes.contains_key(name);
    let is_of_one = |it: &Requirement| it.condition == Some(Condition::OneMessage);
    let ones = requirements.iter().filter(|(_, it)| is_of_one(it));
    let about_one = !has(BATCH) && ones.into_iter().any(|(name, _)| has(name));
    let failed = failed.unwrap_or_else(|| has(ERROR));
    for (name, requirement) in requirements {
        let value = attributes.get(*name);
        let is_there = value.is_some();
        let must = requirement.level <= Level::ConditionallyRequired;
        let fault = match requirement.condition {
            None if requirement.level == Level::Required && !is_there => "is missing",
            Some(Condition::Failed) if failed && !is_there => "is missing, and it failed",
            Some(Condition::Failed | Condition::FailedWithCode) if !failed && is_there => {
                "is there, and it did not fail"
            }
            Some(Condition::OtherPort) if is_there && !has("server.address") => {
                "is there without server.address"
            }
            Some(Condition::Peer) if is_there && !has("network.peer.address") => {
                "is there without network.peer.address"
            }
            Some(Condition::True) if value == Some(&Value::Bool(false)) => {
                "is false, which its absence says"
            }
            Some(Condition::NotEmpty) if value.is_some_and(|it| it == "") => {
                "is empty, which its absence says"
            }
            Some(Condition::OneMessage) if is_there && has(BATCH) => {
                "is one message's, and it is about a batch"
            }
            Some(Condition::OneDestination) if must && about_one && !is_there => {
                "is missing, and it is about one message"
            }
            _ => continue,
        };
        faults.push(format!("{name} {fault}"));
    }
}

/// The pattern that a span's name must follow, and what it comes to.
pub(crate) fn pattern(span: &Span, system: &str) -> (&'static str, String) {
    let attributes = &span.attributes;
    let is = |name: &str| attributes.get(name) == Some(&Value::Bool(true));
    // A destination that has another name the next time is not named.
    let is_unnamed = is("messaging.destination.temporary") || is("messaging.destination.anonymous");
    let is_left_out = |pattern: &str| match pattern {
        it if it.contains("{messaging.destination.name}") => is_unnamed,
        it if it.starts_with("{messaging.operation.name} {server.address}") => {
            attributes.contains_key("messaging.destination.name")
        }
        // Its page shows commands alone.
        it if it.contains("{db.namespace}") || it.contains("{server.address}") => system == "redis",
        _ => false,
    };
    let patterns = if attributes.contains_key(SYSTEM) { OF_DATABASES } else { OF_MESSAGES };
    let mut filled = patterns
        .iter()
        .filter(|pattern| !is_left_out(pattern))
        .filter_map(|pattern| Some((*pattern, fill(pattern, attributes)?)));
    filled.next().unwrap_or_default()
}

/// Nothing if an attribute is missing.
fn fill(pattern: &str, attributes: &Attributes) -> Option<String> {
    let mut text = String::new();
    for part in pattern.split('{') {
        let (name, rest) = part.split_once('}').unwrap_or(("", part));
        match attributes.get(name) {
            Some(Value::String(value)) => text += value,
            Some(value) => text += &value.to_string(),
            None if name.is_empty() => {}
            None => return None,
        }
        text += rest;
    }
    Some(text)
}

#[cfg(test)]
mod tests;
