//! Sets of attributes, compared exactly and told apart readably.

use opentelemetry::{Key, KeyValue, Value};

/// An attribute that is expected: made from `("key", value)` or a [`KeyValue`].
#[derive(Clone, Debug)]
pub struct Attribute(KeyValue);

impl<K: Into<Key>, V: Into<Value>> From<(K, V)> for Attribute {
    fn from((key, value): (K, V)) -> Self {
        Self(KeyValue::new(key, value))
    }
}

impl From<KeyValue> for Attribute {
    fn from(attribute: KeyValue) -> Self {
        Self(attribute)
    }
}

/// The exact set that is expected; a key without a value may have any.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExpectedAttributes(Vec<(Key, Option<Value>)>);

impl ExpectedAttributes {
    pub(crate) fn extend<A: Into<Attribute>>(&mut self, attributes: impl IntoIterator<Item = A>) {
        for attribute in attributes {
            let Attribute(KeyValue { key, value, .. }) = attribute.into();
            self.set(key, Some(value));
        }
    }

    pub(crate) fn set(&mut self, key: Key, value: Option<Value>) {
        self.remove(key.as_str());
        self.0.push((key, value));
    }

    pub(crate) fn remove(&mut self, key: &str) {
        self.0.retain(|(present, _)| present.as_str() != key);
    }

    fn has(&self, key: &Key) -> bool {
        self.0.iter().any(|(present, _)| present == key)
    }

    /// Whether this attribute would do here.
    pub(crate) fn allow(&self, attribute: &KeyValue) -> bool {
        self.0.iter().any(|(key, value)| {
            *key == attribute.key && value.as_ref().is_none_or(|value| *value == attribute.value)
        })
    }

    /// All in one line.
    pub(crate) fn show(&self) -> String {
        let texts = self.0.iter().map(|(key, value)| {
            format!("{key} = {}", value.as_ref().map_or_else(|| "any value".to_owned(), show))
        });
        join(texts.collect())
    }

    /// One line per difference; the order of attributes does not count.
    pub(crate) fn differences(&self, captured: &[KeyValue]) -> Vec<String> {
        let mut lines = Vec::new();
        let mut missing = Vec::new();
        for (key, expected) in &self.0 {
            let mut values = captured.iter().filter(|attribute| attribute.key == *key);
            match (values.next(), expected) {
                (None, expected) => missing.push((key.as_str(), expected.as_ref())),
                (Some(found), Some(expected)) if found.value != *expected => lines.push(format!(
                    "attribute {key}: expected {}, captured {}",
                    show(expected),
                    show(&found.value)
                )),
                _ => {}
            }
            for again in values {
                lines.push(format!("attribute {key}: set again, to {}", show(&again.value)));
            }
        }
        let mut unexpected: Vec<&KeyValue> =
            captured.iter().filter(|found| !self.has(&found.key)).collect();
        for (key, expected) in missing {
            let expected_text = expected.map_or_else(|| "any value".to_owned(), show);
            match unexpected.iter().position(|found| is_near(key, expected, found)) {
                Some(position) => {
                    let found = unexpected.remove(position);
                    lines.push(format!(
                        "attribute {key} = {expected_text} expected, captured {} = {}",
                        found.key,
                        show(&found.value)
                    ));
                }
                None => lines.push(format!("attribute {key}: missing, expected {expected_text}")),
            }
        }
        lines.extend(unexpected.iter().map(|found| {
            format!("attribute {}: unexpected, captured {}", found.key, show(&found.value))
        }));
        lines
    }
}

/// Whether the captured attribute is likely the expected one under a wrong name: the one name is a
/// part of the other, or they share their last word.
fn is_near(key: &str, expected: Option<&Value>, found: &KeyValue) -> bool {
    let other = found.key.as_str();
    let last_word = |name: &str| name.rsplit('.').next().map(str::to_owned);
    let related = key.contains(other) || other.contains(key) || last_word(key) == last_word(other);
    let first_word = |name: &str| name.split('.').next().map(str::to_owned);
    related || (expected == Some(&found.value) && first_word(key) == first_word(other))
}

/// The text `"5"` and the number `5` must look different.
pub(crate) fn show(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{:?}", text.as_str()),
        Value::F64(number) => format!("{number:?}"),
        other => other.to_string(),
    }
}

/// All attributes in one line, in order of their names.
pub(crate) fn show_all(attributes: &[KeyValue]) -> String {
    let texts = attributes
        .iter()
        .map(|attribute| format!("{} = {}", attribute.key, show(&attribute.value)));
    join(texts.collect())
}

fn join(mut texts: Vec<String>) -> String {
    texts.sort_unstable();
    if texts.is_empty() { "no attributes".to_owned() } else { texts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected<const N: usize>(
        attributes: [(&'static str, &'static str); N],
    ) -> ExpectedAttributes {
        let mut expected = ExpectedAttributes::default();
        expected.extend(attributes);
        expected
    }

    #[test]
    fn order_does_not_count() {
        let captured = [KeyValue::new("b", "2"), KeyValue::new("a", "1")];
        assert_eq!(expected([("a", "1"), ("b", "2")]).differences(&captured), [""; 0]);
    }

    #[test]
    fn each_difference_has_its_line() {
        let captured = [
            KeyValue::new("wrong", 5),
            KeyValue::new("extra", 1.0),
            KeyValue::new("twice", "1"),
            KeyValue::new("twice", "2"),
        ];
        let expected = expected([("wrong", "5"), ("absent", "x"), ("twice", "1")]);
        assert_eq!(
            expected.differences(&captured),
            [
                r#"attribute wrong: expected "5", captured 5"#,
                r#"attribute twice: set again, to "2""#,
                r#"attribute absent: missing, expected "x""#,
                "attribute extra: unexpected, captured 1.0",
            ]
        );
    }

    #[test]
    fn near_matches_stand_side_by_side() {
        let captured = [KeyValue::new("db.system", "sqlite"), KeyValue::new("other", true)];
        assert_eq!(
            expected([("db.system.name", "sqlite")]).differences(&captured),
            [
                r#"attribute db.system.name = "sqlite" expected, captured db.system = "sqlite""#,
                "attribute other: unexpected, captured true",
            ]
        );
    }

    #[test]
    fn any_value_is_a_value() {
        let mut expected = ExpectedAttributes::default();
        expected.set(Key::new("id"), None);
        assert_eq!(expected.differences(&[KeyValue::new("id", 7)]), [""; 0]);
        assert_eq!(expected.differences(&[]), ["attribute id: missing, expected any value"]);
    }
}
