//! What messages bring is not to be trusted: read within a bound, and the message is delivered.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

mod support;

use std::collections::HashMap;

use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::propagation::Extractor as _;
use otel_core::propagation::{ByteCarrier, StringCarrier};
use otel_testing::Capture;
use support::broker::{Client, Record, messaging, orders};

const TRACE: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[test]
fn broken_headers_are_as_if_they_were_not_there() {
    let capture = Capture::new();
    let client = Client::new(&capture.telemetry());
    let named = |name: &str, value: Vec<u8>| vec![(name.to_owned(), value)];
    let long = b"x".repeat(1_000_000);
    let mut oversized_state = named("traceparent", TRACE.to_vec());
    oversized_state.push(("tracestate".to_owned(), long.clone()));
    for (headers, has_parent) in [
        (named("traceparent", long.clone()), false),
        (named("traceparent", b"00-zz-zz-zz".to_vec()), false),
        (named("traceparent", vec![0xff; 55]), false),
        (named("baggage", b"k=v,".repeat(100_000)), false),
        (named("baggage", long), false),
        (oversized_state, true),
    ] {
        client.broker.send(Record { headers: headers.clone(), offset: 0 }).unwrap();
        let received = client.receive().unwrap();
        assert_eq!(received.record.headers, headers, "the message is as it was");
        let context = received.delivery.span_context();
        assert_eq!(context.is_some(), has_parent);
        assert!(context.is_none_or(|context| context.trace_state().header().is_empty()));
        assert!(received.delivery.context().baggage().is_empty());
        client.messaging.process(&received.delivery, || orders("process")).finish();
    }
}

#[test]
fn values_longer_than_any_propagator_writes_are_not_read() {
    let headers = |length: usize| vec![("baggage".to_owned(), b"x".repeat(length))];
    assert!(ByteCarrier::new(&headers(8192)).get("baggage").is_some());
    assert_eq!(ByteCarrier::new(&headers(8193)).get("baggage"), None);
    assert_eq!(ByteCarrier::new(&headers(8193)).get_all("baggage"), None);
    let texts = HashMap::from([("baggage".to_owned(), "x".repeat(8193))]);
    assert_eq!(StringCarrier(&texts).get("baggage"), None);
}

#[test]
fn only_the_first_thousand_headers_are_looked_at() {
    let filler = |count: usize| (0..count).map(|it| (format!("filler-{it}"), b"x".to_vec()));
    let trace = || [("traceparent".to_owned(), TRACE.to_vec())];
    let late: Vec<_> = filler(10_000).chain(trace()).collect();
    let early: Vec<_> = trace().into_iter().chain(filler(10_000)).collect();
    assert_eq!(ByteCarrier::new(&late).get("traceparent"), None);
    assert!(ByteCarrier::new(&early).get("traceparent").is_some());
    assert!(ByteCarrier::new(&late).keys().len() < 2000);
    let texts: HashMap<_, _> = (0..10_000).map(|it| (format!("{it}"), "x".to_owned())).collect();
    assert!(StringCarrier(&texts).keys().len() < 2000);

    let capture = Capture::new();
    let messaging = messaging(&capture.telemetry());
    let delivery = messaging.poll().received(&ByteCarrier::new(&late), || orders("poll"));
    assert!(delivery.span_context().is_none());
    assert_eq!(capture.spans().len(), 1);
}

#[test]
fn baggage_of_the_application_s_own_wins_over_the_ambient() {
    use opentelemetry::{Context, KeyValue};

    let capture = Capture::new();
    let messaging = messaging(&capture.telemetry());
    let mut headers = HashMap::from([("baggage".to_owned(), "tenant=own".to_owned())]);
    let ambient = Context::current().with_baggage([KeyValue::new("tenant", "ambient")]);
    {
        let _guard = ambient.attach();
        messaging.send(&mut StringCarrier(&mut headers), || orders("send")).finish();
    }
    assert_eq!(headers["baggage"], "tenant=own");
    assert!(headers.contains_key("traceparent"));
}

/// Also where it would be written otherwise, or is broken in part.
#[test]
fn baggage_of_the_application_s_own_is_not_written_anew() {
    const OWN: &str = "b = %20x ;prop=1;ttl=5 ,tenant=own,broken,c=3";
    let capture = Capture::new();
    let messaging = messaging(&capture.telemetry());
    let own = vec![("Baggage".to_owned(), OWN.as_bytes().to_vec())];
    let mut headers = own.clone();
    messaging.send(&mut ByteCarrier::new(&mut headers), || orders("send")).finish();
    assert_eq!(headers[..1], own);
    assert_eq!(headers[1].0, "traceparent");
    let link = messaging.delivery(&ByteCarrier::new(&headers)).span_context().unwrap();
    assert_eq!(link.span_id(), capture.spans()[0].span_context.span_id());
}

/// Not every propagator calls it `baggage`.
#[test]
fn baggage_of_the_application_s_own_stays_under_any_name() {
    use opentelemetry::propagation::text_map_propagator::FieldIter;
    use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
    use opentelemetry::{Context, KeyValue};

    #[derive(Debug)]
    struct Luggage;

    impl TextMapPropagator for Luggage {
        fn inject_context(&self, context: &Context, carrier: &mut dyn Injector) {
            if let Some(tenant) = context.baggage().get("tenant") {
                carrier.set("luggage-tenant", tenant.to_string());
            }
        }

        fn extract_with_context(&self, context: &Context, carrier: &dyn Extractor) -> Context {
            let tenant = carrier.get("luggage-tenant").map(ToOwned::to_owned);
            context.with_baggage(tenant.map(|tenant| KeyValue::new("tenant", tenant)))
        }

        fn fields(&self) -> FieldIter<'_> {
            FieldIter::new(&[])
        }
    }

    let capture = Capture::new();
    let messaging = messaging(&capture.telemetry_builder().propagator(Luggage).build());
    let _guard = Context::current().with_baggage([KeyValue::new("tenant", "ambient")]).attach();
    for (own, sent) in [(Some("own"), "own"), (None, "ambient")] {
        let own = own.map(|own| ("luggage-tenant".to_owned(), own.to_owned()));
        let mut headers = HashMap::<_, _>::from_iter(own);
        messaging.send(&mut StringCarrier(&mut headers), || orders("send")).finish();
        assert_eq!(headers["luggage-tenant"], sent);
    }
}

/// An airline has bags, too.
#[test]
fn a_header_of_the_application_s_that_is_no_context_stays() {
    use opentelemetry::{Context, KeyValue};

    let capture = Capture::new();
    let messaging = messaging(&capture.telemetry());
    let _guard = Context::current().with_baggage([KeyValue::new("tenant", "ambient")]).attach();
    let own = [("Baggage", "2 bags"), ("tracestate", "mine")];
    let own = own.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    let mut headers = own.to_vec();
    messaging.send(&mut ByteCarrier::new(&mut headers), || orders("send")).finish();
    assert_eq!(headers[..2], own);
    assert_eq!(headers[2].0, "traceparent");
    assert_eq!(headers.len(), 3);
    // What is a list of states belongs to a parent that is not there, and what should be a parent is
    // none.
    let mut texts = HashMap::from([
        ("tracestate".to_owned(), "a=b".to_owned()),
        ("traceparent".to_owned(), "nobody".to_owned()),
    ]);
    messaging.send(&mut StringCarrier(&mut texts), || orders("send")).finish();
    assert!(!texts.contains_key("tracestate"));
    assert_ne!(texts["traceparent"], "nobody");
}

/// Whoever sends a message does not choose the size of what its receiver tells.
#[test]
fn names_and_ids_that_are_too_long_are_not_told() {
    use otel_core::MessagingCall;
    use otel_core::messaging::{Destination, fact};

    for (length, is_told) in [(1024, true), (1025, false), (1_000_000, false)] {
        let capture = Capture::new();
        let messaging = messaging(&capture.telemetry());
        let text = "x".repeat(length);
        let call = || {
            let call = MessagingCall::new("send", Destination::named(&*text));
            call.with(fact::MESSAGE_ID, text.clone()).consumer_group(&*text)
        };
        let mut headers = HashMap::<String, String>::new();
        messaging.send(&mut StringCarrier(&mut headers), call).finish();
        let span = &capture.spans()[0];
        let told = span.attributes.iter().filter(|it| it.value.as_str().len() >= 1024).count();
        assert_eq!(told, if is_told { 3 } else { 0 }, "{length}");
        assert!(span.name.len() < 1100);
    }
}

/// A propagator has a `tracestate` written also where it is empty. SQS refuses an attribute that is,
/// and with it the message.
#[test]
fn what_is_empty_is_not_written_and_replaces_what_was_there() {
    let capture = Capture::new();
    let messaging = messaging(&capture.telemetry_builder().replace_trace_headers(true).build());
    let stale = || ("TraceState".to_owned(), "a=b".to_owned());
    let mut texts = HashMap::from([stale()]);
    messaging.send(&mut StringCarrier(&mut texts), || orders("send")).finish();
    assert_eq!(texts.keys().collect::<Vec<_>>(), ["traceparent"]);
    let (name, value) = stale();
    let mut bytes = vec![(name, value.into_bytes())];
    messaging.send(&mut ByteCarrier::new(&mut bytes), || orders("send")).finish();
    assert_eq!(bytes.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["traceparent"]);
}

/// A carrier that panics when it is written to.
struct Bomb;

impl opentelemetry::propagation::Injector for Bomb {
    fn set(&mut self, _: &str, _: String) {
        panic!("a carrier's own")
    }
}

impl opentelemetry::propagation::Extractor for Bomb {
    fn get(&self, _: &str) -> Option<&str> {
        panic!("a carrier's own")
    }

    fn keys(&self) -> Vec<&str> {
        Vec::new()
    }
}

impl otel_core::propagation::Carrier for Bomb {}

#[test]
fn a_carrier_that_panics_is_contained() {
    let capture = Capture::new();
    let messaging = messaging(&capture.telemetry());
    messaging.send(&mut Bomb, || orders("send")).finish();
    let delivery = messaging.poll().received(&Bomb, || orders("poll"));
    messaging.process(&delivery, || orders("process")).finish();
    assert_eq!(capture.spans().len(), 3);
}

#[test]
fn a_description_that_panics_is_contained_and_the_message_delivered() {
    let capture = Capture::new();
    let messaging = messaging(&capture.telemetry());
    let mut headers = HashMap::new();
    messaging.send(&mut StringCarrier(&mut headers), || panic!("an adapter's own")).finish();
    let _ = messaging.poll().received(&StringCarrier(&headers), || panic!("an adapter's own"));
    capture.assert_silent();
}

/// A provider whose tracer panics.
#[derive(Debug)]
struct PanickingProvider;

#[derive(Debug)]
struct PanickingTracer;

impl opentelemetry::trace::TracerProvider for PanickingProvider {
    type Tracer = PanickingTracer;

    fn tracer_with_scope(&self, _: opentelemetry::InstrumentationScope) -> PanickingTracer {
        PanickingTracer
    }
}

impl opentelemetry::trace::Tracer for PanickingTracer {
    type Span = opentelemetry::trace::noop::NoopSpan;

    fn build_with_context(
        &self,
        _: opentelemetry::trace::SpanBuilder,
        _: &opentelemetry::Context,
    ) -> Self::Span {
        panic!("a provider's own")
    }
}

#[test]
fn a_provider_that_panics_keeps_no_message_from_its_context() {
    use opentelemetry::trace::TraceContextExt as _;

    let capture = Capture::new();
    let telemetry = capture.telemetry_builder().tracer_provider(PanickingProvider).build();
    let messaging = messaging(&telemetry);
    let carried =
        HashMap::from([("traceparent".to_owned(), String::from_utf8_lossy(TRACE).into())]);
    let received = messaging.poll().received(&StringCarrier(&carried), || orders("poll"));
    let process = messaging.process(&received, || orders("process"));
    let handled = process.handle_blocking(|| {
        let mut headers = HashMap::new();
        messaging.send(&mut StringCarrier(&mut headers), || orders("send")).finish();
        assert_eq!(headers.get("traceparent"), carried.get("traceparent"));
        let facts = otel_core::messaging::MessageFacts::new;
        let mut headers = HashMap::new();
        let batch = [(StringCarrier(&mut headers), facts)];
        messaging.send_batch(batch, || orders("send")).finish();
        assert_eq!(headers.get("traceparent"), carried.get("traceparent"));
        Ok::<_, ()>(opentelemetry::Context::current().span().span_context().clone())
    });
    assert_eq!(handled.ok(), received.span_context());
    capture.assert_no_spans();
}

/// A message that has no place left, as one of SQS with ten attributes.
struct Full(HashMap<String, String>);

impl opentelemetry::propagation::Injector for Full {
    fn set(&mut self, name: &str, value: String) {
        self.0.insert(name.to_owned(), value);
    }
}

impl opentelemetry::propagation::Extractor for Full {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn keys(&self) -> Vec<&str> {
        Vec::new()
    }
}

impl otel_core::propagation::Carrier for Full {
    fn takes_headers(&self) -> bool {
        false
    }
}

#[test]
fn a_message_without_a_place_left_is_sent_as_it_is() {
    let capture = Capture::new();
    let messaging = messaging(&capture.telemetry());
    let mut message = Full(HashMap::new());
    messaging.create(&mut message, || orders("create")).finish();
    capture.assert_no_spans();
    messaging.send(&mut message, || orders("send")).finish();
    assert!(message.0.is_empty());
    assert_eq!(capture.spans()[0].span_kind, opentelemetry::trace::SpanKind::Client);
    let mut own =
        HashMap::from([("traceparent".to_owned(), String::from_utf8_lossy(TRACE).into())]);
    capture.clear();
    messaging.create(&mut StringCarrier(&mut own), || orders("create")).finish();
    capture.assert_no_spans();
}
