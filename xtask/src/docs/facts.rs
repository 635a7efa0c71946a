//! What an adapter says of its telemetry in `telemetry.toml`, because nothing that is emitted shows
//! it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::emitted::{Origin, Span};

/// An adapter's file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Facts {
    /// Tests in which chance decides what is emitted, by suite or by the begin of their names: they
    /// are checked, and the page does not show them.
    pub(crate) chance: Vec<String>,
    /// Why an attribute or a metric that the conventions want is never emitted.
    pub(crate) absent: BTreeMap<String, String>,
    /// Why the spans of an operation, by its name, need not have a measurement each.
    pub(crate) span_only: BTreeMap<String, String>,
    /// What is emitted although the conventions do not know it.
    pub(crate) added: Added,
    /// When an attribute is there, where the conventions' condition does not tell.
    pub(crate) when: BTreeMap<String, String>,
    /// What the number of series grows with, for an attribute of an added metric.
    pub(crate) grows: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Added {
    /// By `db.operation.name`.
    pub(crate) spans: BTreeMap<String, AddedSpan>,
    pub(crate) metrics: BTreeMap<String, AddedMetric>,
    /// Attributes of the conventions on spans whose page has them not.
    pub(crate) attributes: Vec<String>,
    /// Values of attributes whose well-known ones do not fit.
    pub(crate) values: BTreeMap<String, Vec<String>>,
}

/// A span that the conventions do not know, with the attributes of those that they do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddedSpan {
    pub(crate) kind: String,
    pub(crate) why: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddedMetric {
    pub(crate) instrument: String,
    pub(crate) unit: String,
    /// Those that each point has.
    pub(crate) attributes: Vec<String>,
    pub(crate) why: String,
}

impl Facts {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).context("telemetry.toml")
    }

    pub(crate) fn is_chance(&self, origin: &Origin) -> bool {
        self.chance.iter().any(|entry| is_of(entry, origin))
    }

    pub(crate) fn added_span(&self, span: &Span) -> Option<&AddedSpan> {
        self.added.spans.get(span.attributes.get("db.operation.name")?.as_str()?)
    }
}

/// Whether an entry of `chance` means a test.
pub(crate) fn is_of(entry: &str, origin: &Origin) -> bool {
    entry == origin.suite || origin.test.starts_with(entry)
}
