//! The page of an adapter.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::check::Rules;
use super::condition::Condition::OtherPort;
use super::conventions::{Level, Requirement};
use super::summary::{Points, SpanKind, Spans, Summary, Together};

pub(crate) fn of(all: &Summary, name: &str) -> String {
    let rules = all.rules;
    let mut page = format!(
        "# What {name} emits\n\n\
         Written by `cargo xtask docs` from what the tests emit, and checked against the [semantic \
         conventions]({}) {}. *Level* is how much those want an attribute, *when* is when it is \
         there. In braces stands what differs from run to run.\n\n## Spans\n",
        rules.conventions.source, rules.conventions.version
    );
    for (kind, spans) in &all.spans {
        write_spans(&mut page, rules, kind, spans);
    }
    page += "\n## Metrics\n";
    for (metric, points) in &all.metrics {
        write_metric(&mut page, rules, metric, points);
    }
    page += "\n## Errors\n\nWhat the tests saw; the README has the rule.\n\n\
             | `error.type` | on |\n|---|---|\n";
    for (error, spans) in &all.errors {
        _ = writeln!(page, "| {} | {} |", code(error), list(spans));
    }
    page += "\n## Not emitted\n\nWhat the conventions want, and why it is not there.\n\n\
             | what | on | why |\n|---|---|---|\n";
    for (name, signals) in all.absent() {
        let signals: Vec<&str> = signals.into_iter().collect();
        let why = rules.facts.absent.get(name).map_or("", |why| why);
        _ = writeln!(page, "| `{name}` | {} | {why} |", signals.join(", "));
    }
    page
}

fn write_spans(page: &mut String, rules: Rules, kind: &SpanKind, spans: &Spans) {
    let SpanKind { name, system, operation } = kind;
    let added = operation.as_ref().and_then(|it| Some((it, rules.facts.added.spans.get(it)?)));
    let stability = rules.conventions.spans.get(*name).map_or("", |it| &it.stability);
    _ = match added {
        Some((operation, added)) => write!(
            page,
            "\n### {system}: `{operation}`\n\nNot of the conventions: {}. Its attributes are some of \
             `{name}`.",
            added.why
        ),
        None => write!(page, "\n### {system}: `{name}`\n\nStatus: {stability}."),
    };
    _ = write!(page, " Kind: {}. Names:\n\n", list(&spans.kinds));
    for (pattern, examples) in &spans.names {
        _ = writeln!(page, "- `{pattern}`, such as {}", code(examples.best()));
    }
    page.push('\n');
    let level = |name: &str| rules.conventions.requirements(kind.name).get(name).copied();
    write_attributes(page, rules, &spans.attributes, true, level);
    if !spans.links_to.is_empty() {
        let on_links = spans.on_links.iter().map(|it| it.name.to_owned()).collect();
        let with = if spans.on_links.iter().next().is_none() { "" } else { ", with " };
        _ = write!(page, "\nIt links to {}{with}{}.\n", list(&spans.links_to), list(&on_links));
    }
}

fn write_metric(page: &mut String, rules: Rules, metric: &str, points: &Points) {
    let known = rules.conventions.metrics.get(metric);
    _ = match (known, rules.facts.added.metrics.get(metric)) {
        (None, Some(added)) => {
            write!(page, "\n### `{metric}`\n\nNot of the conventions: {}.", added.why)
        }
        (known, _) => {
            let stability = known.map_or("", |it| &it.stability);
            write!(page, "\n### `{metric}`\n\nStatus: {stability}.")
        }
    };
    let one = points.one;
    _ = write!(page, " Instrument: {}. Unit: `{}`.", one.instrument, one.unit);
    if !one.bounds.is_empty() {
        let bounds: Vec<String> = one.bounds.iter().map(ToString::to_string).collect();
        let is_advised = known.is_some_and(|it| !it.buckets.is_empty());
        let by_whom = if is_advised { "as advised" } else { "of our own" };
        _ = write!(page, " Buckets, {by_whom}: {}.", bounds.join(", "));
    }
    let entities: BTreeSet<String> = known.into_iter().flat_map(|it| it.entities.clone()).collect();
    if !entities.is_empty() {
        _ = write!(page, " Of the entities {}.", list(&entities));
    }
    page.push_str("\n\n");
    let level = |name: &str| known?.attributes.get(name).copied();
    write_attributes(page, rules, &points.attributes, known.is_some(), level);
    let growth = points.attributes.iter().filter_map(|it| grows_with(rules, it.name));
    _ = write!(
        page,
        "\nThe number of series grows with {}.\n",
        growth.collect::<Vec<_>>().join(", ")
    );
}

fn write_attributes(
    page: &mut String,
    rules: Rules,
    attributes: &Together,
    has_levels: bool,
    level: impl Fn(&str) -> Option<Requirement>,
) {
    page.push_str(if has_levels {
        "| attribute | type | level | when | example |\n|---|---|---|---|---|\n"
    } else {
        "| attribute | type | when | example |\n|---|---|---|---|\n"
    });
    for it in attributes.iter() {
        let wanted = level(it.name);
        let level = wanted.map_or("–", |wanted| wanted.level.words());
        let level = if has_levels { format!("{level} | ") } else { String::new() };
        let when = match (rules.facts.when.get(it.name), wanted) {
            (Some(words), _) => words,
            // The ports of servers that tests start are no defaults.
            (None, Some(Requirement { condition: Some(OtherPort), .. })) => OtherPort.words(),
            (None, _) if it.always => "always",
            (None, Some(Requirement { condition: Some(condition), .. })) => condition.words(),
            (None, Some(Requirement { level: Level::OptIn, .. })) => "by option",
            (None, _) => "known",
        };
        let example = code(it.example);
        _ = writeln!(page, "| `{}` | {} | {level}{when} | {example} |", it.name, it.r#type);
    }
}

/// What the values of an attribute are as many as; nothing where they are few, and known.
pub(crate) fn grows_with<'a>(rules: Rules<'a>, attribute: &str) -> Option<&'a str> {
    const GROWTH: &[(&str, &str)] = &[
        ("db.client.connection.pool.name", "pools"),
        ("db.collection.name", "collections"),
        ("db.namespace", "databases"),
        ("db.operation.name", "commands"),
        ("db.query.summary", "different statements"),
        ("db.response.status_code", "codes of errors"),
        ("error.type", "types of errors"),
        ("messaging.consumer.group.name", "groups"),
        ("messaging.destination.name", "destinations"),
        ("messaging.destination.partition.id", "partitions"),
        ("messaging.destination.subscription.name", "subscriptions"),
        ("messaging.destination.template", "templates of destinations"),
        ("network.peer.address", "nodes"),
        ("server.address", "servers"),
    ];
    let known = GROWTH.iter().find(|(name, _)| *name == attribute).map(|(_, words)| *words);
    known.or_else(|| rules.facts.grows.get(attribute).map(String::as_str))
}

fn list(words: &BTreeSet<String>) -> String {
    let code = |it: &String| if it.contains('.') { format!("`{it}`") } else { it.clone() };
    words.iter().map(code).collect::<Vec<_>>().join(", ")
}

/// As code within a table.
fn code(text: &str) -> String {
    const LONGEST: usize = 80;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = line.chars().take(LONGEST).collect();
    let more = if short.len() < line.len() { "…" } else { "" };
    // A backtick within needs two around.
    let [open, close] = if short.contains('`') { ["`` ", " ``"] } else { ["`"; 2] };
    if short.is_empty() {
        return "nothing".to_owned();
    }
    format!("{open}{}{more}{close}", short.replace('|', "\\|"))
}

#[cfg(test)]
mod tests;
