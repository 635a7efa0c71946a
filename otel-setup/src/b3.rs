//! The propagation format of Zipkin: <https://github.com/openzipkin/b3-propagation>.
//!
//! Its official propagator is part of a crate that is deprecated as a whole.

use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};

const SINGLE: &str = "b3";
const TRACE: &str = "x-b3-traceid";
const SPAN: &str = "x-b3-spanid";
const SAMPLED: &str = "x-b3-sampled";
const FLAGS: &str = "x-b3-flags";

/// Writes one header or several; reads both.
#[derive(Debug)]
pub(crate) struct B3 {
    fields: Vec<String>,
    single: bool,
}

/// The caller asked for a trace that is kept at any rate; this is told to the next service too.
#[derive(Debug)]
struct Debug;

impl B3 {
    pub(crate) fn single() -> Self {
        Self { fields: vec![SINGLE.to_owned()], single: true }
    }

    pub(crate) fn multi() -> Self {
        let fields = [TRACE, SPAN, SAMPLED, FLAGS].map(ToOwned::to_owned).to_vec();
        Self { fields, single: false }
    }
}

impl TextMapPropagator for B3 {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        let span = context.span();
        let span = span.span_context();
        if !span.is_valid() {
            return;
        }
        let debug = context.get::<Debug>().is_some();
        let sampled = if span.is_sampled() { "1" } else { "0" };
        let (trace, id) = (span.trace_id(), span.span_id());
        if self.single {
            let state = if debug { "d" } else { sampled };
            return injector.set(SINGLE, format!("{trace}-{id}-{state}"));
        }
        injector.set(TRACE, trace.to_string());
        injector.set(SPAN, id.to_string());
        // Debug implies sampled, and the format wants only one of them.
        if debug {
            injector.set(FLAGS, "1".to_owned());
        } else {
            injector.set(SAMPLED, sampled.to_owned());
        }
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let read = extractor.get(SINGLE).and_then(single).or_else(|| several(extractor));
        let Some((span, debug)) = read else { return context.clone() };
        let context = context.with_remote_span_context(span);
        if debug { context.with_value(Debug) } else { context }
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.fields)
    }
}

/// `{trace}-{span}-{state}-{parent}`, the last two optional. A state alone names no trace to go on.
fn single(header: &str) -> Option<(SpanContext, bool)> {
    let mut parts = header.trim().split('-');
    parse(parts.next()?, parts.next()?, parts.next(), false)
}

fn several(extractor: &dyn Extractor) -> Option<(SpanContext, bool)> {
    let debug = extractor.get(FLAGS) == Some("1");
    parse(extractor.get(TRACE)?, extractor.get(SPAN)?, extractor.get(SAMPLED), debug)
}

fn parse(trace: &str, span: &str, state: Option<&str>, debug: bool) -> Option<(SpanContext, bool)> {
    let (sampled, debug) = match state {
        _ if debug => (true, true),
        Some("d") => (true, true),
        // Not long ago these were written as words.
        Some("1" | "true") => (true, false),
        // The caller leaves it open: as elsewhere in OpenTelemetry, it counts as not sampled.
        Some("0" | "false") | None => (false, false),
        Some(_) => return None,
    };
    let hexadecimal = |text: &str, lengths: &[usize]| {
        lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    if !hexadecimal(trace, &[16, 32]) || !hexadecimal(span, &[16]) {
        return None;
    }
    // A short id is the lower half of a long one.
    let trace = TraceId::from_hex(trace).ok()?;
    let flags = TraceFlags::default().with_sampled(sampled);
    let span = SpanId::from_hex(span).ok()?;
    let span = SpanContext::new(trace, span, flags, true, TraceState::default());
    span.is_valid().then_some((span, debug))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const TRACE_ID: &str = "80f198ee56343ba864fe8b2a57d3eff7";
    const SPAN_ID: &str = "e457b5a2e4d86bd1";

    fn read(headers: &[(&str, &str)]) -> Option<(String, String, bool)> {
        let context = extract(headers);
        let span = context.span().span_context().clone();
        span.is_valid().then(|| {
            assert!(span.is_remote());
            (span.trace_id().to_string(), span.span_id().to_string(), span.is_sampled())
        })
    }

    fn extract(headers: &[(&str, &str)]) -> Context {
        let carrier: HashMap<String, String> =
            headers.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        B3::single().extract_with_context(&Context::new(), &carrier)
    }

    // The examples of the published format.
    #[test]
    fn the_single_header() {
        let ids = |sampled| Some((TRACE_ID.to_owned(), SPAN_ID.to_owned(), sampled));
        let b3 = |state: &str| read(&[("b3", &format!("{TRACE_ID}-{SPAN_ID}{state}"))]);
        assert_eq!(b3("-1-05e3ac9a4f6e3b90"), ids(true));
        assert_eq!(b3("-1"), ids(true));
        assert_eq!(b3("-d"), ids(true));
        assert_eq!(b3("-0"), ids(false));
        assert_eq!(b3(""), ids(false));
        assert_eq!(b3("-x"), None);
        assert_eq!(read(&[("b3", "0")]), None);
    }

    #[test]
    fn several_headers() {
        let several = |state: &[(&str, &str)]| {
            read(&[&[("x-b3-traceid", TRACE_ID), ("x-b3-spanid", SPAN_ID)], state].concat())
        };
        let ids = |sampled| Some((TRACE_ID.to_owned(), SPAN_ID.to_owned(), sampled));
        assert_eq!(several(&[("x-b3-sampled", "1"), ("x-b3-parentspanid", SPAN_ID)]), ids(true));
        assert_eq!(several(&[("x-b3-sampled", "0")]), ids(false));
        assert_eq!(several(&[("x-b3-flags", "1")]), ids(true));
        assert_eq!(several(&[]), ids(false));
        // The single header comes first, unless nobody can read it.
        let other = format!("{SPAN_ID}-{SPAN_ID}-0");
        let first = several(&[("x-b3-sampled", "1"), ("b3", &other)]);
        assert_eq!(first.map(|(trace, ..)| trace), Some(format!("{SPAN_ID:0>32}")));
        assert_eq!(several(&[("x-b3-sampled", "1"), ("b3", "nonsense")]), ids(true));
    }

    #[test]
    fn a_short_trace_id_is_filled_up() {
        let short = read(&[("b3", &format!("64fe8b2a57d3eff7-{SPAN_ID}-1"))]);
        let filled = format!("{:0>32}", "64fe8b2a57d3eff7");
        assert_eq!(short, Some((filled, SPAN_ID.to_owned(), true)));
    }

    #[test]
    fn what_is_no_id_is_no_trace() {
        for bad in ["", "-", "1-2-1", "é".repeat(16).as_str(), "--------"] {
            assert_eq!(read(&[("b3", bad)]), None, "{bad}");
        }
        let zero = format!("{:0>32}-{SPAN_ID}-1", "");
        assert_eq!(read(&[("b3", &zero)]), None);
    }

    #[test]
    fn debug_is_told_to_the_next_service() {
        let context = extract(&[("b3", &format!("{TRACE_ID}-{SPAN_ID}-d"))]);
        let mut one = HashMap::new();
        B3::single().inject_context(&context, &mut one);
        assert_eq!(one, HashMap::from([("b3".into(), format!("{TRACE_ID}-{SPAN_ID}-d"))]));
        let mut several = HashMap::new();
        B3::multi().inject_context(&context, &mut several);
        let expected = [("x-b3-traceid", TRACE_ID), ("x-b3-spanid", SPAN_ID), ("x-b3-flags", "1")];
        assert_eq!(several, expected.map(|(key, value)| (key.into(), value.into())).into());
    }
}
