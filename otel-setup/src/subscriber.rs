//! The layers between `tracing` and OpenTelemetry, and the subscriber for who has none.

use std::io::{IsTerminal as _, stderr};
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use tracing::subscriber::set_global_default;
use tracing::{Level, Metadata, Subscriber};
use tracing_log::{AsLog as _, LogTracer};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, dynamic_filter_fn, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use crate::careful::{self, Directives, Formatting};
use crate::current::{CurrentLoggers, CurrentTracer};
use crate::environment::{self, Environment};
use crate::health::{self, Health};
use crate::runtime;

/// A layer of the type that a subscriber takes as it is.
pub(crate) type Boxed<S> = Box<dyn Layer<S> + Send + Sync>;

/// Whether some subscriber has our layers, by our hand or the user's.
static LAYERED: AtomicBool = AtomicBool::new(false);

const DEFAULT: &str = "info";

/// The layers of OpenTelemetry, for a subscriber of your own.
///
/// Spans of `tracing` become spans, events become log records with the ids of the span they lie in,
/// and the SDK's own failures become a warning on standard error, now and then. Each layer has its
/// own filter: `RUST_LOG` (`info` without it) for log records, at least `INFO` for spans. Put it
/// beside other layers and their filters, not under a filter that holds for all: that one would hide
/// spans and the SDK's failures.
///
/// Put it behind the other layers too, with `with` after theirs. A value whose `Display` logs makes
/// `tracing-subscriber` forget, in the middle of a span, what the filters of the layers behind said; a
/// formatting layer with a filter then panics in the thread of the application. These layers do not,
/// but what stands behind them does.
///
/// It can be made before [`init!`](crate::init) or after it, and finds the exporters once they are
/// there. Formatting to the terminal is not part of it.
///
/// ```
/// use tracing_subscriber::filter::LevelFilter;
/// use tracing_subscriber::prelude::*;
///
/// let terminal = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
/// tracing_subscriber::registry()
///     .with(terminal.with_filter(LevelFilter::INFO))
///     .with(otel_setup::layer())
///     .init();
/// let _guard = otel_setup::init!();
/// ```
pub fn layer<S>() -> impl Layer<S> + Send + Sync + 'static
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    LAYERED.store(true, Ordering::Relaxed);
    let environment = Environment::new(&environment::process);
    // Complaints are left to `init`, which looks at the same variable.
    opentelemetry_layers(&directives(&environment, DEFAULT))
}

/// `RUST_LOG`, if it can be read.
pub(crate) fn directives(environment: &Environment<'_>, default: &str) -> String {
    let valid = |value: &str| EnvFilter::builder().parse(value).is_ok().then(|| value.to_owned());
    environment.parse("RUST_LOG", "is no list of directives", default.to_owned(), valid)
}

fn opentelemetry_layers<S>(directives: &str) -> Vec<Boxed<S>>
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    // What the SDK says of itself is never exported: a queue that is full would fill itself.
    let external = |wanted: fn(&Metadata<'_>) -> bool| {
        let outside = dynamic_filter_fn(|_, _| !runtime::is_exporting());
        filter_fn(move |metadata| !health::is_internal(metadata) && wanted(metadata)).and(outside)
    };
    // An event that is not an error is a log record, and would be a second copy in the span.
    let spans_and_errors = external(|it| !it.is_event() || *it.level() == Level::ERROR);
    // Quiet logs must not tear traces apart.
    let spans = LevelFilter::INFO.or(Directives::new(directives)).and(spans_and_errors);
    let events = Directives::new(directives).and(external(|it| !it.is_span()));
    let internal = LevelFilter::WARN.and(filter_fn(health::is_internal));
    let layer = OpenTelemetryLayer::new(CurrentTracer)
        // They would triple the attributes of each span.
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_error_events_to_exceptions(false);
    vec![
        careful::layer(layer, spans),
        careful::layer(OpenTelemetryTracingBridge::new(&CurrentLoggers), events),
        careful::layer(Health, internal),
    ]
}

/// Installs a subscriber, unless there is one.
///
/// `formatted`: whether events are written to standard error too.
pub(crate) fn install(directives: &str, formatted: bool, more: Vec<Boxed<Registry>>) {
    let mut layers = more;
    layers.extend(opentelemetry_layers(directives));
    if formatted {
        // The health layer tells of what a human should know; who wants all of it asks for it.
        let all = |word: &str| ["debug", "trace"].contains(&word.trim().to_lowercase().as_str());
        let asked = directives.contains("opentelemetry") || directives.split(',').any(all);
        let filter = Directives::new(directives)
            .and(filter_fn(move |metadata| asked || !health::is_internal(metadata)));
        let plain = environment::process("NO_COLOR").is_some_and(|value| !value.is_empty());
        let ansi = stderr().is_terminal() && !plain;
        let layer = Formatting(fmt::layer().with_writer(stderr).with_ansi(ansi));
        layers.push(careful::layer(layer, filter));
    }
    if set_global_default(tracing_subscriber::registry().with(layers)).is_err() {
        if !LAYERED.load(Ordering::Relaxed) {
            health::warn(
                "a tracing subscriber is set already: add otel_setup::layer() to it, or its spans \
                 and events are not exported",
            );
        }
        return;
    }
    LAYERED.store(true, Ordering::Relaxed);
    // Records below what some layer wants are cheapest to drop in `log` itself.
    let bridge = LogTracer::builder().with_max_level(LevelFilter::current().as_log());
    if bridge.init().is_err() {
        health::warn("the crate `log` has a logger already: its records are not exported");
    }
}
