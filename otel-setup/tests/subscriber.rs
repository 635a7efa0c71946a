//! Between `tracing` and OpenTelemetry: what is exported, and with which subscriber.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as such")]

mod support;

use opentelemetry::global;
use opentelemetry::trace::{TraceContextExt as _, Tracer as _};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use support::{Finished, Receiver, run};
use tracing_subscriber::prelude::*;

fn work() {
    let _entered = tracing::info_span!("work").entered();
    tracing::debug!("debug");
    tracing::info!("info");
    tracing::warn!("warn");
    log::warn!("by log");
    drop(tracing::debug_span!("detail").entered());
}

fn application() {
    let _guard = otel_setup::init!();
    work();
}

/// What arrived: names of spans and texts of log records.
fn arrived(
    test: &str,
    variables: &[(&str, &str)],
    application: fn(),
) -> (Vec<String>, Vec<String>, Finished) {
    let receiver = Receiver::start();
    let url = receiver.url();
    let mut all: Vec<(&str, &dyn ToString)> = vec![("OTEL_EXPORTER_OTLP_ENDPOINT", &url)];
    all.extend(variables.iter().map(|(name, value)| (*name, value as &dyn ToString)));
    let finished = run(test, &all, application);
    assert!(finished.success, "{finished:?}");
    (receiver.span_names(), receiver.log_bodies(), finished)
}

#[test]
fn rust_log_decides_on_events_and_spares_spans() {
    let test = "rust_log_decides_on_events_and_spares_spans";
    let with = |value| {
        let (spans, logs, finished) = arrived(test, &[("RUST_LOG", value)], application);
        assert_eq!(finished.warnings, Vec::<String>::new());
        // The terminal shows the same.
        for text in ["debug", "info", "warn", "by log"] {
            let shown = finished.errors.lines().any(|line| line.ends_with(text));
            assert_eq!(shown, logs.iter().any(|log| log == text), "{value} {text}: {finished:?}");
        }
        (spans, logs)
    };
    assert_eq!(with(""), (vec!["work".into()], ["info", "warn", "by log"].map(Into::into).into()));
    assert_eq!(with("warn"), (vec!["work".into()], ["warn", "by log"].map(Into::into).into()));
    assert_eq!(with("off"), (vec!["work".into()], vec![]));
    let (spans, logs) = with("off,subscriber=debug");
    assert_eq!(spans, ["detail", "work"]);
    assert_eq!(logs, ["debug", "info", "warn", "by log"]);
}

#[test]
fn a_filter_that_cannot_be_read_is_one_warning() {
    let test = "a_filter_that_cannot_be_read_is_one_warning";
    let (_, logs, finished) = arrived(test, &[("RUST_LOG", "shop=loud")], application);
    let warning = r#"RUST_LOG="shop=loud" is no list of directives; info is used"#;
    assert_eq!(finished.warnings, [warning]);
    assert_eq!(logs, ["info", "warn", "by log"]);
}

fn chatty() {
    let guard = otel_setup::init!();
    for _ in 0..5 {
        tracing::info_span!("work").in_scope(|| tracing::info!("hello"));
        // Each export is one more chance for the client of the exporter to be exported itself.
        guard.tracer_provider().unwrap().force_flush().unwrap();
        guard.logger_provider().unwrap().force_flush().unwrap();
    }
}

#[test]
fn what_the_exporters_do_is_not_exported() {
    for protocol in ["http/protobuf", "grpc"] {
        let variables = [("RUST_LOG", "trace"), ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)];
        let (spans, logs, finished) =
            arrived("what_the_exporters_do_is_not_exported", &variables, chatty);
        assert_eq!(spans, ["work"; 5], "{protocol}");
        assert_eq!(logs, ["hello"; 5], "{protocol}");
        // A human who asks for everything gets it.
        assert!(finished.errors.contains("opentelemetry_sdk"), "{finished:?}");
        assert!(finished.errors.contains("hyper_util"), "{finished:?}");
    }
}

/// An exporter of the user's whose client is instrumented.
#[derive(Debug)]
struct Talkative;

impl SpanExporter for Talkative {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        let _outer = tracing::info_span!("request").entered();
        let _inner = tracing::info_span!("connect").entered();
        tracing::info!("connected");
        Ok(())
    }
}

fn talkative() {
    let builder = otel_setup::builder().traces_with(|it| it.with_batch_exporter(Talkative));
    let guard = builder.init().unwrap();
    for _ in 0..2 {
        drop(tracing::info_span!("work").entered());
        guard.tracer_provider().unwrap().force_flush().unwrap();
    }
}

#[test]
fn what_an_exporter_of_the_user_does_is_not_exported() {
    let test = "what_an_exporter_of_the_user_does_is_not_exported";
    let (spans, logs, finished) = arrived(test, &[], talkative);
    assert_eq!((spans, logs), (vec!["work".to_owned(); 2], vec![]));
    assert!(finished.errors.contains("connected"), "it was shown: {finished:?}");
}

fn in_a_context() {
    let _guard = otel_setup::init!();
    let span = global::tracer("shop").start("by OpenTelemetry");
    let context = opentelemetry::Context::current_with_span(span);
    let _attached = context.clone().attach();
    tracing::info!("{}", context.span().span_context().span_id());
    tracing::info_span!("below").in_scope(|| tracing::info!("below"));
}

#[test]
fn a_log_record_has_the_ids_of_the_span_it_lies_in() {
    let receiver = Receiver::start();
    let finished = run(
        "a_log_record_has_the_ids_of_the_span_it_lies_in",
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url())],
        in_a_context,
    );
    assert!(finished.success, "{finished:?}");
    let (spans, logs) = (receiver.spans(), receiver.logs());
    assert_eq!(receiver.span_names(), ["below", "by OpenTelemetry"]);
    let ids: Vec<_> = spans.iter().map(|(_, span)| (&span.trace_id, &span.span_id)).collect();
    let of: Vec<_> = logs.iter().map(|(_, log)| (&log.trace_id, &log.span_id)).collect();
    assert_eq!(of, [ids[1], ids[0]]);
    assert!(spans.iter().all(|(_, span)| span.events.is_empty()), "no second copy: {spans:?}");
    assert_eq!(spans[0].1.parent_span_id, spans[1].1.span_id);
}

fn failing() {
    let _guard = otel_setup::init!();
    tracing::info_span!("work").in_scope(|| tracing::error!("broken"));
}

#[test]
fn an_error_is_a_log_record_and_the_status_of_its_span() {
    let receiver = Receiver::start();
    let finished = run(
        "an_error_is_a_log_record_and_the_status_of_its_span",
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url())],
        failing,
    );
    assert!(finished.success, "{finished:?}");
    assert_eq!(receiver.log_bodies(), ["broken"]);
    let (_, span) = &receiver.spans()[0];
    assert_eq!(span.status.as_ref().map(|status| status.code), Some(2));
}

fn layered_before() {
    tracing_subscriber::registry().with(otel_setup::layer()).init();
    let _guard = otel_setup::init!();
    work();
}

fn layered_after() {
    let _guard = otel_setup::builder().subscriber(false).init().unwrap();
    tracing_subscriber::registry().with(otel_setup::layer()).init();
    work();
}

fn layered_twice() {
    tracing_subscriber::registry().with(otel_setup::layer()).init();
    for _ in 0..2 {
        let _guard = otel_setup::init!();
        work();
    }
}

fn layered() {
    match std::env::var("LAYERED").unwrap().as_str() {
        "before" => layered_before(),
        "after" => layered_after(),
        _ => layered_twice(),
    }
}

#[test]
fn a_subscriber_of_the_user_takes_the_layers() {
    for (name, times) in [("before", 1), ("after", 1), ("twice", 2)] {
        let (spans, logs, finished) =
            arrived("a_subscriber_of_the_user_takes_the_layers", &[("LAYERED", name)], layered);
        assert_eq!(finished.warnings, Vec::<String>::new(), "{name}");
        assert_eq!(spans, vec!["work"; times], "{name}");
        assert_eq!(logs, ["info", "warn", "by log"].repeat(times), "{name}");
        assert!(!finished.errors.contains("INFO"), "nothing is formatted: {finished:?}");
    }
}

fn without_layers() {
    tracing_subscriber::registry().init();
    let _guard = otel_setup::init!();
    work();
}

#[test]
fn a_subscriber_without_the_layers_is_one_note() {
    let test = "a_subscriber_without_the_layers_is_one_note";
    let (spans, logs, finished) = arrived(test, &[], without_layers);
    assert_eq!(finished.warnings.len(), 1, "{finished:?}");
    assert!(finished.warnings[0].contains("add otel_setup::layer() to it"), "{finished:?}");
    assert_eq!((spans.len(), logs.len()), (0, 0));
}

fn on_a_loud_subscriber() {
    let shown = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    tracing_subscriber::registry().with(shown).with(otel_setup::layer()).init();
    application();
}

#[test]
fn a_bad_value_is_not_told_by_the_sdk_too() {
    let test = "a_bad_value_is_not_told_by_the_sdk_too";
    let variables = [("OTEL_TRACES_SAMPLER", "sometimes")];
    let (_, _, finished) = arrived(test, &variables, on_a_loud_subscriber);
    assert_eq!(finished.errors.matches("sometimes").count(), 1, "{finished:?}");
}

struct Silent;

impl log::Log for Silent {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, _: &log::Record<'_>) {}

    fn flush(&self) {}
}

fn with_a_logger() {
    log::set_logger(&Silent).unwrap();
    application();
}

#[test]
fn a_logger_that_is_set_is_another_note() {
    let (spans, logs, finished) =
        arrived("a_logger_that_is_set_is_another_note", &[], with_a_logger);
    let note = "the crate `log` has a logger already: its records are not exported";
    assert_eq!(finished.warnings, [note]);
    assert_eq!(spans, ["work"]);
    assert_eq!(logs, ["info", "warn"]);
}

fn with_a_layer() {
    let shown = tracing_subscriber::fmt::layer().with_writer(std::io::stdout);
    let guard = otel_setup::builder().filter("error").tracing_layer(shown).init().unwrap();
    work();
    drop(guard);
}

#[test]
fn the_builder_takes_a_layer_and_a_filter() {
    let (spans, logs, finished) =
        arrived("the_builder_takes_a_layer_and_a_filter", &[], with_a_layer);
    assert_eq!(spans, ["work"]);
    assert_eq!(logs, Vec::<String>::new());
    assert!(finished.output.contains("debug"), "{finished:?}");
}

#[test]
fn logs_on_the_console_are_there_once() {
    let variables = [("OTEL_LOGS_EXPORTER", "console")];
    let (_, logs, finished) =
        arrived("logs_on_the_console_are_there_once", &variables, application);
    assert_eq!(logs, Vec::<String>::new());
    assert!(!finished.errors.contains(" INFO "), "not by the formatter: {finished:?}");
}
