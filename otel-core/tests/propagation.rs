//! What goes into and comes out of headers; broken and hostile headers are as if they were not
//! there.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as such")]

use std::collections::{BTreeMap, HashMap};

use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::propagation::{
    Extractor, Injector, TextMapCompositePropagator, TextMapPropagator as _,
};
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

fn propagator() -> TextMapCompositePropagator {
    TextMapCompositePropagator::new(vec![
        Box::new(TraceContextPropagator::new()),
        Box::new(BaggagePropagator::new()),
    ])
}

/// With a propagator and without any provider.
fn telemetry() -> Telemetry {
    Telemetry::builder().propagator(propagator()).build()
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
    assert_eq!(names, ["baggage", "traceparent"]);
}

#[test]
fn byte_headers_go_round_and_keep_the_others() {
    let mut headers = vec![
        ("Traceparent".to_owned(), b"stale".to_vec()),
        ("key".to_owned(), vec![0xff, 0x00]),
        ("TRACEPARENT".to_owned(), b"staler".to_vec()),
        ("key".to_owned(), b"second".to_vec()),
    ];
    telemetry().inject(&ambient(), &mut ByteCarrier::new(&mut headers));
    let kept: Vec<_> = headers.entries().filter(|(name, _)| *name == "key").collect();
    assert_eq!(kept, [("key", &[0xff, 0x00][..]), ("key", &b"second"[..])]);
    let received = telemetry().extract(&ByteCarrier::new(&headers));
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
    assert_eq!(ByteCarrier::new(&headers).get("TraceParent"), Some(TRACE));
    assert_eq!(ByteCarrier::new(&headers).get_all("traceparent").map(|all| all.len()), Some(2));
}

fn named(headers: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
}

/// Whoever asks, also a propagator without the core.
#[test]
fn several_headers_of_a_list_are_one_in_their_order() {
    let mut headers = named(&[
        ("Baggage", ""),
        ("tracestate", "a=1,b=2"),
        ("baggage", "x=1"),
        ("TraceState", " "),
        ("tracestate", "c=3"),
        ("BAGGAGE", "y=2"),
        ("baggage", ""),
    ]);
    headers.push(("tracestate".to_owned(), vec![0xff]));
    let carrier = ByteCarrier::new(&headers);
    for _ in 0..2 {
        assert_eq!(carrier.get("tracestate"), Some("a=1,b=2,c=3"));
        assert_eq!(carrier.get("Baggage"), Some("x=1,y=2"));
    }
    assert_eq!(carrier.get_all("tracestate"), Some(vec!["a=1,b=2", " ", "c=3"]));
    let empty = named(&[("tracestate", ""), ("tracestate", " \t")]);
    assert_eq!(ByteCarrier::new(&empty).get("tracestate"), None);
}

#[test]
fn what_is_read_does_not_outlast_what_is_written() {
    let mut headers = named(&[("baggage", "x=1"), ("baggage", "y=2")]);
    let mut carrier = ByteCarrier::new(&mut headers);
    assert_eq!(carrier.get("baggage"), Some("x=1,y=2"));
    carrier.set("baggage", "z=3".to_owned());
    assert_eq!(carrier.get("baggage"), Some("z=3"));
    carrier.set("baggage", String::new());
    assert_eq!(carrier.get("baggage"), None);
}

/// However many headers there are, the list is no longer than one header may be.
#[test]
fn a_list_is_read_within_a_bound() {
    let long = format!("a={}", "x".repeat(5000));
    let other = format!("b={}", "y".repeat(5000));
    let all = [("baggage", &*long), ("baggage", &*other), ("baggage", "c=3")];
    let list = format!("{long},c=3");
    assert_eq!(ByteCarrier::new(&named(&all)).get("baggage"), Some(&*list));
    let full = format!("a={}", "x".repeat(8192 - 2 - 4));
    let fits = named(&[("baggage", &full), ("baggage", "c=3")]);
    assert_eq!(ByteCarrier::new(&fits).get("baggage").map(str::len), Some(8192));
    let over = named(&[("baggage", &full), ("baggage", "c=33")]);
    assert_eq!(ByteCarrier::new(&over).get("baggage"), Some(&*full));
}

/// A propagator that has no state to tell leaves that of another parent where it is.
#[test]
fn a_state_goes_with_its_parent() {
    #[derive(Debug)]
    struct Bare;

    impl opentelemetry::propagation::TextMapPropagator for Bare {
        fn inject_context(&self, _: &Context, injector: &mut dyn Injector) {
            injector.set("traceparent", TRACE.to_owned());
        }

        fn extract_with_context(&self, context: &Context, _: &dyn Extractor) -> Context {
            context.clone()
        }

        fn fields(&self) -> opentelemetry::propagation::text_map_propagator::FieldIter<'_> {
            opentelemetry::propagation::text_map_propagator::FieldIter::new(&[])
        }
    }

    let telemetry = Telemetry::builder().propagator(Bare).build();
    let mut headers = named(&[("TraceState", "a=1"), ("key", "value")]);
    telemetry.inject(&ambient(), &mut ByteCarrier::new(&mut headers));
    assert_eq!(headers, named(&[("key", "value"), ("traceparent", TRACE)]));
}

/// What an application, or another carrier, put into a context.
#[test]
fn what_is_not_as_the_formats_have_it_is_not_written() {
    use opentelemetry::baggage::KeyValueMetadata;

    let odd = TraceState::from_key_value([("a", "1"), ("b", "\u{e9}\n")]).unwrap();
    let span = ambient().span().span_context().clone();
    let (trace, id) = (span.trace_id(), span.span_id());
    let span = SpanContext::new(trace, id, TraceFlags::SAMPLED, true, odd);
    let baggage = [KeyValueMetadata::new("path", "C:\\x=", "p=\"\r\n\u{e9}")];
    let context = Context::new().with_remote_span_context(span).with_baggage(baggage);
    let mut headers = named(&[]);
    telemetry().inject(&context, &mut ByteCarrier::new(&mut headers));
    let baggage = ("baggage", "path=C:%5Cx%3D;p=%22%0D%0A%C3%A9");
    assert_eq!(headers, named(&[("traceparent", TRACE), baggage]));
}

/// What is as it should be is looked at, and not copied.
#[test]
fn a_look_at_headers_allocates_nothing() {
    let baggage = ("baggage", "x=1;p,y=%20");
    let mut headers = named(&[("traceparent", TRACE), ("tracestate", "a=1,b=2"), baggage]);
    let telemetry = telemetry();
    let context = telemetry.extract(&ByteCarrier::new(&headers));
    let count = |code: &mut dyn FnMut()| allocation_counter::measure(code).count_total;
    let propagator = propagator();
    let ours = count(&mut || drop(telemetry.extract(&ByteCarrier::new(&headers))));
    let bare = count(&mut || {
        drop(propagator.extract_with_context(&Context::new(), &ByteCarrier::new(&headers)));
    });
    assert_eq!(ours, bare, "read");
    let ours = count(&mut || telemetry.inject(&context, &mut ByteCarrier::new(&mut headers)));
    let bare = count(&mut || {
        propagator.inject_context(&context, &mut ByteCarrier::new(&mut headers));
    });
    assert_eq!(ours, bare, "written");
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
            telemetry().extract(&ByteCarrier::new(&bytes)),
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

/// A client that must ask for headers by name (SQS) needs to know them.
#[test]
fn the_names_of_what_is_written_are_known() {
    let capture = otel_testing::Capture::new();
    let fields = capture.telemetry().propagated_fields();
    assert_eq!(fields, ["baggage", "traceparent", "tracestate"]);
    assert!(Telemetry::builder().build().propagated_fields().is_empty());
}
