//! What metrics look like. `UPDATE_EXPECT=1` writes the snapshots anew: look at them.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as such")]

mod console_support;

use console_support::{Written, snapshot};
use expect_test::ExpectFile;
use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{
    Aggregation, Instrument, PeriodicReader, SdkMeterProvider, Stream,
};
use otel_setup::console::{self, Style};

/// The shop after some orders.
fn table(style: Style) -> String {
    let written = Written::default();
    let reader = PeriodicReader::builder(console::metrics().to(written.clone(), style)).build();
    let exponential = |instrument: &Instrument| {
        let aggregation = Aggregation::Base2ExponentialHistogram {
            max_size: 160,
            max_scale: 20,
            record_min_max: true,
        };
        let is_it = instrument.name() == "payload";
        is_it.then(|| Stream::builder().with_aggregation(aggregation).build().unwrap())
    };
    let resource = Resource::builder_empty().with_attribute(KeyValue::new("service.name", "shop"));
    let provider = SdkMeterProvider::builder()
        .with_reader(reader)
        .with_resource(resource.build())
        .with_view(exponential)
        .build();
    let meter = provider.meter("test");

    let duration = meter.f64_histogram("db.client.operation.duration").with_unit("s");
    let duration = duration.with_boundaries(vec![0.001, 0.005, 0.01, 0.05, 0.1]).build();
    let system = KeyValue::new("db.system.name", "postgresql");
    for at in 0..100 {
        let summary = KeyValue::new("db.query.summary", "SELECT orders");
        duration.record(0.0005 + f64::from(at) * 0.0001, &[system.clone(), summary]);
    }
    let hostile = KeyValue::new("db.query.summary", "\x1b[2J\nUPDATE");
    duration.record(7.5, &[system.clone(), hostile, KeyValue::new("error.type", "timeout")]);

    let payload = meter.u64_histogram("payload").with_unit("By").build();
    for size in [0, 1000, 2000, 3000, 5 << 20] {
        payload.record(size, &[]);
    }
    meter.u64_counter("orders").with_unit("{order}").build().add(12, &[]);
    let stock = meter.i64_up_down_counter("stock").build();
    stock.add(-3, &[KeyValue::new("item", "lamp")]);
    stock.add(40, &[KeyValue::new("item", "chair")]);
    meter.f64_gauge("load").build().record(0.734_12, &[]);
    meter.f64_gauge("lag").with_unit("ms").build().record(-1500.0, &[]);
    for at in 0..105 {
        meter.u64_counter("many").build().add(1, &[KeyValue::new("at", at)]);
    }
    provider.force_flush().unwrap();
    let text = written.text();
    provider.shutdown().unwrap();
    text
}

#[track_caller]
fn check(style: Style, expected: &ExpectFile) {
    // Of the hundred that are all alike, the first and the last.
    let table = table(style).replace('\x1b', "␛");
    let lines: Vec<_> =
        table.lines().filter(|line| !line.contains(" at=") || line.ends_with("at=0")).collect();
    expected.assert_eq(&(lines.join("\n") + "\n"));
}

#[test]
fn tables() {
    check(Style::plain(60), &snapshot("metrics_60"));
    check(Style::plain(80), &snapshot("metrics_80"));
    check(Style::plain(160).color(true), &snapshot("metrics_160_color"));
    check(Style::plain(80).unicode(false), &snapshot("metrics_ascii"));
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    use unicode_width::UnicodeWidthStr as _;
    for width in [40, 60, 80, 160] {
        let table = table(Style::plain(width));
        assert!(table.lines().count() > 100);
        assert!(table.lines().all(|line| line.width() <= width), "{table}");
    }
}

#[test]
fn nothing_is_printed_without_metrics() {
    let written = Written::default();
    let exporter = console::metrics().to(written.clone(), Style::plain(80));
    let provider = SdkMeterProvider::builder().with_periodic_exporter(exporter).build();
    provider.force_flush().unwrap();
    assert_eq!(written.text(), "");
}
