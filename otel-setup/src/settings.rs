//! What the environment decides of the SDK: exporters, sampling, limits, batches.

use std::fmt::{self, Display};
use std::time::Duration;

use opentelemetry_sdk::logs::{BatchConfig as LogBatchConfig, BatchConfigBuilder as LogBatches};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::trace::{BatchConfig, BatchConfigBuilder, Sampler, SpanLimits};

use crate::environment::{Environment, Signal};

/// Where a signal goes. The names are those of `OTEL_TRACES_EXPORTER` and its like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Exporter {
    /// `otlp`: to a collector, or any other that speaks OTLP.
    Otlp,
    /// `console`: to the terminal.
    Console,
}

/// What the variable of a signal names, without what is unknown. `none` is a list that is empty.
pub(crate) fn exporters(
    environment: &Environment<'_>,
    signal: Signal,
    default: &[Exporter],
) -> Vec<Exporter> {
    let name = format!("OTEL_{}_EXPORTER", signal.to_string().to_uppercase());
    let Some(value) = environment.get(&name) else { return default.to_vec() };
    let (mut found, mut unknown, mut known) = (Vec::new(), Vec::new(), false);
    for word in value.split(',').map(str::trim) {
        match word.to_ascii_lowercase().as_str() {
            "otlp" => found.push(Exporter::Otlp),
            "console" => found.push(Exporter::Console),
            "none" => {}
            _ => {
                unknown.push(word);
                continue;
            }
        }
        known = true;
    }
    if !known {
        found = default.to_vec();
    }
    // Twice the same would export each span twice.
    found.sort_by_key(|exporter| *exporter as u8);
    found.dedup();
    if !unknown.is_empty() {
        let unknown = unknown.join(", ");
        let problem = format!("names {unknown:?}, which is none of otlp, console, none");
        environment.complain(&name, &value, &problem, Shown(&found));
    }
    found
}

struct Shown<'a>(&'a [Exporter]);

impl Display for Shown<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |exporter: &Exporter| match exporter {
            Exporter::Otlp => "otlp",
            Exporter::Console => "console",
        };
        let names: Vec<_> = self.0.iter().map(name).collect();
        out.write_str(if names.is_empty() { "none" } else { "" })?;
        out.write_str(&names.join(","))
    }
}

/// `OTEL_TRACES_SAMPLER` and its argument. The default follows the caller's decision, else samples.
pub(crate) fn sampler(environment: &Environment<'_>) -> Sampler {
    let name = "OTEL_TRACES_SAMPLER";
    let by_parent = |sampler| Sampler::ParentBased(Box::new(sampler));
    let ratio = || {
        let argument = "OTEL_TRACES_SAMPLER_ARG";
        let problem = "is no number from 0 to 1";
        let parse = |value: &str| value.parse().ok().filter(|it| (0.0..=1.0).contains(it));
        Sampler::TraceIdRatioBased(environment.parse(argument, problem, 1.0, parse))
    };
    let Some(value) = environment.get(name) else { return by_parent(Sampler::AlwaysOn) };
    match value.to_ascii_lowercase().as_str() {
        "always_on" => Sampler::AlwaysOn,
        "always_off" => Sampler::AlwaysOff,
        "traceidratio" => ratio(),
        "parentbased_always_on" => by_parent(Sampler::AlwaysOn),
        "parentbased_always_off" => by_parent(Sampler::AlwaysOff),
        "parentbased_traceidratio" => by_parent(ratio()),
        _ => {
            let problem = "is none of always_on, always_off, traceidratio, parentbased_always_on, \
                           parentbased_always_off, parentbased_traceidratio";
            environment.complain(name, &value, problem, "parentbased_always_on");
            by_parent(Sampler::AlwaysOn)
        }
    }
}

/// The limits on counts. A limit on attributes in general holds where none is set for its place.
pub(crate) fn span_limits(environment: &Environment<'_>) -> SpanLimits {
    let attributes = environment.number("OTEL_ATTRIBUTE_COUNT_LIMIT", 0, 128);
    let mut limits = SpanLimits::default();
    let count = |name, default| environment.number(name, 0, default);
    limits.max_attributes_per_span = count("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", attributes);
    limits.max_events_per_span = count("OTEL_SPAN_EVENT_COUNT_LIMIT", 128);
    limits.max_links_per_span = count("OTEL_SPAN_LINK_COUNT_LIMIT", 128);
    limits.max_attributes_per_event = count("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", 128);
    limits.max_attributes_per_link = count("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", 128);
    limits
}

/// How long the text of an attribute may be, which the SDK does not limit itself.
pub(crate) fn attribute_length(environment: &Environment<'_>) -> Option<usize> {
    let limit = |name, default: Option<usize>| {
        let Some(value) = environment.get(name) else { return default };
        let parsed = value.parse().ok();
        if parsed.is_none() {
            let taken = default.map_or_else(|| "no limit".to_owned(), |limit| limit.to_string());
            environment.complain(name, &value, "is no number of characters", taken);
        }
        parsed.or(default)
    };
    let general = limit("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", None);
    limit("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", general)
}

/// Whether sums are told since the start, or since they were last told.
pub(crate) fn temporality(environment: &Environment<'_>) -> Temporality {
    let name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
    let Some(value) = environment.get(name) else { return Temporality::Cumulative };
    match value.to_ascii_lowercase().as_str() {
        "cumulative" => Temporality::Cumulative,
        "delta" => Temporality::Delta,
        "lowmemory" => Temporality::LowMemory,
        _ => {
            let problem = "is none of cumulative, delta, lowmemory";
            environment.complain(name, &value, problem, "cumulative");
            Temporality::Cumulative
        }
    }
}

/// Of a queue. The SDK takes the memory for all of its places at once, and ends the process where
/// there is none: a million spans are 370 MiB.
const LONGEST: usize = 1_000_000;

/// How spans or log records are batched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batches {
    queue: usize,
    size: usize,
    delay: Duration,
    /// The SDK's processors leave this bound to the exporter. None: no bound.
    pub(crate) timeout: Option<Duration>,
}

impl Batches {
    /// `prefix` is `OTEL_BSP` for spans and `OTEL_BLRP` for log records.
    pub(crate) fn read(environment: &Environment<'_>, prefix: &str, delay: u64) -> Self {
        let name = |option| format!("{prefix}_{option}");
        let problem = format!("is no number from 1 to {LONGEST}");
        let parse = |value: &str| value.parse().ok().filter(|it| (1..=LONGEST).contains(it));
        let queue = environment.parse(&name("MAX_QUEUE_SIZE"), &problem, 2048, parse);
        let size_name = name("MAX_EXPORT_BATCH_SIZE");
        let size = environment.number(&size_name, 1, 512.min(queue));
        if size > queue {
            let problem = format!("is more than the queue of {queue} holds");
            environment.complain(&size_name, &size.to_string(), &problem, queue);
        }
        // With a delay of 0, the SDK's thread would look at its queue without a pause.
        let delay = environment.number(&name("SCHEDULE_DELAY"), 0, delay).max(1);
        Self {
            queue,
            size: size.min(queue),
            delay: Duration::from_millis(delay),
            timeout: environment.timeout(&name("EXPORT_TIMEOUT"), 30_000),
        }
    }

    pub(crate) fn of_spans(self) -> BatchConfig {
        let config = BatchConfigBuilder::default();
        let config = config.with_max_queue_size(self.queue).with_scheduled_delay(self.delay);
        config.with_max_export_batch_size(self.size).build()
    }

    pub(crate) fn of_logs(self) -> LogBatchConfig {
        let config = LogBatches::default();
        let config = config.with_max_queue_size(self.queue).with_scheduled_delay(self.delay);
        config.with_max_export_batch_size(self.size).build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<T>(pairs: &[(&str, &str)], read: impl Fn(&Environment<'_>) -> T) -> (T, Vec<String>) {
        let variable = |name: &str| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        let environment = Environment::new(&variable);
        (read(&environment), environment.complaints())
    }

    const NOTHING: Vec<String> = Vec::new();

    #[test]
    fn the_list_of_exporters() {
        use Exporter::{Console, Otlp};
        let read = |value: &str| {
            let pairs = [("OTEL_LOGS_EXPORTER", value)];
            with(&pairs, |environment| exporters(environment, Signal::Logs, &[Otlp]))
        };
        assert_eq!(read(""), (vec![Otlp], NOTHING));
        assert_eq!(read("none"), (vec![], NOTHING));
        assert_eq!(read("console, OTLP,console"), (vec![Otlp, Console], NOTHING));
        let complaint = |value: &str, unknown: &str, used: &str| {
            vec![format!(
                "OTEL_LOGS_EXPORTER={value:?} names {unknown:?}, which is none of otlp, console, \
                 none; {used} is used"
            )]
        };
        assert_eq!(read("zipkin"), (vec![Otlp], complaint("zipkin", "zipkin", "otlp")));
        // What is known stays, be it nothing.
        let some = "Console, zipkin,file";
        assert_eq!(read(some), (vec![Console], complaint(some, "zipkin, file", "console")));
        assert_eq!(read("NONE,x"), (vec![], complaint("NONE,x", "x", "none")));
    }

    #[test]
    fn each_sampler_by_its_name() {
        let read = |name: &str, argument: &str| {
            let pairs = [("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", argument)];
            let (sampler, complaints) = with(&pairs, sampler);
            (format!("{sampler:?}"), complaints.len())
        };
        let parent = |sampler: &str| format!("ParentBased({sampler})");
        assert_eq!(read("", ""), (parent("AlwaysOn"), 0));
        assert_eq!(read("always_on", ""), ("AlwaysOn".into(), 0));
        assert_eq!(read("always_off", ""), ("AlwaysOff".into(), 0));
        assert_eq!(read("parentbased_always_on", ""), (parent("AlwaysOn"), 0));
        assert_eq!(read("parentbased_always_off", ""), (parent("AlwaysOff"), 0));
        assert_eq!(read("traceidratio", "0.25"), ("TraceIdRatioBased(0.25)".into(), 0));
        assert_eq!(read("parentbased_traceidratio", "0.5"), (parent("TraceIdRatioBased(0.5)"), 0));
        // The specification's default of the argument.
        assert_eq!(read("traceidratio", ""), ("TraceIdRatioBased(1.0)".into(), 0));
        assert_eq!(read("traceidratio", "7"), ("TraceIdRatioBased(1.0)".into(), 1));
        assert_eq!(read("traceidratio", "NaN"), ("TraceIdRatioBased(1.0)".into(), 1));
        assert_eq!(read("jaeger_remote", ""), (parent("AlwaysOn"), 1));
        // Letter case makes no difference.
        assert_eq!(read("ALWAYS_OFF", ""), ("AlwaysOff".into(), 0));
        assert_eq!(read("ParentBased_Always_Off", ""), (parent("AlwaysOff"), 0));
        assert_eq!(read("TraceIdRatio", "0.25"), ("TraceIdRatioBased(0.25)".into(), 0));
    }

    #[test]
    fn a_general_limit_holds_where_no_other_is_set() {
        let (limits, _) = with(&[("OTEL_ATTRIBUTE_COUNT_LIMIT", "7")], span_limits);
        assert_eq!(limits.max_attributes_per_span, 7);
        assert_eq!(limits.max_events_per_span, 128);
        let pairs = [("OTEL_ATTRIBUTE_COUNT_LIMIT", "7"), ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "9")];
        assert_eq!(with(&pairs, span_limits).0.max_attributes_per_span, 9);
        assert_eq!(with(&[], attribute_length).0, None);
        assert_eq!(
            with(&[("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "5")], attribute_length).0,
            Some(5)
        );
    }

    #[test]
    fn each_limit_has_a_variable() {
        let pairs = [
            ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "1"),
            ("OTEL_SPAN_EVENT_COUNT_LIMIT", "2"),
            ("OTEL_SPAN_LINK_COUNT_LIMIT", "3"),
            ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "4"),
            ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "5"),
        ];
        let (limits, complaints) = with(&pairs, span_limits);
        assert_eq!(limits.max_attributes_per_span, 1);
        assert_eq!(limits.max_events_per_span, 2);
        assert_eq!(limits.max_links_per_span, 3);
        assert_eq!(limits.max_attributes_per_event, 4);
        assert_eq!(limits.max_attributes_per_link, 5);
        assert_eq!(complaints, NOTHING);
    }

    #[test]
    fn a_batch_fits_into_its_queue() {
        let read = |pairs: &[_]| with(pairs, |it| Batches::read(it, "OTEL_BSP", 5_000));
        let (batches, complaints) = read(&[("OTEL_BSP_MAX_QUEUE_SIZE", "10")]);
        assert_eq!((batches.queue, batches.size, complaints), (10, 10, NOTHING));
        let (batches, complaints) = read(&[("OTEL_BSP_MAX_QUEUE_SIZE", "18446744073709551615")]);
        assert_eq!((batches.queue, batches.size, complaints.len()), (2048, 512, 1));
        let (batches, complaints) = read(&[
            ("OTEL_BSP_MAX_QUEUE_SIZE", "10"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "11"),
            ("OTEL_BSP_SCHEDULE_DELAY", "3"),
            ("OTEL_BSP_EXPORT_TIMEOUT", "4"),
        ]);
        assert_eq!((batches.queue, batches.size), (10, 10));
        assert_eq!(batches.delay, Duration::from_millis(3));
        assert_eq!(batches.timeout, Some(Duration::from_millis(4)));
        assert_eq!(
            complaints,
            [
                r#"OTEL_BSP_MAX_EXPORT_BATCH_SIZE="11" is more than the queue of 10 holds; 10 is used"#
            ]
        );
    }

    #[test]
    fn no_delay_and_no_limit() {
        let pairs = [("OTEL_BLRP_SCHEDULE_DELAY", "0"), ("OTEL_BLRP_EXPORT_TIMEOUT", "0")];
        let (batches, complaints) = with(&pairs, |it| Batches::read(it, "OTEL_BLRP", 1_000));
        assert_eq!(complaints, NOTHING);
        assert_eq!(batches.timeout, None);
        // The SDK's thread would never sleep.
        assert!(!batches.delay.is_zero());
    }
}
