//! Two sides of streams and pub/sub: a client each, and what is told of it.
#![allow(clippy::panic, clippy::unwrap_used, dead_code, reason = "helpers of several tests")]
#![allow(unreachable_pub, reason = "the tests are its only users")]

use integration_tests::PATIENCE;
use otel_redis::aio::MultiplexedConnection;
use otel_redis::{Client, Messaging};
use otel_testing::assert::ExpectedSpan;
use otel_testing::opentelemetry::baggage::BaggageExt as _;
use otel_testing::opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use otel_testing::opentelemetry::{Context, KeyValue};
use otel_testing::opentelemetry_sdk::trace::SpanData;
use otel_testing::{Capture, span};
use redis::{AsyncConnectionConfig, Cmd, cmd};

pub const GROUP: &str = "shop";

/// One side: a client, and what is told of it.
pub struct Side {
    pub client: Client,
    pub capture: Capture,
}

impl Side {
    /// With all options.
    pub fn new(url: &str) -> Self {
        Self::with(url, Messaging::new().stream_fields(true).envelopes(true))
    }

    pub fn with(url: &str, messaging: Messaging) -> Self {
        let capture = Capture::new();
        let builder = Client::builder(redis::Client::open(url).unwrap()).messaging(messaging);
        Self { client: builder.telemetry(&capture.telemetry()).build(), capture }
    }

    pub async fn connection(&self) -> MultiplexedConnection {
        let settings = AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
        let settings = settings.set_connection_timeout(Some(PATIENCE));
        self.client.get_multiplexed_async_connection_with_config(&settings).await.unwrap()
    }

    /// A span of messaging on this server.
    pub fn step(&self, operation: &'static str, step: &'static str, stream: &str) -> ExpectedSpan {
        let redis::ConnectionAddr::Tcp(host, port) = self.client.get_connection_info().addr()
        else {
            panic!("the servers of tests are reached by their addresses")
        };
        let port = i64::from(*port);
        let span = span(format!("{operation} {stream}"))
            .attribute("messaging.system", "redis")
            .attribute("messaging.operation.name", operation)
            .attribute("messaging.operation.type", step)
            .attribute("messaging.destination.name", stream.to_owned())
            .attribute("server.address", host.clone())
            .attribute("server.port", port);
        if step == "process" {
            return span;
        }
        let span = span.attribute("network.peer.address", host.clone());
        span.attribute("network.peer.port", port)
    }
}

/// As it comes out of a message.
pub fn remote(span: &SpanContext) -> SpanContext {
    let (trace, id) = (span.trace_id(), span.span_id());
    SpanContext::new(trace, id, span.trace_flags(), true, span.trace_state().clone())
}

pub fn text_of(span: &SpanData, name: &str) -> Option<String> {
    let found = span.attributes.iter().find(|it| it.key.as_str() == name);
    found.map(|it| it.value.to_string())
}

pub fn names(capture: &Capture) -> Vec<String> {
    capture.spans().iter().map(|span| span.name.to_string()).collect()
}

pub fn read_group(stream: &str, from: &str) -> Cmd {
    let mut read = cmd("XREADGROUP");
    read.arg("GROUP").arg(GROUP).arg("one").arg("COUNT").arg(2000);
    read.arg("STREAMS").arg(stream).arg(from).take()
}

pub fn order(number: u64) -> Context {
    let state = TraceState::from_key_value([("shop", number.to_string())]).unwrap();
    let (trace, id) = (TraceId::from(u128::from(number)), SpanId::from(number));
    let span = SpanContext::new(trace, id, TraceFlags::SAMPLED, true, state);
    let context = Context::new().with_remote_span_context(span);
    context.with_baggage([KeyValue::new("order", number.to_string())])
}
