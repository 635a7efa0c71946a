//! What somebody would write by hand on the bare SDK around lapin: the same spans, links and points,
//! with everything that can be prepared prepared.

use std::sync::Arc;
use std::time::Instant;

use futures_util::{FutureExt as _, StreamExt as _};
use opentelemetry::context::FutureExt as _;
use opentelemetry::global::BoxedTracer;
use opentelemetry::metrics::Meter;
use opentelemetry::propagation::{
    Extractor, Injector, TextMapCompositePropagator, TextMapPropagator as _,
};
use opentelemetry::trace::{Link, Span as _, SpanKind, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue, StringValue};
use otel_core::attribute as names;
use otel_core::messaging::fact;
use otel_rabbitmq::lapin::message::Delivery;
use otel_rabbitmq::lapin::options::BasicAckOptions;
use otel_rabbitmq::lapin::types::{AMQPValue, FieldTable, ShortString};
use otel_rabbitmq::lapin::{BasicProperties, Result};

use super::{Contender, HOST, KEY, NAME as SYSTEM, PORT, QUEUE, Raw, SHOP, TARGET, publish};
use crate::kafka::Instruments;

pub(super) struct Bare {
    raw: Raw,
    tracer: BoxedTracer,
    propagator: TextMapCompositePropagator,
    instruments: Instruments,
    address: StringValue,
    target: StringValue,
    queue: StringValue,
    key: StringValue,
    client: StringValue,
}

/// The headers, as the application would write and read them.
struct Headers<T>(T);

impl Injector for Headers<&mut FieldTable> {
    fn set(&mut self, name: &str, value: String) {
        if !value.is_empty() {
            self.0.insert(name.into(), AMQPValue::LongString(value.into()));
        }
    }
}

impl Extractor for Headers<Option<&FieldTable>> {
    fn get(&self, name: &str) -> Option<&str> {
        match self.0?.inner().get(name)? {
            AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok(),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        self.0
            .map(|table| table.inner().keys().map(ShortString::as_str).collect())
            .unwrap_or_default()
    }
}

impl Bare {
    pub(super) fn new(
        raw: Raw,
        tracer: BoxedTracer,
        meter: &Meter,
        propagator: TextMapCompositePropagator,
    ) -> Self {
        let shared = |text: &str| StringValue::from(Arc::<str>::from(text));
        Self {
            raw,
            tracer,
            propagator,
            instruments: Instruments::new(meter),
            address: shared(HOST),
            target: shared(TARGET),
            queue: shared(QUEUE),
            key: shared(KEY),
            client: shared(SHOP),
        }
    }

    fn common(&self, operation: &'static str, place: &StringValue, more: usize) -> Vec<KeyValue> {
        let mut common = Vec::with_capacity(5 + more);
        common.extend([
            KeyValue::new(names::MESSAGING_SYSTEM, SYSTEM),
            KeyValue::new(names::MESSAGING_OPERATION_NAME, operation),
            KeyValue::new(names::MESSAGING_DESTINATION_NAME, place.clone()),
            KeyValue::new(names::SERVER_ADDRESS, self.address.clone()),
            KeyValue::new(names::SERVER_PORT, i64::from(PORT)),
        ]);
        common
    }

    fn on_span(
        &self,
        (operation, kind): (&'static str, &'static str),
        place: &StringValue,
    ) -> Vec<KeyValue> {
        let mut attributes = self.common(operation, place, 4);
        attributes.extend([
            KeyValue::new(names::MESSAGING_OPERATION_TYPE, kind),
            KeyValue::new(names::MESSAGING_CLIENT_ID, self.client.clone()),
        ]);
        attributes
    }

    fn of_message(&self, step: (&'static str, &'static str), tag: u64) -> Vec<KeyValue> {
        let mut attributes = self.on_span(step, &self.queue);
        attributes.extend([self.routing_key(), delivery_tag(tag)]);
        attributes
    }

    fn routing_key(&self) -> KeyValue {
        KeyValue::new(fact::RABBITMQ_ROUTING_KEY.name(), self.key.clone())
    }
}

fn delivery_tag(tag: u64) -> KeyValue {
    KeyValue::new(fact::RABBITMQ_DELIVERY_TAG.name(), i64::try_from(tag).unwrap_or_default())
}

fn link(to: &Context) -> Vec<Link> {
    vec![Link::with_context(to.span().span_context().clone())]
}

impl Contender for Bare {
    type Message = (Delivery, Context);

    async fn publish(&self) -> Result<()> {
        let start = Instant::now();
        let mut attributes = self.on_span(("publish", "send"), &self.target);
        attributes.push(self.routing_key());
        let span = self
            .tracer
            .span_builder("publish shop:paid")
            .with_kind(SpanKind::Producer)
            .with_attributes(attributes)
            .start(&self.tracer);
        let context = Context::current_with_span(span);
        let mut headers = FieldTable::default();
        self.propagator.inject_context(&context, &mut Headers(&mut headers));
        let properties = BasicProperties::default().with_headers(headers);
        let confirm = publish!(self.raw.channel, properties).with_context(context.clone()).await?;
        confirm.await?;
        let mut attributes = self.common("publish", &self.target, 1);
        self.instruments.sent.add(1, &attributes);
        attributes.push(KeyValue::new(names::MESSAGING_OPERATION_TYPE, "send"));
        self.instruments.duration.record(start.elapsed().as_secs_f64(), &attributes);
        context.span().end();
        Ok(())
    }

    fn next(&mut self) -> Option<(Delivery, Context)> {
        let delivery = self.raw.consumer.next().now_or_never()??.ok()?;
        let headers = Headers(delivery.properties.headers().as_ref());
        let remote = self.propagator.extract_with_context(&Context::new(), &headers);
        let mut span = self
            .tracer
            .span_builder("consume shop:paid:billing")
            .with_kind(SpanKind::Client)
            .with_links(link(&remote))
            .with_attributes(self.of_message(("consume", "receive"), delivery.delivery_tag))
            .start(&self.tracer);
        self.instruments.consumed.add(1, &self.common("consume", &self.queue, 0));
        span.end();
        Some((delivery, remote))
    }

    async fn process(&self, (delivery, remote): &(Delivery, Context)) {
        let start = Instant::now();
        let parent =
            Context::current().with_remote_span_context(remote.span().span_context().clone());
        let span = self
            .tracer
            .span_builder("process shop:paid:billing")
            .with_kind(SpanKind::Consumer)
            .with_links(link(remote))
            .with_attributes(self.of_message(("process", "process"), delivery.delivery_tag))
            .start_with_context(&self.tracer, &parent);
        let context = parent.with_span(span);
        async {}.with_context(context.clone()).await;
        let attributes = self.common("process", &self.queue, 0);
        self.instruments.processing.record(start.elapsed().as_secs_f64(), &attributes);
        context.span().end();
    }

    async fn ack(&self, (delivery, remote): (Delivery, Context)) -> Result<()> {
        let start = Instant::now();
        let mut attributes = self.on_span(("ack", "settle"), &self.queue);
        attributes.push(delivery_tag(delivery.delivery_tag));
        let span = self
            .tracer
            .span_builder("ack shop:paid:billing")
            .with_kind(SpanKind::Client)
            .with_links(link(&remote))
            .with_attributes(attributes)
            .start(&self.tracer);
        let context = Context::current_with_span(span);
        delivery.ack(BasicAckOptions::default()).with_context(context.clone()).await?;
        let mut attributes = self.common("ack", &self.queue, 1);
        attributes.push(KeyValue::new(names::MESSAGING_OPERATION_TYPE, "settle"));
        self.instruments.duration.record(start.elapsed().as_secs_f64(), &attributes);
        context.span().end();
        Ok(())
    }
}
