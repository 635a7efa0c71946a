//! Facts of the conventions: the data file, and how to look things up in it.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::str::FromStr;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::condition::Condition;

/// Where the data file is, from the root of the workspace.
pub(crate) const PATH: &str = "xtask/conventions.toml";

/// What the data file says.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Conventions {
    /// Of the conventions.
    pub(crate) version: String,
    pub(crate) source: String,
    pub(crate) attributes: BTreeMap<String, Attribute>,
    /// What replaces an attribute, or the value of one (`name=value`).
    pub(crate) renamed: BTreeMap<String, String>,
    pub(crate) spans: BTreeMap<String, SpanType>,
    pub(crate) metrics: BTreeMap<String, MetricType>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Attribute {
    /// `template[…]` for a family of names that begin with this one.
    pub(crate) r#type: String,
    pub(crate) stability: String,
    /// The well-known ones; others are allowed where none of them fits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) values: Vec<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SpanType {
    pub(crate) kinds: Vec<String>,
    pub(crate) stability: String,
    /// The type that it refines: it has that one's attributes as well.
    pub(crate) extends: Option<String>,
    /// The systems that it is for; all, if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) systems: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) attributes: Requirements,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MetricType {
    pub(crate) instrument: String,
    pub(crate) unit: String,
    pub(crate) stability: String,
    /// Advised bounds, which stand on the pages alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) buckets: Vec<f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) entities: Vec<String>,
    pub(crate) attributes: Requirements,
}

pub(crate) type Requirements = BTreeMap<String, Requirement>;

/// How much an attribute is wanted, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Requirement {
    pub(crate) level: Level,
    pub(crate) condition: Option<Condition>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Required,
    ConditionallyRequired,
    Recommended,
    OptIn,
}

impl Level {
    const ALL: [(Self, &str); 4] = [
        (Self::Required, "required"),
        (Self::ConditionallyRequired, "conditionally_required"),
        (Self::Recommended, "recommended"),
        (Self::OptIn, "opt_in"),
    ];

    /// As it is read by people.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::ConditionallyRequired => "conditionally required",
            Self::Recommended => "recommended",
            Self::OptIn => "opt-in",
        }
    }
}

impl FromStr for Level {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|(_, name)| *name == text);
        Ok(found.with_context(|| format!("`{text}` is no requirement level"))?.0)
    }
}

/// `conditionally_required failed`.
impl Display for Requirement {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = Level::ALL.iter().find(|(level, _)| *level == self.level);
        out.write_str(level.map_or("", |(_, name)| name))?;
        self.condition.map_or(Ok(()), |condition| write!(out, " {}", condition.name()))
    }
}

impl From<Requirement> for String {
    fn from(requirement: Requirement) -> Self {
        requirement.to_string()
    }
}

impl TryFrom<String> for Requirement {
    type Error = anyhow::Error;

    fn try_from(text: String) -> Result<Self> {
        let (level, condition) = text.split_once(' ').unwrap_or((&text, ""));
        let condition = match condition {
            "" => None,
            name => Some(Condition::named(name)?),
        };
        Ok(Self { level: level.parse()?, condition })
    }
}

impl Conventions {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).context("the facts of the conventions")
    }

    /// The attribute of this name, or the family that the name is of.
    pub(crate) fn attribute<'a>(&'a self, name: &'a str) -> Option<(&'a str, &'a Attribute)> {
        if let Some(attribute) = self.attributes.get(name) {
            return Some((name, attribute));
        }
        let mut families =
            self.attributes.iter().filter(|(_, it)| it.r#type.starts_with("template"));
        let is_of = |family: &str| {
            name.strip_prefix(family).is_some_and(|key| key.len() > 1 && key.starts_with('.'))
        };
        families.find(|(family, _)| is_of(family)).map(|(family, it)| (family.as_str(), it))
    }

    /// What all spans of a type have, those that it refines included.
    pub(crate) fn requirements(&self, span: &str) -> BTreeMap<&str, Requirement> {
        let Some(span) = self.spans.get(span) else { return BTreeMap::new() };
        let mut all = span.extends.as_deref().map(|it| self.requirements(it)).unwrap_or_default();
        all.extend(wanted(&span.attributes));
        all
    }

    /// The types of the spans of a database, or of a step of a message, that have this kind; without
    /// one of this kind, those of any. The most special come first.
    pub(crate) fn span_types(&self, prefix: &str, system: &str) -> Vec<&str> {
        let is_of = |span: &SpanType| {
            span.systems.is_empty() || span.systems.iter().any(|known| known == system)
        };
        let of = self.spans.iter().filter(|(name, span)| {
            let base = span.extends.as_deref().unwrap_or(name);
            (base.starts_with(prefix) || name.starts_with(prefix)) && is_of(span)
        });
        let mut of: Vec<_> = of.collect();
        of.sort_by_key(|(_, span)| (span.extends.is_none(), span.systems.is_empty()));
        of.into_iter().map(|(name, _)| name.as_str()).collect()
    }

    /// As the data file has it.
    pub(crate) fn to_toml(&self) -> Result<String> {
        let head = "# Facts of OpenTelemetry's semantic conventions. Not to be edited: it is made by\n\
                    # `cargo xtask docs --registry <a checkout of them>`.\n\n";
        Ok(head.to_owned() + &toml::to_string(self)?)
    }
}

/// With names that are borrowed.
pub(crate) fn wanted(requirements: &Requirements) -> BTreeMap<&str, Requirement> {
    requirements.iter().map(|(name, it)| (name.as_str(), *it)).collect()
}

/// The conventions' name of a value's type.
pub(crate) fn type_of(value: &Value) -> String {
    match value {
        Value::String(_) => "string".to_owned(),
        Value::Bool(_) => "boolean".to_owned(),
        Value::Number(number) if number.is_f64() => "double".to_owned(),
        Value::Number(_) => "int".to_owned(),
        Value::Array(values) => format!("{}[]", values.first().map(type_of).unwrap_or_default()),
        Value::Null | Value::Object(_) => "nothing that the conventions know".to_owned(),
    }
}

#[cfg(test)]
mod tests;
