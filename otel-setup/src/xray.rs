//! The propagation format of AWS X-Ray:
//! <https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader>.

use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, TraceContextExt as _, TraceFlags};
use opentelemetry_aws::trace::XrayPropagator;

/// The propagator of `opentelemetry-aws` behind a look at the header: it takes any number for an id,
/// and a header that names no parent for a span, which hides the one that another format tells.
#[derive(Debug)]
pub(crate) struct Xray(XrayPropagator);

impl Xray {
    pub(crate) fn new() -> Self {
        Self(XrayPropagator::new())
    }
}

impl TextMapPropagator for Xray {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        let span = context.span().span_context().clone();
        if !span.is_sampled() || span.trace_flags() == TraceFlags::SAMPLED {
            return self.0.inject_context(context, injector);
        }
        // The flag that says to W3C that the id is random says to it that nothing is decided.
        let (trace, id) = (span.trace_id(), span.span_id());
        let state = span.trace_state().clone();
        let decided = SpanContext::new(trace, id, TraceFlags::SAMPLED, span.is_remote(), state);
        self.0.inject_context(&context.with_remote_span_context(decided), injector);
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let header = self.fields().find_map(|name| extractor.get(name));
        if header.is_some_and(names_a_span) {
            self.0.extract_with_context(context, extractor)
        } else {
            context.clone()
        }
    }

    fn fields(&self) -> FieldIter<'_> {
        self.0.fields()
    }
}

/// Whether `Root=1-{8 digits}-{24 digits}` and `Parent={16 digits}` stand in it, once each.
fn names_a_span(header: &str) -> bool {
    let is_number = |text: &str, digits| {
        text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let is_root = |root: &str| match root.split('-').collect::<Vec<_>>()[..] {
        ["1", time, rest] => is_number(time, 8) && is_number(rest, 24),
        _ => false,
    };
    let field = |name: &str| {
        let mut found = header.trim().split(';').filter_map(|field| field.strip_prefix(name));
        found.next().filter(|_| found.next().is_none())
    };
    field("Root=").is_some_and(is_root)
        && field("Parent=").is_some_and(|span| is_number(span, 16) && span.contains(|it| it != '0'))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const HEADER: &str = "x-amzn-trace-id";
    const SPAN: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

    fn read(header: &str) -> Context {
        let carrier = HashMap::from([(HEADER.to_owned(), header.to_owned())]);
        Xray::new().extract_with_context(&Context::new(), &carrier)
    }

    fn written(context: &Context) -> String {
        let mut carrier = HashMap::new();
        Xray::new().inject_context(context, &mut carrier);
        carrier.remove(HEADER).unwrap_or_default()
    }

    #[test]
    fn what_is_no_id_is_no_trace() {
        assert!(read(SPAN).span().span_context().is_valid());
        for (whole, broken) in [
            ("53995c3f42cd8ad8", "+3995c3f42cd8ad8"),
            ("53995c3f42cd8ad8", "1"),
            ("53995c3f42cd8ad8", "0000000000000000"),
            ("Parent=53995c3f42cd8ad8;", ""),
            ("5759e988", "+759e988"),
            ("5759e988", "5759e98"),
            ("bd862e3fe1be46a994272793", "bd862e3fe1be46a99427279"),
            ("1-5759e988", "2-5759e988"),
            ("Sampled=1", "Parent=+"),
        ] {
            let header = SPAN.replace(whole, broken);
            assert!(!read(&header).has_active_span(), "{header}");
        }
    }

    #[test]
    fn what_is_sampled_is_decided() {
        for (flags, expected) in [(1, "Sampled=1"), (3, "Sampled=1"), (0, "Sampled=0")] {
            let span = read(SPAN).span().span_context().clone();
            let (trace, id, state) = (span.trace_id(), span.span_id(), span.trace_state().clone());
            let span = SpanContext::new(trace, id, TraceFlags::new(flags), true, state);
            let header = written(&Context::new().with_remote_span_context(span));
            assert!(header.ends_with(expected), "{flags}: {header}");
        }
        // A decision that X-Ray leaves to others goes on as it came.
        assert!(written(&read(&SPAN.replace("Sampled=1", "Sampled=?"))).ends_with("Sampled=?"));
    }
}
