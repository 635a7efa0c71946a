//! A value that logs while it is formatted, and an argument that is an instrumented function: neither
//! may harm the thread of the application, nor change what is exported.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

mod support;

use std::collections::HashMap;
use std::fmt;
use std::panic::catch_unwind;
use std::time::Duration;

use opentelemetry::global;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use support::{Finished, Receiver, run, text};
use tracing::field::{Empty, debug, display};
use tracing::level_filters::LevelFilter;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::prelude::*;

/// A value that uses `tracing` in all ways while it is formatted.
struct Talkative;

impl fmt::Display for Talkative {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        tracing::debug!("within");
        tracing::info!("within");
        tracing::error!("within");
        log::warn!("within");
        out.write_str(if tracing::enabled!(tracing::Level::DEBUG) { "value" } else { "val" })?;
        tracing::debug_span!("within").in_scope(instrumented);
        out.write_str(if instrumented() == 3 { "" } else { "?" })
    }
}

impl fmt::Debug for Talkative {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl std::error::Error for Talkative {}

#[tracing::instrument]
fn instrumented() -> u32 {
    tracing::info!("within");
    3
}

/// Each way in which a value gets into a span or an event.
fn everywhere() {
    let error: &(dyn std::error::Error + 'static) = &Talkative;
    let outer = tracing::info_span!("outer", value = %Talkative, later = Empty, error = Empty);
    outer.in_scope(|| {
        tracing::info!(value = %Talkative, "said");
        tracing::warn!(value = ?Talkative, "said");
        tracing::error!(error, "said");
        log::info!("said {Talkative}");
        if layers().is_empty() {
            // A formatting layer of `tracing-subscriber` alone would wait for itself here.
            outer.record("later", display(Talkative)).record("error", error);
        }
        tracing::debug_span!("finer", value = ?Talkative).in_scope(|| tracing::warn!("said"));
        drop(tracing::trace_span!("finest", value = instrumented(), later = Empty).entered());
        tracing::info!(value = instrumented(), "said");
        tracing::debug!(value = tracing::enabled!(tracing::Level::TRACE), "said");
    });
    outer.record("later", debug("value"));
}

/// The filter of one more layer, which formats too.
fn layers() -> Vec<LevelFilter> {
    let names = std::env::var("LAYERS").unwrap();
    names.split_terminator(',').map(|name| name.parse().unwrap()).collect()
}

fn sink<S>() -> impl tracing_subscriber::Layer<S>
where
    S: tracing::Subscriber + for<'span> tracing_subscriber::registry::LookupSpan<'span>,
{
    tracing_subscriber::fmt::layer().with_writer(std::io::sink)
}

/// Under the subscriber of this crate.
fn application() {
    let mut builder = otel_setup::builder();
    for filter in layers() {
        builder = builder.tracing_layer(sink().with_filter(filter));
    }
    let guard = builder.init().unwrap();
    // Twice: the first time, all places in the code are new to the filters.
    (0..2).for_each(|_| everywhere());
    drop(guard);
}

/// As the README has it: the formatting layer in front.
fn on_a_subscriber_of_the_user() {
    let filter = layers().remove(0);
    tracing_subscriber::registry()
        .with(sink().with_filter(filter))
        .with(otel_setup::layer())
        .init();
    let _guard = otel_setup::init!();
    (0..2).for_each(|_| everywhere());
}

/// A hang must not become one of the test.
fn bounded(application: fn()) {
    std::thread::spawn(|| {
        std::thread::sleep(Duration::from_secs(60));
        std::process::abort();
    });
    application();
}

#[derive(Debug)]
struct Arrived {
    finished: Finished,
    /// In the order of their ends.
    spans: Vec<Span>,
    logs: Vec<String>,
}

impl Arrived {
    /// The names of the spans but for those from within the value.
    fn names(&self) -> Vec<&str> {
        let names = self.spans.iter().map(|span| span.name.as_str());
        names.filter(|name| !["within", "instrumented"].contains(name)).collect()
    }

    /// Whether the terminal shows it.
    fn shows(&self, text: &str) -> bool {
        self.finished.errors.lines().any(|line| line.contains(text))
    }
}

fn arrived(test: &str, variables: &[(&str, &str)], application: fn()) -> Arrived {
    let receiver = Receiver::start();
    let url = receiver.url();
    let mut all: Vec<(&str, &dyn ToString)> = vec![("OTEL_EXPORTER_OTLP_ENDPOINT", &url)];
    all.extend(variables.iter().map(|(name, value)| (*name, value as &dyn ToString)));
    if variables.iter().all(|(name, _)| *name != "LAYERS") {
        all.push(("LAYERS", &""));
    }
    let finished = run(test, &all, application);
    assert!(finished.success, "{variables:?}: {finished:?}");
    let spans: Vec<_> = receiver.spans().into_iter().map(|(_, span)| span).collect();
    // Of errors, the span tells as well.
    let mut events = spans.iter().flat_map(|span| &span.events);
    let is_error = |event: &Event| text(&event.attributes, "level") == Some("ERROR");
    assert!(events.all(is_error), "{variables:?}: {spans:?}");
    Arrived { finished, spans, logs: receiver.log_bodies() }
}

#[test]
fn no_filter_makes_it_panic_or_hang() {
    let filters = [
        "",
        "off",
        "error",
        "warn",
        "debug",
        "TRACE",
        "off,nested=debug",
        "off,otel_setup=off,nested[finer]=trace",
        "[outer]=debug",
        "warn,[outer{value}]=trace",
        "[{value=value}]=debug",
        "info,[outer{later=value}]=trace",
        "warn,[finer{value=value}]=trace,[within]=off",
    ];
    for filter in filters {
        for layers in ["", "off", "warn", "trace"] {
            let variables = [("RUST_LOG", filter), ("LAYERS", layers)];
            let test = "no_filter_makes_it_panic_or_hang";
            let arrived = arrived(test, &variables, || bounded(application));
            let outer = arrived.spans.iter().filter(|span| span.name == "outer");
            assert_eq!(outer.count(), 2, "{variables:?}: {arrived:?}");
        }
    }
}

#[test]
fn nor_does_one_in_front_of_the_layers() {
    for filter in ["", "off", "trace", "warn,[outer{value=value}]=trace"] {
        for layers in ["off", "warn", "info", "trace"] {
            let variables = [("RUST_LOG", filter), ("LAYERS", layers)];
            let test = "nor_does_one_in_front_of_the_layers";
            let arrived = arrived(test, &variables, || bounded(on_a_subscriber_of_the_user));
            let outer = arrived.spans.iter().filter(|span| span.name == "outer");
            assert_eq!(outer.count(), 2, "{variables:?}: {arrived:?}");
        }
    }
}

fn with_arguments() {
    let all = sink().with_filter(LevelFilter::TRACE);
    let own = std::env::var("OWN").is_ok();
    if own {
        tracing_subscriber::registry().with(all).with(otel_setup::layer()).init();
    }
    let builder = otel_setup::builder();
    let all = sink().with_filter(LevelFilter::TRACE);
    let _guard = if own { builder } else { builder.tracing_layer(all) }.init().unwrap();
    tracing::info_span!("outer").in_scope(|| {
        tracing::info!(value = instrumented(), "argument");
        tracing::debug!(value = instrumented(), "finer");
        tracing::debug_span!("finer", value = instrumented()).in_scope(|| {});
        log::debug!("finer {}", instrumented());
        tracing::info!(value = %Talkative, "said");
        log::info!("logged {Talkative}");
    });
}

/// With its own layer, the user sees all; that changes nothing for the others.
#[test]
fn an_argument_that_is_instrumented_changes_nothing() {
    for own in [&[("OWN", "yes")][..], &[]] {
        for filter in ["", "info,[outer]=info", "off,nested=info"] {
            let variables = [own, &[("RUST_LOG", filter)]].concat();
            let test = "an_argument_that_is_instrumented_changes_nothing";
            let arrived = arrived(test, &variables, with_arguments);
            assert_eq!(arrived.names(), ["outer"], "{variables:?}");
            let logs = arrived.logs.iter().filter(|text| *text != "within");
            let expected = ["argument", "said", "logged value"];
            assert!(logs.eq(expected), "{variables:?} {:?}", arrived.logs);
            if own.is_empty() {
                assert!(arrived.shows(" argument"), "{arrived:?}");
                assert!(!arrived.shows("finer"), "{arrived:?}");
            }
        }
    }
}

fn with_an_error() {
    let _guard = otel_setup::init!();
    tracing::info_span!("outer").in_scope(|| tracing::error!(value = %Talkative, "said"));
}

#[test]
fn what_a_filter_refuses_stays_away_from_logs_and_terminal() {
    let test = "what_a_filter_refuses_stays_away_from_logs_and_terminal";
    let arrived = arrived(test, &[("RUST_LOG", "off")], with_an_error);
    assert_eq!(arrived.names(), ["outer"]);
    assert_eq!(arrived.spans.last().unwrap().status.as_ref().unwrap().code, 2);
    assert_eq!(arrived.logs, Vec::<String>::new());
    assert!(!arrived.shows("nested"), "{arrived:?}");
}

fn with_a_question() {
    let _guard = otel_setup::init!();
    let asked = || tracing::enabled!(tracing::Level::DEBUG);
    tracing::info_span!("asked", value = asked()).in_scope(|| {
        tracing::info!(value = asked(), "said");
    });
}

#[test]
fn a_question_in_an_argument_loses_nothing() {
    // A directive on spans leaves it open until then what a callsite is worth.
    let variables = [("RUST_LOG", "info,[other]=debug")];
    let arrived = arrived("a_question_in_an_argument_loses_nothing", &variables, with_a_question);
    assert_eq!(arrived.names(), ["asked"]);
    assert_eq!(arrived.logs, ["said"]);
    assert!(arrived.shows("asked{"), "{arrived:?}");
}

struct Panics;

impl fmt::Display for Panics {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("as a value may")
    }
}

fn that_panics() {
    let _guard = otel_setup::init!();
    let caught = |act: fn()| assert!(catch_unwind(act).is_err());
    caught(|| drop(tracing::info_span!("panics", value = %Panics)));
    tracing::info_span!("outer", later = Empty).in_scope(|| {
        caught(|| tracing::error!(value = %Panics, "panics"));
        caught(|| _ = tracing::Span::current().record("later", display(Panics)));
        tracing::info!("goes on");
    });
    everywhere();
}

#[test]
fn a_value_that_panics_does_no_harm_to_what_follows() {
    let test = "a_value_that_panics_does_no_harm_to_what_follows";
    for filter in ["", "warn,[outer{later=value}]=debug"] {
        let arrived = arrived(test, &[("RUST_LOG", filter)], || bounded(that_panics));
        let outer = arrived.spans.iter().filter(|span| span.name == "outer");
        assert_eq!(outer.count(), 2, "{arrived:?}");
    }
}

#[derive(Debug)]
struct Outer(std::num::ParseIntError);

impl fmt::Display for Outer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("no number")
    }
}

impl std::error::Error for Outer {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

fn recorded() {
    let _guard = otel_setup::init!();
    let span = tracing::info_span!("span", a = 1, b = Empty, c = Empty, d = Empty, e = Empty);
    let error: &(dyn std::error::Error + 'static) = &Outer("x".parse::<u8>().unwrap_err());
    span.record("b", true).record("c", "text").record("d", debug("quoted")).record("e", error);
    span.in_scope(|| tracing::info!("said"));
}

#[test]
fn what_is_recorded_later_is_shown_and_exported() {
    let test = "what_is_recorded_later_is_shown_and_exported";
    let arrived = arrived(test, &[("NO_COLOR", "1")], recorded);
    let expected = r#"span{a=1 b=true c="text" d="quoted" e=no number e.sources=[invalid digit"#;
    assert!(arrived.shows(expected), "{arrived:?}");
    let attributes = &arrived.spans[0].attributes;
    assert_eq!(text(attributes, "d"), Some("\"quoted\""));
    assert_eq!(text(attributes, "e"), Some("no number"));
    assert!(attributes.iter().any(|attribute| attribute.key == "e.chain"), "{attributes:?}");
}

fn with_the_extension() {
    if std::env::var("OWN").is_ok() {
        tracing_subscriber::registry().with(otel_setup::layer()).init();
    }
    let _guard = otel_setup::init!();
    let span = tracing::info_span!("span");
    let mut carrier = HashMap::new();
    carrier.insert("traceparent".to_owned(), format!("00-{:032x}-{:016x}-01", 7, 8));
    let parent = global::get_text_map_propagator(|propagator| propagator.extract(&carrier));
    span.set_parent(parent).unwrap();
    span.set_attribute("by", "extension");
    assert!(span.context().span().span_context().is_valid());
}

/// It looks for the layer by its type.
#[test]
fn the_extension_of_spans_finds_its_layer() {
    for own in [&[("OWN", "yes")][..], &[]] {
        let arrived = arrived("the_extension_of_spans_finds_its_layer", own, with_the_extension);
        let span = &arrived.spans[0];
        assert_eq!(span.parent_span_id, 8_u64.to_be_bytes(), "{own:?}");
        assert_eq!(text(&span.attributes, "by"), Some("extension"), "{own:?}");
    }
}
