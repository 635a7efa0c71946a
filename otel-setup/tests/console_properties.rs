//! Whatever spans hold: no panic, no line over the width, no command to the terminal but our own.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as such")]

mod console_support;

use std::time::{Duration, UNIX_EPOCH};

use console_support::{Build as _, TRACE, span};
use opentelemetry::trace::{Event, SpanKind};
use opentelemetry_sdk::trace::SpanData;
use otel_setup::console::{Style, render};
use proptest::prelude::*;
use unicode_width::UnicodeWidthStr as _;

/// Text with all that terminals obey or get wrong.
fn text() -> impl Strategy<Value = String> {
    let hostile = prop::sample::select(vec![
        "\x1b[2J",
        "\x1b]0;title\x07",
        "\r",
        "\n",
        "\t",
        "\0",
        "\u{9b}31m",
        "\u{202e}",
        "\u{2066}",
        "\u{200b}",
        "\u{feff}",
        "\u{ad}",
        "\u{301}",
        "\u{301}\u{301}\u{301}\u{301}",
        "注文",
        "👩‍👩‍👧",
        "🇩🇪",
        "❤\u{fe0f}",
        "\u{e0041}",
        "\u{2028}",
        "لا",
        "ก็",
        "한",
        "\u{1160}",
        "\u{115f}",
        "…",
        "×",
        "\x7f",
    ]);
    let part = prop_oneof![hostile.prop_map(str::to_owned), any::<String>(), "[a-z ]{0,30}"];
    prop::collection::vec(part, 0..6).prop_map(|parts| parts.concat())
}

fn times() -> impl Strategy<Value = (u64, u64)> {
    // Mostly near each other; now and then at both ends of what there is.
    let near = (0..5000_u64, 0..5000_u64);
    let far = (prop::sample::select(vec![0, 1, 253_402_300_799_000_000]), 0..9_u64);
    prop_oneof![9 => near, 1 => far]
}

fn spans() -> impl Strategy<Value = Vec<SpanData>> {
    let one = (1..12_u64, 0..14_u64, text(), times(), text(), text(), 0..6_usize, 0..5_u8);
    let one = one.prop_map(|(id, parent, name, (start, end), key, value, facts, kind)| {
        let mut span = span(id, parent, &name, 0, 0).kind(match kind {
            0 => SpanKind::Client,
            1 => SpanKind::Server,
            2 => SpanKind::Producer,
            3 => SpanKind::Consumer,
            _ => SpanKind::Internal,
        });
        span.start_time = UNIX_EPOCH + Duration::from_micros(start);
        span.end_time = UNIX_EPOCH + Duration::from_micros(end);
        span.attributes.push(opentelemetry::KeyValue::new(key.clone(), value.clone()));
        span.parent_span_is_remote = facts == 4;
        match facts {
            0 => span.fails(&value, &key),
            1 => span.with("service.name", value),
            2 => span.links(TRACE, parent).links(7, id),
            3 => {
                span.events.events.push(Event::new(value, span.end_time, Vec::new(), 0));
                span
            }
            _ => span,
        }
    });
    prop::collection::vec(one, 0..30)
}

fn style() -> impl Strategy<Value = Style> {
    (0..200_usize, any::<(bool, bool, bool)>()).prop_map(|(width, (color, attributes, unicode))| {
        Style::plain(width).color(color).attributes(attributes).unicode(unicode)
    })
}

/// Without the commands that we write ourselves, which must be complete.
fn uncolored(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let mut plain = parts.next().unwrap().to_owned();
    for part in parts {
        let (code, rest) = part.split_once('m').unwrap();
        assert!(
            ["0", "1", "2"].contains(&code) || (31..=36).any(|known| code == known.to_string())
        );
        plain.push_str(rest);
    }
    plain
}

fn check(spans: &[SpanData], style: Style, width: usize, unicode: bool) {
    let plain = uncolored(&render(spans, &style));
    for line in plain.lines() {
        assert!(line.width() <= width, "{} columns: {line:?}", line.width());
    }
    let is_bad = |letter: char| {
        letter != '\n'
            && (letter.is_control() || "\u{202e}\u{2066}\u{200b}\u{feff}\u{2028}".contains(letter))
    };
    assert!(!plain.contains(is_bad), "{plain:?}");
    assert!(unicode || plain.is_ascii(), "{plain:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_breaks_the_terminal(
        spans in spans(), width in 0..200_usize, color: bool, attributes: bool, unicode: bool,
    ) {
        let style = Style::plain(width).color(color).attributes(attributes).unicode(unicode);
        check(&spans, style, width.clamp(40, 400), unicode);
    }

    #[test]
    fn color_changes_no_letter(spans in spans(), style in style()) {
        let painted = render(&spans, &style.color(true));
        let plain: Vec<_> = uncolored(&painted).lines().map(|line| line.trim_end().to_owned()).collect();
        let expected = render(&spans, &style.color(false));
        let expected: Vec<_> = expected.lines().map(str::trim_end).collect();
        prop_assert_eq!(plain, expected);
    }

    #[test]
    fn every_span_is_shown_or_counted(parents in prop::collection::vec(0..40_u64, 1..40)) {
        // Names that differ are not folded.
        let spans: Vec<_> = (1..).zip(&parents)
            .map(|(id, parent)| span(id, *parent, &format!("name{id:02}"), id, id + *parent)).collect();
        let text = render(&spans, &Style::plain(160));
        for span in &spans {
            prop_assert_eq!(text.matches(span.name.as_ref()).count(), 1, "{}\n{}", span.name, text);
        }
    }
}

#[test]
fn a_hundred_thousand_levels_need_no_deep_stack() {
    let chain: Vec<_> = (1..=100_000).map(|id| span(id, id - 1, "level", id, 200_000)).collect();
    let circle = (1..=100_000).map(|id| span(id, id % 100_000 + 1, "level", id, 200_000));
    let draw = |spans: Vec<SpanData>| {
        let thread = std::thread::Builder::new().stack_size(256 << 10);
        thread.spawn(move || render(&spans, &Style::plain(80))).unwrap().join().unwrap()
    };
    assert!(draw(chain).ends_with("and 99500 more spans\n"));
    let text = draw(circle.collect());
    assert!(text.contains("its parents form a circle") && text.ends_with("and 99500 more spans\n"));
}
