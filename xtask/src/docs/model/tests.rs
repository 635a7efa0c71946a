//! Both formats of the model are read, and what is not understood is told.

use super::*;

/// Both formats of the model, with what is left out.
#[expect(clippy::too_many_lines, reason = "two files as they are")]
fn checkout(folder: &Path) {
    let write = |path: &str, text: &str| {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("model/manifest.yaml", "schema_url: https://opentelemetry.io/schemas/9.8.7\n");
    write("model/README.md", "Not a model.");
    write(
        "model/a/first.yaml",
        r#"
groups:
  - id: registry.db
    type: attribute_group
    brief: &brief >
      A sentence.
    attributes:
      - id: db.system.name
        stability: stable
        type:
          members:
            - {id: a, value: "redis", stability: stable}
            - {id: b, value: "old", stability: stable, deprecated: {reason: renamed, renamed_to: redis}}
      - {id: db.old, type: string, stability: stable, deprecated: {reason: renamed, renamed_to: db.namespace}}
      - {id: db.gone, type: string, stability: stable, deprecated: "No longer."}
      - {id: db.namespace, type: string, stability: stable, brief: *brief}
      - {id: db.parameter, type: "template[string]", stability: development}
      - id: error.type
        stability: stable
        type: {members: [{id: other, value: _OTHER, stability: stable}]}
  - id: common
    type: attribute_group
    attributes:
      - ref: error.type
        requirement_level:
          conditionally_required: If and only if the operation failed.
      - ref: db.namespace
        requirement_level: opt_in
  - id: span.db.client
    type: span
    span_kind: client
    stability: stable
    extends: common
    note: It MAY be set to `INTERNAL` on some.
    attributes:
      - ref: db.parameter
      - ref: db.namespace
        requirement_level:
          recommended: >
            If
            available.
  - {id: span.http.client, type: span, span_kind: client, attributes: [{ref: nothing}]}
  - id: metric.db.client.old
    type: metric
    metric_name: db.client.old
    deprecated: {reason: obsoleted}
    attributes: [{ref: nothing}]
  - id: metric.db.client.rows
    type: metric
    metric_name: db.client.rows
    instrument: histogram
    unit: "{row}"
    stability: development
    entity_associations: [host]
    extends: common
"#,
    );
    write(
        "model/b/second.yaml",
        r#"
file_format: definition/2
attributes:
  - {key: server.address, type: string, stability: stable}
attribute_groups:
  - id: server
    visibility: internal
    attributes: [{ref: server.address}, {ref: db.namespace}]
spans:
  - type: db.key.client
    kind: client
    stability: development
    name: {note: some words}
    attributes:
      - ref_group: common
      - ref_group: server
  - type: messaging.send.producer
    kind: producer
    stability: development
    attributes: [{ref: messaging.system, requirement_level: required}]
span_refinements:
  - id: span.db.redis.client
    ref: db.key.client
    stability: development
    note: '`db.system.name` MUST be set to `"redis"`.'
    attributes: [{ref: db.namespace, requirement_level: required}]
  - id: db.unheard.client
    ref: db.key.client
    note: '`db.system.name` MUST be set to `"unheard"`.'
  - id: messaging.kafka.send.producer
    ref: messaging.send.producer
    stability: development
    attributes: [{ref: messaging.system, note: MUST be set to `"kafka"`.}]
metrics:
  - name: db.client.time
    instrument: counter
    unit: s
    stability: stable
    attributes: [{ref_group: server}]
"#,
    );
    write(
        "model/b/messaging.yaml",
        "groups: [{id: r, type: attribute_group, attributes: [{id: messaging.system, type: string, stability: development}]}]",
    );
    write(
        "docs/db.md",
        "### Metric: `db.client.rows`\n\nof\n[`ExplicitBucketBoundaries`](https://x)\nof `[ 1, 2.5 ]`.\n\n\
         ### Metric: `db.client.time`\n\nNone.\n",
    );
}

#[test]
fn the_data_file_is_made_from_a_checkout() {
    let folder = tempfile::tempdir().unwrap();
    checkout(folder.path());
    let made = read(folder.path()).unwrap().to_toml().unwrap();
    let expected = r#"
version = "9.8.7"
source = "https://github.com/open-telemetry/semantic-conventions/tree/v9.8.7"

[attributes."db.namespace"]
type = "string"
stability = "stable"

[attributes."db.parameter"]
type = "template[string]"
stability = "development"

[attributes."db.system.name"]
type = "string"
stability = "stable"
values = ["redis"]

[attributes."error.type"]
type = "string"
stability = "stable"

[attributes."messaging.system"]
type = "string"
stability = "development"

[attributes."server.address"]
type = "string"
stability = "stable"

[renamed]
"db.old" = "db.namespace"
"db.system.name=old" = "redis"

[spans."db.client"]
kinds = ["client", "internal"]
stability = "stable"

[spans."db.client".attributes]
"db.namespace" = "recommended known"
"db.parameter" = "recommended"
"db.system.name" = "required"
"error.type" = "conditionally_required failed"

[spans."db.key.client"]
kinds = ["client"]
stability = "development"

[spans."db.key.client".attributes]
"db.namespace" = "opt_in"
"db.system.name" = "required"
"error.type" = "conditionally_required failed"
"server.address" = "recommended"

[spans."db.redis.client"]
kinds = ["client"]
stability = "development"
extends = "db.key.client"
systems = ["redis"]

[spans."db.redis.client".attributes]
"db.namespace" = "required"

[spans."messaging.kafka.send.producer"]
kinds = ["producer"]
stability = "development"
extends = "messaging.send.producer"
systems = ["kafka"]

[spans."messaging.send.producer"]
kinds = ["producer"]
stability = "development"

[spans."messaging.send.producer".attributes]
"messaging.system" = "required"

[metrics."db.client.rows"]
instrument = "histogram"
unit = "{row}"
stability = "development"
buckets = [1.0, 2.5]
entities = ["host"]

[metrics."db.client.rows".attributes]
"db.namespace" = "opt_in"
"error.type" = "conditionally_required failed"

[metrics."db.client.time"]
instrument = "counter"
unit = "s"
stability = "stable"

[metrics."db.client.time".attributes]
"db.namespace" = "recommended"
"server.address" = "recommended"
"#;
    assert_eq!(made.split_once("\n\n").map(|(_, rest)| rest), expected.strip_prefix('\n'));
    assert_eq!(Conventions::parse(&made).unwrap().to_toml().unwrap(), made);
}

#[test]
fn what_is_not_understood_of_a_checkout_is_told() {
    for (from, to, expected) in [
        ("If and only if the operation failed.", "On Sundays.", "on sundays."),
        (
            "requirement_level: opt_in",
            "requirement_level: perhaps",
            "`perhaps` is no requirement level",
        ),
        ("extends: common\n    note", "extends: nobody\n    note", "no group nobody"),
        ("{ref: server.address}", "{ref: server.name}", "no attribute server.name"),
        ("groups:\n", "groups: [\n", "first.yaml"),
        ("[ 1, 2.5 ]", "[ 1, many ]", "the buckets of db.client.rows"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        checkout(folder.path());
        for file in ["model/a/first.yaml", "model/b/second.yaml", "docs/db.md"] {
            let path = folder.path().join(file);
            let text = fs::read_to_string(&path).unwrap().replace(from, to);
            fs::write(path, text).unwrap();
        }
        let error = format!("{:#}", read(folder.path()).unwrap_err());
        assert!(error.contains(expected), "{expected}: {error}");
    }
    assert!(read(Path::new("/nowhere")).is_err());
}
