//! What did not arrive is told to the program: by the result of `shutdown` and of `force_flush`.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

mod support;

use std::env;
use std::io::{Write as _, stdout};
use std::net::TcpListener;

use opentelemetry::global;
use otel_setup::Error;
use otel_setup::opentelemetry_sdk::logs::SdkLoggerProvider;
use otel_setup::opentelemetry_sdk::metrics::SdkMeterProvider;
use otel_setup::opentelemetry_sdk::trace::SdkTracerProvider;
use support::{Answer, Finished, Receiver, run};
use tokio::runtime::Builder;

/// Three spans, two log records and one metric. Then what the program is told, a line each.
fn application() {
    let guard = otel_setup::builder().init().unwrap();
    let mut out = stdout();
    let times = env::var("TIMES").map_or(1, |times| times.parse().unwrap());
    for _ in 0..times {
        tracing::info_span!("a").in_scope(|| tracing::info!("a"));
        tracing::info_span!("b").in_scope(|| tracing::info!("b"));
        drop(tracing::info_span!("c").entered());
    }
    global::meter("shop").u64_counter("orders").build().add(1, &[]);
    if env::var("FLUSHES").is_ok() {
        let traces = guard.tracer_provider().map(SdkTracerProvider::force_flush);
        let metrics = guard.meter_provider().map(SdkMeterProvider::force_flush);
        let logs = guard.logger_provider().map(SdkLoggerProvider::force_flush);
        for result in [traces, metrics, logs].into_iter().flatten() {
            writeln!(out, "told: flush {result:?}").unwrap();
        }
    }
    let runtime = Builder::new_current_thread().build().unwrap();
    match runtime.block_on(guard.shutdown()) {
        Ok(()) => writeln!(out, "told: nothing").unwrap(),
        Err(Error::Incomplete(lost)) => {
            for lost in lost {
                let (signal, count, reason) = (lost.signal, lost.count, lost.reason);
                writeln!(out, "told: {signal} {count:?} {reason}").unwrap();
            }
        }
        Err(error) => panic!("{error}"),
    }
}

const ALL: [&str; 3] = ["traces", "metrics", "logs"];

/// Runs the application with these signals alone.
fn with(
    test: &str,
    url: &str,
    signals: &[&str],
    more: &[(&str, &str)],
    application: fn(),
) -> Finished {
    let mut variables: Vec<(String, String)> =
        vec![("OTEL_EXPORTER_OTLP_ENDPOINT".into(), url.to_owned())];
    for signal in ALL.iter().filter(|signal| !signals.contains(signal)) {
        variables.push((format!("OTEL_{}_EXPORTER", signal.to_uppercase()), "none".into()));
    }
    variables.extend(more.iter().map(|(name, value)| ((*name).into(), (*value).into())));
    let variables: Vec<(&str, &dyn ToString)> =
        variables.iter().map(|(name, value)| (name.as_str(), value as &dyn ToString)).collect();
    let finished = run(test, &variables, application);
    assert!(finished.success, "{finished:?}");
    finished
}

fn told(finished: &Finished) -> Vec<String> {
    let lines = finished.output.lines().filter_map(|line| line.split_once("told: "));
    lines.map(|(_, told)| told.to_owned()).collect()
}

fn closed() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// Asserts that each signal that is exported was lost whole, for this reason.
#[track_caller]
fn all_lost(finished: &Finished, signals: &[&str], reason: &str) {
    let expected = |signal: &&str| match *signal {
        "traces" => "traces Some(3) ",
        "metrics" => "metrics None ",
        _ => "logs Some(2) ",
    };
    let expected: Vec<_> = signals.iter().map(expected).collect();
    let told = told(finished);
    assert_eq!(told.len(), expected.len(), "{told:#?} {finished:?}");
    for (told, expected) in told.iter().zip(expected) {
        let rest = told.strip_prefix(expected).unwrap_or_else(|| panic!("{expected}: {told}"));
        assert!(rest.contains(reason), "{reason}: {told}");
    }
}

#[test]
fn a_collector_that_is_away() {
    for protocol in ["http/protobuf", "grpc"] {
        for signals in [&ALL[..], &["traces"], &["metrics"], &["logs"]] {
            let variables = [("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)];
            let test = "a_collector_that_is_away";
            let finished = with(test, &closed(), signals, &variables, application);
            all_lost(&finished, signals, "onnection refused");
        }
    }
}

#[test]
fn a_collector_that_refuses() {
    let cases = [
        ("http/protobuf", Answer::Status(401), "status code: 401"),
        ("http/protobuf", Answer::Status(503), "status code: 503"),
        ("grpc", Answer::Status(401), "Unauthenticated"),
        ("grpc", Answer::Status(503), "Unavailable"),
        ("grpc", Answer::Code(16), "Unauthenticated"),
        ("grpc", Answer::Code(7), "PermissionDenied"),
        ("grpc", Answer::Code(14), "Unavailable"),
    ];
    for (protocol, answer, reason) in cases {
        for signals in [&ALL[..], &["logs"]] {
            let receiver = Receiver::answering([answer]);
            let variables = [("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)];
            let test = "a_collector_that_refuses";
            let finished = with(test, &receiver.url(), signals, &variables, application);
            all_lost(&finished, signals, reason);
        }
    }
}

#[test]
fn nothing_where_all_arrived() {
    for protocol in ["http/protobuf", "grpc"] {
        let receiver = Receiver::start();
        let variables = [("OTEL_EXPORTER_OTLP_PROTOCOL", protocol), ("FLUSHES", "yes")];
        let test = "nothing_where_all_arrived";
        let finished = with(test, &receiver.url(), &ALL, &variables, application);
        let flushes = ["flush Ok(())"; 3].into_iter();
        assert_eq!(told(&finished), flushes.chain(["nothing"]).collect::<Vec<_>>());
        assert_eq!(finished.warnings, Vec::<String>::new());
    }
}

/// The SDK keeps the result of the last batch, if any.
#[test]
fn a_batch_that_was_lost_before_the_last_one() {
    for protocol in ["http/protobuf", "grpc"] {
        let cases = [("traces", "Some(2)", 2), ("logs", "Some(1)", 1)];
        for (signal, lost, size) in cases {
            for flushes in [&[("FLUSHES", "yes")][..], &[]] {
                let refused = match protocol {
                    "grpc" => Answer::Code(16),
                    _ => Answer::Status(401),
                };
                let receiver = Receiver::answering([refused, Answer::Taken]);
                let size = size.to_string();
                let mut variables = vec![
                    ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
                    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", &size),
                    ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", &size),
                ];
                variables.extend(flushes);
                let test = "a_batch_that_was_lost_before_the_last_one";
                let finished = with(test, &receiver.url(), &[signal], &variables, application);
                let told = told(&finished);
                let [flush @ .., end] = &*told else { panic!("{finished:?}") };
                assert_eq!(flush.len(), flushes.len(), "{told:?}");
                assert!(flush.iter().all(|it| it.starts_with("flush Err(")), "{told:?}");
                assert!(end.starts_with(&format!("{signal} {lost} ")), "{told:?}");
            }
        }
    }
}

/// Sums since the start are all in the last export; of sums since the last one, one is missing.
#[test]
fn metrics_that_arrive_later() {
    let protocols = [("http/protobuf", Answer::Status(401)), ("grpc", Answer::Code(16))];
    for (protocol, refused) in protocols {
        for (temporality, expected) in [("cumulative", "nothing"), ("delta", "metrics None ")] {
            let receiver = Receiver::answering([refused, Answer::Taken]);
            let variables = [
                ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
                ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", temporality),
                ("FLUSHES", "yes"),
            ];
            let test = "metrics_that_arrive_later";
            let finished = with(test, &receiver.url(), &["metrics"], &variables, application);
            let told = told(&finished);
            assert_eq!(told.len(), 2, "{told:?}");
            assert!(told[0].starts_with("flush Err("), "{told:?}");
            assert!(told[1].starts_with(expected), "{protocol} {told:?}");
        }
    }
}

#[test]
fn what_found_no_place_in_a_queue() {
    let receiver = Receiver::start();
    let variables = [("OTEL_BSP_MAX_QUEUE_SIZE", "1"), ("TIMES", "1000")];
    let test = "what_found_no_place_in_a_queue";
    let finished = with(test, &receiver.url(), &["traces"], &variables, application);
    let lost = 3_000 - receiver.span_names().len();
    let expected = format!("traces Some({lost}) there was no place left in its queue");
    assert_eq!(told(&finished), [expected]);
    assert_eq!(finished.warnings.len(), 1, "{finished:?}");
}

#[test]
fn a_part_that_was_refused() {
    for protocol in ["http/protobuf", "grpc"] {
        let receiver = Receiver::answering([Answer::TakenWithout(2)]);
        let variables = [("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)];
        let test = "a_part_that_was_refused";
        let finished = with(test, &receiver.url(), &ALL, &variables, application);
        let reason = "the collector refused a part of it";
        let expected = [("traces", "Some(2)"), ("metrics", "None"), ("logs", "Some(2)")];
        let expected = expected.map(|(signal, count)| format!("{signal} {count} {reason}"));
        assert_eq!(told(&finished), expected, "{protocol}");
        assert!(finished.warnings[0].contains("too many"), "{finished:?}");
    }
}

fn dropped() {
    let guard = otel_setup::builder().subscriber(env::var("UNHEARD").is_err()).init().unwrap();
    global::meter("shop").u64_counter("orders").build().add(1, &[]);
    drop(guard);
}

/// By whoever hears of it first.
#[test]
fn a_guard_that_is_dropped_tells_it_in_one_line() {
    for unheard in [&[("UNHEARD", "yes")][..], &[]] {
        let receiver = Receiver::answering([Answer::Status(401)]);
        let test = "a_guard_that_is_dropped_tells_it_in_one_line";
        let finished = with(test, &receiver.url(), &["metrics"], unheard, dropped);
        assert_eq!(finished.warnings.len(), 1, "{finished:?}");
        assert!(finished.warnings[0].contains("status code: 401"), "{finished:?}");
    }
}
