//! The table of the formats of the W3C, and what is compared with it.

use std::collections::BTreeMap;

use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use serde::Deserialize;

/// Names and values, where a name may stand several times.
pub(crate) type Headers = Vec<(String, String)>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    traceparent: Vec<Parent>,
    tracestate: Vec<State>,
    baggage: Vec<Baggage>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parent {
    #[serde(rename = "why")]
    _why: Option<String>,
    header: String,
    sent: Option<String>,
    official_sent: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    #[serde(rename = "why")]
    _why: Option<String>,
    headers: Vec<String>,
    sent: Option<String>,
    official_sent: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Baggage {
    #[serde(rename = "why")]
    _why: Option<String>,
    headers: Vec<String>,
    read: BTreeMap<String, String>,
    sent: Vec<String>,
    official_read: Option<BTreeMap<String, String>>,
    official_sent: Option<Vec<String>>,
}

/// Compares what is read, and what is sent on of it, with the whole table.
pub(crate) fn check(
    is_official: bool,
    extract: impl Fn(&Headers) -> Context,
    inject: impl Fn(&Context) -> Headers,
) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../otel-core/testdata/w3c.toml");
    let table: Table = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let sent = |context: &Context, name: &str| {
        let headers = inject(context);
        let mut named = headers.into_iter().filter(|(it, _)| it == name).map(|(_, value)| value);
        let value = named.next();
        assert_eq!(named.next(), None, "{name} is sent once");
        // An empty header is none.
        value.filter(|value| !value.is_empty())
    };
    for Parent { header, sent: expected, official_sent, .. } in table.traceparent {
        let context = extract(&vec![("traceparent".to_owned(), header.clone())]);
        let expected = official_sent.filter(|_| is_official).or(expected);
        assert_eq!(sent(&context, "traceparent"), expected, "{header:?}");
    }
    for State { headers, sent: expected, official_sent, .. } in table.tracestate {
        let mut all = named("tracestate", &headers);
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        all.insert(0, ("traceparent".to_owned(), parent.to_owned()));
        let context = extract(&all);
        assert_eq!(sent(&context, "traceparent").as_deref(), Some(parent), "{headers:?}");
        let expected = official_sent.filter(|_| is_official).or(expected);
        let expected = expected.map(|list| expanded(&list)).filter(|list| !list.is_empty());
        assert_eq!(sent(&context, "tracestate"), expected, "{headers:?}");
    }
    for Baggage { headers, read, sent: expected, official_read, official_sent, .. } in table.baggage
    {
        let context = extract(&named("baggage", &headers));
        let found = context.baggage().iter();
        let found = found.map(|(key, (value, _))| (key.to_string(), value.to_string()));
        let read = official_read.filter(|_| is_official).unwrap_or(read);
        assert_eq!(found.collect::<BTreeMap<_, _>>(), read, "{headers:?}");
        let mut expected = official_sent.filter(|_| is_official).unwrap_or(expected);
        let header = sent(&context, "baggage").unwrap_or_default();
        let mut members: Vec<_> = header.split(',').filter(|member| !member.is_empty()).collect();
        // The members of a baggage have no order.
        members.sort_unstable();
        expected.sort_unstable();
        assert_eq!(members, expected, "{headers:?}");
    }
}

fn named(name: &str, values: &[String]) -> Headers {
    values.iter().map(|value| (name.to_owned(), expanded(value))).collect()
}

/// `{z*3}` is `zzz`.
fn expanded(text: &str) -> String {
    let mut parts = text.split('{');
    let mut expanded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('}').and_then(|(inner, rest)| Some((inner.split_once('*')?, rest))) {
            Some(((unit, times), rest)) => {
                expanded += &unit.repeat(times.parse().unwrap());
                expanded += rest;
            }
            None => expanded = expanded + "{" + part,
        }
    }
    expanded
}
