//! Layer `telemetry`: providers and propagator, and the only reader of the global ones.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::global::{self, BoxedTracer, ObjectSafeTracerProvider};
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState, TracerProvider as _,
};
use opentelemetry::{Context, InstrumentationScope};

use crate::contain::contain;
use crate::options::Options;
use crate::w3c::{Read, Written};

pub(crate) type TracerProvider = Box<dyn ObjectSafeTracerProvider + Send + Sync>;
pub(crate) type BoxedMeterProvider = Box<dyn MeterProvider + Send + Sync>;
pub(crate) type Propagator = Box<dyn TextMapPropagator + Send + Sync>;

/// What a [`Telemetry`](crate::Telemetry) was given; for what it was not, the global one is asked.
pub(crate) struct Providers {
    pub(crate) tracer_provider: Option<TracerProvider>,
    pub(crate) meter_provider: Option<BoxedMeterProvider>,
    pub(crate) propagator: Option<Propagator>,
    pub(crate) options: Options,
    carries_spans: AtomicBool,
}

/// Where a tracer came from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Given,
    Global,
}

impl Providers {
    pub(crate) fn new(
        tracer_provider: Option<TracerProvider>,
        meter_provider: Option<BoxedMeterProvider>,
        propagator: Option<Propagator>,
        options: Options,
    ) -> Self {
        let carries_spans = AtomicBool::new(false);
        Self { tracer_provider, meter_provider, propagator, options, carries_spans }
    }

    pub(crate) fn inject(&self, context: &Context, carrier: &mut dyn Injector) {
        contain(|| {
            let mut carrier = Written::new(carrier);
            match &self.propagator {
                Some(propagator) => propagator.inject_context(context, &mut carrier),
                None => global::get_text_map_propagator(|propagator| {
                    propagator.inject_context(context, &mut carrier);
                }),
            }
            carrier.finish();
        });
    }

    pub(crate) fn propagated_fields(&self) -> Vec<String> {
        let fields = |propagator: &dyn TextMapPropagator| {
            // A composite propagator has them in another order each time.
            let mut fields: Vec<_> = propagator.fields().map(str::to_owned).collect();
            fields.sort_unstable();
            fields
        };
        contain(|| match &self.propagator {
            Some(propagator) => fields(&**propagator),
            None => global::get_text_map_propagator(fields),
        })
        .unwrap_or_default()
    }

    pub(crate) fn extract(&self, carrier: &dyn Extractor) -> Context {
        let read = |propagator: &dyn TextMapPropagator| {
            propagator.extract_with_context(&Context::new(), &Read::new(carrier))
        };
        contain(|| match &self.propagator {
            Some(propagator) => Some(read(&**propagator)),
            // The no-op propagator answers the ambient context, which the message did not carry.
            None => global::get_text_map_propagator(|propagator| {
                propagator.fields().next().map(|_| read(propagator))
            }),
        })
        .flatten()
        .unwrap_or_default()
    }

    /// Whether what is injected carries a span: a propagator of baggage alone does not, nor does the
    /// one that is there when none was set. Told by a round trip; a yes is kept.
    pub(crate) fn carries_spans(&self) -> bool {
        static KNOWN: LazyLock<Context> = LazyLock::new(|| {
            let (trace, span) = (TraceId::from(0x6f74_656c), SpanId::from(0x636f_7265));
            let known = SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::NONE);
            Context::new().with_remote_span_context(known)
        });
        if !self.carries_spans.load(Ordering::Relaxed) {
            let mut headers = HashMap::<String, String>::new();
            self.inject(&KNOWN, &mut headers);
            let arrived = !headers.is_empty()
                && self.extract(&headers).span().span_context().trace_id()
                    == KNOWN.span().span_context().trace_id();
            self.carries_spans.store(arrived, Ordering::Relaxed);
        }
        self.carries_spans.load(Ordering::Relaxed)
    }

    /// The tracer of a given provider, or what a global one hands out.
    pub(crate) fn tracer(&self, scope: &InstrumentationScope) -> (BoxedTracer, Source) {
        match &self.tracer_provider {
            Some(provider) => {
                (BoxedTracer::new(provider.boxed_tracer(scope.clone())), Source::Given)
            }
            None => (global::tracer_provider().tracer_with_scope(scope.clone()), Source::Global),
        }
    }

    /// The meter of a given provider, or of a global one unless that is the no-op.
    pub(crate) fn meter(&self, scope: &InstrumentationScope) -> Option<Meter> {
        if let Some(provider) = &self.meter_provider {
            return Some(provider.meter_with_scope(scope.clone()));
        }
        let provider = global::meter_provider();
        // The no-op provider is a type without size; the SDK's is not. A provider of no size that
        // reports through statics would be missed, and can be given in code.
        (size_of_val(&*provider) != 0).then(|| provider.meter_with_scope(scope.clone()))
    }

    pub(crate) fn waits_for_globals(&self) -> bool {
        self.tracer_provider.is_none() && self.meter_provider.is_none()
    }
}
