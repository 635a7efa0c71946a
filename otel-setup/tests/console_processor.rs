//! When traces are printed, what is left out, and that nobody waits for the terminal.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

mod console_support;

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use console_support::{Written, order, span};
use opentelemetry::trace::{
    Link, Span as _, SpanKind, TraceContextExt as _, TraceState, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    SamplingDecision, SamplingResult, SdkTracer, SdkTracerProvider, SpanExporter as _,
    SpanProcessor as _,
};
use otel_setup::console::{self, Style, Waterfall};

fn console(written: &Written) -> Waterfall {
    console::spans().to(written.clone(), Style::plain(80))
}

fn provider(processor: Waterfall, service: Option<&str>) -> SdkTracerProvider {
    let resource = Resource::builder_empty();
    let resource = resource
        .with_attributes(service.map(|name| KeyValue::new("service.name", name.to_owned())));
    let provider = SdkTracerProvider::builder().with_resource(resource.build());
    provider.with_span_processor(processor).build()
}

/// Names of the rows, in order, without branches.
fn names(text: &str) -> Vec<&str> {
    let kinds = [" internal ", " int ", " producer ", " consumer "];
    let rows = text.lines().filter(|line| kinds.iter().any(|kind| line.contains(kind)));
    rows.filter_map(|line| line.trim_start_matches(['├', '└', '│', ' ']).split(' ').next())
        .collect()
}

#[test]
fn a_trace_is_printed_once_when_its_last_span_ends() {
    let written = Written::default();
    let provider = provider(console(&written), Some("shop"));
    let tracer = provider.tracer("test");
    let root = tracer.start("root");
    let parent = Context::new().with_span(root);
    let mut late = tracer.start_with_context("late", &parent);
    tracer.start_with_context("early", &parent).end();
    parent.span().end();
    // The root has ended, and a child goes on.
    assert_eq!(written.text(), "");
    late.end();
    provider.force_flush().unwrap();
    let text = written.text();
    assert_eq!(names(&text), ["root", "late", "early"], "{text}");
    assert!(text.contains("· 3 spans · shop\n"), "{text}");
    assert!(text.ends_with("\n\n") && !text.contains("not finished"), "{text}");
    provider.shutdown().unwrap();
    assert_eq!(written.text(), text);
}

#[test]
fn a_finished_trace_needs_no_flush() {
    struct Lines(std::sync::mpsc::Sender<usize>);
    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            _ = self.0.send(bytes.len());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (line, printed) = std::sync::mpsc::channel();
    let provider = provider(console::spans().to(Lines(line), Style::plain(80)), None);
    provider.tracer("test").start("root").end();
    let length = printed.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(length > 50, "the whole trace is one write");
}

#[test]
fn what_never_ends_is_shown_at_the_shutdown() {
    let written = Written::default();
    let provider = provider(console(&written), None);
    let tracer = provider.tracer("test");
    let parent = Context::new().with_span(tracer.start("hangs"));
    tracer.start_with_context("done", &parent).end();
    provider.shutdown().unwrap();
    let text = written.text();
    assert_eq!(names(&text), ["hangs", "done"], "{text}");
    assert!(text.contains("· 1 not finished\n") && text.contains("│ not finished\n"), "{text}");
}

#[test]
fn a_trace_of_which_nothing_ended_is_shown_too() {
    let written = Written::default();
    let provider = provider(console(&written), None);
    let _hangs = provider.tracer("test").start("hangs");
    provider.shutdown().unwrap();
    assert_eq!(names(&written.text()), ["hangs"]);
}

#[test]
fn a_flush_prints_what_has_ended_and_later_the_rest() {
    let written = Written::default();
    let provider = provider(console(&written), None);
    let tracer = provider.tracer("test");
    let parent = Context::new().with_span(tracer.start("root"));
    provider.force_flush().unwrap();
    assert_eq!(written.text(), "", "nothing has ended");
    tracer.start_with_context("first", &parent).end();
    provider.force_flush().unwrap();
    let first = written.text();
    assert!(names(&first) == ["root", "first"] && first.contains("1 not finished"), "{first}");
    tracer.start_with_context("second", &parent).end();
    parent.span().end();
    provider.force_flush().unwrap();
    let rest = written.text()[first.len()..].to_owned();
    assert!(names(&rest) == ["root", "second"] && !rest.contains("not finished"), "{rest}");
}

/// A trace that has sent a message, and the span that did.
fn sent(tracer: &SdkTracer) -> Context {
    let root = Context::new().with_span(tracer.start("root"));
    let send = tracer.span_builder("send").with_kind(SpanKind::Producer);
    let send = Context::new().with_span(send.start_with_context(tracer, &root));
    send.span().end();
    send
}

#[test]
fn a_message_that_is_received_here_completes_its_trace() {
    let written = Written::default();
    let provider = provider(console(&written), None);
    let tracer = provider.tracer("test");
    let send = sent(&tracer);
    let link = Link::with_context(send.span().span_context().clone());
    let poll = tracer.span_builder("poll").with_links(vec![link.clone()]);
    let poll = poll.start_with_context(&tracer, &Context::new());
    let own = poll.span_context().trace_id();
    drop(poll);
    let process = tracer.span_builder("process").with_kind(SpanKind::Consumer);
    process.with_links(vec![link]).start_with_context(&tracer, &send).end();
    assert_eq!(written.text(), "", "all have ended, and more may come");
    provider.force_flush().unwrap();
    let text = written.text();
    assert_eq!(names(&text), ["root", "send", "poll", "process"], "{text}");
    assert!(text.contains("· 4 spans\n") && !text.contains("not finished"), "{text}");
    let links: Vec<_> = text.lines().filter_map(|line| Some(line.split_once("→ ")?.1)).collect();
    assert_eq!(links, [&format!("send (from trace {own})"), "send (in this trace)"], "{text}");
    // Printed, it is forgotten: what comes late is a trace of its own.
    let late = tracer.span_builder("late").with_kind(SpanKind::Consumer);
    late.start_with_context(&tracer, &send).end();
    provider.shutdown().unwrap();
    assert_eq!(names(&written.text()[text.len()..]), ["late"]);
}

/// Or the terminal would show it before what began earlier.
#[test]
fn a_trace_waits_behind_one_whose_message_is_under_way() {
    let written = Written::default();
    let provider = provider(console(&written), None);
    let tracer = provider.tracer("test");
    sent(&tracer);
    tracer.start("later").end();
    provider.force_flush().unwrap();
    assert_eq!(names(&written.text()), ["root", "send", "later"]);
}

/// Until something is printed without having been asked for.
fn wait_for_text(written: &Written) {
    let start = Instant::now();
    while written.text().is_empty() {
        assert!(start.elapsed() < Duration::from_secs(10), "nothing is printed");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_message_is_not_waited_for_for_ever() {
    let written = Written::default();
    let provider = provider(console(&written), None);
    sent(&provider.tracer("test"));
    wait_for_text(&written);
    assert_eq!(names(&written.text()), ["root", "send"]);
}

#[test]
fn traces_that_wait_for_a_message_give_way() {
    let written = Written::default();
    let provider = provider(console(&written), None);
    let tracer = provider.tracer("test");
    for _ in 0..1000 {
        sent(&tracer);
    }
    // One more would have no place.
    sent(&tracer);
    wait_for_text(&written);
    provider.force_flush().unwrap();
    let text = written.text();
    assert_eq!(text.matches("trace ").count(), 1001, "{text:.1000}");
    assert!(!text.contains("left out"), "{text:.1000}");
}

#[test]
fn spans_that_are_not_sampled_are_not_shown() {
    #[derive(Clone, Debug)]
    struct RecordOnly;
    impl opentelemetry_sdk::trace::ShouldSample for RecordOnly {
        fn should_sample(
            &self,
            _: Option<&Context>,
            _: opentelemetry::TraceId,
            name: &str,
            _: &SpanKind,
            _: &[KeyValue],
            _: &[Link],
        ) -> SamplingResult {
            let decision = if name == "kept" {
                SamplingDecision::RecordAndSample
            } else {
                SamplingDecision::RecordOnly
            };
            let trace_state = TraceState::default();
            SamplingResult { decision, attributes: Vec::new(), trace_state }
        }
    }
    let written = Written::default();
    let provider = SdkTracerProvider::builder().with_sampler(RecordOnly);
    let provider = provider.with_span_processor(console(&written)).build();
    let tracer = provider.tracer("test");
    tracer.start("recorded").end();
    tracer.start("kept").end();
    provider.shutdown().unwrap();
    assert_eq!(names(&written.text()), ["kept"]);
}

#[test]
fn services_of_one_process_share_a_trace() {
    let written = Written::default();
    let shared = console(&written);
    let web = provider(shared.clone(), Some("web"));
    let shop = provider(shared, Some("shop"));
    let parent = Context::new().with_span(web.tracer("test").start("order"));
    shop.tracer("test").start_with_context("serve", &parent).end();
    parent.span().end();
    web.shutdown().unwrap();
    let text = written.text();
    assert_eq!(text.matches("trace ").count(), 1, "{text}");
    assert_eq!(names(&text), ["order", "serve"], "{text}");
    let row = |name| text.lines().find(|line| line.contains(name)).unwrap().to_owned();
    assert!(row("order").contains(" internal web ") && row("serve").contains(" internal shop "));
    // One provider's end is not the other's.
    shop.tracer("test").start("later").end();
    shop.shutdown().unwrap();
    assert_eq!(names(&written.text()), ["order", "serve", "later"]);
}

/// A terminal that takes nothing until it is told to.
#[derive(Clone, Default)]
struct Stuck(Arc<(Mutex<bool>, Condvar)>, Written);

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (open, opened) = &*self.0;
        drop(opened.wait_while(open.lock().unwrap(), |open| !*open).unwrap());
        self.1.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stuck {
    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }
}

#[test]
fn a_terminal_that_is_stuck_stops_nobody() {
    let stuck = Stuck::default();
    let processor = console::spans().to(stuck.clone(), Style::plain(80));
    let provider = provider(processor.clone(), None);
    let tracer = provider.tracer("test");
    // More than may wait.
    for _ in 0..1500 {
        tracer.start("root").end();
    }
    let flushed = processor.shutdown_with_timeout(Duration::from_millis(1));
    assert!(matches!(flushed, Err(opentelemetry_sdk::error::OTelSdkError::Timeout(_))));
    stuck.open();
    processor.force_flush().unwrap();
    let text = stuck.1.text();
    let printed = text.matches("trace ").count();
    let left_out: usize = text
        .lines()
        .filter_map(|line| line.strip_prefix('(')?.split_once(" traces left out"))
        .map(|(count, _)| count.parse::<usize>().unwrap())
        .sum();
    assert_eq!(printed + left_out, 1500, "{text:.2000}");
    assert!((1000..1010).contains(&printed), "{printed}");
}

#[test]
fn open_traces_and_their_spans_are_bounded() {
    let written = Written::default();
    let provider = provider(console(&written), None);
    let tracer = provider.tracer("test");
    let parents: Vec<_> =
        (0..1003).map(|_| Context::new().with_span(tracer.start("root"))).collect();
    for _ in 0..10_050 {
        tracer.start_with_context("step", &parents[0]).end();
    }
    drop(parents);
    provider.force_flush().unwrap();
    let text = written.text();
    assert_eq!(text.matches("trace ").count(), 1000);
    // In one line or more.
    let counts = text
        .lines()
        .filter_map(|line| line.strip_prefix('(')?.split_once(" spans left out"))
        .map(|(count, _)| count.parse::<usize>().unwrap());
    assert_eq!(counts.sum::<usize>(), 3, "{text:.1000}");
    assert!(text.contains("10000 spans · 51 dropped\n"), "{text:.1000}");
}

#[test]
fn long_texts_are_not_kept() {
    let written = Written::default();
    let provider = provider(console(&written), None);
    let tracer = provider.tracer("test");
    let parent = Context::new().with_span(tracer.start("root"));
    let big = || KeyValue::new("big", "x".repeat(1 << 20));
    let start = |_| {
        let step = tracer.span_builder("step").with_attributes([big()]);
        step.start_with_context(&tracer, &parent)
    };
    // As they were, the first hundred would be over the bound of 64 MiB while they run, and all of
    // them when they have ended.
    let running: Vec<_> = (0..100).map(start).collect();
    drop(running);
    (0..100).map(start).for_each(drop);
    parent.span().end();
    provider.force_flush().unwrap();
    assert!(written.text().contains("201 spans\n"), "{:.300}", written.text());
}

#[test]
fn errors_of_the_writer_reach_the_flush() {
    struct Broken(bool);
    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            assert!(!self.0, "a writer that panics");
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for (panics, reason) in [(false, "cannot be written to"), (true, "writer panicked")] {
        let provider = provider(console::spans().to(Broken(panics), Style::plain(80)), None);
        for _ in 0..2 {
            provider.tracer("test").start("root").end();
            let flushed = format!("{:?}", provider.force_flush());
            assert!(flushed.contains(reason), "{flushed}");
        }
    }
}

#[test]
fn the_exporter_prints_what_it_is_given() {
    let written = Written::default();
    let mut exporter = console::exporter().to(written.clone(), Style::plain(80));
    let resource = Resource::builder_empty().with_attribute(KeyValue::new("service.name", "shop"));
    exporter.set_resource(&resource.build());
    let first = exporter.export(vec![span(1, 0, "a", 0, 5), span(2, 1, "b", 1, 2)]);
    ready(first).unwrap();
    let text = written.text();
    assert!(text.contains("2 spans · shop\n"), "{text}");
    ready(exporter.export(order())).unwrap();
    assert_eq!(written.text(), text + &console::render(&order(), &Style::plain(80)));
}

/// These futures never wait.
fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("pending"),
    }
}

#[test]
fn what_is_left_out_is_told_of_while_the_traces_before_it_go_on() {
    let written = Written::default();
    let provider = provider(console(&written), None);
    let tracer = provider.tracer("test");
    // They hold every place, and never end.
    let open: Vec<_> = (0..1000).map(|_| tracer.start("open")).collect();
    tracer.start("finished").end();
    wait_for_text(&written);
    assert_eq!(written.text().trim_end(), "(1 spans left out: too many at once)");
    drop(open);
}
