//! What the formats of the W3C say is what the propagators read and send that are set up by default.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as such")]

mod support;
#[path = "../../otel-core/tests/support/w3c.rs"]
mod table;

use std::collections::HashMap;

use opentelemetry::global;
use opentelemetry::propagation::Extractor;
use table::Headers;

/// As headers of HTTP are read: the first of a name, or all of them.
struct Carrier<'h>(&'h Headers);

impl Extractor for Carrier<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.get_all(name)?.first().copied()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).collect()
    }

    fn get_all(&self, name: &str) -> Option<Vec<&str>> {
        let named = self.0.iter().filter(|(it, _)| it == name);
        let values: Vec<_> = named.map(|(_, value)| value.as_str()).collect();
        (!values.is_empty()).then_some(values)
    }
}

#[test]
fn the_default_propagators() {
    let exporters = ["OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER"];
    let variables = exporters.map(|name| (name, &"none" as &dyn ToString));
    let finished = support::run("the_default_propagators", &variables, || {
        let _guard = otel_setup::init!();
        table::check(
            false,
            |headers| {
                global::get_text_map_propagator(|propagator| propagator.extract(&Carrier(headers)))
            },
            |context| {
                let mut headers = HashMap::new();
                global::get_text_map_propagator(|propagator| {
                    propagator.inject_context(context, &mut headers);
                });
                // What has nothing to say is not sent.
                assert!(!headers.values().any(String::is_empty), "{headers:?}");
                headers.into_iter().collect()
            },
        );
    });
    assert!(finished.success, "{finished:?}");
}
