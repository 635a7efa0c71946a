//! What somebody would write by hand on the bare SDK around a call of Redis: the same span, made
//! current, and the same histogram, with everything that can be prepared prepared.

use std::time::Instant;

use ::redis::RedisResult;
use opentelemetry::context::FutureExt as _;
use opentelemetry::global::BoxedTracer;
use opentelemetry::metrics::{Histogram, Meter};
use opentelemetry::trace::{SpanKind, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue, StringValue};
use otel_core::attribute as names;

pub(super) struct Bare {
    tracer: BoxedTracer,
    duration: Histogram<f64>,
    address: StringValue,
}

impl Bare {
    pub(super) fn new(tracer: BoxedTracer, meter: &Meter) -> Self {
        let duration = meter
            .f64_histogram(names::metric::DB_CLIENT_OPERATION_DURATION)
            .with_unit("s")
            .with_boundaries(vec![0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0])
            .build();
        Self { tracer, duration, address: super::ADDRESS.into() }
    }

    fn start(&self, name: &'static str, text: String, size: Option<usize>) -> Started<'_> {
        let since = Instant::now();
        let mut attributes = Vec::with_capacity(6);
        attributes.extend(self.attributes(name));
        attributes.push(KeyValue::new(names::DB_QUERY_TEXT, text));
        let size = size.and_then(|size| i64::try_from(size).ok());
        attributes.extend(size.map(|size| KeyValue::new(names::DB_OPERATION_BATCH_SIZE, size)));
        let span = self.tracer.span_builder(name).with_kind(SpanKind::Client);
        let span = span.with_attributes(attributes).start(&self.tracer);
        Started { bare: self, name, since, context: Context::current_with_span(span) }
    }

    fn attributes(&self, name: &'static str) -> [KeyValue; 4] {
        [
            KeyValue::new(names::DB_SYSTEM_NAME, "redis"),
            KeyValue::new(names::DB_NAMESPACE, "0"),
            KeyValue::new(names::DB_OPERATION_NAME, name),
            KeyValue::new(names::SERVER_ADDRESS, self.address.clone()),
        ]
    }

    pub(super) async fn get<T>(
        &self,
        key: &str,
        call: impl Future<Output = RedisResult<T>>,
    ) -> RedisResult<T> {
        let started = self.start("GET", format!("GET {key}"), None);
        let result = call.with_context(started.context.clone()).await;
        started.end();
        result
    }

    pub(super) fn get_blocking<T>(
        &self,
        key: &str,
        call: impl FnOnce() -> RedisResult<T>,
    ) -> RedisResult<T> {
        let started = self.start("GET", format!("GET {key}"), None);
        let result = {
            let _guard = started.context.clone().attach();
            call()
        };
        started.end();
        result
    }

    pub(super) async fn get_all<T>(
        &self,
        keys: &[String],
        call: impl Future<Output = RedisResult<T>>,
    ) -> RedisResult<T> {
        let mut text = String::with_capacity(64);
        for key in keys {
            text.push_str(if text.is_empty() { "GET " } else { "; GET " });
            text.push_str(key);
        }
        let started = self.start("PIPELINE GET", text, Some(keys.len()));
        let result = call.with_context(started.context.clone()).await;
        started.end();
        result
    }
}

struct Started<'b> {
    bare: &'b Bare,
    name: &'static str,
    since: Instant,
    context: Context,
}

impl Started<'_> {
    fn end(self) {
        let attributes = self.bare.attributes(self.name);
        self.bare.duration.record(self.since.elapsed().as_secs_f64(), &attributes);
        self.context.span().end();
    }
}
