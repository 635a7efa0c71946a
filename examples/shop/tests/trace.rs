//! The traces as they are collected and shown.

#[path = "../src/trace.rs"]
mod trace;

use opentelemetry::trace::{Span as _, SpanId, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue, trace::TracerProvider as _};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};

#[test]
fn a_trace_comes_when_its_last_span_has_ended() {
    let (collector, mut finished) = trace::collector();
    let provider = SdkTracerProvider::builder()
        .with_sampler(Sampler::AlwaysOn)
        .with_span_processor(collector)
        .build();
    let tracer = provider.tracer("test");
    let root = Context::new().with_span(tracer.start_with_context("root", &Context::new()));
    let mut late = tracer.start_with_context("late", &root);
    tracer.start_with_context("other trace", &Context::new()).end();
    assert_eq!(finished.try_recv().expect("the other trace").len(), 1);
    root.span().end();
    assert!(finished.try_recv().is_err(), "a span is open");
    late.end();
    let names: Vec<_> =
        finished.try_recv().expect("the trace").into_iter().map(|s| s.name).collect();
    assert_eq!(names, ["root", "late"]);
}

#[test]
fn what_strangers_sent_is_shown_and_not_obeyed() {
    let (collector, mut finished) = trace::collector();
    let provider = SdkTracerProvider::builder()
        .with_sampler(Sampler::AlwaysOn)
        .with_span_processor(collector)
        .build();
    let mut span = provider.tracer("test").start("clear\u{1b}[2J\r\nline \u{202e} größe");
    span.set_attribute(KeyValue::new("error.type", "bell\u{7}"));
    span.set_attribute(KeyValue::new("http.response.status_code", "\u{9b}31m"));
    span.set_status(Status::error("title\u{1b}]0;x\u{7}"));
    span.end();
    let spans = finished.try_recv().expect("the trace");
    let shown = trace::tree(&spans, SpanId::INVALID, 1);
    assert!(shown.starts_with(r"  INTERNAL clear\u{1b}[2J\r\nline \u{202e} größe "), "{shown}");
    assert!(shown.ends_with("  status \\u{9b}31m  error bell\\u{7} (title\\u{1b}]0;x\\u{7})\n"));
    assert!(!shown.trim_end().contains(char::is_control), "{shown}");
}
