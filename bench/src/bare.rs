//! What somebody would write by hand on the bare SDK for one statement: the same span, made
//! current, and the same histogram, with everything that can be prepared prepared.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use opentelemetry::context::FutureExt as _;
use opentelemetry::global::BoxedTracer;
use opentelemetry::metrics::{Histogram, Meter};
use opentelemetry::trace::{SpanKind, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue, StringValue};
use otel_core::attribute as names;

use crate::stub;

pub(crate) struct Bare {
    tracer: BoxedTracer,
    duration: Histogram<f64>,
    system: StringValue,
    namespace: StringValue,
    address: StringValue,
    name: &'static str,
    summary: StringValue,
    text: StringValue,
}

impl Bare {
    pub(crate) fn new(tracer: BoxedTracer, meter: &Meter) -> Self {
        let shared = |text: &str| StringValue::from(Arc::<str>::from(text));
        let duration = meter
            .f64_histogram(names::metric::DB_CLIENT_OPERATION_DURATION)
            .with_unit("s")
            .with_boundaries(vec![0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0])
            .build();
        Self {
            tracer,
            duration,
            system: stub::SYSTEM.into(),
            namespace: shared(stub::NAMESPACE),
            address: shared(stub::ADDRESS),
            name: stub::SUMMARY,
            summary: shared(stub::SUMMARY),
            text: shared(stub::TEXT),
        }
    }

    pub(crate) async fn run(
        &self,
        call: impl Future<Output = Result<(), Infallible>>,
    ) -> Result<(), Infallible> {
        let start = Instant::now();
        let span = self
            .tracer
            .span_builder(self.name)
            .with_kind(SpanKind::Client)
            .with_attributes(vec![
                KeyValue::new(names::DB_SYSTEM_NAME, self.system.clone()),
                KeyValue::new(names::DB_NAMESPACE, self.namespace.clone()),
                KeyValue::new(names::SERVER_ADDRESS, self.address.clone()),
                KeyValue::new(names::DB_QUERY_SUMMARY, self.summary.clone()),
                KeyValue::new(names::DB_QUERY_TEXT, self.text.clone()),
            ])
            .start(&self.tracer);
        let context = Context::current_with_span(span);
        let result = call.with_context(context.clone()).await;
        let attributes = [
            KeyValue::new(names::DB_SYSTEM_NAME, self.system.clone()),
            KeyValue::new(names::DB_NAMESPACE, self.namespace.clone()),
            KeyValue::new(names::SERVER_ADDRESS, self.address.clone()),
            KeyValue::new(names::DB_QUERY_SUMMARY, self.summary.clone()),
        ];
        self.duration.record(start.elapsed().as_secs_f64(), &attributes);
        context.span().end();
        result
    }
}
