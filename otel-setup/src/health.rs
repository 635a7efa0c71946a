//! How the SDK is: export failures and full queues, told to a human who can do something about it.
//!
//! The SDK tells by events of `tracing` whose target begins with `opentelemetry`, one for each batch
//! that failed. This makes one line on standard error of them, now and then.

use std::fmt::{self, Write as _};
use std::io::{Write as _, stderr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::console::UNWRITABLE;
use crate::lost;

/// At most one line of a kind in this time.
const SILENCE: Duration = Duration::from_secs(60);

/// One line to standard error, for what must be seen whatever is filtered or exported.
pub(crate) fn warn(text: impl fmt::Display) {
    // Nobody is left to be told if this fails.
    _ = writeln!(stderr(), "otel-setup: {}", one_line(&text.to_string()));
}

/// Part of it may be what a collector answered: to a terminal, control characters are commands.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() {
            line.extend(letter.escape_default());
        } else {
            line.push(letter);
        }
    }
    line
}

/// Whether it comes from OpenTelemetry itself, and so must be neither a log record nor a span.
pub(crate) fn is_internal(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    // Nearly all.
    if !target.starts_with(PACKAGES[0]) {
        return false;
    }
    let package = target.split_once("::").map_or(target, |(package, _)| package);
    // Not by the prefix alone: an application may be called `opentelemetry-demo`.
    PACKAGES.contains(&package.replace('-', "_").as_str())
}

/// Those that tell of themselves under their names, some with `-` and some with `_`.
const PACKAGES: [&str; 7] = [
    "opentelemetry",
    "opentelemetry_appender_tracing",
    "opentelemetry_aws",
    "opentelemetry_http",
    "opentelemetry_otlp",
    "opentelemetry_resource_detectors",
    "opentelemetry_sdk",
];

/// What the SDK's own events do not say.
struct Network {
    /// Where telemetry goes.
    endpoints: String,
    /// Whether the guard has given up what is left.
    over: bool,
}

static NETWORK: Mutex<Network> = Mutex::new(Network { endpoints: String::new(), over: false });

fn network<T>(ask: impl FnOnce(&mut Network) -> T) -> T {
    ask(&mut NETWORK.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Tells where telemetry goes from now on.
pub(crate) fn exporting_to(endpoints: String) {
    network(|network| *network = Network { endpoints, over: false });
}

/// From now on, and until it begins anew, nothing that fails is news.
pub(crate) fn over() {
    network(|network| network.over = true);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Export,
    Queue,
    Other,
}

impl Kind {
    fn of(metadata: &Metadata<'_>) -> Option<Self> {
        let name = metadata.name();
        if name.ends_with(".ExportError") {
            Some(Self::Export)
        } else if name.ends_with("DroppingStarted") || name.ends_with("sDropped") {
            Some(Self::Queue)
        } else {
            // A shutdown that takes too long is told by the guard, which knows for how long.
            // Of an export that succeeds in part, only what was refused is told.
            let tells = (*metadata.level() == Level::ERROR && !name.contains(".Shutdown."))
                || name.ends_with(".PartialSuccess");
            tells.then_some(Self::Other)
        }
    }

    fn text(self, said: &str) -> String {
        match self {
            // Metrics leave for the console by the same reader as for a collector.
            Self::Export if said.contains(UNWRITABLE) => format!("telemetry is lost: {said}"),
            Self::Export => network(|Network { endpoints, .. }| {
                let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
                if has(&["401", "403", "Unauthenticated", "PermissionDenied"]) {
                    return format!(
                        "telemetry is refused by {endpoints}: {said}. Who it is from is said by \
                         OTEL_EXPORTER_OTLP_HEADERS, or by the client certificate"
                    );
                }
                format!(
                    "telemetry does not reach {endpoints}: {said}. Is a collector running there? \
                     OTEL_EXPORTER_OTLP_ENDPOINT says where to send it; OTEL_TRACES_EXPORTER, \
                     OTEL_METRICS_EXPORTER and OTEL_LOGS_EXPORTER = none or console send nothing"
                )
            }),
            Self::Queue => format!(
                "telemetry is dropped because a queue is full: {said} The collector is slow or \
                 away, or there is more than it takes: sample (OTEL_TRACES_SAMPLER), or enlarge \
                 OTEL_BSP_MAX_QUEUE_SIZE or OTEL_BLRP_MAX_QUEUE_SIZE"
            ),
            Self::Other => format!("OpenTelemetry reports: {said}"),
        }
    }
}

/// Lets one line of a kind through, and counts the others.
#[derive(Clone, Copy, Debug)]
struct Gate {
    last: Option<Instant>,
    silent: u64,
}

impl Gate {
    const NEW: Self = Self { last: None, silent: 0 };

    /// How many were silent since the last line, if it is time for another.
    fn pass(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now.duration_since(last) < SILENCE) {
            self.silent += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.silent))
    }
}

static GATES: Mutex<[Gate; 3]> = Mutex::new([Gate::NEW; 3]);

/// Whether it has told not long ago why telemetry is lost.
pub(crate) fn has_told() -> bool {
    let gates = GATES.lock().unwrap_or_else(PoisonError::into_inner);
    let told =
        |kind| gates[kind as usize].last.is_some_and(|last: Instant| last.elapsed() < SILENCE);
    told(Kind::Export) || told(Kind::Queue)
}

/// The layer that listens to the SDK.
#[derive(Debug)]
pub(crate) struct Health;

impl<S: Subscriber> Layer<S> for Health {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let Some(kind) = Kind::of(event.metadata()) else { return };
        let mut said = Said::default();
        event.record(&mut said);
        lost::refused(said.refused);
        if network(|network| network.over) {
            return;
        }
        let mut gates = GATES.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(silent) = gates[kind as usize].pass(Instant::now()) else { return };
        drop(gates);
        let more = match silent {
            0 => String::new(),
            more => format!(" ({more} more since the last warning)"),
        };
        warn(kind.text(&said.text) + &more);
    }
}

/// The fields of an event as one text; the name is there a second time as a field.
#[derive(Default)]
struct Said {
    text: String,
    /// How much of a batch that was taken in part.
    refused: u64,
}

impl Visit for Said {
    fn record_i64(&mut self, field: &Field, value: i64) {
        if field.name().starts_with("rejected_") {
            self.refused = u64::try_from(value).unwrap_or_default();
        }
        self.record_debug(field, &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() != "name" {
            self.text.push_str(if self.text.is_empty() { "" } else { " " });
            self.text.push_str(value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let space = if self.text.is_empty() { "" } else { " " };
        // A text cannot fail to take more.
        _ = match field.name() {
            "name" => Ok(()),
            "message" | "error" => write!(self.text, "{space}{value:?}"),
            name => write!(self.text, "{space}{name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_in_a_minute_and_the_count_of_the_others() {
        let (mut gate, start) = (Gate::NEW, Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(gate.pass(start), Some(0));
        assert_eq!(gate.pass(after(1)), None);
        assert_eq!(gate.pass(after(59)), None);
        assert_eq!(gate.pass(after(60)), Some(2));
        assert_eq!(gate.pass(after(119)), None);
        assert_eq!(gate.pass(after(121)), Some(1));
    }

    #[test]
    fn who_is_refused_hears_of_credentials() {
        for said in ["HTTP export failed: 401 Unauthorized", "status: PermissionDenied"] {
            let text = Kind::Export.text(said);
            assert!(
                text.starts_with("telemetry is refused by ") && text.contains("_HEADERS"),
                "{text}"
            );
        }
        let text = Kind::Export.text("HTTP export failed: network error");
        assert!(text.starts_with("telemetry does not reach "), "{text}");
    }
}
