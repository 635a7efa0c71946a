//! Makes the data file from a checkout of the conventions: their model, in both of its formats, and
//! the buckets, which only the pages know.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::Value;

use super::condition::Condition;
use super::conventions::{
    Attribute, Conventions, Level, MetricType, Requirement, Requirements, SpanType,
};

/// What spans and metrics are named after.
const PAGES: [&str; 2] = ["db.", "messaging."];
/// Refinements for other systems are left out.
const SYSTEMS: [&str; 11] = [
    "aws.sns",
    "aws_sqs",
    "cassandra",
    "elasticsearch",
    "kafka",
    "mariadb",
    "mongodb",
    "mysql",
    "postgresql",
    "rabbitmq",
    "redis",
];

/// One file of the model; the lists of the first format, and those of the second.
#[derive(Default, Deserialize)]
#[serde(default)]
struct File {
    groups: Vec<Group>,
    attributes: Vec<Entry>,
    attribute_groups: Vec<Group>,
    spans: Vec<Group>,
    span_refinements: Vec<Group>,
    metrics: Vec<Group>,
}

/// Whatever has a list of attributes.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Group {
    id: String,
    /// In the first format what it is, in the second a span's name.
    r#type: String,
    /// A metric's in the second format, or notes on a span's.
    name: Value,
    metric_name: String,
    instrument: String,
    unit: String,
    stability: String,
    span_kind: String,
    kind: String,
    extends: String,
    r#ref: String,
    note: String,
    deprecated: Value,
    entity_associations: Value,
    attributes: Vec<Entry>,
}

/// An attribute: defined, or used.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Entry {
    id: String,
    key: String,
    r#ref: String,
    ref_group: String,
    r#type: Value,
    stability: String,
    deprecated: Value,
    requirement_level: Value,
    note: String,
}

/// All files, joined.
#[derive(Default)]
struct Model {
    attributes: BTreeMap<String, Entry>,
    /// By id, and by name.
    groups: BTreeMap<String, Group>,
    spans: BTreeMap<String, Group>,
    metrics: BTreeMap<String, Group>,
}

pub(crate) fn read(checkout: &Path) -> Result<Conventions> {
    let mut model = Model::default();
    for path in files(&checkout.join("model"), "yaml")? {
        let text = fs::read_to_string(&path)?;
        let file: File = serde_saphyr::from_str(&text)
            .map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
        model.add(file);
    }
    if model.spans.is_empty() {
        bail!(
            "{} has no model with spans; give a checkout of semantic-conventions",
            checkout.display()
        );
    }
    let manifest: Value =
        serde_saphyr::from_str(&fs::read_to_string(checkout.join("model/manifest.yaml"))?)
            .map_err(|error| anyhow::anyhow!("model/manifest.yaml: {error}"))?;
    let schema = manifest["schema_url"].as_str().context("the manifest has no schema_url")?;
    let version = schema.rsplit('/').next().unwrap_or_default().to_owned();
    model.conventions(version, &buckets(checkout)?)
}

impl Model {
    fn add(&mut self, file: File) {
        for group in file.groups {
            let definitions = group.attributes.iter().filter(|it| !it.id.is_empty());
            let definitions = definitions.map(|it| (it.id.clone(), it.clone()));
            self.attributes.extend(definitions);
            match group.r#type.as_str() {
                "span" => _ = self.spans.insert(bare(&group.id), group.clone()),
                "metric" => _ = self.metrics.insert(group.metric_name.clone(), group.clone()),
                _ => {}
            }
            self.groups.insert(group.id.clone(), group);
        }
        let definitions = file.attributes.into_iter().map(|it| (it.key.clone(), it));
        self.attributes.extend(definitions);
        self.groups.extend(file.attribute_groups.into_iter().map(|it| (it.id.clone(), it)));
        for group in file.spans {
            self.groups.insert(group.r#type.clone(), group.clone());
            self.spans.insert(bare(&group.r#type), group);
        }
        for group in file.span_refinements {
            self.spans.insert(bare(&group.id), group);
        }
        let name = |group: &Group| group.name.as_str().unwrap_or_default().to_owned();
        self.metrics.extend(file.metrics.into_iter().map(|it| (name(&it), it)));
    }

    fn conventions(
        &self,
        version: String,
        buckets: &BTreeMap<String, Vec<f64>>,
    ) -> Result<Conventions> {
        let mut spans = BTreeMap::new();
        for (name, group) in self.spans.iter().filter(|(name, group)| is_ours(name, group)) {
            let systems = systems(group);
            if group.r#ref.is_empty() || systems.iter().any(|it| SYSTEMS.contains(&&**it)) {
                spans
                    .insert(name.clone(), self.span(group, systems).with_context(|| name.clone())?);
            }
        }
        let mut metrics = BTreeMap::new();
        for (name, group) in self.metrics.iter().filter(|(name, group)| is_ours(name, group)) {
            let metric = MetricType {
                instrument: group.instrument.clone(),
                unit: group.unit.clone(),
                stability: group.stability.clone(),
                buckets: buckets.get(name).cloned().unwrap_or_default(),
                entities: texts(&group.entity_associations),
                attributes: self.requirements(group).with_context(|| name.clone())?,
            };
            metrics.insert(name.clone(), metric);
        }
        let used = spans
            .values()
            .map(|it| &it.attributes)
            .chain(metrics.values().map(|it| &it.attributes));
        let used: BTreeSet<&String> = used.flat_map(BTreeMap::keys).collect();
        let mut attributes = BTreeMap::new();
        let mut renamed = BTreeMap::new();
        for name in &used {
            let entry =
                self.attributes.get(*name).with_context(|| format!("no attribute {name}"))?;
            let members = entry.r#type["members"].as_array().map(Vec::as_slice).unwrap_or_default();
            let (old, members): (Vec<_>, Vec<_>) =
                members.iter().partition(|it| !it["deprecated"].is_null());
            for member in old {
                let (value, to) = (&member["value"], &member["deprecated"]["renamed_to"]);
                let (value, to) =
                    (value.as_str().unwrap_or_default(), to.as_str().unwrap_or_default());
                renamed.insert(format!("{name}={value}"), to.to_owned());
            }
            let values = members.iter().filter_map(|it| it["value"].as_str().map(str::to_owned));
            let values: Vec<String> = values.collect();
            attributes.insert(
                (*name).clone(),
                Attribute {
                    r#type: entry.r#type.as_str().unwrap_or("string").to_owned(),
                    stability: entry.stability.clone(),
                    // With a fallback alone, everybody defines values of their own.
                    values: if values == ["_OTHER"] { Vec::new() } else { values },
                },
            );
        }
        for (name, entry) in &self.attributes {
            if let Some(to) = entry.deprecated["renamed_to"].as_str()
                && attributes.contains_key(to)
            {
                renamed.insert(name.clone(), to.to_owned());
            }
        }
        let source =
            format!("https://github.com/open-telemetry/semantic-conventions/tree/v{version}");
        Ok(Conventions { version, source, attributes, renamed, spans, metrics })
    }

    /// A refinement has only what it changes.
    fn span(&self, group: &Group, systems: Vec<String>) -> Result<SpanType> {
        let mut attributes = self.requirements(group)?;
        let base = self.groups.get(&group.r#ref);
        if let Some(base) = base {
            let inherited = self.requirements(base)?;
            attributes.retain(|name, requirement| inherited.get(name) != Some(requirement));
        } else if !group.r#ref.is_empty() {
            bail!("refines {}, which is not there", group.r#ref);
        } else if !attributes.contains_key("messaging.system") {
            // Of a database it stands in the notes alone.
            let required = Requirement { level: Level::Required, condition: None };
            attributes.insert("db.system.name".to_owned(), required);
        }
        let kind = |group: &Group| [&*group.span_kind, &*group.kind].concat();
        let mut kinds = vec![base.map_or_else(|| kind(group), kind)];
        if group.note.contains("MAY be set to `INTERNAL`") {
            kinds.push("internal".to_owned());
        }
        Ok(SpanType {
            kinds,
            stability: group.stability.clone(),
            extends: base.map(|_| bare(&group.r#ref)),
            systems,
            attributes,
        })
    }

    /// What nobody said is recommended.
    fn requirements(&self, group: &Group) -> Result<Requirements> {
        let recommended = Requirement { level: Level::Recommended, condition: None };
        let all = self.said(group)?.into_iter();
        Ok(all.map(|(name, said)| (name, said.unwrap_or(recommended))).collect())
    }

    /// With what it extends, refines and includes. What is said last counts.
    fn said(&self, group: &Group) -> Result<BTreeMap<String, Option<Requirement>>> {
        let mut all = BTreeMap::new();
        let included = group.attributes.iter().map(|entry| &entry.ref_group);
        let bases = [&group.extends, &group.r#ref].into_iter().chain(included);
        for id in bases.filter(|id| !id.is_empty()) {
            let base = self.groups.get(id).with_context(|| format!("no group {id}"))?;
            for (name, said) in self.said(base)? {
                let known: &mut Option<_> = all.entry(name).or_default();
                *known = said.or(*known);
            }
        }
        for entry in group.attributes.iter().filter(|entry| !entry.r#ref.is_empty()) {
            let said =
                requirement(&entry.requirement_level).with_context(|| entry.r#ref.clone())?;
            let known: &mut Option<_> = all.entry(entry.r#ref.clone()).or_default();
            *known = said.or(*known);
        }
        Ok(all)
    }
}

fn is_ours(name: &str, group: &Group) -> bool {
    PAGES.iter().any(|page| name.starts_with(page)) && group.deprecated.is_null()
}

/// The first format begins ids with what they are of.
fn bare(id: &str) -> String {
    id.strip_prefix("span.").unwrap_or(id).to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    let values = value.as_array().map(Vec::as_slice).unwrap_or_default();
    values.iter().filter_map(|it| it.as_str().map(str::to_owned)).collect()
}

fn requirement(said: &Value) -> Result<Option<Requirement>> {
    Ok(match said {
        Value::Null => None,
        Value::String(level) => Some(Requirement { level: level.parse()?, condition: None }),
        said => {
            let said = said.as_object().and_then(|it| it.iter().next()).context("no level")?;
            let (level, condition) = (said.0.parse()?, said.1.as_str().unwrap_or_default());
            Some(Requirement { level, condition: Some(Condition::meant(condition)?) })
        }
    })
}

/// The systems of a span stand in notes: of a refinement as the value that its attribute must have,
/// of SQL as a list.
fn systems(group: &Group) -> Vec<String> {
    let of_attribute = group.attributes.iter().filter(|it| it.r#ref == "messaging.system");
    let notes = of_attribute.map(|it| &it.note).chain([&group.note]);
    let fixed: Vec<String> = notes
        .filter_map(|note| note.split_once("MUST be set to `\"")?.1.split_once('"'))
        .map(|(value, _)| value.to_owned())
        .collect();
    if !fixed.is_empty() || !group.note.contains("db.system.name") {
        return fixed;
    }
    let listed = group.note.lines().filter_map(|line| line.trim().strip_prefix("- `"));
    listed.filter_map(|line| Some(line.split_once('`')?.0.to_owned())).collect()
}

/// What the pages advise for each metric: a list of numbers below its heading.
fn buckets(checkout: &Path) -> Result<BTreeMap<String, Vec<f64>>> {
    let mut all = BTreeMap::new();
    for path in files(&checkout.join("docs"), "md")? {
        let text = fs::read_to_string(path)?;
        for section in text.split("# Metric: `").skip(1) {
            let (Some((name, _)), Some((_, advice))) =
                (section.split_once('`'), section.split_once("ExplicitBucketBoundaries"))
            else {
                continue;
            };
            let list = advice.split_once("`[").and_then(|(_, list)| list.split_once(']'));
            let numbers = list.map(|(list, _)| list.split(',').map(|it| it.trim().parse()));
            let numbers = numbers.map(Iterator::collect::<Result<Vec<f64>, _>>).transpose();
            let numbers = numbers.with_context(|| format!("the buckets of {name}"))?;
            all.insert(name.to_owned(), numbers.unwrap_or_default());
        }
    }
    Ok(all)
}

/// All of a kind, below a folder, in order.
fn files(folder: &Path, extension: &str) -> Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).with_context(|| format!("no {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path, extension)?);
        } else if path.extension().is_some_and(|it| it == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests;
