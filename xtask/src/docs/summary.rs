//! What tests emitted, put together: of which kinds it is, and what those of a kind have.
//!
//! The same at each run: nothing that chance decides is in it. An example stays as long as a test has
//! it; a new one is that which most tests have.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::agree::operation_of;
use super::check::{Rules, pattern};
use super::conventions::{Level, type_of};
use super::emitted::{Attributes, Emitted, Origin, Point, Span};

/// Everything that one adapter emits.
pub(crate) struct Summary<'a> {
    pub(crate) rules: Rules<'a>,
    pub(crate) spans: BTreeMap<SpanKind<'a>, Spans>,
    pub(crate) metrics: BTreeMap<&'a str, Points<'a>>,
    /// The types of spans that ended with each type of error.
    pub(crate) errors: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SpanKind<'a> {
    pub(crate) name: &'a str,
    pub(crate) system: String,
    /// Of a span that the conventions do not know.
    pub(crate) operation: Option<String>,
}

/// Spans of a kind.
#[derive(Default)]
pub(crate) struct Spans {
    pub(crate) kinds: BTreeSet<String>,
    /// By the pattern that they follow.
    pub(crate) names: BTreeMap<&'static str, Examples>,
    pub(crate) attributes: Together,
    /// Types of the spans that they link to.
    pub(crate) links_to: BTreeSet<String>,
    pub(crate) on_links: Together,
}

/// Points of a metric.
pub(crate) struct Points<'a> {
    pub(crate) one: &'a Point,
    pub(crate) attributes: Together,
}

/// The attributes of several.
#[derive(Default)]
pub(crate) struct Together {
    count: usize,
    seen: BTreeMap<String, Seen>,
}

#[derive(Default)]
struct Seen {
    count: usize,
    r#type: String,
    examples: Examples,
}

/// An attribute of several.
pub(crate) struct Attribute<'a> {
    pub(crate) name: &'a str,
    pub(crate) r#type: &'a str,
    /// Whether all had it.
    pub(crate) always: bool,
    pub(crate) examples: &'a Examples,
}

/// Values, and the tests that had them.
#[derive(Default)]
pub(crate) struct Examples(BTreeMap<String, BTreeSet<(String, String)>>);

impl Examples {
    fn add(&mut self, example: String, origin: &Origin) {
        let test = (origin.suite.clone(), origin.test.clone());
        self.0.entry(example).or_default().insert(test);
    }

    /// One that `was` there before; else the one that most tests have, if possible one without a
    /// part that differs between runs.
    pub(crate) fn best(&self, was: impl Fn(&str) -> bool) -> &str {
        if let Some(kept) = self.0.keys().find(|it| was(it)) {
            return kept;
        }
        let all = self.0.iter().map(|(text, tests)| {
            ((text.contains('{'), Reverse(tests.len()), text.len(), text), text)
        });
        all.min().map_or("", |(_, text)| text)
    }
}

impl Together {
    fn add(&mut self, attributes: &Attributes, origin: &Origin) {
        self.count += 1;
        for (name, value) in attributes {
            let seen = self.seen.entry(name.clone()).or_default();
            seen.count += 1;
            seen.r#type = type_of(value);
            let example = match value {
                Value::String(text) => steady(text),
                Value::Number(_) if name.strip_suffix(".port").is_some() => "{port}".to_owned(),
                value => value.to_string(),
            };
            seen.examples.add(example, origin);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Attribute<'_>> {
        self.seen.iter().map(|(name, seen)| Attribute {
            name,
            r#type: &seen.r#type,
            always: seen.count == self.count,
            examples: &seen.examples,
        })
    }
}

/// A part of an inbox of NATS: 22 letters and digits.
fn is_nuid(part: &str) -> bool {
    let has = |is: fn(&char) -> bool| part.chars().any(|it| is(&it));
    part.len() == 22
        && part.chars().all(|it| it.is_ascii_alphanumeric())
        && has(char::is_ascii_uppercase)
        && has(char::is_ascii_lowercase)
}

/// What RabbitMQ's own names begin with, of queues and of answers.
const MADE_BY_RABBITMQ: [&str; 2] = ["amq.gen-", "amq.rabbitmq.reply-to."];

/// A text with what differs between runs named instead.
pub(crate) fn steady(text: &str) -> String {
    if let Some(known) = MADE_BY_RABBITMQ.iter().find(|known| text.starts_with(**known)) {
        return format!("{known}{{id}}");
    }
    let is_digit = |it: char| it.is_ascii_digit();
    let mut shown = String::new();
    let named = text.split('.').map(|part| if is_nuid(part) { "{id}" } else { part });
    let named = named.collect::<Vec<_>>().join(".");
    let mut rest = &*named;
    while let Some(start) = rest.find(|it: char| it.is_ascii_hexdigit()) {
        let (before, from) = rest.split_at(start);
        let (run, after) =
            from.split_at(from.find(|it: char| !it.is_ascii_hexdigit()).unwrap_or(from.len()));
        shown += before;
        let host = shown.strip_suffix(':').unwrap_or_default();
        let is_port = host.ends_with(|it: char| it.is_alphanumeric() || it == ']');
        shown += match run {
            id if id.len() >= 8 && id.contains(is_digit) => "{id}",
            number if is_port && number.chars().all(is_digit) => "{port}",
            run => run,
        };
        rest = after;
    }
    shown + rest
}

impl<'a> Summary<'a> {
    pub(crate) fn of(rules: Rules<'a>, emitted: &'a Emitted) -> Self {
        let (spans, metrics, errors) = Default::default();
        let mut all = Self { rules, spans, metrics, errors };
        let types = emitted.spans.iter().map(|span| (&span.id, rules.type_of(span)));
        let types: BTreeMap<_, _> = types.collect();
        for span in emitted.spans.iter().filter(|it| !rules.facts.is_chance(&it.origin)) {
            all.add(span, |id| types.get(id).copied().flatten().map(|(name, _)| name));
        }
        for point in emitted.points.iter().filter(|it| !rules.facts.is_chance(&it.origin)) {
            let first = || Points { one: point, attributes: Together::default() };
            let points = all.metrics.entry(&point.metric).or_insert_with(first);
            points.attributes.add(&point.attributes, &point.origin);
        }
        all
    }

    fn add(&mut self, span: &Span, type_of: impl Fn(&(String, String)) -> Option<&'a str>) {
        let Some((name, system)) = self.rules.type_of(span) else { return };
        let added = self.rules.facts.added_span(span);
        let operation = added.map(|_| operation_of(span).to_owned());
        let kind = SpanKind { name, system: system.to_owned(), operation };
        let spans = self.spans.entry(kind).or_default();
        spans.kinds.insert(span.kind.to_uppercase());
        spans.attributes.add(&span.attributes, &span.origin);
        let names = spans.names.entry(pattern(span, system).0).or_default();
        names.add(steady(&span.name), &span.origin);
        for link in &span.links {
            spans.links_to.insert(type_of(&link.to).unwrap_or("any other span").to_owned());
            spans.on_links.add(&link.attributes, &span.origin);
        }
        if let Some(Value::String(error)) = span.attributes.get("error.type") {
            // The types of an application's errors are named after where they are.
            let error = if error.contains("::") { "{the type of an error}" } else { error };
            self.errors.entry(error.to_owned()).or_default().insert(name.to_owned());
        }
    }

    /// What the conventions want and nothing has: attributes, with the signals that lack them, and
    /// metrics.
    pub(crate) fn absent(&self) -> BTreeMap<&'a str, BTreeSet<&'static str>> {
        let conventions = self.rules.conventions;
        let mut absent = BTreeMap::<&str, BTreeSet<&str>>::new();
        let mut pages = BTreeSet::new();

        let spans = self.spans.values().flat_map(|it| it.attributes.seen.keys());
        let points = self.metrics.values().flat_map(|it| it.attributes.seen.keys());
        let family = |name: &'_ String| Some(conventions.attribute(name)?.0.to_owned());
        let on_spans: BTreeSet<String> = spans.filter_map(family).collect();
        let on_points: BTreeSet<String> = points.filter_map(family).collect();
        for kind in self.spans.keys() {
            pages.extend(kind.name.split('.').next());
            for (name, wanted) in conventions.requirements(kind.name) {
                if wanted.level < Level::OptIn && !on_spans.contains(name) {
                    absent.entry(name).or_default().insert("spans");
                }
            }
        }
        // The metrics of the pages that it has spans of.
        let is_of_page = |name: &str| name.split('.').next().is_some_and(|it| pages.contains(it));
        for (metric, wanted) in conventions.metrics.iter().filter(|(name, _)| is_of_page(name)) {
            if !self.metrics.contains_key(&**metric) {
                absent.entry(metric).or_default().insert("metrics");
                continue;
            }
            for (name, wanted) in &wanted.attributes {
                if wanted.level < Level::OptIn && !on_points.contains(name) {
                    absent.entry(name).or_default().insert("metrics");
                }
            }
        }
        absent
    }
}

#[cfg(test)]
mod tests;
