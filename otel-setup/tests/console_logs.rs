//! What log records look like.

mod console_support;

use std::collections::HashMap;

use console_support::{Written, time};
use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry::{Key, SpanId, TraceFlags, TraceId};
use opentelemetry_sdk::logs::{SdkLogRecord, SdkLoggerProvider};
use otel_setup::console::{self, Style};

fn line(style: Style, fill: impl FnOnce(&mut SdkLogRecord)) -> String {
    let written = Written::default();
    let exporter = console::logs().to(written.clone(), style);
    let provider = SdkLoggerProvider::builder().with_simple_exporter(exporter).build();
    let logger = provider.logger("test");
    let mut record = logger.create_log_record();
    record.set_timestamp(time(3_004_000));
    fill(&mut record);
    logger.emit(record);
    written.text()
}

#[test]
fn a_record_is_a_line() {
    let order = |record: &mut SdkLogRecord| {
        record.set_severity_number(Severity::Warn);
        record.set_severity_text("WARN");
        record.set_target("shop::stock");
        record.set_body("out of stock".into());
        record.add_attribute("item", "lamp");
        record.add_attribute("left", 0);
        record.set_trace_context(
            TraceId::from(0xaa),
            SpanId::from(0xbb),
            Some(TraceFlags::SAMPLED),
        );
    };
    assert_eq!(
        line(Style::plain(80), order),
        "22:13:23.004Z WARN  shop::stock: out of stock item=lamp left=0 \
         trace=000000000000000000000000000000aa span=00000000000000bb\n"
    );
    let painted = line(Style::plain(80).color(true), order);
    assert!(painted.contains("\x1b[33mWARN \x1b[0m") && painted.ends_with("bb\x1b[0m\n"));
}

#[test]
fn what_is_missing_is_left_out() {
    assert_eq!(
        line(Style::plain(80), |record| record.set_event_name("started")),
        "22:13:23.004Z -     started\n"
    );
    let error = line(Style::plain(80), |record| record.set_severity_number(Severity::Error));
    assert_eq!(error, "22:13:23.004Z ERROR\n");
}

#[test]
fn a_record_cannot_forge_another() {
    let hostile = "ok\n22:13:23.004Z ERROR forged\x1b[2J\u{202e}";
    let text = line(Style::plain(80), |record| {
        record.set_body(hostile.into());
        record.set_target(hostile);
        record.add_attribute(hostile, hostile);
        record.add_attribute(
            "map",
            AnyValue::Map(Box::new(HashMap::from([(Key::from(hostile), AnyValue::from(hostile))]))),
        );
    });
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(!text.trim_end().contains(|letter: char| letter.is_control() || letter == '\u{202e}'));
}

#[test]
fn long_and_nested_values_end() {
    let mut nested = AnyValue::from(1);
    for _ in 0..100 {
        nested = AnyValue::ListAny(Box::new(vec![nested]));
    }
    let text = line(Style::plain(80), |record| {
        record.set_body("x".repeat(1 << 20).into());
        record.add_attribute("nested", nested);
        record.add_attribute("bytes", AnyValue::Bytes(Box::new(vec![0; 1 << 20])));
        record.add_attribute("long", "y".repeat(1 << 20));
    });
    assert_eq!(text.matches('x').count(), 4095);
    assert_eq!(text.matches('y').count(), 513, "511 of the value, two of `bytes`");
    assert!(text.contains(" nested=[[[[…]]]] bytes=(1048576 bytes) long="), "{text:.300}");
}
