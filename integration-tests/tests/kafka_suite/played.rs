//! A scenario that was played with both, and the spans to expect of it.

use integration_tests::told::{Span, assert_agreement, points, spans};
use otel_testing::assert::ExpectedSpan;
use otel_testing::opentelemetry::trace::SpanContext;
use otel_testing::opentelemetry_sdk::trace::SpanData;
use otel_testing::{Capture, span};

use super::Outcome;
use crate::kafka_support::host_and_port;

pub const GROUP: &str = "messaging.consumer.group.name";

/// One scenario, with both.
pub struct Played {
    pub capture: Capture,
    pub brokers: String,
    pub cluster: String,
    pub bare: Outcome,
    pub ours: Outcome,
}

impl Played {
    /// A span with what all of them say.
    pub fn told(&self, operation: &'static str, step: &'static str) -> ExpectedSpan {
        self.told_in(0, operation, step)
    }

    pub fn told_in(
        &self,
        topic: usize,
        operation: &'static str,
        step: &'static str,
    ) -> ExpectedSpan {
        let topic = &self.ours.topics[topic];
        self.told_of(topic, operation, step).attribute("messaging.destination.name", topic.clone())
    }

    /// Of a topic, or of the brokers where it is about none.
    pub fn told_of(
        &self,
        place: &str,
        operation: &'static str,
        step: &'static str,
    ) -> ExpectedSpan {
        let (host, port) = host_and_port(&self.brokers);
        let told = span(format!("{operation} {place}"));
        let told = if step == "send" { told.producer() } else { told.client() };
        told.attribute("messaging.system", "kafka")
            .attribute("messaging.operation.name", operation)
            .attribute("messaging.operation.type", step)
            .attribute("messaging.client.id", "rdkafka")
            .attribute("messaging.kafka.cluster.id", self.cluster.clone())
            .attribute("server.address", host.to_owned())
            .attribute("server.port", i64::from(port))
    }

    pub fn topic(&self) -> &str {
        &self.ours.topics[0]
    }

    pub fn sent(&self) -> ExpectedSpan {
        self.told("send", "send")
    }

    pub fn received(&self) -> ExpectedSpan {
        self.told("poll", "receive").attribute(GROUP, self.group(0))
    }

    pub fn group(&self, number: usize) -> String {
        self.ours.groups[number].clone()
    }

    /// A failure to receive anything: no topic's, and before a message told the cluster.
    pub fn not_received(&self, error: &'static str) -> ExpectedSpan {
        let told = self.told_of(&self.brokers, "poll", "receive");
        let told = told.attribute(GROUP, self.group(0));
        failed(told.without_attribute("messaging.kafka.cluster.id"), error)
    }

    /// The spans of this name, in order of ending.
    pub fn named(&self, name: &str) -> Vec<SpanData> {
        self.capture.spans_named(&format!("{name} {}", self.topic()))
    }

    pub fn assert_metrics(&self, timed: impl Fn(&Span) -> bool) {
        assert_agreement(&spans(&self.capture), &points(&self.capture), timed);
    }
}

/// Of a message, at its place.
pub fn at(span: ExpectedSpan, partition: i64, offset: i64) -> ExpectedSpan {
    in_partition(span, partition).attribute("messaging.kafka.offset", offset)
}

pub fn in_partition(span: ExpectedSpan, partition: i64) -> ExpectedSpan {
    span.attribute("messaging.destination.partition.id", partition.to_string())
}

pub fn with_key(span: ExpectedSpan, key: &'static str) -> ExpectedSpan {
    span.attribute("messaging.kafka.message.key", key)
}

pub fn failed(span: ExpectedSpan, error: &'static str) -> ExpectedSpan {
    span.attribute("error.type", error).error("")
}

/// As a message brings it.
pub fn brought(span: &SpanData) -> SpanContext {
    let own = &span.span_context;
    let (trace, id, flags) = (own.trace_id(), own.span_id(), own.trace_flags());
    SpanContext::new(trace, id, flags, true, own.trace_state().clone())
}
