//! What traces look like. `UPDATE_EXPECT=1` writes the snapshots anew: look at them.

mod console_support;

use console_support::{Build as _, TRACE, order, snapshot, span};
use expect_test::ExpectFile;
use opentelemetry::trace::{Event, SpanKind, Status};
use opentelemetry_sdk::trace::SpanData;
use otel_setup::console::{Style, render};

/// Commands to a terminal as text: a snapshot is read in an editor.
#[track_caller]
fn check(spans: &[SpanData], style: Style, expected: &ExpectFile) {
    expected.assert_eq(&render(spans, &style).replace('\x1b', "␛"));
}

#[test]
fn widths() {
    check(&order(), Style::plain(60), &snapshot("order_60"));
    check(&order(), Style::plain(80), &snapshot("order_80"));
    check(&order(), Style::plain(160), &snapshot("order_160"));
}

#[test]
fn colors() {
    check(&order(), Style::plain(80).color(true), &snapshot("order_color"));
}

#[test]
fn ascii() {
    check(&order(), Style::plain(80).unicode(false), &snapshot("order_ascii"));
}

#[test]
fn attributes() {
    let mut spans = order();
    spans[1].dropped_attributes_count = 2;
    let event = Event::new("cache miss", console_support::time(1_500), Vec::new(), 0);
    spans[1].events.events.push(event);
    let style = Style::plain(80).attributes(true);
    check(&spans, style, &snapshot("order_attributes"));
}

#[test]
fn folding() {
    let mut spans = vec![span(1, 0, "GET /orders", 0, 100_000).kind(SpanKind::Server)];
    // Forty that are equal but for their time, two that are too few, and three with children.
    for at in 0..40 {
        let from = 1000 + at * 1500;
        spans.push(span(100 + at, 1, "SELECT orders", from, from + 500 + at * 20).client());
    }
    for at in 0..2 {
        spans.push(
            span(200 + at, 1, "SELECT users", 62_000 + at * 2000, 63_000 + at * 2000).client(),
        );
    }
    for at in 0..3 {
        let from = 70_000 + at * 8000;
        spans.push(span(300 + at, 1, "page", from, from + 7000));
        spans.push(span(400 + at, 300 + at, "draw", from + 1000, from + 6000));
    }
    // One that fails, between two that do not.
    for at in 0..3 {
        let one = span(500 + at, 1, "PUT cache", 95_000 + at * 1000, 95_600 + at * 1000).client();
        spans.push(if at == 1 { one.fails("timeout", "") } else { one });
    }
    // Three that differ in what is below them, and one that fails without a type.
    for at in 0..3 {
        let from = 98_000 + at * 300;
        spans.push(span(600 + at, 1, "step", from, from + 200));
        let below = if at == 1 { "read" } else { "write" };
        spans.push(span(700 + at, 600 + at, below, from + 50, from + 100));
    }
    for at in 0..3 {
        let mut one = span(800 + at, 1, "check", 99_000 + at * 300, 99_200 + at * 300);
        if at == 1 {
            one.status = Status::error("");
        }
        spans.push(one);
    }
    check(&spans, Style::plain(80), &snapshot("folding_80"));
    check(&spans, Style::plain(60), &snapshot("folding_60"));
}

#[test]
fn links() {
    let mut receiver = span(1, 0, "process orders", 0, 4000).kind(SpanKind::Consumer);
    for at in 0..5 {
        receiver = receiver.links(0xabc0 + at, 7);
    }
    let spans = [receiver, span(2, 1, "settle", 3000, 3500).links(TRACE, 1).links(TRACE, 99)];
    check(&spans, Style::plain(80), &snapshot("links"));
}

#[test]
fn parents_that_are_not_here() {
    let mut remote = span(1, 0xb7ad_6b71_6920_3331, "GET /a", 0, 1000).kind(SpanKind::Server);
    remote.parent_span_is_remote = true;
    let lost = span(2, 0xdead, "late", 500, 900);
    let spans = [remote, lost, span(3, 0xdead, "later", 600, 800), span(4, 1, "b", 100, 900)];
    check(&spans, Style::plain(80), &snapshot("parents"));
}

#[test]
fn several_traces_are_in_the_order_of_their_start() {
    let mut second = span(1, 0, "second", 5000, 6000);
    second.span_context = console_support::context(0xbb, 1);
    let mut first = span(1, 0, "first", 0, 1000);
    first.span_context = console_support::context(0xaa, 1);
    let text = render(&[second, first], &Style::plain(80));
    let names: Vec<_> = text.lines().filter(|line| line.contains("trace ")).collect();
    assert!(names.len() == 2 && names[0].contains("aa") && names[1].contains("bb"), "{text}");
    assert_eq!(render(&[], &Style::plain(80)), "");
}

#[test]
fn hostile() {
    let mut spans = vec![
        span(1, 0, "a\x1b[2J\x1b]0;owned\x07\r\n└ forged 1.00 ms", 0, 1_000_000),
        // Its own parent, and two that are each other's.
        span(2, 2, "own parent", 1000, 2000),
        span(3, 4, "circle a", 3000, 4000),
        span(4, 3, "circle b", 3500, 3600),
        // An id twice, a clock that goes back, a child before its parent.
        span(5, 1, "twice", 10_000, 20_000),
        span(5, 1, "twice too", 20_000, 30_000),
        span(6, 5, "back", 15_000, 14_000),
        span(7, 5, "early", 1, 2),
        span(8, 1, "\u{202e}txt.exe\u{2066}", 40_000, 50_000).fails("\x1b[32mok", "fine\n\x1b[1A"),
        span(9, 1, "注文を作成する注文を作成する注文を作成する注文", 50_000, 50_000),
        span(10, 1, &"x".repeat(1 << 20), 60_000, 90_000).with("service.name", "\x1b[31m\u{200b}s"),
        span(11, 1, "", 90_000, 900_000)
            .with("big", "y".repeat(1 << 20))
            .with("k\x08", "\u{9b}31m"),
    ];
    // Deeper than any line is wide.
    for depth in 0..60 {
        let parent = if depth == 0 { 11 } else { 999 + depth };
        spans.push(span(1000 + depth, parent, "deep", 90_000, 800_000));
    }
    let style = Style::plain(80).attributes(true);
    check(&spans, style, &snapshot("hostile"));
}

#[test]
fn a_trace_without_end_is_cut() {
    let root = [span(1, 0, "root", 0, 1_000_000)].into_iter();
    let spans: Vec<_> =
        root.chain((2..2000).map(|id| span(id, 1, &format!("step {id}"), id, id + 1))).collect();
    let text = render(&spans, &Style::plain(80));
    assert_eq!(text.lines().count(), 503);
    assert_eq!(text.lines().last(), Some("and 1499 more spans"));
}
