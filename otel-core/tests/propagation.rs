//! What goes into and comes out of headers; broken and hostile headers are as if they were not
//! there.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as such")]

use std::collections::{BTreeMap, HashMap};

use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::propagation::{Extractor as _, TextMapCompositePropagator};
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use otel_core::Telemetry;
use otel_core::propagation::{
    ByteCarrier, ByteHeaders as _, StringCarrier, StringHeaders as _, StringHeadersMut as _,
};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// With a propagator and without any provider.
fn telemetry() -> Telemetry {
    let propagator = TextMapCompositePropagator::new(vec![
        Box::new(TraceContextPropagator::new()),
        Box::new(BaggagePropagator::new()),
    ]);
    Telemetry::builder().propagator(propagator).build()
}

fn ambient() -> Context {
    let parent = SpanContext::new(
        TraceId::from_hex("0af7651916cd43dd8448eb211c80319c").unwrap(),
        SpanId::from_hex("b7ad6b7169203331").unwrap(),
        TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    );
    Context::new().with_remote_span_context(parent).with_baggage([KeyValue::new("tenant", "blue")])
}

#[test]
fn string_headers_go_round_without_a_provider() {
    let mut headers = HashMap::from([("TraceParent".to_owned(), "stale".to_owned())]);
    telemetry().inject(&ambient(), &mut StringCarrier(&mut headers));
    assert_eq!(headers.value("traceparent"), Some(TRACE));
    let names = headers.names();
    let parents = names.iter().filter(|name| name.eq_ignore_ascii_case("traceparent")).count();
    assert_eq!(parents, 1, "{names:?}");

    let received = telemetry().extract(&StringCarrier(&headers));
    assert_eq!(
        received.span().span_context().span_id(),
        SpanId::from_hex("b7ad6b7169203331").unwrap()
    );
    assert_eq!(
        received.baggage().get("tenant").map(opentelemetry::StringValue::as_str),
        Some("blue")
    );
}

#[test]
fn sorted_string_headers_are_a_carrier_too() {
    let mut headers = BTreeMap::from([("TRACEPARENT".to_owned(), "stale".to_owned())]);
    telemetry().inject(&ambient(), &mut StringCarrier(&mut headers));
    assert_eq!(headers.value("Traceparent"), Some(TRACE));
    let names: Vec<_> = headers.keys().map(String::as_str).collect();
    assert_eq!(names, ["baggage", "traceparent", "tracestate"]);
}

#[test]
fn byte_headers_go_round_and_keep_the_others() {
    let mut headers = vec![
        ("Traceparent".to_owned(), b"stale".to_vec()),
        ("key".to_owned(), vec![0xff, 0x00]),
        ("TRACEPARENT".to_owned(), b"staler".to_vec()),
        ("key".to_owned(), b"second".to_vec()),
    ];
    telemetry().inject(&ambient(), &mut ByteCarrier(&mut headers));
    let kept: Vec<_> = headers.entries().filter(|(name, _)| *name == "key").collect();
    assert_eq!(kept, [("key", &[0xff, 0x00][..]), ("key", &b"second"[..])]);
    let received = telemetry().extract(&ByteCarrier(&headers));
    assert!(received.span().span_context().is_remote());
    assert_eq!(
        received.baggage().get("tenant").map(opentelemetry::StringValue::as_str),
        Some("blue")
    );
}

#[test]
fn of_several_values_the_last_readable_one_counts() {
    let headers = vec![
        (
            "traceparent".to_owned(),
            b"00-11111111111111111111111111111111-1111111111111111-01".to_vec(),
        ),
        ("traceparent".to_owned(), TRACE.as_bytes().to_vec()),
        ("traceparent".to_owned(), vec![0xff; 55]),
    ];
    assert_eq!(ByteCarrier(&headers).get("TraceParent"), Some(TRACE));
    assert_eq!(ByteCarrier(&headers).get_all("traceparent").map(|all| all.len()), Some(2));
}

#[test]
fn hostile_headers_are_as_if_they_were_not_there() {
    let long = format!("{TRACE}{}", "x".repeat(100_000));
    let hostile = [
        "",
        "00",
        "nonsense",
        "00-0-0-01",
        &long,
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-0000000000000000-01",
        "00-\u{0}\u{1}-🦀-01",
    ];
    for value in hostile {
        let strings = HashMap::from([("traceparent".to_owned(), value.to_owned())]);
        let bytes = vec![("traceparent".to_owned(), value.as_bytes().to_vec())];
        let baggage = HashMap::from([("baggage".to_owned(), "k=v,".repeat(50_000))]);
        for context in [
            telemetry().extract(&StringCarrier(&strings)),
            telemetry().extract(&ByteCarrier(&bytes)),
            telemetry().extract(&StringCarrier(&baggage)),
        ] {
            assert!(!context.span().span_context().is_valid(), "{value:.60}");
            assert!(context.baggage().is_empty());
        }
    }
}

#[test]
fn without_a_propagator_nothing_is_written_and_nothing_is_read() {
    let telemetry = Telemetry::builder().build();
    let mut headers = HashMap::<String, String>::new();
    telemetry.inject(&ambient(), &mut StringCarrier(&mut headers));
    assert!(headers.is_empty());
    headers.put("traceparent", TRACE.to_owned());
    let _guard = ambient().attach();
    // Not the ambient context, which the message did not bring.
    assert!(!telemetry.extract(&StringCarrier(&headers)).span().span_context().is_valid());
}
