//! What somebody would write by hand on the bare SDK for a message that is sent, received and
//! processed: the same spans, links and points, with everything that can be prepared prepared.

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use opentelemetry::baggage::{Baggage, BaggageExt as _};
use opentelemetry::context::FutureExt as _;
use opentelemetry::global::BoxedTracer;
use opentelemetry::metrics::{Counter, Histogram, Meter};
use opentelemetry::propagation::{TextMapCompositePropagator, TextMapPropagator as _};
use opentelemetry::trace::{Link, SpanKind, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue, StringValue};
use otel_core::attribute as names;
use otel_core::messaging::fact;
use otel_core::propagation::ByteCarrier;

use super::{BROKER, CLIENT_ID, GROUP, Headers, KEY, OFFSET, PARTITION, SYSTEM, TOPIC};

/// Those of the page on messages.
pub(crate) struct Instruments {
    pub(crate) duration: Histogram<f64>,
    pub(crate) processing: Histogram<f64>,
    pub(crate) sent: Counter<u64>,
    pub(crate) consumed: Counter<u64>,
}

impl Instruments {
    pub(crate) fn new(meter: &Meter) -> Self {
        let seconds = |name| {
            let boundaries = vec![
                0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
            ];
            meter.f64_histogram(name).with_unit("s").with_boundaries(boundaries).build()
        };
        let messages = |name| meter.u64_counter(name).with_unit("{message}").build();
        Self {
            duration: seconds(names::metric::MESSAGING_CLIENT_OPERATION_DURATION),
            processing: seconds(names::metric::MESSAGING_PROCESS_DURATION),
            sent: messages(names::metric::MESSAGING_CLIENT_SENT_MESSAGES),
            consumed: messages(names::metric::MESSAGING_CLIENT_CONSUMED_MESSAGES),
        }
    }
}

pub(super) struct Bare {
    tracer: BoxedTracer,
    propagator: Option<TextMapCompositePropagator>,
    instruments: Instruments,
    partition: StringValue,
    address: StringValue,
    topic: StringValue,
    group: StringValue,
    client: StringValue,
}

impl Bare {
    pub(super) fn new(
        tracer: BoxedTracer,
        meter: &Meter,
        propagator: Option<TextMapCompositePropagator>,
    ) -> Self {
        let shared = |text: &str| StringValue::from(Arc::<str>::from(text));
        Self {
            tracer,
            propagator,
            instruments: Instruments::new(meter),
            partition: shared(&PARTITION.to_string()),
            address: shared(BROKER.0),
            topic: shared(TOPIC),
            group: shared(GROUP),
            client: shared(CLIENT_ID),
        }
    }

    fn common(&self, operation: &'static str, more: usize) -> Vec<KeyValue> {
        let mut common = Vec::with_capacity(5 + more);
        common.extend([
            KeyValue::new(names::MESSAGING_SYSTEM, SYSTEM),
            KeyValue::new(names::MESSAGING_OPERATION_NAME, operation),
            KeyValue::new(names::MESSAGING_DESTINATION_NAME, self.topic.clone()),
            KeyValue::new(names::SERVER_ADDRESS, self.address.clone()),
            KeyValue::new(names::SERVER_PORT, i64::from(BROKER.1)),
        ]);
        common
    }

    fn on_span(&self, operation: &'static str, kind: &'static str) -> Vec<KeyValue> {
        let mut attributes = self.common(operation, 6);
        attributes.extend([
            KeyValue::new(names::MESSAGING_OPERATION_TYPE, kind),
            KeyValue::new(names::MESSAGING_CLIENT_ID, self.client.clone()),
            KeyValue::new(fact::KAFKA_MESSAGE_KEY.name(), KEY),
        ]);
        attributes
    }

    fn received_on_span(&self, operation: &'static str, kind: &'static str) -> Vec<KeyValue> {
        let mut attributes = self.on_span(operation, kind);
        attributes.extend(self.received_on_points());
        attributes.push(KeyValue::new(fact::KAFKA_OFFSET.name(), OFFSET));
        attributes
    }

    fn received_on_points(&self) -> [KeyValue; 2] {
        [
            KeyValue::new(names::MESSAGING_CONSUMER_GROUP_NAME, self.group.clone()),
            KeyValue::new(names::MESSAGING_DESTINATION_PARTITION_ID, self.partition.clone()),
        ]
    }

    pub(super) async fn send(
        &self,
        mut headers: Headers,
        call: impl Future<Output = Result<(), Infallible>>,
    ) {
        let start = Instant::now();
        let span = self
            .tracer
            .span_builder("send orders")
            .with_kind(SpanKind::Producer)
            .with_attributes(self.on_span("send", "send"))
            .start(&self.tracer);
        let context = Context::current_with_span(span);
        if let Some(propagator) = &self.propagator {
            propagator.inject_context(&context, &mut ByteCarrier::new(&mut headers));
        }
        _ = call.with_context(context.clone()).await;
        let partition =
            KeyValue::new(names::MESSAGING_DESTINATION_PARTITION_ID, PARTITION.to_string());
        context
            .span()
            .set_attributes([partition.clone(), KeyValue::new(fact::KAFKA_OFFSET.name(), OFFSET)]);
        let mut attributes = self.common("send", 2);
        attributes.push(partition);
        self.instruments.sent.add(1, &attributes);
        attributes.push(KeyValue::new(names::MESSAGING_OPERATION_TYPE, "send"));
        self.instruments.duration.record(start.elapsed().as_secs_f64(), &attributes);
        context.span().end();
        black_box(headers);
    }

    pub(super) fn receive(&self, headers: &Headers) -> Context {
        let start = Instant::now();
        let remote = match &self.propagator {
            Some(propagator) => {
                propagator.extract_with_context(&Context::new(), &ByteCarrier::new(headers))
            }
            None => Context::new(),
        };
        let mut span = self
            .tracer
            .span_builder("poll orders")
            .with_kind(SpanKind::Client)
            .with_links(vec![Link::with_context(remote.span().span_context().clone())])
            .with_attributes(self.received_on_span("poll", "receive"))
            .start(&self.tracer);
        let mut attributes = self.common("poll", 3);
        attributes.extend(self.received_on_points());
        self.instruments.consumed.add(1, &attributes);
        attributes.push(KeyValue::new(names::MESSAGING_OPERATION_TYPE, "receive"));
        self.instruments.duration.record(start.elapsed().as_secs_f64(), &attributes);
        opentelemetry::trace::Span::end(&mut span);
        remote
    }

    pub(super) async fn process(
        &self,
        remote: &Context,
        handler: impl Future<Output = Result<(), Infallible>>,
    ) {
        let start = Instant::now();
        // What the application put into the ambient context stays, and what the message carries comes.
        let mut parent =
            Context::current().with_remote_span_context(remote.span().span_context().clone());
        if !remote.baggage().is_empty() {
            let entries = remote.baggage().iter().map(|(name, it)| (name.clone(), it.clone()));
            parent = parent.with_baggage(entries.collect::<Baggage>());
        }
        let span = self
            .tracer
            .span_builder("process orders")
            .with_kind(SpanKind::Consumer)
            .with_links(vec![Link::with_context(remote.span().span_context().clone())])
            .with_attributes(self.received_on_span("process", "process"))
            .start_with_context(&self.tracer, &parent);
        let context = parent.with_span(span);
        _ = handler.with_context(context.clone()).await;
        let mut attributes = self.common("process", 2);
        attributes.extend(self.received_on_points());
        self.instruments.processing.record(start.elapsed().as_secs_f64(), &attributes);
        context.span().end();
    }
}
