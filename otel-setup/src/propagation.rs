//! How a trace continues in another process: `OTEL_PROPAGATORS`.

use opentelemetry::propagation::{TextMapCompositePropagator, TextMapPropagator};

use crate::b3::B3;
use crate::environment::Environment;
use crate::w3c::{Baggage, TraceContext};
use crate::xray::Xray;

const DEFAULT: &str = "tracecontext,baggage";

/// The propagators of the list, in its order. `none` is a list that is empty.
pub(crate) fn propagator(environment: &Environment<'_>) -> TextMapCompositePropagator {
    let name = "OTEL_PROPAGATORS";
    let value = environment.get(name).unwrap_or_else(|| DEFAULT.to_owned());
    let mut list = List::of(&value);
    if !list.unknown.is_empty() {
        let (unknown, mut used) = (list.unknown.join(","), list.known.join(","));
        if list.known.is_empty() {
            (list, used) = (List::of(DEFAULT), DEFAULT.to_owned());
        }
        let problem = format!(
            "names {unknown:?}, which is none of tracecontext, baggage, b3, b3multi, xray, none"
        );
        environment.complain(name, &value, &problem, used);
    }
    TextMapCompositePropagator::new(list.propagators)
}

#[derive(Default)]
struct List {
    known: Vec<String>,
    unknown: Vec<String>,
    propagators: Vec<Box<dyn TextMapPropagator + Send + Sync>>,
}

impl List {
    fn of(names: &str) -> Self {
        let mut list = Self::default();
        // By the specification, a name has no letter case, and counts once.
        for name in names.split(',').map(|name| name.trim().to_ascii_lowercase()) {
            if !name.is_empty() && !list.known.contains(&name) && !list.unknown.contains(&name) {
                list.add(name);
            }
        }
        list
    }

    fn add(&mut self, name: String) {
        let propagator: Box<dyn TextMapPropagator + Send + Sync> = match name.as_str() {
            "tracecontext" => Box::new(TraceContext::new()),
            "baggage" => Box::new(Baggage::new()),
            "b3" => Box::new(B3::single()),
            "b3multi" => Box::new(B3::multi()),
            "xray" => Box::new(Xray::new()),
            "none" => return self.known.push(name),
            _ => return self.unknown.push(name),
        };
        self.known.push(name);
        self.propagators.push(propagator);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use opentelemetry::baggage::BaggageExt as _;
    use opentelemetry::trace::{
        SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
    };
    use opentelemetry::{Context, KeyValue};

    use super::*;

    const TRACE: u128 = 0x5759_e988_bd86_2e3f_e1be_46a9_9427_2793;
    const SPAN: u64 = 0x5399_5c3f_42cd_8ad8;

    fn of(list: &str) -> TextMapCompositePropagator {
        let variable = |_: &str| Some(list.to_owned());
        let environment = Environment::new(&variable);
        let propagator = propagator(&environment);
        assert_eq!(environment.complaints(), Vec::<String>::new(), "{list}");
        propagator
    }

    fn injected(list: &str) -> BTreeMap<String, String> {
        let span = SpanContext::new(
            TraceId::from(TRACE),
            SpanId::from(SPAN),
            TraceFlags::SAMPLED,
            true,
            TraceState::default(),
        );
        let context = Context::new()
            .with_remote_span_context(span)
            .with_baggage([KeyValue::new("user", "7")]);
        let mut carrier = HashMap::new();
        of(list).inject_context(&context, &mut carrier);
        carrier.into_iter().collect()
    }

    fn extracted(list: &str, headers: &[(&str, &str)]) -> Option<(u128, u64, bool)> {
        let carrier: HashMap<String, String> =
            headers.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        let context = of(list).extract_with_context(&Context::new(), &carrier);
        let span = context.span().span_context().clone();
        let id = |bytes: [u8; 16]| u128::from_be_bytes(bytes);
        span.is_valid().then(|| {
            let span_id = u64::from_be_bytes(span.span_id().to_bytes());
            (id(span.trace_id().to_bytes()), span_id, span.is_sampled())
        })
    }

    fn headers<const N: usize>(expected: [(&str, &str); N]) -> BTreeMap<String, String> {
        expected.into_iter().map(|(key, value)| (key.into(), value.into())).collect()
    }

    // The values are those of the published formats: W3C Trace Context and Baggage, openzipkin's
    // b3-propagation, and the tracing header of AWS X-Ray.
    const TRACEPARENT: &str = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01";
    const B3: &str = "5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-1";
    const XRAY: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

    #[test]
    fn each_name_writes_its_published_format() {
        let w3c = headers([("baggage", "user=7"), ("traceparent", TRACEPARENT)]);
        assert_eq!(injected("tracecontext,baggage"), w3c);
        assert_eq!(injected(""), w3c, "the default");
        assert_eq!(injected("b3"), headers([("b3", B3)]));
        let multi = headers([
            ("x-b3-sampled", "1"),
            ("x-b3-spanid", "53995c3f42cd8ad8"),
            ("x-b3-traceid", "5759e988bd862e3fe1be46a994272793"),
        ]);
        assert_eq!(injected("b3multi"), multi);
        assert_eq!(injected("xray"), headers([("x-amzn-trace-id", XRAY)]));
        assert_eq!(injected("none"), headers([]));
        let both = headers([("b3", B3), ("baggage", "user=7")]);
        assert_eq!(injected("b3, Baggage, b3"), both);
    }

    #[test]
    fn each_name_reads_its_published_format() {
        let expected = Some((TRACE, SPAN, true));
        assert_eq!(extracted("tracecontext", &[("traceparent", TRACEPARENT)]), expected);
        assert_eq!(extracted("b3", &[("b3", B3)]), expected);
        let multi = [
            ("x-b3-traceid", "5759e988bd862e3fe1be46a994272793"),
            ("x-b3-spanid", "53995c3f42cd8ad8"),
            ("x-b3-sampled", "1"),
        ];
        assert_eq!(extracted("b3multi", &multi), expected);
        assert_eq!(extracted("xray", &[("x-amzn-trace-id", XRAY)]), expected);
        assert_eq!(extracted("none", &[("traceparent", TRACEPARENT), ("b3", B3)]), None);
    }

    #[test]
    fn a_format_that_is_missing_does_not_hide_the_others() {
        let list = "tracecontext,b3,xray,baggage";
        let expected = Some((TRACE, SPAN, true));
        assert_eq!(extracted(list, &[("traceparent", TRACEPARENT)]), expected);
        assert_eq!(extracted(list, &[("b3", B3)]), expected);
        assert_eq!(extracted(list, &[("x-amzn-trace-id", XRAY)]), expected);
    }

    fn fields_and_complaints(list: &str) -> (Vec<String>, Vec<String>) {
        let variable = |_: &str| Some(list.to_owned());
        let environment = Environment::new(&variable);
        let mut fields: Vec<_> = propagator(&environment).fields().map(ToOwned::to_owned).collect();
        fields.sort();
        (fields, environment.complaints())
    }

    #[test]
    fn an_unknown_name_is_one_complaint_and_the_others_are_used() {
        let (fields, complaints) = fields_and_complaints("B3,Jaeger,,baggage,jaeger,ottrace");
        assert_eq!(fields, ["b3", "baggage"]);
        assert_eq!(
            complaints,
            ["OTEL_PROPAGATORS=\"B3,Jaeger,,baggage,jaeger,ottrace\" names \"jaeger,ottrace\", \
              which is none of tracecontext, baggage, b3, b3multi, xray, none; b3,baggage is used"]
        );
        let (fields, complaints) = fields_and_complaints("None,jaeger");
        assert_eq!((fields.len(), complaints.len()), (0, 1));
    }

    #[test]
    fn without_a_known_name_the_default_is_used() {
        let (fields, complaints) = fields_and_complaints("jaeger");
        assert_eq!(fields, ["baggage", "traceparent", "tracestate"]);
        assert_eq!(
            complaints,
            ["OTEL_PROPAGATORS=\"jaeger\" names \"jaeger\", which is none of tracecontext, \
              baggage, b3, b3multi, xray, none; tracecontext,baggage is used"]
        );
    }
}
